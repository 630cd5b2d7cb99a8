import filecmp
import json
import re

import numpy as np
import pytest
from support.amounts import few_or_many
from support.places import ALICE, WEIGHTS

import gptcompare as gc
from gptcompare.checkpoints import embedded, locate, remove
from gptcompare.checkpoints.formats.safetensors import read_safetensors
from gptcompare.presets import nano

NAMES = list(nano.MODELS)


def same_files(folder, other):
    """An installation has copies of what a clone has in `weights/`."""
    names = {path.name for path in other.iterdir()}
    return {path.name for path in folder.iterdir()} == names and all(
        filecmp.cmp(folder / name, other / name, shallow=False) for name in names
    )


MEASURED = json.loads((WEIGHTS / "measurements.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", NAMES)
class TestEachModel:
    def test_it_loads_offline_from_any_folder(self, name, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        lm = gc.load(name.upper())
        assert lm.config == gc.GPTConfig.preset(name)
        assert lm.tokenizer.n_vocab == lm.config.n_vocab
        assert gc.Tokenizer.from_pretrained(name).encode("a king") == lm.tokenizer.encode("a king")
        assert gc.download(name) == locate(name)
        assert same_files(locate(name), WEIGHTS / name)

    def test_a_folder_of_its_name_does_not_hide_it(self, name, monkeypatch, tmp_path):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path)
        assert same_files(locate(name), WEIGHTS / name)
        assert locate(f"./{name}").resolve() == (tmp_path / name).resolve()

    def test_a_model_in_a_folder_of_its_name_is_loaded_by_its_path(self, name, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        tokenizer = gc.Tokenizer.train(["low lower lowest low"] * 5, 260)
        tiny = gc.GPTConfig(n_layer=1, n_head=1, d_model=8, n_ctx=16, n_vocab=260)
        gc.LanguageModel(gc.GPT(tiny), tokenizer).save_pretrained(name)
        for place in (f"./{name}", tmp_path / name, f"{name}/"):
            lm = gc.load(place)
            assert (lm.config, lm.tokenizer.n_vocab) == (tiny, 260)
        assert gc.Tokenizer.from_pretrained(name).n_vocab == gc.load(name).config.n_vocab > 260

    def test_its_file_is_float16(self, name):
        tensors = read_safetensors(WEIGHTS / name / "model.safetensors")
        assert {array.dtype for array in tensors.values()} == {np.dtype(np.float16)}

    @few_or_many("n_characters", 15_000, None)
    def test_it_predicts_a_book_better_than_counting_predicts_those_held_out(self, name, n_characters):
        counting = MEASURED["all"]["bigrams"]["bits per byte"]
        text = ALICE.read_text(encoding="utf-8")[:n_characters]
        assert gc.load(name).score(text).bits_per_byte < counting

    def test_the_preset_has_the_measured_numbers(self, name):
        metrics = {result.metric: result.value for result in nano.MODELS[name].results}
        assert metrics == {metric: MEASURED["all"][name][metric] for metric in metrics}

    def test_it_beats_counting_on_the_held_out_books(self, name):
        assert [*MEASURED["books"]] == ["3454", "13087", "65314", "29598", "35002", "61847"]
        for book in (*MEASURED["books"].values(), MEASURED["all"]):
            losses = [book[model]["bits per byte"] for model in (name, "bigrams", "unigrams")]
            assert losses == sorted(losses)

    def test_it_has_no_other_source_and_no_revisions(self, name):
        with pytest.raises(gc.DownloadError, match=f"{name} is part of gptcompare: it has no revisions"):
            gc.load(f"{name}@v2")
        with pytest.raises(gc.DownloadError, match="and no other source"):
            gc.load(name, source="openai")

    def test_it_cannot_be_removed(self, name):
        with pytest.raises(FileNotFoundError, match=f"'{name}' is part of gptcompare and cannot be removed"):
            remove(name)
        assert gc.load(name)

    def test_an_installation_that_lost_it_says_so(self, name, monkeypatch, tmp_path):
        monkeypatch.setattr(embedded, "PLACES", (tmp_path / "a", tmp_path / "b"))
        with pytest.raises(gc.DownloadError, match=f"{name} is part of gptcompare, but .*a does not have it"):
            gc.load(name)


def test_the_pair_differs_in_the_attention_pattern_alone():
    dense, alternating = (gc.GPTConfig.preset(name).to_dict() for name in NAMES)
    assert {key for key in dense if dense[key] != alternating[key]} == {"attention", "band_width"}
    tokenizers = [gc.Tokenizer.from_pretrained(name).vocabulary for name in NAMES]
    assert tokenizers[0] == tokenizers[1]
    texts = [gc.load(name).generate("Once upon a time", max_new_tokens=40).text for name in NAMES]
    assert texts[0] != texts[1]


def test_both_take_less_than_32_megabytes():
    assert sum(path.stat().st_size for name in NAMES for path in (WEIGHTS / name).iterdir()) < 32e6


class TestTheRuns:
    """What they recorded of themselves, in weights/stages."""

    RUNS = tuple(
        tuple(json.loads((stage / name / "run.json").read_text(encoding="utf-8")) for name in NAMES)
        for stage in sorted((WEIGHTS / "stages").iterdir())
    )

    def test_the_preset_s_stages_are_theirs_and_the_command_s(self):
        recorded = [runs[0]["recipe"] for runs in self.RUNS]
        assert [(stage["n_steps"], stage["batch"], stage["context"]) for stage in recorded] == [*nano.STAGES]
        command = re.findall(r"^stage .*", (WEIGHTS / "train.sh").read_text(encoding="utf-8"), re.MULTILINE)
        options = [{name: float(value) for name, value in re.findall(r"--(\S+) (\S+)", line)} for line in command]
        for given, stage in zip(options, recorded, strict=True):
            assert given.pop("steps") == stage["n_steps"]
            given.pop("validate-every", None)  # measures more often, and changes nothing
            assert given == {name: stage[name.replace("-", "_")] for name in given}

    def test_the_preset_s_recipe_is_theirs(self):
        training = nano.TRAINING
        for number, runs in enumerate(self.RUNS):
            recipe = runs[0]["recipe"]
            assert recipe["batch"] * recipe["context"] == training.batch_tokens
            assert recipe["warmup_steps"] * training.batch_tokens == training.warmup_tokens
            assert tuple(recipe["betas"]) == training.adam_betas
            assert recipe["seed"] == number
            for name in ("learning_rate", "weight_decay", "gradient_clip"):
                assert recipe[name] == getattr(training, name)
        assert recipe["final_learning_rate"] == training.final_learning_rate

    def test_both_took_the_same_batches(self):
        for one, other in self.RUNS:
            assert one["config"] == gc.GPTConfig.preset("nano-gpt2").to_dict()
            assert {key for key in one if one[key] != other[key]} <= {"config", "parameters", "sha256"}
        assert self.RUNS[0][0]["parameters"] == self.RUNS[0][1]["parameters"]


@pytest.mark.reference
def test_the_dense_one_opens_in_transformers_with_equal_logits_and_ids(torch, transformers):
    theirs = transformers.AutoModelForCausalLM.from_pretrained(WEIGHTS / "nano-gpt2", dtype=torch.float64)
    tokenizer = transformers.AutoTokenizer.from_pretrained(WEIGHTS / "nano-gpt2")
    text = ALICE.read_text(encoding="utf-8")[:1500]
    ours = gc.load("nano-gpt2", dtype=np.float64)
    ids = ours.tokenizer.encode(text)
    assert tokenizer(text)["input_ids"] == ids
    with torch.no_grad():
        expected = theirs(torch.tensor([ids])).logits[0].numpy()
    np.testing.assert_allclose(ours.model(ids), expected, rtol=0, atol=1e-10 * abs(expected).max())
