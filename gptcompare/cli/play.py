"""`gptcompare play`: a page in the browser, on which two models write side by side."""

from __future__ import annotations

import argparse
import errno
import webbrowser

from ..display.messages import show, tell
from ..play import PORT, Server, serve


def add_play(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Serve a page to play in, for a browser on this machine: two models write side by side, and every token shows "
        "what could have come instead. Ctrl-C ends it."
    )
    parser.add_argument(
        "--models", default="", metavar="A,B",
        help="names or folders to offer first; the embedded pair and all models on this machine are there anyway",
    )  # fmt: skip
    parser.add_argument("--port", type=int, default=PORT, metavar="N", help=f"default: {PORT}; 0: any that is free")
    parser.add_argument("--open", action="store_true", help="also open the page in a browser")
    parser.set_defaults(run=_play)


def _play(options: argparse.Namespace) -> None:
    if not 0 <= options.port < 2**16:
        raise ValueError(f"--port must be between 0 and 65535, got {options.port}")
    server = _listening([name.strip() for name in options.models.split(",") if name.strip()], options.port)
    show(f"{server.url}  (Ctrl-C ends it)")
    if options.open:
        webbrowser.open(server.url)
    try:
        server.serve_forever()
    except KeyboardInterrupt as stop:
        if type(stop) is not KeyboardInterrupt:  # SIGTERM, SIGHUP
            raise
        tell("\ngptcompare: the page is closed")
    finally:
        server.close()


def _listening(models: list[str], port: int) -> Server:
    try:
        return serve(models, port=port)
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        reason = "is in use" if error.errno == errno.EADDRINUSE else "is not allowed"
        raise OSError(f"port {port} {reason}: give another with --port, or 0 for any that is free") from None
