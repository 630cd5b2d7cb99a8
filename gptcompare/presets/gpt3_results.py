"""GPT-3's results: Table H.1 of Brown et al. 2020 (arXiv:2005.14165), every task at every size, and two smaller tables.

None is a cell that is not known reliably: transcriptions of the paper disagree on it, or are too few. For the same
reasons rounds 2 and 3 of ANLI, the rows of translation and PIQA's test-server score are left out.
"""

from __future__ import annotations

from typing import NamedTuple

from .record import (
    ACCURACY,
    AVERAGE,
    EXACT_MATCH,
    F1,
    F1A,
    FEW_SHOT,
    OVER_UNCONDITIONAL,
    PER_TOKEN,
    PERPLEXITY,
    SHOTS,
    ZERO_SHOT,
    Result,
)

PAPER = "Brown et al. 2020 (arXiv:2005.14165)"
SIZES = (
    "gpt3-small", "gpt3-medium", "gpt3-large", "gpt3-xl", "gpt3-2.7b", "gpt3-6.7b", "gpt3-13b", "gpt3-175b",
)  # fmt: skip


class Row(NamedTuple):
    """A row of Table H.1: one task at every size (`SIZES`), with no, one and several examples in the context."""

    task: str
    metric: str  # the table's "acc" is `PER_TOKEN` or `OVER_UNCONDITIONAL` where section 2.4 says so: see `record.py`
    split: str
    k: int | None  # number of examples in the few-shot context
    zero_shot: tuple[float | None, ...]
    one_shot: tuple[float | None, ...]
    few_shot: tuple[float | None, ...]


