"""Plots, drawn with matplotlib, which is imported only when one is drawn: `pip install "gptcompare[plots]"`.

Each function draws on the axes that it is given, or on new ones, and returns them; without matplotlib it raises
ImportError. Only `architecture` needs none: it draws a model as SVG. `inside` has the pictures of what happens inside a
model, `measured` those of what was measured of several; `axes` is what they share.
"""

from ..display.colours import COLOURS
from ..report.pictures.architecture import architecture
from ..report.pictures.drawing import Architecture
from .inside import all_heads, attention_map, attention_pattern, attribution, logit_lens, surprise
from .measured import differences, loss_curve, shots_curve, size_ladder

__all__ = [
    "COLOURS",
    "Architecture",
    "all_heads",
    "architecture",
    "attention_map",
    "attention_pattern",
    "attribution",
    "differences",
    "logit_lens",
    "loss_curve",
    "shots_curve",
    "size_ladder",
    "surprise",
]
