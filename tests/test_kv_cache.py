import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gptcompare as gc
from gptcompare.kv_cache import BAND_SLACK, KVCache, LayerCache
from gptcompare.patterns import DENSE, Banded, Fixed, Strided


def positions(start, stop):
    """Keys (or values) of one head of width 1 that say which position they belong to."""
    return np.arange(start, stop, dtype=np.float32).reshape(1, -1, 1)


@settings(max_examples=200, deadline=None)
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
