"""What each head looks at where a text repeats itself: at the token before, at the same token, at what followed it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..arrays import Float64, Ids
from ..checks import brief, instance, integer
from ..model import GPT
from ..model.hooks import trace
from ..model.ops import cross_entropy

KINDS_OF_HEADS = ("previous_token", "duplicate_token", "induction")


@dataclass(frozen=True, repr=False)
class HeadScores:
    """What each head of a model does where a text repeats itself.

    Attributes
    ----------
    previous_token : (L, H) float64
        The share of its attention that a head gives to the token before.
    duplicate_token : (L, H) float64
        The share that it gives to earlier occurrences of the same token.
    induction : (L, H) float64
        The share that it gives to tokens that followed earlier occurrences of the same token: what comes next, if the
        text repeats itself.
    first_loss, second_loss : float
        The mean loss over the first run of each sequence, after its first token, and over its repetitions, in nats. A
        model that copies has a lower one over the repetitions.
    ids : (B, T) int
        The sequences that were read.
    """

    previous_token: Float64
    duplicate_token: Float64
    induction: Float64
    first_loss: float
    second_loss: float
    ids: Ids

    def best(self, kind: str, n: int = 3) -> list[tuple[int, int, float]]:
        """Return layer, head and score of the n heads with the highest score of a kind, such as "induction"."""
        if kind not in KINDS_OF_HEADS:
            raise ValueError(f"kind must be one of {', '.join(KINDS_OF_HEADS)}, got {kind!r}")
        scores = getattr(self, kind)
        order = np.argsort(-scores, axis=None, kind="stable")[: integer("n", n, at_least=1)]
        places = zip(*np.unravel_index(order, scores.shape), strict=True)
        return [(int(layer), int(head), float(scores[layer, head])) for layer, head in places]

    def __repr__(self) -> str:
        layer, head, score = self.best("induction", 1)[0]
        losses = f"loss {self.first_loss:.2f}, repeated {self.second_loss:.2f}"
        return brief(self, f"{losses}; most induction: layer {layer}, head {head}, {score:.2f}")


def head_scores(
    model: GPT, ids: npt.ArrayLike | None = None, *, length: int = 50, batch: int = 4, seed: int = 0
) -> HeadScores:
    """Measure which heads look at the token before, at the same token, and at what followed the same token.

    Parameters
    ----------
    model : GPT
    ids : integers, (T,) or (B, T), optional
        Sequences of at least four tokens. If not given, each is a run of random tokens, of all in the vocabulary, and
        the same run once more: in it, nothing but copying helps to predict.
    length, batch : int
        Of the random runs, in tokens, at least two, and their number; a run is at most half of the model's context.
    seed : int
        Draws the runs.

    Returns
    -------
    HeadScores
        For given ids, the halves of the losses are those of the sequences.

    Raises
    ------
    TypeError, ValueError
        As the model does; also for sequences of fewer than four tokens.

    References
    ----------
    Olsson et al. 2022, "In-context Learning and Induction Heads". The scores are computed as by TransformerLens 2,
    transformer_lens/head_detector.py, `compute_head_attention_similarity_score` with error_measure="mul".

    Examples
    --------
    >>> import gptcompare as gc
    >>> gc.inspection.head_scores(gc.load("nano-gpt2").model).induction.shape
    (6, 8)
    """
    config = instance("model", model, GPT).config
    if ids is None:
        n = min(integer("length", length, at_least=2), config.n_ctx // 2)
        runs = np.random.default_rng(seed).integers(config.n_vocab, size=(integer("batch", batch, at_least=1), n))
        read = np.concatenate([runs, runs], axis=1)
    else:
        read = np.atleast_2d(np.asarray(ids))
    if read.ndim != 2 or read.shape[1] < 4:
        raise ValueError(f"scores need sequences of at least four tokens, got ids of shape {read.shape}")
    traced = trace(model, read, ["*.attn.hook_pattern"])
    patterns = traced.patterns().astype(np.float64)  # (B, L, H, T, T)
    losses = cross_entropy(traced.logits[:, :-1].reshape(-1, config.n_vocab), read[:, 1:].ravel())
    losses, half = losses.reshape(len(read), -1), read.shape[1] // 2
    shares = shares_of_attention(patterns, read)
    return HeadScores(*shares, float(losses[:, : half - 1].mean()), float(losses[:, half - 1 :].mean()), read)


def shares_of_attention(patterns: Float64, ids: Ids) -> tuple[Float64, Float64, Float64]:
    """Return the shares of attention (B, L, H, T, T) that go to the token before, to the same, and to what followed it.

    Each is (L, H), over all of (B, T) tokens.
    """
    before, same, followed = (
        np.einsum("blhij,bij->lh", patterns, there) / patterns.sum(axis=(0, 3, 4))
        for there in (_before(ids), _same(ids), _followed(ids))
    )
    return before, same, followed


def _before(ids: Ids) -> Float64:
    """Return where attention to the token before would be, (B, T, T)."""
    n = ids.shape[1]
    there: Float64 = np.tile(np.eye(n, k=-1), (len(ids), 1, 1))
    return there


def _same(ids: Ids) -> Float64:
    """Return where attention to earlier occurrences of the same token would be, (B, T, T)."""
    there: Float64 = np.tril(ids[:, :, None] == ids[:, None, :], k=-1).astype(np.float64)
    return there


def _followed(ids: Ids) -> Float64:
    """Return where attention to what followed earlier occurrences of the same token would be, (B, T, T)."""
    shifted = np.zeros((len(ids), ids.shape[1], ids.shape[1]))
    shifted[:, :, 1:] = _same(ids)[:, :, :-1]
    there: Float64 = np.tril(shifted)
    return there
