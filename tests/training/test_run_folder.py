import contextlib
import dataclasses
import json
import os
import random
import resource
import shutil
import stat
import subprocess
import sys
import threading

import numpy as np
import pytest
from numpy._core._multiarray_umath import __cpu_features__
from support.amounts import few_or_many
from support.damage import damaged

import gptcompare as gc
from gptcompare.checkpoints.formats.safetensors import read_metadata, read_safetensors, write_safetensors
from gptcompare.model import threads
from gptcompare.training import Recipe, loop, read_metrics, train
from gptcompare.training.run_folder import OF_TARGETS, WRITTEN, RunFolder, _described

CONFIG = gc.GPTConfig(n_layer=1, n_head=2, d_model=8, n_ctx=16, n_vocab=100)
TOKENS = np.random.default_rng(0).integers(0, 100, 500).astype(np.uint16)
RECIPE = Recipe(n_steps=12, batch=2, context=16, warmup_steps=2, learning_rate=3e-3, accumulation=2)


def trained(folder=None, seed=0, n_steps=12, optimizer="adamw", **options):
    model = gc.GPT(CONFIG, seed=1)
    recipe = dataclasses.replace(RECIPE, seed=seed, n_steps=n_steps, optimizer=optimizer)
    metrics = train(model, TOKENS, recipe, out=folder, save_every=6, **options)
    return {name: value.tobytes() for name, value in model.parameters().items()}, metrics


def without_speed(metrics):
    return [dataclasses.replace(line, tokens_per_second=0) for line in metrics]


@pytest.fixture(scope="module")
def reference():
    parameters, metrics = trained()
    return parameters, without_speed(metrics)


@pytest.fixture
def stopped(tmp_path, monkeypatch):
    """A run that died after step 8 and was saved at step 6."""
    original = loop._step

    def step_or_stop(model, optimizer, *rest):
        if optimizer.step == 8:
            raise MemoryError
        return original(model, optimizer, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "_step", step_or_stop)
        with pytest.raises(MemoryError):
            trained(tmp_path / "run")
    return tmp_path / "run"


class TestOneProcessAtATime:
    @few_or_many("n", 10, 100)
    def test_of_two_that_start_together_one_trains_and_the_other_changes_nothing(self, tmp_path, n):
        expected = [trained(seed=seed, n_steps=2)[0] for seed in (0, 1)]
        for number in range(n):
            found, barrier, folder = {}, threading.Barrier(2), tmp_path / str(number)

            def begin(seed, found=found, barrier=barrier, folder=folder):
                barrier.wait()
                try:
                    found[seed] = trained(folder, seed=seed, n_steps=2)[0]
                except ValueError as error:
                    found[seed] = str(error)

            both = [threading.Thread(target=begin, args=(seed,)) for seed in (0, 1)]
            for one in both:
                one.start()
            for one in both:
                one.join()
            (winner,) = [seed for seed in (0, 1) if not isinstance(found[seed], str)]
            assert found[winner] == expected[winner]
            assert (
                "another process is training in" in found[1 - winner] or "differs in recipe.seed" in found[1 - winner]
            )
            assert json.loads((folder / "run.json").read_text())["recipe"]["seed"] == winner
            assert [line.step for line in read_metrics(folder)] == [1, 2]

    def test_a_folder_in_use_is_refused_before_a_file_is_read_or_removed(self, tmp_path):
        with RunFolder(tmp_path):
            leftover = tmp_path / ".run.json.1-0123abcd.part"
            leftover.touch()
            (tmp_path / "run.json").write_bytes(b"not read")
            with pytest.raises(
                ValueError, match=r"another process is training in .*: wait for its end, or give another"
            ):
                trained(tmp_path)
            assert leftover.exists()

    def test_an_open_folder_is_taken_and_stays_open(self, tmp_path, reference):
        with RunFolder(tmp_path) as folder:
            assert trained(folder)[0] == reference[0]
            assert (folder.step, folder.saved_step) == (12, 12)
            with pytest.raises(ValueError, match="another process"):
                trained(tmp_path)
        assert trained(tmp_path)[0] == reference[0]

    def test_leftovers_of_its_own_files_go_and_everything_else_stays(self, tmp_path):
        for name in (".state.safetensors.77-0123abcd.part", ".page.html.77-0123abcd.part", ".part", "x.part"):
            (tmp_path / name).touch()
        (tmp_path / ".run.json.77-0123abcd.part").mkdir()
        with RunFolder(tmp_path):
            pass
        assert {path.name for path in tmp_path.iterdir()} == {
            ".lock", ".page.html.77-0123abcd.part", ".part", "x.part", ".run.json.77-0123abcd.part",
        }  # fmt: skip


