"""The models of this machine, each loaded when it is first asked for."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence

from ..checkpoints import listing
from ..checkpoints.download.publishers import DEFAULT_SOURCE
from ..generation import LanguageModel, load
from ..presets import EMBEDDED_PAIR

MOST_LOADED = 4  # models; the one that was used longest ago makes room


class Shelf:
    """The models that can be had without a network, by name.

    Parameters
    ----------
    others : sequence of str
        Names and folders beside the embedded pair and what has been downloaded, which come first.

    Raises
    ------
    ValueError
        If one of them is neither a folder nor a model that has been downloaded.
    """

    def __init__(self, others: Sequence[str] = ()) -> None:
        here = [model.name for model in listing() if model.complete and model.source == DEFAULT_SOURCE]
        for name in others:
            if name not in here and not os.path.exists(name):
                raise ValueError(
                    f"{name!r} is not on this machine, and the page downloads nothing (`gptcompare download` does): "
                    f"here are {', '.join(here)}, and folders"
                )
        self.names = list(dict.fromkeys([*others, *EMBEDDED_PAIR, *here]))
        self._loaded: dict[str, LanguageModel] = {}
        self._lock = threading.Lock()

    def take(self, name: str) -> LanguageModel:
        """Return a model, loading it if it is not loaded yet.

        Raises
        ------
        ValueError
            If there is no such model on the shelf; also what `gptcompare.load` raises.
        """
        if name not in self.names:
            raise ValueError(f"there is no model {name!r} here: there are {', '.join(self.names)}")
        with self._lock:
            lm = self._loaded.pop(name, None) or load(name)
            self._loaded[name] = lm  # the last one used is the last one in the dict
            while len(self._loaded) > MOST_LOADED:
                del self._loaded[next(iter(self._loaded))]
        return lm
