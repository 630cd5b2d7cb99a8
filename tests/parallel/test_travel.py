"""What is counted on paper is what the ranks count."""

from functools import partial

import numpy as np
import pytest
from support.ranks import on_ranks

import gptcompare as gc
from gptcompare.parallel import communication
from gptcompare.parallel.travel import Travel, of_reading, of_training_step
from gptcompare.training import Recipe
from gptcompare.training.ranks import BatchPart, Leader, follow, part_gradients

CONFIG = gc.GPTConfig(n_layer=3, n_head=4, d_model=12, n_ctx=64, n_vocab=90)


@pytest.mark.parametrize("large", [0, 2**40], ids=["in slices", "at once"])
@pytest.mark.parametrize("n", [2, 3, 4])
@pytest.mark.parametrize(("shape", "last_only"), [((1,), False), ((1,), True), ((40,), True), ((3, 17), False)])
def test_of_reading(n, shape, last_only, large, monkeypatch):
    monkeypatch.setattr(communication, "SAVED", large)

    def counted(comm):
        model = gc.GPT(CONFIG, ranks=communication.Communicator(comm))
        model(np.ones(shape, int), last_only=last_only)
        return Travel(model.ranks.n_calls, model.ranks.n_bytes)

    n_logits = int(np.prod(shape[:-1])) if last_only else int(np.prod(shape))
    expected = of_reading(CONFIG, n, int(np.prod(shape)), n_logits=n_logits)
    assert on_ranks(n, counted)[0] == expected


def test_of_one_rank_is_nothing():
    assert of_reading(CONFIG, 1) == of_training_step(CONFIG, 1, accumulation=4) == Travel(0, 0)


def test_of_a_training_step_counts_the_parts_of_other_ranks_and_the_parameters():
    ids = np.ones((1, 2), int)
    recipe = Recipe(n_steps=1, batch=4, context=2, accumulation=4)
    parts = [BatchPart(0, number, ids, ids) for number in range(4)]

    def counted(comm):
        ranks, model = communication.Communicator(comm), gc.GPT(CONFIG)
        if comm.rank:
            return follow(ranks, model, recipe, None, threads=1)
        leader = Leader(ranks, model, map)
        assert len(list(leader.map(partial(part_gradients, model, recipe, None), parts))) == 4
        travelled = Travel(ranks.n_calls, ranks.n_bytes)
        leader.end(None)
        return travelled

    for n in (2, 3, 4):
        assert on_ranks(n, counted)[0] == of_training_step(CONFIG, n, accumulation=4)
    assert of_training_step(CONFIG, 4, accumulation=1).n_bytes == 4 * CONFIG.n_params


def test_seconds_are_calls_times_latency_and_bytes_by_bandwidth():
    assert (Travel(2, 300) + Travel(1, 0)).seconds(latency=0.5, bandwidth=100) == pytest.approx(4.5)
