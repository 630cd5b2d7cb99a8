"""Every public object says on one short line what it is."""

from __future__ import annotations

import importlib
import inspect
import re

import numpy as np
import pytest
from support.pages import module_of_the_docs

import gptcompare as gc
from gptcompare.evaluation import TASKS, Choosing, Content, Document, Item, LastWord, Metric, Questions, Writing
from gptcompare.presets import published
from gptcompare.training import AdamW, Batches, Metrics, Muon, Recipe, tune_classifier
from gptcompare.verification import known_records

LONGEST = 200
PROMPT = "Once upon a time there was a king who had\nthree daughters, and"
TEXT = "The hen went\nto the mill. " * 40
WITHOUT = {
    "CheckpointError": "an exception, which shows its message",
    "DownloadError": "an exception, which shows its message",
    "DivergedError": "an exception, which shows its message",
    "Pattern": "abstract: its kinds are shown",
    "Protocol": "abstract: its kinds are shown",
    "Units": "abstract: its kinds are shown",
    "Task": "abstract: its kinds are shown",
}
# What is shown can be copied into a program, and may be longer.
IS_WHAT_MAKES_IT = {"GPTConfig": "all numbers of a model", "Recipe": "all numbers of a training"}


def classes():
    """Every public class, by its full name."""
    pages = {page for of_face in module_of_the_docs("rooms").pages().values() for page in of_face}
    found = {}
    for page in sorted(pages):
        module, _, name = page.rpartition(".")
        value = getattr(importlib.import_module(module), name)
        if inspect.isclass(value):
            found[name] = value
    return found


CLASSES = classes()


@pytest.fixture(scope="module")
def instances(tmp_path_factory):
    """One of each, as large as they come."""
    lm = gc.load("nano-gpt2")
    options = {"temperature": 0.8, "seed": 1, "max_new_tokens": 60}
    compared = gc.compare(PROMPT, **options)
    stream = lm.stream(PROMPT)
    ids = lm.encode(TEXT)
    file = tmp_path_factory.mktemp("reprs") / "text.txt"
    file.write_text(TEXT)
    record = next(record for record in known_records() if record.model == "nano-gpt2")
    verified = gc.verification.verify(lm, name="nano-gpt2", records=[record])
    tiny = gc.GPT(gc.GPTConfig(n_layer=1, n_head=1, d_model=4, n_ctx=64, n_vocab=4096))
    items = [Item(((TEXT, " yes"), (TEXT, " no")), 0, "file"), Document(TEXT, 100, 1000)]
    differences = gc.compare_texts([TEXT])
    differing = [differences, differences.most(1)[0], differences.mean_divergence]
    with gc.play.serve(port=0) as served:
        pass
    attributed = gc.inspection.attribution(lm.model, ids[:20], 7, against=5, n_steps=2)
    protocols = [task.protocol for task in TASKS.values() if isinstance(task, Questions)]
    every = [
        lm, lm.model, lm.tokenizer, lm.tokenizer.tokens(TEXT), lm.tokenizer.vocabulary,
        lm.tokenizer.stream_decoder(), lm.model.new_cache(3),
        lm.generate(PROMPT, **options), lm.score(TEXT), stream, gc.GenerationOptions(stop=["\n"]), gc.Sampling(),
        gc.GPTConfig.preset("gpt3-175b"), compared, compared.parting, compared.readings[0], compared.sides[0],
        gc.compare_text(TEXT), gc.comparison.ComparisonStream(PROMPT, {"a": lm, "b": lm}),
        gc.table(), gc.report(["gpt2", "gpt3-175b"]), lm.model.trace(ids[:20]),
        lm.score(TEXT, alternatives=3).alternatives,
        gc.uses.choose(lm, TEXT, [TEXT, "ink", "gold"]), gc.uses.classify(lm, [TEXT, "x"], ["animals", "weather"]),
        gc.uses.Entity("Max", "person", 0, 3), gc.uses.Features(lm), gc.uses.token_features(lm, TEXT),
        gc.uses.log_likelihoods(lm, [("Once", " upon")])[0], gc.uses.QUESTION,
        gc.evaluation.evaluate(lm, "text", file), *TASKS.values(), *filter(None, (one.data for one in TASKS.values())),
        *items, *protocols, LastWord(), Choosing(True), Writing(4), Metric("accuracy", 0.5, 0.4, 0.6),
        *differing, *shown_by_evaluation(lm, file), gc.plots.architecture("gpt3-175b"),
        gc.inspection.head_scores(lm.model), attributed, attributed.tokens(lm.tokenizer),
        gc.comparison.Writer(lm, {"temperature": 0.5}), served,
        gc.evaluation.Settings(), verified, verified.rows[0], verified.rows[0].agreement, record,
        Content("file", TEXT.encode()),
        tune_classifier(lm, ["We danced.", "He wept."], ["positive", "negative"], Recipe(n_steps=1, batch=1)),
        AdamW(tiny.parameters(), Recipe(n_steps=9)), Muon(tiny.parameters(), Recipe(n_steps=9)),
        Batches(np.zeros(100, np.intp), 2, 8, 0), Recipe(n_steps=9),
        Metrics(1, 2, 3.0, 4.0, 5.0, 6.0), *map(published, gc.presets()),
        *(published(name).training for name in gc.presets()), *published("gpt2").results,
        *published("gpt3-175b").training.data, gc.patterns.Dense(), gc.patterns.Banded(64), gc.patterns.Strided(8),
        gc.patterns.Fixed(8, 2), gc.patterns.Banded(64).parts(100, 10, 2).__iter__().__next__(),
    ]  # fmt: skip
    return every


def shown_by_evaluation(lm, file):
    """What comparing two models, and looking at what they have read, returns."""
    result = gc.evaluation.evaluate(lm, "text", file)
    paired = gc.evaluation.compare({"a": lm, "b": lm}, "text", file)
    right = gc.evaluation.Rights("accuracy, %", (True, False) * 500)
    curve = gc.evaluation.Curve("lambada", (0, 1, 10), {"a": (result,) * 3})
    return (
        paired,
        paired.differences[0],
        result.units[0],
        right,
        curve,
        gc.evaluation.contamination(result, file, lm.tokenizer),
    )


def test_there_is_an_instance_of_every_public_class(instances):
    kinds = {type(instance).__name__ for instance in instances}
    assert sorted({*CLASSES} - kinds - {*WITHOUT}) == []


def test_each_says_on_one_short_line_what_it_is(instances):
    wrong = []
    for instance in instances:
        name, shown = type(instance).__name__, repr(instance)
        if "\n" in shown or re.search(r" at 0x[0-9a-f]+", shown) or name not in shown:
            wrong.append((name, shown[:300]))
        if len(shown) > LONGEST and name not in IS_WHAT_MAKES_IT:
            wrong.append((name, len(shown), shown[:120]))
    assert wrong == []


def test_print_shows_what_there_is_to_read():
    for shown in (gc.table(["gpt2"]), gc.compare_text("The king ran.")):
        assert str(shown) == shown.to_text()
    report = gc.report(["gpt2"])
    assert str(report) == report.to_markdown()


def test_a_model_has_the_name_that_it_was_loaded_by():
    lm = gc.load("nano-gpt2")
    assert lm.name == lm.allowing("all").name == "nano-gpt2"
    assert gc.LanguageModel(lm.model, lm.tokenizer).name is None
    assert [side.name for side in gc.compare("Once", [lm, lm], max_new_tokens=1).sides] == [
        "nano-gpt2",
        "nano-gpt2 (2)",
    ]
