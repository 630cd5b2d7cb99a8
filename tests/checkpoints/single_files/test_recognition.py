import shutil

import numpy as np
import pytest
from support.forge import random_parameters, small_config
from support.llm_c_files import model_file, tokens_file

import gptcompare as gc
from gptcompare.checkpoints import CheckpointError, locate, read_checkpoint
from gptcompare.checkpoints.folder import read_config, read_end_ids
from gptcompare.checkpoints.single_files import nanogpt, single_file
from gptcompare.checkpoints.single_files.recognition import FORMATS
from gptcompare.model import GPT
from gptcompare.tokenizer.vocabulary import Vocabulary

CONFIG = small_config(n_vocab=257)


def put(file):
    """Write a model of the format that the name's end says."""
    lm = gc.LanguageModel(GPT(CONFIG), gc.Tokenizer(Vocabulary.from_merges([])))
    if file.suffix.lower() == ".gguf":
        gc.save_gguf(lm, file)
    else:
        file.write_bytes(model_file(CONFIG, lm.model.parameters()))
    return file


@pytest.fixture(params=["model.gguf", "model.GGUF", "gpt2_124M.bin"])
def file(request, tmp_path):
    return put(tmp_path / request.param)


class TestOneFile:
    def test_it_may_be_given_itself_or_by_its_folder(self, file):
        (file.parent / "README.md").write_text("about it", encoding="utf-8")
        for given in (file, str(file), file.parent):
            assert single_file(given).path == file
            assert GPT.from_pretrained(given).config == CONFIG
            assert read_config(given) == CONFIG
            assert locate(given) == type(file)(given)

    def test_its_name_does_not_matter_if_it_is_given_itself(self, file):
        other = file.rename(file.with_name("sha256-0123"))
        assert GPT.from_pretrained(other).config == CONFIG

    def test_in_a_folder_with_weights_of_another_layout_it_is_not_looked_at(self, file):
        other = GPT(small_config(n_vocab=99))
        other.save_pretrained(file.parent)
        assert read_config(file.parent) == other.config
        assert GPT.from_pretrained(file.parent).config == other.config
        assert read_end_ids(file.parent) is None
        assert GPT.from_pretrained(file).config == CONFIG

    def test_a_description_alone_is_no_other_checkpoint(self, file):
        GPT(small_config(n_vocab=99)).save_pretrained(file.parent)
        (file.parent / "model.safetensors").unlink()
        assert GPT.from_pretrained(file.parent).config == CONFIG

    def test_several_in_a_folder_are_named(self, file):
        shutil.copy(file, file.with_name("copy" + file.suffix))
        with pytest.raises(CheckpointError, match=rf"give one of the files.*copy.*{file.name}|{file.name}.*copy"):
            GPT.from_pretrained(file.parent)

    def test_what_a_trainer_leaves_beside_it_is_no_model(self, file):
        for name in ("training_args.bin", "model.GGUF.bin"):
            (file.parent / name).write_bytes(nanogpt.MAGIC)
        assert single_file(file.parent).path == file

    def test_what_happens_to_the_file_does_not_change_the_model(self, file):
        model = GPT.from_pretrained(file)
        before = model([1, 2])
        with open(file, "r+b") as opened:
            opened.write(bytes(file.stat().st_size))
        assert np.array_equal(model([1, 2]), before)

    def test_another_file_is_refused_by_its_name(self, tmp_path):
        other = tmp_path / "text.gguf"
        other.write_text("no model", encoding="utf-8")
        with pytest.raises(FileNotFoundError, match=r"text\.gguf' is a file, but not a model of llama\.cpp"):
            gc.load(other)
        with pytest.raises(FileNotFoundError, match="has no checkpoint"):
            GPT.from_pretrained(tmp_path)

    @pytest.mark.parametrize("name", ["training_args.bin", "scheduler.pt"])
    def test_what_a_trainer_leaves_beside_a_description_is_no_model(self, tmp_path, name):
        GPT(CONFIG).save_pretrained(tmp_path)
        (tmp_path / "model.safetensors").unlink()
        (tmp_path / name).write_bytes(nanogpt.MAGIC)
        with pytest.raises(FileNotFoundError, match=r"has a config\.json but no weights"):
            GPT.from_pretrained(tmp_path)

    def test_a_table_of_tokens_is_no_model(self, tmp_path):
        (tmp_path / "gpt2_tokenizer.bin").write_bytes(tokens_file([b"a"]))
        with pytest.raises(FileNotFoundError, match="not a model"):
            gc.load(tmp_path / "gpt2_tokenizer.bin")


def test_every_format_is_read_in_one_dtype_or_the_other(tmp_path):
    for known in FORMATS:
        file = put(tmp_path / f"model{known.suffix}")
        config, parameters = read_checkpoint(file, np.float64)
        expected = random_parameters(config)
        assert {name: array.shape for name, array in parameters.items()} == {
            name: array.shape for name, array in expected.items()
        }
        assert GPT.from_pretrained(file, dtype=np.float64).dtype == np.float64
