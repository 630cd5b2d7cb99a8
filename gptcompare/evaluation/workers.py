"""Workers that score the items: the threads of this process, or the processes of a Dask cluster.

Both score the same chunks of items, each chunk on one thread. So on processors of the same kind every row is the same
to the last bit, whichever worker computed it.
"""

from __future__ import annotations

import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from importlib import import_module
from typing import Any, TypeAlias

from ..files.stopping import Stop, stop_after_step, stop_where_asked
from ..generation import LanguageModel, load
from ..model.threads import in_parallel, single_threaded
from . import provenance
from .tasks.items import Item
from .tasks.protocols import Protocol, Row, Window, scored

ITEMS = 8  # that are scored together: the most that is lost when a process or a worker is killed
SOON = 0.01  # seconds between two looks at what the workers of a cluster have done

Chunk: TypeAlias = list[int]  # the numbers of some items
Keep: TypeAlias = Callable[[Chunk, list[Row]], None]


def in_chunks(items: Sequence[Item | Window]) -> list[Chunk]:
    """Group the numbers of all items by similar length; the longest items, which need the most memory, come first."""
    order = sorted(range(len(items)), key=lambda number: _length(items[number]), reverse=True)
    return [order[start : start + ITEMS] for start in range(0, len(order), ITEMS)]


def _length(item: Item | Window) -> int:
    if isinstance(item, Window):
        return len(item.context) + len(item.predicted)
    return sum(len(context) + len(answer) for context, answer in item.pairs)


class Workers(ABC):
    """Workers that score chunks of items."""

    @abstractmethod
    def score(self, protocol: Protocol, items: Sequence[Any], chunks: Sequence[Chunk], keep: Keep) -> None:
        """Score all chunks; `keep` gets the rows of one chunk at a time, in any order."""


class Threads(Workers):
    """The threads of this process, as many as a matrix product would use; one, if the model is cut among ranks.

    These must make the same calls in the same order.
    """

    def __init__(self, lm: LanguageModel) -> None:
        self._lm = lm
        self._keeping = threading.Lock()

    def score(self, protocol: Protocol, items: Sequence[Any], chunks: Sequence[Chunk], keep: Keep) -> None:
        def work(chunk: Chunk) -> None:
            rows = _rows(self._lm, protocol, [items[number] for number in chunk])
            with self._keeping:
                keep(chunk, rows)

        if self._lm.model.ranks.share.n == 1:
            in_parallel(work, chunks)
        else:
            for chunk in chunks:
                work(chunk)


class Dask(Workers):
    """The workers of a Dask cluster, each of which loads the model once.

    If a worker dies, another one takes over its chunk.

    Parameters
    ----------
    name, source : str
        Every worker loads the model by these. A folder must exist on all machines.
    digest : str
        SHA-256 of the model (`provenance.of_content`), which must be the same on all machines.
    tokenizer : path, optional
        Whose tokenizer to use instead of the model's own.
    keep : str, optional
        In which 16 bits to keep the weights, as for `gptcompare.load`.
    address : str, optional
        The address of the cluster's scheduler, such as "tcp://10.0.0.1:8786". If not given, a cluster on this machine
        is started (see `cluster`), and closed at the end.
    n_workers : int, optional
        The number of workers of a cluster on this machine: by default one for each core.

    Raises
    ------
    ImportError
        If Dask is not installed.
    """

    def __init__(
        self,
        name: str,
        source: str,
        digest: str,
        tokenizer: str | os.PathLike[str] | None = None,
        keep: str | None = None,
        *,
        address: str | None = None,
        n_workers: int | None = None,
    ) -> None:
        try:
            with stop_where_asked():  # an import may make another exception of a signal's
                self._distributed: Any = import_module("distributed")
        except ImportError:
            raise ImportError('this needs Dask: pip install "gptcompare[dask]"') from None
        named = None if tokenizer is None else os.fspath(tokenizer)
        self._model = _absolute(name), source, digest, None if named is None else _absolute(named), keep
        self._address = address
        self._n_workers = n_workers

    def score(self, protocol: Protocol, items: Sequence[Any], chunks: Sequence[Chunk], keep: Keep) -> None:
        with self._connected() as (client, stop):
            chunk_of = {
                client.submit(_score, self._model, protocol, [items[number] for number in chunk], pure=False): chunk
                for chunk in chunks
            }
            completed = self._distributed.as_completed(list(chunk_of))
            while chunk_of:
                if stop.is_asked:
                    stop.take_course()
                done = completed.next_batch(block=False)
                for future in done:
                    keep(chunk_of.pop(future), self._rows_of(future))
                if not done:
                    time.sleep(SOON)

    def _rows_of(self, future: Any) -> list[Row]:
        """Return the rows that a worker found, or raise the exception that it met."""
        if future.status == "cancelled":
            raise OSError("the Dask scheduler is gone; the results so far are kept: the same call resumes from them")
        if future.status == "error":
            raise OSError(f"Dask gave up: {future.exception()}")
        found = future.result()
        if isinstance(found, Exception):
            raise found
        return found  # type: ignore[no-any-return]  # Dask has no types

    @contextmanager
    def _connected(self) -> Iterator[tuple[Any, Stop]]:
        """Yield a client of the cluster, and what says whether a signal has asked to stop.

        All signals wait while a cluster on this machine starts and closes. One elsewhere may never answer: there, only
        the first waits, and only once there is a connection.
        """
        if self._address is not None:
            with self._client(self._address) as client, stop_after_step() as stop:
                yield client, stop
            return
        with stop_where_asked() as stop:
            local_cluster = import_module(".cluster", __package__).local_cluster
            with local_cluster(self._n_workers) as cluster, self._client(cluster) as client:
                yield client, stop

    def _client(self, address: Any) -> AbstractContextManager[Any]:
        try:
            client: AbstractContextManager[Any] = self._distributed.Client(address)
        except (OSError, ValueError) as error:
            raise OSError(f"there is no Dask scheduler at {address}: {error}") from None
        return client


def _absolute(name: str) -> str:
    return os.path.abspath(name) if os.path.exists(name) else name


def _rows(lm: LanguageModel, protocol: Protocol, items: Sequence[Any]) -> list[Row]:
    with single_threaded():
        return scored(protocol, lm, items)


def _score(
    model: tuple[str, str, str, str | None, str | None], protocol: Protocol, items: Sequence[Any]
) -> list[Row] | Exception:
    """Score a chunk in a Dask worker. An exception is returned as a result: raised, it would fill the worker's log."""
    try:
        with _loading:
            lm = _loaded(*model)
        return _rows(lm, protocol, items)
    except Exception as error:
        return error


_loading = threading.Lock()


@lru_cache(maxsize=1)
def _loaded(name: str, source: str, digest: str, tokenizer: str | None, keep: str | None) -> LanguageModel:
    """Load the model, for the first chunk that a worker gets."""
    lm = load(name, source=source, tokenizer=tokenizer, keep=keep)
    if provenance.of_content(lm) != digest:
        raise ValueError(f"{name!r} on this worker is not the model that the evaluation was started with")
    return lm
