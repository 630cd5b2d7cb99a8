import dataclasses
import json
import random
import re
import shutil

import pytest
from support.amounts import few_or_many
from support.damage import damaged
from support.models import random_model
from support.packages import needs_dask
from support.places import STORY_FOLDER
from support.published_tasks import additions, lambada, wikitext, winogrande

import gptcompare as gc
from gptcompare.evaluation import TASKS, Item, Questions, evaluate, log_likelihoods
from gptcompare.evaluation.tasks.protocols import Choosing, LastWord

TASK_FILES = {"lambada": lambada, "winogrande": winogrande, "wikitext-2": wikitext, "two-digit-addition": additions}


@pytest.fixture(params=[*TASK_FILES])
def task_and_file(request, tmp_path):
    return request.param, TASK_FILES[request.param](tmp_path)


def same(one, other):
    return (one.rows, one.metrics, one.settings) == (other.rows, other.metrics, other.settings)


def test_rows_are_in_the_order_of_the_file(story, tmp_path):
    path = lambada(tmp_path)
    found = evaluate(story, "lambada", path)
    items = TASKS["lambada"].read(TASKS["lambada"].data.contents(path))
    expected = [one.logprob for one in log_likelihoods(story, [(item.context, item.answer) for item in items])]
    assert [row["logprob"] for row in found.rows] == pytest.approx(expected, rel=1e-5)


def test_the_same_call_finds_the_same(story, task_and_file, four_threads):
    assert same(evaluate(story, *task_and_file), evaluate(story, *task_and_file))


@pytest.mark.parametrize(
    ("task", "good", "too_long", "words"),
    [
        ("lambada", {"text": "Once upon a time"}, {"text": "Once upon a " + "x" * 3000}, "the continuation has"),
        (
            "two-digit-addition",
            {"context": "Q: What is 1 plus 1?\nA:", "completion": " 2"},
            {"context": "word " * 600, "completion": " 2"},
            "the prompt has",
        ),
    ],
)
def test_an_item_that_is_too_long_for_the_model_is_named_by_its_line(story, tmp_path, task, good, too_long, words):
    path = tmp_path / "items.jsonl"
    path.write_text("".join(json.dumps(item) + "\n" for item in [good, good, too_long, good]))
    with pytest.raises(
        ValueError, match=rf"items\.jsonl, line 3: {words} \d+ tokens, the model's context is 256: shorten"
    ):
        evaluate(story, task, path)


def test_a_limit_takes_the_first_items(story, tmp_path):
    path = lambada(tmp_path)
    few, all_ = evaluate(story, "lambada", path, limit=5), evaluate(story, "lambada", path)
    logprobs = [row["logprob"] for row in all_.rows[:5]]
    assert [row["logprob"] for row in few.rows] == pytest.approx(logprobs, rel=1e-5)


def test_a_model_can_be_given_by_its_folder(story, tmp_path):
    path = lambada(tmp_path)
    found = evaluate(STORY_FOLDER, "lambada", path)
    assert same(found, evaluate(story, "lambada", path))
    assert found.model["name"] == str(STORY_FOLDER)


def test_a_task_can_be_ones_own(story, tmp_path):
    def read(contents):
        return [Item(((text, " king"), (text, " zebra"))) for text in contents[0].content.decode().split(";")]

    protocol = Choosing(normalised=False)
    kings = Questions(name="kings", title="Kings", data=None, n_items=None, source="", read=read, protocol=protocol)
    (tmp_path / "kings.txt").write_text("There was once a;So spoke the")
    found = evaluate(story, kings, tmp_path / "kings.txt", shots=1)
    assert found["accuracy, %"].value == 100.0
    assert str(found).startswith(f"kings of {STORY_FOLDER}, one-shot, 2 items\n")


def test_a_model_that_was_loaded_before_has_the_name_that_it_was_loaded_by(story, tmp_path):
    (tmp_path / "text.txt").write_text("There was a king.")
    loaded = evaluate(gc.load("nano-gpt2"), "text", tmp_path / "text.txt")
    assert str(loaded).startswith("text of nano-gpt2, ")
    assert loaded.model["commit"] is None  # what is there by that name may have changed since
    made = gc.LanguageModel(story.model, story.tokenizer)
    assert str(evaluate(made, "text", tmp_path / "text.txt")).startswith("text of a model, ")


