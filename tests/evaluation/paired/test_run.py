import json
import math
import re
import shutil

import pytest
from support.models import random_model
from support.outline import Outline
from support.published_tasks import SENTENCES, additions, lambada, winogrande, write_lines

import gptcompare as gc
from gptcompare.evaluation import Task, Writing, compare, compare_kept, evaluate, task_named
from gptcompare.evaluation.paired.statistics import mcnemar
from gptcompare.evaluation.run import folder_names


@pytest.fixture(scope="module")
def lms(story):
    return {"story": story, "random": random_model(story, 3)}


@pytest.fixture
def texts(tmp_path):
    (tmp_path / "story.txt").write_text("\n".join(SENTENCES * 12), encoding="utf-8")
    return tmp_path / "story.txt"


def test_a_difference_is_counted_over_the_same_items(lms, tmp_path):
    result = compare(lms, "lambada", lambada(tmp_path, 40))
    alone = [evaluate(lm, "lambada", lambada(tmp_path, 40)) for lm in lms.values()]
    accuracy, perplexity = result.differences
    right = [[row["is_greedy"] for row in one.rows] for one in alone]
    only = tuple(sum(a and not b for a, b in zip(*pair, strict=True)) for pair in (right, right[::-1]))
    assert accuracy.only == only
    assert accuracy.p_value == mcnemar(*only)
    assert accuracy.value == pytest.approx(alone[0].metrics[0].value - alone[1].metrics[0].value)
    assert perplexity.values == tuple(one.metrics[1] for one in alone)
    assert perplexity.low < perplexity.value < perplexity.high
    assert accuracy.n == perplexity.n == 40


def test_a_model_beside_itself_shows_no_difference(story, texts):
    result = compare({"one": story, "other": story}, "text", texts)
    for one in result.differences:
        assert (one.value, one.low, one.high, one.p_value, one.n_needed) == (0, 0, 0, 1, None)
        assert not one.is_real
    assert "none can be seen" in result.to_text(n_cells=1000)


def test_three_models_are_each_compared_with_the_first_and_corrected_together(lms, tmp_path):
    several = {**lms, "another": random_model(lms["story"], 4)}
    winogrande(tmp_path, 9)
    result = compare(several, "winogrande", tmp_path / "dev.jsonl")
    assert [one.models for one in result.differences] == [("story", "random"), ("story", "another")]
    p_values = [one.p_value for one in result.differences]
    assert [one.adjusted for one in result.differences] == [
        pytest.approx(min(max(2 * min(p_values), p if p > min(p_values) else 0), 1)) for p in p_values
    ]
    assert "story - another" in result.to_text()


def test_kept_rows_say_the_same_without_the_models(lms, tmp_path):
    kept = tmp_path / "kept"
    result = compare(lms, ["lambada"], lambada(tmp_path, 24), folder=kept)
    again = compare_kept([kept / "story", kept / "random"])
    assert again.to_dict()["differences"] == result.to_dict()["differences"]
    assert again.models == ("story", "random")
    single = compare_kept([kept / "story" / "lambada", kept / "random" / "lambada"])
    assert single.differences == again.differences
    mixed = compare_kept([kept / "story", kept / "random" / "lambada"])
    assert (mixed.models, mixed.differences) == (again.models, again.differences)
    assert compare(lms, ["lambada"], lambada(tmp_path, 24), folder=kept).differences == result.differences


@pytest.fixture
def kept(lms, tmp_path):
    """Folders of two models, and a function that evaluates another one there."""
    compare(lms, ["lambada"], lambada(tmp_path, 16), folder=tmp_path / "kept")
    return tmp_path / "kept" / "story" / "lambada", tmp_path / "kept" / "random" / "lambada"


def test_rows_of_other_items_are_refused_with_the_reason(lms, kept, tmp_path):
    first, _ = kept
    other = tmp_path / "other"
    other.mkdir()
    for change, reason in {
        "file": "their files differ",
        "limit": "limit is None for one and 12 for the other",
        "task": "no task in common",
    }.items():
        folder = tmp_path / change
        if change == "file":
            evaluate(lms["random"], "lambada", lambada(other, 17), folder=folder)
        elif change == "limit":
            evaluate(lms["random"], "lambada", lambada(tmp_path, 16), limit=12, folder=folder)
        else:
            evaluate(lms["random"], "winogrande", winogrande(other), folder=folder)
        with pytest.raises(ValueError, match=reason):
            compare_kept([first, folder])


