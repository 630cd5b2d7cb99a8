"""How a model learns: `gradients` goes through the forward pass backwards, with the ops of `ops` and `attention`."""

from .gradients import loss_and_grads

__all__ = ["loss_and_grads"]
