import numpy as np
import pytest
from support.models import random_model

from gptcompare.evaluation import (
    CLASSIFICATION,
    SENTIMENT,
    SENTIMENT_EXAMPLES,
    SENTIMENT_WORDS,
    Template,
    choose,
    classification_prompts,
    classify,
    sentiment,
)

TEXTS = ["The hens were asleep.", "It rained — naïvely — all day.", "Once upon a time"]
LABELS = {"animals": "a beast", "weather": "the weather of the day", "other": "none"}
EXAMPLES = [("The dog barked.", "animals"), ("It snowed.", "weather")]


@pytest.fixture(scope="module")
def lm(story):
    return random_model(story, n_ctx=256)


@pytest.mark.parametrize("normalisation", ["sum", "per_token", "unconditional", "content_free"])
def test_each_text_is_a_choice_among_the_labels_words(lm, normalisation):
    found = classify(lm, TEXTS, LABELS, EXAMPLES, normalisation=normalisation)
    shown = [("The dog barked.", "a beast"), ("It snowed.", "the weather of the day")]
    for text, label, row, prompt in zip(TEXTS, found.labels, found.probabilities, found.prompts, strict=True):
        choice = choose(
            lm, text, [*LABELS.values()], shown, template=CLASSIFICATION, normalisation=normalisation
        )  # fmt: skip
        assert row == pytest.approx(choice.probabilities, abs=1e-5)
        assert LABELS[label] == choice.best
        assert prompt == choice.prompt
    assert found.probabilities.shape == (3, 3)
    assert found.probabilities.dtype == np.float64
    assert found.probabilities.sum(axis=1) == pytest.approx(np.ones(3))
    assert found.classes == ("animals", "weather", "other")


def test_one_text_is_a_list_of_one(lm):
    assert classify(lm, TEXTS[0], LABELS).labels == classify(lm, TEXTS[:1], LABELS).labels
    assert classify(lm, [], LABELS).probabilities.shape == (0, 3)


def test_labels_stand_for_themselves_if_no_words_are_given(lm):
    plain, named = classify(lm, TEXTS, ["good", "bad"]), classify(lm, TEXTS, {"good": "good", "bad": "bad"})
    assert np.array_equal(plain.probabilities, named.probabilities)


def test_a_template_of_several_fields_takes_dicts(lm):
    template = Template("{a} and {b}:")
    found = classify(lm, {"a": "x", "b": "y"}, ["good", "bad"], [({"a": "1", "b": "2"}, "bad")], template=template)
    assert found.prompts == ["1 and 2: bad\n\nx and y:"]


def test_the_prompts_can_be_had_without_a_model(lm):
    found = classify(lm, TEXTS, LABELS, EXAMPLES)
    assert classification_prompts(TEXTS, LABELS, EXAMPLES) == found.prompts


def test_sentiment_is_a_classification_whose_words_can_be_changed(lm):
    found = sentiment(lm, TEXTS, SENTIMENT_EXAMPLES)
    same = classify(lm, TEXTS, SENTIMENT_WORDS, SENTIMENT_EXAMPLES, template=SENTIMENT)
    assert np.array_equal(found.probabilities, same.probabilities)
    assert {*found.labels} <= {"positive", "negative"}
    other = sentiment(lm, TEXTS, labels={"positive": "great", "negative": "dreadful"})
    assert other.classes == ("positive", "negative")


@pytest.mark.parametrize(
    ("texts", "labels", "examples", "error", "words"),
    [
        ([1], ["a", "b"], [], TypeError, r"^texts\[0\] must be a str, got int"),
        (TEXTS, ["a"], [], ValueError, "at least two answers"),
        (TEXTS, ["a", "a"], [], ValueError, "labels must be different"),
        (TEXTS, {"a": "x", "b": "x"}, [], ValueError, "all different"),
        (TEXTS, "ab", [], TypeError, "^labels must be a list of texts, got a single str"),
        (TEXTS, 3, [], TypeError, "^labels must be .* got int"),
        (TEXTS, {"a": "x", "b": 3}, [], TypeError, r"^labels\['b'\] must be a str, got int"),
        (TEXTS, ["a", "b"], [("x", "c")], ValueError, "the label 'c': the labels are a, b"),
        (TEXTS, ["a", "b"], ["x"], TypeError, "pair of a query and its answer"),
    ],
)
def test_what_cannot_be_classified_is_refused(lm, texts, labels, examples, error, words):
    with pytest.raises(error, match=words):
        classify(lm, texts, labels, examples)
