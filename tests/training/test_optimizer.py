import math

import numpy as np
import pytest

from gptcompare.training import optimizer as module
from gptcompare.training.optimizer import AdamW, clip_, global_norm
from gptcompare.training.recipe import Recipe

SHAPES = {"matrix": (37, 53), "square": (16, 16), "vector": (71,), "one": (1,)}


def random_arrays(seed, dtype=np.float32, order="C"):
    rng = np.random.default_rng(seed)
    return {name: np.array(rng.standard_normal(shape), dtype, order=order) for name, shape in SHAPES.items()}


@pytest.mark.reference
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-6), (np.float64, 1e-13)])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("size", [module.SLICE, 100])
def test_fifty_steps_are_those_of_pytorch(torch, monkeypatch, dtype, tolerance, order, size):
    monkeypatch.setattr(module, "SLICE", size)
    recipe = Recipe(n_steps=50, warmup_steps=10, learning_rate=1e-2)
    ours = random_arrays(0, dtype, order)
    theirs = {name: torch.nn.Parameter(torch.tensor(np.ascontiguousarray(value))) for name, value in ours.items()}
    groups = [
        {"params": [p for p in theirs.values() if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in theirs.values() if p.ndim == 1], "weight_decay": 0.0},
    ]
    reference = torch.optim.AdamW(groups, betas=recipe.betas, eps=recipe.eps)
    adamw = AdamW(ours, recipe)
    for step in range(50):
        # too large at times, so that clipping is at work in some steps
        gradients = {name: g * dtype(0.02 * (1 + step % 7)) for name, g in random_arrays(100 + step, dtype).items()}
        for name, parameter in theirs.items():
            parameter.grad = torch.tensor(gradients[name].copy())
        for group in reference.param_groups:
            group["lr"] = recipe.learning_rate_at(step)
        their_norm = float(torch.nn.utils.clip_grad_norm_(list(theirs.values()), recipe.gradient_clip))
        our_norm = clip_(gradients, recipe.gradient_clip)
        assert our_norm == pytest.approx(their_norm, rel=1e-5 if dtype == np.float32 else 1e-12)
        adamw.update(gradients, recipe.learning_rate_at(step))
        reference.step()
        for name, parameter in theirs.items():
            np.testing.assert_allclose(ours[name], parameter.detach().numpy(), rtol=tolerance, atol=tolerance)


def test_the_norm_is_that_of_one_long_vector():
    gradients = random_arrays(1, np.float64)
    together = np.concatenate([value.ravel() for value in gradients.values()])
    assert global_norm(gradients) == pytest.approx(np.linalg.norm(together), rel=1e-14)


def test_a_gradient_is_scaled_down_to_the_largest_norm_and_never_up():
    gradients = random_arrays(2)
    before = {name: value.copy() for name, value in gradients.items()}
    norm = clip_(gradients, 1e9)
    assert all(np.array_equal(gradients[name], value) for name, value in before.items())
    assert clip_(gradients, 0.5) == norm
    assert global_norm(gradients) == pytest.approx(0.5, rel=1e-5)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_has_a_norm_that_is_not(bad):
    gradients = random_arrays(3)
    gradients["vector"][5] = bad
    with np.errstate(invalid="ignore"):
        assert not math.isfinite(clip_(gradients, 1.0))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_and_the_arrays_stay(dtype):
    parameters, recipe = random_arrays(0, dtype), Recipe(n_steps=1)
    arrays = dict(parameters)
    adamw = AdamW(parameters, recipe)
    adamw.update(random_arrays(1, dtype), 1e-3)
    for name, array in arrays.items():
        assert parameters[name] is array
        assert array.dtype == adamw.first[name].dtype == adamw.second[name].dtype == dtype


def test_the_memory_order_of_a_gradient_makes_no_difference():
    results = []
    for order in ("C", "F"):
        parameters = random_arrays(0)
        AdamW(parameters, Recipe(n_steps=1)).update(random_arrays(1, order=order), 1e-3)
        results.append(parameters)
    assert all(np.array_equal(results[0][name], results[1][name]) for name in SHAPES)
