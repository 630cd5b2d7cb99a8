"""The command in a process of its own."""

import subprocess
import sys


def start(*arguments, **options):
    command = [sys.executable, "-c", "import sys; from gptcompare.cli import main; sys.exit(main())", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
