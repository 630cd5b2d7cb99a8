import builtins

import numpy as np
import pytest

import gptcompare as gc
from gptcompare import plots
from gptcompare.evaluation import TASKS, Curve, Difference, Evaluation, LastWord, Metric, PairedEvaluation, Settings
from gptcompare.training import Metrics

METRICS = [Metrics(n, 1000 * n, 8.0 - n / 50, 1e-3, 1.0, 100.0, 7.0 if n % 25 == 0 else None) for n in range(1, 101)]


def labels(axis):
    return [text.get_text() for text in axis.get_ticklabels()]


@pytest.mark.plots
class TestLossCurve:
    def test_it_draws_on_the_axes_that_it_is_given_and_returns_them(self, ax):
        assert plots.loss_curve(METRICS, ax) is ax
        assert ax.get_xlabel() == "million tokens"
        assert [text.get_text() for text in ax.get_legend().get_texts()] == ["training", "validation"]

    def test_the_lines_are_the_losses_their_running_mean_and_the_validation(self, ax):
        plots.loss_curve(METRICS, ax)
        every, mean, validation = ax.get_lines()
        losses = [line.loss for line in METRICS]
        np.testing.assert_allclose(every.get_ydata(), losses)
        expected = [np.mean(losses[max(n - 4, 0) : n + 1]) for n in range(100)]
        np.testing.assert_allclose(mean.get_ydata(), expected)
        assert list(validation.get_xdata()) == [0.025, 0.05, 0.075, 0.1]

    def test_two_runs_share_the_axes(self, ax):
        plots.loss_curve(METRICS, ax, label="dense")
        plots.loss_curve(METRICS[:10], ax, label="banded")
        texts = [text.get_text() for text in ax.get_legend().get_texts()]
        assert texts == ["dense training", "dense validation", "banded training"]
        assert [line.get_color() for line in ax.get_lines()] == [plots.COLOURS[0]] * 3 + [plots.COLOURS[1]] * 2

    def test_new_axes_are_made_where_none_are_given(self, ax):
        assert plots.loss_curve(METRICS[:1]) is not ax


@pytest.mark.plots
class TestSizeLadder:
    def test_it_has_a_bar_for_each_size_as_long_as_its_parameters(self, ax):
        assert plots.size_ladder(["gpt2", "gpt3-small", "gpt2-xl"], ax) is ax
        assert [bar.get_width() for bar in ax.patches] == [
            gc.GPTConfig.preset(name).n_params for name in ("gpt2", "gpt3-small", "gpt2-xl")
        ]
        assert ax.get_xscale() == "log"
        assert labels(ax.yaxis) == ["gpt2", "gpt3-small", "gpt2-xl"]
        assert [text.get_text() for text in ax.get_legend().get_texts()] == ["GPT-2", "GPT-3"]
        colours = [bar.get_facecolor() for bar in ax.patches]
        assert colours[0] == colours[2] != colours[1]

    def test_all_sizes_of_gpt2_and_gpt3_if_none_are_named(self, ax):
        plots.size_ladder(ax=ax)
        assert labels(ax.yaxis) == list(gc.table().names)


def test_no_metrics_are_refused():
    with pytest.raises(ValueError, match="no metrics"):
        plots.loss_curve([])


def test_without_matplotlib_what_to_install_is_said(monkeypatch):
    original = builtins.__import__

    def without(name, *rest):
        if name.startswith("matplotlib"):
            raise ImportError
        return original(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r'pip install "gptcompare\[plots\]"'):
        plots.loss_curve(METRICS)


def evaluated(name, value, low, high):
    metric = Metric("accuracy, %", value, low, high)
    model, library = {"name": name}, {"version": "1"}
    return Evaluation(TASKS["lambada"], Settings(), (metric,), [], model, [], library, LastWord(), [], "")


@pytest.mark.plots
class TestEvaluations:
    def test_a_difference_is_a_point_with_its_interval_and_its_distance_from_0(self, ax):
        metrics = (Metric("accuracy, %", 60.0, 50.0, 70.0), Metric("accuracy, %", 50.0, 40.0, 60.0))
        real = Difference("lambada", ("a", "b"), metrics, 5.0, 20.0, 0.001, 100, 50, (15, 5), 0.001)
        unseen = Difference("piqa", ("a", "b"), metrics, -10.0, 20.0, 0.3, 100, 50, (15, 5), 0.3)
        plots.differences(PairedEvaluation(({"a": None, "b": None},), (real, unseen)), ax)
        points = [line for line in ax.get_lines() if line.get_marker() == "o"]
        assert [float(line.get_xdata()[0]) for line in points] == [0.5, 0.5]
        assert [line.get_color() for line in points] == [plots.COLOURS[0], plots.COLOURS[1]]
        assert labels(ax.yaxis)[0].endswith("+5.00 to +20.00")

    def test_a_curve_has_a_point_for_each_number_of_shots(self, ax):
        points = tuple(evaluated("a", *of) for of in [(10.0, 5.0, 15.0), (30.0, 20.0, 40.0)])
        plots.shots_curve(Curve("lambada", (0, 10), {"a": points}), ax)
        (line,) = [line for line in ax.get_lines() if line.get_marker() == "o"]
        assert list(line.get_ydata()) == [10, 30]
        assert labels(ax.xaxis) == ["0", "10"]
        assert (ax.get_ylabel(), ax.get_title()) == ("accuracy, %", "lambada")
