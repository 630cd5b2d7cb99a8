"""Proof on real weights: what a model computes, beside what other programs and people recorded of it.

`run` compares (`verify`): `records` reads the recorded outputs, each with its source and tolerance, `models` finds out
whose records a model is to be compared with, `quantities` and `data_quantities` compute each kind of them, `agreement`
compares, and `result` shows the table.
"""

from .agreement import Agreement
from .records import Record, known_records, read_records
from .result import Row, Verification
from .run import verify

__all__ = [
    "Agreement",
    "Record",
    "Row",
    "Verification",
    "known_records",
    "read_records",
    "verify",
]
