import os
import subprocess
import sys

import numpy as np
import pytest
from support.hub import COMMIT
from support.published_gpt2 import NAME

import gptcompare as gc
from gptcompare.checkpoints import by_name, room
from gptcompare.checkpoints.room import check_room, locate_with_room, memory_of_machine
from gptcompare.cli import main
from gptcompare.parallel import Share

GB = 10**9


@pytest.fixture
def with_memory(monkeypatch):
    def of(n_bytes):
        monkeypatch.setattr(room, "memory_of_machine", lambda: n_bytes)

    return of


class TestTooLargeModels:
    def test_a_named_one_is_refused_before_it_is_downloaded_with_what_would_fit(self, with_memory, monkeypatch):
        with_memory(26 * GB)
        monkeypatch.setattr(by_name, "_found_or_fetched", lambda *given: pytest.fail("it would be downloaded"))
        with pytest.raises(MemoryError) as refused:
            gc.load("opt-13b")
        assert str(refused.value) == (
            "opt-13b needs 51.4GB for its parameters in float32, and this machine has 26GB of memory. Weights kept in "
            '16 bits (keep="as stored", --keep as-stored) need 25.7GB; of its family, opt-2.7b fits in float32'
        )

    @pytest.mark.parametrize("name", [NAME, f"{NAME}@{COMMIT}"])
    def test_any_other_is_refused_by_its_description_before_its_weights_are_downloaded(
        self, with_memory, story_hub, name
    ):
        with_memory(1000)
        with pytest.raises(MemoryError, match=rf"{name} needs .* for its parameters in float32"):
            gc.load(name)
        assert story_hub.requests("GET", "config.json")
        assert not story_hub.requests("GET", "model.safetensors")
        assert gc.load(name, keep="as stored").config.n_layer

    def test_the_command_says_so_in_one_line(self, with_memory, capsys):
        with_memory(10 * GB)
        assert main(["generate", "Once", "--model", "cerebras-gpt-13b"]) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert "need 25.7GB, slowly, from the disk; of its family, cerebras-gpt-1.3b fits in float32" in said

    def test_a_folder_s_is_refused_by_its_description(self, with_memory, tmp_path):
        lm = gc.load("nano-gpt2")
        lm.save_pretrained(tmp_path, dtype="float16")
        with_memory(4 * lm.config.n_params - 1)
        with pytest.raises(MemoryError, match="for its parameters in float32"):
            gc.load(tmp_path)
        assert gc.load(tmp_path, keep="as stored").model.kept_in == "float16"

    def test_float64_needs_twice_as_much(self, with_memory):
        config = gc.GPTConfig.preset("opt-1.3b")
        with_memory(4 * config.n_params)
        check_room(config, "opt-1.3b", np.float32, None)
        with pytest.raises(MemoryError, match=r"10\.5GB for its parameters in float64"):
            check_room(config, "opt-1.3b", np.float64, None)

    def test_one_that_is_kept_can_stay_in_its_file(self, with_memory):
        with_memory(10)
        check_room(gc.GPTConfig.preset("opt-13b"), "opt-13b", np.float32, "as stored")

    def test_as_many_ranks_as_needed_have_room(self, with_memory):
        config = gc.GPTConfig.preset("opt-13b")
        with_memory(26 * GB)
        check_room(config, "opt-13b", np.float32, None, Share(0, 2))
        with pytest.raises(MemoryError):
            check_room(config, "opt-13b", np.float32, None)

    def test_nothing_is_refused_where_the_memory_is_unknown(self, with_memory):
        with_memory(None)
        check_room(gc.GPTConfig.preset("opt-66b"), "opt-66b", np.float32, None)

    def test_one_that_was_never_published_is_refused_for_that(self, with_memory):
        with_memory(1)
        with pytest.raises(FileNotFoundError, match="never published"):
            gc.load("gpt3-175b")

    def test_a_description_that_its_files_belie_is_left_to_the_reader(self, with_memory, tmp_path):
        lm = gc.load("nano-gpt2")
        lm.save_pretrained(tmp_path)
        config = (tmp_path / "config.json").read_text()
        (tmp_path / "config.json").write_text(config.replace('"vocab_size": ', '"vocab_size": 99999'))
        with_memory(GB)
        assert locate_with_room(tmp_path, np.float32, None) == tmp_path
        with pytest.raises(gc.CheckpointError, match=r"wte\.weight"):
            gc.load(tmp_path)


WITH_LITTLE_MEMORY = """
import resource, sys
import numpy as np
import gptcompare as gc
gc.load("nano-gpt2").generate("Once", max_new_tokens=2)  # what the BLAS takes once
used = int(next(line for line in open("/proc/self/status") if line.startswith("VmData")).split()[1]) * 1024
resource.setrlimit(resource.RLIMIT_DATA, (used + int(sys.argv[3]),) * 2)
model = gc.GPT.from_pretrained(sys.argv[1], keep=sys.argv[2] or None)
print(model([1, 2, 3], last_only=True).shape)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, and Linux counts what RLIMIT_DATA limits")
def test_a_kept_model_runs_within_a_limit_that_its_float32_does_not_fit_into(tmp_path):
    config = gc.GPTConfig(n_layer=6, n_head=8, d_model=512, n_ctx=64, n_vocab=2048)
    gc.GPT(config).save_pretrained(tmp_path, dtype="float16")

    def run(keep, limit):
        command = [sys.executable, "-c", WITH_LITTLE_MEMORY, str(tmp_path), keep, str(limit)]
        return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"})

    limit = 3 * config.n_params  # bytes
    assert run("as stored", limit).stdout == f"({config.n_vocab},)\n"
    refused = run("", limit)
    assert refused.returncode == 1
    assert "MemoryError" in refused.stderr.splitlines()[-1]


class TestMemoryOfMachine:
    def test_is_less_than_the_machine_s_where_a_limit_is(self):
        pytest.importorskip("resource")
        program = (
            "import resource; resource.setrlimit(resource.RLIMIT_DATA, (2 * 10**9, 2 * 10**9))\n"
            "from gptcompare.checkpoints.room import memory_of_machine; print(memory_of_machine())"
        )
        found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
        assert int(found) <= 2 * GB
        assert memory_of_machine() > 0

    @pytest.mark.parametrize(
        ("groups", "files", "expected"),
        [
            ("0::/a/b\n", {"a/memory.max": "500", "a/b/memory.max": "max"}, [500]),
            ("4:memory:/job\n2:cpu:/x\n", {"memory/job/memory.limit_in_bytes": "700"}, [700]),
            ("0::/\n", {}, []),
        ],
        ids=["version 2, of the group above", "version 1", "none"],
    )
    def test_the_limits_of_control_groups_count(self, groups, files, expected, tmp_path, monkeypatch):
        (tmp_path / "cgroup").write_text(groups)
        for name, content in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(content)
        monkeypatch.setattr(room, "CGROUPS", tmp_path)
        monkeypatch.setattr(room, "GROUPS_OF_PROCESS", tmp_path / "cgroup")
        assert room._limits_of_groups() == expected
