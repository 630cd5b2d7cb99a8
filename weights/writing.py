"""Measure what models write: how much of it is no word, repeated or copied, and whether they find the last word.

    python weights/writing.py CORPUS [MODEL ...]

prints the measures of each model (the embedded pair if none is given) as JSON. Every model continues the same prompts:
beginnings of paragraphs, evenly over the held-out books. Nothing is selected.
"""

from __future__ import annotations

import argparse
import bisect
import csv
import json
import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

import gptcompare as gc
from gptcompare.evaluation import log_likelihoods
from gptcompare.files.texts import read_text
from gptcompare.generation.completion import Completion

SENTENCES = Path(__file__).parents[1] / "tests" / "data" / "uses"
N_PROMPTS, PROMPT_WORDS, MAX_NEW_TOKENS = 100, 8, 100
SAMPLING = {"temperature": 0.8, "top_p": 0.9}
N_CANDIDATES = 5
WORD = re.compile(r"[a-z]+(?:['-][a-z]+)*")
LAST_WORD = re.compile(r"(.+) ([a-z]{4,})[.!?]")
NONCE, REPEATED = "words that no book has", "repeated runs of four words"
COPIED, LAST_WORDS = "longest run copied from the books", "last words found among five"


class Book(NamedTuple):
    gutenberg_id: str
    title: str
    author: str
    year: str
    path: Path
    split: str
    style: str


def read_manifest(corpus: Path) -> list[Book]:
    with open(corpus / "MANIFEST.tsv", encoding="utf-8", newline="") as file:
        return [
            Book(**{field: corpus / row["file"] if field == "path" else row[field] for field in Book._fields})
            for row in csv.DictReader(file, delimiter="\t")
        ]


