"""Real weights beside what others recorded of them, a test for each record:

    pytest -m recorded -n 0 --model gpt2=FOLDER --model distilgpt2=FOLDER

With `--data FOLDER`, a folder with the data files, perplexities and accuracies, too. Without `--model`, the logits and
greedy texts of GPT-2's smallest model, where the user has downloaded it.
"""

from functools import lru_cache

import pytest
from conftest import GPT2_OF_THE_USER

import gptcompare as gc
from gptcompare.verification import known_records, verify
from gptcompare.verification.models import model_named

REASON = "no weights are given: --model gpt2=FOLDER; or `gptcompare download gpt2`"
QUICK = ("logits", "likeliest tokens", "greedy tokens")

load = lru_cache(maxsize=1)(gc.load)


def given(config):
    """The recorded models, their folders, and the quantities that are asked: all of them if None."""
    recorded = list(dict.fromkeys(record.model for record in known_records()))
    for option in config.getoption("--model"):
        name, equals, folder = option.partition("=")
        if not equals:
            raise pytest.UsageError(f"--model {option}: expected NAME=FOLDER, such as gpt2=path/to/gpt2")
        try:
            yield model_named(name, recorded), folder, None
        except ValueError as error:
            raise pytest.UsageError(f"--model {option}: {error}") from None
    if not config.getoption("--model") and GPT2_OF_THE_USER is not None:
        yield "gpt2", GPT2_OF_THE_USER, QUICK


def pytest_generate_tests(metafunc):
    data = metafunc.config.getoption("--data")
    cases = [
        pytest.param(folder, record, id=f"{name} {record.id} {record.quantity}")
        for name, folder, quantities in given(metafunc.config)
        for record in known_records()
        if record.model == name and (data is not None or not record.needs_data)
        if quantities is None or record.quantity in quantities
    ]
    nothing = pytest.param(None, None, id="none", marks=pytest.mark.skip(reason=REASON))
    metafunc.parametrize(("folder", "record"), cases or [nothing])


@pytest.mark.recorded
def test_the_model_computes_what_was_recorded(folder, record, request):
    result = verify(
        load(folder), name=record.model, records=[record], with_data=True, data=request.config.getoption("--data")
    )
    [row] = result.rows
    if row.missing is not None:
        pytest.skip(row.missing)
    if not row.agrees and not record.decides:
        pytest.xfail(f"a doubtful record: {record.note}")
    assert row.agrees, f"{record.source}: expected {record.expected}, got {row.got}\n{result}"
