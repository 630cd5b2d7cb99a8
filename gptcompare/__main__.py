"""The command `gptcompare`, as a program: also by `python -m gptcompare`."""

import signal
import sys


def run() -> int:
    """Run the command and return its exit status.

    While its modules are imported, and after its end, Ctrl-C ends the process as the system does, without a traceback.
    """
    _leave_ctrl_c_to_the_system()
    from .cli import main

    try:
        return main()
    except KeyboardInterrupt:  # a second one, while the first was dealt with
        return 128 + signal.SIGINT
    finally:
        _leave_ctrl_c_to_the_system()


def _leave_ctrl_c_to_the_system() -> None:
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


if __name__ == "__main__":
    sys.exit(run())
