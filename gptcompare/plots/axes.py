"""What all plots share: the axes that they draw on, and tokens as labels."""

from __future__ import annotations

from typing import Any

from ..display.text_width import printable


def label_of(token: str) -> str:
    """Return a token as a label: spaces and control characters made visible, and nothing read as a formula."""
    return printable(token.replace(" ", "␣").replace("\n", "⏎")).replace("$", r"\$")


def axes_or_new(ax: Any, size: tuple[float, float] = (7, 4)) -> Any:
    """Return the axes that were given, or new ones of a size in inches."""
    if ax is not None:
        return ax
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise ImportError('plots need matplotlib: pip install "gptcompare[plots]"') from None
    return plt.subplots(figsize=size, layout="constrained")[1]
