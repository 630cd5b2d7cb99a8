"""Count how often tokens are the same: those that two models draw, and those that one model writes in different ways.

    python benchmarks/same_tokens.py                    # some 200,000 tokens in each line of the second table: hours
    python benchmarks/same_tokens.py --prompts 100 --how greedy

Needs nothing but the library. The first table is about two models in the same contexts, those of a book: how often they
draw the same token with the noise that belongs to the tokens, with one random number for all tokens, and with dice of
their own, beside the most that any dice can reach.

The second table is about one model. The last bits of a token's logits depend on how many tokens and texts are computed
together. So texts are written one by one, and again in another way, and the first token that differs is counted in each
of them. (The tokens after it have another context, and are not compared.)
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numpy as np
from measuring import TEXT, machine

import gptcompare as gc
from gptcompare.generation import GenerationOptions
from gptcompare.generation.noise import Noise
from gptcompare.model import inputs
from gptcompare.model.ops import softmax
from gptcompare.model.threads import single_threaded

PAIR = ("nano-gpt2", "nano-gpt3")
N_POSITIONS = 512
SEEDS = range(20)
NEW_TOKENS = 64
HOW_CHOSEN = {"drawn": {"temperature": 1.0}, "drawn, top-p 0.9": {"temperature": 0.8, "top_p": 0.9}, "greedy": {}}


def two_models() -> Iterator[tuple[str, float]]:
    """Yield the share of positions of a book at which the pair draws the same token, by kind of dice."""
    lms = [gc.load(name) for name in PAIR]
    ids = [*lms[0].prompt_ids(""), *lms[0].tokenizer.encode(TEXT.read_text(encoding="utf-8"))][:N_POSITIONS]
    p, q = (softmax(lm.model(ids).astype(np.float64)) for lm in lms)
    options = GenerationOptions(temperature=1.0)
    noises = [Noise(seed) for seed in SEEDS]
    same = [
        options.choose(np.log(p[position]), noise, ids[:position])
        == options.choose(np.log(q[position]), noise, ids[:position])
        for noise in noises
        for position in range(N_POSITIONS)
    ]
    yield "noise that belongs to the tokens", float(np.mean(same))
    sums = [np.cumsum(of_model, axis=1) for of_model in (p, q)]
    u = np.random.default_rng(0).random((len(SEEDS), N_POSITIONS))
    chosen = [(of_model[None] < u[..., None]).sum(-1) for of_model in sums]
    yield "one random number for all tokens", float((chosen[0] == chosen[1]).mean())
    yield "dice of their own", float((p * q).sum(1).mean())
    yield "the most that is possible", float(np.minimum(p, q).sum(1).mean())


Write = Callable[[list[str], dict[str, object]], list[gc.Completion]]


def alone(
    lm: gc.LanguageModel, draft: object = None, within: Callable[[], AbstractContextManager] = nullcontext
) -> Write:
    """Write one text after the other."""

    def write(prompts: list[str], options: dict[str, object]) -> list[gc.Completion]:
        with within():
            return [lm.generate(prompt, draft=draft, **options) for prompt in prompts]

    return write


def in_batches(lm: gc.LanguageModel, n: int) -> Write:
    """Write n texts at a time."""
    return lambda prompts, options: [
        one for start in range(0, len(prompts), n) for one in lm.generate(prompts[start : start + n], **options)
    ]


@contextmanager
def small_chunks() -> Iterator[None]:
    """Read prompts a few tokens at a time."""
    before = inputs.CHUNK, inputs.LEAST_CHUNK
    inputs.CHUNK = inputs.LEAST_CHUNK = 7
    try:
        yield
    finally:
        inputs.CHUNK, inputs.LEAST_CHUNK = before


def first_layers(lm: gc.LanguageModel, n_layer: int) -> gc.LanguageModel:
    """Return a draft that consists of a model's first layers."""
    config = gc.GPTConfig.from_dict({**lm.config.to_dict(), "n_layer": n_layer})
    names = gc.GPT(config).parameters()
    return gc.LanguageModel(
        gc.GPT(config, {k: v for k, v in lm.model.parameters().items() if k in names}), lm.tokenizer
    )


def other_ways(lm: gc.LanguageModel) -> dict[str, Write]:
    return {
        **{f"in batches of {n}": in_batches(lm, n) for n in (2, 8, 64)},
        "with a draft: repetitions": alone(lm, "repetitions"),
        f"with a draft: the first 2 of its {lm.config.n_layer} layers": alone(lm, first_layers(lm, 2)),
        "the prompt in chunks of 7 tokens": alone(lm, within=small_chunks),
        "on one thread": alone(lm, within=single_threaded),
    }


def same_until(one: list[int], other: list[int]) -> int:
    """Return how many tokens at the beginning are the same."""
    return next(
        (n for n, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), min(len(one), len(other))
    )


def one_model(n_prompts: int, ways_to_choose: list[str]) -> Iterator[tuple[str, str, int, int]]:
    """Yield how tokens were chosen, the way in which texts were written, the tokens compared, and those that differ."""
    lm = gc.load("nano-gpt2")
    text = TEXT.read_text(encoding="utf-8")
    rng = np.random.default_rng(0)
    prompts = [text[start : start + rng.integers(20, 400)] for start in rng.integers(0, len(text) - 400, n_prompts)]
    for how in ways_to_choose:
        options = {**HOW_CHOSEN[how], "max_new_tokens": NEW_TOKENS, "seed": 0}
        expected = [one.ids for one in alone(lm)(prompts, options)]
        for way, write in other_ways(lm).items():
            found = [one.ids for one in write(prompts, options)]
            n_same = sum(map(same_until, expected, found))
            n_changed = sum(one != other for one, other in zip(expected, found, strict=True))
            yield how, way, n_same + n_changed, n_changed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", type=int, default=3300, metavar="N", help="texts in each line (default: 3300)")
    parser.add_argument(
        "--how", action="append", choices=HOW_CHOSEN, help="how tokens are chosen (default: in all ways)"
    )
    args = parser.parse_args()
    print(machine(), end="\n\n")
    print(f"| {PAIR[0]} and {PAIR[1]} draw with | the same token |\n|---|---:|")
    for dice, share in two_models():
        print(f"| {dice} | {share:.1%} |", flush=True)
    print("\n| tokens | written | compared | changed |\n|---|---|---:|---:|")
    for how, way, n_compared, n_changed in one_model(args.prompts, args.how or list(HOW_CHOSEN)):
        print(f"| {how} | {way} | {n_compared:,} | {n_changed} |", flush=True)


if __name__ == "__main__":
    main()