def test_other_prompts_are_refused(lms, tmp_path):
    data = additions(tmp_path)
    places = [tmp_path / str(shots) for shots in (0, 2)]
    for shots, place in zip((0, 2), places, strict=True):
        evaluate(lms["story"], "two-digit-addition", data, shots=shots, folder=place)
    with pytest.raises(ValueError, match="shots is 0 for one and 2 for the other"):
        compare_kept(places)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda folder: (folder / "result.json").unlink(), "not finished"),
        (lambda folder: (folder / "items.jsonl").unlink(), "no items.jsonl"),
        (lambda folder: cut(folder / "items.jsonl"), "15 of 16 items"),
        (lambda folder: (folder / "result.json").write_text("{"), "not a JSON|result.json"),
        (lambda folder: edited(folder / "result.json", "protocol", {"protocol": "mine"}), "does not have the protocol"),
        (lambda folder: edited(folder / "result.json", "protocol", None), "earlier version"),
        (lambda folder: edited(folder / "result.json", "model", None), r"result\.json is damaged: run the same"),
        (lambda folder: edited(folder / "result.json", "model", 3), r"result\.json is damaged"),
        (lambda folder: edited(folder / "result.json", "data", [{"file": "a"}]), r"result\.json is damaged"),
        (lambda folder: edited(folder / "result.json", "protocol", "choosing"), r"result\.json is damaged"),
    ],
    ids=["no result", "no rows", "a torn line", "no JSON", "a protocol of one's own", "an earlier version",
         "no model", "a number as model", "a file without a digest", "a text as protocol"],
)  # fmt: skip
def test_an_evaluation_that_is_not_whole_is_refused(kept, damage, reason):
    first, second = kept
    damage(second)
    with pytest.raises((ValueError, FileNotFoundError), match=reason):
        compare_kept([first, second])


def cut(path):
    content = path.read_bytes()
    path.write_bytes(content[: content.rstrip(b"\n").rindex(b"\n") + 30])


def edited(path, name, value):
    content = json.loads(path.read_text(encoding="utf-8"))
    if value is None:
        del content[name]
    else:
        content[name] = value
    path.write_text(json.dumps(content), encoding="utf-8")


def test_models_of_different_vocabularies_are_compared_by_the_byte_over_several_texts(lms, tmp_path):
    nano = gc.load("nano-gpt2")
    path = tmp_path / "wiki.test.raw"
    pages = [f" = Page {k} = \n \n {text} . \n" for k, text in enumerate(SENTENCES)]
    path.write_text("".join(pages), encoding="utf-8")
    result = compare({"nano": nano, "story": lms["story"]}, "wikitext-2", path, stride=8)
    assert [one.metric for one in result.differences] == ["perplexity", "bits per byte"]
    (tmp_path / "one.txt").write_text(SENTENCES[0] * 30, encoding="utf-8")
    read = [SENTENCES[one.number] for one in result.examples(100)]
    assert sorted(read) == sorted(SENTENCES)  # whole texts, as windows of different models are not the same
    for one in result.examples(2):
        for name, evaluation in result.evaluations[0].items():
            rows = [row for row in evaluation.rows if row["document"] == one.number]
            bits = -sum(row["logprob"] for row in rows) / math.log(2) / sum(row["n_bytes"] for row in rows)
            assert one.answers[name] == f"{bits:.3f} bits per byte"
    with pytest.raises(ValueError, match="the only text in different windows"):
        compare({"nano": nano, "story": lms["story"]}, "text", tmp_path / "one.txt")


def test_fewer_than_two_models_and_no_task_are_refused(lms, texts):
    with pytest.raises(ValueError, match="a difference needs two models, got story"):
        compare({"story": lms["story"]}, "text", texts)
    with pytest.raises(ValueError, match="no task"):
        compare(lms, [], texts)
    with pytest.raises(ValueError, match="a difference needs two models"):
        compare_kept([texts.parent])


def test_the_items_where_they_differ_most_come_first_with_their_answers(lms, tmp_path):
    result = compare(lms, "lambada", lambada(tmp_path, 40))
    found = result.examples(40)
    rows = [one.rows for one in result.evaluations[0].values()]
    apart = [rows[0][one.number]["is_greedy"] != rows[1][one.number]["is_greedy"] for one in found]
    assert apart == sorted(apart, reverse=True)
    for group in (True, False):
        sizes = [one.difference for one, is_apart in zip(found, apart, strict=True) if is_apart == group]
        assert sizes == sorted(sizes, reverse=True)
    text = result.to_text(n_cells=200, n_examples=1)
    assert repr(found[0].right) in text
    assert re.search(r"story: (the right word|another word); the right one had [\d.]+%", text)


