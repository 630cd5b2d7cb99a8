import json
import math
import random
import tracemalloc
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.published_tasks import SENTENCES, lambada, write_lines

import gptcompare as gc
from gptcompare.evaluation import contamination, evaluate, task_named
from gptcompare.evaluation.metrics import Metric
from gptcompare.evaluation.overlap import length_of_overlap, words_of


@pytest.fixture(scope="module")
def many(story, tmp_path_factory):
    """An evaluation of forty texts of twenty words each."""
    rng = random.Random(0)
    words = [f"word{k}" for k in range(400)]
    texts = [" ".join(rng.choices(words, k=20)) for _ in range(40)]
    data = write_lines(tmp_path_factory.mktemp("data") / "lambada_test.jsonl", [{"text": text} for text in texts])
    return texts, evaluate(story, "lambada", data), story.tokenizer


def found(many, folder, texts):
    for number, text in enumerate(texts):
        (folder / f"{number}.txt").write_text(text, encoding="utf-8")
    return contamination(many[1], folder, many[2])


def brute_force(items, texts, n):
    """The numbers of the items of which n words in a row stand in one of the texts."""
    dirty = set()
    for number, item in enumerate(items):
        words = words_of(item)
        for text in texts:
            there = words_of(text)
            runs = {tuple(there[at : at + n]) for at in range(len(there) - n + 1)}
            if any(tuple(words[at : at + n]) in runs for at in range(len(words) - n + 1)):
                dirty.add(number)
    return dirty


@given(data=st.data())
def test_the_dirty_items_are_those_of_a_count_of_everything(many, tmp_path_factory, data):
    items = many[0]
    texts = []
    for _ in range(data.draw(st.integers(1, 3))):
        parts = data.draw(st.lists(st.integers(0, 39), min_size=1, max_size=4))
        cuts = [data.draw(st.integers(0, 20)) for _ in parts]
        breaks = data.draw(st.lists(st.sampled_from([" ", "\n", ", ", " -- "]), min_size=4, max_size=4))
        texts.append(
            "".join(" ".join(items[k].split()[:cut]) + gap for k, cut, gap in zip(parts, cuts, breaks, strict=False))
        )
    result = found(many, tmp_path_factory.mktemp("texts"), texts)
    dirty = brute_force(items, texts, 13)
    assert result.n_words == 13
    assert {one.item for one in result.overlaps} == dirty
    assert result.n_dirty == len(dirty)


@pytest.mark.parametrize("at", [0, 3, 7])
def test_a_run_is_found_at_the_beginning_in_the_middle_and_at_the_end_of_both(many, tmp_path, at):
    run = many[0][5].split()[at : at + 13]
    for number, text in enumerate([" ".join(run), "before " + "\n".join(run), " ".join(run).upper() + "! after"]):
        folder = tmp_path / str(number)
        folder.mkdir()
        result = found(many, folder, ["nothing here", text])
        assert [(one.item, one.words, one.text) for one in result.overlaps] == [(5, " ".join(run), "1.txt")]


def test_a_run_that_ends_in_another_text_is_none(many, tmp_path):
    words = many[0][5].split()
    assert found(many, tmp_path, [" ".join(words[:12]), " ".join(words[12:])]).n_dirty == 0


def test_clean_and_dirty_items_are_scored_apart(many, tmp_path):
    texts, evaluation, _ = many
    result = found(many, tmp_path, [texts[3], "\n".join(texts[10:12])])
    assert result.n_dirty == 3
    for place, units in enumerate(evaluation.units):
        for name, numbers in {"dirty": [3, 10, 11], "clean": sorted({*range(40)} - {3, 10, 11})}.items():
            assert result.metrics[name][place] == units.chosen(numbers).metric(0)
    assert [metric.value for metric in result.metrics["all"]] == [metric.value for metric in evaluation.metrics]
    text = result.to_text()
    assert "3 of 40 items (7.5%) have 13 words in a row in common with 2 texts" in text
    assert "clean (37)" in text


def test_a_byte_order_mark_belongs_to_no_word(story, tmp_path):
    evaluation = evaluate(story, "lambada", lambada(tmp_path, 1))
    text = evaluation.items[0].context + evaluation.items[0].answer
    (tmp_path / "seen.txt").write_text(text, encoding="utf-8-sig")
    result = contamination(evaluation, tmp_path / "seen.txt", story.tokenizer)
    assert (result.n_dirty, result.n_words) == (1, len(words_of(text)))  # which needs the first word, too


