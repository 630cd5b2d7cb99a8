import math

import numpy as np
import pytest
from support.models import logprobs_of, random_model

from gptcompare.evaluation import COMPLETION, NORMALISATIONS, QUESTION, Template, choose, encode_pair
from gptcompare.uses import multiple_choice
from gptcompare.uses.likelihood import log_likelihoods as real

TEXT = "The dog began to"
CHOICES = ["bark", "read the newspaper aloud", "sing — naïve"]
TEMPLATE = Template("{text}", answer_context="Answer: ")


@pytest.fixture(scope="module")
def lm(story):
    return random_model(story)


def logprobs(lm, context, choice):
    return logprobs_of(lm, *encode_pair(lm, context, f" {choice}"))


def probabilities_of(ratings):
    powers = np.exp(np.array(ratings) - max(ratings))
    return powers / powers.sum()


def by_definition(lm, normalisation, context=TEXT, choices=CHOICES, around=str):
    """As the module's docstring defines it."""
    if normalisation == "content_free":
        p = np.mean([by_definition(lm, "sum", around(text), choices) for text in ("N/A", "[MASK]", "")], axis=0)
        q = by_definition(lm, "sum", context, choices) / p
        return q / q.sum()
    of_each = [logprobs(lm, context, choice) for choice in choices]
    return probabilities_of({
        "sum": [sum(each) for each in of_each],
        "per_token": [np.mean(each) for each in of_each],
        "per_byte": [sum(each) / len(f" {choice}".encode()) for each, choice in zip(of_each, choices, strict=True)],
        "unconditional": [
            sum(each) - sum(logprobs(lm, "Answer:", choice).tolist())
            for each, choice in zip(of_each, choices, strict=True)
        ],
    }[normalisation])  # fmt: skip


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_each_normalisation_is_what_its_definition_says(lm, normalisation):
    choice = choose(lm, TEXT, CHOICES, template=TEMPLATE, normalisation=normalisation)
    expected = by_definition(lm, normalisation)
    assert choice.probabilities == pytest.approx(expected, abs=1e-5)
    assert choice.probabilities.dtype == np.float64
    assert choice.best == CHOICES[choice.index] == CHOICES[int(np.argmax(expected))]
    assert choice.probabilities.sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("answer", "context"), [(" {answer}", "Answer: "), (" {answer}", "Answer:"), ("{answer}", "Answer: ")]
)
def test_one_space_stands_between_the_answer_context_and_the_answer(lm, monkeypatch, answer, context):
    read = []
    monkeypatch.setattr(multiple_choice, "log_likelihoods", lambda lm, pairs: read.extend(pairs) or real(lm, pairs))
    template = Template("{text}", answer=answer, answer_context=context)
    choose(lm, TEXT, CHOICES, template=template, normalisation="unconditional")
    texts = ["".join(pair) for pair in read]
    assert texts[-len(CHOICES) :] == [f"Answer: {choice}" for choice in CHOICES]


def test_examples_stand_in_front_of_the_question(lm):
    examples = [("What is snow?", "cold"), ("What is fire?", "hot")]
    choice = choose(lm, "What is ice?", ["cold", "hot"], examples)
    assert choice.prompt == QUESTION.prompt("What is ice?", examples)
    prompt = "Q: What is snow?\nA: cold\n\nQ: What is fire?\nA: hot\n\nQ: What is ice?\nA:"
    assert choice.prompt == prompt
    assert choice.probabilities == pytest.approx(by_definition(lm, "per_token", prompt, ["cold", "hot"]), abs=1e-5)


def test_about_nothing_a_calibrated_model_knows_nothing(lm, monkeypatch):
    monkeypatch.setattr(multiple_choice, "CONTENT_FREE", ("N/A",))
    choice = choose(lm, "N/A", CHOICES, [("x", "bark")], normalisation="content_free")
    assert choice.probabilities == pytest.approx([1 / 3] * 3, abs=1e-5)


def test_what_is_too_improbable_for_a_float_is_no_nan(lm):
    long = ["the end " * 40, "naïve " * 40]
    for normalisation in NORMALISATIONS:
        choice = choose(random_model(lm, n_ctx=600), TEXT, long, normalisation=normalisation)
        assert np.isfinite(choice.probabilities).all()
        assert math.fsum(choice.probabilities) == pytest.approx(1)


def test_a_model_that_has_read_stories_knows_how_they_begin(story):
    choice = choose(story, "Once upon a", ["time", "king", "house"], template=COMPLETION)
    assert choice.best == "time"


@pytest.mark.parametrize(
    ("choices", "options", "error", "words"),
    [
        (["a"], {}, ValueError, "at least two answers"),
        (["a", "a"], {}, ValueError, "all different"),
        ("ab", {}, TypeError, "^choices must be a list of texts, got a single str"),
        (["a", 1], {}, TypeError, r"^choices\[1\] must be a str, got int"),
        (["a", "b"], {"normalisation": "none"}, ValueError, "sum, per_token, per_byte, unconditional, content_free"),
    ],
)
def test_what_is_no_choice_is_refused(lm, choices, options, error, words):
    with pytest.raises(error, match=words):
        choose(lm, TEXT, choices, **options)
