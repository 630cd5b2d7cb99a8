"""Uses of a language model that need no training, or only a small classifier on top.

`likelihood` says how probable a continuation is, and everything that chooses is built on it: `multiple_choice` (one
of several answers) and `classification` (one of several labels). In `answers` and `named_entities` the model writes, in
the first with `beam` search. `feature_vectors` turns texts into vectors for a classifier. `templates` holds the
prompts and their examples, as data.
"""

from .answers import answer, exact_match, f1
from .beam import WIDTH, beam_search
from .classification import Classification, classification_prompts, classify, sentiment
from .feature_vectors import Features, TokenFeatures, features, token_features
from .likelihood import LogLikelihood, encode_pair, log_likelihoods
from .multiple_choice import NORMALISATIONS, Choice, choose
from .named_entities import Entity, entities, entity_prompt
from .templates import (
    CLASSIFICATION,
    COMPLETION,
    ENTITIES,
    ENTITY_EXAMPLES,
    QUESTION,
    SENTIMENT,
    SENTIMENT_EXAMPLES,
    SENTIMENT_WORDS,
    Example,
    Query,
    Template,
    read_entity_examples,
    read_examples,
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
    "WIDTH",
    "Choice",
    "Classification",
    "Entity",
    "Example",
    "Features",
    "LogLikelihood",
    "Query",
    "Template",
    "TokenFeatures",
    "answer",
    "beam_search",
    "choose",
    "classification_prompts",
    "classify",
    "encode_pair",
    "entities",
    "entity_prompt",
    "exact_match",
    "f1",
    "features",
    "log_likelihoods",
    "read_entity_examples",
    "read_examples",
    "sentiment",
    "token_features",
]
