"""Tasks as EleutherAI's lm-evaluation-harness has them, on documents of ours: what it would ask a model."""

import logging
from pathlib import Path

import pytest


def harness_task(file, documents):
    """The harness's task of a YAML file, relative to its lm_eval/tasks."""
    datasets = pytest.importorskip("datasets", reason="needs the `reference` extra")
    tasks = pytest.importorskip("lm_eval.tasks", reason="needs the `reference` extra")
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.tasks._yaml_loader import load_yaml

    datasets.disable_progress_bars()
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    config = load_yaml(Path(tasks.__file__).parent / file)
    for split in ("training_split", "validation_split", "test_split"):
        config.pop(split, None)
    ours = datasets.DatasetDict({"test": datasets.Dataset.from_list(documents)})
    return ConfigurableTask(config={**config, "test_split": "test", "custom_dataset": lambda **_: ours})


def harness_requests(task):
    """For each document the pairs that the harness gives a model, and which one is right."""
    return [(_pairs(task, document), _right(task, document)) for document in task.test_docs()]


def _pairs(task, document):
    context = task.fewshot_context(document, 0)
    requests = task.construct_requests(document, context, metadata=(task.config.task, 0, 1))
    return tuple(request.args for request in (requests if isinstance(requests, list) else [requests]))


def _right(task, document):
    if task.OUTPUT_TYPE != "multiple_choice":
        return 0
    return task.doc_to_text(document) if task.multiple_input else task.doc_to_target(document)
