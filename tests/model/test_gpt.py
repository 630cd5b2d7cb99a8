import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.amounts import examples
from support.places import DATA
from support.references import gpt_neo_scores_in_float64, random_parameters, random_reference

import gptcompare as gc
from gptcompare.model import attention as attention_module
from gptcompare.model import gpt as model_module
from gptcompare.model import inputs

FOLDERS = sorted(path.parent for path in DATA.glob("logits/*/config.json"))
TOLERANCE = {np.float32: 2e-5, np.float64: 1e-10}  # of the largest logit


def assert_equal_logits(ours, reference, dtype):
    assert ours.dtype == dtype
    assert ours.shape == reference.shape
    assert np.abs(ours - reference).max() <= TOLERANCE[dtype] * np.abs(reference).max()


def in_chunks(model, ids, sizes):
    """The logits of `ids` (..., T) read through the cache in chunks of the given sizes."""
    cache = model.new_cache(batch=1 if ids.ndim == 1 else len(ids))
    stops = np.cumsum(sizes)
    assert stops[-1] == ids.shape[-1]
    return np.concatenate(
        [model(ids[..., stop - n : stop], cache) for n, stop in zip(sizes, stops, strict=True)], axis=-2
    )


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
class TestRecordedLogits:
    """Transformers' logits, recorded by tests/data/make_reference_logits.py."""

    def cases(self, folder):
        with np.load(folder / "logits.npz") as arrays:
            return [(arrays[f"ids_{n}"], arrays[f"logits_{n}"]) for n in range(len(arrays.files) // 2)]

    def test_full_pass(self, folder, dtype):
        model = gc.GPT.from_pretrained(folder, dtype=dtype)
        for ids, reference in self.cases(folder):
            assert_equal_logits(model(ids), reference, dtype)

    def test_chunk_by_chunk(self, folder, dtype, monkeypatch):
        model = gc.GPT.from_pretrained(folder, dtype=dtype)
        rng = np.random.default_rng(0)
        for ids, reference in self.cases(folder):
            T = ids.shape[-1]
            cuts = np.sort(rng.choice(np.arange(1, T), size=min(4, T - 1), replace=False))
            assert_equal_logits(in_chunks(model, ids, np.diff([0, *cuts, T])), reference, dtype)
            monkeypatch.setattr(inputs, "CHUNK", 7)
            assert_equal_logits(model(ids), reference, dtype)
            monkeypatch.undo()

    def test_token_by_token(self, folder, dtype):
        model = gc.GPT.from_pretrained(folder, dtype=dtype)
        for ids, reference in self.cases(folder):
            assert_equal_logits(in_chunks(model, ids, [1] * ids.shape[-1]), reference, dtype)

    def test_last_position_alone(self, folder, dtype):
        model = gc.GPT.from_pretrained(folder, dtype=dtype)
        for ids, reference in self.cases(folder):
            assert_equal_logits(model(ids, last_only=True), reference[..., -1, :], dtype)


SHAPES = {
    "gpt2, two blocks of the published width": (
        "gpt2", {"n_layer": 2, "n_head": 12, "n_embd": 768, "vocab_size": 1000, "n_positions": 1024},
    ),
    "gpt2, odd sizes": (
        "gpt2", {"n_layer": 5, "n_head": 7, "n_embd": 91, "vocab_size": 777, "n_positions": 333, "n_inner": 150},
    ),
    "gpt2, gelu": (
        "gpt2",
        {"n_layer": 3, "n_head": 3, "n_embd": 96, "vocab_size": 501, "n_positions": 300, "activation_function": "gelu"},
    ),
    "gpt2, relu": (
        "gpt2",
        {"n_layer": 1, "n_head": 4, "n_embd": 64, "vocab_size": 300, "n_positions": 64, "activation_function": "relu"},
    ),
    "cerebras": (
        "gpt2",
        {"n_layer": 3, "n_head": 5, "n_embd": 80, "n_inner": 320, "vocab_size": 401, "n_positions": 400,
         "activation_function": "gelu", "attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0},
    ),
    "gpt_neo, its own window": (
        "gpt_neo",
        {"num_layers": 4, "num_heads": 4, "hidden_size": 64, "vocab_size": 301, "max_position_embeddings": 600,
         "window_size": 256, "attention_types": [[["global", "local"], 2]]},
    ),
    "gpt_neo, odd sizes": (
        "gpt_neo",
        {"num_layers": 5, "num_heads": 3, "hidden_size": 33, "vocab_size": 201, "max_position_embeddings": 100,
         "window_size": 17, "attention_types": [[["local"], 2], [["global", "local"], 1], [["global"], 1]],
         "intermediate_size": 50, "activation_function": "gelu", "tie_word_embeddings": False},
    ),
    "gpt_neo, a window of one token": (
        "gpt_neo",
        {"num_layers": 3, "num_heads": 1, "hidden_size": 20, "vocab_size": 101, "max_position_embeddings": 300,
         "window_size": 1, "attention_types": [[["local", "global", "local"], 1]], "layer_norm_epsilon": 1e-3},
    ),
    "gpt_neo, without a window": (
        "gpt_neo",
        {"num_layers": 2, "num_heads": 7, "hidden_size": 42, "vocab_size": 101, "max_position_embeddings": 70,
         "attention_types": [[["global"], 2]], "activation_function": "relu"},
    ),
    "opt": (
        "opt",
        {"num_hidden_layers": 3, "num_attention_heads": 4, "hidden_size": 64, "ffn_dim": 256, "vocab_size": 301,
         "max_position_embeddings": 300},
    ),
    "opt, odd sizes": (
        "opt",
        {"num_hidden_layers": 4, "num_attention_heads": 5, "hidden_size": 55, "ffn_dim": 77, "vocab_size": 201,
         "max_position_embeddings": 90, "activation_function": "gelu_new", "pad_token_id": None},
    ),
    "opt, untied": (
        "opt",
        {"num_hidden_layers": 2, "num_attention_heads": 1, "hidden_size": 48, "ffn_dim": 20, "vocab_size": 101,
         "max_position_embeddings": 300, "tie_word_embeddings": False, "activation_function": "gelu"},
    ),
}  # fmt: skip


@pytest.fixture(scope="module", params=SHAPES)
def pair(request, tmp_path_factory):
    """A folder that transformers wrote, its model in float64, and torch."""
    torch = pytest.importorskip("torch", reason="needs the `reference` extra")
    transformers = pytest.importorskip("transformers", reason="needs the `reference` extra")
    torch.manual_seed(0)
    reference = random_reference(torch, transformers, *SHAPES[request.param])
    folder = tmp_path_factory.mktemp("model")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference.save_pretrained(folder)
    with gpt_neo_scores_in_float64(torch):
        yield folder, reference.to(torch.float64), torch


def logits_of(reference, torch, ids):
    with torch.no_grad():
        logits = reference(torch.tensor(np.atleast_2d(ids))).logits.numpy()
    return logits.reshape(*ids.shape, -1)


@pytest.mark.reference
class TestTransformers:
    """Random models of transformers, made anew, larger than those on file."""

    @pytest.mark.parametrize("dtype", TOLERANCE)
    def test_logits_equal_transformers_full_in_chunks_and_token_by_token(self, pair, dtype):
        folder, reference, torch = pair
        model = gc.GPT.from_pretrained(folder, dtype=dtype)
        rng = np.random.default_rng(0)
        n_ctx = model.config.n_ctx
        for size in [(1,), (n_ctx,), (4, n_ctx // 3), (1, 2)]:
            ids = rng.integers(model.config.n_vocab, size=size)
            expected = logits_of(reference, torch, ids)
            assert_equal_logits(model(ids), expected, dtype)
            if size[-1] > 2:
                assert_equal_logits(in_chunks(model, ids, [2, size[-1] - 7, *[1] * 5]), expected, dtype)
        ids = rng.integers(model.config.n_vocab, size=40)
        assert_equal_logits(in_chunks(model, ids, [1] * 40), logits_of(reference, torch, ids), dtype)

    @pytest.mark.parametrize("n_prompt", [5, 300])
    def test_greedy_continuations_equal_transformers(self, pair, n_prompt):
        folder, reference, torch = pair
        model = gc.GPT.from_pretrained(folder)
        n_prompt = min(n_prompt, model.config.n_ctx - 30)
        prompt = np.random.default_rng(1).integers(model.config.n_vocab, size=n_prompt)
        expected = reference.generate(
            torch.tensor(prompt[None]), attention_mask=torch.ones(1, n_prompt), max_new_tokens=30, do_sample=False,
            pad_token_id=0,
        )  # fmt: skip
        cache, ids = model.new_cache(), list(prompt)
        logits = model(ids, cache, last_only=True)
        for _ in range(29):
            ids.append(int(logits.argmax()))
            logits = model(ids[-1:], cache, last_only=True)
        ids.append(int(logits.argmax()))
        assert ids == expected[0].tolist()

    @pytest.mark.parametrize("dtype", TOLERANCE)
    def test_a_model_saved_by_us_is_the_same_and_a_dense_one_opens_as_a_gpt2(self, pair, dtype, tmp_path):
        folder, reference, torch = pair
        model = gc.GPT.from_pretrained(folder, dtype=dtype)
        model.save_pretrained(tmp_path)
        again = gc.GPT.from_pretrained(tmp_path, dtype=dtype)
        assert again.config == model.config
        for name, value in model.parameters().items():
            assert np.array_equal(again.parameters()[name], value)
        if model.config.attention == ("dense",):
            from transformers import AutoModelForCausalLM, GPT2LMHeadModel

            gpt2 = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=getattr(torch, dtype.__name__))
            assert isinstance(gpt2, GPT2LMHeadModel)
            ids = np.random.default_rng(3).integers(model.config.n_vocab, size=(2, 50))
            assert_equal_logits(logits_of(gpt2, torch, ids), logits_of(reference, torch, ids), dtype)


SHAPE = {"n_layer": 4, "n_head": 2, "d_model": 8, "n_ctx": 60, "n_vocab": 20}
CONFIGS = {
    "dense": gc.GPTConfig(**SHAPE),
    "alternating": gc.GPTConfig(**SHAPE, attention=("dense", "banded"), band_width=7),
    "banded": gc.GPTConfig(**SHAPE, d_head=5, attention=("banded",), band_width=3),
    "sparse transformer": gc.GPTConfig(
        **SHAPE, attention=("strided", "banded", "fixed"), band_width=9, stride=8, summary_width=2, summary_variants=2
    ),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
class TestChunking:
    @settings(max_examples=examples(25), deadline=None)
    @given(sizes=st.lists(st.integers(1, 30), min_size=1, max_size=10).filter(lambda sizes: sum(sizes) <= 60))
    def test_every_chunking_gives_the_logits_of_one_pass(self, config, sizes):
        model = gc.GPT(config, random_parameters(config, 0), dtype=np.float64)
        ids = np.random.default_rng(1).integers(20, size=(2, sum(sizes)))
        assert in_chunks(model, ids, sizes) == pytest.approx(model(ids), abs=1e-11)

    def test_sequences_of_different_lengths_continue_side_by_side(self, config):
        model = gc.GPT(config, random_parameters(config, 0), dtype=np.float64)
        rng = np.random.default_rng(2)
        prompts = [rng.integers(20, size=n) for n in (1, 17, 40)]
        cache = model.new_cache(batch=3)
        for row, prompt in enumerate(prompts):
            model(prompt, cache.select([row]))
        new = rng.integers(20, size=(3, 5))
        together = model(new, cache)
        for row, prompt in enumerate(prompts):
            alone = model(np.concatenate([prompt, new[row]]))[-5:]
            assert together[row] == pytest.approx(alone, abs=1e-11)

    def test_chunks_on_several_threads_give_the_logits_of_one_after_the_other(self, config, four_threads):
        config = gc.GPTConfig.from_dict({**config.to_dict(), "n_ctx": 900})
        model = gc.GPT(config, random_parameters(config, 0), dtype=np.float64)
        ids = np.random.default_rng(3).integers(20, size=(2, 900))
        one_after_the_other = in_chunks(model, ids, [100] * 9)
        for n in (128, 321, 900):
            assert len(inputs.chunks(n)) > 1
            for _ in range(5):  # the threads never meet twice in the same way
                assert model(ids[:, :n]) == pytest.approx(one_after_the_other[:, :n], abs=1e-11)
                assert model(ids[:, :n], last_only=True) == pytest.approx(one_after_the_other[:, n - 1], abs=1e-11)


def test_an_error_in_one_of_several_chunks_comes_out_of_the_call(four_threads, monkeypatch):
    config = gc.GPTConfig.from_dict({**CONFIGS["dense"].to_dict(), "n_ctx": 900})
    model = gc.GPT(config, seed=0)
    attention = attention_module.causal_attention

    def failing(queries, keys, values, pattern):
        if 200 < keys.shape[1] <= 400:  # those of a chunk in the middle
            raise MemoryError("no room for the scores")
        return attention(queries, keys, values, pattern)

    monkeypatch.setattr(attention_module, "causal_attention", failing)
    cache = model.new_cache()
    with pytest.raises(MemoryError, match="no room"):
        model(np.zeros(900, int), cache)
    with pytest.raises(ValueError, match="a call of the model that was extending this cache failed: make a new one"):
        model([0], cache)


def test_all_of_a_checkpoint_is_copied_and_leaves_the_memory(tmp_path, monkeypatch):
    model = gc.GPT(CONFIGS["dense"], seed=0)
    model.save_pretrained(tmp_path)
    released = []
    monkeypatch.setattr("gptcompare.model.products.memory_order.release", released.append)
    loaded = gc.GPT.from_pretrained(tmp_path).parameters()
    assert sorted(array.shape for array in released) == sorted(value.shape for value in loaded.values())
    assert not any(np.may_share_memory(value, array) for value in loaded.values() for array in released)


@pytest.mark.parametrize("n_threads", [1, 2, 16])
@pytest.mark.parametrize("n_new", [1, 63, 64, 100, 128, 192, 512, 1000, 5000])
def test_chunks_are_neither_too_long_nor_shorter_than_pays(n_new, n_threads, monkeypatch):
    monkeypatch.setattr(inputs, "n_threads", lambda: n_threads)
    lengths = [chunk.stop - chunk.start for chunk in inputs.chunks(n_new)]
    assert sum(lengths) == n_new
    assert max(lengths) <= inputs.CHUNK
    assert n_new < inputs.LEAST_CHUNK or min(lengths[:-1], default=n_new) >= inputs.LEAST_CHUNK
    assert n_new < n_threads * inputs.LEAST_CHUNK or len(lengths) % n_threads == 0  # as many for each


def test_a_band_as_wide_as_the_context_is_dense_attention():
    dense = CONFIGS["dense"]
    banded = gc.GPTConfig.from_dict({**dense.to_dict(), "attention": ["banded"], "band_width": 60})
    parameters = random_parameters(dense, 0)
    ids = np.random.default_rng(0).integers(20, size=60)
    assert np.array_equal(gc.GPT(dense, parameters)(ids), gc.GPT(banded, parameters)(ids))


def test_a_banded_layer_cannot_look_beyond_its_band():
    config = gc.GPTConfig(**{**SHAPE, "n_layer": 1}, attention=("banded",), band_width=7)
    model = gc.GPT(config, random_parameters(config, 0), dtype=np.float64)
    ids = np.random.default_rng(0).integers(20, size=30)
    changed = ids.copy()
    changed[10] = (ids[10] + 1) % 20
    differs = np.abs(model(ids) - model(changed)).max(axis=-1) > 0
    assert np.flatnonzero(differs).tolist() == list(range(10, 17))


def test_a_model_of_float32_computes_in_float32_throughout(monkeypatch):
    model = gc.GPT(CONFIGS["alternating"], seed=0)
    for module, name in (
        (model_module, "layer_norm"),
        (model_module, "linear"),
        (attention_module, "causal_attention"),
    ):
        original = getattr(module, name)

        def checked(*arguments, original=original):
            result = original(*arguments)
            assert result.dtype == np.float32
            return result

        monkeypatch.setattr(module, name, checked)
    assert model(np.arange(20)).dtype == np.float32


def test_parameters_of_any_dtype_and_order_become_the_model_s():
    config = CONFIGS["dense"]
    parameters = random_parameters(config, 0)
    half = {name: np.asfortranarray(value.astype(np.float16)) for name, value in parameters.items()}
    model = gc.GPT(config, half)
    for name, value in model.parameters().items():
        assert value.dtype == np.float32
        assert np.array_equal(value, half[name])


@pytest.mark.parametrize(
    ("ids", "error", "words"),
    [
        ([3, -1], ValueError, "id -1 at index 1 is not in the vocabulary: ids are 0 ... 19"),
        ([[3, 20]], ValueError, r"id 20 at index \(0, 1\)"),
        (np.array([2**63], np.uint64), ValueError, "not in the vocabulary"),
        ([], ValueError, "at least one token"),
        ([[]], ValueError, "at least one token"),
        (3, ValueError, r"shape \(T,\) or \(B, T\)"),
        (np.zeros((1, 2, 3), int), ValueError, "shape"),
        ([1.0], TypeError, "must be integers, got float64"),
        ([True], TypeError, "bool"),
        (["a"], TypeError, "integers"),
        ([0] * 61, ValueError, "0 tokens in the cache and 61 new ones do not fit into the context of 60"),
    ],
)
def test_wrong_ids_are_refused(ids, error, words):
    with pytest.raises(error, match=words):
        gc.GPT(CONFIGS["dense"])(ids)


def test_the_context_ends_where_the_cache_says():
    model = gc.GPT(CONFIGS["dense"])
    cache = model.new_cache()
    model(np.zeros(59, int), cache)
    model([1], cache)
    with pytest.raises(ValueError, match="60 tokens in the cache and 1 new ones do not fit"):
        model([1], cache)
    with pytest.raises(ValueError, match="do not fit into the cache of 5 tokens"):
        model(np.zeros(6, int), model.new_cache(capacity=5))


@pytest.mark.parametrize("capacity", [0, -1, 61])
def test_a_cache_beyond_the_context_is_refused(capacity):
    with pytest.raises(ValueError, match="between 1 and the model's context of 60"):
        gc.GPT(CONFIGS["dense"]).new_cache(capacity=capacity)


def test_a_cache_of_another_batch_size_is_refused():
    model = gc.GPT(CONFIGS["dense"])
    with pytest.raises(ValueError, match="the cache holds 2 sequences, ids has 1 rows"):
        model([1], model.new_cache(batch=2))


@pytest.mark.parametrize(
    "other",
    [gc.GPT(CONFIGS["banded"]), gc.GPT(CONFIGS["alternating"]), gc.GPT(CONFIGS["dense"], dtype=np.float64)],
    ids=["other heads", "other attention", "other dtype"],
)
def test_the_cache_of_another_model_is_refused(other):
    with pytest.raises(ValueError, match="the cache belongs to another model"):
        gc.GPT(CONFIGS["dense"])([1], other.new_cache())


def test_rows_of_different_length_are_refused():
    with pytest.raises(ValueError, match="the rows differ in length"):
        gc.GPT(CONFIGS["dense"])([[1, 2], [3]])


def test_a_name_in_place_of_a_configuration_is_refused():
    with pytest.raises(TypeError, match="config must be a GPTConfig, got 'gpt2'"):
        gc.GPT("gpt2")


@pytest.mark.parametrize("dtype", [np.float16, np.int64, "complex64"])
def test_a_dtype_that_a_model_cannot_compute_in_is_refused(dtype):
    with pytest.raises(ValueError, match="dtype must be float32 or float64"):
        gc.GPT(CONFIGS["dense"], dtype=dtype)


def test_no_dtype_is_refused():
    with pytest.raises(TypeError, match="dtype must be float32 or float64, got None"):
        gc.GPT(CONFIGS["dense"], dtype=None)


def test_a_dtype_that_a_model_cannot_compute_in_is_refused_before_a_file_is_read():
    with pytest.raises(ValueError, match="dtype must be float32 or float64, got int64"):
        gc.GPT.from_pretrained(DATA / "logits" / "gpt-neo", dtype=np.int64)


class TestResidualStream:
    @pytest.fixture
    def model(self):
        config = gc.GPTConfig(
            n_layer=3, n_head=2, d_model=16, n_ctx=40, n_vocab=64, attention=("dense", "banded"), band_width=5
        )
        return gc.GPT(config, random_parameters(config, seed=0), dtype=np.float64)

    @pytest.mark.parametrize("shape", [(13,), (2, 13)])
    def test_behind_each_block_it_is_what_a_trace_finds(self, model, shape):
        ids = np.random.default_rng(0).integers(64, size=shape)
        traced = model.trace(ids).residual_stream()
        for n_blocks in range(4):
            found = model.residual_stream(ids, n_blocks=n_blocks)
            assert found.shape == (*shape, 16)
            np.testing.assert_allclose(found, traced[..., n_blocks, :, :], atol=1e-10)

    def test_the_logits_are_made_of_it(self, model):
        ids = np.random.default_rng(0).integers(64, size=(2, 13))
        np.testing.assert_allclose(model.unembed(model.residual_stream(ids)), model(ids), rtol=1e-12)

    def test_with_a_cache_it_goes_on(self, model):
        ids = np.random.default_rng(0).integers(64, size=20)
        cache = model.new_cache()
        parts = [model.residual_stream(ids[:7], cache), model.residual_stream(ids[7:], cache)]
        np.testing.assert_allclose(np.concatenate(parts), model.residual_stream(ids), atol=1e-10)

    @pytest.mark.parametrize("n_blocks", [-1, 4])
    def test_other_numbers_of_blocks_are_refused(self, model, n_blocks):
        with pytest.raises(ValueError, match=f"n_blocks must be between 0 and 3.*got {n_blocks}"):
            model.residual_stream([1, 2], n_blocks=n_blocks)

    def test_a_cache_needs_all_blocks(self, model):
        with pytest.raises(ValueError, match="and 3 with a cache, got 2"):
            model.residual_stream([1, 2], model.new_cache(), n_blocks=2)
