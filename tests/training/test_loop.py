import dataclasses
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from unittest.mock import Mock

import numpy as np
import pytest
from support.amounts import few_or_many

import gptcompare as gc
from gptcompare.model.threads import map_on_threads
from gptcompare.training import DivergedError, Recipe, loop, ranks, read_metrics, train
from gptcompare.training.batches import Batches
from gptcompare.training.recipe import OPTIMIZERS

CONFIG = gc.GPTConfig(
    n_layer=2, n_head=2, d_model=16, n_ctx=24, n_vocab=300, attention=("dense", "banded"), band_width=5
)
TOKENS = np.random.default_rng(0).integers(0, 300, 4000).astype(np.uint16)
RECIPE = Recipe(n_steps=30, batch=4, context=24, warmup_steps=5, learning_rate=3e-3)


def parameters_after(**options):
    model = gc.GPT(CONFIG, seed=1)
    train(model, TOKENS, options.pop("recipe", RECIPE), **options)
    return model.parameters()


def assert_identical(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert np.array_equal(value, theirs[name]), name


class Stopped(Exception):  # noqa: N818  not an error, but a stop at a chosen step
    pass


def stop_before(step, monkeypatch):
    """Let a run die before a step."""
    original = loop._step

    def step_or_stop(model, optimizer, *rest):
        if optimizer.step == step:
            raise Stopped
        return original(model, optimizer, *rest)

    monkeypatch.setattr(loop, "_step", step_or_stop)


class TestLearning:
    @pytest.mark.parametrize("optimizer", OPTIMIZERS)
    @pytest.mark.parametrize("attention", [("dense",), ("dense", "banded")], ids=str)
    def test_one_batch_can_be_learned_by_heart(self, attention, optimizer):
        config = dataclasses.replace(CONFIG, attention=attention, band_width=5 if "banded" in attention else None)
        model = gc.GPT(dataclasses.replace(config, d_model=64), seed=0)
        recipe = Recipe(n_steps=250, batch=4, context=24, learning_rate=5e-3, weight_decay=0.0, optimizer=optimizer)
        row = np.random.default_rng(1).permutation(300)[:48].astype(np.uint16)
        metrics = train(model, row, recipe)
        assert metrics[0].loss > 5
        assert metrics[-1].loss < 0.01

    def test_the_loss_begins_at_that_of_a_guess_and_falls(self):
        metrics = train(gc.GPT(CONFIG, seed=0), TOKENS % 7, RECIPE)
        assert metrics[0].loss == pytest.approx(math.log(300), abs=0.1)
        assert metrics[-1].loss < metrics[0].loss - 1
        assert [line.step for line in metrics] == list(range(1, 31))
        assert metrics[-1].tokens == 30 * 4 * 24

    def test_a_batch_in_parts_is_the_same_batch(self):
        whole, parts = (parameters_after(recipe=dataclasses.replace(RECIPE, accumulation=n, eps=1e-3)) for n in (1, 4))
        for name, value in whole.items():
            np.testing.assert_allclose(parts[name], value, atol=1e-5)

    @pytest.mark.parametrize(("threads", "optimizer"), [(2, "adamw"), (3, "adamw"), (4, "adamw"), (3, "muon")])
    def test_the_number_of_threads_changes_no_bit(self, threads, optimizer):
        recipe = dataclasses.replace(RECIPE, accumulation=4, dropout=0.1, optimizer=optimizer)
        assert_identical(parameters_after(recipe=recipe, threads=threads), parameters_after(recipe=recipe))

    def test_a_seed_is_a_run(self):
        assert_identical(parameters_after(), parameters_after())
        other = parameters_after(recipe=dataclasses.replace(RECIPE, seed=7))
        assert not np.array_equal(other["wte.weight"], parameters_after()["wte.weight"])

    def test_dropout_is_used(self):
        dropped = parameters_after(recipe=dataclasses.replace(RECIPE, dropout=0.2))
        assert not np.array_equal(dropped["wte.weight"], parameters_after()["wte.weight"])

    def test_the_validation_loss_is_that_of_the_model(self, tmp_path):
        model = gc.GPT(CONFIG, seed=0)
        validation = TOKENS[:300]
        metrics = train(model, TOKENS, RECIPE, validation=validation, validate_every=10)
        assert [line.step for line in metrics if line.validation_loss is not None] == [10, 20, 30]
        losses = []
        for start in np.linspace(0, 300 - 25, 299 // 24).astype(int):
            row = validation[start : start + 25].astype(int)
            logits = model(row[:-1]).astype(np.float64)
            logprobs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
            losses.append(-logprobs[np.arange(24), row[1:]].mean())
        assert metrics[-1].validation_loss == pytest.approx(np.mean(losses), rel=1e-5)


class TestTargetsThatDoNotCount:
    ROWS = TOKENS[:3600].reshape(150, 24)
    COUNTED = np.random.default_rng(5).random((150, 24)) < 0.3
    TARGETS = np.where(COUNTED, np.roll(ROWS, 3, axis=1).astype(int), -100)

    def parameters_after(self, targets=TARGETS, **options):
        return parameters_after(targets=targets, ignore=-100, **options)

    def test_the_tokens_after_their_own_as_targets_are_the_same_run(self):
        model = gc.GPT(CONFIG, seed=1)
        train(model, TOKENS[:-1], RECIPE, targets=TOKENS[1:], ignore=-100)
        assert_identical(model.parameters(), parameters_after())

    @pytest.mark.parametrize("n", [2, 4])
    def test_a_batch_in_parts_is_the_same_batch_whatever_counts_in_each(self, n):
        """Some parts have more targets that count than others, and some have none."""
        targets = np.where(np.arange(150)[:, None] % 4, self.TARGETS, -100)
        runs = [gc.GPT(CONFIG, seed=1) for _ in range(2)]
        losses = []
        for model, accumulation in zip(runs, (1, n), strict=True):
            recipe = dataclasses.replace(RECIPE, accumulation=accumulation, eps=1e-3)
            metrics = train(model, self.ROWS, recipe, targets=targets, ignore=-100)
            losses.append([line.loss for line in metrics])
        np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
        for name, value in runs[0].parameters().items():
            np.testing.assert_allclose(runs[1].parameters()[name], value, atol=1e-5)

    def test_a_part_s_gradients_weigh_as_many_as_count_in_it(self):
        model = gc.GPT(CONFIG, seed=1, dtype=np.float64)
        ids, targets = self.ROWS[:4].astype(int), self.TARGETS[:4].copy()
        targets[1], targets[2, 1:] = -100, -100  # none, and at most one
        with map_on_threads(2) as map_parts:
            (loss, grads), (of_parts, of_parts_grads) = (
                loop.accumulated(model, ids, targets, dataclasses.replace(RECIPE, accumulation=n), 0, map_parts, -100)
                for n in (1, 4)
            )
        assert of_parts == pytest.approx(loss, rel=1e-12)
        for name, grad in grads.items():
            np.testing.assert_allclose(of_parts_grads[name], grad, atol=1e-12)

    def test_the_validation_loss_is_the_mean_over_those_that_count(self):
        model = gc.GPT(CONFIG, seed=1)
        rows, targets = self.ROWS[:50], self.TARGETS[:50]
        options = {"validation": rows, "validation_targets": targets, "ignore": -100}
        (*_, line) = train(model, TOKENS, RECIPE, **options)
        logits = model(rows).astype(np.float64)
        logprobs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        picked = np.take_along_axis(logprobs, np.where(targets == -100, 0, targets)[..., None], -1)[..., 0]
        assert line.validation_loss == pytest.approx(-picked[targets != -100].mean(), rel=1e-5)

    def test_only_what_counts_is_learned(self):
        """The last token of each row repeats the first; all others are random, and stay unlearned."""
        rng = np.random.default_rng(0)
        rows = rng.integers(0, 10, (400, 5))
        targets = np.full_like(rows, -100)
        targets[:, -1] = rows[:, 0]
        config = gc.GPTConfig(n_layer=1, n_head=2, d_model=32, n_ctx=5, n_vocab=10)
        model = gc.GPT(config, seed=0)
        recipe = Recipe(n_steps=150, batch=32, context=5, warmup_steps=10, learning_rate=1e-2)
        metrics = train(model, rows[:300], recipe, targets=targets[:300], ignore=-100)
        assert metrics[-1].loss < 0.1
        assert (model(rows[300:])[:, -1].argmax(-1) == targets[300:, -1]).mean() > 0.95

    def test_a_run_that_died_goes_on_and_ends_as_if_it_had_not(self, tmp_path, monkeypatch):
        def after(**options):
            model = gc.GPT(CONFIG, seed=1)
            recipe = dataclasses.replace(RECIPE, accumulation=2, dropout=0.1)
            train(model, self.ROWS, recipe, targets=self.TARGETS, ignore=-100, save_every=7, **options)
            return model.parameters()

        with monkeypatch.context() as patch:
            stop_before(17, patch)
            with pytest.raises(Stopped):
                after(out=tmp_path)
        assert_identical(after(out=tmp_path), after())

    def test_another_run_is_not_mixed_into_it(self, tmp_path):
        rows, targets, more = self.ROWS, np.abs(self.TARGETS), {"validation": self.ROWS, "save_every": 30}

        def trained(targets, **options):
            train(gc.GPT(CONFIG, seed=1), rows, RECIPE, targets=targets, out=tmp_path, **more, **options)

        trained(targets, ignore=100, validation_targets=targets)
        for others, options, differs in (
            (rows, {"ignore": 100, "validation_targets": targets}, "targets"),
            (targets, {"ignore": 100, "validation_targets": rows}, "validation_targets"),
            (targets, {"ignore": 7, "validation_targets": targets}, "ignore"),
            (targets, {"validation_targets": targets}, "ignore"),
            (rows, {"validation_targets": rows}, "targets, validation_targets, ignore"),
        ):
            with pytest.raises(ValueError, match=f"a run that differs in {differs}:"):
                trained(others, **options)


@pytest.mark.reference
@pytest.mark.parametrize("ignore", [None, -100])
def test_two_hundred_steps_track_pytorch_s_loss(torch, transformers, ignore):
    """The same recipe by transformers' model, autograd, torch.optim and its clipping, from the same parameters."""
    recipe = Recipe(n_steps=200, batch=4, context=24, warmup_steps=20, learning_rate=2e-3)
    model = gc.GPT(dataclasses.replace(CONFIG, attention=("dense",), band_width=None), seed=3)
    theirs = as_transformers(transformers, torch, model)
    groups = [
        {"params": [p for p in theirs.parameters() if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in theirs.parameters() if p.ndim == 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, betas=recipe.betas, eps=recipe.eps)
    tokens = (np.cumsum(TOKENS) % 97).astype(np.uint16)
    of_their_own = None if ignore is None else np.where(tokens % 3, np.roll(tokens, -1).astype(int), ignore)
    batches = Batches(tokens, recipe.batch, recipe.context, recipe.seed, of_their_own, ignore)
    expected = []
    for step in range(recipe.n_steps):
        ids, targets = (torch.tensor(array) for array in batches[step])
        logits = theirs(ids).logits
        mark = {} if ignore is None else {"ignore_index": ignore}
        loss = torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), targets.reshape(-1), **mark)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), recipe.gradient_clip)
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate_at(step)
        optimizer.step()
        expected.append(loss.item())
    metrics = train(model, tokens, recipe, targets=of_their_own, ignore=ignore)
    assert expected[-1] < expected[0] - 1
    np.testing.assert_allclose([line.loss for line in metrics], expected, rtol=1e-4)


