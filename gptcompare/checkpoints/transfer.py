"""One file over HTTP: what a server says of it, then its bytes, however often the connection is cut.

A file arrives under a name of its own, `NAME.TAG.part`, where the tag stands for the version that the server announced,
so that a later try, or another process, goes on from its end and never mixes two versions. It takes its final name
when its size and every known digest are right.

The Hugging Face Hub announces a large file in the headers of a redirect: X-Linked-Size, and X-Linked-Etag with its
SHA-256; the ETag of a small one is its git blob id. X-Repo-Commit is the commit, X-Error-Code the reason of a refusal
(huggingface_hub 2.4, file_download.py and utils/_http.py). OpenAI's store has Content-MD5 (RFC 1864).
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
import random
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import NoReturn, TypeAlias, TypeVar
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from tqdm import tqdm

from .. import __version__
from ..units import in_bytes
from .errors import DownloadError
from .publishers import Origin, host

T = TypeVar("T")
Bar: TypeAlias = "tqdm[NoReturn]"  # it iterates over nothing

TIMEOUT = (10, 30)  # seconds to connect, and to wait for any byte
STALL = 30.0  # seconds in which less than ...
STALL_BYTES = 30_000  # ... bytes count as a cut connection
RETRIES = 5  # in a row that brought nothing
FIRST_WAIT = 0.25  # seconds; doubles from retry to retry
LONGEST_WAIT = 120.0  # seconds that a server may ask for
MAX_REDIRECTS = 10
BLOCK = 1 << 20  # bytes


class UnreachableError(DownloadError):
    """No connection to the server at all."""


class _TemporaryError(Exception):
    """What another try may mend. `wait`: the seconds that the server asks for. `stalled`: its bytes do not count."""

    def __init__(self, reason: str, *, wait: float | None = None, stalled: bool = False) -> None:
        super().__init__(reason)
        self.wait = wait
        self.stalled = stalled


@dataclass(frozen=True)
class RemoteFile:
    """What a server says of a file.

    Attributes
    ----------
    url : str
    size : int
        Bytes.
    digests : tuple of str
        "sha256:...", "md5:..." or "git:..." (a git blob id), in hexadecimal; every one must be right.
    version : str
        Its ETag.
    commit : str, optional
        The commit of the repository that it is in.
    """

    url: str
    size: int
    digests: tuple[str, ...]
    version: str
    commit: str | None

    def part(self, path: Path) -> Path:
        """Where the file lies until it is whole."""
        what = (self.size, self.digests or self.version)
        return path.with_name(f"{path.name}.{hashlib.sha256(repr(what).encode()).hexdigest()[:12]}.part")


def announced_digest(headers: requests.structures.CaseInsensitiveDict[str]) -> str | None:
    """The digest in a response's headers, if there is one."""
    etag = _etag(headers)
    if re.fullmatch("[0-9a-f]{64}", etag):
        return f"sha256:{etag}"
    if re.fullmatch("[0-9a-f]{40}", etag):
        return f"git:{etag}"
    with contextlib.suppress(binascii.Error):
        md5 = base64.b64decode(headers.get("Content-MD5", ""), validate=True)
        if len(md5) == 16:
            return f"md5:{md5.hex()}"
    return None


def _etag(headers: requests.structures.CaseInsensitiveDict[str]) -> str:
    return headers.get("X-Linked-Etag", headers.get("ETag", "")).removeprefix("W/").strip('"')


def file_digest(path: Path, algorithm: str) -> str:
    """ "sha256:...", "md5:..." or "git:..." of a file. Git hashes its word for a file and the size first."""
    hasher = hashlib.new("sha1" if algorithm == "git" else algorithm, usedforsecurity=False)
    if algorithm == "git":
        hasher.update(b"blob %d\0" % path.stat().st_size)
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            hasher.update(block)
    return f"{algorithm}:{hasher.hexdigest()}"


