"""The command in a process of its own, and what ends it."""

import os
import signal
import subprocess
import sys

import pytest

NAMES = [name for name in ("KILL", "TERM", "INT", "HUP") if hasattr(signal, f"SIG{name}")]
KINDS = {name: [getattr(signal, f"SIG{name}")] for name in NAMES} | {"INT twice": [signal.SIGINT, signal.SIGINT]}
# How often the slow tests kill each command: GPTCOMPARE_KILLS=60 looks harder, for half an hour.
N_KILLS = int(os.environ.get("GPTCOMPARE_KILLS", "5"))
MANY = [pytest.param(kind, N_KILLS, marks=pytest.mark.slow) for kind in KINDS]  # kind, number of kills


def start(*arguments, **options):
    command = [sys.executable, "-m", "gptcompare", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
