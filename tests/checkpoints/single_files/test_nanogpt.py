import pickle

import numpy as np
import pytest
from support.forge import (
    GPT2_FIELDS,
    assert_same_arrays,
    program,
    push,
    random_parameters,
    small_config,
    state_dict,
    storage,
    tensor,
    torch_zip,
)

import gptcompare as gc
from gptcompare.checkpoints import CheckpointError
from gptcompare.checkpoints.folder import read_checkpoint, read_config

ARGS = {"n_layer": 2, "n_head": 2, "n_embd": 8, "block_size": 12, "bias": True, "vocab_size": 40, "dropout": 0.1}
CONFIG = small_config(activation="gelu_erf")
MATRICES = ("c_attn.weight", "c_proj.weight", "c_fc.weight")


def as_saved(parameters, prefix="_orig_mod."):
    """The parameters as nanoGPT's model names them: torch.nn.Linear's matrices, and the output beside the embedding."""
    own = {f"{prefix}transformer.{name}": a.T if name.endswith(MATRICES) else a for name, a in parameters.items()}
    return {**own, f"{prefix}lm_head.weight": parameters["wte.weight"]}


def save_run(path, tensors, model_args=ARGS, **entries):
    """What nanoGPT's train.py saves, put together without PyTorch."""
    described, storages = {}, {}
    for key, (name, array) in enumerate(tensors.items()):
        array = np.ascontiguousarray(array, np.float32)
        strides = tuple(n // array.itemsize for n in array.strides)
        described[name] = tensor(storage(key=str(key), n_elements=array.size), 0, array.shape, strides)
        storages[str(key)] = array.tobytes()
    best = tensor(storage(key=str(key), n_elements=array.size), 0, (), ())
    others = {"model_args": model_args, "iter_num": 5, "optimizer": {"state": {0: {"step": 1.5}}}, **entries}
    items = [push(name) + push(value) for name, value in others.items() if value is not None]
    model = push("model") + state_dict(described)[2:-1]
    run = [pickle.EMPTY_DICT, pickle.MARK, model, push("best_val_loss") + best, *items, pickle.SETITEMS]
    torch_zip(path, program(*run), storages)
    return path


@pytest.mark.parametrize("prefix", ["", "_orig_mod.", "module."])
def test_the_model_of_a_run_is_read_from_the_file_and_from_its_folder(prefix, tmp_path):
    parameters = random_parameters(CONFIG)
    file = save_run(tmp_path / "ckpt.pt", as_saved(parameters, prefix))
    for place in (file, tmp_path):
        assert read_config(place) == CONFIG
        config, read = read_checkpoint(place)
        assert config == CONFIG
        assert_same_arrays(read, parameters)
        assert gc.GPT.from_pretrained(place).config == CONFIG


def test_without_biases_they_are_zero(tmp_path):
    parameters = random_parameters(CONFIG)
    unbiased = {name: array for name, array in parameters.items() if not name.endswith(".bias")}
    file = save_run(tmp_path / "ckpt.pt", as_saved(unbiased), {**ARGS, "bias": False})
    zero = {name: np.zeros_like(array) for name, array in parameters.items() if name.endswith(".bias")}
    assert_same_arrays(read_checkpoint(file)[1], {**unbiased, **zero})


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        ({name: value for name, value in ARGS.items() if name != "block_size"}, "block_size missing in model_args"),
        ({**ARGS, "use_rmsnorm": False}, "use_rmsnorm, which is not part of nanoGPT's model"),
        ({**ARGS, "n_head": 3}, "not a multiple of n_head"),
        ({**ARGS, "n_embd": "8"}, "d_model must be an integer"),
        ({**ARGS, "n_layer": 3}, r"missing, among them h\.2\."),
        ({**ARGS, "n_layer": 1}, r"not part of this model, among them h\.1\."),
        ({**ARGS, "n_embd": 16}, r"wte\.weight has shape \(40, 8\), the configuration asks for \(40, 16\)"),
        (None, "no model_args, as in nanoGPT's ckpt.pt"),
        ([1], "no model_args"),
    ],
)
def test_what_does_not_fit_is_refused(args, reason, tmp_path):
    file = save_run(tmp_path / "ckpt.pt", as_saved(random_parameters(CONFIG)), args)
    with pytest.raises(CheckpointError, match=rf"ckpt\.pt: .*{reason}"):
        read_checkpoint(file)


def test_a_matrix_that_is_missing_is_named(tmp_path):
    tensors = as_saved(random_parameters(CONFIG), "")
    del tensors["transformer.h.1.mlp.c_fc.weight"]
    with pytest.raises(CheckpointError, match=r"missing, among them h\.1\.mlp\.c_fc\.weight"):
        read_checkpoint(save_run(tmp_path / "ckpt.pt", tensors))


def test_several_runs_in_a_folder_are_told_apart_by_the_file(tmp_path):
    tensors = as_saved(random_parameters(CONFIG))
    for name in ("ckpt.pt", "best.pt"):
        save_run(tmp_path / name, tensors)
    with pytest.raises(CheckpointError, match=r"several models: give one of the files, best\.pt, ckpt\.pt"):
        gc.GPT.from_pretrained(tmp_path)
    assert gc.GPT.from_pretrained(tmp_path / "best.pt").config == CONFIG


def test_the_tokenizer_is_gpt2_s_where_the_vocabulary_has_its_size(tmp_path):
    tiny = {"n_layer": 1, "n_head": 1, "n_embd": 2, "block_size": 4, "vocab_size": 50304}
    config = gc.GPTConfig(n_layer=1, n_head=1, d_model=2, n_ctx=4, n_vocab=50304)
    save_run(tmp_path / "ckpt.pt", as_saved(random_parameters(config)), tiny)
    assert gc.load(tmp_path).encode("Hello world") == [15496, 995]
    save_run(tmp_path / "ckpt.pt", as_saved(random_parameters(CONFIG)))
    with pytest.raises(CheckpointError, match="no tokenizer, and its 40 tokens are not GPT-2's 50257: name the folder"):
        gc.load(tmp_path)


@pytest.mark.reference
def test_a_saved_run_has_the_logits_of_the_same_model_in_transformers(torch, transformers, tmp_path):
    theirs = transformers.GPT2LMHeadModel(transformers.GPT2Config(**GPT2_FIELDS, activation_function="gelu")).eval()
    saved = {
        f"_orig_mod.{name}": value.T.contiguous() if name.endswith(MATRICES) else value
        for name, value in theirs.state_dict().items()
    }
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(3))]).state_dict()
    run = {"model": saved, "optimizer": optimizer, "model_args": ARGS, "iter_num": 5, "config": {"compile": True}}
    torch.save({**run, "best_val_loss": torch.tensor(1.5)}, tmp_path / "ckpt.pt")
    ids = [3, 1, 4, 1, 5]
    with torch.no_grad():
        expected = theirs(torch.tensor([ids])).logits[0].numpy()
    np.testing.assert_allclose(gc.GPT.from_pretrained(tmp_path)(ids), expected, rtol=1e-5, atol=1e-6)
