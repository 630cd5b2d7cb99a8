"""GPT-2: Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", and what others measured on it."""

from __future__ import annotations

from .record import (
    ACCURACY,
    BITS_PER_BYTE,
    BITS_PER_CHARACTER,
    BLEU,
    F1,
    FEW_SHOT,
    HARNESS_PERPLEXITY,
    LOSS,
    PER_CHARACTER,
    PER_TOKEN,
    PERPLEXITY,
    ROUGE,
    ZERO_SHOT,
    Column,
    DataSource,
    Published,
    Result,
    Training,
    table_row,
)

PAPER = "Radford et al. 2019"
NANOGPT = "github.com/karpathy/nanoGPT 3adf61e1"
LLM_C = "github.com/karpathy/llm.c f1e2ace6"
GPT_NEO = "github.com/EleutherAI/gpt-neo 23485e3c, README.md"
DISTILGPT2_CARD = "huggingface.co/distilbert/distilgpt2 9851938d, README.md"

# Context and vocabulary, 1024 and 50,257 (section 2.3), are the defaults of `GPTConfig`.
# fmt: off
SIZES = (
    # name           Table 2   parameters  n_layer  n_head  d_model  repository                       OpenAI's folder
    ("gpt2",         "117M",   124_000_000,     12,     12,     768, "openai-community/gpt2",         "124M"),
    ("gpt2-medium",  "345M",   355_000_000,     24,     16,    1024, "openai-community/gpt2-medium",  "355M"),
    ("gpt2-large",   "762M",   774_000_000,     36,     20,    1280, "openai-community/gpt2-large",   "774M"),
    ("gpt2-xl",     "1542M", 1_558_000_000,     48,     25,    1600, "openai-community/gpt2-xl",     "1558M"),
)
# fmt: on
SIZES_SOURCE = (
    f"{PAPER}, Table 2 (layers, width); github.com/openai/gpt-2 9b63575e, DEVELOPERS.md (parameters, folders); "
    f"{NANOGPT}, model.py, lines 217-220 (heads, which the paper does not print)"
)

TRAINING = Training(
    source=f"{PAPER}, sections 2.1 and 2.3; github.com/openai/gpt-2 9b63575e, model_card.md",
    data=(
        DataSource(
            name="WebText",
            weight=1.0,
            note="slightly over 8 million documents, 40 GB of text, from 45 million outbound links on Reddit with at "
            "least 3 karma, none after December 2017; without Wikipedia",
        ),
    ),
    batch_tokens=512 * 1024,
    note="The learning rate was tuned by hand for each size on 5% of WebText held out. Its value and the numbers "
    "of steps and tokens are not published.",
)

DETOKENIZED = "with invertible de-tokenizers, worth 2.5 to 5 perplexity (section 3.1)"
COLUMNS_3 = (
    Column("LAMBADA", PERPLEXITY),
    Column("LAMBADA", "accuracy with a stop-word filter, %"),
    Column("Children's Book Test, common nouns", ACCURACY, "validation set"),
    Column("Children's Book Test, named entities", ACCURACY, "validation set"),
    Column("WikiText-2", PERPLEXITY, DETOKENIZED),
    Column("Penn Treebank", PERPLEXITY, DETOKENIZED),
    Column("enwik8", BITS_PER_BYTE),
    Column("text8", BITS_PER_CHARACTER),
    Column("WikiText-103", PERPLEXITY, DETOKENIZED),
    Column("One Billion Words", PERPLEXITY, DETOKENIZED),
)
# fmt: off
TABLE_3 = {
    #               LAMBADA        CBT-CN CBT-NE WikiText2 PTB   enwik8 text8 WikiText103 1BW
    "gpt2":        (35.13, 45.99,  87.65, 83.40,  29.41,  65.85,  1.16,  1.17,  37.50,  75.20),
    "gpt2-medium": (15.60, 55.48,  92.35, 87.10,  22.76,  47.33,  1.01,  1.06,  26.37,  55.72),
    "gpt2-large":  (10.87, 60.12,  93.45, 88.00,  19.93,  40.31,  0.97,  1.02,  22.05,  44.575),
    "gpt2-xl":     ( 8.63, 63.24,  93.30, 89.05,  18.34,  35.76,  0.93,  0.98,  17.48,  42.16),
}
# fmt: on

# The paper counts the last three as zero-shot too; GPT-3's paper calls examples in the context one-shot or few-shot.
SEEDED = "example pairs in the context; their number is not printed"
OTHER_XL = (
    # section, task, metric, shots, value, note
    ("3.3", "LAMBADA", "accuracy without a stop-word filter, %", ZERO_SHOT, 52.66, ""),
    ("3.4", "Winograd", ACCURACY, ZERO_SHOT, 70.7, "273 schemas"),
    ("3.5", "CoQA", F1, ZERO_SHOT, 55.0, "dev set"),
    ("3.6, Table 4", "CNN and Daily Mail summaries", ROUGE, ZERO_SHOT, 21.4, 'after "TL;DR:"'),
    ("3.7", "WMT14 English to French", BLEU, FEW_SHOT, 5.0, SEEDED),
    ("3.7", "WMT14 French to English", BLEU, FEW_SHOT, 11.5, SEEDED),
    ("3.8", "Natural Questions", ACCURACY, FEW_SHOT, 4.1, f"exact match; {SEEDED}"),
)

