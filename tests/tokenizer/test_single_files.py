import io
from dataclasses import replace

import numpy as np
import pytest
from support.llm_c_files import model_file, tokens_file
from support.recorded_gguf import EXPORTED, FOLDER

import gptcompare as gc
from gptcompare.checkpoints import CheckpointError
from gptcompare.checkpoints.formats.gguf import write_gguf
from gptcompare.checkpoints.single_files import gguf
from gptcompare.model import GPT
from gptcompare.parameters import initial_parameters
from gptcompare.tokenizer.files import files_of_vocabulary
from gptcompare.tokenizer.single_files import GPT2_SPLITS, gguf_values
from gptcompare.tokenizer.vocabulary import END_OF_TEXT, Matching, Vocabulary, to_bytes

MERGES = [("h", "e"), ("Ġ", "t"), ("Ġt", "he")]
PLAIN = Vocabulary.from_merges(MERGES)
N = len(PLAIN.ids) + 1
TEXT = "the then <|endoftext|> hé"
KEY = "tokenizer.ggml."


def file_of(values, path, n_vocab=N):
    """A model of a single tiny layer, with these values about its vocabulary."""
    config = gc.GPTConfig(n_layer=1, n_head=1, d_model=2, n_ctx=4, n_vocab=n_vocab)
    sizes, tensors = gguf.to_file(config, initial_parameters(config, seed=0))
    file = io.BytesIO()
    write_gguf(file, sizes | {name: value for name, value in values.items() if value is not None}, tensors)
    path.write_bytes(file.getvalue())
    return path


def read(path, vocabulary=PLAIN, n_vocab=N, end_ids=None, **changes):
    """The vocabulary that is read of one that is written, with changes of its values."""
    values = gguf_values(vocabulary, [vocabulary.id_of(vocabulary.eot)] if end_ids is None else end_ids, n_vocab)
    changed = {KEY + name: value for name, value in changes.items()}
    return gc.Tokenizer.from_pretrained(file_of(values | changed, path / "x.gguf", n_vocab)).vocabulary


@pytest.mark.parametrize("name", EXPORTED["texts"])
class TestLlamaCpp:
    """What llama.cpp makes of texts with vocabularies that this library wrote: tests/data/make_gguf_reference.py."""

    def test_every_text_has_llama_cpps_ids(self, name):
        tokenizer = gc.Tokenizer.from_pretrained(name)
        for text, plain, with_special_tokens in EXPORTED["texts"][name]:
            assert tokenizer.encode(text) == plain
            assert tokenizer.encode(text, allowed_special="all") == with_special_tokens

    def test_the_texts_are_of_many_kinds(self, name):
        texts = [text for text, _, _ in EXPORTED["texts"][name]]
        assert len(texts) > 100
        assert len({character for text in texts for character in text}) > 300


