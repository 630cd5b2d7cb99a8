"""The environment variables about the network: addresses, the token, the folders, and whether it may be used at all.

They are read as huggingface_hub reads them: HF_ENDPOINT, HF_TOKEN, HF_HOME and the file HF_HOME/token.
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
    """Return whether an environment variable says yes, in the words that huggingface_hub accepts."""
    return os.environ.get(variable, "").upper() in {"1", "ON", "YES", "TRUE"}


def offline_variable() -> str | None:
    """Return the name of the environment variable that forbids the network, if one is set."""
    return next(filter(is_set, ("GPTCOMPARE_OFFLINE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")), None)


def folder_from(*variables: str, default: Path | str) -> Path:
    """Return the folder named by the first environment variable that is set, with "~" and "$NAME" expanded.

    "~" stays where there is no such home directory.
    """
    chosen = next((os.environ[variable] for variable in variables if os.environ.get(variable)), default)
    return Path(os.path.expandvars(os.path.expanduser(chosen)))


def user_cache() -> Path:
    """Return the folder for files that can be downloaded again."""
    return folder_from("XDG_CACHE_HOME", default="~/.cache")


def hf_home() -> Path:
    """Return Hugging Face's folder on this machine."""
    return folder_from("HF_HOME", default=user_cache() / "huggingface")


def address(variable: str, default: str) -> str:
    """Return a web address from the environment, without a trailing slash. DownloadError if it is not one."""
    url = (os.environ.get(variable) or default).rstrip("/")
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address:  # not shown: it may contain a password
        raise DownloadError(f"{variable} is not an address that begins with https:// or http://")
    return url


def host(url: str) -> str:
    """Return the host of an address for messages: without a user's name, a password or a signature.

    >>> host("https://user:password@example.com/models?signature=secret")
    'example.com'
    """
    return urlsplit(url).netloc.rpartition("@")[2]


def hub_address() -> str:
    """Return the address of the Hugging Face Hub, or of its mirror."""
    return address("HF_ENDPOINT", "https://huggingface.co")


def hub_token() -> str | None:
    """Return the user's token for the Hugging Face Hub, if there is one, and it may be sent without being asked for."""
    if is_set("HF_HUB_DISABLE_IMPLICIT_TOKEN"):
        return None
    token = os.environ.get("HF_TOKEN") or os.environ.get("HUGGING_FACE_HUB_TOKEN") or _hub_token_in_file()
    token = token.strip()
    if token and not TOKEN.fullmatch(token):  # not shown: it may be part of a secret
        raise DownloadError("the Hugging Face token (HF_TOKEN, or the file `token`) has invalid characters")
    return token or None


def _hub_token_in_file() -> str:
    try:
        return folder_from("HF_TOKEN_PATH", default=hf_home() / "token").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def openai_address() -> str:
    """Return the address of OpenAI's store, or of its mirror."""
    return address("GPTCOMPARE_OPENAI_ENDPOINT", "https://openaipublic.blob.core.windows.net")
