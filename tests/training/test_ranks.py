"""Ranks that share out the parts of a batch give the parameters of one process, bit for bit."""

import numpy as np
import pytest
from support import mpi
from support.ranks import on_ranks

import gptcompare as gc
from gptcompare.training import Recipe, ranks, read_metrics, train

CONFIG = gc.GPTConfig(n_layer=2, n_head=2, d_model=16, n_ctx=24, n_vocab=300, d_mlp=40)
TOKENS = np.random.default_rng(0).integers(0, 300, 4000).astype(np.uint16)
RECIPE = Recipe(n_steps=4, batch=12, context=24, accumulation=6, dropout=0.1, learning_rate=3e-3, warmup_steps=1)


def trained(comm=None, recipe=RECIPE, **options):
    """The parameters after a run, and the losses that it returns."""
    model = gc.GPT(CONFIG, seed=1)
    metrics = train(model, TOKENS, recipe, validation=TOKENS[:500], parallel=comm, **options)
    return model.parameters(), [(line.loss, line.gradient_norm, line.validation_loss) for line in metrics]


def assert_the_same_bits(results):
    (parameters, losses), *others = results
    for other, its_losses in others:
        assert its_losses == losses
        for name, value in parameters.items():
            np.testing.assert_array_equal(other[name], value)


@pytest.mark.parametrize("n", [2, 3, 4, 8])
def test_any_number_of_ranks_gives_the_parameters_and_losses_of_one_process_on_each(n):
    assert_the_same_bits([trained(), *on_ranks(n, trained)])


def test_threads_of_each_rank_change_no_bit():
    assert_the_same_bits([trained(), *on_ranks(2, lambda comm: trained(comm, threads=2))])


def test_one_part_leaves_nothing_to_the_other_ranks():
    recipe = Recipe(n_steps=2, batch=2, context=24)
    assert_the_same_bits([trained(recipe=recipe), *on_ranks(3, lambda comm: trained(comm, recipe))])


def test_parts_in_which_no_target_counts_are_left_out_on_all_ranks():
    ignored = TOKENS.astype(int)
    ignored[:2500] = -100

    def of(comm):
        return trained(comm, targets=ignored, ignore=-100)

    assert_the_same_bits([of(None), *on_ranks(3, of)])


def test_a_run_goes_on_with_another_number_of_ranks(tmp_path, monkeypatch):
    whole = trained()
    original = ranks.Leader.map

    def until_step_2(self, gradients_of, parts):
        if parts[0].step == 2:
            raise RuntimeError("stopped")
        return original(self, gradients_of, parts)

    monkeypatch.setattr(ranks.Leader, "map", until_step_2)
    with pytest.raises(RuntimeError, match="stopped"):
        on_ranks(3, lambda comm: trained(comm, out=tmp_path / "run", save_every=1))
    monkeypatch.setattr(ranks.Leader, "map", original)
    resumed = on_ranks(2, lambda comm: trained(comm, out=tmp_path / "run", save_every=1))
    assert_the_same_bits([whole, *resumed])
    assert [line.step for line in read_metrics(tmp_path / "run")] == [1, 2, 3, 4]


class TestCommand:
    pytestmark = mpi.needs_mpi
    OPTIONS = ("--config", "config.json", "--steps", "3", "--batch", "4", "--accumulation", "4", "--context", "16")

    def run(self, n, out, folder, *options):
        return mpi.command(n, "train", "text.txt", "--out", out, *self.OPTIONS, *options, cwd=folder)

    @pytest.fixture
    def folder(self, tmp_path):
        (tmp_path / "text.txt").write_text("There was once a king who had three daughters. " * 40)
        (tmp_path / "config.json").write_text('{"n_layer": 1, "n_head": 2, "d_model": 8, "n_ctx": 16, "n_vocab": 270}')
        return tmp_path

    @pytest.mark.parametrize("n", [2, 3])
    def test_several_ranks_leave_the_files_of_one(self, folder, n):
        assert self.run(1, "alone", folder)[0] == 0
        status, out, err = self.run(n, "together", folder, "--mpi")
        assert status == 0, err
        assert out.count("\n") == 1
        for name in ("state.safetensors", "model.safetensors", "vocab.json"):
            assert (folder / "together" / name).read_bytes() == (folder / "alone" / name).read_bytes()

    def test_ranks_without_a_part_are_told_of(self, folder):
        status, _, err = self.run(3, "run", folder, "--mpi", "--accumulation", "2")
        assert status == 0
        assert "hint: 2 of the 3 ranks have something to do: --accumulation 3 gives each a part\n" in err
