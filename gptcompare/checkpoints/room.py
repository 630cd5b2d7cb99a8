"""Whether a model fits into the memory of this machine, said before it is downloaded or read."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..checks import path
from ..config import GPTConfig
from ..display.units import in_bytes
from ..parallel import WHOLE, Share
from ..presets import presets, published
from .by_name import locate
from .catalogue import origin_of
from .download.cache import Wanted
from .download.publishers import DEFAULT_SOURCE
from .folder import files_of, read_config

FLOAT32, IN_16_BITS = 4, 2  # bytes of a number
NUMBERS_IN_A_BYTE = 4  # more than any format packs into a byte: a description that claims more is wrong
CGROUPS, GROUPS_OF_PROCESS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def locate_with_room(
    name_or_folder: str | os.PathLike[str],
    dtype: npt.DTypeLike,
    keep: str | None,
    *,
    source: str = DEFAULT_SOURCE,
    wanted: Wanted = "model",
    share: Share = WHOLE,
) -> Path:
    """Return the folder of a model, as `locate` does, if its parameters fit into memory: all, or a rank's share.

    Raises
    ------
    MemoryError
        If the machine's memory is smaller than the parameters. A named model is then not downloaded.
    """
    name = path("name_or_folder", name_or_folder)

    def check(config: GPTConfig) -> None:
        check_room(config, name, dtype, keep, share)

    if not os.path.exists(name) and _is_published(name):
        origin_of(name, source)  # raises what is wrong with the name
        check(GPTConfig.preset(name))
    place = locate(name_or_folder, source=source, wanted=wanted, check=check)
    with contextlib.suppress(OSError, ValueError):  # what is wrong with it, its reader says better
        config = read_config(place)
        if config.n_params <= NUMBERS_IN_A_BYTE * sum(file.stat().st_size for file in files_of(place)):
            check(config)
    return place


def check_room(config: GPTConfig, name: str, dtype: npt.DTypeLike, keep: str | None, share: Share = WHOLE) -> None:
    """Raise MemoryError if a model is larger than memory. One that is kept in 16 bits can stay in its file."""
    room, n_bytes = memory_of_machine(), config.n_params * np.dtype(dtype).itemsize // share.n
    if keep is None and room is not None and n_bytes > room:
        raise MemoryError(
            f"{name} needs {in_bytes(n_bytes)} for its parameters in {np.dtype(dtype).name}, and this machine has "
            f"{in_bytes(room)} of memory. {_what_would_fit(config, name, room)}"
        )


def check_room_to_train(config: GPTConfig, name: str, n_copies: int) -> None:
    """Raise MemoryError if `n_copies` of the parameters in float32 are larger than memory."""
    room, n_bytes = memory_of_machine(), n_copies * FLOAT32 * config.n_params
    if room is not None and n_bytes > room:
        raise MemoryError(
            f"{name} needs {in_bytes(n_bytes)} to be trained, for its parameters, their gradients and what the "
            f"optimizer keeps of each, and this machine has {in_bytes(room)} of memory: choose a smaller model"
        )


def _what_would_fit(config: GPTConfig, name: str, room: int) -> str:
    """Say in which form the model can be loaded, and which models of its family can as they are."""
    kept = IN_16_BITS * config.n_params
    slowly = "" if kept <= room else ", slowly, from the disk"
    advice = f'Weights kept in 16 bits (keep="as stored", --keep as-stored) need {in_bytes(kept)}{slowly}'
    if smaller := _smaller_relatives(name, room):
        advice += f"; of its family, {smaller[-1]} fits in float32"
    return advice


def _smaller_relatives(name: str, room: int) -> list[str]:
    """Return the public models of a preset's family that fit in float32, the smallest first."""
    if not _is_published(name):
        return []
    family = published(name).family
    relatives = [other for other in presets() if published(other).family == family and _is_published(other)]
    n_params = {other: GPTConfig.preset(other).n_params for other in relatives}
    return sorted((other for other, n in n_params.items() if FLOAT32 * n <= room), key=lambda other: n_params[other])


def _is_published(name: str) -> bool:
    """Return whether a name is that of a preset with published weights."""
    try:
        return published(name).repository is not None
    except ValueError:
        return False


def memory_of_machine() -> int | None:
    """Return the bytes of memory that this process can have at most, or None if the system does not say.

    That is the machine's memory, with its swap space, or less: a container, a job of a cluster and `ulimit` have limits
    of their own.
    """
    limits = [_physical(), *_limits_of_groups(), *_limits_of_process()]
    return min((limit for limit in limits if limit is not None), default=None)


def _physical() -> int | None:
    """Return the machine's memory and swap space."""
    with contextlib.suppress(OSError, ValueError):
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        return sum(int(lines[name].split()[0]) * 1024 for name in ("MemTotal", "SwapTotal") if name in lines)
    with contextlib.suppress(AttributeError, OSError, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None


def _limits_of_groups() -> list[int]:
    """Return the limits of the control groups, of both versions, that a process on Linux is in, and of those above."""
    limits = []
    with contextlib.suppress(OSError):
        for line in GROUPS_OF_PROCESS.read_text().splitlines():
            _, controllers, place = line.split(":", 2)
            root, file = (CGROUPS, "memory.max") if not controllers else (CGROUPS / "memory", "memory.limit_in_bytes")
            if controllers in ("", "memory"):
                group = root / place.lstrip("/")
                for folder in (group, *group.parents):
                    with contextlib.suppress(OSError, ValueError):  # "max": none
                        limits.append(int((folder / file).read_text()))
    return limits


def _limits_of_process() -> list[int]:
    """Return the limits that `ulimit` sets."""
    try:
        import resource
    except ImportError:  # Windows
        return []
    limits: list[Any] = [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA)]
    return [limit for limit in limits if limit != resource.RLIM_INFINITY]
