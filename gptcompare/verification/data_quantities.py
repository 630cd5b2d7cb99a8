"""What was recorded of models on a published data file: perplexities and accuracies."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..checks import path
from ..display.progress import progress_bar
from ..evaluation import Choosing, Content, Evaluation, Questions, Task, evaluate, task_named
from ..evaluation.tasks.data_files import HELLASWAG, WIKITEXT_2
from ..evaluation.tasks.readers import read_plain_hellaswag
from ..files.texts import decode_text, read_text
from ..generation import LanguageModel
from .quantities import log_probabilities, loss

# HellaSwag as karpathy/llm.c asks it (dev/data/hellaswag.py): the context as it is, and each ending after a space.
PLAIN_HELLASWAG = Questions(
    name="hellaswag-llm.c", title="HellaSwag in llm.c", data=HELLASWAG, n_items=10042, source="karpathy/llm.c",
    read=read_plain_hellaswag, protocol=Choosing(normalised=True),
)  # fmt: skip


def task_asked(name: str) -> Task:
    """Return a task by its name; an unknown one is a ValueError."""
    return PLAIN_HELLASWAG if name == PLAIN_HELLASWAG.name else task_named(name)


class DataFiles:
    """The published files that records need, and what was evaluated on them, once for all records of a task.

    Parameters
    ----------
    data : path, optional
        A folder that has them; those that are published are downloaded if it is not given.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    """

    def __init__(self, data: str | os.PathLike[str] | None) -> None:
        self._data = None if data is None else Path(path("data", data))
        if self._data is not None and not self._data.is_dir():
            raise FileNotFoundError(f"there is no folder {str(data)!r}: give the one that has the data files")
        self._results: dict[str, Evaluation] = {}

    def find(self, quantity: str, given: dict[str, Any]) -> None:
        """Find the file that a quantity needs, or download it; it is a FileNotFoundError if there is none."""
        if quantity == "task":
            if task_data := task_asked(given["task"]).data:
                task_data.contents(self._data)
        elif quantity == "loss of a text file":
            self.text_file(given["file"])
        else:
            self.wikitext()

    def wikitext(self) -> Content:
        """Return the test set of WikiText-2."""
        return WIKITEXT_2.contents(self._data)[0]

    def text_file(self, name: str) -> Path:
        """Return the path of a file that nobody publishes for download."""
        if self._data is None:
            raise FileNotFoundError(f"{name} must be given as data: it is not downloaded")
        file = self._data / name
        if not file.is_file():
            raise FileNotFoundError(f"there is no {name} in {self._data}")
        return file

    def evaluation(self, lm: LanguageModel, task: str) -> Evaluation:
        """Evaluate the model on a task, or return what was found before."""
        if task not in self._results:
            self._results[task] = evaluate(lm, task_asked(task), self._data)
        return self._results[task]


def result_of_a_task(lm: LanguageModel, data: DataFiles, task: str, metric: str) -> list[float]:
    """Return a metric of a task of `gptcompare.evaluation`."""
    return [data.evaluation(lm, task)[metric].value]


class Window(NamedTuple):
    """Some ids of a text that are read at once, and the first of them that is predicted."""

    start: int
    end: int
    first: int


def overlapping_windows(n_ids: int, window: int, stride: int, whole_windows: bool) -> Iterator[Window]:
    """Yield the windows of huggingface/transformers, docs/source/en/perplexity.md; or only those of full length.

    Each predicts what no window before it has read; the very first id of a window, which has none before it, is not
    predicted.
    """
    read = 0
    for start in range(0, n_ids, stride):
        end = min(start + window, n_ids)
        if whole_windows and end - start < window:
            return
        yield Window(start, end, max(read - start, 1))
        read = end
        if end == n_ids:
            return


def perplexity_of_wikitext(
    lm: LanguageModel, data: DataFiles, window: int, stride: int, whole_windows: bool
) -> list[float]:
    """Return the perplexity per token of WikiText-2's test set, its lines joined by blank lines, read in windows.

    As that page computes it: the mean loss of a window counts once for each id that is new in it, less one.
    """
    content = data.wikitext()
    lines = io.StringIO(decode_text(content.content, content.name))
    # The rows of the data set on the Hugging Face Hub: blank lines are empty, and all others keep their line ends.
    ids = lm.prompt_ids("\n\n".join(line if line.strip() else "" for line in lines))
    found, weights, read = [], [], 0
    windows = list(overlapping_windows(len(ids), window, stride, whole_windows))
    with progress_bar(total=len(windows), desc="WikiText-2", unit="window") as bar:
        for start, end, first in windows:
            weight = end - read - 1
            read = end
            if weight > 0:
                found.append(float(np.mean(log_probabilities(lm, ids[start:end], first))))
                weights.append(weight)
            bar.update()
    return [float(np.exp(-np.average(found, weights=weights)))]


def loss_of_a_text_file(
    lm: LanguageModel, data: DataFiles, file: str, characters: Sequence[int], window: int, ids_sha256: str
) -> list[float]:
    """Return the mean loss of the whole windows of a part of a text file, each predicted from its own first id on.

    A window reads `window` ids, and predicts the one after each of them. The digest is that of the ids in decimal, with
    a space between two.
    """
    found = data.text_file(file)
    start, end = characters
    ids = lm.tokenizer.encode(read_text(found)[start:end])
    if hashlib.sha256(" ".join(map(str, ids)).encode()).hexdigest() != ids_sha256:
        raise ValueError(f"{found} is another text, or the tokenizer another one, than that of the record")
    starts = range(0, len(ids) - window, window)
    return loss(lm, [ids[first : first + window + 1] for first in starts])


DATA_QUANTITIES: dict[str, Callable[..., list[float]]] = {
    "task": result_of_a_task,
    "perplexity of WikiText-2": perplexity_of_wikitext,
    "loss of a text file": loss_of_a_text_file,
}
