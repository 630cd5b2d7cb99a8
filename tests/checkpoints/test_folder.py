import errno
import io
import itertools
import json
import os
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.amounts import examples, few_or_many
from support.forge import (
    GPT_NEO_FIELDS,
    OPT_FIELDS,
    assert_same_arrays,
    gpt_neo_tensors,
    little_memory,
    opt_tensors,
    random_parameters,
    small_config,
)
from support.places import DATA

import gptcompare as gc
from gptcompare.arrays import BFLOAT16
from gptcompare.checkpoints import CheckpointError, folder, layouts, read_checkpoint, write_checkpoint
from gptcompare.checkpoints.families import gpt2
from gptcompare.checkpoints.formats.safetensors import write_safetensors
from gptcompare.sixteen_bits import copy_into, widened

CONFIG = small_config()
TOLERANCE = {np.float32: 2e-5, np.float64: 1e-10}  # of the largest logit
LOST = OSError(errno.ENOSPC, "No space left on device")


def saved(path, config=CONFIG):
    write_checkpoint(path, config, random_parameters(config))
    return path


def safetensors_bytes(tensors):
    file = io.BytesIO()
    write_safetensors(file, tensors)
    return file.getvalue()


def save_as(path, values, tensors):
    """A checkpoint with this config.json and these tensors."""
    path.mkdir(exist_ok=True)
    (path / "config.json").write_text(json.dumps(values))
    (path / "model.safetensors").write_bytes(safetensors_bytes(tensors))
    return path


def save_in_shards(path, weight_map=None):
    """A checkpoint in two files, every other tensor in each, with the index that huggingface_hub describes."""
    tensors = gpt2.parameters_to_hf(random_parameters(CONFIG))
    files = [f"model-{n:05d}-of-00002.safetensors" for n in (1, 2)]
    places = {name: files[n % 2] for n, name in enumerate(tensors)}
    for file in files:
        (path / file).write_bytes(safetensors_bytes({n: tensors[n] for n in tensors if places[n] == file}))
    (path / "config.json").write_text(json.dumps(gpt2.config_to_hf(CONFIG)))
    index = {"metadata": {}, "weight_map": places if weight_map is None else places | weight_map}
    (path / "model.safetensors.index.json").write_text(json.dumps(index))
    return files


def contents(path):
    return {file.name: file.read_bytes() for file in path.iterdir()}


def assert_same_logits(ours, reference, tolerance):
    assert ours.shape == reference.shape
    assert np.abs(ours - reference).max() <= tolerance * np.abs(reference).max()


ORIGINALS = {
    "gpt_neo": (
        GPT_NEO_FIELDS | {"attention_types": [[["global", "local"], 1]], "window_size": 3},
        gpt_neo_tensors(random_parameters(CONFIG)),
    ),
    "opt": (OPT_FIELDS, opt_tensors(random_parameters(CONFIG))),
}