class TestAFolderRemovedDuringTheRun:
    """As by somebody who begins anew, and has forgotten that the old run still trains."""

    @pytest.fixture
    def removed(self, tmp_path, monkeypatch):
        """Train in a folder that is removed at step 8, after which `then` is called."""

        def run(then=lambda folder: None):
            original, folder = loop._step, tmp_path / "run"

            def step_or_remove(model, optimizer, *rest):
                if optimizer.step == 8:
                    monkeypatch.setattr(loop, "_step", original)
                    shutil.rmtree(folder)
                    then(folder)
                return original(model, optimizer, *rest)

            monkeypatch.setattr(loop, "_step", step_or_remove)
            return folder, trained(folder)[0]

        return run

    def test_the_next_save_puts_it_back(self, removed, reference):
        folder, parameters = removed()
        assert [line.step for line in read_metrics(folder)] == [*range(1, 13)]
        assert without_speed(read_metrics(folder)) == reference[1]
        assert parameters == trained(folder)[0] == reference[0]
        assert without_speed(trained(folder)[1]) == reference[1]

    def test_once_it_is_back_it_is_in_use_again(self, tmp_path, monkeypatch):
        save = RunFolder.save

        def save_and_try(folder, *rest):
            shutil.rmtree(folder.folder)
            save(folder, *rest)
            with pytest.raises(ValueError, match="another process is training in"):
                trained(tmp_path / "run")
            save(folder, *rest)

        monkeypatch.setattr(RunFolder, "save", save_and_try)
        trained(tmp_path / "run")

    def test_the_same_run_begun_in_its_place_is_not_disturbed(self, tmp_path, removed):
        with contextlib.ExitStack() as stack:

            def begin_again(path):
                folder = stack.enter_context(RunFolder(path))
                folder.begin(gc.GPT(CONFIG, seed=1), dataclasses.replace(RECIPE), TOKENS)

            with pytest.raises(ValueError, match="another process is training in"):
                removed(begin_again)
        assert not (tmp_path / "run" / "state.safetensors").exists()

    def test_a_run_that_was_begun_in_its_place_is_left_alone(self, removed, tmp_path):
        with pytest.raises(ValueError, match=r"run has another run now, .*: nothing of this one is saved after step 6"):
            removed(lambda folder: trained(folder, seed=1, n_steps=2))
        before = {path: path.read_bytes() for path in (tmp_path / "run").iterdir()}
        assert trained(tmp_path / "run", seed=1, n_steps=2)[0] == trained(seed=1, n_steps=2)[0]
        assert {path: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


class TestState:
    def altered(self, folder, change, **metadata):
        path = folder / "state.safetensors"
        tensors = {name: np.array(value) for name, value in read_safetensors(path).items()}
        change(tensors)
        with open(path, "wb") as file:
            write_safetensors(file, tensors, **metadata)

    @pytest.mark.parametrize(
        "step", [None, np.array([6.0]), np.array([[6.0]]), np.array(6.0, np.float32), *map(np.array, (np.inf, np.nan,
                 -1.0, 0.0, 6.5, 13.0, 1e300))],
        ids=str,
    )  # fmt: skip
    def test_a_step_that_cannot_be_is_refused(self, stopped, step):
        self.altered(stopped, lambda tensors: tensors.pop("step") if step is None else tensors.update(step=step))
        with pytest.raises(gc.CheckpointError, match=r"state\.safetensors: (step is missing|it is of step)"):
            trained(stopped)

    def test_another_step_or_number_than_was_saved_is_refused(self, stopped):
        path = stopped / "state.safetensors"
        whole = path.read_bytes()
        for place in range(len(whole) - 4000, len(whole), 250):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            with pytest.raises(gc.CheckpointError, match="are not those that were saved"):
                trained(stopped)
        self.altered(stopped, lambda tensors: tensors.update(step=np.array(7.0)), sha256="0" * 64)
        with pytest.raises(gc.CheckpointError, match="are not those that were saved"):
            trained(stopped)

    def test_the_state_of_another_run_is_refused(self, stopped, tmp_path):
        trained(tmp_path / "other", seed=1)
        shutil.copy(tmp_path / "other" / "state.safetensors", stopped)
        with pytest.raises(gc.CheckpointError, match=r"the state of another run\. Put the right one"):
            trained(stopped)

    def test_a_run_of_an_earlier_version_goes_on(self, stopped, reference):
        """It has no digests, and does not say on how many threads its products were computed."""
        self.altered(stopped, lambda tensors: None)
        description = json.loads((stopped / "run.json").read_text())
        for name in ("sha256", "blas_threads", *OF_TARGETS):
            del description[name]
        del description["recipe"]["optimizer"]
        (stopped / "run.json").write_text(json.dumps(description, indent=2))
        parameters, metrics = trained(stopped)
        assert (parameters, without_speed(metrics)) == reference
        assert trained(stopped)[0] == reference[0]
        assert "blas_threads" in json.loads((stopped / "run.json").read_text())

    def of_earlier_version(self, folder):
        """Let the state say what those of the versions did that knew no targets or optimizers."""
        self.altered(folder, lambda tensors: None, sha256=read_metadata(folder / "state.safetensors")["sha256"])

    def test_a_run_of_a_version_without_targets_goes_on(self, stopped, reference):
        self.of_earlier_version(stopped)
        description = json.loads((stopped / "run.json").read_text())
        parts = {name: part for name, part in description.items() if name not in ("sha256", *OF_TARGETS)}
        (stopped / "run.json").write_bytes(_described(parts))
        parameters, metrics = trained(stopped)
        assert (parameters, without_speed(metrics)) == reference
        with pytest.raises(ValueError, match=r"differs in ignore:"):
            trained(stopped, ignore=3)

    def test_a_run_of_a_version_without_optimizers_is_adamw_s(self, stopped, reference):
        self.of_earlier_version(stopped)
        description = json.loads((stopped / "run.json").read_text())
        assert description["recipe"].pop("optimizer") == "adamw"
        del description["sha256"]
        (stopped / "run.json").write_bytes(_described(description))
        with pytest.raises(ValueError, match=r"differs in recipe\.optimizer:"):
            trained(stopped, optimizer="muon")
        parameters, metrics = trained(stopped)
        assert (parameters, without_speed(metrics)) == reference

    def test_a_run_of_muon_keeps_one_array_of_a_matrix_and_goes_on_with_muon_alone(self, tmp_path):
        trained(tmp_path, optimizer="muon")
        names = read_safetensors(tmp_path / "state.safetensors").keys()
        weight = "h.0.mlp.c_fc.weight"
        assert {name for name in names if name.endswith(weight)} == {f"parameter.{weight}", f"momentum.{weight}"}
        assert {"first.wte.weight", "second.wte.weight"} <= names
        with pytest.raises(ValueError, match=r"differs in recipe\.optimizer: give the same settings to resume it"):
            trained(tmp_path)

    @few_or_many("n", 30, 400)
    def test_a_damaged_folder_ends_as_the_whole_one_or_in_one_clear_error(self, stopped, tmp_path, reference, n):
        rng = random.Random(1)
        names = sorted(path.name for path in stopped.iterdir() if path.name != ".lock")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        ends = {}
        for _ in range(n):
            folder = shutil.copytree(stopped, tmp_path / "copy", dirs_exist_ok=False)
            name = rng.choice(names)
            content = damaged((folder / name).read_bytes(), rng)
            (folder / name).write_bytes(content)
            whole = [line for line in read_metrics(folder) if line.step <= 6]
            error = ""
            try:
                parameters, metrics = trained(folder)
            except (ValueError, OSError) as refusal:
                error = str(refusal)
            if error:
                assert f"{folder}/{name}" in error or f"{folder} has a run that differs in" in error
            else:
                assert parameters == reference[0]
                assert [line for line in whole if line not in metrics] == []
                assert without_speed(metrics)[-6:] == reference[1][-6:]
            ends[name] = ends.get(name, 0) + 1
            shutil.rmtree(folder)
        assert len(ends) == len(names)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


def test_leftovers_are_looked_for_of_every_file_that_a_run_writes(tmp_path):
    tokenizer = gc.Tokenizer.train(["a"], 257)
    model = gc.GPT(dataclasses.replace(CONFIG, n_vocab=257), seed=1)
    train(model, TOKENS, RECIPE, out=tmp_path, tokenizer=tokenizer)
    assert {path.name for path in tmp_path.iterdir()} - {".lock"} <= {*WRITTEN}
    assert (tmp_path / "generation_config.json").exists()


class TestWhatItIsComparedBy:
    def test_how_to_train_on_is_said_where_there_is_a_model(self, stopped, tmp_path):
        with pytest.raises(
            ValueError, match=rf"differs in recipe\.n_steps: .*give another folder, and --init {stopped}"
        ):
            trained(stopped, n_steps=20)
        with RunFolder(tmp_path / "new") as folder:
            folder.begin(gc.GPT(CONFIG, seed=1), RECIPE, TOKENS)
        with pytest.raises(ValueError, match=r"differs in recipe\.n_steps: .*, or another folder$"):
            trained(tmp_path / "new", n_steps=20)

    def test_the_number_of_threads_that_it_began_with_is_used_where_it_is_resumed(self, stopped, monkeypatch):
        description = json.loads((stopped / "run.json").read_text())
        used = []
        monkeypatch.setattr(loop, "products_on", lambda n: used.append(n) or threads.single_threaded())
        monkeypatch.setattr(threads._blas, "get", lambda: 7)
        monkeypatch.setattr(threads._blas, "set", lambda n: None)  # else seven threads would stay after the test
        trained(stopped)
        assert used == [description["blas_threads"]] != [7]

    @pytest.mark.parametrize("then", [True, False])
    def test_a_run_begun_with_another_kind_of_blas_is_refused(self, tmp_path, monkeypatch, then):
        for can_be_set in (then, not then):
            monkeypatch.setattr(loop, "n_threads_if_known", lambda known=can_be_set: 1 if known else None)
            monkeypatch.setattr("gptcompare.training.run_folder.n_threads_if_known", loop.n_threads_if_known)
            if can_be_set is then:
                trained(tmp_path)
                trained(tmp_path)
        with pytest.raises(ValueError, match="cannot go on bit for bit: the number of threads of NumPy's BLAS"):
            trained(tmp_path)

    def test_a_description_that_was_changed_by_hand_is_refused(self, stopped):
        text = (stopped / "run.json").read_text()
        (stopped / "run.json").write_text(text.replace('"blas_threads": ', '"blas_threads": 1'))
        with pytest.raises(ValueError, match=r"run\.json: damaged; give another folder"):
            trained(stopped)


BITS = """
import sys, numpy as np, gptcompare as gc
from gptcompare.training import Recipe, train
model = gc.GPT(gc.GPTConfig(n_layer=1, n_head=2, d_model=128, n_ctx=256, n_vocab=512), seed=1)
tokens = np.random.default_rng(0).integers(0, 512, 4000).astype(np.uint16)
recipe = Recipe(n_steps=2, batch=4, context=256, warmup_steps=1, accumulation=int(sys.argv[1]))
train(model, tokens, recipe, threads=int(sys.argv[2]), out=sys.argv[3])
import hashlib
print(hashlib.sha256(b"".join(value.tobytes() for value in model.parameters().values())).hexdigest())
"""


def bits(accumulation, n_threads, blas_threads, folder):
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": str(blas_threads)}
    if __cpu_features__.get("AVX2"):
        environment["OPENBLAS_CORETYPE"] = "Haswell"  # whose bits depend on the number of threads; others' may not
    command = [sys.executable, "-c", BITS, str(accumulation), str(n_threads), str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def test_neither_threads_nor_the_blas_s_own_change_a_bit_of_a_batch_in_parts(tmp_path):
    """Once 2 threads of BLAS made --threads 1 and 2 end with other bits."""
    found = {bits(2, n, blas, tmp_path / f"{n}-{blas}") for n, blas in ((1, 2), (2, 1))}
    assert len(found) == 1


def test_a_run_goes_on_with_the_bits_that_it_began_with_whatever_the_number_of_threads_is_now(tmp_path):
    begun = bits(1, 1, 2, tmp_path)
    (tmp_path / "state.safetensors").unlink()
    assert bits(1, 1, 1, tmp_path) == begun


def test_a_disk_that_is_full_is_an_error_that_names_the_file(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*run\.json'"):
        trained(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_files_keep_the_permissions_that_they_were_given(stopped):
    for name in ("state.safetensors", "model.safetensors", "metrics.csv"):
        (stopped / name).chmod(0o640)
    trained(stopped)
    for name in ("state.safetensors", "model.safetensors", "metrics.csv"):
        assert stat.S_IMODE((stopped / name).stat().st_mode) == 0o640


def test_a_clock_that_stands_still_is_no_error(monkeypatch, tmp_path):
    monkeypatch.setattr(loop.time, "perf_counter", lambda: 1.0)
    trained(tmp_path)
    assert {line.tokens_per_second for line in read_metrics(tmp_path)} == {0.0}
