"""Readers turn the published files of tasks into questions, one for each format: `list of Content -> list of Item`.

A reader takes the result of `TaskData.contents`: one file, or, for PIQA, the questions and their labels. The model
reads, letter for letter, what EleutherAI's lm-evaluation-harness 0.4 gives it (lm_eval/tasks/, the folder of each
task), except for the Children's Book Test, which the harness does not have. If a file is damaged, or the wrong one, a
ValueError names the line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any

from ...files.json_lines import json_objects
from ...files.texts import lines_of
from .data_files import Content
from .detokenizers import detokenized_pair, detokenized_wikitext
from .items import Document, Item

BLANK = "XXXXX"  # where a word is missing in a question of the Children's Book Test
N_SENTENCES, N_CANDIDATES = 20, 10
# A candidate of the Children's Book Test with the "|" after it. The word may itself be a "|": then there seem to be
# empty candidates, which rkadlec/asreader (cbt_dataset.py) also has to handle.
CANDIDATE = re.compile(r"(\||[^|]*)(?:\||$)")
# The line with a page's title is " = Title = "; section headings have two or more marks, " = = Section = = ".
TITLE = re.compile(r"\s*= (?!=).*(?<!=) =\s*")


def read_lambada(contents: Sequence[Content]) -> list[Item]:
    """Read LAMBADA, the last word of each text (Paperno et al. 2016, arXiv:1606.06031): lines of {"text": "..."}."""
    return [Item(((context, word),), place=place) for place, context, word in _last_words(contents)]


def read_lambada_cloze(contents: Sequence[Content]) -> list[Item]:
    """Read the same with a blank to fill in, as GPT-3 was asked with examples (Brown et al. 2020, 3.1.2)."""
    return [Item(((f"{context} ____. ->", word),), place=place) for place, context, word in _last_words(contents)]


def _last_words(contents: Sequence[Content]) -> Iterator[tuple[str, str, str]]:
    """Split each text in two, behind its place: everything before its last word, and that word with a space before."""
    for place, fields in _objects(contents[0]):
        context, _, word = _text(place, fields, "text").rpartition(" ")
        yield place, context, f" {word}"


def read_hellaswag(contents: Sequence[Content]) -> list[Item]:
    """Read HellaSwag, possible endings of a description (Zellers et al. 2019, arXiv:1905.07830).

    Lines are objects with the texts "activity_label", "ctx_a" and "ctx_b", the list of texts "endings", and "label",
    which counts from 0.
    """
    return [_hellaswag_item(place, fields) for place, fields in _objects(contents[0])]


def _hellaswag_item(place: str, fields: dict[str, Any]) -> Item:
    activity, first, second = (_text(place, fields, name) for name in ("activity_label", "ctx_a", "ctx_b"))
    context = _without_wikihow_marks(f"{activity}: {first} {second.capitalize()}")
    endings, label = _endings(place, fields)
    return Item(tuple((context, f" {_without_wikihow_marks(ending)}") for ending in endings), label, place)


def _endings(place: str, fields: dict[str, Any]) -> tuple[list[str], int]:
    """Return the possible endings of an item of HellaSwag, and the index of the right one."""
    endings = fields.get("endings")
    if not isinstance(endings, list) or not endings or not all(map(_is_text, endings)):
        raise ValueError(f'{place}: expected "endings", a list of texts')
    return endings, _label(place, fields.get("label"), [str(number) for number in range(len(endings))])


def read_plain_hellaswag(contents: Sequence[Content]) -> list[Item]:
    """Read HellaSwag as it is published: the text "ctx", and each of the "endings" after a space."""
    return [_plain_hellaswag_item(place, fields) for place, fields in _objects(contents[0])]


def _plain_hellaswag_item(place: str, fields: dict[str, Any]) -> Item:
    context, endings, label = _text(place, fields, "ctx"), *_endings(place, fields)
    return Item(tuple((context, f" {ending}") for ending in endings), label, place)


def _without_wikihow_marks(text: str) -> str:
    """Remove marks that only the items from WikiHow have: headings as "[title] ...", and other text in brackets."""
    text = text.strip().replace(" [title]", ". ")
    # What no bracket closes in its line is matched to the line's end, and left: no bracket in it is looked at again.
    text = re.sub(r"\[[^\]\n]*(\]?)", lambda mark: "" if mark[1] else mark[0], text)
    return text.replace("  ", " ")


def read_piqa(contents: Sequence[Content]) -> list[Item]:
    """Read PIQA, two ways to reach a goal (Bisk et al. 2020, arXiv:1911.11641).

    The first file has lines such as {"goal": "...", "sol1": "...", "sol2": "..."}; the second has a line with 0 or 1
    for each of them.
    """
    questions, labels = contents
    items: list[Item] = []
    for question, label in zip_longest(_objects(questions), _lines_with_text(labels)):
        if question is None:
            raise ValueError(f"{label[0]}: a label too many: {questions.name} has {len(items)} questions")
        place, fields = question
        if label is None:
            raise ValueError(f"{place}: a question without a label: {labels.name} has {len(items)} labels")
        context = f"Question: {_text(place, fields, 'goal')}\nAnswer:"
        pairs = tuple((context, f" {_text(place, fields, name)}") for name in ("sol1", "sol2"))
        items.append(Item(pairs, _label(label[0], label[1].strip(), ["0", "1"]), place))
    return items


def read_winogrande(contents: Sequence[Content]) -> list[Item]:
    """Read WinoGrande, two words for a gap in a sentence (Sakaguchi et al. 2020, arXiv:1907.10641).

    Lines are objects with the texts "sentence", which has a "_" in it, "option1" and "option2", and "answer", 1 or 2.
    The contexts differ, the continuation is the same (Trinh and Le 2018, arXiv:1806.02847, "partial" scoring).
    """
    return [_winogrande_item(place, fields) for place, fields in _objects(contents[0])]


def _winogrande_item(place: str, fields: dict[str, Any]) -> Item:
    before, gap, after = _text(place, fields, "sentence").partition("_")
    if not gap:
        raise ValueError(f'{place}: expected a "sentence" with a "_" in it')
    options = [_text(place, fields, name) for name in ("option1", "option2")]
    label = _label(place, fields.get("answer"), ["1", "2"], name="answer")
    return Item(tuple((before + option, f" {after.strip()}") for option in options), label, place)


def read_completions(contents: Sequence[Content]) -> list[Item]:
    """Read GPT-3's own tasks (Brown et al. 2020, 3.9): lines such as {"context": "...", "completion": "..."}."""
    return [
        Item(((_text(place, fields, "context"), _text(place, fields, "completion")),), place=place)
        for place, fields in _objects(contents[0])
    ]