class TestReading:
    @pytest.mark.parametrize("layout", ["tensorflow-gpt2", "tensorflow-gpt2-two-shards"])
    def test_tensorflow(self, layout):
        config, parameters = read_checkpoint(DATA / layout)
        assert config == CONFIG
        with np.load(DATA / "tensorflow-gpt2.npz") as variables:
            matrix = variables["model/h1/attn/c_attn/w"]
        np.testing.assert_array_equal(parameters["h.1.attn.c_attn.weight"], matrix.reshape(8, 24))

    def test_torch_zip(self):
        config, parameters = read_checkpoint(DATA / "torch-zip-gpt2")
        assert config == CONFIG
        with np.load(DATA / "torch-zip-gpt2" / "expected.npz") as arrays:
            assert_same_arrays(parameters, {name: array for name, array in arrays.items() if "." in name})

    def test_safetensors_in_shards(self, tmp_path):
        save_in_shards(tmp_path)
        config, parameters = read_checkpoint(tmp_path)
        assert config == CONFIG
        assert_same_arrays(parameters, random_parameters(CONFIG))

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("family", ["gpt_neo", "opt"])
    def test_arrays_that_have_to_be_made_have_the_dtype_that_is_asked_for(self, tmp_path, family, dtype):
        save_as(tmp_path, *ORIGINALS[family])
        _, parameters = read_checkpoint(tmp_path, dtype)
        whole = (tmp_path / "model.safetensors").rename(tmp_path / "shard")
        index = {"weight_map": dict.fromkeys(ORIGINALS[family][1], "shard")}
        (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
        _, from_shards = read_checkpoint(tmp_path, dtype)
        assert whole.exists()
        assert_same_arrays(from_shards, parameters)
        for layer in range(2):
            assert parameters[f"h.{layer}.attn.c_attn.weight"].dtype == dtype
            assert parameters[f"h.{layer}.attn.c_attn.bias"].dtype == dtype

    @pytest.mark.reference
    def test_an_opt_as_it_is_published_with_torch_save_in_float16(self, torch, transformers, tmp_path):
        sizes = {"hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "ffn_dim": 20, "init_std": 0.3}
        config = transformers.OPTConfig(**sizes, vocab_size=40, max_position_embeddings=12, pad_token_id=1)
        theirs = transformers.OPTForCausalLM(config).half().eval()
        theirs.config.save_pretrained(tmp_path)
        torch.save(theirs.state_dict(), tmp_path / "pytorch_model.bin")
        assert "lm_head.weight" in theirs.state_dict()
        ids = np.arange(24).reshape(2, 12)
        with torch.no_grad():
            expected = theirs.double()(torch.tensor(ids)).logits.numpy()
        for dtype, tolerance in TOLERANCE.items():
            ours = gc.GPT.from_pretrained(tmp_path, dtype=dtype)
            assert ours.config.tied_embeddings
            assert_same_logits(ours(ids), expected, tolerance)

    @pytest.mark.reference
    def test_shards_of_transformers(self, transformers, tmp_path):
        sizes = {"vocab_size": 40, "n_positions": 12, "n_embd": 8, "n_layer": 2, "n_head": 2}
        model = transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes, bos_token_id=None, eos_token_id=None))
        model.save_pretrained(tmp_path, max_shard_size="3KB")
        assert len(list(tmp_path.glob("*.safetensors"))) > 1
        expected = {name: value.numpy() for name, value in model.transformer.state_dict().items()}
        assert_same_arrays(read_checkpoint(tmp_path)[1], expected)

    def test_safetensors_come_before_torch_zip(self, tmp_path):
        saved(tmp_path)
        (tmp_path / "pytorch_model.bin").write_bytes(b"never opened")
        assert_same_arrays(read_checkpoint(tmp_path)[1], random_parameters(CONFIG))

    def test_more_tokens_than_gpt2_has(self, tmp_path):
        config = small_config(n_vocab=50304, n_layer=1)
        assert gc.GPT.from_pretrained(saved(tmp_path, config)).config == config

    @pytest.mark.reference
    def test_a_tied_model_with_another_output_matrix_is_what_transformers_makes_of_it(
        self, torch, transformers, tmp_path
    ):
        config = small_config(tied_embeddings=False)
        saved(tmp_path, config)
        (tmp_path / "config.json").write_text(json.dumps(gpt2.config_to_hf(CONFIG)))
        ids = np.arange(10)
        theirs = transformers.GPT2LMHeadModel.from_pretrained(tmp_path)
        with torch.no_grad():
            expected = theirs(torch.tensor(ids[None])).logits[0].numpy()
        assert_same_logits(gc.GPT.from_pretrained(tmp_path)(ids), expected, TOLERANCE[np.float32])


@pytest.mark.parametrize("layout", ["safetensors", "torch-zip-gpt2", "tensorflow-gpt2", *ORIGINALS])
def test_a_model_in_use_stays_as_it_is_whatever_happens_to_its_files(tmp_path, layout):
    folder = tmp_path / "model"
    if layout in ORIGINALS:
        save_as(folder, *ORIGINALS[layout])
    elif layout == "safetensors":
        saved(folder)
    else:
        shutil.copytree(DATA / layout, folder)
    model = gc.GPT.from_pretrained(folder)
    before = {name: array.tobytes() for name, array in model.parameters().items()}
    for path in folder.iterdir():
        with open(path, "r+b") as file:  # as `cp` writes over a file, which a mapping sees
            file.write(bytes(path.stat().st_size))
    assert {name: array.tobytes() for name, array in model.parameters().items()} == before
    for path in folder.iterdir():
        os.truncate(path, 0)
    assert np.isfinite(model([1, 2, 3])).all()


