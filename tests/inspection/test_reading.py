import math
from itertools import product

import numpy as np
import pytest
from support.places import DATA
from support.references import gpt_neo_scores_in_float64

import gptcompare as gc
from gptcompare.inspection import (
    attention_entropy,
    changing,
    contributions,
    logit_lens,
    patched,
    trace,
    without_heads,
)
from gptcompare.model.ops import log_softmax, softmax

CONFIGS = {
    "dense": {},
    "banded": {"attention": ("dense", "banded"), "band_width": 3},
    "strided and fixed": {"attention": ("strided", "fixed"), "stride": 4, "summary_width": 1, "summary_variants": 2},
    "untied, narrow heads": {"tied_embeddings": False, "d_head": 3, "activation": "gelu_erf"},
}


def random_model(dtype=np.float64, **changes):
    sizes = {"n_layer": 3, "n_head": 4, "d_model": 24, "n_ctx": 16, "n_vocab": 50, **changes}
    config = gc.GPTConfig(**sizes)
    rng = np.random.default_rng(0)
    parameters = {
        name: rng.normal(0, 0.3, value.shape).astype(dtype) for name, value in gc.GPT(config).parameters().items()
    }
    return gc.GPT(config, parameters, dtype=dtype)


@pytest.fixture(params=CONFIGS)
def model(request):
    return random_model(**CONFIGS[request.param])


IDS = np.random.default_rng(1).integers(0, 50, 13)
TWO = np.random.default_rng(2).integers(0, 50, (2, 13))


