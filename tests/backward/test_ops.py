import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.differences import CLOSE, gradient

from gptcompare.backward import ops
from gptcompare.model import ops as forward

N, D, M = 5, 4, 3
RNG = np.random.default_rng(0)
X, WEIGHT, BIAS, TABLE = (RNG.standard_normal(shape) for shape in ((N, D), (D, M), M, (6, D)))
GAIN, SHIFT = RNG.standard_normal((2, D))
IDS = np.array([4, 0, 4, 5, 4])
TARGETS = np.array([0, 3, 3, 1, 2])
DY = RNG.standard_normal((N, D))  # y = f(x) and the loss sum(y * DY), so that dL/dy is DY
DY_NARROW = RNG.standard_normal((N, M))


def test_linear():
    def loss(x=X, weight=WEIGHT, bias=BIAS):
        return (forward.linear(x, weight, bias) * DY_NARROW).sum()

    dx, d_weight, d_bias = ops.linear_backward(DY_NARROW, X, WEIGHT)
    assert dx == pytest.approx(gradient(lambda x: loss(x=x), X), **CLOSE)
    assert d_weight == pytest.approx(gradient(lambda weight: loss(weight=weight), WEIGHT), **CLOSE)
    assert d_bias == pytest.approx(gradient(lambda bias: loss(bias=bias), BIAS), **CLOSE)


@pytest.mark.parametrize("eps", [1e-5, 0.3])
def test_layer_norm(eps):
    def loss(x=X, gain=GAIN, bias=SHIFT):
        return (forward.layer_norm(x, gain, bias, eps) * DY).sum()

    y, kept = ops.layer_norm(X, GAIN, SHIFT, eps)
    assert np.array_equal(y, forward.layer_norm(X, GAIN, SHIFT, eps))
    dx, d_gain, d_bias = ops.layer_norm_backward(DY, kept, GAIN)
    assert dx == pytest.approx(gradient(lambda x: loss(x=x), X), **CLOSE)
    assert d_gain == pytest.approx(gradient(lambda gain: loss(gain=gain), GAIN), **CLOSE)
    assert d_bias == pytest.approx(gradient(lambda bias: loss(bias=bias), SHIFT), **CLOSE)


def test_embedding_adds_up_what_comes_from_the_same_row():
    before = np.ones_like(TABLE)
    d_table = before.copy()
    ops.embedding_backward(DY, IDS, d_table)
    assert d_table - before == pytest.approx(gradient(lambda table: (table[IDS] * DY).sum(), TABLE), **CLOSE)


@pytest.mark.parametrize("name", forward.ACTIVATION)
class TestActivation:
    @given(x=st.floats(-12, 12).filter(lambda x: abs(x) > 1e-3))  # relu has no slope at 0
    def test_the_slope_is_that_of_the_forward_function(self, name, x):
        x = np.array([[x]])
        function = forward.ACTIVATION[name]
        y, slope = ops.activation(x.copy(), name)
        assert y == pytest.approx(function(x), rel=1e-14)
        assert slope == pytest.approx(gradient(lambda x: function(x).sum(), x), **CLOSE)

    def test_any_number_of_vectors_at_a_time_gives_the_same(self, name, monkeypatch):
        x = np.random.default_rng(0).standard_normal((7, 10))
        y, slope = ops.activation(x.copy(), name)
        for numbers in (1, 20, 30):
            monkeypatch.setattr(ops, "ACTIVATION_NUMBERS", numbers)
            again, slope_again = ops.activation(x.copy(), name)
            assert np.array_equal(again, y)
            assert np.array_equal(slope_again, slope)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_far_from_0_the_slope_is_0_or_1(self, name, dtype):
        _, slope = ops.activation(np.array([[-1e15, -1e3, 1e3, 1e15]], dtype), name)
        assert slope.tolist() == [[0, 0, 1, 1]]


def test_cross_entropy():
    losses, d_logits = ops.cross_entropy(X.copy(), TARGETS)
    assert losses == pytest.approx(forward.cross_entropy(X, TARGETS), rel=1e-14)
    assert d_logits == pytest.approx(gradient(lambda x: forward.cross_entropy(x, TARGETS).sum(), X), **CLOSE)


def test_cross_entropy_of_logits_of_any_size_is_finite():
    losses, d_logits = ops.cross_entropy(np.array([[1e30, 0], [-1e30, 0]], np.float32), np.array([0, 0]))
    assert losses == pytest.approx([0, 1e30])
    assert d_logits.tolist() == [[0, 0], [-1, 1]]


def test_dropout():
    y, factors = ops.dropout(X, 0.4, np.random.default_rng(3))
    assert np.array_equal(y, ops.dropout(X, 0.4, np.random.default_rng(3))[0])
    dx = gradient(lambda x: (ops.dropout(x, 0.4, np.random.default_rng(3))[0] * DY).sum(), X)
    assert ops.dropout_backward(DY, factors) == pytest.approx(dx, **CLOSE)


def test_dropout_leaves_out_a_fraction_p_and_keeps_the_mean():
    y, factors = ops.dropout(np.ones((300, 300)), 0.2, np.random.default_rng(0))
    assert np.unique(y) == pytest.approx([0, 1 / 0.8])
    assert (y == 0).mean() == pytest.approx(0.2, abs=0.01)  # seven standard deviations
    assert np.array_equal(y, factors)


def test_dropout_of_nothing_does_nothing_and_draws_nothing():
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    y, factors = ops.dropout(X, 0.0, rng)
    assert y is X
    assert ops.dropout_backward(DY, factors) is DY
    assert rng.bit_generator.state == before


def every_output(dtype):
    x, weight, gain, shift, dy, dy_narrow = (array.astype(dtype) for array in (X, WEIGHT, GAIN, SHIFT, DY, DY_NARROW))
    y, kept = ops.layer_norm(x, gain, shift, 1e-5)
    table = np.zeros(TABLE.shape, dtype)
    ops.embedding_backward(dy, IDS, table)
    yield from (y, *kept, table, *ops.layer_norm_backward(dy, kept, gain), *ops.linear_backward(dy_narrow, x, weight))
    for name, function in ops.ACTIVATION.items():
        yield from (*function(x), *ops.activation(x.copy(), name))
    yield from (ops.activation_backward(dy.copy(), x), *ops.cross_entropy(x.copy(), TARGETS))
    y, factors = ops.dropout(x, 0.3, np.random.default_rng(0))
    yield from (y, factors, ops.dropout_backward(dy, factors))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_op_gives_back_the_dtype_that_it_was_given(dtype):
    assert {array.dtype for array in every_output(dtype)} == {np.dtype(dtype)}
