"""Which input mattered: a score for each token that was read, from the gradient of a prediction.

The scores explain one number, such as the logit of a token. Its gradient with respect to the embedding of a token that
was read says how the number would change if the embedding did; the positions stay as they are. Multiplied by the
difference between the embedding and a baseline, and summed over the width, that is the token's score.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from ..arrays import Array, Float64, Ids
from ..backward.gradients import Score, score_and_input_grads
from ..checks import brief, instance, integer, shown
from ..config import GPTConfig
from ..display.tokens import ScoredTokens
from ..model import GPT
from ..model.changes import check_index
from ..model.inputs import check_ids, check_room, check_token
from ..model.ops import log_softmax, softmax
from ..tokenizer import Tokenizer

# With the points of Gauss and Legendre, 64 steps were measured to leave a gap of less than 1e-5 of the embedded pair's
# logits, and as many points at equal distances one of 4e-4.
N_STEPS = 64
MOST_STEPS = 1024  # the time to find the points grows with the cube of their number
METHODS = ("integrated_gradients", "gradient_x_input")
QUANTITIES = ("logit", "log_probability")
BASELINES = ("zero", "mean")
TOKENS_TOGETHER = 512  # of all steps that go through the model at once: few enough to bound the memory


@dataclass(frozen=True, repr=False, eq=False)
class Attribution:
    """How much each token that was read adds to a number that a model computed from them.

    Attributes
    ----------
    scores : (T,) float64
        In the unit of the value; 0 for the tokens after the position, which the model cannot see there.
    ids : (T,) int
        The tokens that were read.
    position : int
        The token after which the model predicts, counted from 0.
    target : int
        The token whose prediction is explained.
    against : int or None
        The token that it is explained against.
    quantity, method : str
        What is explained, and how.
    value, baseline_value : float
        The explained number, and what it would be if every token had the baseline's embedding.
    """

    scores: Float64
    ids: Ids
    position: int
    target: int
    against: int | None
    quantity: str
    method: str
    value: float
    baseline_value: float

    @property
    def gap(self) -> float:
        """What the scores leave unexplained: the value minus the baseline's value, minus the sum of the scores."""
        return self.value - self.baseline_value - float(self.scores.sum())

    def best(self, n: int = 3) -> list[tuple[int, float]]:
        """Return position and score of the n tokens with the largest scores, whichever their sign."""
        order = np.argsort(-np.abs(self.scores), kind="stable")[: integer("n", n, at_least=1)]
        return [(int(position), float(self.scores[position])) for position in order]

    def tokens(self, tokenizer: Tokenizer) -> ScoredTokens:
        """Return the tokens with their scores, which a notebook shows in two colours, and `print` as a table."""
        of = instance("tokenizer", tokenizer, Tokenizer).bytes_of
        return ScoredTokens([of(id_) for id_ in self.ids.tolist()], self.scores.tolist())

    def __repr__(self) -> str:
        against = "" if self.against is None else f" against {self.against}"
        explained = f"{self.quantity} of token {self.target}{against} after token {self.position}"
        return brief(self, f"{explained}: {self.value:.2f}, baseline {self.baseline_value:.2f}, gap {self.gap:.1g}")


def attribution(
    model: GPT,
    ids: npt.ArrayLike,
    target: int,
    *,
    against: int | None = None,
    position: int = -1,
    quantity: str = "logit",
    method: str = "integrated_gradients",
    n_steps: int | None = None,
    baseline: str | int = "zero",
) -> Attribution:
    """Say how much each token that was read adds to the prediction of a token.

    Parameters
    ----------
    model : GPT
    ids : integers, (T,)
        One sequence.
    target : int
        The token whose prediction is explained.
    against : int, optional
        Another token: what is explained is then the logit of the target minus the logit of this one, that is, why the
        one is predicted rather than the other.
    position : int
        Index of the token after which the model predicts, from the end if it is negative.
    quantity : "logit" or "log_probability"
        What is explained. The logit is what `contributions` splits, too; what is added to all logits changes it, but no
        probability. The log-probability is about all other tokens as well. With `against`, both are the same.
    method : "integrated_gradients" or "gradient_x_input"
        The gradient is multiplied by the difference between embedding and baseline. It is the gradient at the input, or
        its mean on the straight line from the baseline to the input: only then do the scores sum to the difference
        between the value and the baseline's.
    n_steps : int, optional
        Number of points of the line, for integrated gradients: those of Gauss and Legendre, at most 1024; 64 if not
        given. The `gap` of the result says whether that was enough; ReLU, whose slope jumps, can need more.
    baseline : "zero", "mean" or int
        The embedding that stands for a token that says nothing: zeros, the mean of all embeddings, or that of a token.
        Zeros favour no token, and make "gradient_x_input" the gradient times the input; no other baseline is more
        natural, so see whether what you conclude holds with two of them.

    Returns
    -------
    Attribution

    Raises
    ------
    TypeError, ValueError
        As the model does; also if it is a changed one, `ids` is a batch, there is no such position, token, quantity,
        method or baseline, the target is compared with itself, or `n_steps` is given for a method that takes none.

    References
    ----------
    Sundararajan et al. 2017 (arXiv:1703.01365), "Axiomatic Attribution for Deep Networks"; Shrikumar et al. 2016
    (arXiv:1605.01713), for gradient times input; Yin and Neubig 2022 (arXiv:2202.10419), for one token against another.

    Examples
    --------
    >>> import gptcompare as gc
    >>> lm = gc.load("nano-gpt2")
    >>> ids, (he, she) = lm.encode("The old man said that"), (lm.encode(word)[0] for word in (" he", " she"))
    >>> found = gc.inspection.attribution(lm.model, ids, he, against=she)
    >>> found.scores.shape, abs(found.gap) < 1e-3
    ((5,), True)
    """
    config = instance("model", model, GPT).config
    read = check_ids(ids, config)[0]
    if np.ndim(ids) != 1:
        raise ValueError("an attribution is of one sequence, not of a batch")
    check_room(0, len(read), config.n_ctx, config)
    check_index("position", [integer("position", position)], len(read))
    target = check_token("target", target, config)
    if against is not None and (against := check_token("against", against, config)) == target:
        raise ValueError(f"token {target} cannot be explained against itself: give another one as against")
    score, (points, weights) = _score(quantity, target, against), _points(method, n_steps)

    seen = read[: position % len(read) + 1]
    embeddings = model.parameters()["wte.weight"].astype(np.float64)
    start = _baseline(baseline, embeddings, config)
    way = embeddings[seen] - start  # (T, D)
    values, gradient = _along(model, start, way, score, points, weights)
    scores = np.zeros(len(read))
    scores[: len(seen)] = (way * gradient).sum(axis=-1)
    return Attribution(scores, read, len(seen) - 1, target, against, quantity, method, values[-1], values[0])


