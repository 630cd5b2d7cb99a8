import threading

import numpy as np

from gptcompare.model.products.scratch import memory_for, wide


def test_the_same_memory_is_used_again_by_this_thread_and_purpose_only():
    first = memory_for("a", 3, 4)
    assert first.shape == (3, 4)
    assert np.shares_memory(first, memory_for("a", 2, 2))
    assert not np.shares_memory(first, memory_for("b", 3, 4))
    of_another = []
    thread = threading.Thread(target=lambda: of_another.append(memory_for("a", 3, 4)))
    thread.start()
    thread.join()
    assert not np.shares_memory(first, of_another[0])


def test_more_than_there_is_is_new_memory():
    first = memory_for("grows", 2)
    assert memory_for("grows", 3, 5).shape == (3, 5)
    assert not np.shares_memory(first, memory_for("grows", 2))


def test_what_is_not_in_16_bits_stays_as_it_is_and_the_order_of_what_is_stays():
    array = np.ones((2, 3))
    assert wide(array) is array
    numbers = np.arange(6, dtype=np.float16).reshape(2, 3)
    for kept in (numbers, np.asfortranarray(numbers)):
        np.testing.assert_array_equal(wide(kept), numbers)
        assert wide(kept).dtype == np.float32
        assert wide(kept).flags.f_contiguous == kept.flags.f_contiguous
