"""Several models at the same tasks, and whether their differences are real: `gptcompare evaluate --models A,B`."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ...checks import path
from ...comparison.writers import Models, free_name, load_models
from ..kept_rows import ROWS
from ..metrics import Metric, Ratio, Rights, Units
from ..result import Evaluation
from ..run import evaluate, folder_for, folder_names
from ..tasks.protocols import TOKEN_PERPLEXITY, EveryToken
from ..tasks.published import task_named
from ..tasks.task import Task
from .difference import Difference
from .kept import read_evaluation
from .result import PairedEvaluation
from .statistics import holm, interval_of_proportions, items_needed, mcnemar, paired_bootstrap, units_needed


def compare(
    models: Models,
    tasks: str | Task | Iterable[str | Task],
    data: str | os.PathLike[str] | None = None,
    *,
    folder: str | os.PathLike[str] | None = None,
    **settings: Any,
) -> PairedEvaluation:
    """Evaluate two or more models on the same items, and say whether their differences are real.

    Parameters
    ----------
    models : sequence of names, folders or LanguageModels; or dict of name -> LanguageModel
        At least two; the first is the one that the others are compared with.
    tasks : str or Task, or several
    data
        As for `evaluate`.
    folder : path, optional
        Where to save the rows, in a folder for each model and in it for each task.
    **settings
        limit, seed, shots, stride and beams, as for `evaluate`.

    Returns
    -------
    PairedEvaluation

    Raises
    ------
    TypeError, ValueError, FileNotFoundError
        As for `evaluate`; also for fewer than two models, or models that did not read the same items.

    Examples
    --------
    >>> import gptcompare as gc
    >>> found = gc.evaluation.compare(["nano-gpt2", "nano-gpt3"], "two-digit-addition", limit=20)  # doctest: +SKIP
    """
    lms = load_models(models)
    _check_number(list(lms))
    given = [tasks] if isinstance(tasks, (str, Task)) else list(tasks)
    chosen = [one if isinstance(one, Task) else task_named(one) for one in given]
    if not chosen:
        raise ValueError("there is no task to compare the models at")
    folders = folder_names(lms)
    by_task = []
    for task in chosen:
        by_model = {}
        for name, lm in lms.items():
            place = None if folder is None else folder_for(path("folder", folder), folders[name], task, data, settings)
            by_model[name] = evaluate(lm, task, data, folder=place, **settings)
        by_task.append(by_model)
    return paired(by_task)


def compare_kept(folders: Sequence[str | os.PathLike[str]]) -> PairedEvaluation:
    """Compare models by the rows that evaluations have left in folders, without the models.

    Parameters
    ----------
    folders : sequence of paths
        At least two: each the folder of an evaluation, with its items.jsonl and result.json, or one with such folders
        in it, whose tasks are compared by the names of these folders. A model has the name of its folder; the first is
        the one that the others are compared with.

    Raises
    ------
    FileNotFoundError
        If a folder has no evaluation.
    ValueError
        If an evaluation is not finished or damaged, or they are not of the same items.
    """
    places = [Path(path("a folder", folder)) for folder in folders]
    _check_number([str(place) for place in places])
    called = {one.name for place in places for one in _inside(place)}
    found = [_kept(place, called) for place in places]
    by_model: dict[str, dict[str, Evaluation]] = {}
    for place, of_model in zip(places, found, strict=True):
        by_model[free_name(_name(place), by_model)] = of_model
    common = [task for task in found[0] if all(task in of_model for of_model in found)]
    if not common:
        each = "; ".join(f"{place}: {', '.join(of_model)}" for place, of_model in zip(places, found, strict=True))
        raise ValueError(f"the folders have no task in common: {each}")
    return paired([{name: of_model[task] for name, of_model in by_model.items()} for task in common])


def _kept(place: Path, called: set[str]) -> dict[str, Evaluation]:
    """Return the evaluations in a folder by the names of their own folders.

    That of a folder with a single one has the name of its task, if it is `called` otherwise in no other folder.
    """
    if (place / ROWS).exists():
        evaluation, name = read_evaluation(place), place.resolve().name
        return {name if name in called else evaluation.task.name: evaluation}
    if not (inside := _inside(place)):
        raise FileNotFoundError(f"{place} has no evaluation: there is no {ROWS} in it, or in its folders")
    return {one.name: read_evaluation(one) for one in inside}


def _inside(place: Path) -> list[Path]:
    """Return the folders of evaluations in a folder that is none itself."""
    return [] if (place / ROWS).exists() else sorted(one.parent for one in place.glob(f"*/{ROWS}"))


def _name(place: Path) -> str:
    """Return the name of the folder that an evaluation, or those of all tasks, are in: its model's."""
    return (place.resolve().parent if (place / ROWS).exists() else place.resolve()).name


