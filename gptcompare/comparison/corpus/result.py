"""What two models differ in over texts of any length: sentences and estimates, and how to show them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ...arrays import Float64, Integers, Mask
from ...checks import integer, shown
from ...display.text_width import aligned, printable, wrap
from ...generation.scoring import exponential
from ..terminal.summary import agreement, measured, with_sentences
from .blocks import Estimate, mean, percentile

PERCENTS = (1, 5, 25, 50, 75, 95, 99)  # of the divergence, that are shown
BY = ("divergence", "logprob", "rank")
HEADINGS = {
    "divergence": "Jensen-Shannon divergence in bits per token",
    "rank": "Difference of the ranks' base-2 logarithms per token",
}
LISTED = 10  # sentences, if it is not said how many
INDENT = 10  # cells, of a sentence's text


@dataclass(frozen=True)
class Sentence:
    """A sentence of a text, and by how much two models differ over it, in the mean of its tokens.

    A token belongs to the sentence in which its last byte stands: a word with the space before it to its own.

    Attributes
    ----------
    source : str
        The name of the text that it is in.
    start : int
        The character of the text at which it begins, the first being 0.
    text : str
        As it stands there, without the white space around it.
    n_tokens : int
    divergence : float
        The Jensen-Shannon divergence of the predictions, in bits.
    logprob : float
        How much likelier the first model finds the token than the second does: the difference of the base-2 logarithms
        of its probabilities, in bits; negative if the second finds it likelier.
    rank : float
        How far the token's places differ in the models' orders of what they hold likeliest: the absolute difference of
        the base-2 logarithms of its ranks. It is 1 where one model has it in second and the other in fourth place, or
        in 100th and 200th.
    """

    source: str
    start: int
    text: str
    n_tokens: int
    divergence: float
    logprob: float
    rank: float


@dataclass(frozen=True, eq=False)
class Differences:
    """How far two models differ over texts, token by token and sentence by sentence.

    Attributes
    ----------
    names : tuple of str
        Of the two models.
    texts : tuple of str
        The names of the texts, of those that have any token.
    n_bytes : int
        Of UTF-8, that the tokens stand for.
    divergence : (n,) float64
        At each token of all texts, one after the other, the Jensen-Shannon divergence of the predictions, in bits.
    logprobs : (2, n) float64
        For each model, the log-probability of each token, in nats.
    ranks : (2, n) int
        For each model, the place of each token among what it held likeliest: 1 for the likeliest.
    same_top : (n,) bool
        At each token, True if the models' likeliest token is the same.
    most_divergent : bytes
        The token before which the divergence is largest.
    blocks : (k,) int
        The tokens at which the blocks begin that the standard errors are computed from, which the glossary explains.
    sentences : tuple of Sentence
        In the order of the texts.
    """

    names: tuple[str, str]
    texts: tuple[str, ...]
    n_bytes: int
    divergence: Float64
    logprobs: Float64
    ranks: Integers
    same_top: Mask
    most_divergent: bytes
    blocks: Integers
    sentences: tuple[Sentence, ...]

    @property
    def n_tokens(self) -> int:
        """Number of tokens of all texts."""
        return len(self.divergence)

    @property
    def perplexity(self) -> tuple[float, float]:
        """For each model, exp of the mean negative log-probability; infinite if a float cannot hold it."""
        first, second = (exponential(-float(of_model.mean())) for of_model in self.logprobs)
        return first, second

    @property
    def bits_per_byte(self) -> tuple[float, float]:
        """For each model, the negative base-2 log-probability per byte."""
        first, second = (-float(of_model.sum()) / math.log(2) / self.n_bytes for of_model in self.logprobs)
        return first, second

    @property
    def mean_divergence(self) -> Estimate:
        """The mean of the divergence, in bits, with its standard error."""
        return mean(self.divergence, self.blocks)

    @property
    def mean_logprob(self) -> Estimate:
        """How much likelier the first model finds a token, in bits in the mean, with its standard error."""
        return mean((self.logprobs[0] - self.logprobs[1]) / math.log(2), self.blocks)

    @property
    def same_first_choice(self) -> Estimate:
        """The share of the tokens at which both models' likeliest token is the same, with its standard error."""
        return mean(self.same_top, self.blocks)

    def percentile(self, percent: float) -> Estimate:
        """Return a percentile of the divergence, in bits, with its standard error.

        Raises
        ------
        ValueError
            If it is not between 0 and 100.
        """
        if not 0 <= percent <= 100:
            raise ValueError(f"a percentile is between 0 and 100, got {shown(percent)}")
        return percentile(self.divergence, percent, self.blocks)

    def most(self, n: int = LISTED, by: str = "divergence") -> list[Sentence]:
        """Return the n sentences that differ most, the most different first.

        Parameters
        ----------
        n : int
        by : {"divergence", "logprob", "rank"}
            By which number of a `Sentence`. By "logprob", which has a sign, first come at most n that the first model
            finds likelier, then at most n that the second does, the most different of each first.

        Raises
        ------
        TypeError, ValueError
            If n is not an integer of at least 0, or `by` is something else.
        """
        if by not in BY:
            raise ValueError(f"by must be one of {', '.join(BY)}, got {shown(by)}")
        n = integer("n", n, at_least=0)
        falling = sorted(self.sentences, key=lambda sentence: -getattr(sentence, by))
        if by != "logprob":
            return falling[:n]
        likelier = [sentence for sentence in falling if sentence.logprob > 0]
        return likelier[:n] + [sentence for sentence in falling[::-1] if sentence.logprob < 0][:n]

    def to_dict(self, n: int = LISTED, by: str = "divergence") -> dict[str, Any]:
        """Return all but the numbers of single tokens, and the n sentences that differ most, as JSON can hold them."""
        return {
            "models": list(self.names),
            "texts": list(self.texts),
            "n_tokens": self.n_tokens,
            "n_bytes": self.n_bytes,
            "bits_per_byte": list(self.bits_per_byte),
            "perplexity": [value if math.isfinite(value) else None for value in self.perplexity],
            "divergence": {
                **self.mean_divergence.to_dict(),
                "percentiles": {str(percent): self.percentile(percent).to_dict() for percent in PERCENTS},
                "largest": float(self.divergence.max()),
            },
            "logprob": self.mean_logprob.to_dict(),
            "same_first_choice": self.same_first_choice.to_dict(),
            "n_sentences": len(self.sentences),
            "by": by,
            "sentences": [asdict(sentence) for sentence in self.most(n, by)],
        }

    def to_text(self, n: int = LISTED, by: str = "divergence", n_cells: int = 100) -> str:
        """Return all that in words, with the n sentences that differ most, in lines of `n_cells` terminal cells."""
        chosen = self.most(n, by)
        listed = self._listed(chosen, by, n_cells) if chosen and len(self.sentences) > 1 else []
        return "\n\n".join([self._over_all(n_cells), self._estimates(), *listed])

    def _over_all(self, n_cells: int) -> str:
        """Return what `TextComparison.to_text` says of a text, of all of them."""
        table = measured(self.names, [self.n_tokens] * 2, self.bits_per_byte, self.perplexity)
        where = "the text" if len(self.texts) == 1 else f"the {len(self.texts)} texts"
        said = agreement(
            int(self.same_top.sum()), self.n_tokens, self.mean_divergence.value, float(self.divergence.max()),
            self.most_divergent,
        )  # fmt: skip
        return with_sentences(table, [f"Over {where}: {said}"], n_cells)

    def _estimates(self) -> str:
        """Return a table of what is estimated, with the standard errors."""
        rows: list[tuple[str, Estimate]] = [
            ("same first choice, %", mean(100.0 * self.same_top, self.blocks)),
            ("likelier to the first model, bits per token", self.mean_logprob),
            ("divergence, bits per token: mean", self.mean_divergence),
            *((f"{percent} % are at most", self.percentile(percent)) for percent in PERCENTS),
        ]
        return aligned(
            [
                ["", "value", "standard error"],
                *([label, f"{of.value:.3f}", "–" if of.error is None else f"{of.error:.3f}"] for label, of in rows),
            ]
        )

    def _listed(self, chosen: Sequence[Sentence], by: str, n_cells: int) -> list[str]:
        """Return the chosen sentences below the headings that say what their numbers are."""
        if by != "logprob":
            return [self._list(f"{HEADINGS[by]}, of {len(self.sentences)} sentences:", chosen, by, n_cells)]
        return [
            self._list(
                f"Likelier to {name}, in bits per token, of {len(self.sentences)} sentences:", of_model, by, n_cells
            )
            for name, of_model in zip(
                self.names, ([s for s in chosen if s.logprob > 0], [s for s in chosen if s.logprob < 0]), strict=True
            )
            if of_model
        ]

    def _list(self, heading: str, chosen: Sequence[Sentence], by: str, n_cells: int) -> str:
        lines = wrap(printable(heading), n_cells)
        for sentence in chosen:
            where = f"{sentence.source}: " if len(self.texts) > 1 else ""
            room = max(n_cells - INDENT, 1)
            said = wrap(printable(f"{where}{' '.join(sentence.text.split())}"), room)
            number = f"{abs(getattr(sentence, by)):.3f}"
            lines += [f"{number if row == 0 else '':>{INDENT - 2}}  {line}" for row, line in enumerate(said)]
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        error = self.mean_divergence.error
        precision = "" if error is None else f" ± {error:.3f}"
        return (
            f"<Differences of {' and '.join(self.names)}: {self.n_tokens} tokens, {len(self.sentences)} sentences, "
            f"divergence {self.mean_divergence.value:.3f}{precision} bits>"
        )
