import numpy as np
import pytest

from gptcompare.training.batches import Batches, sequences


class TestBatches:
    @pytest.mark.parametrize(
        ("n", "batch", "context"), [(1000, 4, 16), (100, 3, 7), (64, 1, 32), (65, 2, 32), (9, 5, 1)]
    )
    def test_a_target_is_the_token_after_its_own(self, n, batch, context):
        batches = Batches(np.arange(n, dtype=np.uint16), batch, context, seed=0)
        for step in range(40):
            ids, targets = batches[step]
            assert ids.shape == targets.shape == (batch, context)
            assert np.array_equal(targets, ids + 1)
            assert np.array_equal(ids[:, 1:], ids[:, :-1] + 1)

    def test_an_epoch_sees_every_token_once_but_for_the_ends(self):
        batches = Batches(np.arange(1003), 1, 16, seed=0)
        for epoch in range(3):
            steps = range(epoch * batches.sequences_per_epoch, (epoch + 1) * batches.sequences_per_epoch)
            seen = np.concatenate([batches[step][0][0] for step in steps])
            assert len(seen) == len(set(seen.tolist())) > 1003 - 2 * 16

    def test_a_batch_follows_from_its_number_whatever_came_before(self):
        tokens = np.arange(500)
        forward = [Batches(tokens, 3, 16, seed=1)[step] for step in range(50)]
        batches = Batches(tokens, 3, 16, seed=1)
        for step in np.random.default_rng(0).permutation(50):
            assert np.array_equal(batches[step], forward[step])

    def test_epochs_and_seeds_differ(self):
        tokens = np.arange(500)
        batches = Batches(tokens, 30, 16, seed=1)
        assert batches.sequences_per_epoch == 30
        assert not np.array_equal(batches[0], batches[1])
        assert not np.array_equal(batches[0], Batches(tokens, 30, 16, seed=2)[0])

    def test_too_few_tokens_are_refused(self):
        Batches(np.arange(32), 1, 16, seed=0)
        with pytest.raises(ValueError, match="31 tokens are too few: sequences of 16 need at least 32"):
            Batches(np.arange(31), 1, 16, seed=0)

    @pytest.mark.parametrize(
        "tokens", [np.zeros((4, 10, 16), int), np.zeros(100), [1] * 100], ids=["3D", "float", "list"]
    )
    def test_what_are_no_tokens_is_refused(self, tokens):
        with pytest.raises(
            ValueError, match=r"tokens must be an array of integers, one row or whole sequences \(n, T\)"
        ):
            Batches(tokens, 1, 16, seed=0)

    def test_a_memory_map_is_not_read_into_memory(self, tmp_path):
        np.save(tmp_path / "tokens.npy", np.arange(5000, dtype=np.uint16))
        tokens = np.load(tmp_path / "tokens.npy", mmap_mode="r")
        assert np.shares_memory(Batches(tokens, 2, 16, seed=0)._sequences.ids, tokens)


class TestTargetsOfTheirOwn:
    @pytest.mark.parametrize("context", [1, 7, 16])
    def test_each_stays_with_its_token(self, context):
        tokens = np.arange(200, dtype=np.uint16)
        batches = Batches(tokens, 3, context, 0, targets=-tokens.astype(int))
        for step in range(80):
            ids, targets = batches[step]
            assert ids.shape == targets.shape == (3, context)
            assert np.array_equal(targets, -ids)
            assert np.array_equal(ids[:, 1:], ids[:, :-1] + 1)

    def test_the_next_token_as_a_target_of_its_own_makes_the_same_batches(self):
        tokens = np.random.default_rng(0).integers(0, 300, 1000)
        expected = Batches(tokens, 3, 16, seed=2)
        batches = Batches(tokens[:-1], 3, 16, seed=2, targets=tokens[1:])
        assert batches.sequences_per_epoch == expected.sequences_per_epoch
        assert all(np.array_equal(batches[step], expected[step]) for step in range(60))

    def test_the_fewest_tokens_are_one_fewer_than_without(self):
        tokens = np.arange(31)
        Batches(tokens, 1, 16, seed=0, targets=tokens)
        with pytest.raises(ValueError, match="30 tokens are too few: sequences of 16 need at least 31"):
            Batches(tokens[1:], 1, 16, seed=0, targets=tokens[1:])

    @pytest.mark.parametrize("shape", [(99,), (100, 1)])
    def test_another_shape_is_refused(self, shape):
        with pytest.raises(ValueError, match=r"targets has shape .*, tokens \(100,\): each token needs one"):
            Batches(np.zeros(100, int), 1, 16, 0, targets=np.zeros(shape, int))


