"""Texts as vectors: the model's residual stream, for a classifier to learn from.

Each text is read after the token that begins or separates texts. That token's own vector is left out, because the first
token's vector is unlike all others. A text longer than the model's context is read in windows, each starting half a
context after the one before; a token's vector comes from the first window that contains it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Literal, overload

import numpy as np

from ..arrays import Array, Float32, Ids
from ..checks import brief, each_text, instance, integer
from ..generation import LanguageModel, load
from ..model import GPT
from ..tokenizer import AllowedSpecial

TOKENS = 1024  # the most that are read at once, in texts of the same length
POOLS: dict[str, Callable[[Float32], Float32]] = {
    "mean": lambda vectors: vectors.mean(axis=0),
    "last": lambda vectors: vectors[-1].copy(),
}


@overload
def features(
    lm: LanguageModel, texts: str | Iterable[str], layer: int = ..., pool: Literal["mean", "last"] = ...,
    *, allowed_special: AllowedSpecial = ...,
) -> Float32: ...  # fmt: skip
@overload
def features(
    lm: LanguageModel, texts: str | Iterable[str], layer: int, pool: None, *, allowed_special: AllowedSpecial = ...
) -> list[Float32]: ...
@overload
def features(
    lm: LanguageModel, texts: str | Iterable[str], *, pool: None, allowed_special: AllowedSpecial = ...
) -> list[Float32]: ...
@overload
def features(
    lm: LanguageModel, texts: str | Iterable[str], layer: int = ..., pool: str | None = ...,
    *, allowed_special: AllowedSpecial = ...,
) -> Any: ...  # fmt: skip
def features(
    lm: LanguageModel,
    texts: str | Iterable[str],
    layer: int = -1,
    pool: str | None = "mean",
    *,
    allowed_special: AllowedSpecial = (),
) -> Float32 | list[Float32]:
    """Turn each text into a vector.

    Parameters
    ----------
    lm : LanguageModel
    texts : str, or a list of them
        None of them may be empty.
    layer : int
        Which residual stream to take: 0 is the embeddings, n_layer or -1 is the output of the last block.
    pool : "mean", "last" or None
        The mean over the text's tokens; the last token's vector, which has seen the whole text; or all of them.
    allowed_special
        As for `LanguageModel.generate`.

    Returns
    -------
    (n_texts, D) float32; if `pool` is None, a list of (T, D) float32

    Raises
    ------
    TypeError, ValueError
        If a text is empty or not a str, there is no such layer or pool, or a damaged parameter makes a feature infinite
        or NaN.
    """
    lm = instance("lm", lm, LanguageModel).allowing(allowed_special)
    if pool is not None and not (isinstance(pool, str) and pool in POOLS):
        raise ValueError(f"pool must be {', '.join(map(repr, POOLS))} or None, got {pool!r}")
    several = [texts] if isinstance(texts, str) else list(each_text("texts", texts))
    layer = _checked_layer(lm, layer)
    vectors: list[Float32] = [np.empty(0, np.float32)] * len(several)
    for number, of_text in _read(lm, several, layer):
        if not len(of_text):
            raise ValueError(f"text {number} is empty: it has no features")
        vectors[number] = of_text if pool is None else POOLS[pool](of_text)
    if pool is None:
        return vectors
    return np.array(vectors, np.float32).reshape(len(several), lm.config.d_model)


@dataclass(frozen=True)
class TokenFeatures:
    """A vector for each token of a text.

    Attributes
    ----------
    vectors : (T, D) float32
    spans : list of (start, end)
        In characters: token t is in text[start:end]. Tokens that are parts of one character all have the same span.
    """

    vectors: Float32
    spans: list[tuple[int, int]]

    def __repr__(self) -> str:
        return brief(self, f"{len(self.spans)} tokens, vectors of width {self.vectors.shape[1]}")


def token_features(
    lm: LanguageModel, text: str, layer: int = -1, *, allowed_special: AllowedSpecial = ()
) -> TokenFeatures:
    """Turn each token of a text into a vector, with its position in the text: for tagging names, for example.

    Parameters
    ----------
    lm : LanguageModel
    text : str
    layer, allowed_special
        As `features` takes them.

    Returns
    -------
    TokenFeatures

    Raises
    ------
    TypeError, ValueError
        As `features`, except that an empty text is allowed: it has no tokens.
    """
    lm = instance("lm", lm, LanguageModel).allowing(allowed_special)
    ((_, vectors),) = _read(lm, [text], _checked_layer(lm, layer))
    return TokenFeatures(vectors, token_spans(lm, text))


def token_spans(lm: LanguageModel, text: str) -> list[tuple[int, int]]:
    """Return the span of characters that each token of a text covers, wholly or in part."""
    first = [n for n, character in enumerate(text) for _ in character.encode()] + [len(text)]  # the character of a byte
    ends = lm.tokenizer.byte_ends(text, lm.allowed_special)
    return [(first[start], first[end - 1] + 1 if end > start else first[start]) for start, end in pairwise([0, *ends])]


def _checked_layer(lm: LanguageModel, layer: int) -> int:
    n_streams = lm.config.n_layer + 1
    layer = integer("layer", layer)
    if not -n_streams <= layer < n_streams:
        raise ValueError(f"layer must be between {-n_streams} and {n_streams - 1}, got {layer}")
    return layer % n_streams


def _read(lm: LanguageModel, texts: Sequence[str], layer: int) -> Iterator[tuple[int, Float32]]:
    """Yield each text's number and the vectors of its tokens, (T, D); texts of the same length are read together."""
    before = lm.beginning
    ids = [before + lm.encode(text) for text in texts]
    of_length: dict[int, list[int]] = {}  # number of tokens -> numbers of the texts
    for number, of_text in enumerate(ids):
        of_length.setdefault(len(of_text), []).append(number)
    for length, numbers in of_length.items():
        if length == len(before):  # the empty ones
            yield from ((number, np.empty((0, lm.config.d_model), np.float32)) for number in numbers)
            continue
        n_together = max(TOKENS // length, 1)
        for start in range(0, len(numbers), n_together):
            batch = numbers[start : start + n_together]
            stream = _in_windows(lm.model, np.array([ids[number] for number in batch]), layer)
            for number, vectors in zip(batch, stream.astype(np.float32, copy=False), strict=True):
                yield number, vectors[len(before) :]


def _in_windows(model: GPT, ids: Ids, layer: int) -> Array:
    """Return the residual stream (B, T, D) of ids (B, T) that may be longer than the context; ValueError for NaN."""
    n_ctx, T = model.config.n_ctx, ids.shape[1]
    step = max(n_ctx // 2, 1)
    stream: Array = np.empty((*ids.shape, model.config.d_model), model.dtype)
    done = 0
    for start in range(0, max(T - n_ctx, 0) + step, step):
        end = min(start + n_ctx, T)
        if end > done:
            stream[:, done:end] = model.residual_stream(ids[:, start:end], n_blocks=layer)[:, done - start :]
            done = end
    if not np.isfinite(stream).all():
        raise ValueError("the features are not finite numbers: the model's parameters must be damaged")
    return stream


class Features:
    """Turn texts into vectors, with the methods that scikit-learn expects of a transformer.

        make_pipeline(Features("nano-gpt2"), StandardScaler(), LogisticRegression()).fit(texts, labels)

    Parameters
    ----------
    model : str or LanguageModel
        A name or folder, as `gptcompare.load` takes it, loaded at first use; or a model, which all clones of this
        object share, and which may be one that allows special tokens (`LanguageModel.allowing`).
    layer, pool
        As `features` takes them; pool is "mean" or "last".
    """

    def __init__(self, model: str | LanguageModel = "nano-gpt2", layer: int = -1, pool: str = "mean") -> None:
        self.model = model
        self.layer = layer
        self.pool = pool

    def fit(self, X: Iterable[str], y: Any = None) -> Features:
        """Return self: there is nothing to learn."""
        return self

    def transform(self, X: Iterable[str]) -> Float32:
        """Return the texts as (n_texts, D) float32; it raises what `features` and `gptcompare.load` raise."""
        if self.pool is None:
            raise ValueError('pool must be "mean" or "last": a classifier needs one vector for each text')
        several = list(each_text("X", X))
        lm = self.model if isinstance(self.model, LanguageModel) else _loaded(self.model)
        vectors: Float32 = features(lm, several, self.layer, self.pool)
        return vectors

    def fit_transform(self, X: Iterable[str], y: Any = None) -> Float32:
        """Return the texts as `transform` does."""
        return self.fit(X, y).transform(X)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name."""
        return {"model": self.model, "layer": self.layer, "pool": self.pool}

    def set_params(self, **params: Any) -> Features:
        """Change parameters; an unknown name is a ValueError."""
        for name, value in params.items():
            if name not in self.get_params():
                raise ValueError(f"Features has the parameters {', '.join(self.get_params())}, not {name!r}")
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        model = self.model if isinstance(self.model, LanguageModel) else repr(self.model)
        return f"Features({model}, layer={self.layer}, pool={self.pool!r})"

    def __sklearn_clone__(self) -> Features:
        return Features(**self.get_params())

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        """Return the properties that scikit-learn asks for; only scikit-learn calls this."""
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type="transformer",
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(preserves_dtype=[]),
            input_tags=InputTags(one_d_array=True, two_d_array=False, string=True),
            requires_fit=False,
        )


@lru_cache(maxsize=2)
def _loaded(name: str) -> LanguageModel:
    return load(name)
