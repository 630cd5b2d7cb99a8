"""The publishers of weights: the address of each file, its known digest, and who may read it.

The Hugging Face Hub serves a repository's files at `ENDPOINT/OWNER/NAME/resolve/REVISION/FILE` (huggingface_hub,
constants.py); OpenAI's store serves GPT-2's at `ENDPOINT/gpt-2/models/SIZE/FILE` (openai/gpt-2, download_model.py).
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import quote

from ...presets import presets, published
from ..errors import DownloadError
from .environment import host, hub_address, hub_token, openai_address

# Both publish the same files: tiktoken 4e71bbe0, openai_public.py, has the digests of OpenAI's.
IDS_DIGEST = "sha256:196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783"
MERGES_DIGEST = "sha256:1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5"
GPT2_DIGESTS = {
    "encoder.json": IDS_DIGEST, "vocab.json": IDS_DIGEST, "vocab.bpe": MERGES_DIGEST, "merges.txt": MERGES_DIGEST,
}  # fmt: skip

# The four repositories that have those files; Hugging Face ignores the case of names.
GPT2_REPOSITORIES = {(model.repository or "").lower() for name in presets() if (model := published(name)).openai_name}
OPENAI_NAMES = {model.openai_name for name in presets() if (model := published(name)).openai_name}

# huggingface_hub, utils/_validators.py.
REPOSITORY = re.compile(r"\b[\w.-]{1,96}\b/\b[\w.-]{1,96}\b", re.ASCII)
REVISION = re.compile(r"[\w.-][\w./-]{0,99}", re.ASCII)


class Place(ABC):
    """A place where files that belong together are published, and their folder on this machine.

    Attributes
    ----------
    name : str
    """

    name: str

    @property
    @abstractmethod
    def endpoint(self) -> str:
        """The beginning of every address."""

    @property
    @abstractmethod
    def folder(self) -> str:
        """The folder of the files, relative to our cache."""

    @property
    def full_name(self) -> str:
        """The name as messages show it."""
        return self.name

    @property
    def token(self) -> str | None:
        """The token that is sent to the endpoint, and to no other host, or None."""
        return None

    @abstractmethod
    def url(self, file: str, commit: str | None = None) -> str:
        """Return the address of a file, in a commit if one is given."""

    def explain(self, status: int, code: str | None) -> str:
        """Explain a refusal (HTTP status, Hugging Face's X-Error-Code), and say what to do."""
        return f"{host(self.endpoint)} answered with HTTP status {status} for {self.name}"


class Origin(Place):
    """A published model: its files and where they are.

    Attributes
    ----------
    publisher, name, revision : str
    description : str
        The file that describes the model.
    weights : tuple of tuple of str
        Alternatives, the best first, each with the files that belong together; an index names more files.
    """

    publisher: ClassVar[str]
    description: ClassVar[str]
    weights: ClassVar[tuple[tuple[str, ...], ...]]
    revision: str = "main"

    @property
    @abstractmethod
    def tokenizer(self) -> tuple[str, ...]:
        """The files of the tokenizer and what names the tokens that end a text, any of which may be missing."""

    @property
    def full_name(self) -> str:
        """The name with the revision, if that is not main."""
        return self.name if self.revision == "main" else f"{self.name}@{self.revision}"

    @property
    def digests(self) -> Mapping[str, str]:
        """File -> the digest that it is known to have, whatever the server says."""
        return {}


@dataclass(frozen=True)
class HuggingFace(Origin):
    """A repository of the Hugging Face Hub. DownloadError if its name or revision is not a valid one."""

    name: str
    revision: str = "main"

    publisher = "huggingface"
    description = "config.json"
    weights = (
        ("model.safetensors",), ("model.safetensors.index.json",),
        ("pytorch_model.bin",), ("pytorch_model.bin.index.json",),
    )  # fmt: skip

    def __post_init__(self) -> None:
        wrong = "--" in self.name or ".." in self.name or self.name.endswith(".git")
        if wrong or not REPOSITORY.fullmatch(self.name):
            raise DownloadError(f"{self.name!r} is not the name of a Hugging Face repository, which is owner/name")
        if ".." in self.revision or not REVISION.fullmatch(self.revision):
            raise DownloadError(f"{self.revision!r} is not a revision, which is a branch, a tag or a commit")

    @property
    def endpoint(self) -> str:
        return hub_address()

    @property
    def folder(self) -> str:
        revision = "" if self.revision == "main" else f"@{quote(self.revision, safe='')}"
        return f"huggingface/{self.name.replace('/', '--')}{revision}"

    @property
    def token(self) -> str | None:
        return hub_token()

    @property
    def digests(self) -> Mapping[str, str]:
        return GPT2_DIGESTS if self.name.lower() in GPT2_REPOSITORIES else {}

    @property
    def tokenizer(self) -> tuple[str, ...]:
        pair = ("vocab.json", "merges.txt", "added_tokens.json", "tokenizer_config.json", "special_tokens_map.json")
        ends = "generation_config.json"
        # where the files are known, tokenizer.json would be read instead of them
        return (*pair, ends) if self.digests else ("tokenizer.json", *pair, ends)

    def url(self, file: str, commit: str | None = None) -> str:
        return f"{self.endpoint}/{self.name}/resolve/{quote(commit or self.revision, safe='')}/{quote(file)}"

    def explain(self, status: int, code: str | None) -> str:
        page = f"{host(self.endpoint)}/{self.name}"
        if code == "RevisionNotFound":
            return f"the repository {self.name} has no revision {self.revision!r}: check its name"
        if code == "GatedRepo" or status == 403:
            return f"{self.name} is not open to everyone: ask for access at {page}, then set HF_TOKEN to your token"
        if status == 401 or code == "RepoNotFound":
            reason = "the token was refused" if self.token else "it is private"
            return (
                f"there is no repository {self.name}, or {reason}: check the name, or set HF_TOKEN to a token that may "
                "read it"
            )
        if status == 404:
            return f"{self.name} has no {self.description}, or there is no such repository: check the name"
        return f"{host(self.endpoint)} refused {self.name} with HTTP status {status}"


@dataclass(frozen=True)
class OpenAI(Origin):
    """A size of GPT-2 in OpenAI's own store, named by its folder: 124M, 355M, 774M or 1558M."""

    name: str

    publisher = "openai"
    revision = "main"
    description = "hparams.json"
    weights = (("model.ckpt.index", "model.ckpt.data-00000-of-00001"),)

    def __post_init__(self) -> None:
        if self.name not in OPENAI_NAMES:
            raise DownloadError(f"OpenAI's store has no {self.name!r}")

    @property
    def endpoint(self) -> str:
        return openai_address()

    @property
    def folder(self) -> str:
        return f"openai/{self.name}"

    @property
    def tokenizer(self) -> tuple[str, ...]:
        return ("encoder.json", "vocab.bpe")

    @property
    def digests(self) -> Mapping[str, str]:
        return GPT2_DIGESTS

    def url(self, file: str, commit: str | None = None) -> str:
        return f"{self.endpoint}/gpt-2/models/{self.name}/{quote(file)}"

    def explain(self, status: int, code: str | None) -> str:
        return (
            f"OpenAI's store at {host(self.endpoint)} answered with HTTP status {status} for GPT-2 {self.name}: try "
            'source="huggingface"'
        )


DEFAULT_SOURCE = HuggingFace.publisher
SOURCES = (DEFAULT_SOURCE, OpenAI.publisher)


def check_source(source: str) -> None:
    """Raise ValueError if `source` is not one of `SOURCES`."""
    if not isinstance(source, str) or source not in SOURCES:
        raise ValueError(f"unknown source {source!r}: known are {', '.join(SOURCES)}")
