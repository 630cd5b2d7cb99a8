"""Table H.1 against the paper's other tables, its own averages and the sizes of the test sets."""

from statistics import mean

import pytest

from gptcompare.presets import published
from gptcompare.presets.gpt3_results import SIZES, TABLE_H_1, TEST_SERVER
from gptcompare.presets.record import ACCURACY, AVERAGE, F1, F1A, SHOTS

# Zero-, one- and few-shot accuracy of 175B.
TABLE_3_9 = {
    "2D+": (76.9, 99.6, 100.0), "2D-": (58.0, 86.4, 98.9), "3D+": (34.2, 65.5, 80.4), "3D-": (48.3, 78.7, 94.2),
    "4D+": (4.0, 14.0, 25.5), "4D-": (7.5, 14.0, 26.8), "5D+": (0.7, 3.5, 9.3), "5D-": (0.8, 3.8, 9.9),
    "2Dx": (19.8, 27.4, 29.2), "1DC": (9.8, 14.3, 21.3),
}  # fmt: skip
TABLE_3_10 = {
    "CL": (3.66, 21.7, 37.9), "A1": (2.28, 8.62, 15.1), "A2": (8.91, 25.9, 39.7),
    "RI": (8.26, 45.4, 67.2), "RW": (0.09, 0.48, 0.44),
}  # fmt: skip

# How many questions there are, where they are so few that most numbers are not a fraction of them.
N_QUESTIONS = {
    "CB": 56, "COPA": 100, "RTE": 277, "WSC": 104, "WiC": 638, "OpenBookQA": 500, "Winograd": 273, "SAT analogies": 374,
}  # fmt: skip

SUPERGLUE = [  # tasks with two metrics count with their mean
    [("BoolQ", ACCURACY)],
    [("CB", ACCURACY), ("CB", F1)],
    [("COPA", ACCURACY)],
    [("RTE", ACCURACY)],
    [("WiC", ACCURACY)],
    [("WSC", ACCURACY)],
    [("MultiRC", ACCURACY), ("MultiRC", F1A)],
    [("ReCoRD", ACCURACY), ("ReCoRD", F1)],
]


def values(name):
    return {(result.task, result.metric, result.shots): result.value for result in published(name).results}


def accuracies_of_175b(label):
    of_175b = values("gpt3-175b")
    (task,) = {task for task, _, _ in of_175b if task.endswith(f"({label})")}
    return [of_175b[task, ACCURACY, shots] for shots in SHOTS]


@pytest.mark.parametrize("label", TABLE_3_9)
def test_arithmetic_is_that_of_table_3_9_which_rounds_it(label):
    assert accuracies_of_175b(label) == pytest.approx(TABLE_3_9[label], abs=0.0501)


@pytest.mark.parametrize("label", TABLE_3_10)
def test_the_word_tasks_are_those_of_table_3_10(label):
    assert accuracies_of_175b(label) == list(TABLE_3_10[label])


@pytest.mark.parametrize("shots", SHOTS)
@pytest.mark.parametrize("name", SIZES)
def test_superglue_is_the_average_of_its_tasks(name, shots):
    printed = values(name)
    average = mean(mean(printed[task, metric, shots] for task, metric in task) for task in SUPERGLUE)
    assert printed["SuperGLUE", AVERAGE, shots] == pytest.approx(average, abs=0.12)


def test_superglue_is_the_average_of_its_tasks_on_the_test_server():
    printed = {(task, metric): value for task, metric, value in TEST_SERVER}
    average = mean(mean(printed[metric] for metric in task) for task in SUPERGLUE)
    assert printed["SuperGLUE", AVERAGE] == pytest.approx(average, abs=0.12)


@pytest.mark.parametrize("task", N_QUESTIONS)
def test_an_accuracy_is_a_fraction_of_the_number_of_questions(task):
    for name in SIZES:
        for value in (r.value for r in published(name).results if r.task == task and "accuracy" in r.metric):
            n_right = round(value / 100 * N_QUESTIONS[task])
            # Three digits; as 84.249 is printed as 84.3, they seem to come from numbers already rounded to 0.01.
            assert value == pytest.approx(100 * n_right / N_QUESTIONS[task], abs=0.055 if value >= 10 else 0.0055)


def test_an_accuracy_of_arithmetic_is_a_fraction_of_2000_problems_but_for_one_as_printed():
    labels = tuple(f"({label})" for label in TABLE_3_9)
    small = [r for name in SIZES for r in published(name).results if r.task.endswith(labels) and r.value < 10]
    off = [r for r in small if abs(r.value / 0.05 - round(r.value / 0.05)) > 1e-6]
    assert [(r.task, r.shots, r.value) for r in off] == [("2-digit addition (2D+)", "zero-shot", 2.54)]
    assert "2.54" in off[0].note


def test_every_row_has_a_cell_for_every_size():
    for row in TABLE_H_1:
        assert {len(row.zero_shot), len(row.one_shot), len(row.few_shot)} == {len(SIZES)}


def test_few_shot_says_how_many_examples_there_were():
    for name in SIZES:
        for result in published(name).results:
            has_k = "K = " in result.note
            assert has_k == (result.shots == "few-shot" and result.task != "SuperGLUE" and "server" not in result.task)


def test_what_is_unverified_is_left_out():
    tasks = {task for name in SIZES for task, _, _ in values(name)}
    assert "ANLI R1" in tasks
    assert not {"ANLI R2", "ANLI R3"} & tasks
    assert "PIQA, test server" not in tasks
    assert {name for name in SIZES if ("1-digit composite (1DC)", ACCURACY, "few-shot") in values(name)} == {
        "gpt3-175b"
    }
