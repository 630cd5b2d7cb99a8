"""An argument of a wrong kind is refused in the library's own words, in every public function."""

import linecache
import traceback
from pathlib import Path

import numpy as np
import pytest
from support.models import random_model
from support.places import STORY_FOLDER

import gptcompare as gc
from gptcompare import evaluation, training, uses
from gptcompare.tokenizer import Tokenizer

IDS = np.arange(300, 400)
CONFIG = {"n_layer": 1, "n_head": 1, "d_model": 8, "n_ctx": 16, "n_vocab": 400}
RECIPE = training.Recipe(n_steps=1, batch=1, context=8, warmup_steps=0)
EXAMPLES = [("Who ran?", "he")]
WRONG = [5, 2.5, "zz", b"zz", None, [5], [None], ["zz"], {"a": 5}, {5}, object(), len, np.zeros(3), np.zeros((2, 2))]
FUNCTIONS = {
    # name: the function, given a model and a folder with a text file; and arguments that are right
    "generate": lambda lm, folder: (lm.generate, {"prompt": "Once", "draft": None, "max_new_tokens": 1, "stop": "x"}),
    "stream": lambda lm, folder: (lm.stream, {"prompt": "Once", "draft": None, "seed": 1}),
    "score": lambda lm, folder: (lm.score, {"text": "Once upon", "stride": 8}),
    "predictions": lambda lm, folder: (lambda **given: [*lm.predictions(**given)], {"ids": [1, 2], "stride": 8}),
    "compare": lambda lm, folder: (gc.compare, {"prompt": "Once", "models": [lm], "max_new_tokens": 1}),
    "compare_text": lambda lm, folder: (gc.compare_text, {"text": "Once", "models": [lm]}),
    "changed": lambda lm, folder: (lm.changed, {"changes": {"hook_embed": np.negative}}),
    "changing": lambda lm, folder: (gc.inspection.changing, {"changes": {"hook_embed": np.abs}}),
    "attribution": lambda lm, folder: (gc.inspection.attribution, {
        "model": lm.model, "ids": [1, 2, 3], "target": 4, "against": 6, "position": 1, "quantity": "logit",
        "method": "integrated_gradients", "n_steps": 2, "baseline": "zero",
    }),
    "without_heads": lambda lm, folder: (gc.inspection.without_heads, {"heads": [0]}),
    "side": lambda lm, folder: (lambda **own: gc.compare("Once", [(lm, own)], max_new_tokens=1), {
        "temperature": 0, "top_k": 3, "seed": 1,
    }),
    "load": lambda lm, folder: (gc.load, {
        "name_or_folder": STORY_FOLDER, "source": "openai", "dtype": np.float32, "keep": "as stored",
    }),
    "GPT": lambda lm, folder: (gc.GPT, {"config": lm.config, "seed": 0, "dtype": np.float32}),
    "LanguageModel": lambda lm, folder: (gc.LanguageModel, {"model": lm.model, "tokenizer": lm.tokenizer}),
    "new_cache": lambda lm, folder: (lm.model.new_cache, {"batch": 1}),
    "GPT.save_pretrained": lambda lm, folder: (lm.model.save_pretrained, {"folder": folder / "model"}),
    "Tokenizer.save_pretrained": lambda lm, folder: (lm.tokenizer.save_pretrained, {"folder": folder / "tokenizer"}),
    "GPTConfig": lambda lm, folder: (gc.GPTConfig, CONFIG),
    "encode": lambda lm, folder: (lm.tokenizer.encode, {"text": "a", "allowed_special": ()}),
    "decode": lambda lm, folder: (lm.tokenizer.decode, {"ids": [1]}),
    "Tokenizer.train": lambda lm, folder: (Tokenizer.train, {"texts": ["abab"], "n_vocab": 258}),
    "Tokenizer.from_pretrained": lambda lm, folder: (Tokenizer.from_pretrained, {"name_or_folder": STORY_FOLDER}),
    "classify": lambda lm, folder: (uses.classify, {
        "lm": lm, "texts": "a", "labels": ["he", "she"], "examples": EXAMPLES, "template": uses.CLASSIFICATION,
        "normalisation": "sum",
    }),
    "classification_prompts": lambda lm, folder: (uses.classification_prompts, {
        "texts": "a", "labels": ["he", "she"], "examples": EXAMPLES, "template": uses.CLASSIFICATION,
    }),
    "entities": lambda lm, folder: (uses.entities, {
        "lm": lm, "texts": "a", "types": ["person"], "examples": uses.ENTITY_EXAMPLES[:1], "template": uses.ENTITIES,
        "max_new_tokens": 1,
    }),
    "choose": lambda lm, folder: (uses.choose, {
        "lm": lm, "question": "a", "choices": ["he", "she"], "examples": EXAMPLES, "template": uses.QUESTION,
        "normalisation": "sum",
    }),
    "answer": lambda lm, folder: (uses.answer, {
        "lm": lm, "question": "a", "examples": EXAMPLES, "template": uses.QUESTION, "max_new_tokens": 1, "beams": 1,
    }),
    "beam_search": lambda lm, folder: (uses.beam_search, {
        "lm": lm, "prompt": "a", "ends": [3], "width": 2, "alpha": 0.5, "max_new_tokens": 1,
    }),
    "features": lambda lm, folder: (uses.features, {"lm": lm, "texts": "a", "layer": 0, "pool": "mean"}),
    "token_features": lambda lm, folder: (uses.token_features, {"lm": lm, "text": "a", "layer": 0}),
    "log_likelihoods": lambda lm, folder: (uses.log_likelihoods, {"lm": lm, "pairs": [("a", " b")]}),
    "encode_pair": lambda lm, folder: (uses.encode_pair, {"lm": lm, "context": "a", "continuation": " b"}),
    "f1": lambda lm, folder: (uses.f1, {"answer": "a", "right": ["b"]}),
    "exact_match": lambda lm, folder: (uses.exact_match, {"answer": "a", "right": ["b"]}),
    "Template": lambda lm, folder: (uses.Template, {"query": "{a}", "answer": "{answer}", "separator": ""}),
    "tokenize_files": lambda lm, folder: (training.tokenize_files, {
        "paths": [folder / "a.txt"], "tokenizer": lm.tokenizer, "target": folder / "tokens.npy", "end_of_text": "",
    }),
    "train": lambda lm, folder: (training.train, {
        "model": gc.GPT(gc.GPTConfig(**CONFIG)), "tokens": IDS, "recipe": RECIPE, "validation": IDS, "threads": 1,
        "validate_every": 1, "save_every": 1, "targets": IDS, "ignore": -100, "validation_targets": IDS,
    }),
    "completion_rows": lambda lm, folder: (training.completion_rows, {"lm": lm, "pairs": [("a", " b")], "ignore": -1}),
    "tune_classifier": lambda lm, folder: (training.tune_classifier, {
        "lm": lm, "texts": ["a", "b"], "labels": ["he", "she"], "recipe": RECIPE, "template": uses.CLASSIFICATION,
    }),
    "Recipe": lambda lm, folder: (training.Recipe, {"n_steps": 1, "batch": 1, "learning_rate": 0.1, "seed": 0}),
    "Batches": lambda lm, folder: (training.Batches, {
        "tokens": IDS, "batch": 1, "context": 8, "seed": 0, "targets": IDS, "ignore": -100,
    }),
    "Muon": lambda lm, folder: (training.Muon, {"parameters": lm.model.parameters(), "recipe": RECIPE}),
    "AdamW": lambda lm, folder: (training.AdamW, {"parameters": lm.model.parameters(), "recipe": RECIPE}),
    "loss_and_grads": lambda lm, folder: (training.loss_and_grads, {
        "model": gc.GPT(gc.GPTConfig(**CONFIG)), "ids": IDS[:4], "targets": IDS[1:5], "ignore": -100,
    }),
    "Settings": lambda lm, folder: (evaluation.Settings, {"limit": 1, "seed": 0, "shots": 0, "stride": 1, "beams": 1}),
    "evaluate": lambda lm, folder: (evaluation.evaluate, {
        "model": lm, "task": "text", "data": folder / "a.txt", "limit": 1, "stride": 8, "folder": None, "dask": None,
    }),
    "table": lambda lm, folder: (gc.table, {"names": ["gpt2"]}),
    "report": lambda lm, folder: (gc.report, {"names": ["gpt2"]}),
}  # fmt: skip


@pytest.fixture(scope="module")
def lm(story):
    return random_model(story, n_ctx=256, n_layer=1)


def is_the_library_s_own(error):
    """Whether a line of the library that begins with "raise" raised it, and no operation on the wrong value did."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    line = linecache.getline(last.filename, last.lineno).strip()
    return Path(last.filename).is_relative_to(Path(gc.__file__).parent) and line.startswith("raise ")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_argument_of_a_wrong_kind_is_refused_in_the_library_s_own_words(name, lm, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("Once upon a time. " * 3)
    function, right = FUNCTIONS[name](lm, tmp_path)
    function(**right)
    others = []
    for argument in right:
        for wrong in WRONG:
            try:
                function(**{**right, argument: wrong})
            except OSError:  # there is no folder or file of this name
                assert wrong in ("zz", ["zz"], {"a": 5})
            except (TypeError, ValueError) as error:
                if not is_the_library_s_own(error):
                    others.append((argument, wrong, error))
    assert others == []
