"""GPT-2 and GPT-3 as one readable NumPy program.

The flow, one folder per step:

    text --tokenizer--> ids --model--> logits --generation--> text --comparison--> two texts side by side

`config`, `patterns` and `parameters` describe a model as numbers, and are the only place where GPT-2 and GPT-3 differ.
`presets` holds the published tables, `checkpoints` reads published weights, and `training` trains. `inspection` and
`plots` show what happens inside a model, `uses` and `evaluation` what it is good for, `verification` that it computes
what others recorded of it, and `report` what is published about it.

Every name below is imported on first use, so that a program loads only what it needs.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from . import evaluation, inspection, plots, training, uses, verification
    from .checkpoints import CheckpointError, DownloadError
    from .checkpoints.by_name import download
    from .comparison import Comparison, Differences, TextComparison, compare, compare_text, compare_texts
    from .config import GPTConfig
    from .generation import Completion, GenerationOptions, LanguageModel, Sampling, Score, load, save_gguf
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
    "Differences",
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
    "compare_texts",
    "download",
    "evaluation",
    "inspection",
    "load",
    "plots",
    "presets",
    "report",
    "save_gguf",
    "table",
    "training",
    "uses",
    "verification",
]

# Modules that are public under their own names; `presets` and `report` can also be called.
_MODULES = ("evaluation", "inspection", "plots", "presets", "report", "training", "uses", "verification")
# Module -> the names that this package takes from it: the imports under `if TYPE_CHECKING`, for run time.
_NAMES = {
    "checkpoints": ("CheckpointError", "DownloadError"),
    "checkpoints.by_name": ("download",),
    "comparison": ("Comparison", "Differences", "TextComparison", "compare", "compare_text", "compare_texts"),
    "config": ("GPTConfig",),
    "generation": ("Completion", "GenerationOptions", "LanguageModel", "Sampling", "Score", "load", "save_gguf"),
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
        globals()[name] = value  # found directly the next time
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
