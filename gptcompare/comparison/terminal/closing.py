"""The few lines below texts that have been written on a terminal, which leave the texts in sight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...display.text_width import wrap
from ..reading import Reading
from ..sides import Parting, Side
from .summary import NOT_SHARED, drawn_with, parted

MORE = "--numbers shows all that was measured"


def closing(
    sides: Sequence[Side], readings: Sequence[Reading], parting: Parting | None, share_vocabulary: bool,
    options: Mapping[str, Any], n_cells: int,
) -> str:  # fmt: skip
    """Say in a handful of lines where the texts part, how sure the models are of them, and how to have them again."""
    sentences = parted(sides, parting, in_short=True) if share_vocabulary else [NOT_SHARED]
    what = "Perplexity" if share_vocabulary else "Bits per byte"
    for side, reading in zip(sides, readings, strict=True):
        values = reading.perplexity if share_vocabulary else reading.bits_per_byte
        measured = [
            f"{value:.2f} to {other.name}" for other, value in zip(sides, values, strict=True) if value is not None
        ]
        if measured:
            sentences.append(f"{what} of {side.name}'s text: {', '.join(measured)}.")
    sentences += [*_agreement(readings), drawn_with(sides, options)]
    return "\n".join(line for sentence in sentences if sentence for line in wrap(sentence, n_cells))


def _agreement(readings: Sequence[Reading]) -> list[str]:
    """Count over all texts together at how many positions the models agree."""
    same = [agrees for reading in readings for agrees in reading.same_top or ()]
    if not same:
        return []
    drawn = [drew for reading in readings for drew in reading.same_choice or ()]
    also = f", the drawn ones at {sum(drawn)}" if drawn else ""
    return [f"The likeliest tokens agree at {sum(same)} of {len(same)} positions{also}."]


def speeds_in_short(sides: Sequence[Side]) -> str:
    """Return the measured speeds on one line."""
    speeds = [f"{side.tokens_per_second:.0f}" for side in sides if side.tokens_per_second is not None]
    return f"[{' and '.join(speeds) or 'no'} tokens per second; {MORE}]"