# fmt: off
TABLE_H_1 = (
    #    Small Medium  Large     XL   2.7B   6.7B    13B   175B
    Row("HellaSwag", PER_TOKEN, "dev", 20,
        ( 33.7,  43.6,  51.0,  54.7,  62.8,  67.4,  70.9,  78.9),
        ( 33.0,  42.9,  50.5,  53.5,  61.9,  66.5,  70.0,  78.1),
        ( 33.5,  43.1,  51.3,  54.9,  62.9,  67.3,  71.3,  79.3)),
    Row("LAMBADA", ACCURACY, "test", 15,
        ( 42.7,  54.3,  60.4,  63.6,  67.1,  70.3,  72.5,  76.2),
        ( 22.0,  47.1,  52.6,  58.3,  61.1,  65.4,  69.0,  72.5),
        ( 22.0,  40.4,  63.2,  57.0,  78.1,  79.1,  81.3,  86.4)),
    Row("LAMBADA", PERPLEXITY, "test", 15,
        ( 18.6,  9.09,  6.53,  5.44,  4.60,  4.00,  3.56,  3.00),
        (165.0,  11.6,  8.29,  6.46,  5.53,  4.61,  4.06,  3.35),
        (165.0,  27.6,  6.63,  7.45,  2.89,  2.56,  2.56,  1.92)),
    Row("StoryCloze", PER_TOKEN, "test", 70,
        ( 63.3,  68.5,  72.4,  73.4,  77.2,  77.7,  79.5,  83.2),
        ( 62.3,  68.7,  72.3,  74.2,  77.3,  78.7,  79.7,  84.7),
        ( 62.3,  70.2,  73.9,  76.1,  80.2,  81.2,  83.0,  87.7)),
    Row("Natural Questions", ACCURACY, "test", 64,
        ( 0.64,  1.75,  2.71,  4.40,  6.01,  5.79,  7.84,  14.6),
        ( 1.19,  3.07,  4.79,  5.43,  8.73,  9.78,  13.7,  23.0),
        ( 1.72,  4.46,  7.89,  9.72,  13.2,  17.0,  21.0,  29.9)),
    Row("TriviaQA", ACCURACY, "dev", 64,
        ( 4.15,  7.61,  14.0,  19.7,  31.3,  38.7,  41.8,  64.3),
        ( 4.19,  12.9,  20.5,  26.5,  35.9,  44.4,  51.3,  68.0),
        ( 6.96,  16.3,  26.5,  32.1,  42.3,  51.6,  57.5,  71.2)),
    Row("WebQuestions", ACCURACY, "test", 64,
        ( 1.77,  3.20,  4.33,  4.63,  7.92,  7.73,  8.22,  14.4),
        ( 2.56,  6.20,  8.51,  9.15,  14.5,  15.1,  19.0,  25.3),
        ( 5.46,  12.6,  15.9,  19.6,  24.8,  27.7,  33.5,  41.5)),
    Row("Winograd", ACCURACY, "test", 7,
        ( 66.3,  72.9,  74.7,  76.9,  82.4,  85.7,  87.9,  88.3),
        ( 63.4,  68.5,  72.9,  76.9,  82.4,  84.6,  86.1,  89.7),
        ( 63.4,  67.4,  73.6,  76.9,  84.3,  85.4,  82.4,  88.6)),
    Row("Winogrande", ACCURACY, "dev", 50,
        ( 52.0,  52.1,  57.4,  58.7,  62.3,  64.5,  67.9,  70.2),
        ( 51.3,  53.0,  58.3,  59.1,  61.7,  65.8,  66.9,  73.2),
        ( 51.3,  52.6,  57.5,  59.1,  62.6,  67.4,  70.0,  77.7)),
    Row("PIQA", PER_TOKEN, "dev", 50,
        ( 64.6,  70.2,  72.9,  75.1,  75.6,  78.0,  78.5,  81.0),
        ( 64.3,  69.3,  71.8,  74.4,  74.3,  76.3,  77.8,  80.5),
        ( 64.3,  69.4,  72.0,  74.3,  75.4,  77.8,  79.9,  82.3)),
    Row("ARC Challenge", OVER_UNCONDITIONAL, "test", 50,
        ( 26.6,  29.5,  31.8,  35.5,  38.0,  41.4,  43.7,  51.4),
        ( 25.5,  30.2,  31.6,  36.4,  38.4,  41.5,  43.1,  53.2),
        ( 25.5,  28.4,  32.3,  36.7,  39.5,  43.7,  44.8,  51.5)),
    Row("ARC Easy", OVER_UNCONDITIONAL, "test", 50,
        ( 43.6,  46.5,  53.0,  53.8,  58.2,  60.2,  63.8,  68.8),
        ( 42.7,  48.2,  54.6,  55.9,  60.3,  62.6,  66.8,  71.2),
        ( 42.7,  51.0,  58.1,  59.1,  62.1,  65.8,  69.1,  70.1)),
    Row("OpenBookQA", OVER_UNCONDITIONAL, "test", 100,
        ( 35.6,  43.2,  45.2,  46.8,  53.0,  50.4,  55.6,  57.6),
        ( 37.0,  39.8,  46.2,  46.4,  53.4,  53.0,  55.8,  58.8),
        ( 37.0,  43.6,  48.0,  50.6,  55.6,  55.2,  60.8,  65.4)),
    Row("QuAC", F1, "dev", 5,
        ( 21.2,  26.8,  31.0,  30.1,  34.7,  36.1,  38.4,  41.5),
        ( 21.1,  26.9,  31.9,  32.3,  37.4,  39.0,  40.6,  43.4),
        ( 21.6,  27.6,  32.9,  34.2,  38.2,  39.9,  40.9,  44.3)),
    Row("RACE-h", OVER_UNCONDITIONAL, "test", 10,
        ( 35.2,  37.9,  40.1,  40.9,  42.4,  44.1,  44.6,  45.5),
        ( 34.3,  37.7,  40.0,  42.0,  43.8,  44.3,  44.6,  45.9),
        ( 34.3,  37.0,  40.4,  41.4,  42.3,  44.7,  45.1,  46.8)),
    Row("RACE-m", OVER_UNCONDITIONAL, "test", 10,
        ( 42.1,  47.2,  52.1,  52.3,  54.7,  54.4,  56.7,  58.4),
        ( 42.3,  47.3,  51.7,  55.2,  56.1,  54.7,  56.9,  57.4),
        ( 42.3,  47.0,  52.7,  53.0,  55.6,  55.4,  58.1,  58.1)),
    Row("SQuAD 2.0", EXACT_MATCH, "dev", 16,
        ( 22.6,  32.8,  33.9,  43.1,  43.6,  45.4,  49.0,  52.6),
        ( 25.1,  37.5,  37.9,  47.9,  47.9,  51.1,  56.0,  60.1),
        ( 27.5,  40.5,  39.2,  53.5,  50.0,  56.6,  62.6,  64.9)),
    Row("SQuAD 2.0", F1, "dev", 16,
        ( 28.3,  40.2,  41.4,  50.3,  51.0,  52.7,  56.3,  59.5),
        ( 30.1,  43.6,  44.1,  54.0,  54.1,  57.1,  61.8,  65.4),
        ( 32.1,  45.5,  44.9,  58.7,  55.9,  62.1,  67.7,  69.8)),
    Row("CoQA", F1, "dev", 5,
        ( 34.5,  55.0,  61.8,  65.3,  71.1,  72.8,  76.3,  81.5),
        ( 30.6,  52.1,  61.6,  66.1,  71.8,  75.1,  77.9,  84.0),
        ( 31.1,  52.0,  62.7,  66.8,  73.2,  77.3,  79.9,  85.0)),
    Row("DROP", F1, "dev", 20,
        ( 9.40,  13.6,  14.4,  16.4,  19.7,  17.0,  24.0,  23.6),
        ( 11.7,  18.1,  20.9,  23.0,  26.4,  27.3,  29.2,  34.3),
        ( 12.9,  18.7,  24.0,  25.6,  29.7,  29.7,  32.3,  36.5)),
    Row("BoolQ", ACCURACY, "dev", 32,
        ( 49.7,  60.3,  58.9,  62.4,  67.1,  65.4,  66.2,  60.5),
        ( 52.6,  61.7,  60.4,  63.7,  68.4,  68.7,  69.0,  76.7),
        ( 43.1,  60.6,  62.0,  64.1,  70.3,  70.0,  70.2,  77.5)),
    Row("CB", ACCURACY, "dev", 32,
        ( 0.00,  32.1,  8.93,  19.6,  19.6,  28.6,  19.6,  46.4),
        ( 55.4,  53.6,  53.6,  48.2,  57.1,  33.9,  55.4,  64.3),
        ( 42.9,  58.9,  53.6,  69.6,  67.9,  60.7,  66.1,  82.1)),
    Row("CB", F1, "dev", 32,
        ( 0.00,  29.3,  11.4,  17.4,  22.4,  25.1,  20.3,  42.8),
        ( 60.1,  39.8,  45.6,  37.5,  45.7,  28.5,  44.6,  52.5),
        ( 26.1,  40.4,  32.6,  48.3,  45.7,  44.6,  46.0,  57.2)),
    Row("COPA", ACCURACY, "dev", 32,
        ( 66.0,  68.0,  73.0,  77.0,  76.0,  80.0,  84.0,  91.0),
        ( 62.0,  64.0,  66.0,  74.0,  76.0,  82.0,  86.0,  87.0),
        ( 67.0,  64.0,  72.0,  77.0,  83.0,  83.0,  86.0,  92.0)),
    Row("RTE", ACCURACY, "dev", 32,
        ( 47.7,  49.8,  48.4,  56.0,  46.6,  55.2,  62.8,  63.5),
        ( 53.1,  47.3,  49.5,  49.5,  54.9,  54.9,  56.3,  70.4),
        ( 52.3,  48.4,  46.9,  50.9,  56.3,  49.5,  60.6,  72.9)),
    Row("WiC", ACCURACY, "dev", 32,
        ( 0.00,  0.00,  0.00,  0.00,  0.00,  0.00,  0.00,  0.00),
        ( 50.0,  50.3,  50.3,  49.2,  49.4,  50.3,  50.0,  48.6),
        ( 49.8,  55.0,  53.0,  53.0,  51.6,  53.1,  51.1,  55.3)),
    Row("WSC", ACCURACY, "dev", 32,
        ( 59.6,  56.7,  65.4,  61.5,  66.3,  60.6,  64.4,  65.4),
        ( 58.7,  58.7,  60.6,  62.5,  66.3,  60.6,  66.3,  69.2),
        ( 58.7,  60.6,  54.8,  49.0,  62.5,  67.3,  75.0,  75.0)),
    Row("MultiRC", ACCURACY, "dev", 32,
        ( 4.72,  9.65,  12.3,  13.6,  14.3,  18.4,  24.2,  27.6),
        ( 4.72,  9.65,  12.3,  13.6,  14.3,  18.4,  24.2,  27.6),
        ( 6.09,  11.8,  16.8,  20.8,  24.7,  23.8,  25.0,  32.5)),
    Row("MultiRC", F1A, "dev", 32,
        ( 57.0,  59.7,  60.4,  59.9,  60.0,  64.5,  71.4,  72.9),
        ( 57.0,  59.7,  60.4,  59.9,  60.0,  64.5,  71.4,  72.9),
        ( 45.0,  55.9,  64.2,  65.4,  69.5,  66.4,  69.3,  74.8)),
    Row("ReCoRD", ACCURACY, "dev", 32,
        ( 70.8,  78.5,  82.1,  84.1,  86.2,  88.6,  89.0,  90.2),
        ( 69.8,  77.0,  80.7,  83.0,  85.9,  88.0,  88.8,  90.2),
        ( 69.8,  77.2,  81.3,  83.1,  86.6,  87.9,  88.9,  89.0)),
    Row("ReCoRD", F1, "dev", 32,
        ( 71.9,  79.2,  82.8,  85.2,  87.3,  89.5,  90.4,  91.0),
        ( 70.7,  77.8,  81.6,  83.9,  86.8,  88.8,  89.7,  91.2),
        ( 70.7,  77.9,  82.1,  84.0,  87.5,  88.8,  89.8,  90.1)),
    Row("SuperGLUE", AVERAGE, "dev", None,
        ( 40.6,  47.4,  46.8,  49.6,  50.1,  52.3,  54.4,  58.2),
        ( 54.4,  55.1,  56.7,  57.8,  61.2,  59.7,  64.3,  68.9),
        ( 50.2,  56.2,  56.8,  60.0,  64.3,  63.6,  66.9,  73.2)),
    Row("ANLI R1", ACCURACY, "test", 50,
        ( 33.4,  34.2,  33.4,  33.4,  34.2,  32.3,  33.2,  34.6),
        ( 32.1,  31.6,  31.9,  34.6,  30.6,  31.6,  32.7,  32.0),
        ( 32.1,  32.5,  30.9,  32.5,  33.5,  33.1,  33.3,  36.8)),
    Row("2-digit addition (2D+)", ACCURACY, "", 50,
        ( 0.70,  0.65,  0.70,  0.85,  1.10,  2.54,  15.4,  76.9),
        ( 2.00,  0.55,  3.15,  4.00,  12.1,  19.6,  73.0,  99.6),
        ( 2.00,  4.10,  3.50,  4.50,  8.90,  11.9,  55.5, 100.0)),
    Row("2-digit subtraction (2D-)", ACCURACY, "", 50,
        ( None,  1.25,  1.25,  1.25,  1.60,  7.60,  12.6,  58.0),
        ( 1.15,  0.95,  1.45,  None,  None,  11.5,  44.6,  86.4),
        ( 1.15,  1.45,  2.25,  2.70,  7.35,  13.6,  None,  98.9)),
    Row("3-digit addition (3D+)", ACCURACY, "", 50,
        ( 0.10,  0.10,  0.05,  0.10,  0.10,  0.25,  1.40,  34.2),
        ( 0.15,  0.00,  0.10,  0.30,  0.45,  0.95,  None,  65.5),
        ( 0.15,  0.45,  0.30,  0.55,  0.75,  None,  None,  80.4)),
    Row("3-digit subtraction (3D-)", ACCURACY, "", 50,
        ( 0.05,  0.05,  0.05,  0.05,  0.05,  0.45,  1.35,  48.3),
        ( 0.05,  0.15,  0.25,  0.30,  0.55,  1.60,  None,  78.7),
        ( 0.05,  0.10,  0.15,  None,  0.65,  1.05,  9.20,  94.2)),
    Row("4-digit addition (4D+)", ACCURACY, "", 50,
        ( 0.05,  0.05,  0.00,  None,  0.05,  0.05,  0.15,  4.00),
        ( 0.00,  None,  0.10,  0.00,  0.00,  0.10,  0.80,  14.0),
        ( 0.00,  0.05,  0.05,  None,  None,  0.15,  0.40,  25.5)),
    Row("4-digit subtraction (4D-)", ACCURACY, "", 50,
        ( 0.00,  0.00,  0.00,  0.00,  0.00,  0.00,  0.10,  7.50),
        ( 0.00,  0.00,  0.00,  0.00,  None,  None,  0.50,  14.0),
        ( 0.00,  None,  0.00,  0.00,  None,  0.05,  0.40,  26.8)),
    Row("5-digit addition (5D+)", ACCURACY, "", 50,
        ( 0.00,  0.00,  0.00,  0.00,  0.00,  0.00,  0.00,  0.65),
        ( 0.00,  0.00,  0.00,  0.00,  0.00,  None,  0.05,  3.45),
        ( 0.00,  0.00,  0.00,  0.00,  0.00,  0.00,  0.05,  9.30)),
    Row("5-digit subtraction (5D-)", ACCURACY, "", 50,
        ( 0.00,  0.00,  0.00,  0.00,  0.00,  0.00,  0.00,  0.80),
        ( 0.00,  0.00,  0.00,  0.00,  0.00,  0.00,  0.05,  3.75),
        ( 0.00,  0.00,  0.00,  0.00,  0.00,  0.00,  0.00,  9.90)),
    Row("2-digit multiplication (2Dx)", ACCURACY, "", 50,
        ( 2.20,  2.25,  2.65,  2.10,  2.55,  None,  6.15,  19.8),
        ( None,  2.35,  3.35,  2.35,  4.75,  9.15,  11.0,  27.4),
        ( 1.35,  2.90,  2.70,  2.85,  4.25,  6.10,  None,  29.2)),
    Row("1-digit composite (1DC)", ACCURACY, "", 50,
        ( None,  None,  None,  None,  None,  None,  None,  9.75),
        ( None,  None,  None,  None,  None,  None,  None,  14.3),
        ( None,  None,  None,  None,  None,  None,  None,  21.3)),
    Row("Cycled letters (CL)", ACCURACY, "", 100,
        ( 0.62,  0.71,  2.85,  0.00,  0.63,  1.35,  2.58,  3.66),
        ( 1.67,  4.36,  5.68,  6.46,  6.25,  9.41,  15.1,  21.7),
        ( None,  9.27,  10.7,  14.5,  16.7,  21.9,  27.7,  37.9)),
    Row("Anagrams 1 (A1)", ACCURACY, "", 100,
        ( 0.10,  0.14,  0.40,  0.00,  0.27,  0.69,  1.16,  2.28),
        ( 0.21,  0.61,  1.12,  1.27,  1.60,  2.72,  3.72,  8.62),
        ( 0.50,  1.27,  2.13,  3.05,  None,  5.49,  8.38,  15.1)),
    Row("Anagrams 2 (A2)", ACCURACY, "", 100,
        ( 0.81,  1.21,  2.69,  0.01,  1.71,  3.75,  4.53,  8.91),
        ( 1.19,  2.62,  4.70,  4.77,  6.97,  10.2,  14.6,  25.9),
        ( 1.94,  4.80,  7.59,  9.87,  12.6,  18.9,  25.6,  39.7)),
    Row("Symbol insertion (RI)", ACCURACY, "", 100,
        ( 0.00,  0.00,  0.10,  0.00,  0.05,  0.42,  0.89,  8.26),
        ( 0.03,  0.05,  0.57,  1.18,  1.67,  3.46,  6.62,  45.4),
        ( 0.11,  0.28,  2.19,  4.18,  6.61,  11.0,  27.3,  67.2)),
    Row("Reversed words (RW)", ACCURACY, "", 100,
        ( 0.00,  0.01,  0.01,  0.01,  0.02,  0.03,  0.03,  0.09),
        ( 0.02,  0.01,  0.01,  0.00,  0.05,  0.07,  0.11,  0.48),
        ( 0.00,  0.05,  0.00,  0.17,  0.24,  0.30,  0.42,  0.44)),
    Row("SAT analogies", ACCURACY, "", 20,
        ( 35.6,  39.0,  45.2,  44.1,  50.0,  49.2,  52.7,  53.7),
        ( 30.5,  41.2,  43.1,  46.5,  55.1,  54.3,  53.5,  59.1),
        ( 30.5,  40.4,  42.8,  40.6,  48.4,  51.9,  53.5,  65.2)),
)

