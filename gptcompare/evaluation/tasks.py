"""The published tasks: where their files are, how they are read and scored, and under which name results are published.

`evaluate` runs them. What a model reads of each is what EleutherAI's lm-evaluation-harness lets it read, and of the
tasks that it does not have, what the paper says that published them.
"""

from __future__ import annotations

import difflib
import random
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from ..generation import LanguageModel
from ..presets.record import FEW_SHOT, ONE_SHOT, SHOTS, ZERO_SHOT
from . import data_files, task_files
from .beam import WIDTH
from .data_files import Content, TaskData
from .items import Document, Item
from .json_lines import BYTE_ORDER_MARK
from .protocols import Choosing, LastWord, Protocol, Reading, Writing, in_windows


@dataclass(frozen=True)
class Settings:
    """What of a task is run, and how. None is the task's own default, and the only value where there is no choice.

    Parameters
    ----------
    limit : int, optional
        Only the first so many items.
    seed : int
        Of the items that stand in front of others, and of the confidence intervals.
    shots : int, optional
        How many solved items stand in front of each: 0 is zero-shot, the default; 1 is one-shot, more are few-shot.
        They are drawn anew for each item, from the others of the same file; the papers draw them from training sets,
        where there are any.
    stride : int, optional
        Of the windows in which texts are read: the model's context by default, so that none overlap, as in
        lm-evaluation-harness. (`LanguageModel.score` takes half a context, and does not predict the first token.)
    beams : int, optional
        Width of the beam search where an answer is written: 4 by default, as in GPT-3's paper.

    Raises
    ------
    TypeError, ValueError
        If one of them is no integer, or too small.
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
            if value is None and name != "seed":
                continue
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{name} must be an integer, got {value!r}")
            if value < least:
                raise ValueError(f"{name} must be at least {least}, got {value}")


@dataclass(frozen=True)
class Prepared:
    """The items of a task as a model gets them, and how they are scored."""

    items: list[Any]
    protocol: Protocol


@dataclass(frozen=True, kw_only=True)
class Task(ABC):
    """A published task.

    Parameters
    ----------
    name : str
    title : str
        As the published results name it (`gptcompare.presets`).
    data : TaskData, optional
        Where its files are published; None if they are always to be given.
    n_items : int, optional
        In the published file.
    source : str
        The paper.
    published_as : tuple of str
        Of "zero-shot", "one-shot" and "few-shot", those for which the results that are published under the title are
        results of this very task.
    """

    name: str
    title: str
    data: TaskData | None
    n_items: int | None
    source: str
    published_as: tuple[str, ...] = SHOTS

    choices: ClassVar[frozenset[str]]  # which of the settings it has

    @abstractmethod
    def prepare(self, lm: LanguageModel, contents: list[Content], settings: Settings) -> Prepared:
        """What there is to be scored of the task's files.

        Raises
        ------
        ValueError
            If a file is damaged, or the settings do not suit it.
        """

    def check(self, settings: Settings) -> None:
        """ValueError if a choice is made that the task does not have."""
        for name in ("shots", "stride", "beams"):
            if name not in self.choices and getattr(settings, name) is not None:
                raise ValueError(f"{self.name} has no {name}: leave it out")

    def decided(self, settings: Settings, lm: LanguageModel) -> Settings:
        """The settings with the task's own where none was chosen."""
        own = {"shots": 0, "stride": lm.config.n_ctx, "beams": WIDTH}
        return replace(settings, **{name: own[name] for name in self.choices if getattr(settings, name) is None})


