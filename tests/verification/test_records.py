"""The recorded outputs in the package are what their sources say, and a file of others is read or refused by name."""

import json
import re
from collections import Counter

import pytest

import gptcompare as gc
from gptcompare.evaluation import TASKS
from gptcompare.verification import known_records, read_records
from gptcompare.verification.data_quantities import DATA_QUANTITIES, task_asked
from gptcompare.verification.quantities import QUANTITIES
from gptcompare.verification.records import DATA

RECORDS = known_records()
PUBLIC = read_records(DATA / "public.json")
FACTS = json.loads((DATA / "public.json").read_text(encoding="utf-8"))
N_FOUND = 166  # outputs that were found; some of them are several records
OPT = "opt-"
LOGIT = 2e-4  # float32's own error where a source gives printed digits alone: see "about" in the file


def half_a_unit(text):
    """Half a unit of the last decimal that a source prints."""
    found = re.search(r"printed to (\d) decimals", text)
    return None if found is None else 0.5 * 10.0 ** -int(found[1])


@pytest.fixture(scope="module")
def tokenizer():
    return gc.Tokenizer.from_pretrained("gpt2")


def test_every_output_that_was_found_is_a_record_or_left_out_with_the_reason():
    found = {record.id.partition(".")[0] for record in PUBLIC}
    left_out = {one for several in FACTS["left_out"] for one in several.split(",")}
    assert found | left_out == {f"r{number:03}" for number in range(1, N_FOUND + 1)}
    assert all(FACTS["left_out"].values())


def test_the_ids_of_records_are_their_own():
    assert [name for name, n in Counter(record.id for record in RECORDS).items() if n > 1] == []


def test_every_record_has_a_source_that_others_can_look_up():
    for record in PUBLIC:
        assert re.search(r"[\w.-]+/[\w.-]+|Hugging Face model card|ov\.smoothquant", record.source), record.id
        assert record.by
        assert record.tolerance


def test_the_ids_are_those_of_the_prompt(tokenizer):
    of_a_prompt = [one for one in PUBLIC if "ids" in one.given and isinstance(one.prompt, str)]
    for record in of_a_prompt:
        if record.model.startswith(OPT):  # its tokenizer is not in the package
            continue
        ids = record.given["ids"]
        prompt = tokenizer.encode(record.prompt, allowed_special={"<|endoftext|>"})
        beginning = ids[1:] if ids[0] == tokenizer.eot_id != prompt[0] else ids
        assert beginning[: len(prompt)] == prompt, record.id
        if record.continuation is not None:
            assert tokenizer.decode(beginning[len(prompt) :]) == record.continuation
    assert len(of_a_prompt) > 90


def test_tolerances_are_those_of_the_sources_in_numbers():
    for record in PUBLIC:
        if record.is_exact:
            assert re.search("exact|absolute|printed", record.tolerance), record.id
            continue
        given = [float(one) for one in re.findall(r"\b\d+(?:\.\d+)?e-\d+|\b0\.\d+", record.tolerance)]
        half = half_a_unit(record.tolerance)
        if record.quantity == "task" and record.given["metric"].startswith("accuracy"):
            expect_within = re.search(r"expect within (0\.\d+)", record.tolerance)
            assert record.absolute == pytest.approx(100 * float(expect_within[1]) if expect_within else 0.1), record.id
        elif "both printed" in record.tolerance:  # two values, one unit apart: the middle, and as much to both sides
            assert record.absolute == 0.01, record.id
        elif re.search(r"\((there|fp16 against float32|through)|allow|expect within|two runs differ", record.tolerance):
            assert max(record.absolute, record.relative) in [*given, LOGIT], record.id
        elif "in two runs" in record.tolerance and record.quantity == "percentages":  # one unit apart
            assert record.absolute == 0.015, record.id
        elif half is not None:
            assert half - 1e-12 <= record.absolute <= half + 10 * LOGIT, record.id
        else:
            assert max(record.absolute, record.relative) <= 6.25 * LOGIT, (record.id, record.tolerance)


def test_what_is_doubtful_says_why_and_decides_nothing():
    doubtful = [record for record in PUBLIC if not record.decides]
    assert {record.confidence for record in RECORDS} == {"high", "medium"}
    assert len(doubtful) > 20
    assert [record.id for record in doubtful if not record.note] == []


def test_a_greedy_text_of_ids_is_what_its_source_printed(tokenizer):
    [turing] = [record for record in PUBLIC if record.id == "r069"]
    expected = ' how they would be able to do so.\n\n"I think that the most important thing is'
    assert tokenizer.decode(turing.expected) == expected


def test_every_task_of_a_record_is_one_that_there_is_with_that_metric():
    for record in PUBLIC:
        if record.quantity == "task":
            assert task_asked(record.given["task"]).name in {*TASKS, "hellaswag-llm.c"}


def test_every_quantity_is_of_some_record():
    assert {record.quantity for record in RECORDS} == {*QUANTITIES, *DATA_QUANTITIES}


GOOD = {
    "id": "a", "model": "m", "quantity": "logits", "given": {"ids": [1], "positions": [0], "tokens": [2]},
    "expected": [1.5], "absolute": 1e-4, "relative": 0.0, "tolerance": "1e-4", "by": "me", "source": "here",
}  # fmt: skip


def written(tmp_path, content):
    path = tmp_path / "records.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_a_file_of_records_is_read(tmp_path):
    [record] = read_records(written(tmp_path, {"records": [GOOD]}))
    assert (record.expected, record.decides, record.is_exact, record.needs_data) == ([1.5], True, False, False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"quantity": "logit"}, "record 0: unknown quantity 'logit': did you mean logits"),
        ({"given": {"ids": [1]}}, "record 0: logits needs ids, positions, tokens; given is {'ids': "),
        ({"given": None}, "record 0: logits needs ids, positions, tokens; given is None"),
        ({"expected": []}, "record 0: expected must be a list of finite numbers, got "),
        ({"expected": "1.5"}, "expected must be a list of finite numbers, got '1.5'"),
        ({"expected": [float("nan")]}, "expected must be a list of finite numbers"),
        ({"expected": [10**400]}, "expected must be a list of finite numbers"),
        ({"absolute": 10**400}, "absolute and relative are two numbers from 0"),
        ({"absolute": None}, "absolute and relative are two numbers from 0, or both left out"),
        ({"absolute": -1.0}, "absolute and relative are two numbers from 0"),
        ({"absolute": None, "relative": None}, "expected must be ids or a text, got "),
        ({"source": 3}, "record 0: source must be a text, got 3"),
        ({"surprise": 3}, "record 0: expected an object with .*; got "),
    ],
)
def test_a_record_that_is_none_is_refused_by_its_number(change, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        read_records(written(tmp_path, {"records": [{**GOOD, **change}]}))


@pytest.mark.parametrize(
    "content", ["", "[", "[]", "{}", '{"records": 3}', '{"records": []}', '{"records": [3]}', "null"]
)
def test_a_file_that_has_no_records_is_refused_by_its_name(content, tmp_path):
    with pytest.raises(ValueError, match=r"records\.json"):
        read_records(written(tmp_path, content))


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_records(tmp_path / "none.json")
