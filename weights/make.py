"""Turn the runs of `weights/train.sh` into the embedded pair, measure it and write its model card.

    python weights/make.py CORPUS RUNS

Writes `weights/nano-gpt2`, `weights/nano-gpt3` (float16), `measurements.json`, `training.png` and `README.md`, whose
text is `card.md` with the measured numbers filled in; and `stages/`, what the runs recorded of themselves: RUNS needs
the last stage, and those before it only as long as they are not there yet. `before.json` is what `writing.py` printed
for the pair before. Needs the `plots` extra. Then run `tests/data/make_nano_records.py`, so that `gptcompare verify`
knows the new pair.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import string
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from writing import SAMPLING, Book, measure_writing, read_manifest, writing_table

import gptcompare as gc
from gptcompare import plots
from gptcompare.presets import published
from gptcompare.training import Metrics, read_metrics
from gptcompare.training.data import read_text

WEIGHTS = Path(__file__).parent
STAGES = WEIGHTS / "stages"
RECORDS = ("run.json", "metrics.csv")
NAMES = ("nano-gpt2", "nano-gpt3")
BITS = "bits per byte"
PROMPTS = (
    "Once upon a time",
    '"Where are you going?" asked the fox',
    "The king had three daughters",
    "The little rabbit ran down the hill",
    "It was raining, and the children",
)


def export(run: Path, folder: Path) -> gc.LanguageModel:
    """Save a run's model in float16, and load it from there."""
    lm = gc.load(run)
    lm.save_pretrained(folder, dtype="float16")
    return gc.load(folder)


def keep_records(runs: Path) -> list[Path]:
    """Copy what the runs recorded of themselves, and return the folders of all stages that are recorded, in order."""
    for stage in (folder for folder in runs.iterdir() if folder.name.isdigit()):
        for name in NAMES:
            (STAGES / stage.name / name).mkdir(parents=True, exist_ok=True)
            for record in RECORDS:
                shutil.copyfile(stage / name / record, STAGES / stage.name / name / record)
    return sorted(STAGES.iterdir(), key=lambda stage: int(stage.name))


def check_same_data(stage: Path) -> None:
    """Check that recipe and data, and so the order of the batches, are the same: only the attention may differ.

    The initial parameters are the same in the first stage alone: those of a later one are what the stage before made.
    """
    runs = [json.loads((stage / name / "run.json").read_text(encoding="utf-8")) for name in NAMES]
    for run in runs:
        del run["sha256"], run["config"]["attention"], run["config"]["band_width"]
        if stage.name != "1":
            del run["parameters"]
    if runs[0] != runs[1]:
        raise ValueError(f"the two runs of stage {stage.name} differ in more than the attention pattern")


def whole_run(stages: list[Path], name: str) -> list[Metrics]:
    """Return the metrics of all stages one after the other, with the tokens counted from the first one's beginning."""
    lines: list[Metrics] = []
    for stage in stages:
        before = lines[-1].tokens if lines else 0
        lines += [replace(line, tokens=before + line.tokens) for line in read_metrics(stage / name)]
    return lines


def cross_entropies(tokens: list[int], counted: list[int], n_vocab: int) -> tuple[float, float]:
    """Return the nats per token of a text under the unigrams and the bigrams that were counted in another.

    Unigrams with one added to each count; bigrams p(b | a) = (c(a, b) + t(a) p(b)) / (c(a) + t(a)), t(a) being the
    number of different tokens after a (Witten and Bell 1991, method C).
    """
    unigrams, bigrams = Counter(counted), Counter(pairwise(counted))
    followers = Counter(a for a, _ in bigrams)

    def p_unigram(b: int) -> float:
        return (unigrams[b] + 1) / (len(counted) + n_vocab)

    def p_bigram(a: int, b: int) -> float:
        return (bigrams[a, b] + followers[a] * p_unigram(b)) / (unigrams[a] + followers[a] or 1)

    pairs = list(pairwise(tokens))
    return (
        -sum(math.log(p_unigram(b)) for _, b in pairs) / len(pairs),
        -sum(math.log(p_bigram(a, b) if unigrams[a] else p_unigram(b)) for a, b in pairs) / len(pairs),
    )


