"""The embedded pair: two small models that this project trained itself, identical except for their attention patterns.

Their weights are in the package, so they load without a network. `weights/README.md` says how they were made, and
`weights/make.py` measures them.
"""

from __future__ import annotations

from typing import Any

from .record import BITS_PER_BYTE, PERPLEXITY, ZERO_SHOT, DataSource, Published, Result, Training

CARD = "weights/README.md"
SIZE = {"n_layer": 4, "n_head": 6, "d_model": 192, "n_ctx": 512, "n_vocab": 4096}
ATTENTION: dict[str, dict[str, Any]] = {
    "nano-gpt2": {"attention": ("dense",)},
    "nano-gpt3": {"attention": ("dense", "banded"), "band_width": 64},
}
HELD_OUT = "held-out children's books"
# From weights/measurements.json.
MEASURED = {
    "nano-gpt2": {BITS_PER_BYTE: 1.4255, PERPLEXITY: 38.96},
    "nano-gpt3": {BITS_PER_BYTE: 1.4405, PERPLEXITY: 40.49},
}
BATCH_TOKENS, STEPS, WARMUP_STEPS = 4 * 512, 8000, 400

TRAINING = Training(
    source=CARD,
    data=(DataSource(name="80 children's books of Project Gutenberg", weight=1.0, tokens=4_039_880),),
    tokens=BATCH_TOKENS * STEPS,
    batch_tokens=BATCH_TOKENS,
    learning_rate=2e-3,
    final_learning_rate=0.1,
    warmup_tokens=BATCH_TOKENS * WARMUP_STEPS,
    decay_tokens=BATCH_TOKENS * STEPS,
    adam_betas=(0.9, 0.95),
    adam_eps=1e-8,
    weight_decay=0.1,
    gradient_clip=1.0,
)

MODELS = {
    name: Published(
        family="nano",
        name_in_paper=name,
        hyperparameters={**SIZE, **attention},
        source=CARD,
        repository=None,
        embedded=True,
        n_params_in_print=2_660_000,
        training=TRAINING,
        results=tuple(
            Result(task=HELD_OUT, metric=metric, shots=ZERO_SHOT, value=value, source=CARD)
            for metric, value in MEASURED[name].items()
        ),
    )
    for name, attention in ATTENTION.items()
}
