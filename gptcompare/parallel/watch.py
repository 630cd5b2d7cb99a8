"""Says which rank was killed: mpiexec ends the others then, but does not always name the right one.

A process of its own, which no signal to the ranks reaches, holds a connection to each of them. The system closes a
connection at once when its rank dies, and before mpiexec has ended the others. A rank that ends in any other way says
goodbye first.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import socket
import sys
from collections.abc import Iterable, Iterator

from .communication import Communicator

TOKEN_BYTES = 16  # with which a rank begins, so that nobody else is taken for one
CONNECT = 10.0  # seconds that all ranks have to connect
GOODBYE = b"."


@contextlib.contextmanager
def watched(ranks: Communicator, *, same_machine: bool) -> Iterator[None]:
    """Let a killed rank be named on standard error, while the block runs.

    Where processes cannot be forked or ranks cannot connect to each other's machines, nobody is watched.
    """
    try:
        connection = _connected(ranks, same_machine)
    except OSError:
        connection = None
    try:
        yield
    finally:
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.sendall(GOODBYE)
                connection.close()


def _connected(ranks: Communicator, same_machine: bool) -> socket.socket | None:
    """Start the process that watches, from rank 0, and return this rank's connection to it."""
    address: tuple[str, int, bytes] | None = None
    if ranks.share.rank == 0 and hasattr(os, "fork"):
        with contextlib.suppress(OSError):
            address = _start(ranks.share.n, "127.0.0.1" if same_machine else socket.gethostname())
    address = ranks.broadcast(address)
    if address is None:
        return None
    host, port, token = address
    connection = socket.create_connection((host, port), timeout=CONNECT)
    connection.sendall(token + ranks.share.rank.to_bytes(4, "big"))
    return connection


def _start(n: int, host: str) -> tuple[str, int, bytes]:
    """Fork the process that watches n ranks; return where it listens, and the token that it expects."""
    server = socket.create_server((host if host == "127.0.0.1" else "", 0), backlog=n)
    token, errors = secrets.token_bytes(TOKEN_BYTES), sys.stderr.fileno()
    if os.fork():
        port: int = server.getsockname()[1]
        server.close()
        return host, port, token
    try:
        os.setsid()  # mpiexec ends the ranks by their process groups
        if name := _first_killed(server, n, token):
            os.write(errors, f"gptcompare: {name} was killed, which ends all\n".encode())
    finally:
        os._exit(0)  # nothing of the rank that it was forked from is to run


def _first_killed(server: socket.socket, n: int, token: bytes) -> str | None:
    """Return the name of the rank whose connection is closed without a goodbye of anyone before; None if none is."""
    server.settimeout(CONNECT)
    rank_of: dict[socket.socket, int] = {}
    with contextlib.suppress(OSError):
        while len(rank_of) < n:
            connection, _ = server.accept()
            connection.settimeout(CONNECT)
            said = connection.recv(len(token) + 4, socket.MSG_WAITALL)
            if secrets.compare_digest(said[: len(token)], token):
                rank_of[connection] = int.from_bytes(said[len(token) :], "big")
    if not rank_of:
        return None
    # Whatever comes first: a goodbye is the end of the work, or that of all ranks, whom mpiexec is about to end.
    first = _Poller(rank_of).first()
    return f"rank {rank_of[first]} of {n}" if _has_died(first) else None


class _Poller:
    """Waits for connections that say something or end.

    On Linux, whatever has happened before this process gets a core comes in the order in which it happened: on a busy
    machine mpiexec may have ended all other ranks by then.
    """

    def __init__(self, connections: Iterable[socket.socket]) -> None:
        self._connections = {connection.fileno(): connection for connection in connections}
        self._poll = select.epoll() if hasattr(select, "epoll") else select.poll()
        for number in self._connections:
            self._poll.register(number, select.POLLIN)

    def first(self) -> socket.socket:
        return self._connections[self._poll.poll()[0][0]]


def _has_died(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) != GOODBYE
    except OSError:  # its machine is gone
        return True
