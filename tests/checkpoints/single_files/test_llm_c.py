import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.amounts import examples
from support.forge import assert_same_arrays, damaged, little_memory, random_parameters, small_config
from support.llm_c_files import header, in_bfloat16, model_file, tokens_file

import gptcompare as gc
from gptcompare.checkpoints import CheckpointError
from gptcompare.checkpoints.single_files import llm_c
from gptcompare.sixteen_bits import widened

CONFIG = small_config()
PARAMETERS = random_parameters(CONFIG)


def put(folder, contents):
    path = folder / "gpt2_124M.bin"
    path.write_bytes(contents)
    return path


class TestModel:
    @pytest.mark.parametrize("changes", [{}, {"n_layer": 1, "n_head": 4}, {"n_vocab": 128}, {"n_vocab": 129}], ids=str)
    def test_float32_is_read_as_it_is_without_the_rows_of_padding(self, tmp_path, changes):
        config = small_config(**changes)
        expected = random_parameters(config)
        found, parameters = llm_c.parameters(put(tmp_path, model_file(config, expected)), np.float32)
        assert found == config == llm_c.config(tmp_path / "gpt2_124M.bin")
        assert_same_arrays(parameters, expected)

    def test_bfloat16_is_widened(self, tmp_path):
        _, parameters = llm_c.parameters(put(tmp_path, model_file(CONFIG, PARAMETERS, version=5)), np.float32)
        for name, array in PARAMETERS.items():
            assert np.array_equal(widened(parameters[name]), (in_bfloat16(array).astype("<u4") << 16).view("<f4")), name

    def test_a_model_gives_its_logits(self, tmp_path):
        model = gc.GPT.from_pretrained(put(tmp_path, model_file(CONFIG, PARAMETERS)))
        assert np.array_equal(model([1, 2, 39]), gc.GPT(CONFIG, PARAMETERS)([1, 2, 39]))


WRONG = {
    "empty": b"",
    "the first bytes alone": llm_c.MAGIC,
    "a header alone": model_file(CONFIG, PARAMETERS)[:1024],
    "version 1": model_file(CONFIG, PARAMETERS, version=1),
    "a byte less": model_file(CONFIG, PARAMETERS)[:-1],
    "a byte more": model_file(CONFIG, PARAMETERS) + b"\0",
    "another layer": model_file(CONFIG, PARAMETERS, n_layer=3),
    "no layer": model_file(CONFIG, PARAMETERS, n_layer=0),
    "all the layers there can be": model_file(CONFIG, PARAMETERS, n_layer=2**31 - 1),
    "a negative width": model_file(CONFIG, PARAMETERS, d_model=-8),
    "heads that do not divide the width": model_file(CONFIG, PARAMETERS, n_head=3),
    "fewer rows than tokens": model_file(CONFIG, PARAMETERS, rows=39),
    "as many rows as can be said": model_file(CONFIG, PARAMETERS, rows=2**31 - 1),
    "sizes of a million terabytes": header(20240326, 3, *[2**30, 2**31 - 1, 99_999, 1, 2**31 - 1, 2**31 - 1]),
}


class TestMalformed:
    @pytest.mark.parametrize("what", WRONG)
    def test_a_model_is_refused_by_the_name_of_its_file(self, tmp_path, what):
        path = put(tmp_path, WRONG[what])
        with little_memory(), pytest.raises(CheckpointError, match=r"gpt2_124M\.bin: "):
            llm_c.parameters(path, np.float32)

    @settings(max_examples=examples(500), derandomize=True, deadline=None, database=None)
    @given(contents=damaged(model_file(CONFIG, PARAMETERS)[:1024]) | damaged(model_file(CONFIG, PARAMETERS)))
    def test_any_file_is_read_or_refused(self, tmp_path_factory, contents):
        path = put(tmp_path_factory.getbasetemp(), contents)
        with contextlib.suppress(CheckpointError):
            llm_c.parameters(path, np.float32)


TOKENS = [b"a", b"", b"\xff\x00", b"b" * 255, b"<|endoftext|>"]
WRONG_TOKENS = {
    "version 3": tokens_file(TOKENS, version=3),
    "a token less than it says": tokens_file(TOKENS[:-1], n=5),
    "as many tokens as can be said": tokens_file(TOKENS, n=2**31 - 1),
    "a token more than it says": tokens_file(TOKENS, n=4),
    "a negative number of tokens": tokens_file(TOKENS, n=-1),
    "the last token cut off": tokens_file(TOKENS)[:-1],
    "a header cut off": tokens_file(TOKENS)[:1000],
}


class TestTokens:
    @pytest.mark.parametrize(("version", "eot"), [(1, 50256), (2, 4)])
    def test_every_token_has_its_bytes(self, tmp_path, version, eot):
        path = put(tmp_path, tokens_file(TOKENS, version=version))
        assert llm_c.is_table_of_tokens(path)
        assert llm_c.read_tokens(path) == (TOKENS, eot)

    @pytest.mark.parametrize("what", WRONG_TOKENS)
    def test_a_damaged_table_is_refused_by_the_name_of_its_file(self, tmp_path, what):
        with little_memory(), pytest.raises(CheckpointError, match=r"gpt2_124M\.bin: "):
            llm_c.read_tokens(put(tmp_path, WRONG_TOKENS[what]))

    @settings(max_examples=examples(300), derandomize=True, deadline=None, database=None)
    @given(contents=damaged(tokens_file(TOKENS)) | st.binary(max_size=40).map(lambda end: tokens_file([])[:1024] + end))
    def test_any_table_is_read_or_refused(self, tmp_path_factory, contents):
        path = put(tmp_path_factory.getbasetemp(), contents)
        with contextlib.suppress(CheckpointError):
            llm_c.read_tokens(path)
