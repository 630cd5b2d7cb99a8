"""Texts side by side: several models, one prompt or one text, and what can truthfully be said about the difference.

Read `run` first (`compare` and `compare_text`), then `stream`, in which the models take turns to write, and `reading`,
in which each model reads what was written. `sides` and `result` hold the outcome; `terminal` and `page` show it.
`gpt3_samples` downloads the texts by GPT-3 that OpenAI published.
"""

from ..presets import EMBEDDED_PAIR
from .reading import Reading
from .result import Comparison, TextComparison
from .run import compare, compare_text
from .sides import Parting, Side, load_models
from .stream import ComparisonStream

__all__ = [
    "EMBEDDED_PAIR",
    "Comparison",
    "ComparisonStream",
    "Parting",
    "Reading",
    "Side",
    "TextComparison",
    "compare",
    "compare_text",
    "load_models",
]