def _along(
    model: GPT, start: Float64, way: Float64, score: Score, points: Float64, weights: Float64
) -> tuple[list[float], Float64]:
    """Return the score at each point between start (0) and start + way (1), and the weighted sum of its gradients."""
    values, total, together = [], np.zeros_like(way), max(1, TOKENS_TOGETHER // len(way))
    for first in range(0, len(points), together):
        some = slice(first, first + together)
        embedded = (start + points[some, None, None] * way).astype(model.dtype)
        of_some, gradients = score_and_input_grads(model, embedded, score)
        values += of_some.tolist()
        total += np.tensordot(weights[some], gradients, axes=1)
    return values, total


def _points(method: str, n_steps: int | None) -> tuple[Float64, Float64]:
    """Return where on the line to take the gradient, from 0 to 1, and its weights; the ends are there in any case."""
    if _one_of("method", method, METHODS) == "gradient_x_input":
        if n_steps is not None:
            raise ValueError(
                f"gradient_x_input takes the gradient at one point: n_steps is not for it, got {shown(n_steps)}"
            )
        return np.array([0.0, 1.0]), np.array([0.0, 1.0])
    n = N_STEPS if n_steps is None else integer("n_steps", n_steps, at_least=1, at_most=MOST_STEPS)
    points, weights = np.polynomial.legendre.leggauss(n)
    return np.concatenate([[0], (points + 1) / 2, [1]]), np.concatenate([[0], weights / 2, [0]])


def _score(quantity: str, target: int, against: int | None) -> Score:
    """Return the function that computes what is explained, and its derivatives, from logits (B, V)."""
    is_logit = _one_of("quantity", quantity, QUANTITIES) == "logit"
    if against is not None:
        return partial(_logit_difference, target, against)
    return partial(_logit if is_logit else _log_probability, target)


def _one_of(name: str, value: object, names: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in names:
        raise ValueError(f"{name} must be {' or '.join(names)}, got {shown(value)}")
    return value


def _logit(target: int, logits: Array) -> tuple[Array, Array]:
    slopes = np.zeros_like(logits)
    slopes[:, target] = 1
    return logits[:, target], slopes


def _logit_difference(target: int, against: int, logits: Array) -> tuple[Array, Array]:
    (values, slopes), (others, of_others) = _logit(target, logits), _logit(against, logits)
    return values - others, slopes - of_others


def _log_probability(target: int, logits: Array) -> tuple[Array, Array]:
    """Of log p(t) = x_t - log sum_v exp(x_v), the derivative with respect to x_v is -p(v), plus 1 where v is t."""
    slopes = -softmax(logits)
    slopes[:, target] += 1
    return log_softmax(logits)[:, target], slopes


def _baseline(baseline: str | int, embeddings: Float64, config: GPTConfig) -> Float64:
    """Return the embedding that stands for a token that says nothing, (D,)."""
    if isinstance(baseline, str):
        if baseline not in BASELINES:
            raise ValueError(f"baseline must be {', '.join(BASELINES)} or the id of a token, got {shown(baseline)}")
        mean: Float64 = embeddings.mean(axis=0)
        return mean if baseline == "mean" else np.zeros_like(mean)
    found: Float64 = embeddings[check_token("baseline", baseline, config)]
    return found
