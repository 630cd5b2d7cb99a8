"""Which part of a model belongs to a rank, as in Megatron-LM (Shoeybi et al. 2019, arXiv:1909.08053, section 3).

    c_attn, c_fc, lm_head      by columns: each rank computes some heads, some hidden numbers, some logits
    attn.c_proj, mlp.c_proj    by rows: what a rank makes of its heads and hidden numbers is a sum over ranks
    wte, wpe                   by rows: each rank looks up its own tokens and positions
    everything else            whole, on every rank

So a block adds up twice over all ranks: after its attention and after its MLP.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..arrays import AnyArray, Array
from ..config import GPTConfig
from ..parameters import parameter_shapes

# End of a parameter's name -> what of the model its parts are, and along which axis. Publishers have queries, keys and
# values side by side, or apart; side by side, a rank's are three stretches.
PARTS: dict[str, tuple[str, int]] = {
    "attn.c_proj.weight": ("heads", 0),
    **{f"attn.{one}_proj.{kind}": ("heads", -1) for one in "qkv" for kind in ("weight", "bias")},
    "mlp.c_fc.weight": ("columns", -1),
    "mlp.c_fc.bias": ("columns", -1),
    "mlp.c_proj.weight": ("columns", 0),
    "wte.weight": ("vocabulary", 0),
    "wpe.weight": ("positions", 0),
    "lm_head.weight": ("vocabulary", -1),
}
JOINED = ("attn.c_attn.weight", "attn.c_attn.bias")
IN_BLOCK = re.compile(r"^h\.\d+\.")


def evenly(n_items: int, n: int) -> list[int]:
    """Return where the shares of n ranks begin, and where the last one ends; they differ by one item at most.

    >>> evenly(12, 5)
    [0, 2, 4, 7, 9, 12]
    """
    return [n_items * rank // n for rank in range(n + 1)]


class Share(NamedTuple):
    """The place of a rank among all: its number, from 0, and how many there are."""

    rank: int = 0
    n: int = 1

    def heads(self, config: GPTConfig) -> slice:
        """Return which heads of each layer are the rank's: as many as others have, or one more."""
        return self._of(config.n_head)

    def columns(self, config: GPTConfig) -> slice:
        """Return which columns of each MLP are the rank's: fewer, if it has one head more than others.

        A head has four vectors of d_head x d_model weights, a column two of d_model: all ranks get as many weights.
        """
        ends, heads = [0], evenly(config.n_head, self.n)
        per_head = 2 * config.d_head
        for rank in range(1, self.n):
            even = (per_head * config.n_head + config.d_mlp) * rank // self.n - per_head * heads[rank]
            ends.append(max(ends[-1] + 1, min(even, config.d_mlp - (self.n - rank))))
        ends.append(config.d_mlp)
        return slice(ends[self.rank], ends[self.rank + 1])

    def vocabulary(self, config: GPTConfig) -> slice:
        """Return which ids of the vocabulary are the rank's."""
        return self._of(config.n_vocab)

    def positions(self, config: GPTConfig) -> slice:
        """Return the embeddings of which positions are the rank's."""
        return self._of(config.n_ctx)

    def _of(self, n_items: int) -> slice:
        ends = evenly(n_items, self.n)
        return slice(ends[self.rank], ends[self.rank + 1])

    def config(self, config: GPTConfig) -> GPTConfig:
        """Return the configuration of what the rank computes; its context stays that of the whole model.

        >>> from gptcompare.config import GPTConfig
        >>> whole = GPTConfig.preset("gpt2")
        >>> part = Share(0, 4).config(whole)
        >>> part.n_head, part.d_mlp, part.n_vocab
        (3, 768, 12564)
        """
        if self.n == 1:
            return config
        heads, columns, vocabulary = self.heads(config), self.columns(config), self.vocabulary(config)
        return replace(
            config,
            n_head=heads.stop - heads.start,
            d_head=config.d_head,
            d_mlp=columns.stop - columns.start,
            n_vocab=vocabulary.stop - vocabulary.start,
        )

    def shapes(self, config: GPTConfig) -> dict[str, tuple[int, ...]]:
        """Return name -> shape of the rank's parameters."""
        shapes, positions = parameter_shapes(self.config(config)), self.positions(config)
        return shapes | {"wpe.weight": (positions.stop - positions.start, config.d_model)}

    def cut(self, name: str, array: AnyArray, config: GPTConfig) -> AnyArray:
        """Return the rank's part of a whole parameter: a view, but for queries, keys and values side by side."""
        short = IN_BLOCK.sub("", name)
        if self.n == 1:
            return array
        if short in JOINED:
            by_head = array.reshape(*array.shape[:-1], 3, config.n_head, config.d_head)
            return by_head[..., self.heads(config), :].reshape(*array.shape[:-1], -1)
        if short not in PARTS:
            return array
        what, axis = PARTS[short]
        part: slice = getattr(self, what)(config)
        if what == "heads":
            part = slice(part.start * config.d_head, part.stop * config.d_head)
        return array[part] if axis == 0 else array[..., part]

    def cut_all(self, parameters: Mapping[str, AnyArray], config: GPTConfig) -> dict[str, AnyArray]:
        """Return the rank's part of all parameters."""
        return {name: self.cut(name, array, config) for name, array in parameters.items()}


WHOLE = Share()


def check_share(share: Share, config: GPTConfig) -> None:
    """Raise ValueError if a model cannot be cut among so many ranks."""
    most = min(config.n_head, config.d_mlp, config.n_vocab, config.n_ctx)
    if share.n > most:
        raise ValueError(
            f"{share.n} ranks are too many for a model of {config.n_head} heads: each needs one of its own, so start "
            f"at most {most}"
        )
    for layer in range(config.n_layer):
        if share.n > 1 and config.pattern_of(layer).heads_differ:
            raise ValueError(
                f"layer {layer} is {config.kind_of(layer)} with heads that see different keys: such a model cannot be "
                "cut by heads; run it on one rank"
            )


class Joined(Mapping[str, Array]):
    """The whole parameters of a cut model, each put together when it is asked for: by all ranks, in the same order.

    Parameters
    ----------
    parts : dict of name -> array
        The rank's own.
    config : GPTConfig
        Of the whole model.
    gathered : function of an array
        Returns the arrays of all ranks, by rank, in the same call on each.
    """

    def __init__(self, parts: Mapping[str, Array], config: GPTConfig, gathered: Callable[[Array], list[Array]]) -> None:
        self._parts, self._config, self._gathered = parts, config, gathered

    def __getitem__(self, name: str) -> Array:
        short, part = IN_BLOCK.sub("", name), self._parts[name]
        if short in JOINED:
            thirds = [one.reshape(*one.shape[:-1], 3, -1) for one in self._gathered(part)]
            return np.concatenate(thirds, axis=-1).reshape(*part.shape[:-1], -1)
        return np.concatenate(self._gathered(part), axis=PARTS[short][1]) if short in PARTS else part

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)
