import dataclasses

import numpy as np
import pytest

import gptcompare as gc
from gptcompare.training import Recipe, completion_rows, loss_and_grads, train, tune_classifier
from gptcompare.uses import Template, classify, log_likelihoods

PAIRS = [("The dog began to", " bark"), ("Once upon a", " time there was"), ("", "The cat"), ("He said: ", "no")]
RECIPE = Recipe(n_steps=60, batch=8, learning_rate=3e-3, warmup_steps=5)
# The label is said by one word of the text, wherever it stands.
NOUNS = ("The king", "A girl", "The fox", "My aunt", "The wolf", "An old man", "The boy", "Her cat")
TEXTS = [f"{noun} was {word}." for word in ("happy", "sad") for noun in NOUNS]
LABELS = ["good"] * 8 + ["bad"] * 8


@pytest.fixture(scope="module")
def lm():
    """A small model that has learned nothing."""
    texts = [*TEXTS, *LABELS, *(context + answer for context, answer in PAIRS)]
    tokenizer = gc.Tokenizer.train(texts, n_vocab=300)
    config = gc.GPTConfig(n_layer=1, n_head=2, d_model=64, n_ctx=64, n_vocab=tokenizer.n_vocab)
    return gc.LanguageModel(gc.GPT(config, seed=0), tokenizer)


@pytest.fixture(scope="module")
def tuned(lm):
    return tune_classifier(lm, TEXTS[::2], LABELS[::2], RECIPE)


def numbers(lm):
    return {name: value.tobytes() for name, value in lm.model.parameters().items()}


class TestCompletionRows:
    def test_what_counts_is_what_a_log_likelihood_adds_up(self, lm):
        ids, targets = completion_rows(lm, PAIRS)
        found = log_likelihoods(lm, PAIRS)
        loss, _ = loss_and_grads(lm.model, ids, targets, ignore=-100)
        assert (targets != -100).sum(axis=1).tolist() == [one.n_tokens for one in found]
        assert loss == pytest.approx(-sum(one.logprob for one in found) / sum(one.n_tokens for one in found), rel=1e-5)

    def test_each_pair_has_the_loss_that_it_has_alone(self, lm):
        ids, targets = completion_rows(lm, PAIRS)
        for row, of_row, pair in zip(ids, targets, PAIRS, strict=True):
            (alone,), (of_alone,) = completion_rows(lm, [pair])
            assert np.array_equal(row[: len(alone)], alone)
            assert np.array_equal(of_row[: len(alone)], of_alone)
            assert (of_row[len(alone) :] == -100).all()

    def test_a_context_without_room_is_cut_at_its_beginning(self, lm):
        n_ctx = lm.config.n_ctx
        ids, targets = completion_rows(lm, [("Once upon a time" + " and a time" * n_ctx, " there was")])
        assert ids.shape == (1, n_ctx)
        written = lm.encode(" there was")
        assert targets[0].tolist() == [-100] * (n_ctx - len(written)) + written
        assert lm.tokenizer.decode(ids[0]).endswith(" and a time and a time there")

    def test_another_mark_is_used_in_the_same_places(self, lm):
        (ids, targets), (_, others) = (completion_rows(lm, PAIRS, ignore=mark) for mark in (-100, -1))
        assert np.array_equal(np.where(targets == -100, -1, targets), others)
        assert ids.shape == targets.shape

    def test_a_model_tuned_on_them_writes_the_completions(self, lm):
        pairs = [(f"{noun} says", f" {word}\n") for noun, word in (("The dog", "bow"), ("The cat", "mew"))]
        ids, targets = completion_rows(lm, pairs)
        model = gc.GPT(lm.config, {name: value.copy() for name, value in lm.model.parameters().items()})
        train(model, ids, dataclasses.replace(RECIPE, context=ids.shape[1]), targets=targets, ignore=-100)
        tuned = gc.LanguageModel(model, lm.tokenizer)
        assert [tuned.generate(prompt, max_new_tokens=8, stop="\n").text for prompt, _ in pairs] == [" bow", " mew"]

    def test_a_token_is_no_mark(self, lm):
        with pytest.raises(ValueError, match="ignore 7 is a token of the vocabulary"):
            completion_rows(lm, PAIRS, ignore=7)

    @pytest.mark.parametrize(
        ("pairs", "error", "words"),
        [
            ([], ValueError, "there are no pairs"),
            ([("a", "")], ValueError, "has no token of its own"),
            (["ab"], TypeError, r"pairs\[0\] must be a pair of a context and its continuation, got 'ab'"),
            ([("a", 3)], TypeError, r"pairs\[0\] must be a str, got int"),
        ],
    )
    def test_what_makes_no_sense_is_refused(self, lm, pairs, error, words):
        with pytest.raises(error, match=words):
            completion_rows(lm, pairs)


