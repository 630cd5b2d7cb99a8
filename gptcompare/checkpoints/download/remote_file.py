"""What the headers of a server's answer say: of a file, against which one on disk is checked, and of the answer.

The Hugging Face Hub announces a large file in the headers of a redirect: X-Linked-Size, and X-Linked-Etag with its
SHA-256; the ETag of a small one is its git blob id. X-Repo-Commit is the commit (huggingface_hub 2.4,
file_download.py). OpenAI's store has Content-MD5 (RFC 1864).
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path

BLOCK = 1 << 20  # bytes


@dataclass(frozen=True)
class RemoteFile:
    """A file as a server announces it.

    Attributes
    ----------
    url : str
    size : int
        Bytes.
    digests : tuple of str
        "sha256:...", "md5:..." or "git:..." (a git blob id), in hexadecimal; all of them must match.
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

    @classmethod
    def from_headers(cls, url: str, headers: Mapping[str, str], known_digest: str | None) -> RemoteFile | None:
        """Make one from a response to HEAD and a digest known beforehand; None if the response has no size."""
        size = headers.get("X-Linked-Size", headers.get("Content-Length", ""))
        if not re.fullmatch(r"[0-9]{1,18}", size):
            return None
        digests = {digest for digest in (announced_digest(headers), known_digest) if digest}
        return cls(url, int(size), tuple(sorted(digests)), etag(headers), headers.get("X-Repo-Commit"))

    def part(self, path: Path) -> Path:
        """Return the path of the incomplete file; other versions of the file have other paths."""
        what = (self.size, self.digests or self.version)
        return path.with_name(f"{path.name}.{hashlib.sha256(repr(what).encode()).hexdigest()[:12]}.part")

    @property
    def can_go_on(self) -> bool:
        """True if an interrupted download can be resumed: its part is known to belong to this version."""
        return bool(self.digests or self.version)

    def problem(self, path: Path) -> str | None:
        """Say what is wrong with a file that should be this one; None if nothing is."""
        if size_of(path) != self.size:
            return f"it has {size_of(path)} bytes, not {self.size}"
        for digest in self.digests:
            found = file_digest(path, digest.partition(":")[0])
            if found != digest:
                return f"its digest is {found}, not {digest}"
        return None


def size_of(path: Path) -> int | None:
    """Return the bytes of a file; None if it does not exist."""
    try:
        return path.stat().st_size
    except OSError:
        return None


def etag(headers: Mapping[str, str]) -> str:
    return headers.get("X-Linked-Etag", headers.get("ETag", "")).removeprefix("W/").strip('"')


def announced_digest(headers: Mapping[str, str]) -> str | None:
    """Return the digest in a response's headers, if there is one."""
    tag = etag(headers)
    if re.fullmatch("[0-9a-f]{64}", tag):
        return f"sha256:{tag}"
    if re.fullmatch("[0-9a-f]{40}", tag) and "X-Repo-Commit" in headers:
        return f"git:{tag}"
    with contextlib.suppress(ValueError):
        md5 = base64.b64decode(headers.get("Content-MD5", ""), validate=True)
        if len(md5) == 16:
            return f"md5:{md5.hex()}"
    return None


def encoding_of(headers: Mapping[str, str]) -> str | None:
    """Return how the bytes of an answer are compressed, or None if they are those of the file."""
    encoding = headers.get("Content-Encoding", "identity")
    return None if encoding == "identity" else encoding


def wish_to_wait(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait, given as a number or as a date (RFC 9110, section 10.2.3), or as a quota's rest.

    The Hugging Face Hub says `RateLimit: "api";r=0;t=55` (draft-ietf-httpapi-ratelimit-headers-09).
    """
    value = headers.get("Retry-After", "")
    if match := re.fullmatch("([0-9]{1,9})", value) or re.search(r";\s*t=([0-9]{1,9})\b", headers.get("RateLimit", "")):
        return float(match[1])
    with contextlib.suppress(ValueError, OverflowError):
        return max(parsedate_to_datetime(value).timestamp() - time.time(), 0)
    return None


def file_digest(path: Path, algorithm: str) -> str:
    """Compute the "sha256:...", "md5:..." or "git:..." of a file. Git hashes the word "blob" and the size first."""
    hasher = hashlib.new("sha1" if algorithm == "git" else algorithm, usedforsecurity=False)
    if algorithm == "git":
        hasher.update(b"blob %d\0" % path.stat().st_size)
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            hasher.update(block)
    return f"{algorithm}:{hasher.hexdigest()}"
