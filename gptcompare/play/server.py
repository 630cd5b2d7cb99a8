"""A web server for one person: on 127.0.0.1, for its own page, made of the standard library."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ..checks import brief, together
from ..files.texts import parse_object
from .guard import NAMES, RefusalError, check_body, check_sender
from .page import play_page
from .shelf import Shelf
from .writing import Request, lines

PORT = 8765
PATIENCE = 10.0  # seconds that a client may say nothing, or not read what it is sent
LAST_WORDS = 3.0  # seconds for the texts that are being written when the server is closed
PAGE_ID = "X-Page"  # the header with which a page says which of its user's windows it is

HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Server(ThreadingHTTPServer):
    """The server and what its requests share: the models, and whose turn it is to write.

    Each page has one text in writing at a time; the texts of several pages are written one after the other, since they
    share the processor.

    Parameters
    ----------
    shelf : Shelf
    port : int
        0 for any that is free.

    Attributes
    ----------
    url : str
        Where the page is.

    Raises
    ------
    OSError
        If the port is taken.
    """

    daemon_threads = True  # a client that has gone quiet keeps no process alive
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, shelf: Shelf, port: int = PORT) -> None:
        super().__init__((NAMES[0], port), _Handler)
        self.shelf = shelf
        self.url = f"http://{NAMES[0]}:{self.server_port}/"
        self._stops: dict[str, threading.Event] = {}  # page -> what ends the text that it is waiting for
        self._lock, self._turn = threading.Lock(), threading.Lock()

    def __repr__(self) -> str:
        return brief(self, f"{self.url}, with {together(self.shelf.names)}")

    def write(self, page: str, given: object) -> Iterator[dict[str, Any]]:
        """Yield the lines that answer what a page asks for (`Request.of`), when it is this page's turn.

        If it is stopped before, while its models are loaded or other texts are written, the last one is
        {"stopped": True}.

        Raises
        ------
        RefusalError
            If this page is already waiting for a text.
        TypeError, ValueError
            As for `Request.of`.
        """
        with self._lock:
            if page in self._stops:
                raise RefusalError(HTTPStatus.CONFLICT, "this page is already waiting for a text")
            stop = self._stops[page] = threading.Event()
        try:
            request = Request.of(given, self.shelf)
            while not stop.is_set():
                if self._turn.acquire(timeout=0.5):
                    try:
                        yield from lines(request, stop)
                        return
                    finally:
                        self._turn.release()
                yield {"waiting": True}  # which also notices that the page has gone
            yield {"stopped": True}
        finally:
            with self._lock:
                del self._stops[page]

    def stop(self, page: str | None = None) -> None:
        """End the text that a page is waiting for, or all of them."""
        with self._lock:
            for waiting, stop in self._stops.items():
                if page in (None, waiting):
                    stop.set()

    def close(self) -> None:
        """End what is being written, and stop listening."""
        self.stop()
        self.server_close()
        if self._turn.acquire(timeout=LAST_WORDS):
            self._turn.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a connection that broke: its page has gone."""


class _Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = PATIENCE

    def version_string(self) -> str:
        return "gptcompare"

    def log_message(self, format: str, *args: Any) -> None:  # the name is the standard library's
        """Keep the terminal quiet."""

    def do_GET(self) -> None:
        with self._answering():
            self._check_sender()
            if self.path != "/":
                raise RefusalError(HTTPStatus.NOT_FOUND, f"there is nothing at {self.path!r}")
            # The name of a folder may have bytes that are not UTF-8, as lone surrogates, which JSON can escape.
            page = play_page(self.server.shelf.names).encode(errors="backslashreplace")
            self._begin(HTTPStatus.OK, "text/html; charset=utf-8")
            self.wfile.write(page)

    def do_POST(self) -> None:
        with self._answering():
            self._check_sender()
            body, page = self._body(), self.headers.get(PAGE_ID, "")
            if self.path == "/stop":
                self.server.stop(page)
                self._begin(HTTPStatus.NO_CONTENT, "application/json")
            elif self.path == "/write":
                self._stream(self.server.write(page, parse_object(body, "the request")))
            else:
                raise RefusalError(HTTPStatus.NOT_FOUND, f"there is nothing at {self.path!r}")

    @contextlib.contextmanager
    def _answering(self) -> Iterator[None]:
        """Answer an error with one line of JSON, and let a broken connection end the request."""
        try:
            yield
        except (TimeoutError, ConnectionError):
            self.close_connection = True
        except RefusalError as error:
            self._refuse(error.status, str(error))
        except (ValueError, TypeError, OSError, MemoryError) as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))

    def _check_sender(self) -> None:
        check_sender(self.headers.get("Host"), self.headers.get("Origin"), self.server.server_port)

    def _body(self) -> bytes:
        headers = self.headers
        length = check_body(headers.get("Origin"), headers.get("Content-Type"), headers.get("Content-Length"))
        body = self.rfile.read(length)
        if len(body) < length:
            raise RefusalError(HTTPStatus.BAD_REQUEST, "the request ended in the middle of its body")
        return body

    def _begin(self, status: HTTPStatus, kind: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Connection": "close", **HEADERS}.items():
            self.send_header(name, value)
        self.end_headers()

    def _stream(self, answers: Iterator[dict[str, Any]]) -> None:
        """Send an object a line, each as soon as it is known; an answer without a last line was cut off."""
        first = next(answers)  # which may refuse the request, while a status can still say so
        self._begin(HTTPStatus.OK, "application/x-ndjson")
        try:
            self._send_line(first)
            for answer in answers:
                self._send_line(answer)
        except (ValueError, MemoryError) as error:
            self._send_line({"error": str(error)})

    def _send_line(self, answer: dict[str, Any]) -> None:
        self.wfile.write(json.dumps(answer).encode() + b"\n")
        self.wfile.flush()

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        with contextlib.suppress(ConnectionError, TimeoutError):
            self._begin(status, "application/json")
            self._send_line({"error": " ".join(reason.split())})


def serve(models: Iterable[str] = (), *, port: int = PORT) -> Server:
    """Return a server of the page to play in, which listens already: its `serve_forever` answers until it is shut down.

    Parameters
    ----------
    models : iterable of str
        Names and folders of models to offer, besides the embedded pair and those on this machine; the first two are
        chosen at first.
    port : int
        0 for any that is free.

    Raises
    ------
    OSError
        If the port is taken.

    Examples
    --------
    >>> from gptcompare.play import serve
    >>> with serve(port=0) as server:
    ...     server.url.startswith("http://127.0.0.1:")
    True
    """
    return Server(Shelf(list(models)), port)
