"""The embedded pair: two small models that this project trained itself, identical except for their attention patterns.

Their weights are in the package, so they load without a network. `weights/README.md` says how they were made, and
`weights/make.py` measures them.
"""

from __future__ import annotations

from typing import Any

from .record import BITS_PER_BYTE, PERPLEXITY, ZERO_SHOT, DataSource, Published, Result, Training

CARD = "weights/README.md"
SIZE = {"n_layer": 6, "n_head": 8, "d_model": 256, "n_ctx": 512, "n_vocab": 8192}
ATTENTION: dict[str, dict[str, Any]] = {
    "nano-gpt2": {"attention": ("dense",)},
    "nano-gpt3": {"attention": ("banded", "dense"), "band_width": 8},
}
HELD_OUT = "held-out children's books"
# From weights/measurements.json.
MEASURED = {
    "nano-gpt2": {BITS_PER_BYTE: 1.1815, PERPLEXITY: 24.75},
    "nano-gpt3": {BITS_PER_BYTE: 1.181, PERPLEXITY: 24.72},
}
# The stages of weights/train.sh: short contexts first, then whole ones. Steps, sequences of a batch, their tokens.
STAGES = ((1000, 32, 128), (400, 8, 512), (1400, 8, 512), (4530, 8, 512))
BATCH_TOKENS = 4096
TOKENS = sum(steps * batch * context for steps, batch, context in STAGES)

TRAINING = Training(
    source=CARD,
    data=(DataSource(name="304 children's books of Project Gutenberg", weight=1.0, tokens=13_172_989),),
    tokens=TOKENS,
    batch_tokens=BATCH_TOKENS,
    learning_rate=3e-3,
    final_learning_rate=0.02,
    warmup_tokens=50 * BATCH_TOKENS,
    decay_tokens=TOKENS,
    adam_betas=(0.9, 0.95),
    adam_eps=1e-8,
    weight_decay=0.1,
    gradient_clip=1.0,
    note="Muon for the matrices of the blocks, AdamW for the rest; four stages, each with a warm-up: 32 sequences "
    "of 128 tokens at the largest rate, then three times 8 of 512, during which the rate falls",
)

MODELS = {
    name: Published(
        family="nano",
        name_in_paper=name,
        hyperparameters={**SIZE, **attention},
        source=CARD,
        repository=None,
        embedded=True,
        n_params_in_print=6_970_000,
        training=TRAINING,
        results=tuple(
            Result(task=HELD_OUT, metric=metric, shots=ZERO_SHOT, value=value, source=CARD)
            for metric, value in MEASURED[name].items()
        ),
    )
    for name, attention in ATTENTION.items()
}
