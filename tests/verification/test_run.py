import json
import math
import re

import numpy as np
import pytest
from support.pages import DOCS, blocks
from support.places import STORY_FOLDER

import gptcompare as gc
from gptcompare.verification import Record, Verification, verify
from gptcompare.verification.agreement import Agreement
from gptcompare.verification.result import Row

RECIPE = {"learning_rate": 1e-4, "betas": [0.9, 0.95], "eps": 1e-8, "weight_decay": 0.0, "gradient_clip": 1.0}
ABOUT = {"model": "story", "by": "me", "source": "here", "tolerance": "none given"}


def logits(lm, difference, **about):
    """A record of a logit that is as far from the model's own."""
    own = float(lm.model([1, 2, 3])[1, 5])
    given = {"ids": [1, 2, 3], "positions": [1], "tokens": [5]}
    return Record(**{**ABOUT, "id": "r", "quantity": "logits", "given": given, "expected": [own + difference],
                     "absolute": 1e-3, "relative": 0.0, **about})  # fmt: skip


def outcome(lm, *records):
    return verify(lm, records=list(records)).agrees


def test_it_agrees_if_all_that_decide_do_and_there_is_one(story):
    good, bad = logits(story, 0.0), logits(story, 1.0)
    doubtful_good = logits(story, 0.0, confidence="medium")
    doubtful_bad = logits(story, 1.0, confidence="medium")
    assert outcome(story, good)
    assert outcome(story, good, doubtful_bad)
    assert not outcome(story, good, bad)
    assert not outcome(story, doubtful_good)
    assert not outcome(story, bad, doubtful_good)


def test_the_table_marks_what_disagrees_and_what_is_doubtful(story):
    records = [logits(story, 0.0), logits(story, 1.0), logits(story, 1.0, confidence="medium")]
    lines = str(verify(story, records=records)).splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["=", "!", "!?"]
    assert lines[-2] == "story: 1 of 2 records agree"
    assert lines[-1].startswith("doubtful (?), which decide nothing: 0 of 1 record agrees ")
    assert lines[1].split()[1:4] == ["logits", "me", "1"]


def test_tokens_that_the_tokenizer_does_not_have_are_shown_as_ids(story):
    given = {"ids": [1, 2, 3], "positions": [-1]}
    record = Record(**ABOUT, id="r", quantity="likeliest tokens", given=given, expected=[10**6])
    assert " 1000000 " in str(verify(story, records=[record]))


def test_a_row_as_plain_values_is_json_whatever_was_computed(story):
    row = Row(logits(story, 0.0), [math.nan], Agreement(False, 0, None, 1e-3))
    found = json.loads(json.dumps(Verification("story", (row,), story.tokenizer).to_dict(), allow_nan=False))
    assert (found["agrees"], found["rows"][0]["got"], found["rows"][0]["difference"]) == (False, [None], None)
    assert found["rows"][0]["source"] == "here"


def test_a_model_that_computes_no_numbers_agrees_with_nothing(story):
    parameters = {name: np.full_like(value, np.nan) for name, value in story.model.parameters().items()}
    broken = gc.LanguageModel(gc.GPT(story.config, parameters), story.tokenizer)
    result = verify(broken, records=[logits(story, 0.0)])
    assert not result.agrees
    assert "–" in str(result)


def test_a_model_is_given_itself_or_by_its_folder(story):
    records = [logits(story, 0.0)]
    assert verify(STORY_FOLDER, records=records).rows[0].got == verify(story, records=records).rows[0].got


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"given": {"ids": [1, 10**6], "positions": [0], "tokens": [1]}},
            "record r of story does not fit this model: ",
        ),
        ({"given": {"ids": [1], "positions": [7], "tokens": [1]}}, "record r of story does not fit this model: "),
        ({"given": {"ids": [1] * 5000, "positions": [7], "tokens": [1]}}, "does not fit this model: .* context"),
        ({"quantity": "loss", "given": {"texts": []}}, "record r of story does not fit this model: "),
        ({"quantity": "training losses", "given": {**RECIPE, "texts": [[1, 2]], "n": 0}}, "does not fit this model: "),
        ({"quantity": "logits of greedy tokens", "given": {"ids": [1], "n": 0}}, "does not fit this model: "),
        ({"expected": [1.0, 2.0]}, "does not fit this model: logits gives 1 numbers, but 2"),
    ],
)
def test_a_record_that_does_not_fit_the_model_is_named(change, message, story):
    with pytest.raises(ValueError, match=message):
        verify(story, records=[logits(story, 0.0, **change)])


@pytest.mark.parametrize(
    ("quantity", "given"),
    [
        ("task", {"task": "lambda", "metric": "accuracy, %"}),
        ("task", {"task": 3, "metric": "accuracy, %"}),
        ("loss of a text file", {"file": 3, "characters": [0, 1], "window": 8, "ids_sha256": ""}),
    ],
)
def test_a_record_whose_data_cannot_be_found_is_named(quantity, given, story, tmp_path):
    record = Record(**ABOUT, id="r", quantity=quantity, given=given, expected=[1.0], absolute=1.0, relative=0.0)
    with pytest.raises(ValueError, match="the data of record r of story cannot be found: "):
        verify(story, records=[record], with_data=True, data=tmp_path)


def test_records_that_are_none_are_refused(story):
    with pytest.raises(ValueError, match="records is empty"):
        verify(story, records=[])
    with pytest.raises(TypeError, match="a record must be a Record, got dict"):
        verify(story, records=[{}])


def test_the_guide_shows_what_is_printed_but_for_the_last_digits(monkeypatch):
    def shape(text):
        return [re.sub(r"-?\d+(\.\d+)?(e-?\d+)?", "#", " ".join(line.split())) for line in text.splitlines()]

    [shown] = blocks(DOCS / "guides" / "verify.md", "text")
    assert shape(shown) == shape(str(verify("nano-gpt3")))
