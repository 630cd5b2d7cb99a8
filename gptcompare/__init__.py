"""GPT-2 and GPT-3 as one readable NumPy program.

The flow, a folder each:

    text --tokenizer--> ids --model--> logits --generation--> text --comparison--> two texts side by side

`config`, `patterns` and `parameters` are a model as numbers, and the only place where GPT-2 and GPT-3 differ; `presets`
holds the published tables, `checkpoints` reads published weights, `training` learns. `inspection` and `plots` show what
happens inside, `uses` and `evaluation` what a model is good for, `report` what is published about it.

Every name below is imported when it is first used, so that a program waits only for what it needs.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from . import evaluation, inspection, plots, training, uses
    from .checkpoints import CheckpointError, DownloadError
    from .checkpoints.by_name import download
    from .comparison import Comparison, TextComparison, compare, compare_text
    from .config import GPTConfig
    from .generation import Completion, GenerationOptions, LanguageModel, Sampling, Score, load
    from .model import GPT, KVCache
    from .presets import presets
    from .report import Report, report
    from .report.table import Table, table
    from .tokenizer import Tokenizer

__all__ = [
    "GPT",
    "CheckpointError",
    "Comparison",
    "Completion",
    "DownloadError",
    "GPTConfig",
    "GenerationOptions",
    "KVCache",
    "LanguageModel",
    "Report",
    "Sampling",
    "Score",
    "Table",
    "TextComparison",
    "Tokenizer",
    "__version__",
    "compare",
    "compare_text",
    "download",
    "evaluation",
    "inspection",
    "load",
    "plots",
    "presets",
    "report",
    "table",
    "training",
    "uses",
]

# Modules that are names of this package themselves; `presets` and `report` can also be called.
_MODULES = ("evaluation", "inspection", "plots", "presets", "report", "training", "uses")
# Module -> the names that it gives to this package: what `if TYPE_CHECKING` says, for when it runs.
_NAMES = {
    "checkpoints": ("CheckpointError", "DownloadError"),
    "checkpoints.by_name": ("download",),
    "comparison": ("Comparison", "TextComparison", "compare", "compare_text"),
    "config": ("GPTConfig",),
    "generation": ("Completion", "GenerationOptions", "LanguageModel", "Sampling", "Score", "load"),
    "model": ("GPT", "KVCache"),
    "report": ("Report",),
    "report.table": ("Table", "table"),
    "tokenizer": ("Tokenizer",),
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name in _MODULE_OF:
        value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
        globals()[name] = value  # found at once the next time
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
