import json

import pytest

from gptcompare.evaluation import Evaluation, LastWord, Metric, Settings, task_named

METRICS = (Metric("accuracy, %", 32.5, 31.2, 33.9), Metric("perplexity (lm-eval)", 40.1, 37.0, 4321.0))


def evaluation(task="lambada", name="gpt2-xl", metrics=METRICS, n_cut=0, digest=None, **settings):
    task = task_named(task)
    rows = [{"logprob": -1.0, "n_cut": n_cut}] * 1234
    data = [
        {"file": "a", "sha256": digest or (task.data.published.digest.removeprefix("sha256:") if task.data else "")}
    ]
    return Evaluation(
        task, Settings(**settings), metrics, rows, {"name": name}, data, {"version": "1"}, LastWord(), [], ""
    )


class TestWhatIsPublished:
    def test_of_a_model_with_results_it_is_its_own(self):
        found = evaluation().published()
        assert {name for name, _ in found} == {"gpt2-xl"}
        assert {result.task for _, result in found} == {"LAMBADA"}
        assert [(result.metric, result.value) for _, result in found[:2]] == [
            ("accuracy, %", 51.21), ("perplexity (lm-eval)", 10.634)
        ]  # fmt: skip

    @pytest.mark.parametrize("name", ["nano-gpt2", None, "/a/folder", "owner/model"])
    def test_of_another_it_is_that_of_the_smallest_of_both_families(self, name):
        assert {one for one, _ in evaluation(name=name).published()} == {"gpt2", "gpt3-small"}

    def test_other_models_can_be_asked_for(self):
        assert {one for one, _ in evaluation().published(["gpt3-175b", "124M"])} == {"gpt3-175b", "gpt2"}
        with pytest.raises(ValueError, match="unknown model 'gpt5'"):
            evaluation().published(["gpt5"])

    def test_few_shot_results_stand_beside_few_shot_results(self):
        few = evaluation("lambada-cloze", shots=15).published(["gpt3-175b"])
        assert few[0][1].value == 86.4
        assert evaluation("lambada-cloze", shots=1).published(["gpt3-175b"])[0][1].value == 72.5
        assert evaluation().published(["gpt3-175b"])[0][1].value == 76.2

    @pytest.mark.parametrize(("task", "shots"), [("lambada", 1), ("lambada", 15), ("lambada-cloze", 0)])
    def test_what_was_asked_otherwise_does_not_stand_beside_it(self, task, shots):
        text = evaluation(task, shots=shots).to_text(["gpt3-175b"])
        assert "gpt3-175b" not in text


class TestText:
    def test_it_is_a_table_with_intervals_and_what_is_published_beside_it(self):
        assert evaluation().to_text(["gpt2-xl", "gpt3-175b"]).splitlines()[:5] == [
            "lambada of gpt2-xl, zero-shot, 1,234 items",
            "",
            "                      measured    95% interval  gpt2-xl  gpt3-175b",
            "accuracy, %              32.50  31.20 to 33.90    51.21       76.2",
            "perplexity (lm-eval)     40.10   37.00 to 4321   10.634          –",
        ]

    def test_every_published_number_has_its_source_those_that_were_scored_otherwise_too(self):
        lines = evaluation().to_text(["gpt2"]).splitlines()
        assert "published, zero-shot:" in lines
        assert "  gpt2: accuracy with a stop-word filter, % 45.99 (Radford et al. 2019, Table 3)" in lines

    def test_of_another_file_it_says_so(self):
        assert "published, zero-shot, of another file than this one:" in str(evaluation(digest="00")).splitlines()
        assert (evaluation().is_of_published_file, evaluation(digest="00").is_of_published_file) == (True, False)

    @pytest.mark.parametrize("task", ["piqa", "reversed-words", "text"])
    def test_of_an_archive_it_cannot_know(self, task):
        assert evaluation(task).is_of_published_file is None

    def test_what_was_cut_is_said(self):
        title = str(evaluation(n_cut=3)).splitlines()[0]
        assert title.endswith("1,234 items, 1,234 of them longer than the context and cut at their beginning")

    def test_of_a_text_it_says_the_stride(self):
        metrics = (Metric("perplexity (per token)", 20.0, 19.0, 21.0),)
        text = str(evaluation("text", metrics=metrics, stride=512))
        assert text.splitlines()[0] == "text of gpt2-xl, stride 512, 1,234 windows"
        assert "published" not in text


def test_without_an_interval_there_is_a_dash():
    text = str(evaluation(metrics=(Metric("accuracy, %", 32.5, None, None),)))
    assert "accuracy, %     32.50             –  " in text


def test_a_metric_is_found_by_its_name():
    assert evaluation()["accuracy, %"] == METRICS[0]
    with pytest.raises(KeyError, match="there are accuracy, %, perplexity"):
        evaluation()["F1"]


def test_as_plain_values_it_is_json_with_all_that_is_known():
    found = json.loads(json.dumps(evaluation(shots=0, seed=4).to_dict(["gpt3-175b"])))
    assert found["metrics"][0] == {"name": "accuracy, %", "value": 32.5, "low": 31.2, "high": 33.9}
    assert (found["task"], found["n_rows"], found["settings"]["seed"]) == ("lambada", 1234, 4)
    assert found["is_of_published_file"] is True
    assert {one["shots"] for one in found["published"]} == {"zero-shot", "one-shot", "few-shot"}
    assert all(one["model"] == "gpt3-175b" and one["source"] for one in found["published"])
