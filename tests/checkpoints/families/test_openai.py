import re

import numpy as np
import pytest
from support.forge import assert_same_arrays, random_parameters, small_config

from gptcompare.checkpoints import CheckpointError
from gptcompare.checkpoints.families import openai

HPARAMS = {"n_layer": 2, "n_head": 2, "n_embd": 8, "n_ctx": 12, "n_vocab": 40}
CONFIG = small_config()


def openai_tensors():
    """Random parameters under the names of openai/gpt-2, src/model.py, whose matrices have a leading axis of 1."""
    tensors = {}
    for name, array in random_parameters(CONFIG).items():
        kind = {"weight": "w" if array.ndim == 2 else "g", "bias": "b"}[name.rpartition(".")[2]]
        theirs = "model/" + re.sub(r"h\.(\d+)", r"h\1", name).replace(".", "/").rpartition("/")[0]
        if name in ("wte.weight", "wpe.weight"):
            tensors[theirs] = array
        else:
            tensors[f"{theirs}/{kind}"] = array[None] if array.ndim == 2 else array
    return tensors


class TestConfig:
    def test_hparams(self):
        assert openai.config("hparams.json", HPARAMS) == CONFIG

    @pytest.mark.parametrize("name", HPARAMS)
    def test_hparams_without_a_size_are_refused_by_its_name(self, name):
        with pytest.raises(CheckpointError, match=rf"hparams\.json: .*{name} missing"):
            openai.config("hparams.json", {n: v for n, v in HPARAMS.items() if n != name})

    def test_hparams_of_the_wrong_kind_are_refused(self):
        with pytest.raises(CheckpointError, match=r"hparams\.json: n_ctx must be an integer"):
            openai.config("hparams.json", HPARAMS | {"n_ctx": "12"})


class TestParameters:
    def read(self, tensors):
        config, parameters = openai.parameters("model.ckpt.index", tensors, CONFIG, np.float32)
        assert config == CONFIG
        return parameters

    def test_names_and_leading_axes(self):
        assert_same_arrays(self.read(openai_tensors()), random_parameters(CONFIG))

    def test_what_training_adds_is_ignored(self):
        tensors = openai_tensors()
        adam = {f"{name}/{moment}": tensor for name, tensor in tensors.items() for moment in ("Adam", "Adam_1")}
        counters = {"global_step": np.array(7), "beta1_power": np.array(0.9), "opt/model/wte": np.ones(3)}
        assert_same_arrays(self.read(tensors | adam | counters), random_parameters(CONFIG))

    def test_a_missing_tensor_is_named(self):
        tensors = openai_tensors()
        del tensors["model/h1/mlp/c_fc/b"]
        with pytest.raises(CheckpointError, match=r"missing, among them h\.1\.mlp\.c_fc\.bias"):
            self.read(tensors)

    @pytest.mark.parametrize("extra", ["model/h2/ln_1/g", "model/lm_head/w"])
    def test_an_unknown_tensor_is_refused(self, extra):
        with pytest.raises(CheckpointError, match="not part of this model"):
            self.read(openai_tensors() | {extra: np.ones(8, np.float32)})

    def test_two_names_of_one_parameter_are_refused(self):
        with pytest.raises(CheckpointError, match="occurs twice"):
            self.read(openai_tensors() | {"model/ln_f/w": np.ones(8, np.float32)})
