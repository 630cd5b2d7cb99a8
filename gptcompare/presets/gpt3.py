"""GPT-3: Brown et al. 2020, "Language Models are Few-Shot Learners" (arXiv:2005.14165).

The tables are as printed, misprints included; `CORRECTED` has what the presets use instead.
"""

from __future__ import annotations

from .gpt3_results import PAPER, results
from .record import DataSource, Published, Training

MILLION, BILLION = 10**6, 10**9

# By size, and by Table 2.1's name for its last row: 'GPT-3 175B or "GPT-3"'.
ALIASES = {
    "gpt3-125m": "gpt3-small",
    "gpt3-350m": "gpt3-medium",
    "gpt3-760m": "gpt3-large",
    "gpt3-1.3b": "gpt3-xl",
    "gpt3": "gpt3-175b",
    "gpt-3": "gpt3-175b",
}

# fmt: off
TABLE_2_1 = (
    # name          in the paper    n_layer  d_model  n_head  d_head  batch, tokens  learning rate
    ("gpt3-small",  "GPT-3 Small",       12,     768,     12,     64,       500_000,  6.0e-4),
    ("gpt3-medium", "GPT-3 Medium",      24,    1024,     16,     64,       500_000,  3.0e-4),
    ("gpt3-large",  "GPT-3 Large",       24,    1536,     16,     96,       500_000,  2.5e-4),
    ("gpt3-xl",     "GPT-3 XL",          24,    2048,     24,    128,     1_000_000,  2.0e-4),
    ("gpt3-2.7b",   "GPT-3 2.7B",        32,    2560,     32,     80,     1_000_000,  1.6e-4),
    ("gpt3-6.7b",   "GPT-3 6.7B",        32,    4096,     32,    128,     2_000_000,  1.2e-4),
    ("gpt3-13b",    "GPT-3 13B",         40,    5140,     40,    128,     2_000_000,  1.0e-4),
    ("gpt3-175b",   "GPT-3 175B",        96,   12288,     96,    128,     3_200_000,  0.6e-4),
)

TABLE_2_2 = (
    # data set                   tokens        weight  epochs in 300 billion tokens
    ("Common Crawl (filtered)",  410 * BILLION,  0.60,  0.44),
    ("WebText2",                  19 * BILLION,  0.22,  2.9),
    ("Books1",                    12 * BILLION,  0.08,  1.9),
    ("Books2",                    55 * BILLION,  0.08,  0.43),
    ("Wikipedia",                  3 * BILLION,  0.03,  3.4),
)

TABLE_D_1 = {
    #              petaflop/s-days  FLOPs      parameters        training tokens
    "gpt3-small":  (   2.60,  2.25e20,      125 * MILLION,  300 * BILLION),
    "gpt3-medium": (   7.42,  6.41e20,      356 * MILLION,  300 * BILLION),
    "gpt3-large":  (  15.8,   1.37e21,      760 * MILLION,  300 * BILLION),
    "gpt3-xl":     (  27.5,   2.38e21,    1_320 * MILLION,  300 * BILLION),
    "gpt3-2.7b":   (  55.2,   4.77e21,    2_650 * MILLION,  300 * BILLION),
    "gpt3-6.7b":   ( 139.0,   1.20e22,    6_660 * MILLION,  300 * BILLION),
    "gpt3-13b":    ( 268.0,   2.31e22,   12_850 * MILLION,  300 * BILLION),
    "gpt3-175b":   (3640.0,   3.14e23,  174_600 * MILLION,  300 * BILLION),
}
# fmt: on

CORRECTED = {"gpt3-xl": {"n_head": 16}, "gpt3-13b": {"d_model": 5120}}
NOTES = {
    "gpt3-xl": (
        "Table 2.1 prints 24 heads of 128 at width 2048. Table D.1's 1,320 million parameters fit heads of 2048 in "
        "all (1,316 million), not of 24 x 128 = 3072 (1,517 million). The preset has 16 heads of 128, like GPT-Neo and "
        "Cerebras-GPT; OPT has 32 of 64, which gives the same number of parameters.",
    ),
    "gpt3-13b": (
        "Table 2.1 prints width 5140, but 40 heads of 128. Table D.1's 12,850 million parameters fit 5120 (12,853 "
        "million), not 5140 (12,953 million). The preset has 5120, like Cerebras-GPT and OPT.",
    ),
}
NOTES_OF_ALL = (
    'The paper says "alternating dense and locally banded sparse attention patterns" (section 2.1), but not how wide '
    "the bands are, nor which layers have them. Width 256 and a dense first layer are GPT-Neo's.",
    "Vocabulary and activation are GPT-2's, whose model and architecture the paper says it uses (section 2.1).",
    "Left out of Table H.1 as unverified, since transcriptions of the paper disagree or are too few: rounds 2 and 3 of "
    "ANLI, translation, PIQA's test-server score, the smaller sizes' one-digit composites and single cells of the "
    "other arithmetic and word tasks.",
    "OpenAI never published the weights.",
)

MIX = tuple(
    DataSource(name=name, weight=weight, tokens=tokens, note=f"{epochs} epochs in 300 billion tokens")
    for name, tokens, weight, epochs in TABLE_2_2
)


def _training(name: str, batch_tokens: int, learning_rate: float) -> Training:
    petaflop_s_days, flops, _, tokens = TABLE_D_1[name]
    return Training(
        source=f"{PAPER}, Tables 2.1, 2.2 and D.1, Appendix B",
        data=MIX,
        tokens=tokens,
        batch_tokens=batch_tokens,
        learning_rate=learning_rate,
        final_learning_rate=0.1,
        warmup_tokens=375 * MILLION,
        decay_tokens=260 * BILLION,
        adam_betas=(0.9, 0.95),
        adam_eps=1e-8,
        weight_decay=0.1,
        gradient_clip=1.0,
        petaflop_s_days=petaflop_s_days,
        flops=flops,
        note="Linear warm-up, cosine decay. The batch grows linearly from 32 thousand tokens over the first 4 to 12 "
        "billion, depending on the size. Table 2.2's weights add up to 101%, and three of its five numbers of epochs "
        "do not follow from weight and size (WebText2 3.5, Books1 2.0, Wikipedia 3.0).",
    )


MODELS = {
    name: Published(
        family="GPT-3",
        name_in_paper=name_in_paper,
        hyperparameters={
            "n_layer": n_layer,
            "n_head": n_head,
            "d_model": d_model,
            "n_ctx": 2048,
            "attention": ("dense", "banded"),
            "band_width": 256,
            **CORRECTED.get(name, {}),
        },
        source=f"{PAPER}, Table 2.1 and section 2.1",
        repository=None,
        n_params_in_print=TABLE_D_1[name][2],
        training=_training(name, batch_tokens, learning_rate),
        results=results(name),
        notes=NOTES.get(name, ()) + NOTES_OF_ALL,
    )
    for name, name_in_paper, n_layer, d_model, n_head, _, batch_tokens, learning_rate in TABLE_2_1
}
