import hashlib
import io

import numpy as np
import pytest
from support.forge import assert_same_arrays, random_parameters, small_config
from support.recorded_gguf import EDGE, FILE_LOGITS, FILES, FOLDER, HALF_OF_ALL, ROUNDING, logits_with_the_table

import gptcompare as gc
from gptcompare.checkpoints import CheckpointError
from gptcompare.checkpoints.formats.gguf import read_header, read_tensors, write_gguf
from gptcompare.checkpoints.single_files import gguf
from gptcompare.patterns import PATTERNS
from gptcompare.sixteen_bits import widened


def written(path, config, parameters, **changes):
    """A file with some of its values changed, or removed (None)."""
    values, tensors = gguf.to_file(config, parameters)
    values = {name: value for name, value in (values | changes).items() if value is not None}
    file = io.BytesIO()
    write_gguf(file, values, tensors)
    path.write_bytes(file.getvalue())
    return path


CONFIG = small_config()
PARAMETERS = random_parameters(CONFIG)


@pytest.mark.parametrize("name", FILES)
class TestFilesOfOthers:
    """Written by the package gguf, quantized by llama.cpp: see tests/data/make_gguf_reference.py."""

    def test_the_weights_are_llama_cpps_bit_for_bit(self, name):
        _, tensors = read_tensors(FOLDER / name)
        digests = {
            name: hashlib.sha256(widened(tensor).astype(np.float32).tobytes()) for name, tensor in tensors.items()
        }
        assert {name: digest.hexdigest() for name, digest in digests.items()} == FILES[name]["sha256"]

    def test_the_logits_are_llama_cpps_but_for_the_edges_of_its_table(self, name):
        model = gc.GPT.from_pretrained(FOLDER / name, dtype=np.float64)
        difference = np.abs(logits_with_the_table(model, FILES[name]["ids"]) - FILE_LOGITS[f"{name} at once"])
        assert np.median(difference) < HALF_OF_ALL
        assert difference.max() < EDGE

    def test_the_logits_are_those_of_llama_cpps_users_within_its_rounding(self, name):
        logits = gc.GPT.from_pretrained(FOLDER / name)(FILES[name]["ids"])
        difference = np.abs(logits - FILE_LOGITS[f"{name} one by one"])
        assert difference.max() < ROUNDING[name.rpartition("-")[2].removesuffix(".gguf")] * logits.std()

    def test_greedy_text_is_llama_cpps(self, name):
        lm = gc.load(FOLDER / name)
        expected = FILES[name]["greedy"]
        assert lm.prompt_ids(FILES[name]["text"]) == FILES[name]["ids"]
        assert lm.generate(FILES[name]["text"], max_new_tokens=len(expected)).ids == expected


def test_the_recorded_files_have_every_type_that_is_read_but_one():
    # Q4_1 is in llama.cpp's "Q4_0" where it is given an importance matrix; tests of quantized_blocks look at it.
    types = {kind for record in FILES.values() for kind in record["types"]}
    assert types == {"F32", "F16", "BF16", "Q8_0", "Q4_0", "Q6_K"}


class TestConfig:
    def test_the_sizes_are_read(self, tmp_path):
        config = small_config(d_mlp=20, layer_norm_eps=1e-5)
        path = written(tmp_path / "x.gguf", config, random_parameters(config))
        assert gguf.config(path) == config

    @pytest.mark.parametrize("epsilon", [1e-5, 1e-6, 1e-12, 0.1, 3e-5])
    def test_an_epsilon_is_the_number_that_was_meant(self, tmp_path, epsilon):
        config = small_config(layer_norm_eps=epsilon)
        assert gguf.config(written(tmp_path / "x.gguf", config, random_parameters(config))) == config

    @pytest.mark.parametrize("wrong", ["abc", True, ["1", "2"]])
    def test_an_end_of_text_that_is_no_id_is_refused_by_its_name(self, tmp_path, wrong):
        path = written(tmp_path / "x.gguf", CONFIG, PARAMETERS, **{"tokenizer.ggml.eos_token_id": wrong})
        with pytest.raises(CheckpointError, match=r"x\.gguf.*tokenizer\.ggml\.eos_token_id is not an id"):
            gguf.end_ids(path)

    def test_an_output_matrix_that_is_the_embedding_is_tied(self, tmp_path):
        untied = small_config(tied_embeddings=False)
        parameters = random_parameters(untied)
        found, arrays = gguf.parameters(written(tmp_path / "x.gguf", untied, parameters), np.float32)
        assert found == untied
        assert_same_arrays(arrays, parameters)
        parameters["lm_head.weight"] = parameters["wte.weight"].T
        found, arrays = gguf.parameters(written(tmp_path / "x.gguf", untied, parameters), np.float32)
        assert found == CONFIG
        assert "lm_head.weight" not in arrays

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"general.architecture": "llama"}, "architecture 'llama' is not supported, only 'gpt2'"),
            ({"general.architecture": None}, "architecture None is not supported"),
            ({"general.type": "adapter"}, "general.type 'adapter' is not supported"),
            ({"split.count": 2}, "one of several files"),
            ({"gpt2.block_count": None, "gpt2.context_length": None}, "gpt2.block_count, gpt2.context_length missing"),
            ({"gpt2.attention.layer_norm_epsilon": "1e-5"}, "layer_norm_eps"),
            ({"gpt2.attention.layer_norm_epsilon": float("nan")}, "layer_norm_eps"),
            ({"gpt2.attention.head_count": 3}, "not a multiple of n_head"),
            ({"gpt2.attention.head_count_kv": 1}, "head_count_kv 1 is not supported, only 2"),
            ({"gpt2.attention.key_length": 8}, "key_length 8 is not supported, only 4"),
            ({"gpt2.attention.value_length": 8}, "value_length 8 is not supported, only 4"),
            ({"gpt2.block_count": 99_999}, "more layers than there are tensors"),
            ({"gpt2.block_count": 3}, "h.2.ln_1.weight"),
            ({"gpt2.block_count": "2"}, "n_layer must be an integer"),
            ({"gpt2.block_count": np.array([2], np.int32)}, "n_layer must be an integer"),
            ({"gpt2.feed_forward_length": 31}, "mlp.c_fc.weight has shape"),
            ({"gpt2.context_length": 2**31}, "wpe.weight has shape"),
        ],
    )
    def test_what_the_forward_pass_cannot_represent_is_refused_by_its_name(self, tmp_path, changes, reason):
        path = written(tmp_path / "x.gguf", CONFIG, PARAMETERS, **changes)
        with pytest.raises(CheckpointError, match=rf"x\.gguf: .*{reason}"):
            gguf.parameters(path, np.float32)

    def test_the_heads_of_keys_may_be_named(self, tmp_path):
        same = {"gpt2.attention.head_count_kv": 2, "gpt2.attention.key_length": 4, "general.type": "model"}
        assert gguf.config(written(tmp_path / "x.gguf", CONFIG, PARAMETERS, **same)) == CONFIG


