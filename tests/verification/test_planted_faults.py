"""The harness itself: every fault planted in a model is noticed, and a model that learned nothing passes nothing.

The records are the faultless model's own, in float64, with the public records' tolerances; its sizes and the spread of
its weights are a small GPT-2's.
"""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.faults import FAULTS
from support.places import WEIGHTS
from support.reference_records import asked, random_texts, records

import gptcompare as gc
from gptcompare.parameters import parameter_shapes
from gptcompare.verification import Record, verify
from gptcompare.verification.quantities import QUANTITIES
from gptcompare.verification.records import known_records

ONLY_WRITING = ("a cache that is not read", "positions off by one in decoding")
WRITING = {"greedy tokens", "is greedy", "logits of greedy tokens", "log-probabilities of greedy tokens"}


def parameters_like_gpt2(config):
    """Embeddings as wide as GPT-2's, matrices wide enough that attention is far from flat, no gain 1 and no bias 0."""
    rng = np.random.default_rng(0)
    spread = {"wte.weight": 0.14, "wpe.weight": 0.12}
    drawn = {
        name: rng.standard_normal(shape) * spread.get(name, 0.3 if len(shape) > 1 else 0.2)
        + (name.rpartition(".")[0].rpartition(".")[2].startswith("ln_") and name.endswith("weight"))
        for name, shape in parameter_shapes(config).items()
    }
    return {name: value.astype(np.float32) for name, value in drawn.items()}


@pytest.fixture(scope="module")
def right():
    """The faultless model, and its tokenizer, whose vocabulary is small so that the tests are fast."""
    tokenizer = gc.Tokenizer.train(["Once upon a time there was a king."], 259)
    config = gc.GPTConfig(n_layer=3, n_head=4, d_model=32, n_ctx=80, n_vocab=tokenizer.n_vocab)
    return config, parameters_like_gpt2(config), tokenizer


@pytest.fixture(scope="module")
def recorded(right):
    config, parameters, tokenizer = right
    exact = gc.LanguageModel(gc.GPT(config, parameters, dtype=np.float64), tokenizer)
    questions = asked(random_texts(config.n_vocab), config.n_layer, config.n_head)
    made = records("right", lambda quantity, given: QUANTITIES[quantity](exact, **given), questions)
    return [Record(**record) for record in made]


def test_the_faultless_model_agrees_with_every_record(right, recorded):
    config, parameters, tokenizer = right
    assert {record.quantity for record in recorded} == set(QUANTITIES) - {"greedy text"}  # greedy tokens, as text
    result = verify(gc.LanguageModel(gc.GPT(config, parameters), tokenizer), records=recorded)
    assert result.agrees
    assert all(row.agrees for row in result.rows)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_noticed(fault, right, recorded):
    config, parameters, tokenizer = right
    faulty = gc.LanguageModel(FAULTS[fault](config, parameters), tokenizer)
    result = verify(faulty, records=recorded)
    noticed = {row.record.quantity for row in result.rows if row.agrees is False}
    assert not result.agrees
    if fault in ONLY_WRITING:
        assert noticed <= WRITING
        assert "logits of greedy tokens" in noticed
    else:
        assert "log-probabilities" in noticed


@pytest.mark.slow
def test_a_model_of_the_public_shape_that_learned_nothing_agrees_with_no_public_record():
    model = gc.GPT(gc.GPTConfig.preset("gpt2"), seed=0)
    result = verify(gc.LanguageModel(model, gc.Tokenizer.from_pretrained("gpt2")))
    assert result.model == "gpt2"
    assert len(result.rows) > 70
    assert [row.record.id for row in result.rows if row.agrees is not False] == []


@pytest.mark.slow
@pytest.mark.parametrize("of", ["nano-gpt2", "nano-gpt3"])
def test_the_tests_of_recorded_outputs_tell_a_model_from_another(of):
    asked_for, recorded = ([one.expected for one in known_records() if one.model == name] for name in ("nano-gpt2", of))
    n_same = sum(one == other for one, other in zip(asked_for, recorded, strict=True))  # two models can write the same
    if of == "nano-gpt2":
        assert n_same == len(asked_for) == 24
    else:
        assert n_same < 4
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-m", "recorded", "-p", "no:cacheprovider",
               str(Path(__file__).with_name("test_recorded.py")), "--model", f"nano-gpt2={WEIGHTS / of}"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed)", done.stdout.splitlines()[-1])}
    assert found.get("passed", 0) == n_same, done.stdout
    assert found.get("failed", 0) == len(asked_for) - n_same, done.stdout
