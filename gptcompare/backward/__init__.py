"""Exact gradients by hand: a forward pass that keeps what the gradient needs, and the same steps backwards.

Read `ops` first (one operation at a time), then `attention`, `block` and `gradients` (`loss_and_grads`).
"""

from .gradients import loss_and_grads

__all__ = ["loss_and_grads"]
