"""The texts by GPT-3 175B that OpenAI published, although it never published the weights."""

from __future__ import annotations

import contextlib
from pathlib import Path

from ..checkpoints.download.data_publishers import GitHub
from ..checkpoints.download.published_file import PublishedFile
from ..checkpoints.errors import CheckpointError
from ..files.texts import parse_json

# OpenAI published no digest: this one is computed from the file in openai/gpt-3 at d7a9bb50, which has 485 lines.
SAMPLES = PublishedFile(
    GitHub("openai/gpt-3", "d7a9bb505df6f630f9bab3b30c889e52f22eb9ea"),
    "175b_samples.jsonl",
    "sha256:c62eb611ba7afbe31a7ba30998f7e19598ab2dc6d2014946c6ea5a868909d465",
    size=4_092_490,
)


def gpt3_samples() -> list[str]:
    """Return texts that GPT-3 175B wrote without a prompt, downloaded on the first call.

    They are unfiltered, may be offensive, and were sampled with top_p=0.85 and temperature=1, 2048 tokens each.
    `<|endoftext|>` in a text marks where one document ends and the next begins.

    Returns
    -------
    list of str
        485 texts, in their published order. The model card mentions 500.

    Raises
    ------
    DownloadError
        If they are missing or damaged on this machine and cannot be downloaded. It is also a FileNotFoundError.
    CheckpointError
        If the file does not consist of texts.

    References
    ----------
    https://github.com/openai/gpt-3: README.md, model-card.md, 175b_samples.jsonl.
    """
    return _read_texts(SAMPLES.fetched("the samples of GPT-3"))


def _read_texts(path: Path) -> list[str]:
    """Read the JSON strings of a file, one per line."""
    # Not `splitlines`: a string may contain line breaks that JSON need not escape, such as U+2028.
    lines = path.read_bytes().removesuffix(b"\n").split(b"\n")
    return [_text_of(line, path, n) for n, line in enumerate(lines, start=1)]


def _text_of(line: bytes, path: Path, n: int) -> str:
    text = None
    with contextlib.suppress(ValueError):
        text = parse_json(line, str(path))
    if not isinstance(text, str):
        raise CheckpointError(path, f"line {n} is not a text, which is a JSON string")
    return text
