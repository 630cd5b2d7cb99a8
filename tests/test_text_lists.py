"""Every function that takes a list of texts takes the same lists: of pandas, polars, PyArrow and NumPy, too."""

import numpy as np
import pytest
from support.models import random_model
from support.places import REASON

import gptcompare as gc
from gptcompare import uses
from gptcompare.tokenizer import Tokenizer

TEXTS = ["Once upon a time, upon a time", "The König", "a"]
LABELS = ["good", "bad"]


@pytest.fixture(scope="module")
def lm(story):
    return random_model(story, n_ctx=256)


# Name of the argument that the function's message must name, and what is computed.
FUNCTIONS = {
    "generate": ("prompt", lambda lm, texts: lm.generate(texts, max_new_tokens=2)),
    "compare": ("prompt", lambda lm, texts: [one.to_dict() for one in gc.compare(texts, [lm], max_new_tokens=2)]),
    "compare_text": ("text", lambda lm, texts: [one.to_dict() for one in gc.compare_text(texts, [lm])]),
    "classify": ("texts", lambda lm, texts: uses.classify(lm, texts, LABELS).probabilities.tolist()),
    "sentiment": ("texts", lambda lm, texts: uses.sentiment(lm, texts).probabilities.tolist()),
    "classification_prompts": ("texts", lambda lm, texts: uses.classification_prompts(texts, LABELS)),
    "entities": ("texts", lambda lm, texts: uses.entities(lm, texts, max_new_tokens=2)),
    "answer": ("question", lambda lm, texts: uses.answer(lm, texts, beams=1, max_new_tokens=2)),
    "features": ("texts", lambda lm, texts: uses.features(lm, texts, layer=0).tolist()),
    "Features": ("X", lambda lm, texts: uses.Features(lm, layer=0).transform(texts).tolist()),
    "choices": ("choices", lambda lm, texts: uses.choose(lm, "Who?", texts).probabilities.tolist()),
    "labels": ("labels", lambda lm, texts: uses.classify(lm, "Who?", texts).probabilities.tolist()),
    "types": ("types", lambda lm, texts: uses.entities(lm, "Max sang.", texts, max_new_tokens=2)),
    "exact_match": ("right", lambda lm, texts: uses.exact_match("konig", texts)),
    "stop": ("stop", lambda lm, texts: lm.generate("Once", stop=texts, max_new_tokens=4)),
    "train": ("texts", lambda lm, texts: Tokenizer.train(texts, 258).vocabulary.merges),
}


def module(name):
    return pytest.importorskip(name, reason=REASON)


def pandas_series(texts):
    return module("pandas").Series(texts, index=range(5, 5 + len(texts)))


# What makes a list of each kind, from a list of str and None.
PACKAGES = {
    "pandas.Series": pandas_series,
    "pandas.Series of objects": lambda texts: pandas_series(texts).astype(object),
    "pandas.Series of string": lambda texts: pandas_series(texts).astype("string"),
    "pandas.Series of categories": lambda texts: pandas_series(texts).astype("category"),
    "pandas.Index": lambda texts: module("pandas").Index(texts),
    "polars.Series": lambda texts: module("polars").Series(texts),
    "polars.Categorical": lambda texts: module("polars").Series(texts, dtype=module("polars").Categorical),
    "pyarrow.array": lambda texts: module("pyarrow").array(texts),
    "pyarrow.large_string": lambda texts: module("pyarrow").array(texts, module("pyarrow").large_string()),
    "pyarrow.chunked_array": lambda texts: module("pyarrow").chunked_array([texts[:1], texts[1:]]),
    "pyarrow dictionary": lambda texts: module("pyarrow").array(texts).dictionary_encode(),
}
TABLES = {
    "pandas.DataFrame": lambda texts: module("pandas").DataFrame({"text": texts}),
    "polars.DataFrame": lambda texts: module("polars").DataFrame({"text": texts}),
    "polars.LazyFrame": lambda texts: module("polars").LazyFrame({"text": texts}),
    "pyarrow.table": lambda texts: module("pyarrow").table({"text": texts}),
    "pyarrow.RecordBatch": lambda texts: module("pyarrow").record_batch({"text": texts}),
}


@pytest.fixture(scope="module")
def expected(lm):
    return {name: function(lm, TEXTS) for name, (_, function) in FUNCTIONS.items()}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_takes_other_kinds_of_lists(lm, expected, name):
    """All of them are those of `each_text`: see tests/test_checks.py."""
    assert FUNCTIONS[name][1](lm, np.array(TEXTS, np.dtypes.StringDType())) == expected[name]
    assert FUNCTIONS[name][1](lm, iter(TEXTS)) == expected[name]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_refuses_a_missing_text_by_its_position_and_a_table(lm, name):
    argument, function = FUNCTIONS[name]
    with pytest.raises(TypeError, match=rf"^{argument}\[1\] is missing"):
        function(lm, ["a", None])
    with pytest.raises(TypeError, match=rf"^{argument}(\[0\])? must be .* got bytes"):
        function(lm, [b"a", "b"])
    if name not in (
        "classify",
        "sentiment",
        "classification_prompts",
        "answer",
        "labels",
    ):  # there a dict has a meaning
        with pytest.raises(TypeError, match=f"^{argument} must be a list of texts, got a table"):
            function(lm, {"text": TEXTS})


def test_examples_may_be_a_generator_and_are_shown_for_every_text(lm):
    def examples(answers=("good", "bad")):
        return ((f"Once {answer}", answer) for answer in answers)

    names = (("Max sang.", {"person": ["Max"]}) for _ in range(2))
    assert uses.classification_prompts(TEXTS, LABELS, examples()) == uses.classification_prompts(
        TEXTS, LABELS, [*examples()]
    )
    for name, function, given in (
        ("classify", lambda shown: uses.classify(lm, TEXTS, LABELS, shown).prompts, examples()),
        ("choose", lambda shown: uses.choose(lm, "Who?", LABELS, shown).prompt, examples()),
        ("answer", lambda shown: uses.answer(lm, TEXTS, shown, beams=1, max_new_tokens=8), examples()),
        ("entities", lambda shown: uses.entities(lm, TEXTS, ["person"], shown, max_new_tokens=8), names),
    ):
        several = [("Max sang.", {"person": ["Max"]})] * 2 if name == "entities" else [*examples()]
        assert function(given) == function(several), name


@pytest.mark.reference
@pytest.mark.parametrize("kind", PACKAGES)
def test_every_function_takes_the_lists_of_other_packages(lm, expected, kind):
    texts = PACKAGES[kind](TEXTS)
    for name, (_, function) in FUNCTIONS.items():
        assert function(lm, texts) == expected[name], name


@pytest.mark.reference
@pytest.mark.parametrize("kind", PACKAGES)
def test_a_missing_text_of_another_package_is_refused_by_its_position(lm, kind):
    texts = PACKAGES[kind]([*TEXTS, None])
    for name, (argument, function) in FUNCTIONS.items():
        with pytest.raises(TypeError, match=rf"^{argument}\[3\] is missing"):
            function(lm, texts)
        assert name


@pytest.mark.reference
@pytest.mark.parametrize("kind", TABLES)
def test_a_table_of_another_package_is_refused(lm, kind):
    table = TABLES[kind](TEXTS)
    for argument, function in FUNCTIONS.values():
        with pytest.raises(
            TypeError, match=rf"^{argument} must be a list of texts, got a table \(.*\): choose its column"
        ):
            function(lm, table)
