"""The command on MPI's ranks: the first speaks for all, and the end of one is the end of all."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
from support import mpi

import gptcompare as gc

pytestmark = mpi.needs_mpi
LAST_SAVED = "generation_config.json"  # a run's first save begins with its state and ends with this file
PROGRAM = str(Path(__file__).parents[1] / "support" / "rank_program.py")
TEXT = "There was once a king who had three daughters, and the youngest was the fairest of them all. " * 60
PARTS = ("--batch", "4", "--context", "32", "--accumulation", "4")
COMMANDS = {
    "generate": ("generate", "Once upon a time", "--max-new-tokens", "480", "--mpi"),
    "train": (
        "train", "text.txt", "--init", "nano-gpt2", "--out", "run", "--steps", "400", *PARTS, "--save-every", "1",
        "--mpi",
    ),
    "evaluate": ("evaluate", "--task", "text", "--data", "text.txt", "--stride", "8", "--out", "run", "--mpi"),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "text.txt").write_text(TEXT)
    (tmp_path / "pids").mkdir()
    return tmp_path


def start(n, folder, *command, fault="none"):
    """Start a command on n ranks; return mpiexec, and when all have started, their processes."""
    process = mpi.start(n, PROGRAM, str(folder / "pids"), fault, *command, cwd=folder)
    while process.poll() is None and not all((folder / "pids" / str(rank)).exists() for rank in range(n)):
        time.sleep(0.01)
    pids = [(folder / "pids" / str(rank)) for rank in range(n)]
    return process, [int(path.read_text()) for path in pids if path.exists()]


def ended(process, pids):
    """Wait for the end; return the status and what was written, and check that no rank is left."""
    out, err = process.communicate(timeout=60)
    for _ in range(100):
        left = [pid for pid in pids if Path(f"/proc/{pid}").exists()]
        if not left:
            break
        time.sleep(0.05)
    assert left == []
    return process.returncode, out, err


def wait_for(path, process):
    while not path.exists() and process.poll() is None:
        time.sleep(0.01)
    time.sleep(0.3)


class TestOutput:
    def test_is_that_of_one_process_written_once(self):
        alone, together = (
            mpi.command(n, "generate", "Once upon a time", "--max-new-tokens", "12", "--json", *options)[1]
            for n, options in ((1, ()), (3, ("--mpi",)))
        )
        assert together.count("\n") == 1
        alone, together = json.loads(alone), json.loads(together)
        assert together["text"] == alone["text"]
        assert together["logprobs"] == pytest.approx(alone["logprobs"], abs=1e-4)

    def test_standard_input_is_read_by_all(self):
        _, out, _ = mpi.command(3, "generate", "-", "--max-new-tokens", "4", "--mpi", given="Once upon a time\n")
        _, alone, _ = mpi.command(1, "generate", "Once upon a time", "--max-new-tokens", "4")
        assert out == alone

    def test_of_drawn_tokens_is_the_same_for_the_seed_that_it_names(self):
        options = ("--temperature", "0.9", "--max-new-tokens", "12", "--mpi")
        _, drawn, said = mpi.command(2, "generate", "The king", *options)
        seed = said.rpartition("seed ")[2].strip("]\n")
        assert mpi.command(3, "generate", "The king", *options, "--seed", seed)[1] == drawn

    def test_of_score_compare_and_evaluate_is_there_once(self, folder):
        status, out, _ = mpi.command(2, "score", "Once upon a time there was a king", "--mpi")
        assert (status, out.count("perplexity")) == (0, 1)
        status, out, _ = mpi.command(2, "compare", "Once upon a time", "--max-new-tokens", "8", "--mpi", "--json")
        assert status == 0
        assert [side["name"] for side in json.loads(out)["sides"]] == ["nano-gpt2", "nano-gpt3"]
        status, out, _ = mpi.command(2, *COMMANDS["evaluate"][:5], "--mpi", "--json", cwd=folder)
        assert status == 0
        alone = gc.evaluation.evaluate("nano-gpt2", "text", folder / "text.txt")
        assert json.loads(out)["model"]["sha256"] == alone.model["sha256"]
        values = [metric["value"] for metric in json.loads(out)["metrics"]]
        assert values == pytest.approx([metric.value for metric in alone.metrics], rel=1e-5)


class TestUserErrors:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("generate", "Once", "--model", "nowhere"), "'nowhere' is neither a folder nor the name of a model"),
            (("generate", "Once", "--temperature", "-1"), "temperature must be 0 (greedy) or a positive finite number"),
            (("compare", "Once", "--html", "page.html"), "a page shows what happens inside the models"),
            (("evaluate", "--task", "text", "--data", "missing.txt"), "missing.txt"),
            (("evaluate", "--task", "text", "--dask"), "Dask shares out the items, MPI the model"),
            (("train", "missing.txt", "--init", "nano-gpt2", "--out", "run", *PARTS), "missing.txt"),
        ],
    )
    def test_are_one_line_that_names_the_rank_and_exit_status_2(self, folder, arguments, message):
        status, out, err = mpi.command(3, *arguments, "--mpi", cwd=folder)
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert err.startswith("gptcompare: rank 0 of 3: ")
        assert message in err

    def test_too_many_ranks(self):
        n_head = gc.GPTConfig.preset("nano-gpt2").n_head
        status, _, err = mpi.command(n_head + 1, "generate", "Once", "--mpi")
        assert (status, err.count("\n")) == (2, 1)
        assert f"{n_head + 1} ranks are too many for a model of {n_head} heads" in err


class TestOneRankFails:
    @pytest.mark.parametrize("rank", [0, 1, 2])
    def test_with_an_error_that_it_alone_has(self, folder, rank):
        status, _, err = ended(*start(3, folder, *COMMANDS["generate"], fault=f"{rank}:memory"))
        assert (status, err) == (2, f"gptcompare: rank {rank} of 3: no memory left\n")

    @pytest.mark.parametrize("rank", [0, 1])
    def test_with_a_defect_of_the_library(self, folder, rank):
        status, _, err = ended(*start(2, folder, *COMMANDS["generate"], fault=f"{rank}:defect"))
        assert status == 1
        assert err.splitlines()[-1] == f"rank {rank} of 2: ZeroDivisionError: a defect"

    @pytest.mark.parametrize("name", COMMANDS)
    @pytest.mark.parametrize("rank", [0, 1, 2])
    def test_by_a_kill_and_nothing_is_half_written(self, folder, name, rank):
        process, pids = start(3, folder, *COMMANDS[name])
        wait_for({"train": folder / "run" / LAST_SAVED}.get(name, folder / "pids" / str(rank)), process)
        os.kill(pids[rank], signal.SIGKILL)
        status, _, err = ended(process, pids)
        assert status == signal.SIGKILL
        # MPI may add words of its own, of a rank that was copying from the killed one.
        assert f"gptcompare: rank {rank} of 3 was killed, which ends all\n" in err
        assert err.count("gptcompare: ") == 1
        if name == "train":
            assert gc.load(folder / "run").generate("Once", max_new_tokens=1).ids
            resumed, pids = start(2, folder, *COMMANDS[name], "--threads", "1")
            time.sleep(3)
            resumed.send_signal(signal.SIGINT)
            assert ended(resumed, pids)[0] == 130

    @pytest.mark.parametrize("name", ["train", "evaluate"])
    def test_by_a_full_disk_and_nothing_is_half_written(self, folder, name):
        status, out, err = ended(*start(3, folder, *COMMANDS[name], fault="0:full"))
        assert (status, out) == (2, "")
        assert "gptcompare: rank 0 of 3: [Errno 28] No space left on device" in err
        left = {path.name for path in (folder / "run").rglob("*") if path.is_file()}
        assert left <= {".lock"}


class TestStops:
    def test_ctrl_c_saves_a_training_run_after_its_step(self, folder):
        process, pids = start(3, folder, *COMMANDS["train"])
        wait_for(folder / "run" / "state.safetensors", process)
        process.send_signal(signal.SIGINT)  # mpiexec passes it on
        status, out, err = ended(process, pids)
        assert status == 130
        assert not [line for line in out.splitlines() if not line.startswith("[mpiexec@")]
        assert "stopped and saved at step " in err
        assert gc.load(folder / "run").generate("Once", max_new_tokens=1).ids

    def test_sigterm_ends_a_text(self, folder):
        process, pids = start(2, folder, *COMMANDS["generate"])
        time.sleep(1.5)
        process.send_signal(signal.SIGTERM)
        assert ended(process, pids)[0] in (143, 0)
