import json
import math
from dataclasses import asdict
from itertools import pairwise

import numpy as np
import pytest

from gptcompare.presets import published
from gptcompare.training import loop
from gptcompare.training.recipe import OPTIMIZERS, Recipe


def rates(recipe, n=None):
    return [recipe.learning_rate_at(step) for step in range(n or recipe.n_steps)]


@pytest.mark.reference
@pytest.mark.parametrize(("n_steps", "warmup_steps"), [(50, 10), (50, 2), (400, 37), (50, 49)])
def test_the_schedule_is_pytorch_s_warm_up_and_cosine(torch, n_steps, warmup_steps):
    recipe = Recipe(n_steps=n_steps, warmup_steps=warmup_steps, learning_rate=3e-3, final_learning_rate=0.1)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=3e-3)
    warmup = torch.optim.lr_scheduler.LinearLR(optimizer, 1 / warmup_steps, total_iters=warmup_steps - 1)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(n_steps - warmup_steps, 1), eta_min=3e-4)
    both = torch.optim.lr_scheduler.SequentialLR(optimizer, [warmup, cosine], [warmup_steps - 1])
    expected = []
    for _ in range(n_steps):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        both.step()
    assert rates(recipe) == pytest.approx(expected, rel=1e-9)


def test_the_rate_rises_to_the_largest_falls_to_a_tenth_and_stays_there():
    recipe = Recipe(n_steps=1000, warmup_steps=100, learning_rate=6e-4)
    all_rates = rates(recipe, 1100)
    assert max(all_rates) == all_rates[99] == 6e-4
    assert all(a < b for a, b in pairwise(all_rates[:100]))
    assert all(a > b for a, b in pairwise(all_rates[99:999]))
    assert all_rates[999:] == pytest.approx([6e-5] * 101)


@pytest.mark.parametrize("warmup_steps", [0, 1])
def test_without_a_warm_up_the_first_rate_is_the_largest(warmup_steps):
    assert Recipe(n_steps=10, warmup_steps=warmup_steps, learning_rate=1e-3).learning_rate_at(0) == 1e-3


def test_one_step_is_a_run():
    assert Recipe(n_steps=1, warmup_steps=0).learning_rate_at(0) == 6e-4


def test_a_preset_has_the_paper_s_numbers_and_those_that_are_given():
    recipe = Recipe.preset("gpt3-xl", n_steps=10, eps=1e-6)
    training = published("gpt3-xl").training
    assert (recipe.learning_rate, recipe.betas) == (training.learning_rate, training.adam_betas) == (2e-4, (0.9, 0.95))
    assert (recipe.weight_decay, recipe.gradient_clip, recipe.final_learning_rate) == (0.1, 1.0, 0.1)
    assert recipe.eps == 1e-6


def test_the_defaults_are_those_of_gpt3_small():
    assert Recipe.preset("gpt3-small", n_steps=5) == Recipe(n_steps=5)


def test_a_preset_is_adamw_s_unless_another_optimizer_is_given_which_keeps_the_paper_s_numbers():
    adamw, muon = (Recipe.preset("gpt3-xl", n_steps=10, **given) for given in ({}, {"optimizer": "muon"}))
    assert (adamw.optimizer, muon.optimizer) == ("adamw", "muon")
    assert (muon.learning_rate, muon.weight_decay) == (adamw.learning_rate, adamw.weight_decay)


def test_every_optimizer_that_a_recipe_can_name_is_one_that_the_loop_knows():
    assert loop.OPTIMIZERS.keys() == {*OPTIMIZERS}


@pytest.mark.parametrize(
    ("numbers", "error", "words"),
    [
        ({"n_steps": 0}, ValueError, "n_steps must be at least 1, got 0"),
        ({"n_steps": 1.5}, TypeError, "n_steps must be an integer, got 1.5"),
        ({"batch": True}, TypeError, "batch must be an integer"),
        ({"learning_rate": math.nan}, ValueError, "learning_rate must be finite"),
        ({"eps": 0}, ValueError, "eps must be above 0"),
        ({"learning_rate": "fast"}, TypeError, "learning_rate must be a number, got 'fast'"),
        ({"weight_decay": -0.1}, ValueError, "weight_decay must be finite and not negative"),
        ({"betas": (0.9, 1.0)}, ValueError, r"below 1, got 1\.0"),
        ({"betas": (0.9,)}, ValueError, "betas must be two numbers"),
        ({"betas": 0.9}, ValueError, "betas must be two numbers, got 0.9"),
        ({"betas": "ab"}, TypeError, "betas and dropout must be a number, got 'a'"),
        ({"dropout": 1.0}, ValueError, "below 1"),
        ({"optimizer": "sgd"}, ValueError, "optimizer must be one of adamw, muon, got 'sgd'"),
        ({"optimizer": None}, TypeError, "optimizer must be a str, got NoneType"),
        ({"batch": 6, "accumulation": 4}, ValueError, "accumulation 4 does not divide the batch of 6"),
    ],
    ids=str,
)
def test_a_number_that_makes_no_sense_is_refused(numbers, error, words):
    with pytest.raises(error, match=words):
        Recipe(**{"n_steps": 10, **numbers})


def test_numpy_s_numbers_become_python_s():
    recipe = Recipe(n_steps=np.int64(3), learning_rate=np.float32(0.5))
    assert json.dumps([recipe.n_steps, recipe.learning_rate]) == "[3, 0.5]"


def test_an_unknown_number_of_a_preset_is_refused():
    with pytest.raises(TypeError, match="a recipe has no learning_rte: it has accumulation, batch"):
        Recipe.preset("gpt3-small", n_steps=1, learning_rte=1)


def test_numbers_of_numpy_become_python_s_which_json_can_hold():
    betas = (np.float32(0.5), np.float64(0.75))
    recipe = Recipe(n_steps=np.int64(3), betas=betas, learning_rate=np.float32(0.5))
    assert json.loads(json.dumps(asdict(recipe)))["betas"] == [0.5, 0.75]