COLUMNS_NANOGPT = (
    Column("OpenWebText, nanoGPT's training split", LOSS, "GPT-2 was trained on WebText, not on this copy of it"),
    Column("OpenWebText, nanoGPT's validation split", LOSS, "GPT-2 was trained on WebText, not on this copy of it"),
)
TABLE_NANOGPT = {
    "gpt2": (3.11, 3.12),
    "gpt2-medium": (2.85, 2.84),
    "gpt2-large": (2.66, 2.67),
    "gpt2-xl": (2.56, 2.54),
}

COLUMNS_LLM_C = (
    Column("HellaSwag", PER_TOKEN, 'llm.c\'s "completion style": the mean loss over the tokens of an ending'),
    Column("Validation set of llm.c", LOSS, "the notebook does not say which set; llm.c trains on FineWeb"),
)
TABLE_LLM_C = {
    "gpt2": (29.4463, 3.424958),
    "gpt2-medium": (37.5224, 3.083089),
    "gpt2-large": (43.1986, 3.00058),
    "gpt2-xl": (48.8946, 2.831273),
}
COLUMNS_LLM_C_SCRIPT = (
    Column("HellaSwag", "accuracy by llm.c's Python script, %", "the summed loss over the tokens of an ending"),
    Column("HellaSwag", "accuracy (per token, by llm.c's Python script), %", "the mean loss"),
)
TABLE_LLM_C_SCRIPT = {"gpt2": (28.59, 29.55), "gpt2-xl": (38.42, 48.93)}

# As the harness printed them, quoted by llm.c; the largest model's "acc", 40.04, is in `COLUMNS_GPT_NEO`'s note.
COLUMNS_HARNESS = (
    Column("HellaSwag", ACCURACY, "lm-evaluation-harness, acc"),
    Column("HellaSwag", PER_CHARACTER, "lm-evaluation-harness, acc_norm"),
)
TABLE_HARNESS = {"gpt2": (28.92, 31.14), "gpt2-xl": (None, 50.89)}

COLUMNS_GPT_NEO = (
    Column("LAMBADA", ACCURACY, "lm-evaluation-harness of 2021, whose LAMBADA is OpenAI's version of it"),
    Column("LAMBADA", HARNESS_PERPLEXITY, "lm-evaluation-harness of 2021, whose LAMBADA is OpenAI's version of it"),
    Column("WikiText in lm-evaluation-harness", PERPLEXITY, "to the digit the paper's value for WikiText-103"),
    Column("Winogrande", ACCURACY, "lm-evaluation-harness of 2021"),
    Column("HellaSwag", ACCURACY, f"lm-evaluation-harness of 2021, acc; 40.04 in {LLM_C}, dev/data/hellaswag.py"),
    Column("PIQA", ACCURACY, "lm-evaluation-harness of 2021"),
)
TABLE_GPT_NEO = {"gpt2-xl": (51.21, 10.634, 17.48, 59.4, 40.03, 70.78)}


def _results(name: str) -> tuple[Result, ...]:
    results = table_row(COLUMNS_3, TABLE_3[name], f"{PAPER}, Table 3")
    if name == "gpt2-xl":
        results += tuple(
            Result(task=task, metric=metric, shots=shots, value=value, source=f"{PAPER}, section {section}", note=note)
            for section, task, metric, shots, value, note in OTHER_XL
        )
    results += table_row(COLUMNS_NANOGPT, TABLE_NANOGPT[name], f"{NANOGPT}, README.md, lines 151-154")
    results += table_row(COLUMNS_LLM_C, TABLE_LLM_C[name], f"{LLM_C}, dev/vislog.ipynb")
    for columns, table, source in (
        (COLUMNS_LLM_C_SCRIPT, TABLE_LLM_C_SCRIPT, f"{LLM_C}, dev/data/hellaswag.py"),
        (COLUMNS_HARNESS, TABLE_HARNESS, f"{LLM_C}, dev/data/hellaswag.py"),
        (COLUMNS_GPT_NEO, TABLE_GPT_NEO, GPT_NEO),
    ):
        if name in table:
            results += table_row(columns, table[name], source)
    return results


MODELS = {
    name: Published(
        family="GPT-2",
        name_in_paper=name_in_paper,
        hyperparameters={"n_layer": n_layer, "n_head": n_head, "d_model": d_model},
        source=SIZES_SOURCE,
        repository=repository,
        openai_name=openai_name,
        n_params_in_print=n_params,
        training=TRAINING,
        results=_results(name),
        notes=(f"The paper's {name_in_paper} is a miscount: github.com/openai/gpt-2 9b63575e, README.md.",),
    )
    for name, name_in_paper, n_params, n_layer, n_head, d_model, repository, openai_name in SIZES
}
ALIASES = {openai_name: name for name, *_, openai_name in SIZES}
MODELS["distilgpt2"] = Published(
    family="DistilGPT2",
    name_in_paper="DistilGPT2",
    hyperparameters={"n_layer": 6, "n_head": 12, "d_model": 768},
    source=DISTILGPT2_CARD,
    repository="distilbert/distilgpt2",
    n_params_in_print=82_000_000,
    training=Training(
        source=DISTILGPT2_CARD,
        data=(DataSource(name="OpenWebText", weight=1.0, note="a reproduction of WebText"),),
    ),
    notes=("GPT-2's smallest model distilled into half its layers, as Sanh et al. 2019 (arXiv:1910.01108) did BERT.",),
)