class TestFolder:
    def test_what_was_found_is_not_computed_again(self, story, task_and_file, tmp_path, monkeypatch):
        first = evaluate(story, *task_and_file, folder=tmp_path / "out")
        monkeypatch.setattr(gc.GPT, "__call__", None)
        monkeypatch.setattr(gc.GPT, "residual_stream", None)
        assert same(evaluate(story, *task_and_file, folder=tmp_path / "out"), first)

    @pytest.mark.parametrize("n_chunks", [0, 1, 2])
    def test_after_a_stop_it_goes_on_and_finds_the_same(self, story, tmp_path, monkeypatch, n_chunks):
        path = lambada(tmp_path, n=20)
        n_scored = []
        rows = LastWord.rows

        def stop_later(self, lm, items):
            if len(n_scored) == n_chunks:
                raise KeyboardInterrupt
            n_scored.append(len(items))
            return rows(self, lm, items)

        with monkeypatch.context() as stopping:
            stopping.setattr(LastWord, "rows", stop_later)
            with pytest.raises(KeyboardInterrupt):
                evaluate(story, "lambada", path, folder=tmp_path / "out")
        assert not (tmp_path / "out" / "result.json").exists()
        monkeypatch.setattr(LastWord, "rows", lambda *args: n_scored.append(len(args[2])) or rows(*args))
        resumed = evaluate(story, "lambada", path, folder=tmp_path / "out")
        assert sum(n_scored) == 20
        assert same(resumed, evaluate(story, "lambada", path))

    def test_the_result_has_all_that_it_came_from(self, story, tmp_path):
        path = lambada(tmp_path)
        found = evaluate(story, "lambada", path, shots=2, seed=5, folder=tmp_path / "out")
        result = json.loads((tmp_path / "out" / "result.json").read_text())
        assert result == json.loads(json.dumps(found.to_dict()))
        assert result["settings"] == {"limit": None, "seed": 5, "shots": 2, "stride": None, "beams": None}
        assert result["gptcompare"]["version"] == gc.__version__
        assert result["model"]["config"]["n_layer"] == story.config.n_layer
        assert [file["file"] for file in result["data"]] == ["lambada_test.jsonl"]
        assert {metric["name"] for metric in result["metrics"]} == {"accuracy, %", "perplexity (lm-eval)"}

    @pytest.mark.parametrize("other", ["data", "settings", "model", "configuration", "vocabulary", "items"])
    def test_another_evaluation_has_a_folder_of_its_own(self, story, tmp_path, other):
        path = lambada(tmp_path)
        evaluate(story, "lambada", path, folder=tmp_path / "out")
        lm, task = story, TASKS["lambada"]
        if other == "data":
            lambada(tmp_path, n=19)
        elif other == "model":
            lm = gc.load("nano-gpt2")
        elif other == "configuration":
            config = dataclasses.replace(story.config, layer_norm_eps=1e-3)
            lm = gc.LanguageModel(gc.GPT(config, story.model.parameters()), story.tokenizer)
        elif other == "vocabulary":
            vocabulary = dataclasses.replace(story.tokenizer.vocabulary, bos="<|endoftext|>")
            lm = gc.LanguageModel(story.model, gc.Tokenizer(vocabulary))
        elif other == "items":
            task = dataclasses.replace(task, instruction="Complete:")
        part = "model" if other in ("configuration", "vocabulary") else other
        with pytest.raises(
            ValueError, match=rf"is from another evaluation \(it differs in .*{part}.*\): give another folder"
        ):
            evaluate(lm, task, path, seed=int(other == "settings"), folder=tmp_path / "out")

    def test_a_file_with_another_name_is_the_same_evaluation(self, story, tmp_path):
        path = lambada(tmp_path)
        first = evaluate(story, "lambada", path, folder=tmp_path / "out")
        shutil.copy(path, tmp_path / "copy.jsonl")
        assert same(evaluate(story, "lambada", tmp_path / "copy.jsonl", folder=tmp_path / "out"), first)

    @few_or_many("n", 30, 400)
    def test_a_damaged_folder_ends_as_the_whole_one_or_in_one_clear_error(self, tmp_path, n):
        lm = random_model(gc.load(STORY_FOLDER), n_layer=1)
        path = lambada(tmp_path, n=24)
        whole = evaluate(lm, "lambada", path, folder=tmp_path / "out")
        first = (tmp_path / "out" / "items.jsonl").read_bytes().split(b"\n")[0]
        rng, n_refused = random.Random(2), 0
        for _ in range(n):
            folder = shutil.copytree(tmp_path / "out", tmp_path / "copy")
            name = rng.choice(["items.jsonl", "items.jsonl", "result.json"])
            content = damaged((folder / name).read_bytes(), rng)
            (folder / name).write_bytes(content)
            error = ""
            try:
                assert same(evaluate(lm, "lambada", path, folder=folder), whole)
            except ValueError as refusal:
                error = str(refusal)
            if error:
                n_refused += 1
                assert content.split(b"\n")[0] != first, error
                assert re.search(r"items\.jsonl(, line 1: damaged| is from another evaluation)", error)
            shutil.rmtree(folder)
        assert 0 < n_refused < n / 2

    def test_a_class_that_is_renamed_goes_on_with_its_rows(self, story, tmp_path, monkeypatch):
        path = lambada(tmp_path)
        first = evaluate(story, "lambada", path, folder=tmp_path / "out")
        monkeypatch.setattr(gc.GPT, "__call__", None)
        monkeypatch.setattr(gc.GPT, "residual_stream", None)
        names = {class_: class_.__qualname__ for class_ in (LastWord, Item)}
        try:
            for class_ in names:
                class_.__qualname__ = "Renamed"
            assert same(evaluate(story, "lambada", path, folder=tmp_path / "out"), first)
        finally:
            for class_, name in names.items():
                class_.__qualname__ = name

    def test_another_version_s_rows_are_not_mixed_with_ours(self, story, tmp_path, monkeypatch):
        path = lambada(tmp_path)
        evaluate(story, "lambada", path, folder=tmp_path / "out")
        monkeypatch.setattr("gptcompare.evaluation.run.__version__", "9.9")
        with pytest.raises(ValueError, match=r"another evaluation \(it differs in version\)"):
            evaluate(story, "lambada", path, folder=tmp_path / "out")


