"""A model beside the outputs that others recorded of it: `gptcompare verify`."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

from ..checkpoints.download.publishers import DEFAULT_SOURCE
from ..checkpoints.errors import DownloadError
from ..checks import instance, path
from ..display.progress import progress_bar
from ..generation import LanguageModel, load
from ..model.changes import check_unchanged
from .agreement import agreement
from .data_quantities import DATA_QUANTITIES, DataFiles
from .models import is_folder, model_named, model_of_config, model_of_name
from .quantities import QUANTITIES
from .records import Record, known_records, read_records
from .result import Row, Verification


def verify(
    model: LanguageModel | str | os.PathLike[str],
    *,
    name: str | None = None,
    records: Sequence[Record] | str | os.PathLike[str] | None = None,
    with_data: bool = False,
    data: str | os.PathLike[str] | None = None,
    source: str = DEFAULT_SOURCE,
) -> Verification:
    """Compare what a model computes with what others recorded of it.

    Parameters
    ----------
    model : LanguageModel, or name or folder of one
        As `gptcompare.load` takes it.
    name : str, optional
        The model whose records are asked for. If not given, it follows from the model's name; for a folder or a
        LanguageModel, it is the only one that `records` are of or, of several, the only one of that configuration.
    records : sequence of Record or path, optional
        Other records than those in the package: `read_records` says what is in such a file.
    with_data : bool
        Also compute what needs a data file: perplexities and accuracies, which take minutes to hours.
    data : path, optional
        A folder with the data files as they are published, or with some of them. If not given, they are downloaded.
    source : "huggingface" or "openai"
        Where to download the model from, if it is given by name.

    Returns
    -------
    Verification

    Raises
    ------
    TypeError, ValueError
        If there are no records of the model, it is unclear which those are, a record does not fit the model, it is a
        changed one, or `data` has none of the files.
    FileNotFoundError, DownloadError
        If the model or a data file is missing and cannot be downloaded.
    CheckpointError
        If a file of the model is damaged.

    Examples
    --------
    >>> import gptcompare as gc
    >>> gc.verification.verify("nano-gpt2").agrees
    True
    """
    known = _records(records)
    recorded = list(dict.fromkeys(record.model for record in known))
    given = None if isinstance(model, LanguageModel) else path("model", model)
    chosen = None if name is None else model_named(name, recorded)
    if chosen is None and given is not None and not is_folder(given):
        chosen = model_of_name(given, recorded)
    lm = model if isinstance(model, LanguageModel) else load(model, source=source)
    check_unchanged(lm.model, "verified")
    if chosen is None:
        chosen = recorded[0] if records is not None and len(recorded) == 1 else model_of_config(lm.config, recorded)
    of_model = [record for record in known if record.model == chosen]
    asked = [record for record in of_model if with_data or not record.needs_data]
    if not asked:
        raise ValueError(f"all {len(of_model)} records of {chosen} need data files: ask for them (--all, or with_data)")
    rows = _rows(lm, asked, data)
    return Verification(chosen, rows, lm.tokenizer, len(of_model) - len(asked))


def _records(records: Sequence[Record] | str | os.PathLike[str] | None) -> list[Record]:
    if records is None:
        return known_records()
    if isinstance(records, (str, os.PathLike)):
        return read_records(records)
    found = [instance("a record", record, Record) for record in records]
    if not found:
        raise ValueError("records is empty: give at least one, or leave it out for those in the package")
    return found


def _rows(lm: LanguageModel, records: Sequence[Record], data: str | os.PathLike[str] | None) -> tuple[Row, ...]:
    files = DataFiles(data)
    missing = _missing(records, files, data)
    rows = []
    with progress_bar(total=len(records), desc="records", unit="record", leave=False) as bar:
        for number, record in enumerate(records):
            bar.set_postfix_str(record.quantity)
            rows.append(Row(record, missing=missing[number]) if number in missing else _row(lm, record, files))
            bar.update()
    return tuple(rows)


def _missing(records: Sequence[Record], files: DataFiles, data: str | os.PathLike[str] | None) -> dict[int, str]:
    """Find all data files before the first is read for an hour; return number of a record -> why it lacks its own.

    What cannot be downloaded is an error, unless there is `data`, which may have some of the files.
    """
    needing = [number for number, record in enumerate(records) if record.needs_data]
    missing: dict[int, str] = {}
    for number in needing:
        record = records[number]
        try:
            files.find(record.quantity, record.given)
        except DownloadError:
            raise
        except FileNotFoundError as error:
            missing[number] = str(error)
        except (ValueError, TypeError) as error:
            raise ValueError(f"the data of record {record.id} of {record.model} cannot be found: {error}") from None
    if data is not None and needing and len(missing) == len(needing):
        raise ValueError(f"{os.fspath(data)} has none of the data files: {next(iter(missing.values()))}")
    return missing


def _row(lm: LanguageModel, record: Record, files: DataFiles) -> Row:
    start = time.perf_counter()
    try:
        got: list[Any] | str
        if record.needs_data:
            got = DATA_QUANTITIES[record.quantity](lm, files, **record.given)
        else:
            got = QUANTITIES[record.quantity](lm, **record.given)
        compared = agreement(record, got)
    except (ValueError, TypeError, LookupError, ArithmeticError) as error:
        raise ValueError(f"record {record.id} of {record.model} does not fit this model: {error}") from None
    return Row(record, got, compared, seconds=time.perf_counter() - start)
