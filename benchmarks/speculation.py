"""Measure what a draft gains: tokens per second of the same text, with a draft and without.

    python benchmarks/speculation.py

Needs nothing but the library. The first lines are for the embedded nano-gpt2, and for a model with GPT-2's 124M shape
and random weights, whose greedy text soon repeats itself and whose sampled text never does. The package contains no
published pair with a smaller model as the draft, so one is made: a model with gpt2-medium's shape and random weights,
in which the layers after the second add little, and its first two layers as the draft. The output says how often the
draft is right.
"""

from __future__ import annotations

import time

import numpy as np
from measuring import TEXT, machine, take_turns

import gptcompare as gc
from gptcompare.generation import GenerationOptions
from gptcompare.generation.noise import Noise

NEW_TOKENS = 64
REPETITIONS = 5


def tokens_per_second(lm: gc.LanguageModel, prompts: list[str], **options: object) -> float:
    start = time.perf_counter()
    completions = lm.generate(prompts, max_new_tokens=NEW_TOKENS, **options)
    return sum(len(one.ids) for one in completions) / (time.perf_counter() - start)


def compare(
    what: str, lm: gc.LanguageModel, prompt: str | list[str], draft: gc.LanguageModel | str, **options: object
) -> None:
    prompts = [prompt] if isinstance(prompt, str) else prompt
    plain = lm.generate(prompts, max_new_tokens=NEW_TOKENS, **options)
    with_draft = lm.generate(prompts, max_new_tokens=NEW_TOKENS, draft=draft, **options)
    speed = take_turns(
        {
            "without": lambda: tokens_per_second(lm, prompts, **options),
            "with": lambda: tokens_per_second(lm, prompts, draft=draft, **options),
        },
        REPETITIONS,
    )
    same = "yes" if [one.ids for one in with_draft] == [one.ids for one in plain] else "no"
    ratio = speed["with"] / speed["without"]
    print(f"| {what} | {speed['without']:.1f} | {speed['with']:.1f} | {ratio:.2f} | {same} |", flush=True)


def of_random_weights(name: str) -> gc.LanguageModel:
    return gc.LanguageModel(gc.GPT(gc.GPTConfig.preset(name)), gc.Tokenizer.from_pretrained("gpt2"))


def with_quiet_layers(name: str, n_loud: int, loudness: float) -> tuple[gc.LanguageModel, gc.LanguageModel]:
    """Make a model in which the layers after the first few add little, and a draft of only those first few."""
    config = gc.GPTConfig.preset(name)
    model = gc.GPT(config)
    parameters = model.parameters()
    for layer in range(n_loud, config.n_layer):
        for part in ("attn.c_proj", "mlp.c_proj"):
            for kind in ("weight", "bias"):
                parameters[f"h.{layer}.{part}.{kind}"] *= loudness
    small = gc.GPTConfig.from_dict({**config.to_dict(), "n_layer": n_loud})
    kept = {
        key: value for key, value in parameters.items() if not key.startswith("h.") or int(key.split(".")[1]) < n_loud
    }
    tokenizer = gc.Tokenizer.from_pretrained("gpt2")
    return gc.LanguageModel(model, tokenizer), gc.LanguageModel(gc.GPT(small, kept), tokenizer)


def hit_rate(lm: gc.LanguageModel, draft: gc.LanguageModel, prompt: str, **options: object) -> float:
    """Return how often the draft would write the model's next token."""
    checked = GenerationOptions.of(**options)
    noise = Noise(checked.seed)
    ids = lm.prompt_ids(prompt)
    n_prompt = len(ids)
    ids += lm.generate(prompt, max_new_tokens=NEW_TOKENS, **options).ids
    logits = draft.model(ids)
    hits = [checked.choose(logits[n - 1], noise, ids[:n]) == ids[n] for n in range(n_prompt, len(ids))]
    return float(np.mean(hits))


def main() -> None:
    print(machine(), end="\n\n")
    print("| what | without, tokens/s | with a draft | ratio | same tokens |\n|---|---:|---:|---:|---|")
    nano, large = gc.load("nano-gpt2"), of_random_weights("gpt2")
    text = TEXT.read_text(encoding="utf-8")
    passage, free = text[1000:1600], text[3000:3300]
    sampled = {"temperature": 1.0, "seed": 0}
    compare("nano-gpt2, a passage again, greedy", nano, passage + "\n\n" + passage[:200], "repetitions")
    compare("nano-gpt2, free text, sampled", nano, free, "repetitions", **sampled)
    compare("gpt2, text that repeats itself (greedy)", large, free, "repetitions")
    compare("gpt2, text that does not (sampled)", large, free, "repetitions", **sampled)
    four = [text[start : start + 300] for start in range(3000, 7000, 1000)]
    compare("gpt2, four prompts, texts that repeat themselves (greedy)", large, four, "repetitions")
    for loudness in (0.0, 1.0):
        lm, draft = with_quiet_layers("gpt2-medium", 2, loudness)
        share = draft.config.n_params / lm.config.n_params
        for how, options in (("greedy", {}), ("sampled", sampled)):
            rate = hit_rate(lm, draft, free, **options)
            what = f"gpt2-medium, {how}, a model of {share:.0%} of its size, right {rate:.0%}"
            compare(what, lm, free, draft, **options)


if __name__ == "__main__":
    main()
