"""What the README shows is what happens."""

import re
import shlex
from pathlib import Path

import pytest

from gptcompare.cli import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONSOLE = re.findall(r"```console\n\$ gptcompare ([^\n]*)\n(.*?)```", README, flags=re.DOTALL)


EXAMPLES = [
    pytest.param(command, output, id=command, marks=[pytest.mark.slow] if command.startswith("evaluate") else [])
    for command, output in CONSOLE
]


@pytest.mark.parametrize(("command", "output"), EXAMPLES)
def test_a_command_prints_what_stands_below_it(command, output, monkeypatch, tmp_path, capsys):
    for entry in ROOT.iterdir():  # what it writes does not stay
        if entry.name != "evaluations":
            (tmp_path / entry.name).symlink_to(entry)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    assert main(shlex.split(command)) == 0
    assert capsys.readouterr().out == output


def test_the_python_examples_run_one_after_the_other(monkeypatch, tmp_path):
    example = "\n".join(re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL))
    monkeypatch.chdir(ROOT)
    exec(example.replace("runs/example", str(tmp_path)), {})
    assert (tmp_path / "model.safetensors").exists()
