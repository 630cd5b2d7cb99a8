"""GPT-2 and GPT-3 as one readable NumPy program.

The flow, a module each: `tokenizer` (text to ids), `model` (ids to logits), `sampling` (logits to one id),
`generation` (the loop around them), `comparison` (several models, one prompt). `config` and `presets` hold the
numbers, `checkpoints` reads published weights,
`table` puts models side by side, `training` learns, and `evaluation`, which is imported when it is first used, has the
uses: classification, questions, names, features.
"""

__version__ = "0.1.0"

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import inspection, training
from .checkpoints import CheckpointError, DownloadError, download
from .comparison import Comparison, TextComparison, compare, compare_text
from .completion import Completion
from .config import GPTConfig
from .generation import LanguageModel, load
from .kv_cache import KVCache
from .model import GPT
from .presets import presets
from .report import Report, report
from .scoring import Score
from .table import Table, table
from .tokenizer import Tokenizer

if TYPE_CHECKING:
    from . import evaluation

__all__ = [
    "GPT",
    "CheckpointError",
    "Comparison",
    "Completion",
    "DownloadError",
    "GPTConfig",
    "KVCache",
    "LanguageModel",
    "Report",
    "Score",
    "Table",
    "TextComparison",
    "Tokenizer",
    "compare",
    "compare_text",
    "download",
    "evaluation",
    "inspection",
    "load",
    "presets",
    "report",
    "table",
    "training",
]


def __getattr__(name: str) -> Any:
    if name == "evaluation":
        return import_module(f"{__name__}.evaluation")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
