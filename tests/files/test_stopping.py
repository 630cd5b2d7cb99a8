import os
import signal
import threading

import pytest

from gptcompare.files.stopping import SIGNALS, stop_after_step, stop_where_asked


class Course(Exception):  # noqa: N818  what the signal would have done
    pass


@pytest.fixture(params=SIGNALS, ids=[signal.Signals(number).name for number in SIGNALS])
def number(request):
    """A signal that would raise an exception."""

    def course(number, frame):
        raise Course

    before = {number: signal.signal(number, course) for number in SIGNALS}  # whatever pytest's parent ignores
    yield request.param
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_signal_waits_until_it_is_let_go(number):
    with stop_after_step() as stop:
        assert not stop.is_asked
        os.kill(os.getpid(), number)
        assert stop.is_asked
        with pytest.raises(Course):
            stop.take_course()


def test_a_second_signal_does_not_wait(number):
    with stop_after_step():
        os.kill(os.getpid(), number)
        with pytest.raises(Course):
            os.kill(os.getpid(), number)


def test_no_signal_does_anything_but_where_it_is_asked_for(number):
    with stop_where_asked() as stop:
        for _ in range(3):
            os.kill(os.getpid(), number)
        assert stop.is_asked
        with pytest.raises(Course):
            stop.take_course()
        assert not stop.is_asked


def test_a_signal_that_nobody_asked_for_takes_its_course_at_the_end(number):
    done = []

    def work(fails):
        with stop_where_asked():
            os.kill(os.getpid(), number)
            done.append(fails)
            if fails:
                raise OSError("another process had the signal, too")

    for fails in (False, True):
        with pytest.raises(Course):
            work(fails)
    assert done == [False, True]


@pytest.mark.parametrize("stopping", [stop_after_step, stop_where_asked])
def test_the_handler_of_before_is_there_again_afterwards(number, stopping):
    before = signal.getsignal(number)
    with stopping():
        assert signal.getsignal(number) is not before
    assert signal.getsignal(number) is before


def test_an_ignored_signal_stays_ignored_and_the_others_are_noted(number):
    signal.signal(number, signal.SIG_IGN)
    with stop_after_step() as stop:
        assert signal.getsignal(number) is signal.SIG_IGN
        os.kill(os.getpid(), number)
        assert not stop.is_asked
        assert all(signal.getsignal(other) == stop._note for other in SIGNALS if other != number)


def test_a_handler_that_returns_does_not_keep_the_run_from_stopping(number):
    signal.signal(number, lambda *_: None)
    with stop_after_step() as stop:
        os.kill(os.getpid(), number)
        with pytest.raises(KeyboardInterrupt):
            stop.take_course()


def test_outside_of_the_main_thread_nothing_is_changed(number):
    before = signal.getsignal(number)
    seen = []

    def work():
        with stop_after_step():
            seen.append(signal.getsignal(number))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