class TestWholeSequences:
    ROWS = np.arange(70).reshape(10, 7)

    @pytest.mark.parametrize("targets", [None, ROWS + 1], ids=["the next", "their own"])
    def test_an_epoch_has_each_once_and_none_is_cut(self, targets):
        context = 6 if targets is None else 7
        batches = Batches(self.ROWS, 5, context, seed=0, targets=targets)
        assert batches.sequences_per_epoch == 10
        orders = []
        for epoch in range(3):
            ids, of_ids = (np.concatenate(two) for two in zip(batches[2 * epoch], batches[2 * epoch + 1], strict=True))
            assert np.array_equal(np.sort(ids[:, 0]), self.ROWS[:, 0])
            assert np.array_equal(ids, ids[:, :1] + np.arange(context))
            assert np.array_equal(of_ids, ids + 1)
            orders.append(tuple(ids[:, 0]))
        assert len(set(orders)) == 3

    @pytest.mark.parametrize(("targets", "context", "right"), [(None, 7, 6), (ROWS, 6, 7), (None, 8, 6)])
    def test_another_length_than_the_context_is_refused(self, targets, context, right):
        with pytest.raises(ValueError, match=rf"tokens has shape \(10, 7\).* the context must be {right}$"):
            Batches(self.ROWS, 1, context, 0, targets=targets)

    def test_none_at_all_are_refused(self):
        with pytest.raises(ValueError, match="there must be at least one"):
            Batches(self.ROWS[:0], 1, 6, 0)


class TestEvenlySpaced:
    @pytest.mark.parametrize(("n", "context"), [(300, 24), (25, 24), (1000, 7)])
    def test_those_of_a_row_reach_from_its_beginning_to_its_end_without_more_than_fit(self, n, context):
        ids, targets = sequences(np.arange(n), None, context).evenly_spaced(64)
        assert len(ids) == min(64, (n - 1) // context)
        assert ids[0, 0] == 0
        assert len(ids) == 1 or targets[-1, -1] == n - 1
        assert np.array_equal(targets, ids + 1)

    def test_whole_ones_are_all_taken_if_they_are_few(self):
        rows = np.arange(70).reshape(10, 7)
        assert np.array_equal(sequences(rows, rows, 7).evenly_spaced(10)[0], rows)
        assert np.array_equal(sequences(rows, rows, 7).evenly_spaced(2)[0], rows[[0, 9]])


class TestTargetsThatDoNotCount:
    def test_a_step_without_any_that_count_is_found_before_the_first(self):
        targets = np.full((4, 6), -100)
        targets[0, 0] = 1
        batches = Batches(np.zeros((4, 6), int), 2, 6, 0, targets=targets, ignore=-100)
        counts = [bool((batches[step][1] != -100).any()) for step in range(2)]
        first = counts.index(False)
        batches.check_counts(first)
        with pytest.raises(ValueError, match=rf"no target counts in the batch of step {first + 1}, all are -100"):
            batches.check_counts(first + 1)

    def test_without_a_mark_all_count(self):
        Batches(np.zeros(100, int), 2, 6, 0).check_counts(100)