@dataclass(frozen=True, kw_only=True)
class Questions(Task):
    """Items with an answer each.

    Parameters
    ----------
    name, title, data, n_items, source, published_as
        As of every `Task`.
    read : function of the files' contents
        Gives the items.
    protocol : Protocol
        How they are scored.
    instruction : str
        Stands in front of everything, if it is not empty.
    separator : str
        Between instruction, solved items and the item that is asked.
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
                raise ValueError(f"{self.name} has {len(items)} items: {shots} others than the asked cannot be drawn")
            drawn = random.Random(f"{settings.seed} {number}").sample(items, n_drawn)
            asked.append(self._behind([other for other in drawn if other.pairs != item.pairs][:shots], item))
        return Prepared(asked, self.protocol)

    def _behind(self, solved: Sequence[Item], item: Item) -> Item:
        """An item behind what the model reads before it: the instruction, and others with their answers."""
        before = [
            *([self.instruction] if self.instruction else []),
            *(other.context + other.answer for other in solved),
        ]
        prefix = "".join(part + self.separator for part in before)
        return replace(item, pairs=tuple((prefix + context, answer) for context, answer in item.pairs))


@dataclass(frozen=True, kw_only=True)
class WrittenQuestions(Questions):
    """Items whose answer the model writes."""

    protocol: Protocol = field(default=Writing(WIDTH))

    choices = frozenset({"shots", "beams"})

    def prepare(self, lm: LanguageModel, contents: list[Content], settings: Settings) -> Prepared:
        prepared = super().prepare(lm, contents, settings)
        return replace(prepared, protocol=Writing(settings.beams or WIDTH))


@dataclass(frozen=True, kw_only=True)
class Texts(Task):
    """Documents that are read from beginning to end.

    Parameters
    ----------
    name, title, data, n_items, source, published_as
        As of every `Task`.
    read : function of the files' contents
        Gives the documents.
    in_words : bool
        Whether the perplexity is that of a published word, and not of a token.
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
        return Prepared(items, Reading(tuple(document.n_bytes for document in documents), n_words))


LAMBADA = "Paperno et al. 2016 (arXiv:1606.06031), in OpenAI's version (Radford et al. 2019, section 3.3)"
HELLASWAG = "Zellers et al. 2019 (arXiv:1905.07830), validation set"
PIQA = "Bisk et al. 2020 (arXiv:1911.11641), validation set"
WINOGRANDE = "Sakaguchi et al. 2020 (arXiv:1907.10641), development set"
CBT = "Hill et al. 2016 (arXiv:1511.02301), validation set; scored as Radford et al. 2019, section 3.2"
WIKITEXT = "Merity et al. 2016 (arXiv:1609.07843), test set"
GPT3 = "Brown et al. 2020 (arXiv:2005.14165), section 3.9"

KINDS_OF_WORDS = {"CN": "common nouns", "NE": "named entities", "V": "verbs", "P": "prepositions"}

# Figures G.19 and those behind it in GPT-3's paper.
UNSCRAMBLE = "Please unscramble the letters into a word, and write that word:"
# The file's name -> what Table H.1 of GPT-3's paper calls it; the last two are published, and not in the paper.
ARITHMETIC = {
    "two_digit_addition": "2-digit addition (2D+)",
    "two_digit_subtraction": "2-digit subtraction (2D-)",
    "three_digit_addition": "3-digit addition (3D+)",
    "three_digit_subtraction": "3-digit subtraction (3D-)",
    "four_digit_addition": "4-digit addition (4D+)",
    "four_digit_subtraction": "4-digit subtraction (4D-)",
    "five_digit_addition": "5-digit addition (5D+)",
    "five_digit_subtraction": "5-digit subtraction (5D-)",
    "two_digit_multiplication": "2-digit multiplication (2Dx)",
    "single_digit_three_ops": "1-digit composite (1DC)",
    "six_digit_addition": "6-digit addition",
    "six_digit_subtraction": "6-digit subtraction",
    "sum_of_digits": "sum of digits",
}
SCRAMBLED = {
    "cycle_letters_in_word": "Cycled letters (CL)",
    "mid_word_1_anagrams": "Anagrams 1 (A1)",
    "mid_word_2_anagrams": "Anagrams 2 (A2)",
    "random_insertion_in_word": "Symbol insertion (RI)",
    "reversed_words": "Reversed words (RW)",
}


