"""What a language model can be used for, without training it or with a small classifier on top, and how good it is.

`likelihood` says how probable a continuation is, and everything that chooses stands on it: `multiple_choice` (which of
several answers) and `classification` (which of several labels). `answers` and `entities` let the model write, the first
by `beam` search. `features` hands on what the model makes of a text. `templates` and `examples` hold the prompts, as
data.

`evaluate` measures a model at a task. `published_tasks` lists those that are published: `data_files` has where their
files are, `task_files` reads those into `items`, `tasks` makes them what a model gets, and `protocols` says how that is
scored. `workers` shares the items out, `kept_rows` keeps what was found of them, `metrics` computes numbers with their
intervals of it, and `result` prints them, beside the published ones, with their `provenance`.
"""

from .answers import answer, exact_match, f1
from .beam import WIDTH, beam_search
from .classification import Classification, classification_prompts, classify, sentiment
from .data_files import Content, TaskData
from .entities import Entity, entities, entity_prompt
from .evaluate import evaluate
from .examples import ENTITY_EXAMPLES, SENTIMENT_EXAMPLES, read_entity_examples, read_examples
from .features import TokenFeatures, features, token_features
from .items import Document, Item
from .likelihood import LogLikelihood, encode_pair, log_likelihoods
from .metrics import Metric
from .multiple_choice import NORMALISATIONS, Choice, choose
from .protocols import Choosing, LastWord, Protocol, Writing
from .published_tasks import TASKS, task_named
from .result import Evaluation
from .sklearn_features import Features
from .tasks import Questions, Settings, Task, Texts, WrittenQuestions
from .templates import (
    CLASSIFICATION,
    COMPLETION,
    ENTITIES,
    QUESTION,
    SENTIMENT,
    SENTIMENT_WORDS,
    Example,
    Query,
    Template,
)

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
