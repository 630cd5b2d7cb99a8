"""Texts side by side: several models, one prompt or one text, and what can truthfully be said about the difference.

Read `run` first (`compare` and `compare_text`), then `stream`, in which the models take turns to write, and `reading`,
in which each model reads what was written. `writers` says what a side can be: a model, changed or with options of its
own. `sides` and `result` hold the outcome; `terminal` and `page` show it. `differences` finds the sentences in which
two models differ most, in texts of any length, with the help of `corpus`. `gpt3_samples` downloads the texts by GPT-3
that OpenAI published.
"""

from ..presets import EMBEDDED_PAIR
from .corpus.blocks import Estimate
from .corpus.result import Differences, Sentence
from .differences import compare_texts
from .reading import Reading
from .result import Comparison, TextComparison
from .run import compare, compare_text
from .sides import Parting, Side
from .stream import ComparisonStream
from .writers import Writer, load_models, load_sides

__all__ = [
    "EMBEDDED_PAIR",
    "Comparison",
    "ComparisonStream",
    "Differences",
    "Estimate",
    "Parting",
    "Reading",
    "Sentence",
    "Side",
    "TextComparison",
    "Writer",
    "compare",
    "compare_text",
    "compare_texts",
    "load_models",
    "load_sides",
]
