import math

import numpy as np
import pytest

import gptcompare as gc
from gptcompare.parameters import check_parameters, initial_parameters, parameter_shapes

CONFIG = gc.GPTConfig(n_layer=8, n_head=4, d_model=64, n_ctx=300, n_vocab=500, tied_embeddings=False)


def test_weights_start_normal_with_the_papers_deviations():
    parameters = initial_parameters(CONFIG, seed=1)
    for name, value in parameters.items():
        if name.endswith(".bias"):
            assert not value.any()
        elif ".ln_" in name or name.startswith("ln_f"):
            assert (value == 1).all()
        else:
            expected = 0.01 if name == "wpe.weight" else 0.02 / math.sqrt(16) if "c_proj" in name else 0.02
            spread = 5 / math.sqrt(2 * value.size)  # five standard errors of a standard deviation
            assert value.std() == pytest.approx(expected, rel=spread)
            assert abs(value.mean()) < 5 * expected / math.sqrt(value.size)


def test_a_dtype_s_name_makes_the_same_numbers_as_the_dtype():
    by_type, by_name = (initial_parameters(CONFIG, seed=0, dtype=dtype) for dtype in (np.float64, "float64"))
    assert all(np.array_equal(by_type[name], by_name[name]) for name in by_type)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_initial_parameters_have_the_table_s_names_and_shapes_and_the_dtype(dtype):
    parameters = initial_parameters(CONFIG, seed=0, dtype=dtype)
    assert {name: value.shape for name, value in parameters.items()} == parameter_shapes(CONFIG)
    assert {value.dtype for value in parameters.values()} == {np.dtype(dtype)}


def test_the_seed_decides_the_parameters():
    first, again, other = (initial_parameters(CONFIG, seed)["wte.weight"] for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_missing_extra_and_misshaped_parameters_are_named():
    good = initial_parameters(CONFIG, seed=0)
    check_parameters(good, CONFIG)
    with pytest.raises(ValueError, match=r"1 parameters are missing, among them h\.3\.ln_1\.bias"):
        check_parameters({name: value for name, value in good.items() if name != "h.3.ln_1.bias"}, CONFIG)
    with pytest.raises(ValueError, match=r"not part of this model, among them h\.8\.extra"):
        check_parameters({**good, "h.8.extra": good["ln_f.bias"]}, CONFIG)
    with pytest.raises(ValueError, match=r"ln_f\.bias holds int64 numbers"):
        check_parameters({**good, "ln_f.bias": np.zeros(64, np.int64)}, CONFIG)
    with pytest.raises(ValueError, match=r"wpe.weight has shape \(64, 300\), the configuration asks for \(300, 64\)"):
        check_parameters({**good, "wpe.weight": good["wpe.weight"].T}, CONFIG)
