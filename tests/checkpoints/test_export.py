import numpy as np
import pytest
from support.forge import assert_same_arrays, random_parameters, small_config

from gptcompare.checkpoints.export import write_gguf_model
from gptcompare.checkpoints.formats.gguf import read_header, read_tensors

CONFIG = small_config()
PARAMETERS = random_parameters(CONFIG)
WORDS = {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.tokens": ["a", "b"]}


def test_float32_keeps_every_bit(tmp_path):
    float64 = {name: array.astype(np.float64) for name, array in PARAMETERS.items()}
    for number, parameters in enumerate((PARAMETERS, float64)):
        write_gguf_model(tmp_path / f"{number}.gguf", CONFIG, parameters, WORDS)
    (values, ours), (_, of_float64) = read_tensors(tmp_path / "0.gguf"), read_tensors(tmp_path / "1.gguf")
    assert values.items() >= WORDS.items()
    assert values["general.file_type"] == 0
    assert np.array_equal(ours["blk.1.ffn_up.weight"].T, PARAMETERS["h.1.mlp.c_fc.weight"])
    assert_same_arrays(of_float64, ours)


def test_float16_is_for_matrices_as_in_llama_cpps_own_files(tmp_path):
    write_gguf_model(tmp_path / "x.gguf", CONFIG, PARAMETERS, WORDS, "float16")
    header = read_header(tmp_path / "x.gguf")
    assert header.values["general.file_type"] == 1
    halved = {name for name, info in header.tensors.items() if info.kind == "F16"}
    matrices = {name for name, info in header.tensors.items() if len(info.shape) == 2}
    assert halved == matrices - {"position_embd.weight"}
    assert {info.kind for info in header.tensors.values()} == {"F16", "F32"}


@pytest.mark.parametrize("dtype", ["float64", "int8", "bfloat16"])
def test_another_dtype_is_refused(tmp_path, dtype):
    with pytest.raises(ValueError, match=rf"dtype must be one of float32, float16, got '?{dtype}"):
        write_gguf_model(tmp_path / "x.gguf", CONFIG, PARAMETERS, WORDS, dtype)
    assert list(tmp_path.iterdir()) == []


def test_a_number_beyond_the_range_of_the_dtype_is_refused_and_the_old_file_stays(tmp_path):
    (tmp_path / "x.gguf").write_bytes(b"old")
    large = PARAMETERS | {"h.0.mlp.c_fc.weight": np.full((8, 32), 1e5, np.float32)}
    with pytest.raises(ValueError, match=r"blk\.0\.ffn_up\.weight has numbers beyond"):
        write_gguf_model(tmp_path / "x.gguf", CONFIG, large, WORDS, "float16")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("x.gguf", b"old")]


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    (tmp_path / "x.gguf").write_bytes(b"old")
    monkeypatch.setattr("gptcompare.checkpoints.export.write_gguf", full)
    with pytest.raises(OSError, match=r"No space left.*x\.gguf"):
        write_gguf_model(tmp_path / "x.gguf", CONFIG, PARAMETERS, WORDS)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("x.gguf", b"old")]


def test_a_new_folder_is_made_and_a_folder_is_no_file(tmp_path):
    write_gguf_model(tmp_path / "new" / "x.gguf", CONFIG, PARAMETERS, WORDS)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["x.gguf"]
    with pytest.raises(ValueError, match=r"new is a folder: name the file to write"):
        write_gguf_model(tmp_path / "new", CONFIG, PARAMETERS, WORDS)
