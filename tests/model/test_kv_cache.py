import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.amounts import examples

import gptcompare as gc
from gptcompare.model import KVCache
from gptcompare.model.kv_cache import BAND_SLACK, MAX_ROLLBACK, LayerCache
from gptcompare.patterns import DENSE, Banded, Fixed, Strided


def positions(start, stop):
    """Keys (or values) of one head of width 1 that say which position they belong to."""
    return np.arange(start, stop, dtype=np.float32).reshape(1, -1, 1)


@settings(max_examples=examples(200), deadline=None)
@given(band=st.none() | st.integers(1, 70), chunks=st.lists(st.integers(1, 40), min_size=1, max_size=12))
def test_a_layer_gives_each_chunk_exactly_the_keys_that_it_may_see(band, chunks):
    layer = LayerCache(1, 1, capacity=sum(chunks), pattern=Banded(band) if band else DENSE)
    seen = 0
    for T in chunks:
        keys, values = layer.extend(seen, positions(seen, seen + T), -positions(seen, seen + T))
        first = 0 if band is None else max(0, seen - band + 1)
        assert np.array_equal(keys, positions(first, seen + T))
        assert np.array_equal(values, -positions(first, seen + T))
        seen += T


@pytest.mark.parametrize("band", [1, 5, 256])
def test_a_banded_layer_s_memory_does_not_grow_with_the_context(band):
    small, large = (LayerCache(2, 4, capacity, Banded(band)).nbytes for capacity in (1_000, 100_000))
    assert small == large <= 2 * 2 * 4 * 4 * (band - 1 + BAND_SLACK)


@pytest.mark.parametrize("pattern", [DENSE, Strided(8), Fixed(8, 2)], ids=str)
def test_a_layer_whose_later_queries_look_back_anywhere_keeps_everything(pattern):
    layer = LayerCache(1, 1, capacity=50, pattern=pattern)
    layer.extend(0, positions(0, 49), -positions(0, 49))
    keys, values = layer.extend(49, positions(49, 50), -positions(49, 50))
    assert np.array_equal(keys, positions(0, 50))
    assert np.array_equal(values, -positions(0, 50))


def test_half_the_layers_banded_is_a_cache_of_little_more_than_half_the_size():
    shape = {"n_layer": 4, "n_head": 2, "d_model": 8, "n_ctx": 2048}
    dense = KVCache.empty(gc.GPTConfig(**shape), 1, 2048)
    mixed = KVCache.empty(gc.GPTConfig(**shape, attention=("dense", "banded"), band_width=256), 1, 2048)
    assert mixed.nbytes <= 0.57 * dense.nbytes
    assert dense.nbytes == gc.GPTConfig(**shape).kv_cache_bytes(2048)


def test_select_shares_the_sequences():
    model = gc.GPT(gc.GPTConfig(n_layer=1, n_head=1, d_model=4, n_ctx=8, n_vocab=10))
    cache = model.new_cache(batch=3)
    model([1, 2], cache.select([1]))
    assert cache.n_tokens == [0, 2, 0]
    assert len(cache.select([0, 2])) == 2
    with pytest.raises(ValueError, match="name a sequence twice"):
        cache.select([1, 1])


PATTERNS = {
    "dense": {},
    "banded": {"attention": ("banded", "dense"), "band_width": 5},
    "strided": {"attention": ("strided", "dense"), "stride": 4},
    "fixed": {"attention": ("fixed", "dense"), "stride": 4, "summary_width": 1},
}


@settings(max_examples=examples(60), deadline=None)
@given(
    kind=st.sampled_from(sorted(PATTERNS)),
    steps=st.lists(st.tuples(st.integers(1, 40), st.integers(0, MAX_ROLLBACK)), min_size=1, max_size=8),
)
def test_tokens_that_were_taken_back_leave_no_trace(kind, steps):
    model = gc.GPT(gc.GPTConfig(n_layer=2, n_head=2, d_model=8, n_ctx=400, n_vocab=11, **PATTERNS[kind]))
    cache, ids, longest = model.new_cache(), [], 0
    rng = np.random.default_rng(len(steps))
    for n_new, n_back in steps:
        new = rng.integers(11, size=n_new).tolist()
        logits = model(new, cache)
        ids += new
        np.testing.assert_allclose(logits, model(ids)[-n_new:], rtol=1e-4, atol=1e-5)
        longest = max(longest, len(ids))
        n_back = min(n_back, len(ids) - max(longest - MAX_ROLLBACK, 0))
        cache.take_back(n_back)
        del ids[len(ids) - n_back :]
        assert cache.n_tokens == [len(ids)]


