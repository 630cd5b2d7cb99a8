"""Hooks with a cache: what is read piece by piece is what is read whole at every step."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.amounts import examples
from support.changes import CHANGES, CONFIGS, IDS, T, random_model, read_anew, read_on

from gptcompare.inspection import changing, patched
from gptcompare.model.hooks import places

TOLERANCE = {np.float32: 1e-4, np.float64: 1e-10}  # of the largest logit
IN_FLOAT32 = ["what heads give is scaled", "no attention to the first token"]
PIECES = {"one by one": [1] * T, "prefill": [25, *[1] * 11], "chunks": [7, 1, 18, 10]}


def assert_equal(found, expected, tolerance):
    assert found.dtype == expected.dtype
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


@pytest.mark.parametrize(
    ("change", "dtype"),
    [*((change, np.float64) for change in CHANGES), *((change, np.float32) for change in IN_FLOAT32)],
)
@pytest.mark.parametrize("kind", CONFIGS)
def test_with_a_cache_the_logits_are_those_of_reading_all_anew_at_each_step(kind, change, dtype):
    model, hook = random_model(kind, dtype), changing(CHANGES[change])
    expected = read_anew(model, IDS, hook)
    assert not np.allclose(expected, model(IDS), rtol=0, atol=1e-2 * np.abs(expected).max())
    for lengths in PIECES.values():
        assert_equal(read_on(model, IDS, hook, lengths), expected, TOLERANCE[dtype])


@settings(max_examples=examples(200), deadline=None)
@given(data=st.data(), kind=st.sampled_from([*CONFIGS]))
def test_so_they_are_whatever_is_added_and_scaled_wherever(data, kind):
    model = random_model(kind)
    chosen = data.draw(st.sets(st.sampled_from(places(model.config)), min_size=1, max_size=6))
    numbers = st.floats(-2, 2)
    terms = {name: (data.draw(numbers), data.draw(numbers)) for name in chosen}

    def change_of(name):
        scale, term = terms[name]
        return lambda array: array * scale + (0 if name.endswith("pattern") else term)

    hook = changing({name: change_of(name) for name in chosen})
    cuts = sorted({0, T, *data.draw(st.lists(st.integers(1, T - 1), max_size=5))})
    assert_equal(read_on(model, IDS, hook, np.diff(cuts).tolist()), model(IDS, hook=hook), 1e-9)


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("change", ["keys turned round", "no attention to the first token", "both ends"])
def test_in_a_batch_of_different_lengths_each_row_has_what_it_has_alone(kind, change):
    model, hook = random_model(kind), changing(CHANGES[change])
    rows = np.random.default_rng(2).integers(0, 50, (3, T))
    lengths, cache = [5, 28, 19], model.new_cache(3)
    for row, length in enumerate(lengths):
        model(rows[row, :length], cache.select([row]), hook=hook)
    for step in range(6):
        new = [[rows[row, length + step]] for row, length in enumerate(lengths)]
        found = model(new, cache, last_only=True, hook=hook)
        for row, length in enumerate(lengths):
            assert_equal(found[row], model(rows[row, : length + step + 1], hook=hook)[-1], 1e-10)


@pytest.mark.parametrize("kind", CONFIGS)
def test_what_is_taken_back_is_read_again_as_if_it_had_not_been(kind):
    model, hook = random_model(kind), changing(CHANGES["keys turned round"])
    cache = model.new_cache()
    model(IDS[:30], cache, hook=hook)
    model([1, 2, 3, 4], cache, hook=hook)
    cache.take_back(4)
    assert_equal(model(IDS[30:], cache, hook=hook), model(IDS, hook=hook)[30:], 1e-10)


def shapes_seen(model, ids, cache=None, **options):
    seen = {}

    def see(name, array):
        seen[name] = array.shape
        return array

    model(ids, cache, hook=see, **options)
    return seen


class TestPlaces:
    @pytest.mark.parametrize("kind", CONFIGS)
    def test_they_are_those_that_a_call_reaches_in_their_order(self, kind):
        model = random_model(kind)
        assert [*shapes_seen(model, IDS)] == places(model.config)

    @pytest.mark.parametrize("last_only", [False, True])
    def test_with_a_cache_the_arrays_are_those_of_the_new_tokens_and_the_pattern_has_all_positions(self, last_only):
        model, (H, K, D, M) = random_model("a narrow band"), (4, 3, 12, 20)
        cache = model.new_cache(2)
        for n_past, n in ((0, 9), (9, 1), (10, 5)):
            seen = shapes_seen(model, np.zeros((2, n), int), cache, last_only=last_only)
            by_end = {"attn.hook_pattern": (2, H, n, n_past + n), "mlp.hook_pre": (2, n, M), "mlp.hook_post": (2, n, M)}
            by_end |= {f"attn.hook_{name}": (2, n, H, K) for name in "qkvz"}
            by_end["ln_final.hook_normalized"] = (2, 1 if last_only else n, D)
            for name, shape in seen.items():
                assert shape == by_end.get(name.split(".", 2)[-1] if name.startswith("blocks") else name, (2, n, D))

    def test_what_a_band_has_left_behind_and_what_is_not_there_has_no_weight(self):
        model, weights = random_model("a narrow band"), {}

        def keep(name, array):
            weights[name] = array
            return array

        cache = model.new_cache(2)
        model(IDS[:30], cache.select([0]))
        model(IDS[:10], cache.select([1]))
        model([[1], [2]], cache, hook=keep)
        banded, dense = weights["blocks.0.attn.hook_pattern"], weights["blocks.1.attn.hook_pattern"]
        assert banded.shape == dense.shape == (2, 4, 1, 31)
        for row, n in enumerate((31, 11)):
            assert ((banded[row] > 0) == ((np.arange(31) < n) & (np.arange(31) >= n - 3))).all()
            assert ((dense[row] > 0) == (np.arange(31) < n)).all()

    def test_the_last_place_has_the_axes_of_all_others(self):
        model = random_model("dense")
        for ids in (IDS, IDS.reshape(3, 12)):
            B, n = np.atleast_2d(ids).shape
            assert shapes_seen(model, ids)["ln_final.hook_normalized"] == (B, n, 12)
            assert shapes_seen(model, ids, last_only=True)["ln_final.hook_normalized"] == (B, 1, 12)


def test_weight_for_what_a_band_has_left_behind_is_refused():
    model = random_model("a narrow band")
    evenly = changing({"blocks.0.attn.hook_pattern": lambda weights: np.full_like(weights, 0.1)})
    assert np.isfinite(model(IDS, hook=evenly)).all()
    cache = model.new_cache()
    model(IDS[:30], cache, hook=evenly)
    with pytest.raises(ValueError, match=r"attention to positions other than 28 \.\.\. 30: a cache holds no others"):
        model([1], cache, hook=evenly)


def test_a_hook_that_fails_leaves_a_cache_that_is_not_used_again():
    model = random_model("dense")
    cache = model.new_cache()
    model(IDS[:5], cache)

    def failing(name, array):
        raise MemoryError("no room")

    with pytest.raises(MemoryError):
        model([1], cache, hook=failing)
    with pytest.raises(ValueError, match="a call of the model that was extending this cache failed"):
        model([1], cache)


def test_what_a_hook_makes_of_another_dtype_is_remembered_in_the_model_s():
    model = random_model("dense", np.float32)

    def finer(name, array):
        return array + np.full(array.shape, 1e-3) if name.endswith(("hook_k", "hook_v")) else array

    cache = model.new_cache()
    found = [model(IDS[:30], cache, hook=finer), model(IDS[30:], cache, hook=finer)]
    np.testing.assert_allclose(np.concatenate(found), model(IDS, hook=finer), rtol=0, atol=1e-3)
    assert {layer.keys.dtype for layer in cache.sequences[0].layers} == {np.dtype(np.float32)}


def test_what_is_patched_is_refused_with_a_cache():
    model = random_model("dense")
    place = "blocks.1.hook_mlp_out"
    hook = changing({place: patched(model.trace(IDS)[place], [3])})
    assert model(IDS, hook=hook).shape == (T, 50)
    cache = model.new_cache()
    with pytest.raises(ValueError, match="what is patched belongs to the positions of one whole sequence"):
        model(IDS, cache, hook=hook)
    assert cache.n_tokens == [0]
    assert model(IDS, cache).shape == (T, 50)  # it is as it was
