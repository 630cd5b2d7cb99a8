"""Exact gradients by hand: the forward pass with what the gradient needs, and the same backwards.

Read `ops` first (one operation at a time), then `attention`, `block` and `gradients` (`loss_and_grads`).
"""

from .gradients import loss_and_grads

__all__ = ["loss_and_grads"]