def test_every_kind_of_item_has_examples(lms, tmp_path):
    winogrande(tmp_path)
    choices = compare(lms, "winogrande", tmp_path / "dev.jsonl").to_text(n_examples=1)
    assert re.search(r"random: '.*' \([\d.]+%\), the right one [\d.]+%", choices)
    written = compare(lms, "two-digit-addition", additions(tmp_path), beams=1).to_text(n_examples=1)
    assert "right: '" in written


def test_text_markdown_json_and_page_say_the_same(lms, tmp_path):
    result = compare(lms, "lambada", lambada(tmp_path, 30))
    assert json.loads(json.dumps(result.to_dict()))["models"] == ["story", "random"]
    first, rule, *rows = result.to_markdown().splitlines()
    assert first.count("|") == rule.count("|") == rows[0].count("|") == 9
    html = result.to_html("a < b")
    outline = Outline(html)
    assert [tag for tag, _ in outline.tags].count("circle") == 2
    assert "a < b" in outline.text
    assert " ".join(result.to_text(n_examples=5).split()) in " ".join(outline.text.split())
    assert "story and random at lambada" in repr(result)


def test_a_task_of_ones_own_can_be_compared(lms, tmp_path):
    data = write_lines(tmp_path / "mine.jsonl", [{"context": "Once upon a", "completion": " time"}] * 4)
    own = task_named("two-digit-addition")
    assert isinstance(own, Task)
    result = compare(lms, own, data, beams=1)
    assert isinstance(next(iter(result.evaluations[0].values())).protocol, Writing)


def test_a_folder_that_moved_still_says_the_same(kept, tmp_path):
    moved = [shutil.copytree(place, tmp_path / "moved" / f"{n}" / "lambada") for n, place in enumerate(kept)]
    there, here = compare_kept(moved), compare_kept(kept)
    assert there.models == ("0", "1")
    assert [one.values for one in there.differences] == [one.values for one in here.differences]


def test_a_folder_of_one_evaluation_beside_one_of_several_is_found_by_either_name(lms, tmp_path):
    kept = tmp_path / "kept"
    result = compare(lms, "lambada", lambada(tmp_path), limit=8, folder=kept)
    inside = kept / "random" / "lambada-limit-8"
    assert compare_kept([kept / "story", inside]).differences == result.differences
    renamed = shutil.copytree(inside, tmp_path / "another" / "mine")
    shutil.move(kept / "story" / inside.name, kept / "story" / "lambada")
    assert [one.value for one in compare_kept([kept / "story", renamed]).differences] == [
        one.value for one in result.differences
    ]


def test_folders_of_the_same_last_name_are_kept_apart(lms, tmp_path):
    places = [tmp_path / name / "final" for name in "ab"]
    for lm, place in zip(lms.values(), places, strict=True):
        lm.save_pretrained(place)
    result = compare(list(map(str, places)), "lambada", lambada(tmp_path), folder=tmp_path / "kept")
    assert len(list((tmp_path / "kept").glob("*/lambada/items.jsonl"))) == 2
    assert result.models == tuple(map(str, places))


def test_no_two_folders_have_the_same_name(tmp_path, monkeypatch):
    (tmp_path / "a" / "final" / "final").mkdir(parents=True)
    (tmp_path / "b" / "final").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "final" / "final")
    for models in ([".", ".."], [".", "../../../b/final"], ["..", "../final", "gpt2"]):
        names = folder_names(models)
        assert len({*names.values()}) == len(models)
        assert not any("/" in name or name in ("", ".", "..") for name in names.values())
    assert folder_names([".", "openai-community/gpt2"]) == {
        ".": "final", "openai-community/gpt2": "openai-community--gpt2"
    }  # fmt: skip


def test_shots_and_limits_are_named(lms, tmp_path):
    data = additions(tmp_path)
    result = compare(lms, "two-digit-addition", data, shots=2, limit=5, beams=1)
    assert result.differences[0].task == result.examples(1)[0].task == "two-digit-addition (2 shots, first 5)"


def test_the_page_has_as_many_examples_as_are_wanted_and_no_label_is_cut(lms, tmp_path):
    result = compare(lms, "lambada", lambada(tmp_path))
    assert result.to_html(n_examples=2).count("lambada, item") == 2
    for x, label in re.findall(r'<text x="(\d+)"[^>]*text-anchor="end">([^<]*)<', result.to_html()):
        assert len(label) * 7.2 <= float(x)
