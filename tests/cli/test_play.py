import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from gptcompare.cli import main

COMMAND = [sys.executable, "-m", "gptcompare", "play", "--port", "0"]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, 128 + signal.SIGTERM)])
def test_it_says_where_it_is_and_ends_cleanly(number, status):
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        address = process.stdout.readline().split()[0]
        with urllib.request.urlopen(address) as answer:
            assert b"<title>gptcompare</title>" in answer.read()
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == status
        assert "Traceback" not in errors


def test_a_port_that_is_taken_is_said_in_one_line(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["play", "--port", str(port)]) == 2
    assert capsys.readouterr().err == (
        f"gptcompare: port {port} is in use: give another with --port, or 0 for any that is free\n"
    )


@pytest.mark.parametrize("port", ["-1", "65536"])
def test_a_port_that_is_none_is_refused(port, capsys):
    assert main(["play", "--port", port]) == 2
    assert "between 0 and 65535" in capsys.readouterr().err