class TestReading:
    @pytest.mark.parametrize(
        "vocabulary",
        [
            PLAIN,
            Vocabulary(MERGES, PLAIN.ids, {"</s>": 259, "<x>": 260}, eot="</s>", bos="<x>"),
            Vocabulary(MERGES, PLAIN.ids, {"a b\n日": 259, END_OF_TEXT: 260}, eot=END_OF_TEXT, bos=END_OF_TEXT),
            Vocabulary(MERGES, {**PLAIN.ids, "Ġlost": 259}, {END_OF_TEXT: 300}, eot=END_OF_TEXT),
        ],
        ids=["GPT-2's kind", "a token before texts", "any special tokens", "a token that no merge makes, and gaps"],
    )
    def test_what_is_written_is_read_back(self, tmp_path, vocabulary):
        assert read(tmp_path, vocabulary, n_vocab=310) == vocabulary

    def test_gpt2s_own_is_written_and_read_back(self, tmp_path):
        gpt2 = gc.Tokenizer.from_pretrained("gpt2").vocabulary
        assert read(tmp_path, gpt2, n_vocab=50304) == gpt2

    def test_a_file_of_others_has_the_vocabulary_that_it_was_made_of(self):
        merges = gc.Tokenizer.from_pretrained("gpt2").vocabulary.merges
        found = gc.Tokenizer.from_pretrained(FOLDER / "untied-f32.gguf").vocabulary
        assert found == Vocabulary.from_merges(merges[:23])

    @pytest.mark.parametrize("split", GPT2_SPLITS)
    def test_the_names_of_gpt2s_pattern_are_known(self, tmp_path, split):
        assert read(tmp_path, pre=split) == PLAIN

    def test_tokens_that_are_found_in_texts_are_special(self, tmp_path):
        tokens = [*gguf_values(PLAIN, [N - 1], N)[KEY + "tokens"], "<a>", "<b>", "<c>", "日本"]
        types = np.array([1] * N + [3, 4, 5, 1], np.int32)
        found = read(tmp_path, n_vocab=N + 4, tokens=tokens, token_type=types)
        assert found.special_tokens.items() >= {END_OF_TEXT: N - 1, "<a>": N}.items()
        assert [found.id_of(token) for token in ("<b>", "<c>", "日本")] == [N + 1, None, N + 3]

    def test_the_types_may_be_missing(self, tmp_path):
        assert read(tmp_path, token_type=None) == PLAIN

    def test_empty_tokens_change_no_text(self, tmp_path):
        tokens = gguf_values(PLAIN, [N - 1], N)[KEY + "tokens"] + ["", ""]
        found = gc.Tokenizer(read(tmp_path, n_vocab=N + 2, tokens=tokens, token_type=None))
        assert found.encode(TEXT, allowed_special="all") == gc.Tokenizer(PLAIN).encode(TEXT, allowed_special="all")

    def test_without_an_end_of_text_there_is_none(self, tmp_path):
        assert read(tmp_path, eos_token_id=None).eot is None

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"model": None}, "no vocabulary"),
            ({"model": "llama"}, "tokenizer.ggml.model 'llama' is not supported, only 'gpt2'"),
            ({"model": 3}, "tokenizer.ggml.model 3 is not supported"),
            ({"pre": None}, "tokenizer.ggml.pre is missing"),
            ({"pre": "default"}, "'default' splits texts by another pattern"),
            ({"pre": "llama-bpe"}, "'llama-bpe' splits texts by another pattern"),
            ({"pre": ["gpt-2"]}, "splits texts by another pattern"),
            ({"add_eos_token": True}, "add_eos_token is not supported"),
            ({"add_sep_token": True}, "add_sep_token is not supported"),
            ({"add_bos_token": 1}, "add_bos_token is not true or false"),
            ({"add_bos_token": True, "bos_token_id": None}, "or there is no such token"),
            ({"tokens": None}, "tokens is not an array of texts"),
            ({"merges": None}, "merges is not an array of texts"),
            ({"tokens": "abc"}, "tokens is not an array of texts"),
            ({"tokens": ["a", "a"]}, "two tokens of the vocabulary are the same"),
            ({"tokens": ["a"]}, "token_type is not an array of 1 integers"),
            ({"tokens": ["a"], "token_type": None}, "eos_token_id 259 is not the id of a token"),
            ({"token_type": [""] * N}, "token_type is not an array"),
            ({"token_type": np.full(N, 7, np.int32)}, "a token has type 7"),
            ({"token_type": np.full(N, -1, np.int32)}, "a token has type -1"),
            ({"merges": ["h e", "x"]}, "the merge 'x' is not two tokens"),
            ({"merges": ["h "]}, "the merge 'h ' is not two tokens"),
            ({"merges": ["h e", "q q"]}, "'qq' of merge 2"),
            ({"merges": ["h e e"]}, "'e e' of merge 1"),
            ({"eos_token_id": N}, "eos_token_id 260 is not the id of a token"),
            ({"eot_token_id": 0.5}, "eot_token_id 0.5 is not the id of a token"),
            ({"bos_token_id": 2**32 - 1, "add_bos_token": True}, "bos_token_id 4294967295 is not the id"),
        ],
    )  # fmt: skip
    def test_what_is_not_gpt2s_kind_is_refused_by_its_name(self, tmp_path, changes, reason):
        with pytest.raises(CheckpointError, match=rf"x\.gguf: .*{reason}"):
            read(tmp_path, **changes)


