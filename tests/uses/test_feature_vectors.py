from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from support.models import random_model

import gptcompare as gc
from gptcompare.evaluation import token_features
from gptcompare.tokenizer.vocabulary import Matching
from gptcompare.uses import features

TEXTS = ["The hens were asleep.", "It rained.", "Naïve 🐇 and 昔々!", "The foxes were awake.", "x"]
N_STREAMS = 3


@pytest.fixture(scope="module")
def lm(story):
    return random_model(story, attention=("dense", "banded"), band_width=5)


def stream_of(lm, text, layer):
    """The tokens' vectors (T, D) of a text that fits, from a trace of all that happens."""
    ids = [lm.tokenizer.eot_id, *lm.tokenizer.encode(text)]
    return lm.model.trace(ids).residual_stream()[layer, 1:]


@pytest.mark.parametrize("layer", range(-N_STREAMS, N_STREAMS))
def test_they_are_the_residual_stream_behind_the_token_that_separates_texts(lm, layer):
    expected = [stream_of(lm, text, layer) for text in TEXTS]
    for vectors, of_text in zip(features(lm, TEXTS, layer, pool=None), expected, strict=True):
        assert vectors == pytest.approx(of_text, rel=1e-4, abs=1e-5)
    means = np.array([of_text.mean(axis=0) for of_text in expected])
    assert features(lm, TEXTS, layer) == pytest.approx(means, rel=1e-4, abs=1e-5)
    last = np.array([of_text[-1] for of_text in expected])
    assert features(lm, TEXTS, layer, pool="last") == pytest.approx(last, rel=1e-4, abs=1e-5)


def test_layer_0_are_the_embeddings_of_tokens_and_positions(lm):
    p, ids = lm.model.parameters(), lm.tokenizer.encode(TEXTS[0])
    expected = p["wte.weight"][ids] + p["wpe.weight"][1 : len(ids) + 1]
    assert features(lm, TEXTS[:1], 0, pool=None)[0] == pytest.approx(expected, abs=1e-6)


def test_texts_that_are_read_together_do_not_touch_each_other(lm):
    many = [text for n in range(4) for text in (TEXTS[0], f"Hen {n} sat.", TEXTS[3])] * 3
    alone = np.concatenate([features(lm, text) for text in many])
    assert features(lm, many) == pytest.approx(alone, rel=1e-4, abs=1e-5)
    assert features(lm, many).dtype == np.float32
    assert features(lm, many).shape == (len(many), lm.config.d_model)
    assert features(lm, []).shape == (0, lm.config.d_model)


@pytest.mark.parametrize("name", ["wte.weight", "h.0.mlp.c_fc.bias"])
@pytest.mark.parametrize("damage", [np.nan, np.inf])
def test_features_of_a_damaged_model_are_refused(lm, name, damage):
    parameters = {name: value.copy() for name, value in lm.model.parameters().items()}
    parameters[name][...] = damage
    damaged = gc.LanguageModel(gc.GPT(lm.config, parameters), lm.tokenizer)
    with np.errstate(all="ignore"):
        for refuse in (lambda: features(damaged, TEXTS), lambda: token_features(damaged, TEXTS[0])):
            with pytest.raises(ValueError, match="not finite numbers: the model's parameters must be damaged"):
                refuse()


