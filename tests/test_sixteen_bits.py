import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gptcompare import sixteen_bits
from gptcompare.arrays import BFLOAT16
from gptcompare.sixteen_bits import copy_into, widened

ALL_BITS = np.arange(2**16, dtype=np.uint16)
ALL_FLOAT16 = ALL_BITS.view(np.float16)


def value(bits, n_exponent, n_fraction):
    """By the definition: 1 bit of sign, then those of the exponent and of the fraction."""
    most = 2**n_exponent - 1
    sign, exponent = -1.0 if bits >> 15 else 1.0, bits >> n_fraction & most
    fraction = bits & (2**n_fraction - 1)
    if exponent == most:
        return math.nan if fraction else sign * math.inf
    hidden = 2**n_fraction if exponent else 0
    return sign * math.ldexp(fraction + hidden, max(exponent, 1) - most // 2 - n_fraction)


def copied(source):
    target = np.full(source.shape, 7, np.float32)
    copy_into(target, source)
    return target


class TestBfloat16:
    def test_every_number_has_its_value(self):
        ours = widened(ALL_BITS.view(BFLOAT16))
        assert ours.dtype == np.float32
        np.testing.assert_array_equal(ours, [value(int(bits), 8, 7) for bits in ALL_BITS])

    @pytest.mark.reference
    def test_every_bit_pattern_is_as_torch_converts_it(self, torch):
        theirs = torch.from_numpy(ALL_BITS.view(np.int16)).view(torch.bfloat16).float().numpy()
        np.testing.assert_array_equal(widened(ALL_BITS.view(BFLOAT16)).view(np.uint32), theirs.view(np.uint32))

    @pytest.mark.parametrize("shape", [(), (0, 3), (3, 0), (2, 3)], ids=str)
    def test_shapes_are_kept(self, shape):
        ours = widened(np.zeros(shape, BFLOAT16))
        assert isinstance(ours, np.ndarray)
        assert ours.shape == shape

    def test_other_numbers_are_left_as_they_are(self):
        wide = np.zeros((2, 3), np.float32)
        assert widened(wide) is wide

    def test_rounding_finds_the_nearest_and_of_two_the_even_one(self):
        below, above = widened(np.array([0x3F80, 0x3F81], np.uint16).view(BFLOAT16)).tolist()  # 1 and the next number
        middle = (below + above) / 2
        given = np.array([below, middle, np.nextafter(np.float32(middle), np.float32(2)), above, -middle], np.float32)
        rounded = np.empty(given.shape, BFLOAT16)
        copy_into(rounded, given)
        assert widened(rounded).tolist() == [below, below, above, above, -below]

    @pytest.mark.reference
    def test_rounding_is_torch_s(self, torch):
        bits = np.random.default_rng(0).integers(2**32, size=100_000, dtype=np.uint32)
        given = np.concatenate([bits.view(np.float32), np.float32([np.inf, -np.inf, np.nan, 3.4e38, 1e-45])])
        rounded = np.empty(given.shape, BFLOAT16)
        copy_into(rounded, given)
        np.testing.assert_array_equal(widened(rounded), torch.from_numpy(given).bfloat16().float().numpy())


class TestFloat16:
    @pytest.mark.parametrize("finite", [True, False], ids=["finite ones", "with infinities and NaNs"])
    def test_every_number_has_its_value(self, finite):
        bits = ALL_BITS[np.isfinite(ALL_FLOAT16)] if finite else ALL_BITS
        ours = copied(bits.view(np.float16))
        expected = np.array([value(int(of_one), 5, 10) for of_one in bits])
        np.testing.assert_array_equal(ours, expected)
        np.testing.assert_array_equal(np.signbit(ours), bits >> 15)  # also of zeros and NaNs

    @pytest.mark.reference
    def test_every_number_is_as_torch_converts_it(self, torch):
        np.testing.assert_array_equal(copied(ALL_FLOAT16), torch.from_numpy(ALL_FLOAT16.copy()).float().numpy())

    def test_an_infinity_spoils_no_number_beside_it(self):
        np.testing.assert_array_equal(copied(np.array([-np.inf, 6e-8, -1, 65504], np.float16)),
                                      np.array([-np.inf, 2**-24, -1, 65504], np.float32))  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float16, BFLOAT16], ids=["float16", "bfloat16"])
@pytest.mark.parametrize("order", "CF")
def test_a_number_that_is_not_finite_is_found_wherever_it_is(dtype, order):
    matrix = np.zeros((70, 3000), dtype, order)
    assert sixteen_bits.is_finite(matrix)
    for value in (np.inf, -np.inf, np.nan):
        for place in ((0, 0), (69, 2999), (33, 1234)):
            spoilt = matrix.copy(order)
            copy_into(spoilt[place[0], place[1] :][:1], np.array([value], np.float32))
            assert not sixteen_bits.is_finite(spoilt)


class TestCopyInto:
    @settings(max_examples=200, deadline=None)
    @given(
        shape=st.tuples(st.integers(0, 40), st.integers(0, 40)), seed=st.integers(0, 99), piece=st.integers(1, 300),
        dtypes=st.tuples(*[st.sampled_from(["e", "f", "d", BFLOAT16])] * 2),
        orders=st.tuples(st.sampled_from("CFT-"), st.sampled_from("CFT-")),
    )  # fmt: skip
    def test_is_assignment_for_all_shapes_dtypes_and_memory_orders(self, shape, seed, piece, dtypes, orders):
        source, target = (of_order(np.zeros(shape, dtype), order) for dtype, order in zip(dtypes, orders, strict=True))
        numbers = np.random.default_rng(seed).normal(scale=10.0 ** -(seed % 8), size=shape)
        source[...] = in_bfloat16(numbers) if source.dtype == BFLOAT16 else numbers
        wide = widened(source)
        expected = nearest_in_bfloat16(wide) if target.dtype == BFLOAT16 else wide.astype(target.dtype)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sixteen_bits, "PIECE", piece)
            patch.setattr(sixteen_bits, "LEAST_ROWS", 2)
            copy_into(target, source)
        np.testing.assert_array_equal(widened(target), widened(expected))

    def test_vectors_and_single_numbers_are_copied(self):
        for source in (ALL_FLOAT16[:9], ALL_FLOAT16[3:4].reshape(())):
            np.testing.assert_array_equal(copied(source), source.astype(np.float32))


def in_bfloat16(numbers):
    """Round towards zero: keep the upper halves."""
    return (numbers.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16).view(BFLOAT16)


def nearest_in_bfloat16(numbers):
    """By the definition: eight significant bits, of two equally near numbers the one whose last bit is 0."""
    fractions, exponents = np.frexp(numbers.astype(np.float32).astype(float))
    return np.ldexp(np.rint(fractions * 2**8), exponents - 8).astype(np.float32)


def of_order(array, order):
    """Return a writable array of the same shape: C, F, transposed with gaps, or with rows backwards."""
    rows, columns = array.shape
    if order == "T":
        return np.zeros((columns, 2 * rows), array.dtype)[:, ::2].T
    return array[::-1] if order == "-" else np.asarray(array, order=order)
