"""The command in a process of its own, and what ends it."""

import os
import signal
import subprocess
import sys

import pytest

NAMES = [name for name in ("KILL", "TERM", "INT", "HUP") if hasattr(signal, f"SIG{name}")]
KINDS = {name: [getattr(signal, f"SIG{name}")] for name in NAMES} | {"INT twice": [signal.SIGINT, signal.SIGINT]}


def once_or_often(n):
    """Gives a test a kind of end and how often it comes: once, and with the marker `slow` n times each.

    GPTCOMPARE_KILLS=60 in the environment, instead of n, looks harder, for half an hour.
    """
    n = int(os.environ.get("GPTCOMPARE_KILLS", n))
    often = [pytest.param(kind, n, marks=pytest.mark.slow) for kind in KINDS]
    return pytest.mark.parametrize(("kind", "n_kills"), [("TERM", 1), *often])


def start(*arguments, **options):
    command = [sys.executable, "-m", "gptcompare", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
