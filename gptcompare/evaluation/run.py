"""Evaluation on a task, from its file to a number with its interval: `gptcompare evaluate`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..checkpoints.download.publishers import DEFAULT_SOURCE
from ..checks import integer, path
from ..display.progress import progress_bar
from ..files.whole_file import read_whole
from ..generation import LanguageModel, load
from ..model.changes import said_in_full
from ..parallel import communicator_of
from ..version import __version__
from . import provenance
from .kept_rows import kept_rows, write_result
from .result import Evaluation
from .tasks.data_files import Content
from .tasks.published import task_named
from .tasks.task import Settings, Task
from .workers import Chunk, Dask, Threads, Workers, in_chunks

SETTINGS = ("shots", "limit", "stride", "beams", "seed")  # in the order of a folder's name


def evaluate(
    model: LanguageModel | str | os.PathLike[str],
    task: str | Task,
    data: str | os.PathLike[str] | None = None,
    *,
    limit: int | None = None,
    seed: int = 0,
    shots: int | None = None,
    stride: int | None = None,
    beams: int | None = None,
    folder: str | os.PathLike[str] | None = None,
    source: str = DEFAULT_SOURCE,
    tokenizer: str | os.PathLike[str] | None = None,
    keep: str | None = None,
    dask: str | int | None = None,
    parallel: Any = None,
) -> Evaluation:
    """Evaluate a model on a published task, or on one of your own.

    Parameters
    ----------
    model : LanguageModel, or name or folder of one
        As `gptcompare.load` takes it.
    task : str or Task
        One of `gptcompare.evaluation.TASKS`, or one of your own.
    data : path, optional
        The task's file as it is published: the file itself, the archive that contains it, or the folder that the
        archive was unpacked to. If not given, it is downloaded once.
    limit, seed, shots, stride, beams
        See `Settings`.
    folder : path, optional
        Where to save a row for each item, a few at a time as they are found, and the result at the end. If an
        evaluation was stopped, the same call of the same version of gptcompare resumes it. Of a changed model
        (`LanguageModel.changed`), this works for heads left out and for no other change.
    source, tokenizer, keep
        As for `gptcompare.load`, if the model is given by its name or folder.
    dask : str or int, optional
        The address of a Dask cluster's scheduler, whose workers share the work, or the number of workers of a cluster
        on this machine; 0 is one for each core. The model must then be given by its name or folder. Workers on this
        machine import the program that starts them, so the program must call this below `if __name__ == "__main__":`.
    parallel : mpi4py.MPI.Intracomm, optional
        Of the processes among which the model is cut, if it is given by its name or folder: see `gptcompare.load`. All
        of them return the result, and the first alone uses the folder, in which another number of processes is another
        evaluation: their rows differ in the last bits.

    Returns
    -------
    Evaluation

    Raises
    ------
    TypeError, ValueError
        If there is no such task, the task does not have a setting, a file is not in the published format, or the folder
        holds another evaluation.
    FileNotFoundError, DownloadError
        If a file or the model is missing and cannot be downloaded.
    ImportError
        If Dask is needed and not installed.
    """
    chosen = task if isinstance(task, Task) else task_named(task)
    wanted = Settings(limit, seed, shots, stride, beams)
    chosen.check(wanted)
    folder = None if folder is None else path("folder", folder)
    _check(dask, model, folder, parallel)
    contents = _contents(chosen, data)
    name = None if isinstance(model, LanguageModel) else path("model", model)
    lm = (
        model
        if isinstance(model, LanguageModel)
        else load(model, source=source, tokenizer=tokenizer, keep=keep, parallel=parallel)
    )
    ranks = lm.model.ranks
    settings = chosen.decided(wanted, lm)
    about_model = provenance.of_model(lm, name, source)
    prepared = chosen.prepare(lm, contents, settings)
    workers = _workers(lm, about_model, source, tokenizer, keep, dask)

    about_data = provenance.of_data(contents)
    identity = {
        "version": __version__, "task": chosen.name, "settings": asdict(settings), "model": about_model["sha256"],
        "data": [file["sha256"] for file in about_data],
        "items": provenance.of_items(prepared.protocol, prepared.items),
        **({"ranks": ranks.share.n} if ranks.share.n > 1 else {}),
    }  # fmt: skip
    n = len(prepared.items)
    of_this_rank = None if ranks.share.rank else folder
    with kept_rows(of_this_rank, identity) as kept, progress_bar(total=n, desc=chosen.name, unit="item") as bar:
        kept.found = ranks.broadcast(kept.found)

        def keep_rows(chunk: Chunk, rows: list[dict[str, Any]]) -> None:
            kept.add(chunk, rows)
            bar.update(len(chunk))

        missing = [chunk for chunk in in_chunks(prepared.items) if not all(number in kept.found for number in chunk)]
        bar.update(n - sum(map(len, missing)))
        if missing:
            workers.score(prepared.protocol, prepared.items, missing, keep_rows)
        rows = [kept.found[number] for number in range(n)]
    metrics = tuple(prepared.protocol.metrics(rows, settings.seed))
    result = Evaluation(
        chosen, settings, metrics, rows, about_model, about_data, provenance.of_library(),
        prepared.protocol, prepared.items, identity["items"],
    )  # fmt: skip
    if of_this_rank is not None:
        write_result(of_this_rank, result.to_dict())
    return result


def folder_for(
    folder: str | os.PathLike[str],
    model: str,
    task: Task,
    data: str | os.PathLike[str] | None,
    settings: Mapping[str, Any],
) -> Path:
    """Return a folder of its own for each model, task, text of the user's, and setting that is not the default.

    >>> from gptcompare.evaluation import TASKS
    >>> folder_for("kept", "openai-community/gpt2", TASKS["text"], "a/b.txt", {"stride": 8, "seed": 0}).as_posix()
    'kept/openai-community--gpt2/text-b.txt-stride-8'
    """
    name = folder_names([model])[model]
    own = [Path(data).name] if task.data is None and data is not None else []
    chosen = [f"{setting}-{settings[setting]}" for setting in SETTINGS if settings.get(setting)]
    return Path(folder, name, "-".join([task.name, *own, *chosen]))


def folder_names(models: Iterable[str]) -> dict[str, str]:
    """Return for each model the name of its folder: its own last name, or all of it where several have the same.

    >>> folder_names(["runs/a/final", "runs/b/final"])
    {'runs/a/final': 'runs--a--final', 'runs/b/final': 'runs--b--final'}
    """
    names = list(models)
    last = {name: Path(name).resolve().name if os.path.isdir(name) else name for name in names}
    ends = [Path(one).name for one in last.values()]
    found = {}
    for name, end in zip(names, ends, strict=True):
        whole = Path(name).resolve().as_posix() if Path(name).name in ("", "..") else name
        found[name] = (whole if ends.count(end) > 1 else last[name]).replace("/", "--")
    return found


def _contents(task: Task, data: str | os.PathLike[str] | None) -> list[Content]:
    """Return the task's files, those given or those published."""
    if task.data is not None:
        return task.data.contents(data)
    if data is None:
        raise ValueError(f"the task {task.name!r} has no published file: give one of your own as data")
    return [Content(path("data", data), read_whole(data))]


