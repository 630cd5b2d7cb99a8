import numpy as np
import pytest
from support.ranks import ThreadComm, assert_all_the_same, on_ranks

from gptcompare.parallel import ALONE, Communicator, communication, communicator_of


def numbers(rank, shape, dtype=np.float32):
    return np.random.default_rng(rank).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("large", [0, 2**40], ids=["in slices", "at once"])
def test_a_sum_is_that_of_the_parts_in_the_order_of_the_ranks_to_the_last_bit(n, large, dtype, monkeypatch):
    monkeypatch.setattr(communication, "SAVED", large)
    sums = on_ranks(n, lambda comm: Communicator(comm).sum(numbers(comm.rank, (3, 7), dtype)))
    expected = numbers(0, (3, 7), dtype)
    for rank in range(1, n):
        expected = expected + numbers(rank, (3, 7), dtype)
    assert sums[0].dtype == dtype
    assert_all_the_same([expected, *sums])


@pytest.mark.parametrize("n", [2, 3])
def test_rows_of_a_table_in_parts_are_those_of_the_table(n):
    table, ids = numbers(0, (11, 4)), np.array([[0, 10, 3], [5, 5, 7]])
    ends = [11 * rank // n for rank in range(n + 1)]

    def looked_up(comm):
        return Communicator(comm).looked_up(table[ends[comm.rank] : ends[comm.rank + 1]], ids, 11)

    assert_all_the_same([table[ids], *on_ranks(n, looked_up)])


def test_columns_in_parts_of_different_widths_are_put_together():
    whole = numbers(0, (2, 3, 11))
    found = on_ranks(3, lambda comm: Communicator(comm).joined_columns(whole[..., [slice(3), slice(3, 7), slice(7, 11)][comm.rank]], 11))  # fmt: skip  # noqa: E501
    assert_all_the_same([whole, *found])


def test_what_is_received_is_counted():
    def counted(comm):
        ranks = Communicator(comm)
        ranks.sum(np.zeros(10, np.float32))
        return ranks.n_bytes, ranks.n_calls

    assert on_ranks(3, counted) == [(2 * 40, 1)] * 3


def test_ranks_that_are_about_to_read_different_tokens_are_told_so_all_of_them():
    def check(comm):
        with pytest.raises(ValueError, match="about to read different tokens"):
            Communicator(comm).check_same(np.array([[1, 2, comm.rank]]))
        with pytest.raises(ValueError, match="about to read different tokens"):
            Communicator(comm).check_same(np.arange(1 + comm.rank)[None])
        Communicator(comm).check_same(np.array([[1, 2, 3]]))

    on_ranks(2, check)


def test_one_rank_is_alone_and_something_else_than_a_communicator_is_refused():
    assert communicator_of(None) is ALONE
    assert communicator_of(ALONE) is ALONE
    assert on_ranks(1, communicator_of) == [ALONE]
    assert [type(one) for one in on_ranks(2, communicator_of)] == [Communicator] * 2
    with pytest.raises(TypeError, match=r"parallel must be a communicator of mpi4py, such as MPI\.COMM_WORLD, got 4"):
        communicator_of(4)
    assert ThreadComm.__module__ == "support.ranks"