class TestParameters:
    @pytest.mark.parametrize(
        "name",
        [
            "blk.0.attn_q.weight", "rope_freqs.weight", "token_embd.bias", "output.bias", "blk.00.ffn_up.weight",
            "blk.0.ffn_up.scale", "blk.0.", "weight", "",
        ],
    )  # fmt: skip
    def test_a_tensor_that_gpt2_does_not_have_is_refused_by_its_name(self, tmp_path, name):
        values, tensors = gguf.to_file(CONFIG, PARAMETERS)
        file = io.BytesIO()
        write_gguf(file, values, {**tensors, name: np.ones(3, np.float32)})
        (tmp_path / "x.gguf").write_bytes(file.getvalue())
        with pytest.raises(CheckpointError, match=rf"x\.gguf: {name} is not a tensor of GPT-2"):
            gguf.parameters(tmp_path / "x.gguf", np.float32)

    @pytest.mark.parametrize("missing", ["token_embd.weight", "output_norm.bias", "blk.1.attn_qkv.bias"])
    def test_a_missing_tensor_is_named(self, tmp_path, missing):
        values, tensors = gguf.to_file(CONFIG, PARAMETERS)
        del tensors[missing]
        file = io.BytesIO()
        write_gguf(file, values, tensors)
        (tmp_path / "x.gguf").write_bytes(file.getvalue())
        with pytest.raises(CheckpointError, match="missing"):
            gguf.parameters(tmp_path / "x.gguf", np.float32)


class TestWriting:
    @pytest.mark.parametrize("changes", [{}, {"tied_embeddings": False}, {"d_mlp": 5, "layer_norm_eps": 0.1}], ids=str)
    def test_what_is_written_is_read_back(self, tmp_path, changes):
        config = small_config(**changes)
        parameters = random_parameters(config)
        found, arrays = gguf.parameters(written(tmp_path / "x.gguf", config, parameters), np.float32)
        assert found == config
        assert_same_arrays(arrays, parameters)

    def test_the_names_and_shapes_are_those_of_llama_cpp(self, tmp_path):
        theirs = read_header(FOLDER / "untied-f32.gguf").tensors
        config, parameters = gguf.parameters(FOLDER / "untied-f32.gguf", np.float32)
        ours = read_header(written(tmp_path / "x.gguf", config, parameters)).tensors
        assert {name: info[:2] for name, info in ours.items()} == {name: info[:2] for name, info in theirs.items()}

    @pytest.mark.parametrize("kind", [kind for kind in PATTERNS if kind != "dense"])
    def test_another_pattern_is_refused_by_its_name(self, kind):
        sizes = {"band_width": 4, "stride": 4, "summary_width": 1}
        needed = {field.name: sizes[field.name] for field in PATTERNS[kind].parameters() if field.name in sizes}
        config = small_config(attention=("dense", kind), **needed)
        with pytest.raises(ValueError, match=f"llama.cpp's GPT-2 cannot have {kind} attention"):
            gguf.to_file(config, {})

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"activation": "relu"}, "activation relu"),
            ({"activation": "gelu_erf", "d_head": 8}, "activation gelu_erf or d_head 8"),
            ({"d_head": 3}, "d_head 3, other than d_model / n_head"),
        ],
    )
    def test_what_llama_cpp_cannot_compute_is_refused_by_its_name(self, changes, reason):
        with pytest.raises(ValueError, match=reason):
            gguf.to_file(small_config(**changes), {})
