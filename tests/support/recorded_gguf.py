"""What llama.cpp computed from GGUF files: tests/data/make_gguf_reference.py says how it was recorded."""

import json
from pathlib import Path

import numpy as np
import pytest

from gptcompare.model import gpt

FOLDER = Path(__file__).parents[1] / "data" / "gguf"
BLOCKS = np.load(FOLDER / "blocks.npz")
FILES = json.loads((FOLDER / "files.json").read_text(encoding="utf-8"))
FILE_LOGITS = np.load(FOLDER / "files.npz")
EXPORTED = json.loads((FOLDER / "exported.json").read_text(encoding="utf-8"))
EXPORTED_LOGITS = np.load(FOLDER / "exported.npz")

# llama.cpp at its most exact has one number of 16 bits, in its table of GELU: with the same table, the logits differ by
# one part in a million, and by more only where an argument lies on the edge between two entries of the table.
EDGE = 4e-3
HALF_OF_ALL = 1e-5
# As its users run it, relative to the spread of the logits: its cache has 16 bits, and with weights of fewer than 32,
# what they are multiplied with is rounded, to 16 bits or to 8.
ROUNDING = {"f32": 0.01, "f16": 0.01, "bf16": 0.03, "q8_0": 0.1, "q4_0": 0.1}


def gelu_by_table(x):
    """GELU as ggml computes it (ggml-cpu/vec.h): for the nearest float16, in float16, but for large numbers."""
    nearest = x.astype(np.float32).astype(np.float16).astype(np.float64)
    gelu = 0.5 * nearest * (1 + np.tanh(np.sqrt(2 / np.pi) * (nearest + 0.044715 * nearest**3)))
    return np.where(x <= -10, 0, np.where(x >= 10, x, gelu.astype(np.float16).astype(np.float64)))


def logits_with_the_table(model, ids):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(gpt.ACTIVATION, "gelu_tanh", gelu_by_table)
        return model(ids)
