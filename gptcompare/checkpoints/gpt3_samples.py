"""The texts that OpenAI published of GPT-3 175B, whose weights it never published."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

from . import cache
from .errors import CheckpointError, DownloadError
from .publishers import GitHub, host, offline_variable
from .remote_file import RemoteFile

FILE = "175b_samples.jsonl"
PLACE = GitHub("openai/gpt-3", "d7a9bb505df6f630f9bab3b30c889e52f22eb9ea")

# OpenAI published no digest: this is that of the file in openai/gpt-3 at d7a9bb50, which has 485 lines.
DIGEST = "sha256:c62eb611ba7afbe31a7ba30998f7e19598ab2dc6d2014946c6ea5a868909d465"
SIZE = 4_092_490  # bytes


def gpt3_samples() -> list[str]:
    """Texts that GPT-3 175B wrote without a prompt, fetched when they are first asked for.

    They are unfiltered, may be offensive, and were sampled with top_p=0.85 and temperature=1, 2048 tokens each.
    "<|endoftext|>" in a text is where one document ends and the next begins.

    Returns
    -------
    list of str
        485 texts, in their published order. The model card speaks of 500.

    Raises
    ------
    DownloadError
        If they are not on this machine, or damaged, and cannot be fetched. It is a FileNotFoundError, too.
    CheckpointError
        If the file is not one of texts.

    References
    ----------
    https://github.com/openai/gpt-3: README.md, model-card.md, 175b_samples.jsonl.
    """
    path = cache.folder_of(PLACE) / FILE
    problem = _published_at("").problem(path)
    if problem is not None:
        _fetch(path, problem)
    return _read_texts(path)


def _published_at(url: str) -> RemoteFile:
    """The file, of which all is known before a server is asked, at an address."""
    return RemoteFile(url, SIZE, (DIGEST,), version="", commit=PLACE.commit)


def _fetch(path: Path, problem: str) -> None:
    remote = _published_at(PLACE.url(FILE))
    what = "the samples of GPT-3 are not on this machine"
    if path.exists():
        what = f"{path} is not what OpenAI published as samples of GPT-3 ({problem})"
    by_hand = f"They are at {host(remote.url)}{urlsplit(remote.url).path}; that file can also be put by hand at {path}"
    if variable := offline_variable():
        raise DownloadError(f"{what}, and {variable} is set. {by_hand}")
    from .fetch import fetch_file  # what it needs of the network takes a tenth of a second to import

    try:
        fetch_file(PLACE, remote, path)
    except DownloadError as error:
        raise DownloadError(f"{what}: {error}. {by_hand}") from None


def _read_texts(path: Path) -> list[str]:
    """The JSON strings of a file, one a line."""
    # No `splitlines`: a string may have line breaks in it that JSON need not escape, such as U+2028.
    lines = path.read_bytes().removesuffix(b"\n").split(b"\n")
    return [_text_of(line, path, n) for n, line in enumerate(lines, start=1)]


def _text_of(line: bytes, path: Path, n: int) -> str:
    try:
        text = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        text = None
    if not isinstance(text, str):
        raise CheckpointError(path, f"line {n} is not a text: that is a JSON string")
    return text
