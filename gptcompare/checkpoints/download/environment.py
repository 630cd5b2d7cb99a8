"""What the environment says about the network: addresses, the token, the folders, and whether it may be used at all.

It is read as huggingface_hub reads it: HF_ENDPOINT, HF_TOKEN, HF_HOME and the file HF_HOME/token.
GPTCOMPARE_OPENAI_ENDPOINT names a mirror of OpenAI's store.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from ..errors import DownloadError

TOKEN = re.compile(r"[\x21-\x7e]+")


def is_set(variable: str) -> bool:
    """Whether an environment variable says yes, in the words that huggingface_hub takes for it."""
    return os.environ.get(variable, "").upper() in {"1", "ON", "YES", "TRUE"}


def offline_variable() -> str | None:
    """The environment variable that forbids the network, if one is set."""
    return next(filter(is_set, ("GPTCOMPARE_OFFLINE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")), None)


def folder_from(*variables: str, default: Path | str) -> Path:
    """The folder that the first of several environment variables names, "~" and "$NAME" in it replaced."""
    chosen = next((os.environ[variable] for variable in variables if os.environ.get(variable)), default)
    return Path(os.path.expandvars(os.path.expanduser(chosen)))


def user_cache() -> Path:
    """Where programs keep what can be fetched again."""
    return folder_from("XDG_CACHE_HOME", default="~/.cache")


def hf_home() -> Path:
    """Hugging Face's folder on this machine."""
    return folder_from("HF_HOME", default=user_cache() / "huggingface")


def address(variable: str, default: str) -> str:
    """A web address from the environment, without a slash at its end. DownloadError if it is none."""
    url = (os.environ.get(variable) or default).rstrip("/")
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address:  # and is not shown: it may have a password in it
        raise DownloadError(f"{variable} is not an address that begins with https:// or http://")
    return url


def host(url: str) -> str:
    """The host of an address, as messages show it: without the user's name, a password or a signature in it."""
    return urlsplit(url).netloc.rpartition("@")[2]


def hub_address() -> str:
    """Of the Hugging Face Hub, or its mirror."""
    return address("HF_ENDPOINT", "https://huggingface.co")


def hub_token() -> str | None:
    """The user's token for the Hugging Face Hub."""
    token = os.environ.get("HF_TOKEN") or os.environ.get("HUGGING_FACE_HUB_TOKEN") or _hub_token_in_file()
    token = token.strip()
    if token and not TOKEN.fullmatch(token):  # and is not shown: it may be a part of a secret
        raise DownloadError("the Hugging Face token (HF_TOKEN, or the file `token`) has characters that none can have")
    return token or None


def _hub_token_in_file() -> str:
    if is_set("HF_HUB_DISABLE_IMPLICIT_TOKEN"):
        return ""
    try:
        return folder_from("HF_TOKEN_PATH", default=hf_home() / "token").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def openai_address() -> str:
    """Of OpenAI's store, or its mirror."""
    return address("GPTCOMPARE_OPENAI_ENDPOINT", "https://openaipublic.blob.core.windows.net")