class TestWhatCannotBe:
    def test_without_a_network_a_file_must_be_given(self, story):
        with pytest.raises(gc.DownloadError, match="GPTCOMPARE_OFFLINE is set"):
            evaluate(story, "lambada")

    def test_the_task_of_a_text_has_no_published_file(self, story):
        with pytest.raises(ValueError, match="'text' has no published file: give one of your own"):
            evaluate(story, "text")

    def test_a_prompt_longer_than_the_context_cannot_be_answered(self, story, tmp_path):
        with pytest.raises(ValueError, match="the model's context is 256: shorten it"):
            evaluate(story, "two-digit-addition", additions(tmp_path, n=60), shots=40, limit=1)

    def test_a_model_without_a_name_cannot_be_sent_to_dask(self, story, tmp_path):
        with pytest.raises(ValueError, match="given by its name or folder: every worker loads it"):
            evaluate(story, "lambada", lambada(tmp_path), dask=1)

    def test_a_number_of_workers_is_not_negative(self, tmp_path):
        for wrong in (-1, True, "foo"):
            with pytest.raises(ValueError, match=f"or a number of workers, got {wrong!r}"):
                evaluate(STORY_FOLDER, "lambada", lambada(tmp_path), dask=wrong)


@pytest.mark.reference
@pytest.mark.filterwarnings("ignore")
def test_with_dask_the_result_is_the_same_and_it_goes_on_where_one_process_stopped(
    story, task_and_file, tmp_path, monkeypatch
):
    needs_dask()
    expected = evaluate(STORY_FOLDER, *task_and_file)
    monkeypatch.chdir(STORY_FOLDER.parent)
    assert same(evaluate(STORY_FOLDER.name, *task_and_file, dask=2, folder=tmp_path / "out"), expected)
    assert same(evaluate(STORY_FOLDER.name, *task_and_file, folder=tmp_path / "out"), expected)