class TestTrace:
    def test_the_logits_are_the_model_s(self, model):
        np.testing.assert_allclose(model.trace(IDS).logits, model(IDS), rtol=0, atol=1e-12)

    @pytest.mark.parametrize("ids", [IDS, TWO], ids=["one", "two"])
    def test_each_place_has_its_shape_and_the_model_s_dtype(self, ids):
        model = random_model(np.float32)
        found = {name: value.shape for name, value in model.trace(ids).items()}
        B, T, D, H, K, M = ids.shape[:-1], 13, 24, 4, 6, 96
        expected = {"hook_embed": (T, D), "hook_pos_embed": (T, D), "ln_final.hook_normalized": (T, D)}
        in_block = {
            "hook_resid_pre": (T, D), "ln1.hook_normalized": (T, D), "attn.hook_q": (T, H, K), "attn.hook_k": (T, H, K),
            "attn.hook_v": (T, H, K), "attn.hook_pattern": (H, T, T), "attn.hook_z": (T, H, K),
            "hook_attn_out": (T, D), "hook_resid_mid": (T, D), "ln2.hook_normalized": (T, D), "mlp.hook_pre": (T, M),
            "mlp.hook_post": (T, M), "hook_mlp_out": (T, D), "hook_resid_post": (T, D),
        }  # fmt: skip
        expected |= {f"blocks.{n}.{name}": shape for n, (name, shape) in product(range(3), in_block.items())}
        assert found == {name: B + shape for name, shape in expected.items()}
        assert {value.dtype for value in model.trace(ids).values()} == {np.dtype(np.float32)}

    def test_a_batch_has_what_each_sequence_has_alone(self, model):
        both = model.trace(TWO)
        for row, ids in enumerate(TWO):
            for name, value in model.trace(ids).items():
                np.testing.assert_allclose(both[name][row], value, rtol=0, atol=1e-12)

    def test_the_residual_stream_is_the_sum_of_what_is_added(self, model):
        found = model.trace(IDS)
        x = found["hook_embed"] + found["hook_pos_embed"]
        stream = [x]
        for layer in range(3):
            np.testing.assert_allclose(found[f"blocks.{layer}.hook_resid_pre"], x, atol=1e-12)
            x = x + found[f"blocks.{layer}.hook_attn_out"]
            np.testing.assert_allclose(found[f"blocks.{layer}.hook_resid_mid"], x, atol=1e-12)
            x = x + found[f"blocks.{layer}.hook_mlp_out"]
            stream.append(x)
        np.testing.assert_allclose(found.residual_stream(), stream, atol=1e-12)

    def test_what_is_normalised_is_so_before_gain_and_bias(self, model):
        """As in TransformerLens since its version 3, whether it folds gain and bias into the next matrix or not."""
        found = model.trace(TWO)
        places = {
            f"blocks.{n}.ln{k}": f"blocks.{n}.hook_resid_{w}" for n in range(3) for k, w in ((1, "pre"), (2, "mid"))
        }
        for norm, stream in (places | {"ln_final": "blocks.2.hook_resid_post"}).items():
            x = found[stream]
            expected = (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
            np.testing.assert_allclose(found[f"{norm}.hook_normalized"], expected, rtol=0, atol=1e-12)

    def test_a_query_s_weights_add_up_to_one_over_the_keys_that_it_sees(self, model):
        patterns = model.trace(IDS).patterns()
        np.testing.assert_allclose(patterns.sum(axis=-1), 1, atol=1e-12)
        for layer, head in product(range(3), range(4)):
            queries, keys = np.arange(13)[:, None], np.arange(13)
            sees = model.config.pattern_of(layer).sees(queries, keys, head)
            assert ((patterns[layer, head] > 0) == sees).all()

    def test_only_what_is_asked_for_is_kept(self, model):
        assert [*model.trace(IDS, ["blocks.1.attn.*", "hook_embed"])] == [
            "hook_embed", "blocks.1.attn.hook_q", "blocks.1.attn.hook_k", "blocks.1.attn.hook_v",
            "blocks.1.attn.hook_pattern", "blocks.1.attn.hook_z",
        ]  # fmt: skip
        assert len(model.trace(IDS, [])) == 0

    def test_what_was_not_recorded_is_said_to_be_missing(self, model):
        with pytest.raises(KeyError, match=r"hook_embed is not in the trace, which recorded blocks\.0\.hook_mlp_out"):
            model.trace(IDS, ["blocks.0.hook_mlp_out"])["hook_embed"]

    def test_a_name_of_no_place_is_refused(self, model):
        with pytest.raises(ValueError, match=r"no place is called 'blocks\.3\.hook_z': there are hook_embed, "):
            model.trace(IDS, ["hook_embed", "blocks.3.hook_z"])
        with pytest.raises(TypeError, match="record must be a list of names"):
            model.trace(IDS, "hook_embed")

    def test_a_text_longer_than_a_chunk_is_traced_whole(self):
        model = random_model(n_ctx=600)
        ids = np.random.default_rng(0).integers(0, 50, 600)
        found = model.trace(ids, ["*.hook_pattern"])
        assert found.patterns().shape == (3, 4, 600, 600)
        np.testing.assert_allclose(found.logits, model(ids), rtol=0, atol=1e-10)

    @pytest.mark.reference
    @pytest.mark.parametrize("family", ["gpt2", "gpt_neo"])
    def test_patterns_and_hidden_states_are_those_of_transformers(self, torch, transformers, tmp_path, family):
        torch.manual_seed(0)
        if family == "gpt2":
            config = transformers.GPT2Config(
                n_layer=3, n_head=4, n_embd=24, n_positions=16, vocab_size=50, initializer_range=0.3
            )
        else:
            config = transformers.GPTNeoConfig(
                num_layers=4, num_heads=4, hidden_size=24, max_position_embeddings=16, vocab_size=50, window_size=3,
                attention_types=[[["global", "local"], 2]], initializer_range=0.3,
            )  # fmt: skip
        config._attn_implementation = "eager"
        theirs = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager").double().eval()
        theirs.save_pretrained(tmp_path)
        with torch.no_grad(), gpt_neo_scores_in_float64(torch):
            expected = theirs(torch.tensor(TWO), output_attentions=True, output_hidden_states=True)
        found = gc.GPT.from_pretrained(tmp_path, dtype=np.float64).trace(TWO)
        attentions = np.stack([of_layer.numpy() for of_layer in expected.attentions], axis=1)
        np.testing.assert_allclose(found.patterns(), attentions, rtol=0, atol=1e-10)
        *streams, last = (state.numpy() for state in expected.hidden_states)
        np.testing.assert_allclose(found.residual_stream()[:, :-1], np.stack(streams, axis=1), rtol=0, atol=1e-10)
        final = theirs.transformer.ln_f
        normed = found["ln_final.hook_normalized"] * final.weight.detach().numpy() + final.bias.detach().numpy()
        np.testing.assert_allclose(normed, last, rtol=0, atol=1e-10)


class TestContributions:
    @pytest.mark.parametrize("position", [0, 7, -1])
    def test_they_add_up_to_the_logit(self, model, position):
        found = model.trace(IDS)
        for token in (0, 17, 49):
            parts = contributions(found, position, token)
            assert sum(parts.values()) == pytest.approx(found.logits[position, token], abs=1e-10)

    def test_in_float32_too_and_of_a_trained_model(self, story):
        ids = story.tokenizer.encode("Once upon a time there was a king")
        found = story.model.trace(ids)
        for token in np.argsort(found.logits[-1])[-5:]:
            assert sum(contributions(found, -1, token).values()) == pytest.approx(found.logits[-1, token], abs=1e-4)

    def test_there_is_one_for_each_head_and_mlp(self, model):
        names = {*contributions(model.trace(IDS), -1, 3)}
        assert len(names) == 2 + 3 * (4 + 2) + 1
        assert {"embedding", "position", "blocks.2.head.3", "blocks.0.attn.bias", "blocks.1.mlp"} < names

    def test_a_batch_is_refused(self, model):
        with pytest.raises(ValueError, match="of one sequence"):
            contributions(model.trace(TWO), -1, 3)


class TestLogitLens:
    def test_the_last_is_the_model_s_own_prediction(self, model):
        lens = logit_lens(model.trace(IDS))
        assert lens.shape == (4, 13, 50)
        np.testing.assert_allclose(lens[-1], log_softmax(model(IDS)), atol=1e-12)

    def test_each_is_that_of_a_model_that_ends_there(self):
        model = random_model()
        for n_layer in (1, 2):
            config = gc.GPTConfig(**{**model.config.to_dict(), "n_layer": n_layer})
            parameters = {
                name: value for name, value in model.parameters().items()
                if not name.startswith("h.") or int(name.split(".")[1]) < n_layer
            }  # fmt: skip
            shorter = gc.GPT(config, parameters, dtype=np.float64)
            np.testing.assert_allclose(logit_lens(model.trace(TWO))[:, n_layer], log_softmax(shorter(TWO)), atol=1e-12)


class TestEntropy:
    def test_it_is_that_of_each_query_s_weights(self, model):
        found = model.trace(IDS)
        entropy = attention_entropy(found)
        assert entropy.shape == (3, 4, 13)
        weights = [w for w in found["blocks.1.attn.hook_pattern"][2, 9] if w > 0]
        assert entropy[1, 2, 9] == pytest.approx(-sum(w * math.log2(w) for w in weights))

    def test_the_first_query_has_none_and_an_even_one_the_logarithm(self):
        found = random_model().trace(IDS)
        assert attention_entropy(found)[:, :, 0] == pytest.approx(0)
        even = random_model()
        parameters = {name: value * ("c_attn" not in name) for name, value in even.parameters().items()}
        entropy = attention_entropy(gc.GPT(even.config, parameters, dtype=np.float64).trace(IDS))
        np.testing.assert_allclose(entropy[0, 0], np.log2(np.arange(1, 14)), atol=1e-12)


class TestChanges:
    def test_changing_nothing_changes_nothing(self, model):
        unchanged = {name: lambda array: array for name in model.trace(IDS)}
        assert (model(IDS, hook=changing({})) == model.trace(IDS).logits).all()
        assert (model(IDS, hook=changing(unchanged)) == model.trace(IDS).logits).all()
        assert (model(IDS, hook=changing({"blocks.0.attn.hook_z": without_heads([])})) == model.trace(IDS).logits).all()

    @pytest.mark.parametrize("heads", [[0], [1, 3]])
    def test_a_head_left_out_is_one_whose_output_matrix_is_zero(self, model, heads):
        changed = model(TWO, hook=changing({"blocks.1.attn.hook_z": without_heads(heads)}))
        parameters = {name: value.copy() for name, value in model.parameters().items()}
        weight = parameters["h.1.attn.c_proj.weight"]
        K = model.config.d_head
        for head in heads:
            weight[head * K : (head + 1) * K] = 0
        expected = gc.GPT(model.config, parameters, dtype=np.float64)(TWO)
        np.testing.assert_allclose(changed, expected, atol=1e-12)
        assert not np.allclose(changed, model(TWO))

    def test_all_of_another_run_s_stream_makes_its_prediction(self, model):
        source = model.trace(TWO[1])
        place = "blocks.1.hook_resid_pre"
        before = source[place].copy()
        patched_logits = model(TWO[0], hook=changing({place: patched(source[place])}))
        np.testing.assert_allclose(patched_logits, source.logits, atol=1e-12)
        assert (source[place] == before).all()

    def test_a_patch_at_one_position_leaves_those_before_it(self, model):
        source = model.trace(TWO[1])
        place = "blocks.2.hook_mlp_out"
        logits = model(TWO[0], hook=changing({place: patched(source[place], [6])}))
        changed = ~np.isclose(logits, model(TWO[0])).all(axis=-1)
        assert changed.tolist() == [position == 6 for position in range(13)]

    def test_a_pattern_can_be_put_in_the_place_of_the_model_s(self):
        model = random_model()
        own = np.broadcast_to(np.eye(13), (1, 4, 13, 13))  # each query at its own key
        place = "blocks.0.attn.hook_pattern"
        values = {}

        def keep(name, array):
            values[name] = array.copy()
            return own.copy() if name == place else array

        model(IDS, hook=keep)
        np.testing.assert_allclose(values["blocks.0.attn.hook_z"], values["blocks.0.attn.hook_v"], atol=1e-12)

    @pytest.mark.parametrize("name", ["attn.hook_pattern", "hook_resid_pre", "mlp.hook_post", "hook_attn_out"])
    def test_heads_are_left_out_only_where_there_are_heads(self, name):
        with pytest.raises(
            ValueError, match=rf"at blocks\.0\.{name} no heads can be left out: give one of attn.hook_q"
        ):
            changing({f"blocks.0.{name}": without_heads([1])})

    @pytest.mark.parametrize("name", ["attn.hook_q", "attn.hook_k", "attn.hook_v", "attn.hook_z"])
    def test_a_head_left_out_is_zero_there_and_no_other(self, name):
        place, model = f"blocks.1.{name}", random_model()
        found, change = {}, changing({place: without_heads([1, 3])})

        def keep(name, array):
            found[name] = change(name, array)
            return found[name]

        model(IDS, hook=keep)
        assert (found[place] == 0).all(axis=(0, 1, 3)).tolist() == [False, True, False, True]

    @pytest.mark.parametrize(
        ("heads", "error", "words"),
        [
            ([-1], ValueError, "a head must be at least 0, got -1"),
            ([1.0], TypeError, "a head must be an integer, got 1.0"),
            ([True], TypeError, "a head must be an integer, got True"),
            ([1, 4], ValueError, r"there is no head 4: there are 0 \.\.\. 3"),
        ],
    )
    def test_a_head_that_there_is_not_is_refused(self, model, heads, error, words):
        with pytest.raises(error, match=words):
            model(IDS, hook=changing({"blocks.0.attn.hook_z": without_heads(heads)}))

    @pytest.mark.parametrize("position", [13, -14])
    def test_a_position_that_there_is_not_is_refused(self, model, position):
        place = "blocks.1.hook_mlp_out"
        found = model.trace(IDS)
        with pytest.raises(ValueError, match=rf"there is no position {position}: there are 0 \.\.\. 12"):
            model(IDS, hook=changing({place: patched(found[place], [0, position])}))
        with pytest.raises(ValueError, match=rf"there is no position {position}: there are 0 \.\.\. 12"):
            contributions(found, position, 3)

    def test_a_position_from_the_end_is_one_from_the_beginning(self, model):
        place, source = "blocks.1.hook_mlp_out", model.trace(TWO[1])
        logits = [model(TWO[0], hook=changing({place: patched(source[place], [n])})) for n in (-2, 11)]
        assert (logits[0] == logits[1]).all()
        assert contributions(source, -2, 3) == contributions(source, 11, 3)

    def test_a_patch_that_does_not_fit_is_refused(self, model):
        place = "blocks.1.hook_mlp_out"
        with pytest.raises(
            ValueError, match=r"a source of shape \(9, 24\) does not fit an array of \(1, 13, 24\): trace"
        ):
            model(IDS, hook=changing({place: patched(model.trace(IDS[:9])[place])}))
        with pytest.raises(TypeError, match=r"a position must be an integer, got 0\.5"):
            patched(model.trace(IDS)[place], [0.5])
        with pytest.raises(TypeError, match=r"positions must be a list of integers, such as \[3\], got 3"):
            patched(model.trace(IDS)[place], 3)
        with pytest.raises(TypeError, match=r"heads must be a list of integers, such as \[3\], got 3"):
            without_heads(3)
        with pytest.raises(ValueError, match=r"at blocks\.0\.attn\.hook_pattern no positions can be patched"):
            changing({"blocks.0.attn.hook_pattern": patched(model.trace(IDS).patterns()[0], [2])})

    @pytest.mark.parametrize(("token", "error"), [(50, ValueError), (-1, ValueError), (0.5, TypeError)])
    def test_a_token_that_there_is_not_has_no_contributions(self, model, token, error):
        with pytest.raises(error, match="token"):
            contributions(model.trace(IDS), 0, token)

    def test_another_shape_is_refused_with_the_place(self, model):
        with pytest.raises(ValueError, match=r"the array at hook_embed must have shape \(1, 13, 24\), got \(13, 24\)"):
            model(IDS, hook=changing({"hook_embed": lambda array: array[0]}))

    @pytest.mark.parametrize("name", ["blocks.0.attn.hook_zz", "blocks.99.attn.hook_z", "hook_pos"])
    def test_a_place_that_there_is_not_is_refused(self, model, name):
        with pytest.raises(ValueError, match=f"no place is called '{name}'"):
            model(IDS, hook=changing({"hook_embed": lambda array: array, name: lambda array: array}))


def test_trace_is_also_a_function():
    model = random_model()
    assert (trace(model, IDS)["hook_embed"] == model.trace(IDS)["hook_embed"]).all()
    np.testing.assert_allclose(softmax(model.trace(IDS).logits).sum(axis=-1), 1)


@pytest.mark.parametrize("name", ["blocks.0.ln1", "blocks.2.ln2", "ln_final"])
def test_transformer_lens_has_the_same_arrays_and_the_same_logits_after_a_change(name):
    """Its arrays inside nano-gpt2: tests/data/make_transformer_lens_reference.py."""
    nano, place, position = gc.load("nano-gpt2", dtype=np.float64).model, f"{name}.hook_normalized", 3
    with np.load(DATA / "transformer_lens.npz") as expected:
        np.testing.assert_allclose(nano.trace(expected["ids"])[place], expected[place], rtol=0, atol=1e-6)
        logits = nano(expected["ids"], hook=changing({place: patched(np.zeros(1), [position])}))
        changed = logits[position if name == "ln_final" else -1]
        np.testing.assert_allclose(changed, expected[f"logits of {place}"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("wrong", [5, None, [1, 2], "trace"])
@pytest.mark.parametrize(
    "function",
    [logit_lens, attention_entropy, lambda of: contributions(of, 0, 0)],
)
def test_what_is_no_trace_is_refused_by_its_name(function, wrong):
    with pytest.raises(TypeError, match="of must be a Trace, got"):
        function(wrong)
