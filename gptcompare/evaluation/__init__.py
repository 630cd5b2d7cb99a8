"""How good a language model is: published tasks, and tasks of one's own, measured and with an interval.

`run` measures a model at a task (`evaluate`). `tasks/` says what the items of a task are, how a model is asked, and how
its answers are scored. `workers` shares the items out, `kept_rows` keeps what was found, `metrics` aggregates it with
95% intervals, and `result` prints it beside the published numbers, with its `provenance`.

What a model can be used for is in `gptcompare.uses`, whose names are names of this package, too.
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
