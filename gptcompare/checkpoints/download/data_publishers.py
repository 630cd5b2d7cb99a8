"""The publishers of files that are not part of a model: texts that models wrote, and tasks for them.

GitHub serves a file at `ENDPOINT/OWNER/NAME/COMMIT/FILE`, and the Hugging Face Hub serves a dataset's file at
`ENDPOINT/datasets/OWNER/NAME/resolve/COMMIT/FILE` (huggingface_hub, constants.py). Two stores have one folder each:
OpenAI's, `ENDPOINT/gpt-2/data/FILE`, and the Allen Institute for AI's, `ENDPOINT/ai2-mosaic/public/FILE`.
GPTCOMPARE_GITHUB_ENDPOINT and GPTCOMPARE_AI2_ENDPOINT name mirrors, as the variables in `publishers` do.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from .environment import address, hub_address, hub_token, openai_address
from .publishers import Place


@dataclass(frozen=True)
class GitHub(Place):
    """A public repository on GitHub, "owner/name", at one commit."""

    name: str
    commit: str

    @property
    def endpoint(self) -> str:
        return address("GPTCOMPARE_GITHUB_ENDPOINT", "https://raw.githubusercontent.com")

    @property
    def folder(self) -> str:
        return self.name

    def url(self, file: str, commit: str | None = None) -> str:
        return f"{self.endpoint}/{self.name}/{commit or self.commit}/{quote(file)}"


@dataclass(frozen=True)
class HuggingFaceDataset(Place):
    """A dataset repository of the Hugging Face Hub, "owner/name", at one commit."""

    name: str
    commit: str

    @property
    def endpoint(self) -> str:
        return hub_address()

    @property
    def folder(self) -> str:
        return f"huggingface-datasets/{self.name.replace('/', '--')}"

    @property
    def token(self) -> str | None:
        return hub_token()

    def url(self, file: str, commit: str | None = None) -> str:
        return f"{self.endpoint}/datasets/{self.name}/resolve/{commit or self.commit}/{quote(file)}"


@dataclass(frozen=True)
class OpenAIData(Place):
    """The texts that OpenAI published along with GPT-2, in the same store."""

    name = "the data of GPT-2"

    @property
    def endpoint(self) -> str:
        return openai_address()

    @property
    def folder(self) -> str:
        return "openai/gpt-2-data"

    def url(self, file: str, commit: str | None = None) -> str:
        return f"{self.endpoint}/gpt-2/data/{quote(file)}"


@dataclass(frozen=True)
class AI2(Place):
    """The store in which the Allen Institute for AI publishes tasks."""

    name = "the tasks of AI2"

    @property
    def endpoint(self) -> str:
        return address("GPTCOMPARE_AI2_ENDPOINT", "https://storage.googleapis.com")

    @property
    def folder(self) -> str:
        return "ai2/mosaic"

    def url(self, file: str, commit: str | None = None) -> str:
        return f"{self.endpoint}/ai2-mosaic/public/{quote(file)}"
