"""Compare ways to choose tokens: how much the embedded pair repeats itself, and how sure it is of what it writes.

    python weights/sampling.py

prints a table. Both models continue the beginnings of 100 paragraphs of a book by 100 tokens. A text that people write
has few repeated runs of four words, and a model is often surprised by it (Holtzman et al. 2020, arXiv:1904.09751): the
last line is the book itself, as far as it would be written.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from writing import MAX_NEW_TOKENS, N_PROMPTS, prompts_from, share_of_repeated_4_grams

import gptcompare as gc
from gptcompare.files.texts import read_text
from gptcompare.generation.completion import Completion
from gptcompare.presets import EMBEDDED_PAIR

BOOK = Path(__file__).parents[1] / "tests" / "data" / "alice.txt"
WAYS: dict[str, dict[str, Any]] = {
    "greedy": {},
    "temperature 0.7, top-p 0.9": {"temperature": 0.7, "top_p": 0.9},
    "temperature 0.8, top-p 0.9": {"temperature": 0.8, "top_p": 0.9},
    "temperature 1, top-p 0.9": {"temperature": 1.0, "top_p": 0.9},
    "temperature 1, top-k 40": {"temperature": 1.0, "top_k": 40},
    "temperature 1": {"temperature": 1.0},
}


def perplexity_of(completions: list[Completion]) -> float:
    """Return e to the power of the mean surprise of all tokens, in nats, to the model that wrote them."""
    logprobs = [logprob for completion in completions for logprob in completion.logprobs]
    return math.exp(-sum(logprobs) / len(logprobs))


def as_written(lm: gc.LanguageModel, text: str, prompts: list[str]) -> list[Completion]:
    """Return the book's own continuations, as if the model had written them."""
    found = []
    words = " ".join(text.split())
    for prompt in prompts:
        start = words.index(prompt)
        read, ids = lm.encode(prompt), lm.encode(words[start : start + 10 * MAX_NEW_TOKENS])
        ids = ids[: len(read) + MAX_NEW_TOKENS]
        logprobs = lm.score(lm.tokenizer.decode(ids)).logprobs[len(read) - 1 :]
        found.append(Completion(prompt, lm.tokenizer.decode(ids[len(read) :]), ids[len(read) :], logprobs, "length"))
    return found


def main() -> None:
    text = read_text(BOOK)
    prompts = prompts_from([text], N_PROMPTS)
    lms = {name: gc.load(name) for name in EMBEDDED_PAIR}
    titles = [f"{what}, {name}" for name in lms for what in ("repeated runs of four words", "perplexity")]
    print(f"| | {' | '.join(titles)} |\n|---|{'---:|' * len(titles)}")

    def line(title: str, written: list[list[Completion]]) -> None:
        cells = [f"{share_of_repeated_4_grams(one):.1%} | {perplexity_of(one):.1f}" for one in written]
        print(f"| {title} | {' | '.join(cells)} |", flush=True)

    for title, options in WAYS.items():
        line(
            title,
            [
                [
                    lm.generate(prompt, max_new_tokens=MAX_NEW_TOKENS, seed=n, **options)
                    for n, prompt in enumerate(prompts)
                ]
                for lm in lms.values()
            ],
        )
    line("the book", [as_written(lm, text, prompts) for lm in lms.values()])


if __name__ == "__main__":
    main()
