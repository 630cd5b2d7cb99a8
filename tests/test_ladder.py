"""The ladder of models: what its script does with a small corpus, and that its stored result is the script's."""

import hashlib
import json
import math
import shutil
import sys

import numpy as np
import pytest
from support.pages import ROOT, module_at

import gptcompare as gc
from gptcompare.model.ops import cross_entropy

SCRIPT = ROOT / "notebooks" / "ladder" / "ladder.py"
LADDER = module_at(SCRIPT)
BOOKS = {"train": "The cat sat on the mat, and the rat ran from the cat. " * 20, "val": "The rat sat on the cat. " * 20}
SCALE = {
    "N_VOCAB": 270, "CONTEXT": 8, "D_HEAD": 4, "SHAPES": ((1, 4), (1, 8), (2, 8)), "SMALL": 1, "AGAIN": 1,
    "SEEDS": (0, 1), "N_STEPS": 24, "VALIDATIONS": 2, "PILOT_SHARE": 2,
}  # fmt: skip
N_TOKENS = SCALE["N_STEPS"] * LADDER.BATCH * SCALE["CONTEXT"]


def make(folder):
    """Run the script on a small scale, and return what it wrote."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**SCALE, "RESULT": folder / "ladder.json"}.items():
            patch.setattr(LADDER, name, value)
        patch.setattr(sys, "argv", ["ladder.py", str(folder), str(folder / "runs")])
        LADDER.main()
    return json.loads((folder / "ladder.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A corpus of two books."""
    folder = tmp_path_factory.mktemp("corpus")
    lines = ["file\tsha256\tsplit"]
    for split, text in BOOKS.items():
        (folder / f"{split}.txt").write_text(text, encoding="utf-8")
        lines.append(f"{split}.txt\t{hashlib.sha256(text.encode()).hexdigest()}\t{split}")
    (folder / "MANIFEST.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def result(folder):
    return make(folder)


def test_it_trains_what_it_says_and_the_same_again_without_training(folder, result, monkeypatch):
    assert [run["config"]["d_model"] for run in result["runs"]] == [4, 8, 8]
    assert [(run["config"]["d_model"], run["seed"]) for run in result["again"]] == [(4, 1)]
    for run in result["runs"]:
        assert [point["tokens"] for point in run["curve"]] == [N_TOKENS // 2, N_TOKENS]
    monkeypatch.setattr("gptcompare.training.ranks.loss_and_grads", None)  # a step would fail
    assert make(folder) == result


def test_models_of_a_budget_cost_as_much_as_the_smallest(result):
    smallest, *_ = result["runs"]
    (other,) = result["on the smallest budget"]
    cost = smallest["parameters"] * smallest["tokens"]
    assert other["parameters"] * other["tokens"] == pytest.approx(cost, rel=0.05)
    assert other["tokens"] < smallest["tokens"]


def test_the_held_out_loss_is_the_mean_over_all_tokens_in_pieces_of_the_context(folder, result):
    lm = gc.load(folder / "runs" / f"1x4-seed0-{SCALE['N_STEPS']}")
    ids = [*lm.tokenizer.encode(BOOKS["val"]), lm.tokenizer.eot_id]
    found = []
    for start in range(0, len(ids) - SCALE["CONTEXT"], SCALE["CONTEXT"]):
        piece = np.array(ids[start : start + SCALE["CONTEXT"] + 1])
        found += cross_entropy(lm.model(piece[:-1]), piece[1:]).tolist()
    nats = math.fsum(found) / len(found)
    bits = nats / math.log(2) * len(ids) / len(BOOKS["val"])
    assert result["runs"][0]["held out"] == pytest.approx({"nats per token": nats, "bits per byte": bits}, abs=1e-4)


def test_a_book_that_the_manifest_does_not_describe_is_refused(folder, tmp_path):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / "val.txt").write_text("another", encoding="utf-8")
    with pytest.raises(ValueError, match=r"val\.txt is not the file that"):
        make(tmp_path)


def test_the_stored_result_is_of_the_script_as_it_is():
    stored = json.loads(SCRIPT.with_name("ladder.json").read_text(encoding="utf-8"))
    tokens = LADDER.N_STEPS * LADDER.BATCH * LADDER.CONTEXT
    runs = stored["runs"]
    assert [run["config"] for run in runs] == [LADDER.config_of(*shape).to_dict() for shape in LADDER.SHAPES]
    assert {run["tokens"] for run in runs} == {tokens}
    for run in (*runs, *stored["again"], *stored["on the smallest budget"]):
        config = gc.GPTConfig.from_dict(run["config"])
        assert run["parameters"] == config.n_params
        recipe = LADDER.recipe_of(config, run["seed"], run["tokens"] // (LADDER.BATCH * LADDER.CONTEXT))
        assert run["learning rate"] == recipe.learning_rate
    assert [(run["config"]["d_model"], run["seed"]) for run in stored["again"]] == [
        (width, seed) for seed in LADDER.SEEDS[1:] for _, width in LADDER.SHAPES[: LADDER.AGAIN]
    ]
    assert stored["recipe"]["n_steps"] == LADDER.N_STEPS
    assert SCRIPT.with_name("ladder.json").stat().st_size < 100_000
