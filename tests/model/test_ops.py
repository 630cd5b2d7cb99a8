import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptcompare.model import ops

FUNCTIONS = {
    "linear": lambda x: ops.linear(x, np.ones((x.shape[-1], 3), x.dtype), np.ones(3, x.dtype)),
    "layer_norm": lambda x: ops.layer_norm(x, np.ones(x.shape[-1], x.dtype), np.ones(x.shape[-1], x.dtype), 1e-5),
    "softmax": ops.softmax,
    "log_softmax": ops.log_softmax,
    "cross_entropy": lambda x: ops.cross_entropy(x, np.zeros(x.shape[:-1], np.int64)),
    "erf": ops.erf,
    **ops.ACTIVATION,
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_op_gives_back_the_dtype_that_it_was_given_and_leaves_its_input_alone(name, dtype):
    x = np.random.default_rng(0).standard_normal((2, 3, 7)).astype(dtype)
    before = x.copy()
    assert FUNCTIONS[name](x).dtype == dtype
    assert np.array_equal(x, before)


@given(st.floats(-30, 30))
def test_erf_equals_the_standard_library_s(x):
    assert ops.erf(np.array([x]))[0] == pytest.approx(math.erf(x), abs=3e-14)
    single = np.float32(x)
    assert ops.erf(np.array([single]))[0] == pytest.approx(math.erf(float(single)), abs=2e-7)


def test_erf_of_infinities_and_nan_is_what_it_must_be():
    assert np.array_equal(ops.erf(np.array([-np.inf, np.inf, np.nan, -0.0])), [-1, 1, np.nan, 0], equal_nan=True)


@given(st.floats(-40, 40))
def test_gelu_is_x_times_the_normal_distribution_function(x):
    expected = x * 0.5 * math.erfc(-x / math.sqrt(2))
    assert ops.gelu_erf(np.array([x]))[0] == pytest.approx(expected, abs=1e-12)


@given(st.floats(-40, 40))
def test_gelu_tanh_is_the_papers_formula(x):
    expected = 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    assert ops.gelu_tanh(np.array([x]))[0] == pytest.approx(expected, abs=1e-12)


def test_linear_of_any_rank_is_the_product_of_each_vector():
    rng = np.random.default_rng(0)
    x, weight, bias = rng.standard_normal((2, 4, 5)), rng.standard_normal((5, 3)), rng.standard_normal(3)
    y = ops.linear(x, weight, bias)
    for index in np.ndindex(2, 4):
        assert y[index] == pytest.approx(sum(x[index][d] * weight[d] for d in range(5)) + bias)


def test_layer_norm_shifts_and_scales_each_vector():
    x = np.random.default_rng(0).standard_normal((6, 50)) * 3 + 7
    gain, bias = np.linspace(1, 2, 50), np.linspace(-1, 1, 50)
    plain = (ops.layer_norm(x, gain, bias, 1e-9) - bias) / gain
    assert plain.mean(axis=-1) == pytest.approx(np.zeros(6), abs=1e-12)
    assert plain.std(axis=-1) == pytest.approx(np.ones(6))


def test_layer_norm_of_a_constant_vector_is_its_bias():
    assert np.array_equal(ops.layer_norm(np.full((1, 4), 5.0), np.ones(4), np.arange(4.0), 1e-5), [[0, 1, 2, 3]])


@given(st.lists(st.floats(-1e30, 1e30), min_size=1, max_size=20))
def test_softmax_sums_to_one_for_logits_of_any_size(values):
    y = ops.softmax(np.array(values))
    assert y.sum() == pytest.approx(1)
    assert (y >= 0).all()


def test_log_softmax_is_exact_where_softmax_underflows():
    assert ops.log_softmax(np.array([0.0, -2000.0]))[1] == -2000.0


def test_softmax_of_a_masked_entry_is_zero():
    assert ops.softmax(np.array([1.0, -np.inf, 1.0])).tolist() == [0.5, 0.0, 0.5]


def test_cross_entropy_of_equal_logits_is_the_logarithm_of_their_number():
    losses = ops.cross_entropy(np.zeros((2, 3, 7)), np.array([[0, 1, 2], [3, 4, 6]]))
    assert losses == pytest.approx(np.full((2, 3), math.log(7)))
