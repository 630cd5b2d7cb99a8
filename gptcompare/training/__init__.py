"""How a model learns.

`gradients` goes through the forward pass backwards, with the ops of `ops`, `attention` and `block`; `optimizer` takes a
step down the gradient, as `recipe` says; `data` cuts batches from texts, and `loop` does this over and over, keeping
in its folder (`run_folder`) what a stop must not cost.
"""

from .data import Batches, tokenize_files
from .gradients import loss_and_grads
from .loop import DivergedError, train
from .optimizer import AdamW
from .recipe import Recipe
from .run_folder import Metrics, read_metrics

__all__ = [
    "AdamW",
    "Batches",
    "DivergedError",
    "Metrics",
    "Recipe",
    "loss_and_grads",
    "read_metrics",
    "tokenize_files",
    "train",
]
