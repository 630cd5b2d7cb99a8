"""Which requests are answered: those of this server's own page, in this machine's browser, of a size that makes sense.

The server listens on 127.0.0.1 only. A page from elsewhere in the same browser can still send requests there, and a
name that its owner lets point to 127.0.0.1 would make them look like the page's own; so Host and Origin are both
checked.
"""

from __future__ import annotations

from http import HTTPStatus

MOST_BYTES = 200_000  # of a request's body: far more than any prompt that fits into a context
NAMES = ("127.0.0.1", "localhost")
HTTP_PORT = 80  # which browsers leave out


class RefusalError(ValueError):
    """A request is not answered; the status says why."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def check_sender(host: str | None, origin: str | None, port: int) -> None:
    """Raise `RefusalError` unless a request was sent to this server by name, and by no other page than its own."""
    hosts = [f"{name}:{port}" for name in NAMES]
    if port == HTTP_PORT:
        hosts += NAMES
    if host not in hosts:
        raise RefusalError(HTTPStatus.FORBIDDEN, f"this server is {hosts[0]}, and answers to no other name")
    if origin is not None and origin not in [f"http://{own}" for own in hosts]:
        raise RefusalError(HTTPStatus.FORBIDDEN, "this server answers only its own page")


def check_body(origin: str | None, kind: str | None, length: str | None) -> int:
    """Return the length of a request's body in bytes, from its headers Origin, Content-Type and Content-Length.

    Raises
    ------
    RefusalError
        Unless it is JSON that our page sends, and not too long. Browsers add an Origin to every POST, and let a page
        send JSON to no other place that does not allow it.
    """
    if origin is None:
        raise RefusalError(HTTPStatus.FORBIDDEN, "this server answers only its own page")
    if (kind or "").partition(";")[0].strip() != "application/json":
        raise RefusalError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the body must be application/json")
    if length is None or not (length.isascii() and length.isdigit()):
        raise RefusalError(HTTPStatus.LENGTH_REQUIRED, "the request does not say how long its body is")
    if len(length) > len(str(MOST_BYTES)) or int(length) > MOST_BYTES:
        raise RefusalError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is longer than {MOST_BYTES:,} bytes")
    return int(length)
