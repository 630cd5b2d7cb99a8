"""Several ranks share out the parts of each batch; the first adds their gradients, and updates the parameters.

    rank 0                                     every other rank
    sends the parts of the batch        ->
    sends the parameters                ->
    computes the gradients of its parts        computes the gradients of its parts
    adds all, in the order of the parts <-     sends them, one by one
    clips, updates, validates, saves           waits

So the parameters after any number of steps are, bit for bit, those that one process computes with the same parts. Each
rank needs the whole model; the optimizer's moments, the texts and the folder are rank 0's alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array, Ids
from ..backward.gradients import Gradients, loss_and_grads
from ..files.stopping import stop_after_step
from ..model import GPT
from ..model.threads import Map, map_on_threads, products_on_one_thread
from ..parallel import Communicator
from .recipe import Recipe


class BatchPart(NamedTuple):
    """A part of a batch: step and number, which determine its dropout, and its sequences and targets, (n, T)."""

    step: int
    number: int
    ids: Ids
    targets: Ids


def part_gradients(model: GPT, recipe: Recipe, ignore: int | None, part: BatchPart) -> tuple[float, Gradients]:
    """Return the mean loss of a part of a batch, and its gradients."""
    rng = np.random.default_rng([recipe.seed, 1, part.step, part.number])  # for dropout
    with np.errstate(all="ignore"):  # what is not finite ends the run, with one message instead of warnings
        return loss_and_grads(model, part.ids, part.targets, ignore=ignore, p_drop=recipe.dropout, rng=rng)


class Leader:
    """Rank 0, which has the others compute some of the parts.

    Parameters
    ----------
    ranks : Communicator
    model : GPT
    map_own : map
        Computes the parts of this rank.
    """

    def __init__(self, ranks: Communicator, model: GPT, map_own: Map) -> None:
        self._ranks, self._model, self._map_own = ranks, model, map_own

    def map(
        self, gradients_of: Callable[[BatchPart], tuple[float, Gradients]], parts: Sequence[BatchPart]
    ) -> Iterator[tuple[float, Gradients]]:
        """Yield the loss and the gradients of each part, in order, whichever rank computes them."""
        n = self._ranks.share.n
        self._ranks.broadcast(parts)
        _share_parameters(self._ranks, self._model)
        own = iter(self._map_own(gradients_of, parts[::n]))
        for number in range(len(parts)):
            yield next(own) if number % n == 0 else self._received(number % n)

    def _received(self, rank: int) -> tuple[float, Gradients]:
        """Return what a rank has computed next."""
        loss = np.empty(1)
        self._ranks.receive(loss, rank)
        gradients = {name: np.empty_like(parameter) for name, parameter in self._model.parameters().items()}
        for gradient in gradients.values():
            self._ranks.receive(_in_memory(gradient), rank)
        return float(loss[0]), gradients

    def end(self, result: Any) -> None:
        """Let the other ranks go, with the last parameters and a result."""
        self._ranks.broadcast(None)
        _share_parameters(self._ranks, self._model)
        self._ranks.broadcast(result)


def follow(ranks: Communicator, model: GPT, recipe: Recipe, ignore: int | None, threads: int) -> Any:
    """Compute gradients for rank 0 until the run ends; return the result, with the last parameters in the model."""
    with stop_after_step(), products_on_one_thread(), map_on_threads(threads) as map_own:  # rank 0 decides when to stop
        while (parts := ranks.broadcast(None)) is not None:
            _share_parameters(ranks, model)
            own = parts[ranks.share.rank :: ranks.share.n]
            for loss, gradients in map_own(lambda part: part_gradients(model, recipe, ignore, part), own):
                ranks.send(np.array([loss]), 0)
                for name, parameter in model.parameters().items():
                    ranks.send(_in_memory(gradients[name], parameter), 0)
        _share_parameters(ranks, model)
        return ranks.broadcast(None)


def _share_parameters(ranks: Communicator, model: GPT) -> None:
    """Give rank 0's parameters to all."""
    for parameter in model.parameters().values():
        ranks.fill(_in_memory(parameter))


def _in_memory(array: Array, like: Array | None = None) -> Array:
    """Return an array's numbers in the order in which another of its shape has them in memory, as a view if it has."""
    of = array if like is None else like
    return (array.T if of.flags.f_contiguous else array).reshape(-1)
