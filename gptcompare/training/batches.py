"""The batches of a run: sequences that are cut from a row of tokens, or whole ones, and the targets that count."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..arrays import Ids, Integers
from ..backward.gradients import check_ignore, counted_targets
from ..checks import brief, integer


class Sequences(NamedTuple):
    """All sequences that there are to choose from, as views, and for each id its target.

    Those of a row begin at every one of its tokens, so that only each `apart`-th has no tokens of the one before.
    """

    ids: Integers  # (n, T)
    targets: Integers  # (n, T)
    apart: int

    def evenly_spaced(self, most: int) -> tuple[Ids, Ids]:
        """Return at most so many of them, which overlap as little as they can, with their targets."""
        n = min(most, -(-len(self.ids) // self.apart))
        places = np.linspace(0, len(self.ids) - 1, n).astype(np.intp)
        return self.ids[places].astype(np.intp), self.targets[places].astype(np.intp)


def sequences(tokens: Integers, targets: Integers | None, context: int, name: str = "tokens") -> Sequences:
    """Return the sequences in a row of tokens (N,), or the rows of (n, T) as they are.

    Without targets of their own, each token's is the one after it, and the last of a row is only that.

    Raises
    ------
    ValueError
        If they are no integers, differ in shape, or have no sequence of so many tokens; `name` is theirs in messages.
    """
    of_targets = targets_name(name)
    _check_integers(name, tokens)
    if targets is not None:
        _check_integers(of_targets, targets)
        if targets.shape != tokens.shape:
            raise ValueError(f"{of_targets} has shape {targets.shape}, {name} {tokens.shape}: each token needs one")
    read, predicted = (tokens[..., :-1], tokens[..., 1:]) if targets is None else (tokens, targets)
    if tokens.ndim == 2:
        if read.shape[1] != context or not len(tokens):
            last = "" if targets is not None else ", and the last of a row is only a target"
            raise ValueError(
                f"{name} has shape {tokens.shape}{last}, but the recipe's context is {context}: rows are whole "
                f"sequences, so there must be at least one, and the context must be {read.shape[1]}"
            )
        return Sequences(read, predicted, 1)
    if len(read) < context:
        raise ValueError(f"{name} has {len(tokens)} tokens, too few for one sequence of {context}")
    return Sequences(sliding_window_view(read, context), sliding_window_view(predicted, context), context)


def targets_name(name: str) -> str:
    """Return what the argument is called that holds the targets of tokens."""
    return "targets" if name == "tokens" else f"{name}_targets"


def _check_integers(name: str, tokens: Integers) -> None:
    kind = getattr(tokens, "dtype", type(tokens).__name__)
    if not isinstance(tokens, np.ndarray) or tokens.ndim not in (1, 2) or not np.issubdtype(tokens.dtype, np.integer):
        raise ValueError(
            f"{name} must be an array of integers, one row or whole sequences (n, T), got {kind} of shape "
            f"{np.shape(tokens)}"
        )


class Batches:
    """The batches of a run, each determined by its number, so that an interrupted run can resume.

    In each epoch a row of tokens is cut into sequences again, starting at a random token, and these are shuffled:
    every token is seen once per epoch, except for less than two sequences at the ends. Whole sequences are only
    shuffled.

    Parameters
    ----------
    tokens : integers, (N,) or (n, T)
        One row, or whole sequences.
    batch, context : int
        Sequences per batch, and tokens per sequence.
    seed : int
    targets : integers, shaped like `tokens`, optional
        What is to be predicted at each token; if not given, the token after it, so that the last one of a row is only
        predicted.
    ignore : int, optional
        Targets equal to it do not count, as in `loss_and_grads`.

    Attributes
    ----------
    sequences_per_epoch : int
        Number of whole sequences that the row is cut into, or that there are.

    Raises
    ------
    ValueError
        If the tokens are no integers, the targets differ from them in shape, a row has fewer tokens than twice the
        context, or whole sequences have another length.
    """

    def __init__(
        self, tokens: Integers, batch: int, context: int, seed: int,
        targets: Integers | None = None, ignore: int | None = None,
    ) -> None:  # fmt: skip
        for name, value in (("batch", batch), ("context", context)):
            integer(name, value, at_least=1)
        check_ignore(ignore)
        self._sequences = sequences(tokens, targets, context)
        self.sequences_per_epoch = len(self._sequences.ids) // self._sequences.apart
        if not self.sequences_per_epoch:
            least = 2 * context - (targets is not None)
            raise ValueError(f"{len(tokens)} tokens are too few: sequences of {context} need at least {least}")
        self.batch = batch
        self.context = context
        self.ignore = ignore
        self._n_tokens = tokens.size
        self._seed = seed
        self._epoch = -1
        self._places: Ids = np.empty(0, np.intp)

    def __repr__(self) -> str:
        return brief(self, f"{self.batch} sequences of {self.context} tokens, of {self._n_tokens}")

    def __getitem__(self, step: int) -> tuple[Ids, Ids]:
        """Return the ids of a step and, for each, its target: (B, T) and (B, T)."""
        numbers = range(step * self.batch, (step + 1) * self.batch)
        places = [self._place(*divmod(number, self.sequences_per_epoch)) for number in numbers]
        ids, targets, _ = self._sequences
        return ids[places].astype(np.intp), targets[places].astype(np.intp)

    def _place(self, epoch: int, number: int) -> int:
        if epoch != self._epoch:
            rng, apart = np.random.default_rng([self._seed, epoch]), self._sequences.apart
            self._places = rng.integers(apart) + apart * rng.permutation(self.sequences_per_epoch)
            self._epoch = epoch
        return int(self._places[number])

    def check_counts(self, n_steps: int) -> None:
        """Raise ValueError if in the batch of one of the first steps no target counts."""
        if self.ignore is None:
            return
        for step in range(n_steps):
            if not counted_targets(self[step][1], self.ignore).any():
                raise ValueError(
                    f"no target counts in the batch of step {step + 1}, all are {self.ignore}: leave out sequences "
                    "without any, or give a larger batch or a longer context"
                )