def read_scrambled(contents: list[Content]) -> list[Item]:
    """Scrambled words, each " = " its solution, whether or not the file has the instruction in front of each."""
    items = task_files.read_completions(contents)
    return [
        Item(((item.context.strip().removeprefix(UNSCRAMBLE).strip(), f" {item.answer.strip()}"),)) for item in items
    ]


def read_text(contents: list[Content]) -> list[Document]:
    """Each file as one document. ValueError if it is not UTF-8."""
    documents = []
    for content in contents:
        try:
            text = content.content.removeprefix(BYTE_ORDER_MARK).decode("utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"{content.name} is not UTF-8 text ({error.reason} at byte {error.start})") from None
        documents.append(Document(text, len(text.split()), len(text.encode())))
    return documents


def _file_name(stem: str) -> str:
    return stem.replace("_", "-")


_ALL: list[Task] = [
    Questions(
        name="lambada", title="LAMBADA", data=data_files.LAMBADA, n_items=5153, source=LAMBADA,
        read=task_files.read_lambada, protocol=LastWord(), published_as=(ZERO_SHOT,),
    ),
    Questions(
        name="lambada-cloze", title="LAMBADA", data=data_files.LAMBADA, n_items=5153,
        source=f"{LAMBADA}; with a blank, as Brown et al. 2020, section 3.1.2", read=task_files.read_lambada_cloze,
        protocol=LastWord(), published_as=(ONE_SHOT, FEW_SHOT),
    ),
    Questions(
        name="hellaswag", title="HellaSwag", data=data_files.HELLASWAG, n_items=10042, source=HELLASWAG,
        read=task_files.read_hellaswag, protocol=Choosing(normalised=True),
    ),
    Questions(
        name="piqa", title="PIQA", data=data_files.PIQA, n_items=1838, source=PIQA, read=task_files.read_piqa,
        protocol=Choosing(normalised=True),
    ),
    Questions(
        name="winogrande", title="Winogrande", data=data_files.WINOGRANDE, n_items=1267, source=WINOGRANDE,
        read=task_files.read_winogrande, protocol=Choosing(normalised=False),
    ),
    *(
        Questions(
            name=f"cbt-{kind.lower()}", title=f"Children's Book Test, {words}", data=data_files.CBT[kind], n_items=2000,
            source=CBT, read=task_files.read_cbt, protocol=Choosing(normalised=False),
        )
        for kind, words in KINDS_OF_WORDS.items()
    ),
    Texts(
        name="wikitext-2", title="WikiText in lm-evaluation-harness", data=data_files.WIKITEXT_2, n_items=62,
        source=WIKITEXT, read=task_files.read_wikitext, in_words=True,
    ),
    Texts(
        name="text", title="text", data=None, n_items=None, source="any text in UTF-8", read=read_text, in_words=False
    ),
    *(
        WrittenQuestions(
            name=_file_name(stem), title=title, data=data_files.GPT3[stem], n_items=2000, source=GPT3,
            read=task_files.read_completions, separator="",
        )
        for stem, title in ARITHMETIC.items()
    ),
    *(
        WrittenQuestions(
            name=_file_name(stem), title=title, data=data_files.GPT3[stem], n_items=10000, source=GPT3,
            read=read_scrambled, instruction=UNSCRAMBLE, separator="\n",
        )
        for stem, title in SCRAMBLED.items()
    ),
]  # fmt: skip
TASKS = {task.name: task for task in _ALL}


def task_named(name: str) -> Task:
    """ValueError, with the nearest names, if there is none."""
    if name not in TASKS:
        near = difflib.get_close_matches(name, TASKS, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise ValueError(f"unknown task {name!r}: {hint}known are {', '.join(TASKS)}")
    return TASKS[name]
