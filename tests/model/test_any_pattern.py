"""A pattern that says only what it sees works at once, and exactly: reading, decoding, gradients, files."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.references import random_parameters
from support.strategies import ANY_PATTERN, ONE_OF_EACH

import gptcompare as gc
from gptcompare import config as config_module
from gptcompare import patterns
from gptcompare.config import GPTConfig
from gptcompare.model.attention import attention_pattern, causal_attention
from gptcompare.patterns import PATTERNS, Banded, Part, Pattern, visible_keys
from gptcompare.training import loss_and_grads


@dataclass(frozen=True)
class Sinks(Pattern):
    """The first four positions and a band (Xiao et al. 2023, arXiv:2309.17453): nothing but what is seen."""

    band_width: int
    in_words = "the first four positions, and the latest ones"

    def sees(self, query, key, head=0):
        return (key <= query) & ((key < 4) | (key > query - self.band_width))


@dataclass(frozen=True)
class ByHead(Pattern):
    """Each head sees every (head + 1)-th position: the masks of the heads differ."""

    in_words = "every position whose distance is a multiple of the head's number"

    def sees(self, query, key, head=0):
        return (key <= query) & ((query - key) % (head + 1) == 0)


@pytest.fixture(params=["sinks", "by head"])
def model(request, monkeypatch):
    """A model of two layers of a pattern that was registered just now, and one of dense layers."""
    monkeypatch.setitem(PATTERNS, "sinks", Sinks)
    monkeypatch.setitem(PATTERNS, "by head", ByHead)
    width = {"band_width": 5} if request.param == "sinks" else {}
    config = GPTConfig(
        n_layer=3, n_head=3, d_model=12, n_ctx=90, n_vocab=50, attention=(request.param, "dense"), **width
    )
    return gc.GPT(config, random_parameters(config, 0), dtype=np.float64)


def masked_reference(model, ids):
    """The logits by the definition: each head's full scores, masked where the pattern says so."""
    config, p = model.config, model.parameters()
    T, H, K = len(ids), config.n_head, config.d_head

    def norm(x, name):
        centred = x - x.mean(-1, keepdims=True)
        deviation = np.sqrt((centred**2).mean(-1, keepdims=True) + config.layer_norm_eps)
        return centred / deviation * p[f"{name}.weight"] + p[f"{name}.bias"]

    def gelu(x):
        return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))

    x = p["wte.weight"][ids] + p["wpe.weight"][:T]
    for layer in range(config.n_layer):
        h = f"h.{layer}"
        qkv = norm(x, f"{h}.ln_1") @ p[f"{h}.attn.c_attn.weight"] + p[f"{h}.attn.c_attn.bias"]
        q, k, v = qkv.reshape(T, 3, H, K).transpose(1, 2, 0, 3)
        scores = q @ k.swapaxes(1, 2) / np.sqrt(K)
        seen = np.array(
            [[[config.pattern_of(layer).sees(np.array(i), np.array(j), n) for j in range(T)] for i in range(T)]
             for n in range(H)]
        )  # fmt: skip
        weights = np.where(seen, np.exp(scores - scores.max(-1, keepdims=True)), 0)
        mixed = (weights / weights.sum(-1, keepdims=True)) @ v
        x = x + mixed.swapaxes(0, 1).reshape(T, -1) @ p[f"{h}.attn.c_proj.weight"] + p[f"{h}.attn.c_proj.bias"]
        hidden = gelu(norm(x, f"{h}.ln_2") @ p[f"{h}.mlp.c_fc.weight"] + p[f"{h}.mlp.c_fc.bias"])
        x = x + hidden @ p[f"{h}.mlp.c_proj.weight"] + p[f"{h}.mlp.c_proj.bias"]
    return norm(x, "ln_f") @ p["wte.weight"].T


IDS = np.random.default_rng(0).integers(0, 50, 80)


def test_a_whole_sequence_is_read_as_the_definition_says(model):
    assert model(IDS) == pytest.approx(masked_reference(model, IDS), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    "lengths", [[1] * 80, [70, *[1] * 10], [7, 30, 1, 42]], ids=["one by one", "prefill", "chunks"]
)
def test_with_a_cache_the_logits_are_the_same_however_the_text_is_cut(model, lengths):
    cache, start, found = model.new_cache(), 0, []
    for length in lengths:
        found.append(model(IDS[start : start + length], cache))
        start += length
    assert np.concatenate(found) == pytest.approx(model(IDS), rel=1e-9, abs=1e-9)


def test_with_hooks_the_logits_are_the_same_and_what_is_not_seen_has_no_weight(model):
    trace = model.trace(IDS[:40])
    assert trace.logits == pytest.approx(model(IDS[:40]), rel=1e-9, abs=1e-9)
    for layer, weights in enumerate(trace.patterns()):
        pattern = model.config.pattern_of(layer)
        for head, of_head in enumerate(weights):
            assert (of_head > 0).tolist() == visible_keys(40, 40, pattern, head).tolist()


