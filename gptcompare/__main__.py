"""The command `gptcompare`, as a program: also by `python -m gptcompare`."""

import signal
import sys


def run() -> int:
    """Run the command and return its exit status.

    While its modules are imported, Ctrl-C ends the process as the system does, without a traceback.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from .cli import main

    return main()


if __name__ == "__main__":
    sys.exit(run())