def _check(dask: str | int | None, model: object, folder: str | None, parallel: object) -> None:
    """Check that such workers and such a folder are possible, before anything is loaded; it is a ValueError if not."""
    is_cut = communicator_of(parallel).share.n > 1
    if is_cut and dask is not None:
        raise ValueError("Dask shares out the items, MPI the model: give one of them")
    if is_cut and isinstance(model, LanguageModel):
        raise ValueError("to be cut, the model must be given by its name or folder, or be loaded with `parallel`")
    if folder is not None and isinstance(model, LanguageModel) and not all(map(said_in_full, model.model.hooks)):
        raise ValueError(
            "an evaluation of a model that a function changes cannot be kept in a folder: whoever resumes it could not "
            "tell whether the function is still the same; leave out the folder"
        )
    if dask is not None and isinstance(model, LanguageModel):
        raise ValueError("with Dask the model must be given by its name or folder: every worker loads it")
    if dask is None or (isinstance(dask, str) and ":" in dask):
        return
    try:
        integer("dask", dask, at_least=0)
    except (TypeError, ValueError):
        message = f'dask must be an address such as "tcp://host:8786", or a number of workers, got {dask!r}'
        raise ValueError(message) from None


def _workers(
    lm: LanguageModel,
    about_model: dict[str, Any],
    source: str,
    tokenizer: str | os.PathLike[str] | None,
    keep: str | None,
    dask: str | int | None,
) -> Workers:
    if dask is None:
        return Threads(lm)
    name, digest = about_model["name"], about_model["sha256"]
    if isinstance(dask, str):
        return Dask(name, source, digest, tokenizer, keep, address=dask)
    return Dask(name, source, digest, tokenizer, keep, n_workers=dask or None)