def test_no_more_tokens_are_taken_back_than_there_are_keys_for():
    model = gc.GPT(gc.GPTConfig(n_layer=2, n_head=1, d_model=4, n_ctx=200, n_vocab=9, **PATTERNS["banded"]))
    cache = model.new_cache()
    model(np.zeros(100, int), cache)
    with pytest.raises(ValueError, match="50 tokens are too many to take back: a banded layer keeps only its band"):
        cache.take_back(50)
    with pytest.raises(ValueError, match="101 tokens cannot be taken back from a sequence of 100"):
        cache.take_back(101)
    with pytest.raises(ValueError, match="-1 tokens cannot"):
        cache.take_back(-1)
    assert cache.n_tokens == [100]
    cache.take_back(MAX_ROLLBACK)
    assert cache.n_tokens == [100 - MAX_ROLLBACK]


@pytest.mark.parametrize("n_read", [1, 5, 9, 30])
@pytest.mark.parametrize("changes", [{}, {"attention": ("dense", "banded"), "band_width": 4}], ids=["dense", "banded"])
def test_copies_go_on_each_for_itself_and_leave_the_sequence_as_it_was(changes, n_read):
    config = gc.GPTConfig(n_layer=2, n_head=2, d_model=8, n_ctx=64, n_vocab=50, **changes)
    model = gc.GPT(config, seed=1)
    ids = np.random.default_rng(0).integers(0, 50, (3, n_read + 20))
    ids[:, :n_read] = ids[0, :n_read]
    cache = model.new_cache()
    for id_ in ids[0, :n_read]:
        model([id_], cache)
    several = cache.copies([0, 0])
    for row, of_row in ((0, ids[0]), (1, ids[1])):
        logits = model(of_row[n_read:], several.select([row]))
        assert logits == pytest.approx(model(of_row)[n_read:], abs=1e-5)
    assert cache.n_tokens == [n_read]
    assert model(ids[2, n_read:], cache) == pytest.approx(model(ids[2])[n_read:], abs=1e-5)


def test_a_copy_of_a_cache_that_cannot_be_used_again_cannot_be_used_either():
    model = gc.GPT(gc.GPTConfig(n_layer=2, n_head=2, d_model=16, n_ctx=64, n_vocab=50), seed=0)
    cache = model.new_cache()
    model([1, 2, 3], cache)

    def stopped(name, array):
        if name == "blocks.1.hook_mlp_out":
            raise KeyboardInterrupt
        return array

    with pytest.raises(KeyboardInterrupt):
        model([4, 5], cache, hook=stopped)
    for one in (cache, cache.copies([0]), cache.select([0])):
        with pytest.raises(ValueError, match="that was extending this cache failed: make a new one"):
            model([4], one)


@pytest.mark.parametrize(
    ("use", "error", "words"),
    [
        (lambda cache: cache.select([0, -1]), ValueError, "a row must be at least 0, got -1"),
        (lambda cache: cache.copies([2]), ValueError, "a row must be at most 1, got 2"),
        (lambda cache: cache.select([0.0]), TypeError, "a row must be an integer"),
        (lambda cache: cache.take_back(0.5), TypeError, "n must be an integer"),
        (lambda cache: cache.take_back(True), TypeError, "n must be an integer"),
    ],
)
def test_what_is_no_row_or_number_of_tokens_is_refused(use, error, words):
    model = gc.GPT(gc.GPTConfig(n_layer=1, n_head=2, d_model=16, n_ctx=64, n_vocab=50), seed=0)
    cache = model.new_cache(2)
    model([[1, 2], [3, 4]], cache)
    with pytest.raises(error, match=words):
        use(cache)
    assert cache.n_tokens == [2, 2]


@pytest.mark.parametrize("capacity", ["3", 3.5, True])
def test_a_capacity_is_an_integer(capacity):
    model = gc.GPT(gc.GPTConfig(n_layer=1, n_head=2, d_model=16, n_ctx=64, n_vocab=50), seed=0)
    with pytest.raises(TypeError, match="capacity must be an integer"):
        model.new_cache(1, capacity=capacity)
