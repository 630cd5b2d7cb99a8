"""The models whose weights are in the package, which need neither a network nor a cache."""

from __future__ import annotations

from pathlib import Path

from ..presets import canonical_name, published
from .errors import DownloadError
from .layouts import has_weights

PACKAGE = Path(__file__).parents[1]
# Where an installation has the weights, and where a clone of the repository has them.
PLACES = (PACKAGE / "weights", PACKAGE.parent / "weights")


def embedded_folder(name: str) -> Path | None:
    """Return the folder of an embedded model, by its name in upper or lower case; None for any other name.

    Raises
    ------
    DownloadError
        If the model is embedded but missing from this installation.
    """
    try:
        canonical = canonical_name(name)
    except ValueError:
        return None
    if not published(canonical).embedded:
        return None
    for place in PLACES:
        if has_weights(place / canonical):
            return place / canonical
    raise DownloadError(f"{canonical} is part of gptcompare, but {PLACES[0]} does not have it: reinstall gptcompare")
