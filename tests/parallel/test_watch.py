import itertools
import select
import socket

import pytest

from gptcompare.parallel.watch import _Poller


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="the order of events is known on Linux only")
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_the_connection_that_ended_first_is_named_however_late_it_is_asked(order):
    pairs = [socket.socketpair() for _ in range(3)]
    poller = _Poller(ours for ours, _ in pairs)
    for number in order:
        pairs[number][1].close()
    assert poller.first() is pairs[order[0]][0]
    for ours, _ in pairs:
        ours.close()


def test_a_word_counts_as_well_as_an_end():
    pairs = [socket.socketpair() for _ in range(2)]
    poller = _Poller(ours for ours, _ in pairs)
    pairs[1][1].sendall(b".")
    assert poller.first() is pairs[1][0]
    for pair in pairs:
        for one in pair:
            one.close()
