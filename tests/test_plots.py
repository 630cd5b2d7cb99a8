import builtins

import numpy as np
import pytest

from gptcompare import plots
from gptcompare.training import Metrics


@pytest.fixture
def ax():
    matplotlib = pytest.importorskip("matplotlib", reason="needs the `plots` extra")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


METRICS = [Metrics(n, 1000 * n, 8.0 - n / 50, 1e-3, 1.0, 100.0, 7.0 if n % 25 == 0 else None) for n in range(1, 101)]


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
