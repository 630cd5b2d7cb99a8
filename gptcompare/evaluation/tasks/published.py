"""The published tasks: where their files are, how they are read and scored, and under which name results are published.

A model reads the same text as in EleutherAI's lm-evaluation-harness or, for tasks that the harness does not have, the
text described in the paper that published the task. (One difference: in few-shot examples of LAMBADA, the harness
writes two spaces before the last word; here it is one.)
"""

from __future__ import annotations

from dataclasses import replace

from ...checks import did_you_mean, one_text
from ...files.texts import decode_text
from ...presets.record import FEW_SHOT, ONE_SHOT, ZERO_SHOT
from . import data_files, readers
from .data_files import Content
from .items import Document, Item
from .protocols import Choosing, LastWord
from .task import Questions, Task, Texts, WrittenQuestions

LAMBADA = "Paperno et al. 2016 (arXiv:1606.06031), in OpenAI's version (Radford et al. 2019, section 3.3)"
HELLASWAG = "Zellers et al. 2019 (arXiv:1905.07830), validation set"
PIQA = "Bisk et al. 2020 (arXiv:1911.11641), validation set"
WINOGRANDE = "Sakaguchi et al. 2020 (arXiv:1907.10641), development set"
CBT = "Hill et al. 2016 (arXiv:1511.02301), validation set; scored as Radford et al. 2019, section 3.2"
WIKITEXT = "Merity et al. 2016 (arXiv:1609.07843), test set"
GPT3 = "Brown et al. 2020 (arXiv:2005.14165), section 3.9"

KINDS_OF_WORDS = {"CN": "common nouns", "NE": "named entities", "V": "verbs", "P": "prepositions"}

# Figure G.19 of GPT-3's paper and the ones after it.
UNSCRAMBLE = "Please unscramble the letters into a word, and write that word:"
# The file's name -> its name in Table H.1 of GPT-3's paper; the last three files are not in the paper.
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
    """Read scrambled words, each with " = " and its solution, whether or not each begins with the instruction."""
    items = readers.read_completions(contents)
    return [
        replace(item, pairs=((item.context.strip().removeprefix(UNSCRAMBLE).strip(), f" {item.answer.strip()}"),))
        for item in items
    ]


def read_text(contents: list[Content]) -> list[Document]:
    """Read each file as one document; it is a ValueError if it is not UTF-8."""
    documents = []
    for content in contents:
        text = decode_text(content.content, content.name)
        documents.append(Document(text, len(text.split()), len(text.encode())))
    return documents


def _task_name(stem: str) -> str:
    return stem.replace("_", "-")


_ALL: list[Task] = [
    Questions(
        name="lambada", title="LAMBADA", data=data_files.LAMBADA, n_items=5153, source=LAMBADA,
        read=readers.read_lambada, protocol=LastWord(), published_as=(ZERO_SHOT,),
    ),
    Questions(
        name="lambada-cloze", title="LAMBADA", data=data_files.LAMBADA, n_items=5153,
        source=f"{LAMBADA}; with a blank, as Brown et al. 2020, section 3.1.2", read=readers.read_lambada_cloze,
        protocol=LastWord(), published_as=(ONE_SHOT, FEW_SHOT),
    ),
    Questions(
        name="hellaswag", title="HellaSwag", data=data_files.HELLASWAG, n_items=10042, source=HELLASWAG,
        read=readers.read_hellaswag, protocol=Choosing(normalised=True),
    ),
    Questions(
        name="piqa", title="PIQA", data=data_files.PIQA, n_items=1838, source=PIQA, read=readers.read_piqa,
        protocol=Choosing(normalised=True),
    ),
    Questions(
        name="winogrande", title="Winogrande", data=data_files.WINOGRANDE, n_items=1267, source=WINOGRANDE,
        read=readers.read_winogrande, protocol=Choosing(normalised=False),
    ),
    *(
        Questions(
            name=f"cbt-{kind.lower()}", title=f"Children's Book Test, {words}", data=data_files.CBT[kind], n_items=2000,
            source=CBT, read=readers.read_cbt, protocol=Choosing(normalised=False),
        )
        for kind, words in KINDS_OF_WORDS.items()
    ),
    Texts(
        name="wikitext-2", title="WikiText in lm-evaluation-harness", data=data_files.WIKITEXT_2, n_items=62,
        source=WIKITEXT, read=readers.read_wikitext, in_words=True,
    ),
    Texts(
        name="text", title="text", data=None, n_items=None, source="any text in UTF-8", read=read_text, in_words=False
    ),
    *(
        WrittenQuestions(
            name=_task_name(stem), title=title, data=data_files.GPT3[stem], n_items=2000, source=GPT3,
            read=readers.read_completions, separator="",
        )
        for stem, title in ARITHMETIC.items()
    ),
    *(
        WrittenQuestions(
            name=_task_name(stem), title=title, data=data_files.GPT3[stem], n_items=10000, source=GPT3,
            read=read_scrambled, instruction=UNSCRAMBLE, separator="\n",
        )
        for stem, title in SCRAMBLED.items()
    ),
]  # fmt: skip
TASKS = {task.name: task for task in _ALL}


def task_named(name: str) -> Task:
    """Return the task of this name; an unknown name is a ValueError that gives the nearest names."""
    if one_text("task", name) not in TASKS:
        raise ValueError(f"unknown task {name!r}: {did_you_mean(name, TASKS)}`gptcompare tasks` lists them")
    return TASKS[name]