def _check_number(names: Sequence[str]) -> None:
    if len(names) < 2:
        raise ValueError(f"a difference needs two models, got {', '.join(names) or 'none'}")


def paired(by_task: Sequence[Mapping[str, Evaluation]]) -> PairedEvaluation:
    """Compare evaluations: for each task, those of several models by name, of which the first is the one compared with.

    Raises
    ------
    ValueError
        If two models did not read the same items.
    """
    differences: list[Difference] = []
    for evaluations in by_task:
        first, *others = evaluations
        for other in others:
            differences += _differences(first, evaluations[first], other, evaluations[other])
    p_values = holm([one.p_value for one in differences])
    corrected = tuple(one.corrected(p) for one, p in zip(differences, p_values, strict=True))
    return PairedEvaluation(tuple(dict(evaluations) for evaluations in by_task), corrected)


def _differences(name: str, one: Evaluation, other_name: str, other: Evaluation) -> list[Difference]:
    same_windows = _check_same_items(name, one, other_name, other)
    found = []
    for first, second, *values in zip(one.units, other.units, one.metrics, other.metrics, strict=True):
        if same_windows or first.name != TOKEN_PERPLEXITY:  # whose tokens differ
            found.append(_difference(one, (name, other_name), first, second, (values[0], values[1])))
    return found


def _check_same_items(name: str, one: Evaluation, other_name: str, other: Evaluation) -> bool:
    """Return whether two models were asked exactly the same; False if they read the same texts in other windows.

    It is a ValueError if the items differ, or are the windows of a single text that are not the same.
    """

    def refuse(reason: str) -> NoReturn:
        raise ValueError(f"{one.task.name}: {name} and {other_name} cannot be compared item by item: {reason}")

    if one.task.name != other.task.name:
        refuse(f"one was evaluated on {other.task.name}")
    if [file["sha256"] for file in one.data] != [file["sha256"] for file in other.data]:
        refuse("their files differ")
    for setting in ("limit", "seed", "shots", "beams"):
        mine, theirs = getattr(one.settings, setting), getattr(other.settings, setting)
        if mine != theirs:
            refuse(f"{setting} is {mine} for one and {theirs} for the other")
    if one.items_digest == other.items_digest:
        return True
    if not isinstance(one.protocol, EveryToken):
        refuse("their prompts differ")
    if len({row["document"] for row in one.rows}) < 2:
        refuse("they read the only text in different windows, since their vocabularies or contexts differ")
    return False


def _difference(
    evaluation: Evaluation, names: tuple[str, str], first: Units, second: Units, values: tuple[Metric, Metric]
) -> Difference:
    if isinstance(first, Rights) and isinstance(second, Rights):
        pairs = list(zip(first.is_right, second.is_right, strict=True))
        only = sum(a and not b for a, b in pairs), sum(b and not a for a, b in pairs)
        n = len(pairs)
        low, high = (100 * end for end in interval_of_proportions(*only, n))
        size = (only[0] - only[1]) / n
        needed = None if size == 0 else items_needed(size, 1 - sum(only) / n)
        return Difference(evaluation.label, names, values, low, high, mcnemar(*only), n, needed, only)
    assert isinstance(first, Ratio)
    assert isinstance(second, Ratio)
    if len(first) < 2 or not all(math.isfinite(metric.value) for metric in values):
        return Difference(evaluation.label, names, values, None, None, 1.0, len(first), None)
    seed = evaluation.settings.seed
    low, high, p_value = paired_bootstrap(first, second, seed)
    needed = units_needed(first, second, seed)
    return Difference(evaluation.label, names, values, low, high, p_value, len(first), needed)
