"""GPT-Neo: EleutherAI's replicas of GPT-3's smaller sizes, with its alternation of dense and banded layers."""

from __future__ import annotations

from .record import (
    ACCURACY,
    BITS_PER_BYTE,
    HARNESS_PERPLEXITY,
    PERPLEXITY,
    Column,
    DataSource,
    Published,
    Training,
    table_row,
)

REPOSITORY = "github.com/EleutherAI/gpt-neo 23485e3c"
README = f"{REPOSITORY}, README.md"
NOTEBOOK = f"{REPOSITORY}, GPTNeo_example_notebook.ipynb"
MODEL_PROPERTIES = "github.com/huplay/demo-gpt-java 2e237940, models/GPT-NEO/*/model.properties"

# fmt: off
SIZES = (
    # name            parameters     n_layer  n_head  d_model  repository                 source
    ("gpt-neo-125m",    125_000_000,      12,     12,     768, "EleutherAI/gpt-neo-125m", MODEL_PROPERTIES),
    ("gpt-neo-1.3b",  1_300_000_000,      24,     16,    2048, "EleutherAI/gpt-neo-1.3B",
     f"{NOTEBOOK}, lines 302-330; GPTNeoConfig of transformers 5.23.0; {MODEL_PROPERTIES}"),
    ("gpt-neo-2.7b",  2_700_000_000,      32,     20,    2560, "EleutherAI/gpt-neo-2.7B",
     f"{NOTEBOOK}, line 645; {MODEL_PROPERTIES}"),
)

HARNESS = "lm-evaluation-harness of 2021"
COLUMNS = (
    Column("The Pile", BITS_PER_BYTE, HARNESS),
    Column("The Pile", PERPLEXITY, HARNESS),
    Column("WikiText in lm-evaluation-harness", PERPLEXITY, HARNESS),
    Column("LAMBADA", HARNESS_PERPLEXITY, f"{HARNESS}, whose LAMBADA is OpenAI's version of it"),
    Column("LAMBADA", ACCURACY, f"{HARNESS}, whose LAMBADA is OpenAI's version of it"),
    Column("Winogrande", ACCURACY, HARNESS),
    Column("HellaSwag", ACCURACY, f"{HARNESS}, acc"),
    Column("PIQA", ACCURACY, HARNESS),
)
EVALUATIONS = {
    #                Pile BPB, PPL   Wikitext  Lambada         Winogrande Hellaswag Piqa
    "gpt-neo-125m": (  None,  None,   32.285,  30.266,  37.36,   50.43,   28.67,   63.06),
    "gpt-neo-1.3b": (0.7527, 6.159,   13.1,     7.498,  57.23,   55.01,   38.66,   71.11),
    "gpt-neo-2.7b": (0.7165, 5.646,   11.39,    5.626,  62.22,   56.5,    42.73,   72.14),
}
# fmt: on

PILE = (DataSource(name="The Pile", weight=1.0),)
UNVERIFIED_TOKENS = "The number of tokens is left out as unverified: the model card alone says {}."
TRAINING = {
    "gpt-neo-125m": Training(source=README, data=PILE, note=UNVERIFIED_TOKENS.format("300 billion")),
    "gpt-neo-1.3b": Training(source=README, data=PILE, note=UNVERIFIED_TOKENS.format("380 billion over 362,000 steps")),
    "gpt-neo-2.7b": Training(
        source=f"{README} (data); {NOTEBOOK}, line 645",
        data=PILE,
        learning_rate=1.6e-4,
        adam_betas=(0.9, 0.95),
        adam_eps=1e-8,
        weight_decay=0.0,
        note="401,000 steps; warm-up over 3,000, decay until step 300,000. "
        + UNVERIFIED_TOKENS.format("420 billion over 400,000 steps"),
    ),
}

NOTES = (
    "Queries, keys and values have no biases, though GPTConfig.n_params counts them, and the scores are not divided by "
    "the square root of d_head: transformers 5.23.0, modeling_gpt_neo.py. Loading the weights compensates for both.",
)
NOTES_OF_LARGER = (
    "The example configurations of the repository have 32 heads and dense layers only. The published weights have "
    "other numbers of heads, and every second layer is banded.",
)

MODELS = {
    name: Published(
        family="GPT-Neo",
        name_in_paper=repository.removeprefix("EleutherAI/"),
        hyperparameters={
            "n_layer": n_layer,
            "n_head": n_head,
            "d_model": d_model,
            "n_ctx": 2048,
            "attention": ("dense", "banded"),
            "band_width": 256,
        },
        source=source,
        repository=repository,
        n_params_in_print=n_params,
        training=TRAINING[name],
        results=table_row(COLUMNS, EVALUATIONS[name], README),
        notes=NOTES if name == "gpt-neo-125m" else NOTES + NOTES_OF_LARGER,
    )
    for name, n_params, n_layer, n_head, d_model, repository, source in SIZES
}
