"""OPT: Zhang et al. 2022 (arXiv:2205.01068), Meta's replicas of GPT-3, with dense layers and ReLU.

OPT-350M, which has its layer norms after the sub-layers and a narrower embedding, and OPT-175B, whose weights are
available on request only, are left out.
"""

from __future__ import annotations

from .record import ACCURACY, HARNESS_PERPLEXITY, PER_CHARACTER, Column, Published, Training, table_row

METASEQ = "github.com/facebookresearch/metaseq f7ffa5fd, metaseq/launcher/opt_job_constants.py"
SOURCE = (
    f"{METASEQ} (layers, heads, widths); github.com/TransformerLensOrg/TransformerLens 4cd36aae, "
    "docs/source/_static/model_properties_table.jsonl (also context, vocabulary, activation)"
)
EVALUATIONS_SOURCE = "github.com/EleutherAI/pythia a19eecb8, evals/opt"

M = 2**20  # metaseq's

# fmt: off
SIZES = (
    # name        in the paper     parameters  n_layer  n_head  d_model  batch, tokens  learning rate
    ("opt-125m", "OPT-125M",      125_000_000,      12,     12,     768,     M // 2,       6.0e-4),
    ("opt-1.3b", "OPT-1.3B",    1_300_000_000,      24,     32,    2048,     1 * M,        2.0e-4),
    ("opt-2.7b", "OPT-2.7B",    2_700_000_000,      32,     32,    2560,     1 * M,        1.6e-4),
    ("opt-6.7b", "OPT-6.7B",    6_700_000_000,      32,     32,    4096,     2 * M,        1.2e-4),
    ("opt-13b",  "OPT-13B",    13_000_000_000,      40,     40,    5120,     4 * M,        1.0e-4),
    ("opt-30b",  "OPT-30B",    30_000_000_000,      48,     56,    7168,     4 * M,        1.0e-4),
    ("opt-66b",  "OPT-66B",    66_000_000_000,      64,     72,    9216,     2 * M,        0.8e-4),
)

HARNESS = "lm-evaluation-harness; the file has fractions"
COLUMNS = (
    Column("LAMBADA", HARNESS_PERPLEXITY, "lm-evaluation-harness, lambada_openai"),
    Column("LAMBADA", ACCURACY, "lm-evaluation-harness, lambada_openai; the file has fractions"),
    Column("PIQA", ACCURACY, f"{HARNESS}; acc"),
    Column("PIQA", PER_CHARACTER, f"{HARNESS}; acc_norm"),
    Column("Winogrande", ACCURACY, HARNESS),
    Column("ARC Easy", ACCURACY, f"{HARNESS}; acc"),
    Column("ARC Easy", PER_CHARACTER, f"{HARNESS}; acc_norm"),
    Column("ARC Challenge", ACCURACY, f"{HARNESS}; acc"),
    Column("ARC Challenge", PER_CHARACTER, f"{HARNESS}; acc_norm"),
)
EVALUATIONS = {
    #            lambada_openai    piqa           winogrande arc_easy     arc_challenge
    "opt-125m": (26.021,  37.90,   63.00, 62.02,   50.28,   43.52, 39.98,   18.94, 22.78),
    "opt-1.3b": ( 6.6441, 57.93,   71.71, 72.47,   59.75,   57.03, 50.93,   23.12, 29.44),
    "opt-2.7b": ( 5.1195, 63.59,   73.88, 74.81,   61.01,   60.77, 54.29,   26.79, 31.23),
    "opt-6.7b": ( 4.2529, 67.71,   76.28, 76.44,   65.27,   65.61, 60.10,   30.55, 34.73),
    "opt-13b":  ( 4.0379, 68.64,   75.95, 76.82,   65.19,   67.09, 61.78,   32.94, 35.75),
    "opt-30b":  ( 3.6291, 71.45,   77.58, 78.13,   68.19,   69.99, 65.36,   34.64, 37.97),
    "opt-66b":  ( 3.2878, 73.90,   78.78, 79.87,   68.75,   71.68, 67.30,   37.20, 40.10),
}
# fmt: on

NOTES = (
    "The weights have two more rows of positions, before the first token's: transformers 5.23.0, modeling_opt.py. "
    "GPTConfig.n_params does not count them.",
)

MODELS = {
    name: Published(
        family="OPT",
        name_in_paper=name_in_paper,
        hyperparameters={
            "n_layer": n_layer,
            "n_head": n_head,
            "d_model": d_model,
            "n_ctx": 2048,
            "n_vocab": 50272,
            "activation": "relu",
        },
        source=SOURCE,
        repository=f"facebook/{name}",
        n_params_in_print=n_params,
        training=Training(
            source=METASEQ,
            tokens=300_000_000_000,
            batch_tokens=batch_tokens,
            learning_rate=learning_rate,
            warmup_tokens=375_000_000,
            note="As scheduled by the launcher, whose comments say that the sizes are those of GPT-3's Table 2.1.",
        ),
        results=table_row(COLUMNS, EVALUATIONS[name], f"{EVALUATIONS_SOURCE}/{name}.json"),
        notes=NOTES,
    )
    for name, name_in_paper, n_params, n_layer, n_head, d_model, batch_tokens, learning_rate in SIZES
}