def measure(models: dict[str, gc.LanguageModel], held_out: list[Book], counted: list[int]) -> dict:
    """Measure how well each model, and counting in the training tokens, predict each held-out book and all together."""
    n_vocab = models[NAMES[0]].config.n_vocab
    result: dict = {"books": {}, "all": {}}
    sums = {name: [0.0, 0, 0] for name in (*NAMES, "unigrams", "bigrams")}  # nats, tokens, bytes
    for book in held_out:
        text = read_text(book.path)
        scores = {name: lm.score(text) for name, lm in models.items()}
        n_tokens, n_bytes = len(scores[NAMES[0]].logprobs), scores[NAMES[0]].n_bytes
        unigram, bigram = cross_entropies(scores[NAMES[0]].ids, counted, n_vocab)
        nats = {name: -sum(score.logprobs) for name, score in scores.items()}
        nats |= {"unigrams": unigram * n_tokens, "bigrams": bigram * n_tokens}
        result["books"][book.gutenberg_id] = {
            "title": book.title,
            "tokens": n_tokens,
            "bytes": n_bytes,
            **{name: figures(value, n_tokens, n_bytes) for name, value in nats.items()},
        }
        for name, value in nats.items():
            sums[name] = [a + b for a, b in zip(sums[name], (value, n_tokens, n_bytes), strict=True)]
    result["all"] = {name: figures(*values) for name, values in sums.items()}
    return result


def figures(nats: float, n_tokens: int, n_bytes: int) -> dict[str, float]:
    return {
        "nats per token": round(nats / n_tokens, 4),
        "perplexity": round(math.exp(nats / n_tokens), 2),
        BITS: round(nats / math.log(2) / n_bytes, 4),
    }


def draw(runs: dict[str, list[Metrics]], path: Path) -> None:
    ax = None
    for name, lines in runs.items():
        ax = plots.loss_curve(lines, ax, label=name)
    ax.set_ylim(top=6)
    ax.figure.savefig(path, dpi=100)


def validation_table(runs: dict[str, list[Metrics]]) -> str:
    """Put the validation losses of both runs side by side."""
    losses = [
        {line.tokens: line.validation_loss for line in lines if line.validation_loss is not None}
        for lines in runs.values()
    ]
    lines = [f"| million tokens | {' | '.join(runs)} |", "|---:|---:|---:|"]
    lines += [f"| {n / 1e6:.1f} | {losses[0][n]:.3f} | {losses[1][n]:.3f} |" for n in losses[0]]
    return "\n".join(lines)


def held_out_table(measured: dict) -> str:
    columns = (*NAMES, "bigrams", "unigrams")

    def line(title: str, row: dict, metric: str, digits: int) -> str:
        return f"| {title} | {' | '.join(f'{row[name][metric]:.{digits}f}' for name in columns)} |"

    return "\n".join(
        [
            f"| bits per byte | {' | '.join(columns)} |",
            "|---|---:|---:|---:|---:|",
            *(line(f"{book['title']} ({id_})", book, BITS, 3) for id_, book in measured["books"].items()),
            line("all", measured["all"], BITS, 3),
            line("perplexity, all", measured["all"], "perplexity", 1),
        ]
    )


def samples(models: dict[str, gc.LanguageModel]) -> str:
    """Sample with the first seed for every prompt: nothing is selected."""
    parts = []
    for prompt in PROMPTS:
        for name, lm in models.items():
            text = prompt + lm.generate(prompt, max_new_tokens=100, seed=0, **SAMPLING).text
            quoted = "\n".join(f"> {line}".rstrip() for line in text.split("\n"))
            parts.append(f"`{name}`\n\n{quoted}")
    return "\n\n".join(parts)


def book_table(books: list[Book]) -> str:
    lines = ["| Gutenberg | title | author | year | |", "|---:|---|---|---:|---|"]
    lines += [
        f"| {b.gutenberg_id} | {b.title} | {b.author} | {b.year} | {'held out' if b.split == 'val' else ''} |"
        for b in books
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("runs", type=Path)
    args = parser.parse_args()

    stages = keep_records(args.runs)
    last = args.runs / stages[-1].name
    for stage in stages:
        check_same_data(stage)
    runs = {name: whole_run(stages, name) for name in NAMES}
    books = read_manifest(args.corpus)
    models = {name: export(last / name, WEIGHTS / name) for name in NAMES}
    training_tokens = np.load(last / NAMES[0] / "tokens.npy").tolist()
    measured = measure(models, [book for book in books if book.split == "val"], training_tokens)
    measured["writing"] = {name: measure_writing(lm, books) for name, lm in models.items()}
    (WEIGHTS / "measurements.json").write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
    before = json.loads((WEIGHTS / "before.json").read_text(encoding="utf-8"))
    draw(runs, WEIGHTS / "training.png")
    training = published(NAMES[0]).training
    card = string.Template((WEIGHTS / "card.md").read_text(encoding="utf-8"))
    text = card.substitute(
        n_params=f"{gc.GPTConfig.preset(NAMES[0]).n_params:,}",
        n_books=sum(book.split == "train" for book in books),
        n_tokens=f"{len(training_tokens):,}",
        n_seen=f"{training.tokens:,}",
        n_epochs=f"{training.tokens / len(training_tokens):.1f}",
        held_out=held_out_table(measured),
        writing=writing_table(measured["writing"] | {f"{name}, before": of_name for name, of_name in before.items()}),
        curve=validation_table(runs),
        samples=samples(models),
        books=book_table(books),
    )
    (WEIGHTS / "README.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