# The table's last column: 175B, few-shot.
TEST_SERVER = (
    ("TriviaQA",  ACCURACY, 71.2),
    ("SuperGLUE", AVERAGE,  71.8),
    ("BoolQ",     ACCURACY, 76.4),
    ("CB",        ACCURACY, 75.6),
    ("CB",        F1,       52.0),
    ("COPA",      ACCURACY, 92.0),
    ("RTE",       ACCURACY, 69.0),
    ("WiC",       ACCURACY, 49.4),
    ("WSC",       ACCURACY, 80.1),
    ("MultiRC",   ACCURACY, 30.5),
    ("MultiRC",   F1A,      75.4),
    ("ReCoRD",    ACCURACY, 90.2),
    ("ReCoRD",    F1,       91.1),
)
# fmt: on

# What else a reader must know about a row.
NOTES = {
    ("WiC", ZERO_SHOT): "printed as 0.00 for every size",
    ("LAMBADA", FEW_SHOT): "as a cloze, unlike zero-shot: the missing word is a blank (section 3.1.2)",
    ("2-digit addition (2D+)", ZERO_SHOT): "6.7B is printed as 2.54, though 2,000 problems allow steps of 0.05 only",
}


def results(name: str) -> tuple[Result, ...]:
    """Return all published results of one of `SIZES`."""
    column = SIZES.index(name)
    found = [
        Result(
            task=row.task,
            metric=row.metric,
            shots=shots,
            value=value,
            source=f"{PAPER}, Table H.1",
            note=_note(row, shots),
        )
        for row in TABLE_H_1
        for shots, cells in zip(SHOTS, (row.zero_shot, row.one_shot, row.few_shot), strict=True)
        if (value := cells[column]) is not None
    ]
    return (*found, *(_of_175b() if name == "gpt3-175b" else ()))


def _note(row: Row, shots: str) -> str:
    split = f"{row.split} set" if row.split else ""
    examples = f"K = {row.k}" if row.k and shots == FEW_SHOT else ""
    return "; ".join(part for part in (split, examples, NOTES.get((row.task, shots), "")) if part)


def _of_175b() -> list[Result]:
    penn_treebank = Result(
        task="Penn Treebank",
        metric=PERPLEXITY,
        shots=ZERO_SHOT,
        value=20.5,
        source=f"{PAPER}, Table 3.1",
    )
    test_server = [
        Result(
            task=f"{task}, test server",
            metric=metric,
            shots=FEW_SHOT,
            value=value,
            source=f"{PAPER}, Table H.1 and Table {'3.3' if task == 'TriviaQA' else '3.8'}",
        )
        for task, metric, value in TEST_SERVER
    ]
    return [penn_treebank, *test_server]