class TestNotFound:
    @pytest.mark.parametrize("path", ["nothing here", "config.json/below"])
    def test_a_folder_that_does_not_exist_is_named(self, tmp_path, path):
        saved(tmp_path)
        with pytest.raises(FileNotFoundError, match=f"there is no folder .*{path}"):
            read_checkpoint(tmp_path / path)

    def test_a_folder_without_a_checkpoint_says_what_is_looked_for(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"neither config\.json .* nor hparams\.json"):
            read_checkpoint(tmp_path)

    @pytest.mark.parametrize(
        ("layout", "weights", "reason"),
        [
            ("torch-zip-gpt2", "pytorch_model.bin", r"neither model\.safetensors nor pytorch_model\.bin, nor shards"),
            ("tensorflow-gpt2", "model.ckpt.index", r"model\.ckpt\.index is missing"),
        ],
    )
    def test_a_folder_without_weights_says_which_are_missing(self, tmp_path, layout, weights, reason):
        shutil.copytree(DATA / layout, tmp_path, dirs_exist_ok=True)
        (tmp_path / weights).unlink()
        with pytest.raises(FileNotFoundError, match=reason):
            read_checkpoint(tmp_path)


DEEP = b'{"a": ' * 100_000 + b"1" + b"}" * 100_000


class TestMalformed:
    @pytest.mark.parametrize("name", ["config.json", "hparams.json", "model.safetensors.index.json"])
    @pytest.mark.parametrize(
        "text", [b"", b"{", b"[]", b"null", b'"gpt2"', b"\xff\xfe", DEEP, b'{"n_layer": ' + b"9" * 5000 + b"}"]
    )
    def test_a_description_that_is_no_json_object_is_refused(self, tmp_path, name, text):
        if name != "hparams.json":
            save_in_shards(tmp_path)
        (tmp_path / name).write_bytes(text)
        with little_memory(), pytest.raises(CheckpointError, match=f"{name}: "):
            read_checkpoint(tmp_path)

    def test_a_description_beyond_the_limit_is_refused(self, tmp_path, monkeypatch):
        monkeypatch.setattr(layouts, "MAX_JSON", 10)
        with pytest.raises(CheckpointError, match="too large"):
            read_checkpoint(saved(tmp_path))

    @pytest.mark.parametrize(
        "place",
        ["../x", "/etc/passwd", "", ".", "..", "sub/x", "config.json/..", "\0", "\ud800", "x" * 300, "no such file"],
    )
    def test_an_index_names_nothing_but_files_beside_it(self, tmp_path, place):
        save_in_shards(tmp_path, {"transformer.wte.weight": place})
        with pytest.raises(CheckpointError, match=r"is not the name of a file beside it|the file is missing"):
            read_checkpoint(tmp_path)

    @pytest.mark.parametrize("weight_map", [None, [], "model.safetensors", 7, {"wte.weight": 7}, {"wte.weight": None}])
    def test_an_index_without_a_map_of_names_is_refused(self, tmp_path, weight_map):
        save_in_shards(tmp_path)
        (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
        with pytest.raises(CheckpointError, match="no weight_map"):
            read_checkpoint(tmp_path)

    def test_a_missing_shard_is_named(self, tmp_path):
        files = save_in_shards(tmp_path)
        (tmp_path / files[1]).unlink()
        with pytest.raises(CheckpointError, match=f"{files[1]}: the file is missing"):
            read_checkpoint(tmp_path)

    def test_a_tensor_that_is_not_in_its_shard_is_named_with_it(self, tmp_path):
        files = save_in_shards(tmp_path, {"transformer.h.7.ln_1.bias": "model-00002-of-00002.safetensors"})
        with pytest.raises(CheckpointError, match=rf"{files[1]}: transformer\.h\.7\.ln_1\.bias is missing"):
            read_checkpoint(tmp_path)

    def test_a_shard_that_is_damaged_is_named(self, tmp_path):
        files = save_in_shards(tmp_path)
        (tmp_path / files[0]).write_bytes(b"damaged")
        with pytest.raises(CheckpointError, match=files[0]):
            read_checkpoint(tmp_path)


FIELDS = {
    "torch-zip-gpt2": [*gpt2.config_to_hf(CONFIG), "scale_attn_weights", "add_cross_attention"],
    "tensorflow-gpt2": ["n_layer", "n_head", "n_embd", "n_ctx", "n_vocab"],
    "ours": ["model_type", *CONFIG.to_dict()],
    "gpt_neo": [*GPT_NEO_FIELDS, "attention_layers", "window_size", "activation_function", "tie_word_embeddings"],
    "opt": [*OPT_FIELDS, "word_embed_proj_dim", "do_layer_norm_before", "enable_bias", "tie_word_embeddings"],
}
LEAVES = (
    st.sampled_from([0, 1, 2, 8, 12, 40, -1, 10**9, 10**4000, 1e-5, 1e400])
    | st.sampled_from(["gpt2", "gpt_neo", "opt", "gptcompare", "relu", "banded", "global", "local"])
    | st.none() | st.booleans() | st.text(max_size=3)
)  # fmt: skip
# In the words of JSON, which has numbers and nests that Python cannot even print.
HUGE = [
    "1" + "0" * 400, "-1" + "0" * 400, "9" * 4300, "9" * 5000, str(2**31), str(2**40), str(2**63), "1e308", "1e999",
    "NaN", json.dumps("x" * 10_000), "[" * 900 + "]" * 900, "[" * 100_000 + "]" * 100_000, json.dumps([10**400]),
    json.dumps(["dense"] * 1000), json.dumps({"x" * 5000: 1}), json.dumps([[["global"], 10**400]]),
]  # fmt: skip
LISTS = st.lists(LEAVES, max_size=3)
VALUES = LEAVES | LISTS | st.dictionaries(st.text(max_size=3), LEAVES, max_size=2)
LAYER_KINDS = st.lists(st.sampled_from(["global", "local"]), max_size=3)
REPETITIONS = st.lists(st.tuples(LAYER_KINDS | LISTS, LEAVES), max_size=3)


def saved_original(path, layout):
    """A folder of this layout as it is before anything is changed."""
    if layout == "ours":
        saved(path, small_config(attention=("banded",), band_width=3))
    elif layout in ORIGINALS:
        save_as(path, *ORIGINALS[layout])
    else:
        shutil.copytree(DATA / layout, path)
    shutil.copy(next(path.glob("[ch]*.json")), path / "original")


@pytest.mark.parametrize("layout", FIELDS)
class TestFuzzing:
    def test_the_original_is_read(self, tmp_path, layout):
        saved_original(tmp_path / layout, layout)
        config, parameters = read_checkpoint(tmp_path / layout)
        assert gc.GPT(config, parameters).config.n_layer == 2

    @few_or_many("n_head", None, 1)  # with one head, any width is a multiple of the heads
    def test_a_huge_value_of_any_field_is_one_short_error_or_read(self, tmp_path, layout, n_head):
        path = tmp_path / layout
        saved_original(path, layout)
        description, original = next(path.glob("[ch]*.json")), json.loads((path / "original").read_text())
        heads = {"n_head", "num_heads", "num_attention_heads"}.intersection(FIELDS[layout] if n_head else ())
        for name, text in itertools.product(FIELDS[layout], HUGE):
            changed = original | dict.fromkeys(heads, n_head) | {name: "HERE"}
            description.write_text(json.dumps(changed).replace('"HERE"', text))
            with little_memory():
                try:
                    config, parameters = read_checkpoint(path)
                except CheckpointError as error:
                    assert len(str(error)) < 600 + len(str(path))  # noqa: PT017
                    continue
            assert gc.GPT(config, parameters).config == config

    @settings(max_examples=examples(100), derandomize=True, deadline=None, database=None)
    @given(data=st.data())
    def test_any_change_of_the_configuration_is_read_or_refused(self, tmp_path_factory, layout, data):
        path = tmp_path_factory.getbasetemp() / f"fuzz-{layout}"
        if not path.exists():
            saved_original(path, layout)
        names = st.sampled_from(FIELDS[layout])
        changes = data.draw(st.dictionaries(names, VALUES | REPETITIONS, max_size=3))
        description = next(path.glob("[ch]*.json"))
        description.write_text(json.dumps(json.loads((path / "original").read_text()) | changes))
        try:
            config, parameters = read_checkpoint(path)
        except CheckpointError:
            return
        assert gc.GPT(config, parameters).config == config


VARIANTS = {
    "tied": {}, "untied": {"tied_embeddings": False}, "narrow feed-forward": {"d_mlp": 20},
    "relu": {"activation": "relu"}, "gelu_erf": {"activation": "gelu_erf"}, "eps": {"layer_norm_eps": 1e-3},
}  # fmt: skip
OURS_ALONE = {
    "banded": {"attention": ("dense", "banded"), "band_width": 3},
    "narrow heads": {"d_head": 3},
    "untied banded": {"attention": ("banded",), "band_width": 2, "tied_embeddings": False, "activation": "relu"},
}


class TestWriting:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("variant", VARIANTS | OURS_ALONE)
    def test_what_is_written_is_read_back(self, tmp_path, variant, dtype):
        config = small_config(**(VARIANTS | OURS_ALONE)[variant])
        gc.GPT(config, random_parameters(config, dtype), dtype=dtype).save_pretrained(tmp_path)
        model = gc.GPT.from_pretrained(tmp_path, dtype=dtype)
        assert model.config == config
        assert_same_arrays(model.parameters(), random_parameters(config, dtype))

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize(("family", "model_type"), [("gpt_neo", "gptcompare"), ("opt", "gpt2")])
    def test_a_model_of_another_family_is_the_same_after_saving(self, tmp_path, family, model_type, dtype):
        before = gc.GPT.from_pretrained(save_as(tmp_path / "theirs", *ORIGINALS[family]), dtype=dtype)
        before.save_pretrained(tmp_path / "ours")
        assert json.loads((tmp_path / "ours" / "config.json").read_text())["model_type"] == model_type
        after = gc.GPT.from_pretrained(tmp_path / "ours", dtype=dtype)
        assert after.config == before.config
        assert_same_arrays(after.parameters(), before.parameters())

    @pytest.mark.parametrize("dtype", ["bfloat16", "int8", np.longdouble, 5])
    def test_a_dtype_that_the_file_cannot_have_is_refused(self, tmp_path, dtype):
        with pytest.raises(ValueError, match="dtype must be one of float16, float32, float64, got "):
            gc.GPT(small_config()).save_pretrained(tmp_path, dtype=dtype)
        assert [*tmp_path.iterdir()] == []

    def test_bfloat16_parameters_are_written_in_a_dtype_that_the_file_can_have(self, tmp_path):
        config, stored = small_config(), {}
        for name, value in random_parameters(config).items():
            stored[name] = np.empty(value.shape, BFLOAT16)
            copy_into(stored[name], value)
        with pytest.raises(ValueError, match="dtype must be one of float16, float32, float64, got bfloat16"):
            write_checkpoint(tmp_path, config, stored)
        write_checkpoint(tmp_path, config, stored, np.float32)
        wide = {name: widened(value) for name, value in stored.items()}
        assert_same_arrays(gc.GPT.from_pretrained(tmp_path).parameters(), wide)

    def test_a_file_of_another_dtype_has_the_numbers_rounded_to_it(self, tmp_path):
        config = small_config()
        model = gc.GPT(config, random_parameters(config, np.float32))
        sizes = {}
        for dtype in ("float16", "float32", "float64"):
            model.save_pretrained(tmp_path / dtype, dtype=dtype)
            rounded = {name: value.astype(dtype).astype(np.float32) for name, value in model.parameters().items()}
            assert_same_arrays(gc.GPT.from_pretrained(tmp_path / dtype).parameters(), rounded)
            sizes[dtype] = (tmp_path / dtype / "model.safetensors").stat().st_size
        assert sizes["float32"] - sizes["float16"] == pytest.approx(2 * config.n_params, abs=500)
        assert sizes["float64"] - sizes["float32"] == pytest.approx(4 * config.n_params, abs=500)

    def test_a_dtype_that_cannot_hold_the_numbers_is_refused_and_nothing_is_written(self, tmp_path):
        config = small_config()
        parameters = random_parameters(config, np.float32)
        parameters["h.1.mlp.c_fc.bias"] = parameters["h.1.mlp.c_fc.bias"] + np.float32(70_000)
        model = gc.GPT(config, parameters)
        with pytest.raises(ValueError, match=r"h\.1\.mlp\.c_fc\.bias has numbers beyond the 65504 that float16"):
            model.save_pretrained(tmp_path, dtype=np.float16)
        with pytest.raises(ValueError, match="dtype must be one of float16, float32, float64, got int8"):
            model.save_pretrained(tmp_path, dtype="int8")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.reference
    @pytest.mark.parametrize("dtype", TOLERANCE)
    @pytest.mark.parametrize("variant", VARIANTS)
    def test_transformers_opens_it_with_equal_logits(self, torch, transformers, tmp_path, variant, dtype):
        config = small_config(**VARIANTS[variant])
        model = gc.GPT(config, random_parameters(config, dtype), dtype=dtype)
        model.save_pretrained(tmp_path)
        theirs, report = transformers.AutoModelForCausalLM.from_pretrained(
            tmp_path, dtype=torch.float64 if dtype == np.float64 else torch.float32, output_loading_info=True
        )
        assert isinstance(theirs, transformers.GPT2LMHeadModel)
        assert not any(report.values())  # no missing, unexpected or mismatched keys, no errors
        ids = np.random.default_rng(1).integers(config.n_vocab, size=(2, config.n_ctx))
        with torch.no_grad():
            expected = theirs(torch.tensor(ids)).logits.numpy()
        assert_same_logits(model(ids), expected, TOLERANCE[dtype])

    @pytest.mark.reference
    @pytest.mark.parametrize("variant", OURS_ALONE)
    def test_transformers_refuses_what_its_gpt2_would_compute_otherwise(self, transformers, tmp_path, variant):
        saved(tmp_path, small_config(**OURS_ALONE[variant]))
        with pytest.raises(ValueError, match="gptcompare"):
            transformers.AutoModelForCausalLM.from_pretrained(tmp_path)

    def test_into_the_folder_that_the_model_was_read_from(self, tmp_path):
        saved(tmp_path)
        before = contents(tmp_path)
        model = gc.GPT.from_pretrained(tmp_path)
        model.save_pretrained(tmp_path)
        assert contents(tmp_path) == before
        assert_same_arrays(model.parameters(), random_parameters(CONFIG))

    @pytest.mark.parametrize("into", ["new", "there before"])
    def test_a_full_disk_leaves_what_was_there(self, tmp_path, monkeypatch, into):
        def write_half(file, tensors):
            file.write(b"half")
            raise LOST

        if into == "there before":
            saved(tmp_path)
        before = contents(tmp_path)
        monkeypatch.setattr(folder, "write_safetensors", write_half)
        with pytest.raises(OSError, match="No space left"):
            saved(tmp_path, small_config(n_layer=1))
        assert contents(tmp_path) == before


@pytest.fixture(scope="session")
def general_model(pytestconfig, tmp_path_factory):
    """The folder of a trained GPT-2 on PyPI: microformer-mgm 0.5.8 (MIT licence), mgm/resources/general_model."""
    kept = pytestconfig.pluginmanager.hasplugin("cacheprovider")
    cache = (pytestconfig.cache.mkdir if kept else tmp_path_factory.mktemp)("microformer-mgm-0.5.8")
    inside = "mgm/resources/general_model"
    if not (cache / inside).is_dir():
        download = [sys.executable, "-m", "pip", "download", "-q", "--retries", "1", "--no-deps", "-d", str(cache)]
        if subprocess.run([*download, "microformer-mgm==0.5.8"], capture_output=True, timeout=600).returncode:
            pytest.skip("microformer-mgm==0.5.8 cannot be fetched from PyPI")
        (wheel,) = cache.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(cache, [f"{inside}/config.json", f"{inside}/pytorch_model.bin"])
        wheel.unlink()
    return cache / inside


@pytest.mark.reference
class TestTrainedModelFromPyPI:
    """8 layers, width 256, 9,669 tokens, saved with torch.save by transformers 4.33 after training."""

    @pytest.mark.parametrize("dtype", TOLERANCE)
    def test_logits_are_those_of_transformers(self, torch, transformers, general_model, dtype):
        ours = gc.GPT.from_pretrained(general_model, dtype=dtype)
        theirs = transformers.GPT2LMHeadModel.from_pretrained(general_model, dtype=getattr(torch, dtype.__name__))
        rng = np.random.default_rng(0)
        for shape in [(1, 1), (1, 7), (1, 512), (3, 40)]:
            ids = rng.integers(ours.config.n_vocab, size=shape)
            with torch.no_grad():
                assert_same_logits(ours(ids), theirs(torch.tensor(ids)).logits.numpy(), TOLERANCE[dtype])

    def test_greedy_continuations_are_those_of_transformers(self, torch, transformers, general_model):
        ours = gc.GPT.from_pretrained(general_model)
        theirs = transformers.GPT2LMHeadModel.from_pretrained(general_model)
        rng = np.random.default_rng(1)
        for _ in range(5):
            prompt = rng.integers(ours.config.n_vocab, size=rng.integers(1, 30))
            expected = theirs.generate(
                torch.tensor(prompt[None]), attention_mask=torch.ones(1, len(prompt)), do_sample=False,
                max_new_tokens=40, min_new_tokens=40, eos_token_id=None,
            )  # fmt: skip
            assert [*prompt, *greedy(ours, prompt, 40)] == expected[0].tolist()


def greedy(model, prompt, n_tokens):
    cache, ids, chosen = model.new_cache(), prompt, []
    for _ in range(n_tokens):
        chosen.append(int(model(ids, cache, last_only=True).argmax()))
        ids = chosen[-1:]
    return chosen