def test_short_items_are_counted_and_clean(story, tmp_path):
    evaluation = evaluate(story, "lambada", lambada(tmp_path, 20))
    result = contamination(evaluation, tmp_path / "lambada_test.jsonl", story.tokenizer)
    lengths = [len(words_of(item.context + item.answer)) for item in evaluation.items]
    assert result.n_words == length_of_overlap(lengths)
    assert result.n_short == sum(length < result.n_words for length in lengths)
    assert result.n_dirty == 20 - result.n_short


def test_the_windows_of_a_text_and_whole_texts_are_items(story, tmp_path):
    (tmp_path / "story.txt").write_text(" ".join(SENTENCES * 30), encoding="utf-8")
    (tmp_path / "seen.txt").write_text(" ".join(SENTENCES[:2]), encoding="utf-8")
    evaluation = evaluate(story, "text", tmp_path / "story.txt")
    result = contamination(evaluation, tmp_path / "seen.txt", story.tokenizer)
    windows = [story.tokenizer.decode(list(item.predicted)) for item in evaluation.items]
    assert result.n_items == len(windows) > 3
    assert {one.item for one in result.overlaps} == brute_force(windows, [" ".join(SENTENCES[:2])], result.n_words)
    pages = [f" = Page = \n \n {one} . {other} . \n" for one, other in pairwise(SENTENCES)]
    (tmp_path / "wiki.test.raw").write_text("".join(pages), encoding="utf-8")
    evaluation = evaluate(story, "wikitext-2", tmp_path / "wiki.test.raw")
    result = contamination(evaluation, tmp_path / "seen.txt", story.tokenizer)
    assert (result.n_items, result.n_dirty) == (6, 1)


@pytest.mark.parametrize("kind", ["zero-shot", "few-shot", "with an instruction"])
def test_what_stands_before_an_item_makes_it_neither_dirty_nor_long(story, many, tmp_path, kind):
    instruction = " ".join(f"please{k}" for k in range(20)) if kind == "with an instruction" else ""
    data = write_lines(tmp_path / "lambada_test.jsonl", [{"text": text} for text in many[0][:10]])
    task = replace(task_named("lambada"), instruction=instruction)
    evaluation = evaluate(story, task, data, shots=2 if kind == "few-shot" else 0)
    (tmp_path / "seen.txt").write_text(f"{many[0][4]}\n{instruction}", encoding="utf-8")
    result = contamination(evaluation, tmp_path / "seen.txt", story.tokenizer)
    assert [one.item for one in result.overlaps] == [4]
    assert result.n_short == 0


def test_plain_values_are_json_even_of_a_perplexity_that_is_infinite(many, tmp_path):
    result = found(many, tmp_path, ["nothing here"])
    infinite = replace(result, metrics={**result.metrics, "all": [Metric("perplexity", math.inf, None, None)]})
    plain = json.loads(json.dumps(infinite.to_dict(), allow_nan=False))
    assert plain["metrics"]["all"][0]["value"] is None
    assert plain["n_items"] == 40


def test_the_length_is_a_percentile_between_8_and_13():
    assert length_of_overlap([9] * 3 + [40] * 97) == 13
    assert length_of_overlap([9] * 10 + [40] * 90) == 9
    assert length_of_overlap([1] * 10 + [40] * 90) == 8


def test_words_have_no_case_and_no_punctuation():
    assert words_of("“Who’s THERE?” — 3.5% of Ünïcode…\n") == ["whos", "there", "35", "of", "ünïcode"]


def test_the_texts_take_no_memory(many, tmp_path):
    (tmp_path / "long.txt").write_text("the same words again and again\n" * 200_000, encoding="utf-8")
    tracemalloc.start()
    try:
        result = contamination(many[1], tmp_path, many[2])
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert result.n_words_read == 1_200_000
    assert most < 3_000_000 < (tmp_path / "long.txt").stat().st_size


def test_texts_that_cannot_be_read_are_said(many, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has no file that ends in \.txt"):
        contamination(many[1], tmp_path, many[2])
    with pytest.raises(FileNotFoundError, match="there is no text"):
        contamination(many[1], tmp_path / "none", many[2])
    (tmp_path / "bad.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"bad\.txt is not UTF-8"):
        contamination(many[1], tmp_path, many[2])


def test_the_pair_has_read_alice():
    from support.places import DATA

    lm = gc.load("nano-gpt2")
    evaluation = evaluate(lm, "text", DATA / "alice.txt", limit=1)
    assert contamination(evaluation, DATA / "alice.txt", lm.tokenizer).n_dirty == len(evaluation.rows)
