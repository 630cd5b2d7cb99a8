"""What the library does where there is neither a thread nor a network, in one process. It prints what came out.

It runs in Pyodide (`pyodide.sh`), in a Python for WASI (`wasi.sh`), and natively with what these lack taken away
(`tests/test_without_threads.py`). Numbers are rounded: the last bits of a product are the BLAS's.
"""

import contextlib
import io
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

import gptcompare as gc
from gptcompare import cli
from gptcompare.evaluation import evaluate
from gptcompare.training import Recipe, loss_and_grads, tokenize_files, train

PROMPT = "Once upon a time there was"
CONFIG = gc.GPTConfig(n_layer=1, n_head=2, d_model=16, n_ctx=16, n_vocab=4096)
RECIPE = Recipe(n_steps=2, batch=2, context=8, warmup_steps=1)

os.environ["GPTCOMPARE_OFFLINE"] = "1"
lm = gc.load("nano-gpt2")
ids = lm.tokenizer.encode(PROMPT)
tokens = np.arange(400) % 50


def trained(**how):
    """A small model after two steps, in numbers."""
    recipe = Recipe(n_steps=2, batch=2, context=8, warmup_steps=1, accumulation=2) if "threads" in how else RECIPE
    return [f"{line.loss:.3f}" for line in train(gc.GPT(CONFIG, seed=0), tokens, recipe, **how)]


def main(folder):
    print("generate:", lm.generate(PROMPT, max_new_tokens=8).text)
    print("stream:", *lm.stream(PROMPT, max_new_tokens=3), sep="|")
    print("several chunks:", lm.generate(PROMPT * 40, max_new_tokens=4).text)
    comparison = gc.compare(PROMPT, models=("nano-gpt2", "nano-gpt3"), max_new_tokens=4)
    print("compare:", *[side.completion.text for side in comparison.sides], sep="|")
    print("page:", comparison.to_html().startswith("<"))
    print("score:", f"{lm.score(PROMPT).perplexity:.2f}")
    print("trace:", lm.model.trace(ids).logits.shape)
    loss, gradients = loss_and_grads(lm.model, np.array([ids[:-1]]), np.array([ids[1:]]))
    print("loss_and_grads:", f"{loss:.3f}", len(gradients))
    (folder / "text.txt").write_text(PROMPT)
    print("evaluate:", *[f"{one.name} {one.value:.2f}" for one in evaluate(lm, "text", folder / "text.txt").metrics])
    print("train:", *trained())
    print("train into a folder:", *trained(out=folder / "run"))
    print("train, resumed:", *trained(out=folder / "run"))
    print("train with threads:", *trained(threads=2))
    lm.model.save_pretrained(folder / "saved")
    lm.tokenizer.save_pretrained(folder / "saved")
    print("saved:", gc.load(folder / "saved").generate(PROMPT, max_new_tokens=3).text)
    for _ in range(2):
        print("tokens of a file:", *tokenize_files([folder / "text.txt"], lm.tokenizer, folder / "tokens.npy"))
    try:
        gc.load("gpt2")
    except gc.DownloadError:
        print("download: refused")
    with contextlib.redirect_stdout(io.StringIO()) as written:
        status = cli.main(["generate", PROMPT, "--max-new-tokens", "3"])
    print("command:", status, written.getvalue().strip())


with tempfile.TemporaryDirectory() as name:
    main(Path(name))
print("not imported:", *[m for m in ("requests", "ssl", "multiprocessing", "urllib3") if m not in sys.modules])
