"""GPT-2 and GPT-3 as one readable NumPy program.

The flow, a module each: `tokenizer` (text to ids), `model` (ids to logits), `sampling` (logits to one id),
`generation` (the loop around them), `comparison` (several models, one prompt). `config` and `presets` hold the
numbers, `checkpoints` reads published weights,
`table` puts models side by side, `training` learns.
"""

__version__ = "0.1.0"

from . import inspection, training
from .checkpoints import CheckpointError, DownloadError, download
from .comparison import Comparison, TextComparison, compare, compare_text
from .completion import Completion
from .config import GPTConfig
from .generation import LanguageModel, Score, load
from .kv_cache import KVCache
from .model import GPT
from .presets import presets
from .report import Report, report
from .table import Table, table
from .tokenizer import Tokenizer

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
    "inspection",
    "load",
    "presets",
    "report",
    "table",
    "training",
]
