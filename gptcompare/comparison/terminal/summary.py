"""Summaries of texts and of their readings by several models, in numbers and sentences, for a terminal or a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from statistics import median
from textwrap import shorten
from typing import Any

from ...display.text_width import aligned, pad, printable, wrap
from ...display.tokens import ON_SCREEN, bar, listed, shown_token
from ..reading import Reading
from ..sides import Parting, Side

CONTEXT = 40  # characters before it
LEAST_WIDTH = 26  # cells of a column that has a token and the shortest bar; narrower ones are below each other
NOT_SHARED = "The models have different vocabularies: their bits per byte can be compared, their perplexities cannot."
SPREAD: dict[str, Callable[[Sequence[float]], float]] = {"lowest": min, "median": median, "highest": max}


def summary(
    sides: Sequence[Side], readings: Sequence[Reading], parting: Parting | None, share_vocabulary: bool,
    n_cells: int = 100, options: Mapping[str, Any] | None = None,
) -> str:  # fmt: skip
    """Summarise what several models wrote and how probable each finds each text; wrap sentences to `n_cells`.

    With the options of the generation, the last sentence says how the same texts are written again.
    """
    names = [side.name for side in sides]
    lines = [
        ["", *names],
        ["ended by", *(side.completion.finish_reason for side in sides)],
        ["tokens", *(str(len(side.completion.ids)) for side in sides)],
        ["mean log-probability", *(_number(side.mean_logprob, 3) for side in sides)],
    ]
    for name, reading in zip(names, readings, strict=True):
        lines.append(_measured(reading, f"of {name}'s text", share_vocabulary))
    sentences = parted(sides, parting) if share_vocabulary else [NOT_SHARED]
    if share_vocabulary and len(names) > 1:
        sentences += [
            f"Over {name}'s text: {_agreement(reading)}{_draws(reading)}"
            for name, reading in zip(names, readings, strict=True)
            if reading.divergence
        ]
    if options is not None and (drawn := drawn_with(sides, options)):
        sentences.append(drawn)
    return with_sentences(aligned(lines), sentences, n_cells)


def drawn_with(sides: Sequence[Side], options: Mapping[str, Any]) -> str:
    """Say how tokens were drawn, and how the same texts are written again; "" if none was drawn."""
    if not any(side.options["temperature"] for side in sides):
        return ""
    words = {side.name: _sampling(side.options) for side in sides}
    several = "; ".join(f"{name}: {how}" for name, how in words.items())
    how = several if len({*words.values()}) > 1 else next(iter(words.values()))
    seed = options["seed"]
    if seed is None:  # those that draw have seeds of their own, in their names
        return f"Drawn with {how}: the same command writes the same."
    return f"Seed {seed} ({how}): --seed {seed} writes the same."


def _sampling(options: Mapping[str, Any]) -> str:
    """Say how one side's tokens were chosen.

    >>> _sampling({"temperature": 0.8, "top_k": None, "top_p": 0.9})
    'temperature 0.8, top-p 0.9'
    """
    if not options["temperature"]:
        return "greedy"
    return ", ".join(
        f"{name.replace('_', '-')} {options[name]:g}"
        for name in ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")
        if options.get(name) is not None and (name, options[name]) != ("repetition_penalty", 1)
    )


def text_summary(names: Sequence[str], reading: Reading, n_cells: int = 100) -> str:
    """Summarise one text as read by several models; wrap sentences to `n_cells`."""
    table = measured(names, [*map(len, reading.tokens)], reading.bits_per_byte, reading.perplexity)
    sentences = [NOT_SHARED] if len(names) > 1 else []
    if reading.divergence is not None:
        sentences = [f"Over the text: {_agreement(reading)}"]
    return with_sentences(table, sentences, n_cells)


def measured(
    names: Sequence[str], n_tokens: Sequence[int], bits: Sequence[float | None], perplexity: Sequence[float | None]
) -> str:
    """Return a table of how probable each of several models finds a text."""
    lines = [
        ["", *names],
        ["tokens", *map(str, n_tokens)],
        ["bits per byte", *(_number(of_model, 3) for of_model in bits)],
        ["perplexity", *(_number(of_model, 2) for of_model in perplexity)],
    ]
    return aligned(lines)


def summary_of_texts(names: Sequence[str], readings: Sequence[Reading], n_cells: int = 100) -> str:
    """Summarise several texts, each read by itself by every model; wrap sentences to `n_cells`."""
    by_model = [[reading.bits_per_byte[n] or 0.0 for reading in readings] for n in range(len(names))]
    n_bytes = [reading.n_bytes[0] for reading in readings]
    together = [
        sum(bits * n for bits, n in zip(of_model, n_bytes, strict=True)) / sum(n_bytes) for of_model in by_model
    ]
    lines = [
        [f"bits per byte of {len(readings)} texts", *names],
        ["all together", *(_number(bits, 3) for bits in together)],
        *([label, *(_number(pick(of_model), 3) for of_model in by_model)] for label, pick in SPREAD.items()),
    ]
    sentences = [
        f"{label} to {names[0]}: {shorten(pick(readings, key=_first_bits).text, 200, placeholder=' ...')!r}"
        for label, pick in (("Least surprising", min), ("Most surprising", max))
    ]
    return with_sentences(aligned(lines), sentences, n_cells)


def _first_bits(reading: Reading) -> float:
    return reading.bits_per_byte[0] or 0.0


def speeds(sides: Sequence[Side]) -> str:
    """Return a table of the measured times."""
    return aligned(
        [
            ["", *(side.name for side in sides)],
            ["seconds to first token", *(_number(side.seconds_to_first_token, 3) for side in sides)],
            ["tokens per second", *(_number(side.tokens_per_second, 1) for side in sides)],
        ]
    )


def _measured(reading: Reading, whose: str, shared: bool) -> list[str]:
    """Return what can be compared: perplexity where the models share tokens, otherwise bits per byte."""
    if shared:
        return [f"perplexity {whose}", *(_number(perplexity, 2) for perplexity in reading.perplexity)]
    return [f"bits per byte {whose}", *(_number(bits, 3) for bits in reading.bits_per_byte)]


def parted(sides: Sequence[Side], parting: Parting | None, in_short: bool = False) -> list[str]:
    """Say where the texts of models that share a vocabulary part; in short, without how sure the models are of it."""
    if parting is None:
        several = len(sides) > 1
        same = len({side.text for side in sides}) == 1
        return ["The texts are the same." if same else "No token differs, but not all texts go on."] if several else []
    where = f"after {parting.position} token{'s' * (parting.position != 1)}" if parting.position else "at once"
    choices = [
        f"{side.name} had ended"
        if token is None or margin is None
        else f"{side.name} writes {shown_token(token)}{'' if in_short else f' ({margin:+.2f})'}"
        for side, token, margin in zip(sides, parting.tokens, parting.margins, strict=True)
    ]
    held = [
        f"{side.name} held likeliest {listed(likeliest)}"
        for side, likeliest in zip(sides, parting.likeliest, strict=False)
    ]
    if in_short:
        return [f"The texts part {where}: {', '.join(choices)}.", *(f"{sentence}." for sentence in held)]
    return [
        f"The texts part {where}: {', '.join(choices)}; in parentheses: how much more likely, in nats, each model "
        f"finds its own token than the other's. {'; '.join(held)}."
    ]


def _agreement(reading: Reading) -> str:
    """Say how far the models' predictions agree."""
    assert reading.divergence is not None
    assert reading.same_top is not None
    worst = max(range(len(reading.divergence)), key=reading.divergence.__getitem__)
    return agreement(
        sum(reading.same_top), len(reading.divergence), sum(reading.divergence) / len(reading.divergence),
        reading.divergence[worst], reading.tokens[0][worst],
    )  # fmt: skip