def test_float64_parameters_give_float32_features(lm):
    parameters = {name: value.astype(np.float64) for name, value in lm.model.parameters().items()}
    exact = gc.LanguageModel(gc.GPT(lm.config, parameters, dtype=np.float64), lm.tokenizer)
    assert features(exact, TEXTS).dtype == np.float32
    assert features(exact, TEXTS) == pytest.approx(features(lm, TEXTS), rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("n_ctx", [1, 2, 7, 16])
def test_a_long_text_is_read_in_windows_half_a_context_apart(lm, n_ctx):
    short = random_model(lm, n_ctx=n_ctx)
    text = " ".join(TEXTS)
    ids = [lm.tokenizer.eot_id, *lm.tokenizer.encode(text)]
    (vectors,) = features(short, text, pool=None)
    step = max(n_ctx // 2, 1)
    for position in range(1, len(ids)):
        start = next(start for start in range(0, len(ids), step) if position < start + n_ctx)
        window = short.model.trace(ids[start : position + 1]).residual_stream()
        assert vectors[position - 1] == pytest.approx(window[-1, -1], rel=1e-4, abs=1e-5)


def test_a_vocabulary_without_an_end_of_text_has_nothing_in_front(lm):
    vocabulary = lm.tokenizer.vocabulary
    plain = type(vocabulary)(vocabulary.merges, {**vocabulary.ids, **vocabulary.special_tokens})
    other = gc.LanguageModel(lm.model, gc.Tokenizer(plain))
    expected = lm.model.trace(lm.tokenizer.encode(TEXTS[0])).residual_stream()[-1]
    assert features(other, TEXTS[0], pool=None)[0] == pytest.approx(expected, rel=1e-4, abs=1e-5)
    own = {token: id_ for token, id_ in vocabulary.special_tokens.items() if token != vocabulary.eot}
    beyond = replace(vocabulary, special_tokens={**own, "<end>": lm.config.n_vocab}, eot="<end>")
    other = gc.LanguageModel(lm.model, gc.Tokenizer(beyond))  # it has one, and the model does not
    assert features(other, TEXTS[0], pool=None)[0] == pytest.approx(expected, rel=1e-4, abs=1e-5)


class TestTokenFeatures:
    @pytest.mark.parametrize("text", [*TEXTS, ""])
    def test_a_vector_a_token(self, lm, text):
        found = token_features(lm, text, layer=1)
        assert len(found.vectors) == len(found.spans) == len(lm.tokenizer.encode(text))
        if text:
            assert np.array_equal(found.vectors, features(lm, text, 1, pool=None)[0])

    @pytest.mark.parametrize("name", ["gpt2", "nano-gpt2"])
    def test_spans_are_the_characters_that_a_token_stands_for(self, name):
        tokenizer = gc.Tokenizer.from_pretrained(name)
        config = gc.GPTConfig(n_layer=1, n_head=1, d_model=4, n_ctx=64, n_vocab=tokenizer.n_vocab)
        lm = gc.LanguageModel(gc.GPT(config), tokenizer)
        for text in TEXTS:
            spans = token_features(lm, text).spans
            assert spans[0][0] == 0
            assert spans[-1][1] == len(text)
            for id_, (start, end) in zip(tokenizer.encode(text), spans, strict=True):
                token, characters = tokenizer.decode_bytes([id_]), text[start:end].encode()
                assert token in characters
                assert len(characters) - len(token) < 2 * 4  # no more than parts of two characters are left out
            for (_, end), (start, _) in pairwise(spans):
                assert start in (end, end - 1)

    def test_a_token_has_the_white_space_that_it_takes(self, lm):
        vocabulary, mask = lm.tokenizer.vocabulary, lm.config.n_vocab
        rules = {"<mask>": Matching(lstrip=True, rstrip=True)}
        tokenizer = gc.Tokenizer(replace(vocabulary, added_tokens={"<mask>": mask}, matching=rules))
        parameters = dict(lm.model.parameters())
        parameters["wte.weight"] = np.vstack([parameters["wte.weight"], parameters["wte.weight"][:1]])
        wider = gc.LanguageModel(gc.GPT(replace(lm.config, n_vocab=mask + 1), parameters), tokenizer)
        text = "old   <mask> king"
        spans = token_features(wider, text).spans
        texts = [text[start:end] for start, end in spans]
        assert "   <mask> " in texts
        assert "".join(texts) == text
        assert len(spans) == len(wider.encode(text))


@pytest.mark.parametrize(
    ("texts", "options", "error", "words"),
    [
        (["a", ""], {}, ValueError, "text 1 is empty"),
        ([1], {}, TypeError, "must be a str"),
        (["a"], {"layer": N_STREAMS}, ValueError, "between -3 and 2, got 3"),
        (["a"], {"layer": 0.5}, TypeError, "layer must be an integer"),
        (["a"], {"pool": "max"}, ValueError, "'mean', 'last' or None, got 'max'"),
    ],
)
def test_what_has_no_features_is_refused(lm, texts, options, error, words):
    with pytest.raises(error, match=words):
        features(lm, texts, **options)


@pytest.mark.reference
def test_they_are_transformers_hidden_states(torch, transformers, story, tmp_path):
    lm = random_model(story)
    lm.model.save_pretrained(tmp_path)
    theirs = transformers.GPT2LMHeadModel.from_pretrained(tmp_path, dtype=torch.float64)
    for text in TEXTS:
        ids = torch.tensor([[lm.tokenizer.eot_id, *lm.tokenizer.encode(text)]])
        with torch.no_grad():
            *streams, normed = theirs(ids, output_hidden_states=True).hidden_states  # the last one is behind ln_f
            ours = [torch.tensor(features(lm, text, layer, pool=None)[0]) for layer in range(N_STREAMS)]
            for found, expected in zip(ours, streams, strict=False):
                assert found.numpy() == pytest.approx(expected[0, 1:].numpy(), rel=1e-4, abs=1e-4)
            last = theirs.transformer.ln_f(ours[-1].double())
            assert last.numpy() == pytest.approx(normed[0, 1:].numpy(), rel=1e-4, abs=1e-4)