class TestWriting:
    def test_several_tokens_that_end_a_text_are_kept(self, tmp_path):
        values = gguf_values(PLAIN, [5, N - 1, 7], N)
        lm = gc.load(file_of(values, tmp_path / "x.gguf"))
        assert lm.end_ids == {5, 7, N - 1}
        assert lm.tokenizer.eot_id == N - 1

    def test_the_token_between_texts_need_not_end_them(self, tmp_path):
        lm = gc.load(file_of(gguf_values(PLAIN, [5], N), tmp_path / "x.gguf"))
        assert lm.end_ids == {5}
        assert lm.tokenizer.eot_id == N - 1
        assert lm.prompt_ids("") == [N - 1]

    def test_ends_that_the_model_does_not_have_are_left_out(self, tmp_path):
        assert gc.load(file_of(gguf_values(PLAIN, [5, -1, N, 9999], N), tmp_path / "x.gguf")).end_ids == {5}

    @pytest.mark.parametrize("ends", [[], [1, 2, 3, 4], [N], [-1]])
    def test_no_end_or_too_many_are_refused(self, ends):
        n = len([id_ for id_ in ends if 0 <= id_ < N])
        with pytest.raises(ValueError, match=rf"GGUF needs 1 to 3 tokens that end a text .* has {n}"):
            gguf_values(PLAIN, ends, N)

    @pytest.mark.parametrize("rule", ["lstrip", "rstrip", "single_word"])
    def test_a_rule_that_the_file_has_no_place_for_is_told(self, rule):
        ids = {"<user>": N, "<mask>": N + 1}
        matching = {"<user>": Matching(), "<mask>": Matching(**{rule: True})}
        with pytest.warns(UserWarning, match=rf"{rule}.*: from the file, <mask> will be found in texts without these"):
            gguf_values(replace(PLAIN, added_tokens=ids, matching=matching), [N - 1], N + 2)

    def test_every_row_of_the_embedding_has_a_token(self):
        values = gguf_values(PLAIN, [N - 1], N + 2)
        assert values[KEY + "tokens"][-3:] == [END_OF_TEXT, f"[PAD{N}]", f"[PAD{N + 1}]"]
        assert values[KEY + "token_type"][-3:].tolist() == [3, 5, 5]

    def test_a_padding_token_is_no_token_that_there_is(self, tmp_path):
        vocabulary = Vocabulary(MERGES, PLAIN.ids, {f"[PAD{N}]": N - 1}, eot=f"[PAD{N}]")
        assert read(tmp_path, vocabulary, n_vocab=N + 1) == vocabulary


class TestLlmC:
    GPT2 = gc.Tokenizer.from_pretrained("gpt2").vocabulary
    TOKENS = [to_bytes(token) for token in GPT2.ids] + [END_OF_TEXT.encode()]

    @pytest.mark.parametrize("version", [1, 2])
    def test_a_table_of_gpt2s_tokens_is_gpt2s_vocabulary(self, tmp_path, version):
        (tmp_path / "t.bin").write_bytes(tokens_file(self.TOKENS, version=version))
        assert gc.Tokenizer.from_pretrained(tmp_path / "t.bin").vocabulary == self.GPT2

    @pytest.mark.parametrize(
        "contents",
        [tokens_file(TOKENS[1:] + TOKENS[:1]), tokens_file(TOKENS[:-1]), tokens_file(TOKENS, eot=5), tokens_file([])],
        ids=["another order", "a token less", "another end", "none"],
    )
    def test_another_table_is_refused_since_no_text_can_be_encoded(self, tmp_path, contents):
        (tmp_path / "t.bin").write_bytes(contents)
        with pytest.raises(CheckpointError, match="not GPT-2's, and the file has no merges"):
            gc.Tokenizer.from_pretrained(tmp_path / "t.bin")

    def test_a_model_of_gpt2s_size_has_gpt2s_tokenizer_unless_a_table_beside_it_says_otherwise(self, tmp_path):
        config = gc.GPTConfig(n_layer=1, n_head=1, d_model=2, n_ctx=4)
        (tmp_path / "m.bin").write_bytes(model_file(config, GPT(config).parameters()))
        for given in (tmp_path / "m.bin", tmp_path):
            lm = gc.load(given)
            assert lm.tokenizer.vocabulary == self.GPT2
            assert lm.end_ids == {50256}
        (tmp_path / "gpt2_tokenizer.bin").write_bytes(tokens_file(self.TOKENS))
        assert gc.load(tmp_path).tokenizer.vocabulary == self.GPT2
        assert files_of_vocabulary(tmp_path) == [tmp_path / "gpt2_tokenizer.bin"]
        (tmp_path / "gpt2_tokenizer.bin").write_bytes(tokens_file([b"a"]))
        with pytest.raises(CheckpointError, match=r"gpt2_tokenizer\.bin: the tokens are not GPT-2's"):
            gc.load(tmp_path)

    def test_a_model_of_another_size_alone_has_no_tokenizer(self, tmp_path):
        config = gc.GPTConfig(n_layer=1, n_head=1, d_model=2, n_ctx=4, n_vocab=300)
        (tmp_path / "m.bin").write_bytes(model_file(config, GPT(config).parameters()))
        with pytest.raises(CheckpointError, match="its 300 tokens are not GPT-2's"):
            gc.load(tmp_path / "m.bin")
