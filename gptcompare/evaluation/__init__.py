"""Evaluation of a language model on published tasks, or tasks of your own, with confidence intervals.

`run` evaluates a model on a task (`evaluate`). `tasks/` defines the items of a task, how a model is asked, and how its
answers are scored. `workers` shares out the items, `kept_rows` saves the results, `metrics` aggregates them with 95%
intervals, and `result` prints them beside the published numbers, with their `provenance`. `paired` says whether the
difference of two models is real.

The uses of a model are in `gptcompare.uses`; this package also exports its names.
"""

from .. import uses
from ..uses import *  # noqa: F403
from .metrics import Metric, Ratio, Rights, Units
from .overlap import Contamination, contamination
from .paired import Difference, PairedEvaluation, compare, compare_kept, items_needed
from .result import Evaluation
from .run import evaluate
from .shots import Curve, curve
from .tasks.data_files import Content, TaskData
from .tasks.items import Document, Item
from .tasks.protocols import Choosing, LastWord, Protocol, Writing
from .tasks.published import TASKS, task_named
from .tasks.task import Questions, Settings, Task, Texts, WrittenQuestions

__all__ = [
    "TASKS",
    "Choosing",
    "Contamination",
    "Content",
    "Curve",
    "Difference",
    "Document",
    "Evaluation",
    "Item",
    "LastWord",
    "Metric",
    "PairedEvaluation",
    "Protocol",
    "Questions",
    "Ratio",
    "Rights",
    "Settings",
    "Task",
    "TaskData",
    "Texts",
    "Units",
    "Writing",
    "WrittenQuestions",
    "compare",
    "compare_kept",
    "contamination",
    "curve",
    "evaluate",
    "items_needed",
    "task_named",
]
__all__ += uses.__all__