class Transfer:
    """A connection to where a model is published; closes at the end of a `with` block."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._token = origin.token
        self._reached = False  # the server has answered at least once
        self._session = requests.Session()
        self._session.headers["User-Agent"] = f"gptcompare/{__version__}"
        self._session.headers["Accept-Encoding"] = "identity"  # sizes and digests are those of the file itself

    def __enter__(self) -> Transfer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def find(self, url: str, known_digest: str | None = None) -> RemoteFile | None:
        """What the server says of a file; None if there is no such file.

        Raises
        ------
        DownloadError
            If the server refuses or cannot be reached, does not say how large the file is, or has another file than
            the one with the known digest.
        """
        response = self._persist(url, lambda: self._ask(url))
        if response is None:
            return None
        headers = response.headers
        size = headers.get("X-Linked-Size", headers.get("Content-Length", ""))
        if not size.isdecimal():
            raise DownloadError(f"{host(url)} does not say how large {_name(url)} is: is it a server for models?")
        digests = {digest for digest in (announced_digest(headers), known_digest) if digest}
        if len({digest for digest in digests if digest.startswith("sha256:")}) > 1:
            raise DownloadError(f"{host(url)} has another {_name(url)} than the one that was published: do not use it")
        return RemoteFile(
            url=url,
            size=int(size),
            digests=tuple(sorted(digests)),
            version=_etag(headers),
            commit=headers.get("X-Repo-Commit"),
        )

    def fetch(self, remote: RemoteFile, path: Path) -> None:
        """Fetch a file and give it its name, showing a bar on the standard error stream.

        Raises
        ------
        DownloadError
            If it cannot be fetched, or is not what the server announced. What has arrived is kept, but for a file
            that is complete and wrong.
        OSError
            If it cannot be written, such as on a full disk.
        """
        part = remote.part(path)
        with _bar(remote, path.name) as bar:
            for last_try in (False, True):
                resumed = part.exists()
                self._persist(remote.url, lambda: self._append(remote, part, bar), lambda: _size(part))
                problem = _problem(part, remote)
                if problem is None:
                    break
                part.unlink()
                if last_try or not resumed:  # an old beginning may have been damaged; a whole file is what is served
                    raise DownloadError(
                        f"{path.name} from {host(remote.url)} arrived damaged: {problem}. It was thrown away; try "
                        "again, and if it happens again, do not trust that server"
                    )
        os.replace(part, path)

    def _persist(self, url: str, attempt: Callable[[], T], n_bytes: Callable[[], int] = lambda: 0) -> T:
        """Attempt until it succeeds, waiting longer from failure to failure; one that brought bytes starts anew."""
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
                    raise DownloadError(f"{host(url)} asks to come back in {error.wait:.0f} seconds") from None
                backoff = FIRST_WAIT * 2 ** (failures - 1) * random.uniform(1, 1.25)
                time.sleep(max(backoff, error.wait or 0))

    def _ask(self, url: str) -> requests.Response | None:
        """The answer, of which only the headers are read, or None if there is no such file."""
        response = self._request("HEAD", url, stop=True)
        if response.status_code in (405, 501):  # the server knows GET alone
            response = self._request("GET", url, stop=True)
        response.close()
        no_such_file = response.headers.get("X-Error-Code", "EntryNotFound") == "EntryNotFound"
        if response.status_code == 404 and no_such_file:
            return None
        self._check_status(response)
        return response

    def _append(self, remote: RemoteFile, part: Path, bar: Bar) -> None:
        """Fetch what a part lacks."""
        start = _size(part)
        if start > remote.size:
            start = 0
        _set(bar, start)
        if start == remote.size > 0:
            return
        with self._request("GET", remote.url, {"Range": f"bytes={start}-"} if start else None) as response:
            if response.status_code == 416:
                part.unlink(missing_ok=True)
                raise _TemporaryError("the server has no such range")
            self._check_status(response)
            offset = _offset(response, start, remote, part)
            _set(bar, offset)
            with open(part, "r+b" if part.exists() else "wb") as file:
                file.truncate(offset)
                file.seek(offset)
                for block in _blocks(response):
                    bar.update(file.write(block[: remote.size - file.tell()]))
                    if file.tell() == remote.size:
                        break  # what follows was not announced, and is not read
                n_written = file.tell()
                file.flush()
                os.fsync(file.fileno())
        if n_written < remote.size:
            raise _TemporaryError("the connection was cut")

    def _request(
        self, method: str, url: str, headers: dict[str, str] | None = None, *, stop: bool = False
    ) -> requests.Response:
        """The answer behind all redirects, or, to stop there, the first that announces the file."""
        first = url
        commit = None
        for _ in range(MAX_REDIRECTS):
            response = self._answer(method, url, headers)
            commit = commit or response.headers.get("X-Repo-Commit")
            if not response.is_redirect or (stop and "X-Linked-Etag" in response.headers):
                if commit:
                    response.headers["X-Repo-Commit"] = commit
                return response
            response.close()
            target = urljoin(url, response.headers["Location"])
            scheme = urlsplit(target).scheme
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
        except (requests.exceptions.RequestException, ValueError) as error:  # its text may hold a header
            raise DownloadError(f"{host(url)} gives no sensible answer: {type(error).__name__}") from None
        self._reached = True
        return response

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Show the token to the publisher, and to no host that it redirects to; also keeps requests from ~/.netrc."""
        if self._token and self._is_publisher(request.url):
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request

    def _is_publisher(self, url: str | None) -> bool:
        return _site(url or "") == _site(self._origin.endpoint)

    def _check_status(self, response: requests.Response) -> None:
        status = response.status_code
        elsewhere = not self._is_publisher(response.url)  # a signed address has its time, and the next one is another
        if status in (408, 425, 429) or status >= 500 or (elsewhere and status >= 400):
            wait = _retry_after(response.headers.get("Retry-After", ""))
            raise _TemporaryError(f"the server answers with HTTP status {status}", wait=wait)
        if status >= 400:
            raise DownloadError(self._origin.explain(status, response.headers.get("X-Error-Code")))


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _name(url: str) -> str:
    return urlsplit(url).path.rpartition("/")[2]