def agreement(n_same: int, n: int, mean: float, most: float, token: bytes) -> str:
    """Say how often the likeliest tokens agree, and how far the predictions differ: most before a certain token."""
    return (
        f"the likeliest tokens agree at {n_same} of {n} positions; the Jensen-Shannon divergence is "
        f"{mean:.3f} bits in the mean and {most:.3f} at most, where {shown_token(token)} comes next."
    )


def _draws(reading: Reading) -> str:
    """Say at how many positions the models draw the same token, and how many are possible; "" if none is drawn."""
    if reading.overlap is None or reading.same_choice is None:
        return ""
    return (
        f" The models draw the same token at {sum(reading.same_choice)} of these positions; no dice could make that "
        f"more than {sum(reading.overlap):.1f} on average."
    )


def explained(names: Sequence[str], readings: Sequence[tuple[str, Reading]], n: int, n_cells: int = 100) -> str:
    """Show what each model held likeliest at the n positions where they differ most, the most different first.

    Parameters
    ----------
    names : sequence of str
        The models' names.
    readings : sequence of (str, Reading)
        Whose text it is, and its reading, with alternatives, by models that share a vocabulary.
    n : int
    n_cells : int
        Width in terminal cells.
    """
    places = [
        (divergence, whose, reading, position)
        for whose, reading in readings
        for position, divergence in enumerate(reading.divergence or [])
    ]
    places.sort(key=lambda place: -place[0])
    return "\n\n".join(_explained(names, *place, n_cells) for place in places[:n])


def _explained(
    names: Sequence[str], divergence: float, whose: str, reading: Reading, position: int, n_cells: int
) -> str:
    assert reading.alternatives is not None
    before = b"".join(reading.tokens[0][:position]).decode(errors="replace")[-CONTEXT:].replace("\n", "⏎")
    came = reading.tokens[0][position]
    title = f'{whose}, token {position + 1}: {shown_token(came)} came after "{before}" ({divergence:.3f} bits)'
    lines = wrap(printable(title), n_cells)
    n_each, beside = (n_cells - 2 * (len(names) - 1)) // len(names), len(names)
    if n_each < LEAST_WIDTH:
        n_each, beside = n_cells, 1
    headings, bars = [], []
    for n, (name, of_model) in enumerate(zip(names, reading.alternatives, strict=True)):
        choice = None if reading.choices is None else reading.choices[n][position]
        heading = f"{name}, rank {of_model.ranks[position]}, {of_model.entropies[position]:.1f} bits of entropy"
        shown = [bar(token, p, token == came, n_each) for token, p in of_model.at(position)[:ON_SCREEN]]
        if choice is not None and choice not in of_model.ids[position][:ON_SCREEN]:
            shown.append("its own choice is another")
        headings.append(wrap(printable(heading), n_each))
        bars.append([part for line in shown for part in wrap(line, n_each)])
    for first in range(0, len(names), beside):
        for columns in (headings[first : first + beside], bars[first : first + beside]):
            for cells in zip_longest(*columns, fillvalue=""):
                lines.append("  ".join(pad(cell, n_each) for cell in cells).rstrip())
    return "\n".join(lines)


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def with_sentences(table: str, sentences: Sequence[str], n_cells: int) -> str:
    """Put sentences below a table, wrapped to `n_cells`."""
    return "\n".join([table, *(line for sentence in sentences for line in ["", *wrap(sentence, n_cells)])])
