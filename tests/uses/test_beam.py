import itertools

import numpy as np
import pytest
from support.models import StandIn, logprobs_of

import gptcompare as gc
from gptcompare.evaluation import beam_search
from gptcompare.uses.beam import Beam

V, PROMPT, ENDS = 5, [0, 2], [1, 4]


@pytest.fixture(params=[0, 1, 2])
def lm(request):
    """A model with a vocabulary so small that all its texts can be tried."""
    config = gc.GPTConfig(
        n_layer=2, n_head=2, d_model=8, n_ctx=8, n_vocab=V, attention=("dense", "banded"), band_width=2
    )
    parameters = {name: value * 6 for name, value in gc.GPT(config, seed=request.param).parameters().items()}
    return StandIn(model=gc.GPT(config, parameters), prompt_ids=lambda prompt: PROMPT)


def score(lm, ids, alpha):
    return sum(logprobs_of(lm, PROMPT, ids)) / ((5 + len(ids)) / 6) ** alpha


def all_texts(n_most):
    """Every sequence of tokens that ends with one of ENDS or is as long as may be."""
    others = [id_ for id_ in range(V) if id_ not in ENDS]
    for n in range(n_most):
        for ids in itertools.product(others, repeat=n):
            yield from ([*ids, end] for end in ENDS)
    yield from map(list, itertools.product(others, repeat=n_most))


@pytest.mark.parametrize("alpha", [-3.0, -0.5, 0.0, 0.6, 2.0])
@pytest.mark.parametrize("n_most", [1, 4])
def test_wide_enough_it_finds_the_best_of_all_texts(lm, alpha, n_most):
    best = max(all_texts(n_most), key=lambda ids: score(lm, ids, alpha))
    found = beam_search(lm, "", ENDS, width=V**n_most, alpha=alpha, max_new_tokens=n_most)
    assert found.ids == [id_ for id_ in best if id_ not in ENDS]
    assert found.score(alpha) == pytest.approx(score(lm, best, alpha), rel=1e-5)
    assert found.n_tokens == len(best)


@pytest.mark.parametrize("width", [1, 2, 4])
def test_what_it_says_of_its_text_is_true(lm, width):
    found = beam_search(lm, "", ENDS, width=width, max_new_tokens=6)
    ended = found.n_tokens > len(found.ids)
    possible = [[*found.ids, end] for end in ENDS] if ended else [found.ids]
    assert found.logprob == pytest.approx(max(sum(logprobs_of(lm, PROMPT, ids)) for ids in possible), rel=1e-5)


def test_without_ends_a_single_beam_is_greedy(lm):
    ids = list(PROMPT)
    for _ in range(6):
        ids.append(int(lm.model(ids)[-1].argmax()))
    assert beam_search(lm, "", [], width=1, max_new_tokens=6).ids == ids[2:]


def test_it_stops_where_the_context_ends(lm):
    found = beam_search(lm, "", [], width=2, max_new_tokens=100)
    assert len(found.ids) == lm.config.n_ctx - len(PROMPT)


def test_what_has_no_room_is_refused(lm):
    for options in ({"width": 0}, {"max_new_tokens": 0}):
        with pytest.raises(ValueError, match="must be at least 1"):
            beam_search(lm, "", ENDS, **options)
    lm.prompt_ids = lambda prompt: [0] * 9
    with pytest.raises(ValueError, match="the model's context is 8: shorten it"):
        beam_search(lm, "", ENDS)


def test_after_a_prompt_that_fills_the_context_nothing_is_written(lm):
    lm.prompt_ids = lambda prompt: [0] * 8
    assert beam_search(lm, "", ENDS) == Beam([], 0.0, 0)


@pytest.mark.parametrize("alpha", [-1.0, -0.2])
@pytest.mark.parametrize("width", [1, 2])
def test_that_short_texts_are_preferred_ends_no_attempt_in_the_middle(lm, alpha, width):
    found = beam_search(lm, "", ENDS, width=width, alpha=alpha, max_new_tokens=6)
    assert found.n_tokens == len(found.ids) + 1 or len(found.ids) == 6


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"ends": [V]}, f"there is no token {V}"),
        ({"ends": [-1]}, "an id of ends must be at least 0"),
        ({"ends": ENDS, "alpha": np.nan}, "alpha must be from -10 to 10, got nan"),
        ({"ends": ENDS, "alpha": np.inf}, "alpha must be from -10 to 10, got inf"),
        ({"ends": ENDS, "alpha": 1e4}, "alpha must be from -10 to 10, got 10000"),
        ({"ends": ENDS, "alpha": -1e4}, "alpha must be from -10 to 10, got -10000"),
    ],
)
def test_what_is_no_token_or_no_number_is_refused(lm, given, words):
    with pytest.raises(ValueError, match=words):
        beam_search(lm, "", **given)


def test_damaged_parameters_are_noticed(lm):
    lm.model.parameters()["ln_f.bias"][0] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        beam_search(lm, "", ENDS)
