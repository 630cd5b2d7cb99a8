"""`features` as a step of a scikit-learn pipeline; scikit-learn itself is not needed for it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from ..generation import LanguageModel, load
from .features import Vectors, features


class Features:
    """Texts to vectors, with the methods that scikit-learn asks of a transformer.

        make_pipeline(Features("nano-gpt2"), StandardScaler(), LogisticRegression()).fit(texts, labels)

    Parameters
    ----------
    model : str or LanguageModel
        A name or folder, as `gptcompare.load` takes it, which is loaded at first use; or a model, which all clones of
        this object share.
    layer, pool
        As `features` takes them; pool is "mean" or "last".
    """

    def __init__(self, model: str | LanguageModel = "nano-gpt2", layer: int = -1, pool: str = "mean") -> None:
        self.model = model
        self.layer = layer
        self.pool = pool

    def fit(self, X: Sequence[str], y: Any = None) -> Features:
        """There is nothing to learn."""
        return self

    def transform(self, X: Sequence[str]) -> Vectors:
        """Texts to (n_texts, D) float32. Errors are those of `features` and `gptcompare.load`."""
        if self.pool is None:
            raise ValueError('pool must be "mean" or "last": a classifier wants one vector a text')
        if isinstance(X, str):
            raise TypeError(f"X must be several texts, got {X[:20]!r}")
        lm = self.model if isinstance(self.model, LanguageModel) else _loaded(self.model)
        vectors: Vectors = features(lm, [_text(text) for text in X], self.layer, self.pool)
        return vectors

    def fit_transform(self, X: Sequence[str], y: Any = None) -> Vectors:
        """What `transform` gives."""
        return self.fit(X, y).transform(X)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters by their names."""
        return {"model": self.model, "layer": self.layer, "pool": self.pool}

    def set_params(self, **params: Any) -> Features:
        """Change parameters. ValueError for a name that is none."""
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
        """What scikit-learn wants to know; only scikit-learn calls this."""
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


def _text(text: object) -> str:
    if not isinstance(text, str):
        raise TypeError(f"a text must be a str, got {type(text).__name__}")
    return str(text)
