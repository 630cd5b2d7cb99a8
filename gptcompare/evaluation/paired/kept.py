"""An evaluation as it was left in a folder, without its model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...files.texts import parse_object, read_text
from ..kept_rows import RESULT, ROWS, read_rows
from ..result import Evaluation
from ..tasks.protocols import EveryToken, protocol_described
from ..tasks.published import TASKS
from ..tasks.task import Questions, Settings, Task, Texts

TASK_OF_ITS_OWN: dict[str, Any] = {"title": "", "data": None, "n_items": None, "source": ""}


def read_evaluation(folder: Path) -> Evaluation:
    """Read the evaluation in a folder, which must be finished and whole.

    Raises
    ------
    ValueError
        If it is not finished, damaged, of an earlier version, or of a protocol of the user's own.
    """
    if not (folder / RESULT).exists():
        raise ValueError(f"{folder}: the evaluation is not finished: run the same command again to resume it")
    result = parse_object(read_text(folder / RESULT), str(folder / RESULT))
    identity, found = read_rows(folder)
    if "protocol" not in result:
        raise ValueError(f"{folder / RESULT} is of an earlier version of gptcompare: evaluate again, in another folder")
    if not _is_whole(result):
        raise ValueError(f"{folder / RESULT} is damaged: run the same command again, and it is written anew")
    protocol = protocol_described(result["protocol"], str(folder / RESULT))
    n = result.get("n_rows")
    if not found or n != len(found) or sorted(found) != list(range(len(found))):
        raise ValueError(f"{folder / ROWS} has {len(found)} of {n} items: run the same command again to resume it")
    rows = [found[number] for number in range(len(found))]
    settings = Settings(**identity["settings"])
    metrics = tuple(protocol.metrics(rows, settings.seed))
    model = {**result["model"], "sha256": identity["model"]}
    return Evaluation(
        _task(identity["task"], protocol), settings, metrics, rows, model, result["data"], result["gptcompare"],
        protocol, [], identity["items"],
    )  # fmt: skip


def _is_whole(result: dict[str, Any]) -> bool:
    """Tell whether a result says of which model, files and library it is."""
    parts = {"protocol": dict, "model": dict, "data": list, "gptcompare": dict}
    if not all(isinstance(result.get(name), kind) for name, kind in parts.items()):
        return False
    return "name" in result["model"] and all(isinstance(one, dict) and "sha256" in one for one in result["data"])


def _task(name: str, protocol: Any) -> Task:
    """Return the published task of this name, or one that has nothing but the name."""
    if name in TASKS:
        return TASKS[name]
    if isinstance(protocol, EveryToken):
        return Texts(name=name, read=_nothing, in_words=False, **TASK_OF_ITS_OWN)
    return Questions(name=name, read=_nothing, protocol=protocol, **TASK_OF_ITS_OWN)


def _nothing(contents: object) -> list[Any]:
    raise ValueError("the items of this evaluation are not kept: give the task itself")
