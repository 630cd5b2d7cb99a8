"""One file over HTTP: what the server announces, then its bytes, however often the connection is cut.

A file is written under a name of its own, `NAME.TAG.part`, where the tag identifies the version that the server
announced, so that a later attempt, or another process, resumes it and never mixes two versions. It is renamed to its
final name after its size and every known digest match.

X-Error-Code in a response from the Hugging Face Hub gives the reason of a refusal (huggingface_hub 2.4,
utils/_http.py).
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TypeVar
from urllib.parse import unquote, urljoin, urlsplit

import requests
import urllib3

from ...display.progress import Bar, progress_bar
from ...display.units import in_bytes
from ...files.atomic_files import put_in_place
from ...version import __version__
from ..errors import DownloadError
from .environment import host
from .publishers import Place
from .remote_file import BLOCK, RemoteFile, encoding_of, etag, size_of, wish_to_wait

T = TypeVar("T")

TIMEOUT = (10, 30)  # seconds to connect, and to wait for any byte
STALL = 30.0  # seconds in which less than ...
STALL_BYTES = 30_000  # ... bytes count as a cut connection
RETRIES = 6  # consecutive ones without progress; with their waits, half a minute
FIRST_WAIT = 0.5  # seconds; doubles from retry to retry
LONGEST_WAIT = 120.0  # seconds that a server may ask for
MAX_REDIRECTS = 10
ANNOUNCING = {"X-Linked-Etag", "X-Linked-Size"}  # headers of a redirect that announces the file it leads to


class UnreachableError(DownloadError):
    """The server cannot be reached at all."""


class _TemporaryError(Exception):
    """An error that another attempt may mend. `wait`: seconds that the server asks for. `stalled`: no progress."""

    def __init__(self, reason: str, *, wait: float | None = None, stalled: bool = False) -> None:
        super().__init__(reason)
        self.wait = wait
        self.stalled = stalled


class _RangeError(_TemporaryError):
    """The server does not give the range that was requested, and can only be asked for the whole file."""


class Transfer:
    """A connection to the publisher of a model; it closes at the end of a `with` block."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._token = place.token
        self._reached = False  # the server has answered at least once
        self._use_ranges = True  # until a server answers with anything but the range that was requested
        self._session = requests.Session()
        self._session.get_redirect_target = lambda response: None  # type: ignore[method-assign, assignment]  # see `_request`
        self._session.headers["User-Agent"] = f"gptcompare/{__version__}"
        self._session.headers["Accept-Encoding"] = "identity"  # sizes and digests are of the file itself

    def __enter__(self) -> Transfer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def announced(self, url: str, known_digest: str | None = None) -> RemoteFile | None:
        """Ask the server about a file; None if it does not exist.

        Raises
        ------
        DownloadError
            If the server refuses or cannot be reached, does not say how large the file is, or has a different file from
            the one with the known digest.
        """
        response = self._persist(url, lambda: self._ask(url))
        if response is None:
            return None
        remote = RemoteFile.from_headers(url, response.headers, known_digest)
        if remote is None:
            raise DownloadError(f"{host(url)} does not say how large {_name(url)} is: is it a model server?")
        if sum(digest.startswith("sha256:") for digest in remote.digests) > 1:
            raise DownloadError(f"{host(url)} has a different {_name(url)} from the published one: do not use it")
        return remote

    def fetch(self, remote: RemoteFile, path: Path) -> None:
        """Fetch a file and rename it into place, showing a bar on the standard error stream.

        Raises
        ------
        DownloadError
            If it cannot be fetched, or is not what the server announced. What has arrived is kept, unless the file is
            complete and wrong.
        OSError
            If it cannot be written, such as on a full disk.
        """
        part = remote.part(path)
        with progress_bar(total=remote.size, desc=path.name, unit="B", unit_scale=True) as bar:
            for last_try in (False, True):
                resumed = part.exists()
                self._use_ranges = remote.can_go_on
                self._persist(remote.url, lambda: self._append(remote, part, bar), lambda: size_of(part) or 0)
                problem = remote.problem(part)
                if problem is None:
                    break
                part.unlink()
                if last_try or not resumed:  # an old part may have been damaged; a new file is what the server has
                    raise DownloadError(
                        f"{path.name} from {host(remote.url)} arrived damaged: {problem}. It was deleted; try "
                        "again, and if that happens again, do not trust this server"
                    )
        put_in_place(part, path)

    def _persist(self, url: str, attempt: Callable[[], T], n_bytes: Callable[[], int] = lambda: 0) -> T:
        """Attempt until it succeeds, waiting longer after each failure; an attempt that brought bytes resets that."""
        failures, most = 0, n_bytes()
        while True:
            try:
                return attempt()
            except _TemporaryError as error:
                progress = n_bytes() > most and not error.stalled
                failures, most = 1 if progress else failures + 1, max(most, n_bytes())
                if failures > RETRIES:
                    raise DownloadError(
                        f"{_name(url)} from {host(url)}: {error}, {RETRIES + 1} times in a row: try again later"
                    ) from None
                if error.wait is not None and error.wait > LONGEST_WAIT:
                    raise DownloadError(f"{host(url)} asks to be tried again in {error.wait:.0f} seconds") from None
                backoff = FIRST_WAIT * 2 ** (failures - 1) * random.uniform(1, 1.25)
                time.sleep(max(backoff, error.wait or 0))

    def _ask(self, url: str) -> requests.Response | None:
        """Return the response, of which only the headers are read, or None if the file does not exist."""
        response = self._request("HEAD", url, stop=True)
        if response.status_code in (405, 501) or encoding_of(
            response.headers
        ):  # it supports only GET, or compresses an answer
            response = self._request("GET", url, stop=True)
        response.close()
        no_such_file = response.headers.get("X-Error-Code", "EntryNotFound") == "EntryNotFound"
        if response.status_code == 404 and no_such_file:
            return None
        self._check_status(response)
        return response

    def _append(self, remote: RemoteFile, part: Path, bar: Bar) -> None:
        """Fetch the missing bytes of a part, keeping those that it has, whatever the server answers."""
        kept = size_of(part) or 0
        if kept > remote.size or not remote.can_go_on:
            kept = 0
        _set(bar, kept)
        if kept == remote.size > 0:
            return
        headers = {"Range": f"bytes={kept}-"} if kept and self._use_ranges else None
        with self._request("GET", remote.url, headers) as response:
            try:
                self._check_status(response)
                start = _start(response, remote)
                if start not in (0, kept):
                    raise _RangeError("the server sent a different range from the one requested")
            except _RangeError:
                self._use_ranges = False  # for this file; from a whole file, only what follows the part is kept
                raise
            with open(part, "r+b" if part.exists() else "wb") as file:
                file.truncate(kept)
                file.seek(kept)
                to_skip = kept - start
                for block in _blocks(response):
                    new = block[to_skip:][: remote.size - file.tell()]
                    to_skip = max(to_skip - len(block), 0)
                    bar.update(file.write(new))
                    if file.tell() == remote.size:
                        break  # anything more was not announced, and is not read
                n_written = file.tell()
                file.flush()
                os.fsync(file.fileno())
        if n_written < remote.size:
            raise _TemporaryError("the connection was cut")

    def _request(
        self, method: str, url: str, headers: dict[str, str] | None = None, *, stop: bool = False
    ) -> requests.Response:
        """Return the response at the end of all redirects, or, with `stop`, the first that announces the file.

        Redirects are followed here and not by requests, which would read their bodies, however long they are.
        """
        first = url
        commit = None
        for _ in range(MAX_REDIRECTS):
            response = self._answer(method, url, headers)
            commit = commit or response.headers.get("X-Repo-Commit")
            if not response.is_redirect or (stop and response.headers.keys() >= ANNOUNCING):
                if commit:
                    response.headers["X-Repo-Commit"] = commit
                return response
            response.close()
            try:
                target = urljoin(url, response.headers["Location"])
                scheme = urlsplit(target).scheme
            except ValueError:
                scheme = ""
            if scheme not in ("http", "https") or (url.startswith("https:") and scheme == "http"):
                raise DownloadError(f"{host(url)} redirects {_name(first)} to an unsafe address")
            url = target
        raise DownloadError(f"{host(first)} redirects {_name(first)} {MAX_REDIRECTS} times")

    def _answer(self, method: str, url: str, headers: dict[str, str] | None) -> requests.Response:
        try:
            response = self._session.request(
                method, url, headers=headers, auth=self._authorize, stream=True, allow_redirects=False, timeout=TIMEOUT
            )
        except requests.exceptions.SSLError:
            raise DownloadError(f"the certificate of {host(url)} cannot be verified: is a proxy in between?") from None
        except (requests.exceptions.ConnectionError, requests.exceptions.Timeout) as error:
            cause = error.args[0] if error.args else None
            if not self._reached and isinstance(cause, urllib3.exceptions.MaxRetryError):
                raise UnreachableError(f"cannot reach {host(url)}: no network, or a wrong address or proxy") from None
            timed_out = isinstance(error, requests.exceptions.Timeout)
            raise _TemporaryError("no answer in time" if timed_out else "the connection was cut") from None
        except requests.exceptions.InvalidSchema as error:  # also for a proxy, such as one that needs requests[socks]
            raise DownloadError(f"{host(url)} cannot be contacted, directly or through a proxy: {error}") from None
        except (requests.exceptions.RequestException, ValueError) as error:  # its message may contain a header
            raise DownloadError(f"{host(url)} did not give a valid answer: {type(error).__name__}") from None
        except OSError as error:  # such as a missing file of certificates
            raise DownloadError(f"{host(url)} cannot be contacted: {error}") from None
        self._reached = True
        return response

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Send the token to the publisher, but to no host that it redirects to.

        This also keeps requests from using ~/.netrc.
        """
        if not self._is_publisher(request.url):
            return request
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        elif (parts := urlsplit(self._place.endpoint)).username:
            requests.auth.HTTPBasicAuth(unquote(parts.username), unquote(parts.password or ""))(request)
        return request

    def _is_publisher(self, url: str | None) -> bool:
        return _site(url or "") == _site(self._place.endpoint)

    def _check_status(self, response: requests.Response) -> None:
        status = response.status_code
        elsewhere = not self._is_publisher(response.url)  # a signed address expires; the next attempt gets a new one
        if status == 416:
            raise _RangeError("the server has no such range")
        if status in (408, 425, 429) or status >= 500 or (elsewhere and status >= 400):
            wait = wish_to_wait(response.headers)
            raise _TemporaryError(f"the server answered with HTTP status {status}", wait=wait)
        if status >= 400:
            raise DownloadError(self._place.explain(status, response.headers.get("X-Error-Code")))
        if status not in (200, 206) and not response.is_redirect:
            raise _TemporaryError(f"the server answered with HTTP status {status}")
        if encoding := encoding_of(response.headers):
            raise DownloadError(f"{host(response.url)} sends files as {encoding!r}, although it was asked not to")


def _name(url: str) -> str:
    return urlsplit(url).path.rpartition("/")[2]


def _site(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _start(response: requests.Response, remote: RemoteFile) -> int:
    """Return where in the file a response's bytes begin, after checking that its version is the announced one."""
    if not remote.digests and etag(response.headers) != remote.version:
        raise _TemporaryError("the server has a different version from the one it announced")
    if response.status_code == 200:  # the whole file: the server does not support ranges, or none was requested
        start, total = 0, response.headers.get("Content-Length", str(remote.size))
    else:
        match = re.fullmatch(
            r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)", response.headers.get("Content-Range", "")
        )
        if not match or int(match[2]) >= remote.size:
            raise _RangeError("the server sent a different range from the one requested")
        start, total = int(match[1]), match[3].replace("*", str(remote.size))
    if total != str(remote.size):
        raise _TemporaryError(f"the server sent a file of {total[:20]} bytes, not {remote.size}")
    return start


def _blocks(response: requests.Response) -> Iterator[bytes]:
    """Yield the bytes as they arrive."""
    read = getattr(response.raw, "read1", response.raw.read)  # urllib3 1 has only `read`, which waits for a full block
    begun, n_bytes = time.monotonic(), 0
    while True:
        try:
            block = read(BLOCK, decode_content=False)
        except (urllib3.exceptions.HTTPError, OSError):
            raise _TemporaryError("the connection was cut") from None
        if not block:
            return
        yield block
        n_bytes += len(block)
        if time.monotonic() - begun > STALL:
            if n_bytes < STALL_BYTES:
                raise _TemporaryError(f"only {in_bytes(n_bytes)} came in {STALL:.0f} seconds", stalled=True)
            begun, n_bytes = time.monotonic(), 0


def _set(bar: Bar, n_bytes: int) -> None:
    """Move a bar to the file's present size without counting it as progress."""
    bar.initial = bar.n = n_bytes
    bar.refresh()