def _site(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _retry_after(value: str) -> float | None:
    """Seconds to wait, from a number of them or a date (RFC 9110, section 10.2.3)."""
    if value.isdecimal():
        return float(value)
    with contextlib.suppress(ValueError):
        return max(parsedate_to_datetime(value).timestamp() - time.time(), 0)
    return None


def _offset(response: requests.Response, start: int, remote: RemoteFile, part: Path) -> int:
    """Where in the file the bytes of an answer belong."""
    if response.status_code != 206:  # the whole file: the server does not know ranges, or none was asked for
        start, end, total = 0, remote.size, response.headers.get("Content-Length", str(remote.size))
    else:
        match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", ""))
        if not match or int(match[1]) != start:
            part.unlink(missing_ok=True)
            raise _TemporaryError("the server sends another range than was asked for")
        end, total = int(match[2]) + 1, match[3].replace("*", str(remote.size))
    if total != str(remote.size) or end > remote.size:
        part.unlink(missing_ok=True)
        raise _TemporaryError(f"the server announces {remote.size} bytes and sends {total}")
    return start


def _blocks(response: requests.Response) -> Iterator[bytes]:
    """The bytes as they come in."""
    read = getattr(response.raw, "read1", response.raw.read)  # urllib3 1 has only the one that waits for a full block
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


def _problem(part: Path, remote: RemoteFile) -> str | None:
    """What is wrong with a file that has arrived."""
    for digest in remote.digests:
        algorithm = digest.partition(":")[0]
        found = file_digest(part, algorithm)
        if found != digest:
            return f"its digest is {found}, not {digest}"
    return None


def _bar(remote: RemoteFile, name: str) -> Bar:
    """A line that is redrawn on a terminal, and written now and then elsewhere."""
    interval = 0.1 if sys.stderr and sys.stderr.isatty() else 10
    return tqdm(
        total=remote.size,
        desc=name,
        unit="B",
        unit_scale=True,
        unit_divisor=1000,
        mininterval=interval,
        file=sys.stderr,
    )


def _set(bar: Bar, n_bytes: int) -> None:
    """Move a bar to where the file is, which no time was spent on."""
    bar.initial = bar.n = n_bytes
    bar.refresh()
