import pytest


@pytest.fixture
def ax():
    matplotlib = pytest.importorskip("matplotlib", reason="needs the `plots` extra")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)
