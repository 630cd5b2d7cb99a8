import contextlib
import functools
import hashlib
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.amounts import examples
from support.forge import damaged
from support.gguf_models import EXPORTED as MODELS
from support.places import STORY_FOLDER
from support.recorded_gguf import EDGE, EXPORTED, EXPORTED_LOGITS, HALF_OF_ALL, ROUNDING, logits_with_the_table

import gptcompare as gc
from gptcompare.checkpoints import CheckpointError
from gptcompare.checkpoints.formats.gguf import read_tensors, write_gguf
from gptcompare.cli import main

PROMPT = "Once upon a time"
# eos_token_id of config.json, generation_config.json (None: no such file), and what counts: "tokenizer",
# if both are silent.
# The placeholders a and b are tokens that the model writes.
DESCRIPTIONS = [
    ("absent", None, "tokenizer"),
    (None, None, "tokenizer"),
    ("a", None, ["a"]),
    (["b", "a"], None, ["a", "b"]),
    ([], None, []),
    ("a", {"eos_token_id": "b"}, ["b"]),
    ("b", {"eos_token_id": ["a", "b"]}, ["a", "b"]),
    ("absent", {"eos_token_id": "a"}, ["a"]),
    ("a", {"eos_token_id": []}, []),
    ("a", {}, "tokenizer"),
    ("a", {"temperature": 0.5, "do_sample": True}, "tokenizer"),
    ("a", {"eos_token_id": None}, "tokenizer"),
    (99_999, None, [99_999]),
    (-1, None, [-1]),
]


def with_ids(value, ids):
    """The description with ids in the places of their names."""
    if isinstance(value, dict):
        return {key: with_ids(inner, ids) for key, inner in value.items()}
    if isinstance(value, list):
        return [with_ids(inner, ids) for inner in value]
    return ids.get(value, value) if isinstance(value, str) else value


@pytest.fixture
def ids(story):
    """Two tokens of the text that the model writes: the fifth, and the ninth or the first after it that is another."""
    written = story.generate(PROMPT).ids
    return {"a": written[4], "b": next(id_ for id_ in written[8:] if id_ not in written[:8])}


@pytest.fixture
def described(story, tmp_path, ids):
    """Makes a folder with the story model and the given descriptions."""

    def make(of_config, of_generation):
        story.model.save_pretrained(tmp_path)
        story.tokenizer.save_pretrained(tmp_path)
        config = json.loads((tmp_path / "config.json").read_text())
        config.pop("eos_token_id", None)
        if of_config != "absent":
            config["eos_token_id"] = with_ids(of_config, ids)
        (tmp_path / "config.json").write_text(json.dumps(config))
        if of_generation is not None:
            (tmp_path / "generation_config.json").write_text(json.dumps(with_ids(of_generation, ids)))
        return tmp_path

    return make


@pytest.mark.parametrize(("of_config", "of_generation", "expected"), DESCRIPTIONS, ids=str)
def test_a_text_ends_with_the_tokens_that_the_folder_names(story, described, ids, of_config, of_generation, expected):
    lm = gc.load(described(of_config, of_generation))
    wanted = {story.tokenizer.eot_id} if expected == "tokenizer" else set(with_ids(expected, ids))
    assert lm.end_ids == wanted
    whole = story.generate(PROMPT).ids
    first = next((n for n, id_ in enumerate(whole) if id_ in wanted), None)
    completion = lm.generate(PROMPT)
    assert completion.ids == whole[:first]
    assert completion.end_id == (None if first is None else whole[first])
    assert completion.finish_reason == ("length" if first is None else "end_of_text")


def test_the_text_ends_there_in_a_batch_with_a_draft_and_beside_another_model_too(story, described, ids):
    lm = gc.load(described("absent", {"eos_token_id": ["a", "b"]}))
    alone = lm.generate(PROMPT)
    assert alone.finish_reason == "end_of_text"
    assert lm.generate([PROMPT, "The king"])[0] == alone
    assert lm.generate(PROMPT, draft="repetitions") == alone
    assert "".join(lm.stream(PROMPT)) == alone.text
    comparison = gc.compare(PROMPT, {"ends": lm, "goes on": story})
    assert comparison.parting.position == len(alone.ids)
    assert comparison.parting.tokens == (b"", story.tokenizer.decode_bytes([alone.end_id]))
    assert comparison.parting.margins == (0.0, 0.0)


def test_a_model_without_a_tokenizer_has_gpt2s_even_beside_a_folder_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    gc.Tokenizer.train(["low lower lowest low"] * 5, 260).save_pretrained("gpt2")
    gc.GPT(gc.GPTConfig(n_layer=1, n_head=1, d_model=8, n_ctx=16)).save_pretrained("mine")
    assert gc.load("mine").tokenizer.n_vocab == 50257


@pytest.mark.parametrize("wrong", ["a text", True, 1.5, [1, "b"], {"id": 3}])
@pytest.mark.parametrize("file", ["config.json", "generation_config.json"])
def test_what_is_no_id_is_refused_with_the_file(described, file, wrong):
    folder = described("absent", {})
    path = folder / file
    path.write_text(json.dumps({**json.loads(path.read_text()), "eos_token_id": wrong}))
    if file == "config.json":
        (folder / "generation_config.json").unlink()
    with pytest.raises(gc.CheckpointError, match=rf"{file}.*eos_token_id must be an id or a list of them"):
        gc.load(folder)


