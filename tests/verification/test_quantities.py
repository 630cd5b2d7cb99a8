"""Each quantity is what PyTorch and transformers compute, which share no code with this library."""

import json

import numpy as np
import pytest
from support.models import random_model
from support.places import DATA
from support.reference_records import of_model, random_texts
from support.references import random_reference

import gptcompare as gc
from gptcompare.verification import Record, known_records, quantities, verify

SHAPE = {"n_layer": 3, "n_head": 4, "n_embd": 32, "n_positions": 80}
ABOUT = {"model": "story", "tolerance": "float32 beside float64", "by": "transformers", "source": "story_reference"}
RECORDED = json.loads((DATA / "story_reference.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["nano-gpt2", "nano-gpt3"])
def test_the_embedded_pair_computes_what_transformers_recorded(name):
    """If this fails since the pair has changed: tests/data/make_nano_records.py makes the records anew."""
    result = verify(name)
    assert {row.record.by for row in result.rows} == {"transformers"}
    assert {row.record.quantity for row in result.rows} == set(quantities.QUANTITIES) - {"greedy text"}
    assert [row.record.id for row in result.rows if not row.agrees] == []
    assert result.agrees


@pytest.mark.reference
def test_a_random_model_of_transformers_passes_the_records_made_by_transformers(tmp_path, torch, transformers, story):
    shape = {**SHAPE, "vocab_size": story.tokenizer.n_vocab}
    theirs = random_reference(torch, transformers, "gpt2", shape)
    theirs.save_pretrained(tmp_path)
    made = of_model("random", theirs, torch, random_texts(shape["vocab_size"]))
    file = tmp_path / "records.json"
    file.write_text(json.dumps({"records": made}), encoding="utf-8")
    lm = gc.LanguageModel(gc.GPT.from_pretrained(tmp_path), story.tokenizer)
    result = verify(lm, records=file)
    assert {row.record.quantity for row in result.rows} == set(quantities.QUANTITIES) - {"greedy text"}
    assert [str(row) for row in result.rows if not row.agrees] == []


@pytest.mark.parametrize("recorded", RECORDED, ids=range(len(RECORDED)))
def test_log_probabilities_and_greedy_texts_of_a_trained_model_are_those_of_transformers(recorded, story):
    ids, greedy = recorded["ids"], recorded["greedy_ids"]
    allowed = {"absolute": 2e-4, "relative": 0.0}
    given = [
        Record(**ABOUT, id="0", quantity="log-probabilities", given={"ids": ids + greedy, "first": 1},
               expected=recorded["logprobs"] + recorded["greedy_logprobs"], **allowed),
        Record(**ABOUT, id="1", quantity="greedy tokens", given={"ids": ids, "n": len(greedy)}, expected=greedy),
        Record(**ABOUT, id="2", quantity="log-probabilities of greedy tokens", given={"ids": ids, "n": len(greedy)},
               expected=recorded["greedy_logprobs"], **allowed),
        Record(**ABOUT, id="3", quantity="greedy text", given={"prompt": recorded["prompt"], "n_characters": 40},
               expected=recorded["greedy_text"][:40]),
    ]  # fmt: skip
    assert [row.agrees for row in verify(story, records=given).rows] == [True] * 4


def test_a_beginning_of_the_greedy_text_is_greedy_and_nothing_else(story):
    ids = RECORDED[0]["ids"]
    written = RECORDED[0]["greedy_ids"]
    other = (written[1] + 1) % story.config.n_vocab
    continuations = [written[:1], written[:7], [other], [written[0], other], written[1:3]]
    assert quantities.is_greedy(story, ids, continuations) == [1, 1, 0, 0, 0]


def test_a_greedy_text_takes_as_many_tokens_as_its_characters_need(story):
    recorded = RECORDED[0]
    n = story.config.n_ctx + 20  # characters: far fewer tokens
    text = quantities.greedy_text(story, recorded["prompt"], n)
    without_end = gc.LanguageModel(story.model, story.tokenizer, [])
    assert text == without_end.generate(recorded["prompt"], max_new_tokens=150).text[:n]
    assert (len(text), text[:100]) == (n, recorded["greedy_text"][:100])


def test_the_last_greedy_token_needs_no_place_in_the_context(story):
    lm = random_model(story, n_ctx=8)
    written = quantities.greedy_tokens(lm, [1, 2, 3, 4, 5], 4)
    assert written[:3] == quantities.greedy_tokens(lm, [1, 2, 3, 4, 5], 3)
    assert written[3] == lm.model([1, 2, 3, 4, 5, *written[:3]])[-1].argmax()


def test_the_windows_of_log_probabilities_are_read_each_by_itself(story):
    ids = RECORDED[0]["ids"] + RECORDED[0]["greedy_ids"]
    alone = quantities.log_probabilities(story, ids[3:9], 2)
    both = quantities.log_probabilities_in_windows(story, [ids[:4], ids[3:9]], [1, 2])
    assert both == quantities.log_probabilities(story, ids[:4], 1) + alone
    assert len(both) == 3 + 4


def test_training_does_not_change_the_model(story):
    before = {name: value.copy() for name, value in story.model.parameters().items()}
    [record] = [one for one in known_records() if one.model == "nano-gpt2" and one.given.get("n") == 2
                and one.quantity == "training losses"]  # fmt: skip
    texts = [[id_ % story.config.n_vocab for id_ in ids] for ids in record.given["texts"]]
    losses = quantities.training_losses(story, **{**record.given, "texts": texts})
    assert losses == sorted(losses, reverse=True)
    for name, value in story.model.parameters().items():
        assert np.array_equal(value, before[name])


def test_numbers_are_computed_in_float64_from_the_logits(story):
    assert story.model([1, 2, 3]).dtype == np.float32
    found = quantities.percentages(story, [1, 2, 3], list(range(story.config.n_vocab)))
    assert sum(found) == pytest.approx(100, abs=1e-10)  # in float32 it would be about 1e-5 off
