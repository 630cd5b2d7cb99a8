"""Cerebras-GPT: Dey et al. 2023 (arXiv:2304.03208), GPT-3's architecture with dense layers, 20 tokens per parameter."""

from __future__ import annotations

from .record import ACCURACY, LOSS, Column, DataSource, Published, Training, table_row

CONFIGS = "github.com/Cerebras/modelzoo f1fd1e09, src/cerebras/modelzoo/models/nlp/gpt3/configs/Cerebras_GPT"
# The card on the Hugging Face Hub, from a copy whose commit is known.
MODEL_CARD = (
    "model card: github.com/Azure/azureml-assets 4e484388, "
    "assets/models/system/cerebras-Cerebras-GPT-111M/description.md"
)

# fmt: off
SIZES = (
    # name                size        parameters  n_layer  n_head  d_model  configuration
    ("cerebras-gpt-111m", "111M",    111_000_000,      10,     12,     768, "111m.yaml"),
    ("cerebras-gpt-256m", "256M",    256_000_000,      14,     17,    1088, "256m.yaml"),
    ("cerebras-gpt-590m", "590M",    590_000_000,      18,     12,    1536, "590m.yaml"),
    ("cerebras-gpt-1.3b", "1.3B",  1_300_000_000,      24,     16,    2048, "1p3b.yaml"),
    ("cerebras-gpt-2.7b", "2.7B",  2_700_000_000,      32,     32,    2560, "2p7b.yaml"),
    ("cerebras-gpt-6.7b", "6.7B",  6_700_000_000,      32,     32,    4096, "6p7b.yaml"),
    ("cerebras-gpt-13b",  "13B",  13_000_000_000,      40,     40,    5120, "13b_bs720.yaml"),
)

RUNS = {
    #                    learning rate  sequences  tokens     FLOPs    Adam's epsilon
    "cerebras-gpt-111m": (6.0e-4,        120,      2.22e9,   2.6e18,   1e-8),
    "cerebras-gpt-256m": (6.0e-4,        264,      5.12e9,   1.3e19,   1e-8),
    "cerebras-gpt-590m": (2.0e-4,        264,      1.18e10,  6.1e19,   1e-8),
    "cerebras-gpt-1.3b": (2.0e-4,        528,      2.63e10,  2.8e20,   1e-8),
    "cerebras-gpt-2.7b": (2.0e-4,        528,      5.30e10,  1.1e21,   1e-8),
    "cerebras-gpt-6.7b": (1.2e-4,       1040,      1.33e11,  6.3e21,   1e-9),
    "cerebras-gpt-13b":  (1.2e-4,       None,      2.57e11,  2.3e22,   1e-9),
}

HARNESS = "lm-evaluation-harness; the card prints fractions"
COLUMNS = (
    Column("The Pile, test split", LOSS),
    Column("HellaSwag", ACCURACY, HARNESS),
    Column("PIQA", ACCURACY, HARNESS),
    Column("Winogrande", ACCURACY, HARNESS),
    Column("LAMBADA", ACCURACY, HARNESS),
    Column("ARC Easy", ACCURACY, HARNESS),
    Column("ARC Challenge", ACCURACY, HARNESS),
    Column("OpenBookQA", ACCURACY, HARNESS),
    Column("Average of Cerebras-GPT's seven tasks", ACCURACY, HARNESS),
)
EVALUATIONS = {
    #                     Pile   Hella-  PIQA  Wino-   Lam-   ARC-e  ARC-c  Open-   Average
    #                            Swag          Grande  bada                 BookQA
    "cerebras-gpt-111m": (2.566,  26.8,  59.4,  48.8,  19.4,  38.0,  16.6,  11.8,  31.5),
    "cerebras-gpt-256m": (2.299,  27.4,  61.3,  51.1,  29.3,  41.0,  17.0,  15.8,  34.7),
    "cerebras-gpt-590m": (2.184,  29.1,  62.7,  49.8,  36.6,  46.4,  19.0,  15.8,  37.0),
    "cerebras-gpt-1.3b": (1.996,  32.5,  66.4,  52.1,  46.2,  50.8,  22.4,  16.6,  41.0),
    "cerebras-gpt-2.7b": (1.834,  38.6,  70.1,  55.9,  56.7,  57.1,  24.6,  20.6,  46.2),
    "cerebras-gpt-6.7b": (1.704,  44.7,  73.9,  60.2,  63.6,  64.3,  28.2,  23.8,  51.2),
    "cerebras-gpt-13b":  (1.575,  51.3,  76.6,  64.6,  69.6,  71.4,  36.7,  28.6,  57.0),
}
# fmt: on

PILE = (DataSource(name="The Pile", weight=1.0, tokens=371_000_000_000, note="not deduplicated; GPT-2's vocabulary"),)
TRAINING_NOTES = {
    "cerebras-gpt-111m": "The card says 1,500 steps of warm-up, the configuration 1,525.",
    "cerebras-gpt-256m": "The card says 1,500 steps of warm-up, the configuration 693.",
    "cerebras-gpt-13b": "The batch grew from 720 to 1080 sequences of 2048 tokens. The card's 174,335 steps give its "
    "number of tokens only if all of them had 720.",
}
NOTES = (
    'The activation that the configurations call "gelu" is the erf form, as in Hugging Face\'s config.json. '
    "GPT-2 and GPT-3 have the tanh form.",
)


def _training(name: str, config: str) -> Training:
    learning_rate, sequences, tokens, flops, adam_eps = RUNS[name]
    return Training(
        source=f"{MODEL_CARD}; {CONFIGS}/{config}",
        data=PILE,
        tokens=int(tokens),
        batch_tokens=sequences * 2048 if sequences else None,
        learning_rate=learning_rate,
        final_learning_rate=0.1,
        warmup_tokens=375_000_000,
        adam_betas=(0.9, 0.95),
        adam_eps=adam_eps,
        weight_decay=0.1,
        gradient_clip=1.0,
        flops=flops,
        note=TRAINING_NOTES.get(name, ""),
    )


MODELS = {
    name: Published(
        family="Cerebras-GPT",
        name_in_paper=f"Cerebras-GPT {size}",
        hyperparameters={
            "n_layer": n_layer,
            "n_head": n_head,
            "d_model": d_model,
            "n_ctx": 2048,
            "activation": "gelu_erf",
        },
        source=f"{CONFIGS}/{config}; {MODEL_CARD}",
        repository=f"cerebras/Cerebras-GPT-{size}",
        n_params_in_print=n_params,
        training=_training(name, config),
        results=table_row(COLUMNS, EVALUATIONS[name], f"{MODEL_CARD}, 0-shot evaluation"),
        notes=NOTES,
    )
    for name, size, n_params, n_layer, n_head, d_model, config in SIZES
}