@pytest.mark.reference
@pytest.mark.parametrize(("of_config", "of_generation", "expected"), DESCRIPTIONS, ids=str)
def test_the_ends_are_those_of_transformers(torch, transformers, described, of_config, of_generation, expected):
    folder = described(of_config, of_generation)
    reference = transformers.AutoModelForCausalLM.from_pretrained(folder)
    theirs = reference.generation_config.eos_token_id
    lm = gc.load(folder)
    if expected == "tokenizer":  # transformers' `generate`, which knows no tokenizer, never stops there
        assert theirs is None
        return
    assert lm.end_ids == set(theirs if isinstance(theirs, list) else [theirs])
    prompt = lm.prompt_ids(PROMPT)
    written = reference.generate(torch.tensor([prompt]), max_new_tokens=40, do_sample=False, pad_token_id=0)
    found = lm.generate(PROMPT)
    assert written[0, len(prompt) :].tolist() == found.ids + ([] if found.end_id is None else [found.end_id])


def test_a_model_is_as_the_story_model_is_loaded(story):
    assert story.end_ids == {story.tokenizer.eot_id}
    assert gc.load(STORY_FOLDER).end_ids == story.end_ids


def test_a_saved_model_ends_its_texts_as_before(story, described, ids, tmp_path):
    lm = gc.load(described("absent", {"eos_token_id": ["a", "b"]}))
    for ends in ({ids["a"], ids["b"]}, {ids["b"]}, set()):
        gc.LanguageModel(lm.model, lm.tokenizer, ends).save_pretrained(tmp_path / "saved")
        again = gc.load(tmp_path / "saved")
        assert again.end_ids == ends
        assert again.generate(PROMPT).ids == (lm if len(ends) == 2 else again).generate(PROMPT).ids


def test_a_model_that_is_saved_alone_names_no_token_that_it_cannot_know(story, tmp_path):
    """The end of the story model's texts is its first token, and not the last of its vocabulary."""
    story.model.save_pretrained(tmp_path)
    story.tokenizer.save_pretrained(tmp_path)
    assert gc.load(tmp_path).end_ids == {story.tokenizer.eot_id} == {0}


@pytest.mark.reference
def test_transformers_ends_the_texts_of_a_saved_model_there(torch, transformers, story, ids, tmp_path):
    gc.LanguageModel(story.model, story.tokenizer, [ids["a"], ids["b"]]).save_pretrained(tmp_path)
    reference = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    assert sorted(reference.generation_config.eos_token_id) == sorted(ids.values())


class TestTokenizer:
    def folder(self, tmp_path, n_vocab=50257):
        config = gc.GPTConfig(n_layer=1, n_head=1, d_model=4, n_ctx=8, n_vocab=n_vocab)
        gc.GPT(config, seed=0).save_pretrained(tmp_path)
        return tmp_path

    def test_a_folder_of_gpt2_s_size_with_no_tokenizer_has_gpt2_s(self, tmp_path):
        assert gc.load(self.folder(tmp_path)).encode("Hello world") == [15496, 995]

    @pytest.mark.parametrize("name", ["vocab.txt", "spiece.model", "tokenizer.model", "tekken.json"])
    def test_never_in_the_place_of_another_one(self, name, tmp_path):
        (self.folder(tmp_path) / name).write_text("[PAD]")
        with pytest.raises(ValueError, match=rf"{name} is another tokenizer's, so its tokenizer is not byte-level BPE"):
            gc.load(tmp_path)
        assert gc.load(tmp_path, tokenizer="gpt2").encode("Hello world") == [15496, 995]

    @pytest.mark.parametrize("name", ["tokenizer_config.json", "config.json"])
    def test_nor_where_the_folder_names_another_class(self, name, tmp_path):
        path = self.folder(tmp_path) / name
        values = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps({**values, "tokenizer_class": "BertTokenizer"}))
        with pytest.raises(ValueError, match=rf"{name} names the class 'BertTokenizer'"):
            gc.load(tmp_path)
        path.write_text(json.dumps({**values, "tokenizer_class": "GPT2TokenizerFast"}))
        assert gc.load(tmp_path).tokenizer.n_vocab == 50257

    def test_another_model_s_is_taken_by_name_folder_or_itself(self, tmp_path, story):
        folder = self.folder(tmp_path, n_vocab=story.config.n_vocab)
        for its in (STORY_FOLDER, str(STORY_FOLDER), story.tokenizer):
            assert gc.load(folder, tokenizer=its).tokenizer.vocabulary == story.tokenizer.vocabulary
        with pytest.raises(ValueError, match="the tokenizer has 50257 ids, the model only"):
            gc.load(folder, tokenizer="gpt2")

    def test_the_command_takes_it_too(self, tmp_path, story, capsys):
        folder = self.folder(tmp_path, n_vocab=story.config.n_vocab)
        for command in (
            ["generate", "Once", "--model"],
            ["compare", "Once", "--models"],
            ["sentiment", "Once", "--model"],
        ):
            assert main([*command, str(folder), "--tokenizer", str(STORY_FOLDER)]) == 0
            assert main([*command, str(folder)]) == 2
        assert "has no tokenizer" in capsys.readouterr().err


