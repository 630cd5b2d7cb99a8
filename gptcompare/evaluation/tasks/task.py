"""Tasks turn the contents of files and some settings into items as a model reads them, with a protocol to score them.

`published` lists the published tasks; others are made of the same classes.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from ...checks import brief, integer
from ...generation import LanguageModel
from ...presets.record import SHOTS
from ...uses.beam import WIDTH
from .data_files import Content, TaskData
from .items import Document, Item
from .protocols import EveryToken, Protocol, Writing, in_windows


@dataclass(frozen=True)
class Settings:
    """Settings of an evaluation. None is the task's default, and the only value if the task does not have that setting.

    Parameters
    ----------
    limit : int, optional
        Use only the first `limit` items.
    seed : int
        Seed for drawing few-shot examples and for the bootstrap.
    shots : int, optional
        Few-shot examples per item: 0 is zero-shot, the default; 1 is one-shot, more are few-shot. They are drawn anew
        for each item from the others of the same file; the papers draw them from training sets, where there are any.
    stride : int, optional
        Stride of the windows in which texts are read. The default is the model's context, so that windows do not
        overlap, as in lm-evaluation-harness. (`LanguageModel.score` uses half a context, and does not predict the first
        token.)
    beams : int, optional
        Width of the beam search where an answer is written: 4 by default, as in GPT-3's paper.

    Raises
    ------
    TypeError, ValueError
        If one of them is not an integer, or is too small.
    """

    limit: int | None = None
    seed: int = 0
    shots: int | None = None
    stride: int | None = None
    beams: int | None = None

    LEAST: ClassVar[dict[str, int]] = {"limit": 1, "seed": 0, "shots": 0, "stride": 1, "beams": 1}

    def __post_init__(self) -> None:
        for name, least in self.LEAST.items():
            value = getattr(self, name)
            if value is not None or name == "seed":
                object.__setattr__(self, name, integer(name, value, at_least=least))


@dataclass(frozen=True)
class Prepared:
    """The items of a task as a model reads them, and the protocol that scores them."""

    items: list[Any]
    protocol: Protocol


@dataclass(frozen=True, kw_only=True)
class Task(ABC):
    """A task: files with items, and a protocol that scores them.

    Parameters
    ----------
    name : str
    title : str
        As the published results name it (`gptcompare.presets`).
    data : TaskData, optional
        Where its files are published; None if they must always be given.
    n_items : int, optional
        The number of items in the published file.
    source : str
        The paper.
    published_as : tuple of str
        Those of "zero-shot", "one-shot" and "few-shot" for which the results published under the title are results of
        exactly this task.
    """

    name: str
    title: str
    data: TaskData | None
    n_items: int | None
    source: str
    published_as: tuple[str, ...] = SHOTS

    def __repr__(self) -> str:
        return brief(self, f"{self.name}, {self.title} ({self.n_items or 'any number of'} items)")

    choices: ClassVar[frozenset[str]]  # the settings that the task has

    @abstractmethod
    def prepare(self, lm: LanguageModel, contents: list[Content], settings: Settings) -> Prepared:
        """Turn the task's files into items and a protocol.

        Raises
        ------
        ValueError
            If a file is damaged, or the settings do not suit it.
        """

    def check(self, settings: Settings) -> None:
        """Check that the task has every setting that is given; it is a ValueError if not."""
        for name in ("shots", "stride", "beams"):
            if name not in self.choices and getattr(settings, name) is not None:
                raise ValueError(f"{self.name} has no {name}: leave it out")

    def decided(self, settings: Settings, lm: LanguageModel) -> Settings:
        """Return the settings with the task's defaults where none was chosen."""
        own = {"shots": 0, "stride": lm.config.n_ctx, "beams": WIDTH}
        return replace(settings, **{name: own[name] for name in self.choices if getattr(settings, name) is None})


@dataclass(frozen=True, kw_only=True, repr=False)
class Questions(Task):
    """A task whose items have one right answer each.

    Parameters
    ----------
    name, title, data, n_items, source, published_as
        As for every `Task`.
    read : function
        Reads the items from the files' contents.
    protocol : Protocol
        Scores them.
    instruction : str
        Comes first, if it is not empty.
    separator : str
        Between instruction, few-shot examples and the item that is asked.
    """

    read: Callable[[list[Content]], list[Item]]
    protocol: Protocol
    instruction: str = ""
    separator: str = "\n\n"

    choices = frozenset({"shots"})

    def prepare(self, lm: LanguageModel, contents: list[Content], settings: Settings) -> Prepared:
        items, shots = self.read(contents), settings.shots or 0
        n = len(items) if settings.limit is None else min(settings.limit, len(items))
        n_equal = Counter(item.pairs for item in items)
        asked = []
        for number, item in enumerate(items[:n]):
            n_drawn = shots + n_equal[item.pairs]
            if n_drawn > len(items):
                raise ValueError(f"{self.name} has {len(items)} items: cannot draw {shots} besides the one asked")
            drawn = random.Random(f"{settings.seed} {number}").sample(items, n_drawn)
            asked.append(self._after([other for other in drawn if other.pairs != item.pairs][:shots], item))
        return Prepared(asked, self.protocol)

    def _after(self, examples: Sequence[Item], item: Item) -> Item:
        """Put the instruction and the few-shot examples before an item."""
        before = [
            *([self.instruction] if self.instruction else []),
            *(other.context + other.answer for other in examples),
        ]
        prefix = "".join(part + self.separator for part in before)
        pairs = tuple((prefix + context, answer) for context, answer in item.pairs)
        return replace(item, pairs=pairs, n_before=len(prefix))


@dataclass(frozen=True, kw_only=True, repr=False)
class WrittenQuestions(Questions):
    """A task whose answers the model writes."""

    protocol: Protocol = field(default=Writing(WIDTH))

    choices = frozenset({"shots", "beams"})

    def prepare(self, lm: LanguageModel, contents: list[Content], settings: Settings) -> Prepared:
        prepared = super().prepare(lm, contents, settings)
        return replace(prepared, protocol=Writing(settings.beams or WIDTH))


@dataclass(frozen=True, kw_only=True, repr=False)
class Texts(Task):
    """A task of documents that are read from beginning to end.

    Parameters
    ----------
    name, title, data, n_items, source, published_as
        As for every `Task`.
    read : function
        Reads the documents from the files' contents.
    in_words : bool
        True for a perplexity per word as published, besides the one per token.
    """

    read: Callable[[list[Content]], list[Document]]
    in_words: bool

    choices = frozenset({"stride"})

    def prepare(self, lm: LanguageModel, contents: list[Content], settings: Settings) -> Prepared:
        documents = self.read(contents)[: settings.limit]
        items = in_windows(lm, documents, settings.stride or lm.config.n_ctx)
        if not items:
            raise ValueError(f"there is no token to predict in {', '.join(content.name for content in contents)}")
        n_words = tuple(document.n_words for document in documents) if self.in_words else None
        return Prepared(items, EveryToken(tuple(document.n_bytes for document in documents), n_words))
