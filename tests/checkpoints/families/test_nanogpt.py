import numpy as np
import pytest
from support.forge import assert_same_arrays, random_parameters, small_config

import gptcompare as gc
from gptcompare.checkpoints import CheckpointError
from gptcompare.checkpoints.families import NANOGPT, nanogpt

ARGS = {"n_layer": 2, "n_head": 2, "n_embd": 8, "block_size": 12, "bias": True, "vocab_size": 40, "dropout": 0.1}
CONFIG = small_config(activation="gelu_erf")
MATRICES = ("c_attn.weight", "c_proj.weight", "c_fc.weight")


def tensors(parameters, prefix=""):
    """The parameters as nanoGPT's model names them: torch.nn.Linear's matrices, and the output beside the embedding."""
    own = {f"{prefix}transformer.{name}": a.T if name.endswith(MATRICES) else a for name, a in parameters.items()}
    return {**own, f"{prefix}lm_head.weight": parameters["wte.weight"]}


def test_model_args_are_the_configuration():
    assert nanogpt.config("ckpt.pt", ARGS) == CONFIG


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        ({name: value for name, value in ARGS.items() if name != "block_size"}, "block_size missing in model_args"),
        ({**ARGS, "use_rmsnorm": False}, "use_rmsnorm, which is not part of nanoGPT's model"),
        ({**ARGS, "n_head": 3}, "not a multiple of n_head"),
        ({**ARGS, "n_embd": None}, "d_model must be an integer"),
    ],
)
def test_other_model_args_are_refused(args, reason):
    with pytest.raises(CheckpointError, match=rf"^ckpt\.pt: .*{reason}"):
        nanogpt.config("ckpt.pt", args)


@pytest.mark.parametrize("entries", [{}, {"model_args": 3}, {"model_args": [1]}])
def test_a_file_without_them_is_another_program_s(entries):
    with pytest.raises(CheckpointError, match="only its checkpoints say their sizes"):
        nanogpt.model_args("ckpt.pt", entries)


@pytest.mark.parametrize("prefix", ["", "_orig_mod."])
def test_matrices_are_transposed(prefix):
    parameters = random_parameters(CONFIG)
    config, read = NANOGPT.read("ckpt.pt", tensors(parameters, prefix), CONFIG, np.float32)
    assert config == CONFIG
    assert_same_arrays(read, parameters)


def test_without_biases_they_are_zero():
    parameters = random_parameters(CONFIG)
    unbiased = {name: array for name, array in parameters.items() if not name.endswith(".bias")}
    _, read = NANOGPT.read("ckpt.pt", tensors(unbiased), CONFIG, np.float32)
    zero = {name: np.zeros_like(array) for name, array in parameters.items() if name.endswith(".bias")}
    assert_same_arrays(read, {**unbiased, **zero})


def test_a_matrix_that_is_missing_is_named():
    given = tensors(random_parameters(CONFIG))
    del given["transformer.h.1.mlp.c_fc.weight"]
    with pytest.raises(CheckpointError, match=r"missing, among them h\.1\.mlp\.c_fc\.weight"):
        NANOGPT.read("ckpt.pt", given, CONFIG, np.float32)


@pytest.mark.reference
def test_a_saved_run_has_the_logits_of_the_same_model_in_transformers(torch, transformers, tmp_path):
    theirs = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            n_layer=2, n_head=2, n_embd=8, n_positions=12, vocab_size=40, activation_function="gelu"
        )
    ).eval()
    saved = {
        f"_orig_mod.{name}": value.T.contiguous() if name.endswith(MATRICES) else value
        for name, value in theirs.state_dict().items()
    }
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(3))]).state_dict()
    best = torch.tensor(1.5)
    run = {
        "model": saved,
        "optimizer": optimizer,
        "model_args": ARGS,
        "iter_num": 5,
        "best_val_loss": best,
        "config": {},
    }
    torch.save(run, tmp_path / "ckpt.pt")
    ids = [3, 1, 4, 1, 5]
    with torch.no_grad():
        expected = theirs(torch.tensor([ids])).logits[0].numpy()
    model = gc.GPT.from_pretrained(tmp_path)
    np.testing.assert_allclose(model(ids), expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(FileNotFoundError, match="has no tokenizer"):
        gc.load(tmp_path)