RECORDED = EXPORTED["models"]


def written(name, folder):
    """The GGUF file of a recorded model."""
    model, dtype = name.rsplit(", ", 1)
    gc.save_gguf(MODELS[model](), folder / "x.gguf", dtype=dtype)
    return folder / "x.gguf"


class TestSaveGguf:
    """llama.cpp ran the same files: tests/data/make_gguf_reference.py."""

    @pytest.mark.parametrize("name", RECORDED)
    def test_llama_cpp_writes_the_same_greedy_text(self, name, tmp_path):
        file = written(name, tmp_path)
        recorded_again = "the files are others than those that llama.cpp ran: run make_gguf_reference.py again"
        assert hashlib.sha256(file.read_bytes()).hexdigest() == RECORDED[name]["sha256"], recorded_again
        lm = gc.load(file)
        for prompt in RECORDED[name]["prompts"]:
            assert lm.prompt_ids(prompt["text"]) == prompt["ids"]
            n = len(prompt["greedy"])
            completion = lm.generate(prompt["text"], max_new_tokens=n)
            end = [] if completion.end_id is None else [completion.end_id]
            assert completion.ids + end == prompt["greedy"]

    def test_llama_cpps_logits_are_the_same_but_for_its_rounding(self, tmp_path):
        medians = []
        for name in RECORDED:
            model = gc.GPT.from_pretrained(written(name, tmp_path), dtype=np.float64)
            rounding = ROUNDING[{"float32": "f32", "float16": "f16"}[name.rsplit(", ", 1)[1]]]
            for number, prompt in enumerate(RECORDED[name]["prompts"]):
                logits = model(prompt["ids"])
                theirs = EXPORTED_LOGITS[f"{name}, {number} one by one"]
                assert np.abs(logits[-1] - theirs).max() < rounding * logits.std()
                exact = logits_with_the_table(model, prompt["ids"])[-1]
                difference = np.abs(exact - EXPORTED_LOGITS[f"{name}, {number} at once"])
                assert difference.max() < EDGE
                medians.append(np.median(difference))
        assert np.median(medians) < HALF_OF_ALL

    def test_a_loaded_file_is_the_model_that_was_written(self, story, tmp_path):
        gc.save_gguf(story, tmp_path / "x.gguf")
        lm = gc.load(tmp_path / "x.gguf")
        assert lm.config == story.config
        assert lm.tokenizer.vocabulary == story.tokenizer.vocabulary
        assert lm.end_ids == story.end_ids
        assert lm.generate(PROMPT, max_new_tokens=20) == story.generate(PROMPT, max_new_tokens=20)
        gc.save_gguf(lm, tmp_path / "again.gguf")
        assert (tmp_path / "again.gguf").read_bytes() == (tmp_path / "x.gguf").read_bytes()

    def test_a_model_that_llama_cpp_cannot_run_is_refused_by_the_reason(self, tmp_path):
        with pytest.raises(ValueError, match="cannot have banded attention"):
            gc.save_gguf(gc.load("nano-gpt3"), tmp_path / "x.gguf")
        with pytest.raises(TypeError, match="lm must be a LanguageModel, got GPT"):
            gc.save_gguf(gc.load("nano-gpt2").model, tmp_path / "x.gguf")
        assert list(tmp_path.iterdir()) == []


STRANGE = [
    0, 1, 2**32 - 1, 0.5, float("nan"), "", "gpt2", True, [], ["", ""], np.zeros(0, np.int32), np.ones(3, np.int32),
]  # fmt: skip


class TestStrangeFiles:
    """A GGUF file is loaded, or refused with one error that names it."""

    @pytest.mark.parametrize("strange", STRANGE, ids=repr)
    def test_a_value_of_any_kind_in_any_place(self, tmp_path, strange):
        values, tensors = read_tensors(written("one head, seed 0, float16", tmp_path))
        reasons = []
        for name in values:
            with open(tmp_path / "strange.gguf", "wb") as file:
                write_gguf(file, values | {name: strange}, tensors)
            try:
                gc.load(tmp_path / "strange.gguf")
            except CheckpointError as error:
                reasons.append(str(error))
        assert len(reasons) > len(values) / 2
        assert all("strange.gguf: " in reason for reason in reasons)

    @settings(max_examples=examples(300), derandomize=True, deadline=None, database=None)
    @given(data=st.data())
    def test_any_damage(self, tmp_path_factory, data):
        file = tmp_path_factory.getbasetemp() / "damaged.gguf"
        file.write_bytes(b"GGUF" + data.draw(damaged(small_file()))[4:])
        with contextlib.suppress(CheckpointError):
            gc.load(file)


@functools.cache
def small_file():
    with tempfile.TemporaryDirectory() as folder:
        return written("one head, seed 0, float16", Path(folder)).read_bytes()