def read_cbt(contents: Sequence[Content]) -> list[Item]:
    """Read the Children's Book Test, a missing word and candidates for it (Hill et al. 2016, arXiv:1511.02301).

    An item has 20 numbered sentences, then a line with the question "21 ... XXXXX ...", the answer, and ten candidates
    separated by "|", with tabs between the three. Candidates are compared by the probability of the candidate and the
    rest of its sentence, given everything before it (Radford et al. 2019, section 3.2). The texts are detokenized, as
    in that paper.
    """
    items: list[Item] = []
    sentences: list[str] = []
    for place, line in _lines_with_text(contents[0]):
        number, _, text = line.partition(" ")
        expected = len(sentences) + 1
        if number != str(expected):
            raise ValueError(f"{place}: expected sentence {expected} of {N_SENTENCES + 1}, beginning with that number")
        if expected <= N_SENTENCES:
            sentences.append(text)
        else:
            items.append(_cbt_item(place, sentences, text))
            sentences = []
    if sentences:
        raise ValueError(f"{place}: the file ends before sentence {N_SENTENCES + 1}")
    return items


def _cbt_item(place: str, sentences: list[str], line: str) -> Item:
    question, *others = line.split("\t")
    before, gap, after = question.partition(BLANK)
    if not gap or len(others) < 2:
        raise ValueError(f"{place}: expected a question with {BLANK} in it, a tab, the answer, tabs, the candidates")
    answer, candidates = others[0].strip(), _candidates(others[-1].strip())
    if len(candidates) != N_CANDIDATES or answer not in candidates:
        raise ValueError(f'{place}: expected {N_CANDIDATES} candidates with "|" between them, one of them the answer')
    passage = " ".join([*sentences, before])
    rests = [candidate + after.replace(BLANK, candidate) for candidate in candidates]
    return Item(tuple(detokenized_pair(passage, rest) for rest in rests), candidates.index(answer), place)


def _candidates(text: str) -> list[str]:
    plain = text.split("|")
    return plain if len(plain) <= N_CANDIDATES else [match[1] for match in CANDIDATE.finditer(text) if match[0]]


def read_wikitext(contents: Sequence[Content]) -> list[Document]:
    """Read the pages of WikiText (Merity et al. 2017, arXiv:1609.07843), detokenized.

    They are split where EleutherAI/wikitext_document_level on the Hugging Face Hub splits them, and words and bytes are
    counted before anything is changed.
    """
    pages: list[list[str]] = [[]]
    for _, line in lines_of(contents[0].content, contents[0].name):
        if TITLE.fullmatch(line):
            pages.append([])
        pages[-1].append(line)
    texts = ["\n".join(page) for page in pages]
    found = [Document(detokenized_wikitext(text), _n_words(text), len(text.encode())) for text in texts if text.strip()]
    if not found:
        raise ValueError(f"{contents[0].name}: there is no text in it")
    return found


def _n_words(text: str) -> int:
    return len(re.split(r"\s+", text))


def _objects(content: Content) -> Iterator[tuple[str, dict[str, Any]]]:
    return json_objects(content.name, content.content, "item")


def _lines_with_text(content: Content) -> Iterator[tuple[str, str]]:
    """Yield each line of a file but the blank ones, with its place; it is a ValueError if there are no others."""
    found = False
    for place, line in lines_of(content.content, content.name):
        if line.strip():
            found = True
            yield place, line
    if not found:
        raise ValueError(f"{content.name}: there is no item in it")


def _text(place: str, fields: dict[str, Any], name: str) -> str:
    """Return a field that must be a text."""
    value = fields.get(name)
    if not isinstance(value, str) or not _is_text(value):
        raise ValueError(f'{place}: expected "{name}", a text')
    return value


def _is_text(value: object) -> bool:
    """Return False even for a str with half a surrogate pair, which JSON can hold but no tokenizer can read."""
    return isinstance(value, str) and not re.search("[\ud800-\udfff]", value)


def _label(place: str, value: object, allowed: Sequence[str], name: str = "label") -> int:
    """Return the index of the right answer from its label, one of the allowed strings or the same number."""
    if str(value) not in allowed:
        raise ValueError(f"{place}: expected one of {', '.join(allowed)} as the {name}")
    return allowed.index(str(value))
