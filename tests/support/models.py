"""Small models of random parameters, and what is computed from their logits in float64, without cache or batch."""

import numpy as np

import gptcompare as gc

SMALL = {"n_layer": 2, "n_head": 2, "d_model": 16, "n_ctx": 64}


def random_model(lm, seed=0, **changes):
    """Of random parameters, with the tokenizer of another model; its distributions are far from flat."""
    config = gc.GPTConfig(**{**SMALL, "n_vocab": lm.tokenizer.n_vocab, **changes})
    parameters = {name: value * 8 for name, value in gc.GPT(config, seed=seed).parameters().items()}
    return gc.LanguageModel(gc.GPT(config, parameters), lm.tokenizer)


def with_context(lm, n_ctx):
    """The same model with a shorter context, in which its text ends earlier."""
    config = gc.GPTConfig(**{**lm.config.to_dict(), "n_ctx": n_ctx})
    parameters = {**lm.model.parameters(), "wpe.weight": lm.model.parameters()["wpe.weight"][:n_ctx]}
    return gc.LanguageModel(gc.GPT(config, parameters), lm.tokenizer)


class StandIn(gc.LanguageModel):
    """Has the attributes that it is given and no others: for tests of what is asked of a model."""

    def __init__(self, **attributes):
        vars(self).update(attributes)


def log_softmax64(logits):
    logits = np.asarray(logits, np.float64)
    return logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)


def logprobs_of(lm, context_ids, ids):
    """The log-probability of each id behind a context, as much of it as the model can see."""
    read = [*context_ids, *ids][-(lm.config.n_ctx + 1) :][:-1]
    rows = log_softmax64(lm.model(read))[-len(ids) :]
    return rows[np.arange(len(ids)), ids]
