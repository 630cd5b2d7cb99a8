"""Texts side by side: several models, one prompt or one text, and what can truthfully be said about the difference.

Read `run` first (`compare` and `compare_text`), then `stream`, which lets the models write in turn, and `reading`, in
which each model reads what was written. `sides` and `result` are what comes of it; `columns`, `summary` and `html` show
it. `gpt3_samples` fetches the texts that OpenAI published of GPT-3.
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