def as_transformers(transformers, torch, model):
    """transformers' GPT-2 with the same parameters."""
    config = model.config
    sizes = {"n_positions": config.n_ctx, "n_embd": config.d_model, "n_layer": config.n_layer, "n_head": config.n_head}
    no_dropout = {"resid_pdrop": 0, "embd_pdrop": 0, "attn_pdrop": 0}
    theirs = transformers.GPT2LMHeadModel(transformers.GPT2Config(vocab_size=config.n_vocab, **sizes, **no_dropout))
    state = {f"transformer.{name}": torch.tensor(value.copy()) for name, value in model.parameters().items()}
    theirs.load_state_dict({**state, "lm_head.weight": state["transformer.wte.weight"]})
    return theirs


class TestStops:
    @pytest.mark.parametrize("optimizer", OPTIMIZERS)
    @pytest.mark.parametrize("save_every", [1, 7, 1000])
    def test_a_run_that_died_goes_on_and_ends_as_if_it_had_not(self, tmp_path, monkeypatch, save_every, optimizer):
        dropping = dataclasses.replace(RECIPE, dropout=0.1, accumulation=2, optimizer=optimizer)
        for step in (3, 8, 20, 29):
            with monkeypatch.context() as patch:
                stop_before(step, patch)
                with pytest.raises(Stopped):
                    parameters_after(recipe=dropping, out=tmp_path, save_every=save_every)
        assert_identical(
            parameters_after(recipe=dropping, out=tmp_path, save_every=save_every), parameters_after(recipe=dropping)
        )
        assert [line.step for line in read_metrics(tmp_path)] == list(range(1, 31))

    def test_a_finished_run_is_only_read(self, tmp_path, monkeypatch):
        first = parameters_after(out=tmp_path)
        stop_before(30, monkeypatch)
        assert_identical(parameters_after(out=tmp_path), first)

    def test_a_kill_between_state_and_model_of_the_last_save_costs_nothing(self, tmp_path, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr(gc.GPT, "save_pretrained", Mock(side_effect=Stopped))
            with pytest.raises(Stopped):
                parameters_after(out=tmp_path)
        parameters_after(out=tmp_path)
        assert_identical(gc.GPT.from_pretrained(tmp_path).parameters(), parameters_after())

    def test_what_is_saved_is_good_for_another_step(self, tmp_path):
        """The loss of a step is that of before its update, which may be the one that ruins the model."""
        wild = dataclasses.replace(RECIPE, learning_rate=1e30, gradient_clip=0.0, warmup_steps=0)
        with pytest.raises(
            DivergedError, match=r"step 1: the loss after it is nan.*Nothing was saved before: begin anew"
        ):
            parameters_after(recipe=wild, out=tmp_path, save_every=1)
        assert not (tmp_path / "model.safetensors").exists()
        with pytest.raises(DivergedError):
            parameters_after(recipe=dataclasses.replace(wild, n_steps=1), out=tmp_path / "last")

    def test_two_processes_do_not_train_in_one_folder(self, tmp_path):
        recipe = Recipe(n_steps=10**6, batch=2, context=24)
        process = start(tmp_path, recipe)
        wait_for_a_step(process, tmp_path, 1)
        with pytest.raises(ValueError, match="another process is training in"):
            parameters_after(recipe=recipe, out=tmp_path)
        process.kill()
        process.communicate()

    def test_ctrl_c_during_the_last_save_is_not_forgotten(self, tmp_path, monkeypatch):
        original = gc.GPT.save_pretrained

        def interrupted(model, folder):
            os.kill(os.getpid(), signal.SIGINT)
            original(model, folder)

        monkeypatch.setattr(gc.GPT, "save_pretrained", interrupted)
        with pytest.raises(KeyboardInterrupt):
            parameters_after(out=tmp_path)
        assert_identical(gc.GPT.from_pretrained(tmp_path).parameters(), parameters_after())

    def test_the_handler_of_before_is_there_again_afterwards(self):
        before = signal.getsignal(signal.SIGINT)
        parameters_after()
        assert signal.getsignal(signal.SIGINT) is before

    def test_files_of_killed_saves_are_removed(self, tmp_path):
        parameters_after(out=tmp_path)
        (tmp_path / ".state.safetensors.1-0123abcd.part").touch()
        parameters_after(out=tmp_path)
        assert not list(tmp_path.glob(".*.part"))

    @few_or_many("n_kills", 6, 20)
    def test_killed_at_random_moments_it_ends_with_the_same_bits(self, tmp_path, n_kills):
        recipe = Recipe(n_steps=75 * n_kills, batch=2, context=24, warmup_steps=5)
        rng = random.Random(0)
        steps = []
        for _ in range(n_kills):
            process = start(tmp_path, recipe)
            wait_for_a_step(process, tmp_path, len(read_metrics(tmp_path)))
            time.sleep(rng.uniform(0, 0.15))
            process.kill()
            process.communicate()
            steps.append(len(read_metrics(tmp_path)))
        assert n_kills < steps[-1] < recipe.n_steps, steps
        process = start(tmp_path, recipe)
        process.communicate()
        assert process.returncode == 0
        assert_identical(gc.GPT.from_pretrained(tmp_path).parameters(), parameters_after(recipe=recipe))
        assert [line.step for line in read_metrics(tmp_path)] == list(range(1, recipe.n_steps + 1))

    def test_ctrl_c_ends_after_the_step_and_saves(self, tmp_path):
        recipe = Recipe(n_steps=10**6, batch=2, context=24)
        process = start(tmp_path, recipe)
        wait_for_a_step(process, tmp_path, 50)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert b"KeyboardInterrupt" in err
        steps = [line.step for line in read_metrics(tmp_path)]
        assert steps == list(range(1, len(steps) + 1))
        model = gc.GPT(CONFIG, seed=1)
        assert_identical(
            gc.GPT.from_pretrained(tmp_path).parameters(), run_without_a_stop(model, recipe, n_steps=len(steps))
        )

    def test_it_runs_outside_of_the_main_thread(self, tmp_path):
        thread = threading.Thread(target=parameters_after, kwargs={"out": tmp_path})
        thread.start()
        thread.join()
        assert len(read_metrics(tmp_path)) == 30

    @pytest.mark.parametrize("what", ["loss", "gradient"])
    def test_what_is_not_finite_stops_the_run_and_keeps_the_last_save(self, tmp_path, monkeypatch, what):
        original = ranks.loss_and_grads
        n_calls = []

        def diverging(model, *arguments, **options):
            loss, grads = original(model, *arguments, **options)
            n_calls.append(1)
            if len(n_calls) == 18:
                if what == "loss":
                    loss = math.nan
                else:
                    grads["wte.weight"][3, 3] = math.inf
            return loss, grads

        monkeypatch.setattr(ranks, "loss_and_grads", diverging)
        with pytest.raises(DivergedError, match=r"step 18: the loss is .* What was saved at step 10 is unchanged"):
            parameters_after(out=tmp_path, save_every=10)
        saved = gc.GPT.from_pretrained(tmp_path).parameters()
        monkeypatch.undo()
        assert_identical(saved, run_without_a_stop(gc.GPT(CONFIG, seed=1), RECIPE, n_steps=10))
        assert_identical(parameters_after(out=tmp_path), parameters_after())


def run_without_a_stop(model, recipe, n_steps):
    """The first steps of a run."""
    optimizer = loop.AdamW(model.parameters(), recipe)
    batches = Batches(TOKENS, recipe.batch, recipe.context, recipe.seed)
    for _ in range(n_steps):
        loop._step(model, optimizer, batches, recipe, map)
    return model.parameters()


DRIVER = """
import json, sys
import numpy as np
import gptcompare as gc
from gptcompare.training import Recipe, train
config, recipe, folder = json.loads(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3]
tokens = np.random.default_rng(0).integers(0, 300, 4000).astype(np.uint16)
train(gc.GPT(gc.GPTConfig.from_dict(config), seed=1), tokens, Recipe(**recipe), out=folder, save_every=20)
"""


def start(folder, recipe):
    settings = [json.dumps(CONFIG.to_dict()), json.dumps(dataclasses.asdict(recipe)), str(folder)]
    return subprocess.Popen([sys.executable, "-c", DRIVER, *settings], stderr=subprocess.PIPE)


def wait_for_a_step(process, folder, after):
    """Until the metrics have grown by a line or more beyond what a new process keeps of them."""
    metrics = folder / "metrics.csv"
    before = metrics.stat().st_mtime_ns if metrics.exists() else 0
    while process.poll() is None:
        if metrics.exists() and metrics.stat().st_mtime_ns > before and len(read_metrics(folder)) > min(after, 50):
            return
        time.sleep(0.005)


class TestTheFolder:
    def test_it_opens_as_a_language_model(self, tmp_path, story):
        config = dataclasses.replace(CONFIG, n_vocab=story.tokenizer.n_vocab)
        model = gc.GPT(config, seed=0)
        train(model, TOKENS, Recipe(n_steps=2, batch=2, context=24), out=tmp_path, tokenizer=story.tokenizer)
        lm = gc.load(tmp_path)
        assert lm.config == config
        assert_identical(lm.model.parameters(), model.parameters())
        assert lm.tokenizer.encode("Once upon a time") == story.tokenizer.encode("Once upon a time")

    def test_metrics_are_read_as_they_were_written(self, tmp_path):
        model = gc.GPT(CONFIG, seed=0)
        metrics = train(model, TOKENS, RECIPE, validation=TOKENS, validate_every=7, out=tmp_path)
        assert read_metrics(tmp_path) == metrics

    def test_a_run_whose_metrics_are_gone_goes_on(self, tmp_path):
        parameters_after(out=tmp_path)
        (tmp_path / "metrics.csv").unlink()
        assert train(gc.GPT(CONFIG, seed=1), TOKENS, RECIPE, out=tmp_path) == []

    def test_a_model_that_is_not_of_a_run_is_not_written_over(self, tmp_path):
        gc.GPT(CONFIG, seed=7).save_pretrained(tmp_path)
        before = (tmp_path / "model.safetensors").read_bytes()
        with pytest.raises(ValueError, match=r"has what no run has saved there \(config\.json, model\.safetensors\)"):
            parameters_after(out=tmp_path)
        assert (tmp_path / "model.safetensors").read_bytes() == before

    @pytest.mark.parametrize("damage", ["empty", "cut", "other"])
    def test_a_damaged_state_is_refused_and_nothing_is_changed(self, tmp_path, damage):
        parameters_after(out=tmp_path)
        path = tmp_path / "state.safetensors"
        whole = path.read_bytes()
        if damage == "other":
            shutil.copy(tmp_path / "model.safetensors", path)
        else:
            path.write_bytes(whole[: len(whole) // 2] if damage == "cut" else b"")
        model = gc.GPT(CONFIG, seed=1)
        with pytest.raises(gc.CheckpointError, match=r"state\.safetensors"):
            train(model, TOKENS, RECIPE, out=tmp_path)
        assert_identical(model.parameters(), gc.GPT(CONFIG, seed=1).parameters())

    def test_another_run_is_not_mixed_into_it(self, tmp_path):
        parameters_after(out=tmp_path)
        with pytest.raises(ValueError, match=r"a run that differs in recipe\.learning_rate, recipe\.seed"):
            parameters_after(recipe=dataclasses.replace(RECIPE, learning_rate=1e-5, seed=3), out=tmp_path)
        with pytest.raises(ValueError, match="differs in tokens"):
            train(gc.GPT(CONFIG, seed=1), TOKENS[1:], RECIPE, out=tmp_path)
        with pytest.raises(ValueError, match=r"differs in config\.d_model"):
            train(gc.GPT(dataclasses.replace(CONFIG, d_model=32), seed=1), TOKENS, RECIPE, out=tmp_path)
        with pytest.raises(ValueError, match="differs in parameters:"):
            train(gc.GPT(CONFIG, seed=2), TOKENS, RECIPE, out=tmp_path)
        with pytest.raises(ValueError, match="differs in dtype, parameters:"):
            train(gc.GPT(CONFIG, seed=1, dtype=np.float64), TOKENS, RECIPE, out=tmp_path)
        with pytest.raises(ValueError, match="differs in validation:"):
            train(gc.GPT(CONFIG, seed=1), TOKENS, RECIPE, validation=TOKENS, out=tmp_path)

    @pytest.mark.parametrize("damage", [b"", b"[]", b"{}", b"nonsense"])
    def test_a_damaged_description_is_refused(self, tmp_path, damage):
        parameters_after(out=tmp_path)
        (tmp_path / "run.json").write_bytes(damage)
        with pytest.raises(ValueError, match=r"run\.json: damaged; give another folder"):
            parameters_after(out=tmp_path)


@pytest.mark.parametrize(
    ("tokens", "recipe", "words"),
    [
        (TOKENS, dataclasses.replace(RECIPE, context=25), "sequences of 25 tokens are longer than the model's 24"),
        (TOKENS[:20], RECIPE, "tokens has 20 tokens, too few for one sequence of 24"),
        (TOKENS[:30], RECIPE, "30 tokens are too few"),
        (TOKENS + 1, RECIPE, "tokens has id 300, the model's vocabulary has 300 ids"),
        (TOKENS.astype(np.int64) - 1, RECIPE, "tokens has id -1"),
    ],
    ids=["long", "few", "too few", "large", "negative"],
)
def test_what_cannot_be_trained_on_is_refused_before_anything_is_written(tmp_path, tokens, recipe, words):
    with pytest.raises(ValueError, match=words):
        train(gc.GPT(CONFIG), tokens, recipe, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"save_every": 0}, "save_every must be at least 1, got 0"),
        ({"validate_every": -1}, "validate_every must be at least 1, got -1"),
        ({"validate_every": 2.0}, "validate_every must be an integer, got 2.0"),
        ({"threads": 1.5}, "threads must be an integer, got 1.5"),
        ({"threads": 2}, "2 threads need as many parts of a batch, but accumulation is 1"),
        ({"validation": TOKENS[:10]}, "validation has 10 tokens, too few"),
        ({"validation": TOKENS[None]}, r"validation has shape \(1, 4000\).* the context must be 3999"),
        ({"validation": TOKENS.tolist()}, "validation must be an array of integers, one row or whole .*, got list"),
        ({"targets": TOKENS[1:]}, r"targets has shape \(3999,\), tokens \(4000,\): each token needs one"),
        ({"targets": TOKENS / 2}, "targets must be an array of integers"),
        ({"targets": TOKENS - 300}, "targets has id"),
        ({"targets": np.where(TOKENS < 200, TOKENS.astype(int), -100)}, "targets has id -100, .* give ignore=-100"),
        ({"targets": np.full(4000, -100), "ignore": -100}, "no target counts in the batch of step 1, all are -100"),
        ({"ignore": 1.5}, "ignore must be an integer, got 1.5"),
        ({"validation_targets": TOKENS}, "validation_targets need validation"),
        ({"validation": TOKENS, "validation_targets": TOKENS[1:]}, r"validation_targets has shape \(3999,\)"),
        (
            {"validation": TOKENS, "validation_targets": np.full(4000, -1), "ignore": -1},
            "no target counts in the sequences for the validation loss, all are -1",
        ),
        ({"tokenizer": gc.Tokenizer.from_pretrained("gpt2")}, "the tokenizer has 50257 ids, the model only 300"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_an_option_that_makes_no_sense_is_refused_before_anything_is_written(tmp_path, options, words):
    with pytest.raises((TypeError, ValueError), match=words):
        train(gc.GPT(CONFIG), TOKENS, RECIPE, out=tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()
