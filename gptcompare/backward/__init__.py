"""Exact gradients by hand: a forward pass that keeps what the gradient needs, and the same steps backwards.

Read `ops` first (one operation at a time), then `attention`, `block` and `gradients`, which has the two functions that
others call: `loss_and_grads` and `score_and_input_grads`.
"""

from .gradients import loss_and_grads, score_and_input_grads

__all__ = ["loss_and_grads", "score_and_input_grads"]
