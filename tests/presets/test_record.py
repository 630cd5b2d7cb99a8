import re
from collections import Counter

import pytest

import gptcompare as gc
from gptcompare.presets import published, record
from gptcompare.presets.record import Column, table_row

PAPER = re.compile(r"\d{4}.*, (Tables?|sections?|Appendix) [A-Z\d]")
FILE = re.compile(r"(github|huggingface)\.com?/[\w-]+/[\w.-]+ [0-9a-f]{8}, \S+")

RESULTS = [(name, result) for name in gc.presets() for result in published(name).results]


def key(result):
    return result.task, result.metric, result.shots


class TestTableRow:
    COLUMNS = (Column("LAMBADA", record.ACCURACY), Column("PIQA", record.ACCURACY, "dev set"))

    def test_a_column_and_a_cell_make_a_result(self):
        row = table_row(self.COLUMNS, (45.0, 62.0), "Table 1", record.FEW_SHOT)
        assert [(key(result), result.value, result.source, result.note) for result in row] == [
            (("LAMBADA", "accuracy, %", "few-shot"), 45.0, "Table 1", ""),
            (("PIQA", "accuracy, %", "few-shot"), 62.0, "Table 1", "dev set"),
        ]

    def test_an_empty_cell_makes_none(self):
        assert [result.task for result in table_row(self.COLUMNS, (None, 62.0), "Table 1")] == ["PIQA"]

    @pytest.mark.parametrize("cells", [(45.0,), (45.0, 62.0, 1.0)])
    def test_a_row_of_another_length_than_its_header_is_refused(self, cells):
        with pytest.raises(ValueError, match="zip"):
            table_row(self.COLUMNS, cells, "Table 1")


class TestEveryModel:
    @pytest.mark.parametrize("name", [name for name in gc.presets() if not published(name).embedded])
    def test_every_number_has_a_source_a_table_of_a_paper_or_a_file_of_a_commit(self, name):
        model = published(name)
        sources = [model.source, model.training.source, *(result.source for result in model.results)]
        assert all(PAPER.search(source) or FILE.search(source) for source in sources)

    @pytest.mark.parametrize("name", gc.presets())
    def test_task_metric_and_shots_are_unique(self, name):
        assert not [key for key, n in Counter(key(result) for result in published(name).results).items() if n > 1]

    @pytest.mark.parametrize("name", gc.presets())
    def test_the_weights_of_a_mix_add_up_to_one_but_for_gpt3_s_as_printed(self, name):
        weights = [source.weight for source in published(name).training.data]
        if weights:
            assert sum(weights) == pytest.approx(1.01 if published(name).family == "GPT-3" else 1.0)


class TestResults:
    def test_a_value_is_one_that_its_metric_can_have(self):
        for name, result in RESULTS:
            low, high = (1, 1000) if "perplexity" in result.metric else (0, 100)
            assert low <= result.value <= high, (name, result)

    def test_shots_are_zero_one_or_few(self):
        assert {result.shots for _, result in RESULTS} == {"zero-shot", "one-shot", "few-shot"}

    @pytest.mark.parametrize("field", ["task", "metric"])
    def test_nothing_is_spelt_in_two_ways(self, field):
        spellings = {getattr(result, field) for _, result in RESULTS}
        assert len({re.sub(r"\W", "", spelling).lower() for spelling in spellings}) == len(spellings)

    @pytest.mark.parametrize("task", ["LAMBADA", "Winogrande"])
    def test_models_of_one_size_share_the_tasks_whose_protocols_agree(self, task):
        names = ("gpt2-xl", "gpt3-xl", "gpt-neo-1.3b", "cerebras-gpt-1.3b", "opt-1.3b")
        for name in names:
            assert (task, "accuracy, %", "zero-shot") in map(key, published(name).results)

    @pytest.mark.parametrize("task", ["HellaSwag", "PIQA", "ARC Easy", "ARC Challenge", "OpenBookQA"])
    def test_gpt3_s_accuracy_does_not_stand_beside_one_by_another_likelihood(self, task):
        gpt3 = {result.metric for name, result in RESULTS if name.startswith("gpt3") and result.task == task}
        replicas = {
            result.metric
            for name, result in RESULTS
            if name.startswith(("gpt-neo", "cerebras", "opt")) and result.task == task
        }
        assert gpt3
        assert replicas
        assert not gpt3 & replicas