class TestTuneClassifier:
    def test_it_learns_what_decides_and_knows_it_in_texts_that_it_has_not_seen(self, tuned):
        assert tuned.classes == ("bad", "good")
        assert tuned.metrics[-1].loss < 0.2 < tuned.metrics[0].loss
        assert tuned.predict(TEXTS[1::2]) == LABELS[1::2]

    def test_it_learns_by_muon_too(self, lm, tuned):
        recipe = dataclasses.replace(RECIPE, optimizer="muon")
        other = tune_classifier(lm, TEXTS[::2], LABELS[::2], recipe)
        assert other.metrics[-1].loss < other.metrics[0].loss / 2
        assert numbers(other.lm) != numbers(tuned.lm)

    def test_its_probabilities_are_those_of_the_labels_after_the_text(self, tuned):
        found = tuned.probabilities(TEXTS)
        template = tuned.template
        pairs = [(template.prompt(text), template.answered(label)) for text in TEXTS for label in tuned.classes]
        logprobs = np.array([one.logprob for one in log_likelihoods(tuned.lm, pairs)]).reshape(-1, 2)
        expected = np.exp(logprobs) / np.exp(logprobs).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(found, expected, rtol=1e-6)
        asked = classify(tuned.lm, TEXTS, tuned.classes, normalisation="sum")
        assert np.array_equal(found, asked.probabilities)
        assert tuned.predict(TEXTS) == asked.labels == tuned.classify(TEXTS).labels

    def test_the_model_that_it_was_given_stays_as_it_was(self, lm):
        before, said = numbers(lm), classify(lm, TEXTS[:2], ["good", "bad"]).probabilities
        tuned = tune_classifier(lm, TEXTS, LABELS, dataclasses.replace(RECIPE, n_steps=2))
        assert numbers(lm) == before != numbers(tuned.lm)
        assert np.array_equal(classify(lm, TEXTS[:2], ["good", "bad"]).probabilities, said)

    def test_a_seed_is_a_classifier(self, lm):
        short = dataclasses.replace(RECIPE, n_steps=4, dropout=0.1)
        one, same, other = (
            tune_classifier(lm, TEXTS, LABELS, dataclasses.replace(short, seed=seed)) for seed in (1, 1, 2)
        )
        assert numbers(one.lm) == numbers(same.lm) != numbers(other.lm)

    def test_a_template_of_several_fields_is_taken(self, lm):
        template = Template("{one} and {other}:", answer=" {answer}")
        texts = [{"one": "a", "other": "b"}, {"one": "b", "other": "a"}]
        tuned = tune_classifier(lm, texts, ["x", "y"], RECIPE, template=template)
        assert tuned.predict(texts) == ["x", "y"]

    def test_a_model_of_its_own_end_and_special_tokens_keeps_them(self, lm):
        special = gc.LanguageModel(lm.model, lm.tokenizer, end_ids=[5], allowed_special="all")
        tuned = tune_classifier(special, TEXTS, LABELS, dataclasses.replace(RECIPE, n_steps=1)).lm
        assert (tuned.end_ids, tuned.allowed_special) == (special.end_ids, special.allowed_special)
        assert tuned.end_ids != lm.end_ids

    @pytest.mark.parametrize(
        ("texts", "labels", "error", "words"),
        [
            (["a", "b"], ["x"], ValueError, "there are 2 texts and 1 labels: give one for each"),
            (["a", "b"], ["x", "x"], ValueError, r"at least two different labels, got \['x'\]"),
            (["a", "b"], ["he", "he said"], ValueError, "the label 'he' is how 'he said' begins"),
            (["a", 2], ["x", "y"], TypeError, r"texts\[1\] must be a str, got int"),
            (["a", "b"], ["x", None], TypeError, r"labels\[1\] is missing"),
            ([], [], ValueError, "at least two different labels"),
            ("a", "x", TypeError, "labels must be a list of texts"),
        ],
    )
    def test_what_makes_no_sense_is_refused(self, lm, texts, labels, error, words):
        with pytest.raises(error, match=words):
            tune_classifier(lm, texts, labels, RECIPE)

    def test_a_changed_model_is_refused(self, lm):
        changed = lm.changed({"hook_embed": np.negative})
        with pytest.raises(ValueError, match="tuned"):
            tune_classifier(changed, TEXTS, LABELS, RECIPE)