def test_the_gradient_is_that_of_the_loss(model):
    ids, targets = IDS[:30], IDS[1:31]
    loss, grads = loss_and_grads(model, ids, targets)
    rng, step = np.random.default_rng(1), 1e-6
    direction = {name: rng.standard_normal(value.shape) for name, value in model.parameters().items()}

    def shifted(sign):
        p = {name: value + sign * step * direction[name] for name, value in model.parameters().items()}
        return loss_and_grads(gc.GPT(model.config, p, dtype=np.float64), ids, targets)[0]

    expected = (shifted(+1) - shifted(-1)) / (2 * step)
    assert sum((grads[name] * direction[name]).sum() for name in grads) == pytest.approx(expected, rel=1e-6)
    assert np.isfinite(loss)


def test_it_is_saved_and_loaded(model, tmp_path):
    model.save_pretrained(tmp_path)
    loaded = gc.GPT.from_pretrained(tmp_path, dtype=np.float64)
    assert loaded.config == model.config
    assert np.array_equal(loaded(IDS), model(IDS))


def test_it_has_a_cost_and_a_picture(model):
    config = model.config
    assert config.flops_per_token(80) <= GPTConfig(**{**config.to_dict(), "attention": ("dense",), "band_width": None}
                                                   ).flops_per_token(80)  # fmt: skip
    assert config.kv_cache_bytes(80) > 0
    assert isinstance(config.pattern_of(0).shrunk(0.5), type(config.pattern_of(0)))


@settings(max_examples=60, deadline=None)
@given(pattern=ANY_PATTERN, T=st.integers(1, 20), past=st.integers(0, 20), seed=st.integers(0, 2**32 - 1))
def test_the_general_path_gives_what_a_pattern_s_own_parts_give(pattern, T, past, seed):
    class OnlySees(type(pattern)):
        parts = Pattern.parts

    general = OnlySees(**{field.name: getattr(pattern, field.name) for field in pattern.parameters()})
    rng = np.random.default_rng(seed)
    keys, values = rng.standard_normal((2, 4, past + T, 3))
    queries = rng.standard_normal((4, T, 3))
    for function in (
        lambda p: causal_attention(queries, keys, values, p),
        lambda p: attention_pattern(queries, keys, p),
    ):
        assert function(general) == pytest.approx(function(pattern), abs=1e-12)


def test_every_pattern_has_a_name():
    here = [it for it in vars(patterns).values() if getattr(it, "__module__", None) == patterns.__name__]
    defined = {it for it in here if isinstance(it, type) and issubclass(it, Pattern)} - {Pattern}
    assert defined == set(PATTERNS.values()), "add a line to PATTERNS in patterns.py"


def test_a_size_that_no_configuration_holds_is_one_clear_error(monkeypatch):
    @dataclass(frozen=True)
    class Gapped(Banded):
        gap: int = 1

    monkeypatch.setitem(PATTERNS, "gapped", Gapped)
    with pytest.raises(TypeError, match="gapped layers have gap: add the field to GPTConfig, None by default"):
        config_module._check_patterns()


@pytest.mark.parametrize("pattern", ONE_OF_EACH, ids=str)
class TestARegisteredPattern:
    def test_its_sizes_are_fields_of_the_configuration(self, pattern):
        names = {field.name for field in pattern.parameters()}
        assert names <= {*GPTConfig.__dataclass_fields__}, "add the field to GPTConfig, with None as its default"
        assert all(GPTConfig.__dataclass_fields__[name].default is None for name in names)

    def test_it_is_described_in_words(self, pattern):
        assert len(pattern.in_words) > 10

    def test_a_query_sees_itself_and_nothing_after_it(self, pattern):
        for head in range(4):
            seen = visible_keys(30, 30, pattern, head)
            assert seen.diagonal().all()
            assert not np.triu(seen, 1).any()

    def test_each_query_of_each_head_is_in_one_part_with_all_keys_that_it_sees(self, pattern):
        T, S, H = 20, 33, 4
        met = np.zeros((H, T), int)
        seen = np.zeros((H, T, S), int)
        for part in pattern.parts(T, S, H):
            assert isinstance(part, Part)
            heads, queries = np.arange(H)[part.queries[0]], np.arange(T)[part.queries[1]]
            keys = np.arange(S)[part.keys[1]]
            met[np.ix_(heads, queries)] += 1
            mask = np.ones((len(heads), len(queries), len(keys)), bool)
            if part.mask is not None:
                mask[:, :, len(keys) - part.mask.shape[-1] :] = part.mask
            seen[np.ix_(heads, queries, keys)] += mask
        assert (met == 1).all()
        assert seen.tolist() == [visible_keys(T, S, pattern, head).astype(int).tolist() for head in range(H)]

    def test_a_configuration_with_it_says_what_is_missing_and_what_is_too_much(self, pattern):
        (name,) = [name for name, kind in PATTERNS.items() if kind is type(pattern)]
        sizes = {field.name: getattr(pattern, field.name) for field in pattern.parameters()}
        shape = {"n_layer": 2, "n_head": 2, "d_model": 8}
        assert GPTConfig(**shape, attention=("dense", name), **sizes).pattern_of(1) == pattern
        for size in sizes:
            with pytest.raises(ValueError, match=f"{size} {sizes[size]} is given, but no layer"):
                GPTConfig(**shape, **{size: sizes[size]})
            with pytest.raises(ValueError, match=f"{size} must be at least 1"):
                GPTConfig(**shape, attention=(name,), **{**sizes, size: 0})