def prompts_from(texts: Sequence[str], n: int) -> list[str]:
    """Return the first words of n paragraphs, evenly over the texts and over each text."""
    prompts = []
    for number, text in enumerate(texts):
        paragraphs = [line.split() for line in text.splitlines() if len(line.split()) > PROMPT_WORDS]
        share = n * (number + 1) // len(texts) - n * number // len(texts)
        chosen = [paragraphs[k * len(paragraphs) // share] for k in range(share)]
        prompts += [" ".join(words[:PROMPT_WORDS]) for words in chosen]
    return prompts


def words_of(text: str) -> list[str]:
    """Return the words in small letters, with the apostrophes and hyphens inside them."""
    return WORD.findall(text.lower())


def written_words(completion: Completion) -> list[str]:
    """Return the words that the model wrote: one that it added to the prompt's last too, one that was cut off not."""
    text = (completion.prompt + completion.text).lower()
    matches = [match for match in WORD.finditer(text) if match.end() > len(completion.prompt)]
    if completion.finish_reason == "length" and matches and matches[-1].end() == len(text):
        matches.pop()
    return [match.group() for match in matches]


def share_of_nonce_words(completions: Sequence[Completion], known: set[str]) -> float:
    """Return the share of written words of which no part between hyphens is known, nor the whole."""
    words = [word for completion in completions for word in written_words(completion)]
    nonce = [word for word in words if word not in known and not known.issuperset(word.split("-"))]
    return len(nonce) / max(len(words), 1)


def share_of_repeated_4_grams(completions: Sequence[Completion]) -> float:
    """Return the share of all runs of four words that the same completion has already had."""
    n_all = n_different = 0
    for completion in completions:
        words = words_of(completion.text)
        runs = list(zip(*(words[k:] for k in range(4)), strict=False))
        n_all += len(runs)
        n_different += len(set(runs))
    return (n_all - n_different) / max(n_all, 1)


def longest_copy(written: Sequence[Sequence[int]], read: Sequence[Sequence[int]]) -> tuple[int, int, list[int]]:
    """Return the longest run of written tokens that also is in a text: its length, the text's number and its tokens.

    Each token becomes a character, since runs of characters are found fast. A run's beginnings are also runs, so the
    longest is found by halving.
    """
    corpus = ["".join(map(chr, tokens)) for tokens in read]
    texts = ["".join(map(chr, tokens)) for tokens in written]

    def copied(length: int) -> tuple[int, str] | None:
        wanted = {text[i : i + length] for text in texts for i in range(len(text) - length + 1)}
        for number, text in enumerate(corpus):
            for i in range(len(text) - length + 1):
                if text[i : i + length] in wanted:
                    return number, text[i : i + length]
        return None

    lengths = range(1, max(map(len, texts), default=0) + 1)
    longest = bisect.bisect_left(lengths, True, key=lambda length: copied(length) is None)
    number, run = copied(longest) if longest else (-1, "")
    return longest, number, [ord(character) for character in run]


def last_word_items(sentences: Sequence[str]) -> list[tuple[str, list[str], int]]:
    """Return context, candidates and the right one's number, for each sentence that ends in a word: notebook 10's."""
    ends = [match.groups() for sentence in sentences if (match := LAST_WORD.fullmatch(sentence))]
    words = sorted({word for _, word in ends})
    rng = random.Random(0)
    items = []
    for context, word in ends:
        candidates = [word, *rng.sample([other for other in words if other != word], N_CANDIDATES - 1)]
        rng.shuffle(candidates)
        items.append((context, candidates, candidates.index(word)))
    return items


def share_of_last_words(lm: gc.LanguageModel, items: Sequence[tuple[str, list[str], int]]) -> float:
    """Return the share of items in which the model finds the right word likelier than the four others."""
    pairs = [(context, f" {word}") for context, candidates, _ in items for word in candidates]
    logprobs = np.array([found.logprob for found in log_likelihoods(lm, pairs)]).reshape(len(items), N_CANDIDATES)
    return float(np.mean(logprobs.argmax(axis=1) == [right for _, _, right in items]))


def kept_sentences() -> list[str]:
    """Return the labelled sentences of the held-out books that the tests keep."""
    lines = {name: (SENTENCES / name).read_text(encoding="utf-8").splitlines() for name in ("authors.tsv", "names.txt")}
    authors, names = ([line for line in lines[name] if not line.startswith("#")] for name in lines)
    return [line.partition("\t")[2] for line in authors[1:]] + names


def measure_writing(lm: gc.LanguageModel, books: Sequence[Book], n_prompts: int = N_PROMPTS) -> dict:
    """Measure what a model writes after the prompts, greedy and sampled, and its choices of last words."""
    known = {word for book in books for word in words_of(read_text(book.path))}
    prompts = prompts_from([read_text(book.path) for book in books if book.split == "val"], n_prompts)
    written = {
        "greedy": lm.generate(prompts, max_new_tokens=MAX_NEW_TOKENS),
        "sampled": [lm.generate(p, max_new_tokens=MAX_NEW_TOKENS, seed=n, **SAMPLING) for n, p in enumerate(prompts)],
    }
    read = [book for book in books if book.split == "train"]
    length, number, run = longest_copy(
        [completion.ids for completion in written["sampled"]],
        [lm.tokenizer.encode(read_text(book.path)) for book in read],
    )
    items = last_word_items(kept_sentences())
    return {
        NONCE: {how: round(share_of_nonce_words(completions, known), 4) for how, completions in written.items()},
        REPEATED: {how: round(share_of_repeated_4_grams(completions), 4) for how, completions in written.items()},
        COPIED: {"tokens": length, "text": lm.tokenizer.decode(run), "book": read[number].gutenberg_id},
        LAST_WORDS: {"right": round(share_of_last_words(lm, items), 4), "items": len(items)},
    }


def writing_table(measured: dict[str, dict]) -> str:
    """Put the measures of several models side by side."""
    lines = [f"| | {' | '.join(measured)} |", f"|---|{'---:|' * len(measured)}"]

    def line(title: str, numbers: list[str]) -> str:
        return f"| {title} | {' | '.join(numbers)} |"

    for title in (NONCE, REPEATED):
        for how in ("greedy", "sampled"):
            lines.append(line(f"{title}, {how}", [f"{of[title][how]:.1%}" for of in measured.values()]))
    lines.append(line(f"{COPIED}, sampled, tokens", [str(of[COPIED]["tokens"]) for of in measured.values()]))
    lines.append(line(LAST_WORDS, [f"{of[LAST_WORDS]['right']:.1%}" for of in measured.values()]))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("models", nargs="*", default=["nano-gpt2", "nano-gpt3"])
    args = parser.parse_args()

    books = read_manifest(args.corpus)
    print(json.dumps({Path(name).name: measure_writing(gc.load(name), books) for name in args.models}, indent=2))


if __name__ == "__main__":
    main()
