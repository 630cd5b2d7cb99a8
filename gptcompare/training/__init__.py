"""Training: how a model learns.

Read `loop` first (`train`): `recipe` holds its numbers, `data` makes tokens of texts, `batches` cuts sequences from
them, the room `backward` computes the exact gradient of every parameter, `ranks` shares out a batch among processes,
`optimizer` takes a step down the gradient, `run_folder` saves what a run needs to resume, with the `metrics` of each
step. `tuning` makes a classifier of a model.
"""

from ..backward import loss_and_grads
from .batches import Batches
from .data import tokenize_files
from .loop import DivergedError, train
from .metrics import Metrics, read_metrics
from .optimizer import AdamW, Muon
from .recipe import Recipe
from .tuning import TunedClassifier, completion_rows, tune_classifier

__all__ = [
    "AdamW",
    "Batches",
    "DivergedError",
    "Metrics",
    "Muon",
    "Recipe",
    "TunedClassifier",
    "completion_rows",
    "loss_and_grads",
    "read_metrics",
    "tokenize_files",
    "train",
    "tune_classifier",
]
