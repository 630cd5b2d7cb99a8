"""Evaluation of a language model on published tasks, or tasks of your own, with confidence intervals.

`run` evaluates a model on a task (`evaluate`). `tasks/` defines the items of a task, how a model is asked, and how its
answers are scored. `workers` shares out the items, `kept_rows` saves the results, `metrics` aggregates them with 95%
intervals, and `result` prints them beside the published numbers, with their `provenance`.

The uses of a model are in `gptcompare.uses`; this package also exports its names.
"""

from ..uses import (
    CLASSIFICATION,
    COMPLETION,
    ENTITIES,
    ENTITY_EXAMPLES,
    NORMALISATIONS,
    QUESTION,
    SENTIMENT,
    SENTIMENT_EXAMPLES,
    SENTIMENT_WORDS,
    WIDTH,
    Choice,
    Classification,
    Entity,
    Example,
    Features,
    LogLikelihood,
    Query,
    Template,
    TokenFeatures,
    answer,
    beam_search,
    choose,
    classification_prompts,
    classify,
    encode_pair,
    entities,
    entity_prompt,
    exact_match,
    f1,
    features,
    log_likelihoods,
    read_entity_examples,
    read_examples,
    sentiment,
    token_features,
)
from .metrics import Metric
from .result import Evaluation
from .run import evaluate
from .tasks.data_files import Content, TaskData
from .tasks.items import Document, Item
from .tasks.protocols import Choosing, LastWord, Protocol, Writing
from .tasks.published import TASKS, task_named
from .tasks.task import Questions, Settings, Task, Texts, WrittenQuestions

__all__ = [
    "CLASSIFICATION",
    "COMPLETION",
    "ENTITIES",
    "ENTITY_EXAMPLES",
    "NORMALISATIONS",
    "QUESTION",
    "SENTIMENT",
    "SENTIMENT_EXAMPLES",
    "SENTIMENT_WORDS",
    "TASKS",
    "WIDTH",
    "Choice",
    "Choosing",
    "Classification",
    "Content",
    "Document",
    "Entity",
    "Evaluation",
    "Example",
    "Features",
    "Item",
    "LastWord",
    "LogLikelihood",
    "Metric",
    "Protocol",
    "Query",
    "Questions",
    "Settings",
    "Task",
    "TaskData",
    "Template",
    "Texts",
    "TokenFeatures",
    "Writing",
    "WrittenQuestions",
    "answer",
    "beam_search",
    "choose",
    "classification_prompts",
    "classify",
    "encode_pair",
    "entities",
    "entity_prompt",
    "evaluate",
    "exact_match",
    "f1",
    "features",
    "log_likelihoods",
    "read_entity_examples",
    "read_examples",
    "sentiment",
    "task_named",
    "token_features",
]
