import multiprocessing
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from gptcompare.model import threads
from gptcompare.model.threads import (
    LayerOrder,
    in_layer_order,
    in_parallel,
    n_threads,
    products_on_one_thread,
    shares,
    single_threaded,
)

needs_several = pytest.mark.skipif(n_threads() < 2, reason="products use one thread here")


def number_in_blas():
    return threads._blas.get()


def numbers_in_forked_process():
    """How many threads a product uses in a process that is forked now, as this library and the BLAS say it there."""
    context = multiprocessing.get_context("fork")
    numbers = context.Queue()
    child = context.Process(target=lambda: numbers.put((n_threads(), number_in_blas())))
    child.start()
    found = numbers.get(timeout=30)
    child.join(30)
    return found


@pytest.mark.parametrize("n", [0, 1, 7, 64, 1000])
@pytest.mark.parametrize("n_shares", [1, 2, 3, 64])
def test_shares_are_the_range_in_order_in_slices_of_one_length_but_the_last(n, n_shares):
    slices = shares(n, n_shares)  # all of one length, but for the last
    assert [i for share in slices for i in range(share.start, share.stop)] == list(range(n))
    assert len(slices) <= n_shares
    lengths = [share.stop - share.start for share in slices]
    assert all(0 < length <= -(-n // n_shares) for length in lengths)
    assert len(set(lengths[:-1])) <= 1


@pytest.mark.parametrize("n_items", [0, 1, 2, 25])
def test_every_item_is_worked_on_once(n_items):
    done = []
    in_parallel(done.append, range(n_items))
    assert sorted(done) == list(range(n_items))


@pytest.mark.usefixtures("four_threads")
def test_items_are_worked_on_at_the_same_time():
    meeting = threading.Barrier(2, timeout=30)  # is broken, and raises, if one item waits for the other's end
    in_parallel(lambda item: meeting.wait(), range(2))


def test_an_exception_comes_out_when_what_had_begun_has_ended():
    ended = []

    def work(item):
        if item == 0:
            raise ValueError("the first one")
        time.sleep(0.05)
        ended.append(item)

    with pytest.raises(ValueError, match="the first one"):
        in_parallel(work, range(100))
    so_far = list(ended)
    time.sleep(0.1)
    assert ended == so_far
    assert len(ended) < n_threads()  # what the other threads had begun


@pytest.mark.usefixtures("four_threads")
def test_no_item_is_begun_behind_one_that_failed_while_an_earlier_one_goes_on():
    begun, failed = [], threading.Event()

    def work(item):
        begun.append(item)
        if item == 0:
            assert failed.wait(30)
            time.sleep(0.1)  # time enough for the other two threads to begin what they should not
        elif item == 1:
            failed.set()
            raise ValueError("the second one")
        else:
            assert failed.wait(30)

    with pytest.raises(ValueError, match="the second one"):
        in_parallel(work, range(100))
    assert set(begun) <= {0, 1, 2, 3, 4, 5}  # each of the two may have taken one more before the failure was known


@pytest.mark.usefixtures("four_threads")
def test_the_callers_error_state_holds_on_every_thread():
    states = []
    meeting = threading.Barrier(4, timeout=30)
    with np.errstate(all="ignore", over="raise"):
        in_parallel(lambda item: (meeting.wait(), states.append(np.geterr())), range(4))
        assert states == [np.geterr()] * 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_process_forked_meanwhile_works_as_any_other():
    with products_on_one_thread() as n:
        assert numbers_in_forked_process() == (n, n)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.skipif(not threads._blas.can_be_set, reason="this BLAS's number of threads cannot be set")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_has_the_number_of_threads_that_others_have_set_since(monkeypatch):
    before = number_in_blas()
    monkeypatch.setattr(threads._blas, "n_threads", before)
    threads._blas.set(before + 1)
    try:
        assert numbers_in_forked_process() == (before + 1, before + 1)
    finally:
        threads._blas.set(before)


@needs_several
def test_products_stay_on_their_thread_while_there_are_several_and_are_shared_again_afterwards():
    before = number_in_blas()
    inside = []
    in_parallel(lambda item: inside.append((number_in_blas(), n_threads())), range(3))
    assert inside == [(1, before)] * 3
    assert number_in_blas() == n_threads() == before


@needs_several
def test_one_item_alone_keeps_its_products_on_all_threads():
    inside = []
    in_parallel(lambda item: inside.append(number_in_blas()), range(1))
    assert inside == [n_threads()]


@needs_several
def test_the_number_of_threads_is_restored_by_the_last_of_several_at_once_and_after_an_exception():
    before = n_threads()
    with products_on_one_thread() as outer:
        with pytest.raises(KeyError), products_on_one_thread() as inner:
            raise KeyError
        assert number_in_blas() == 1
    assert (outer, inner, number_in_blas()) == (before, before, before)


class TestAlone:
    def test_nothing_is_shared_out_inside_and_all_is_as_before_behind_it(self, four_threads):
        who = []
        with single_threaded():
            assert n_threads() == 1
            in_parallel(lambda item: who.append(threading.get_ident()), range(5))
        with pytest.raises(KeyError), single_threaded():
            raise KeyError
        assert who == [threading.get_ident()] * 5
        assert n_threads() == 4

    def test_it_holds_for_the_thread_that_is_in_it(self, four_threads):
        meeting, found = threading.Barrier(2), {}

        def look(item):
            meeting.wait()
            if item:
                with single_threaded():
                    meeting.wait()
                    found[item] = n_threads()
                    meeting.wait()
            else:
                meeting.wait()
                found[item] = n_threads()
                meeting.wait()

        in_parallel(look, range(2))
        assert found == {0: 4, 1: 1}

    @needs_several
    def test_products_stay_on_the_thread(self):
        with single_threaded():
            assert number_in_blas() == 1
        assert number_in_blas() == n_threads()


def test_a_blas_that_does_not_tell_is_left_alone(monkeypatch):
    monkeypatch.setattr(threads._Blas, "NAMES", ("no_such_library_{}",))
    monkeypatch.setattr(threads, "_blas", threads._Blas())
    assert n_threads() == 1
    assert threads.kernels() == ""
    done = []
    in_parallel(done.append, range(3))
    assert done == [0, 1, 2]


@pytest.mark.usefixtures("four_threads")
def test_threads_are_started_once_and_wait_for_more_work(monkeypatch):
    monkeypatch.setattr(threads, "_waiting_threads", threads._WaitingThreads())
    before = threading.active_count()
    for _ in range(20):
        meeting = threading.Barrier(4, timeout=30)
        in_parallel(lambda item, meeting=meeting: meeting.wait(), range(4))
    assert threading.active_count() == before + 3


def test_nobody_waits_for_a_thread_that_comes_too_late(monkeypatch, four_threads):
    late = []
    monkeypatch.setattr(threads._WaitingThreads, "offer", lambda self, job, n: late.append(job))
    done = []
    in_parallel(done.append, range(5))
    assert done == [0, 1, 2, 3, 4]
    late[0]()
    assert done == [0, 1, 2, 3, 4]


@pytest.mark.usefixtures("four_threads")
def test_work_inside_work_on_all_threads_at_once_comes_to_its_end():
    done = np.zeros((20, 20), int)

    def outer(row):
        in_parallel(lambda column: done.__setitem__((row, column), done[row, column] + 1), range(20))

    in_parallel(outer, range(20))
    assert (done == 1).all()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_starts_threads_of_its_own(four_threads):
    in_parallel(lambda item: None, range(4))
    context = multiprocessing.get_context("fork")
    met = context.Queue()

    def meet():
        meeting = threading.Barrier(4, timeout=30)
        in_parallel(lambda item: meeting.wait(), range(4))
        met.put(True)

    child = context.Process(target=meet)
    child.start()
    assert met.get(timeout=60)
    child.join(30)


@pytest.mark.usefixtures("four_threads")
def test_stations_are_passed_in_the_order_of_the_items():
    n_stations, visits = 5, []

    def work(item, turn):
        for station in range(n_stations):
            time.sleep(0.002 * (item == 0))  # the first is the slowest
            with turn:
                visits.append((station, item))

    in_layer_order(work, range(4), n_stations)
    for station in range(n_stations):
        assert [item for at, item in visits if at == station] == [0, 1, 2, 3]


@pytest.mark.usefixtures("four_threads")
def test_nobody_waits_for_one_that_failed():
    waiting = threading.Event()

    def work(item, turn):
        if item == 0:
            assert waiting.wait(30)  # until the next one has begun
            raise RuntimeError("before the first station")
        waiting.set()
        for _ in range(3):
            with turn:
                pass

    finished = threading.Event()

    def run():
        with pytest.raises(RuntimeError, match="before the first station"):
            in_layer_order(work, range(2), n_layers=3)
        finished.set()

    threading.Thread(target=run, daemon=True).start()
    assert finished.wait(30)


def test_the_first_in_a_row_waits_for_nobody():
    with LayerOrder(None):
        pass


@pytest.mark.parametrize("n_tokens", [128, 200, 500])
def test_products_on_several_threads_at_once_give_what_one_thread_gives(n_tokens):
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((n_tokens, 96)), rng.standard_normal((96, 130))
    out = np.empty((n_tokens, 130))

    def multiply(rows):
        np.matmul(x[rows], weight, out=out[rows])

    in_parallel(multiply, shares(n_tokens, 5))
    np.testing.assert_allclose(out, x @ weight, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "without",
    [
        "import numpy; sys.modules['numpy.linalg._umath_linalg'] = None",  # a NumPy that calls it something else
        "import ctypes; ctypes.CDLL = None",
        "import ctypes; ctypes.CDLL = lambda name: object()",  # a library without OpenBLAS's functions
    ],
)
def test_where_the_threads_of_the_products_cannot_be_found_everything_else_works(without):
    program = f"""
import sys
{without}
import numpy as np
import gptcompare as gc
from gptcompare.model.threads import n_threads
assert n_threads() == 1
model = gc.GPT(gc.GPTConfig(n_layer=2, n_head=2, d_model=16, n_ctx=400, n_vocab=50), seed=0)
assert np.isfinite(model(np.arange(300) % 50)).all()
"""
    subprocess.run([sys.executable, "-c", program], check=True)
