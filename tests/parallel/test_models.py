"""A model that is cut computes what the whole one does: on ranks that are threads, and on MPI's."""

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from support import mpi
from support.cut_models import CONFIGS, folder_of
from support.ranks import assert_all_the_same, on_ranks

import gptcompare as gc
from gptcompare.backward import loss_and_grads
from gptcompare.checkpoints import write_checkpoint
from gptcompare.parallel import Communicator, Share

TOLERANCE = {"float32": 2e-5, "float64": 1e-10}
IDS = np.random.default_rng(0).integers(0, 301, (2, 70))
COUNTS = [2, 3, 4]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    parent = tmp_path_factory.mktemp("models")
    return {family: folder_of(family, parent) for family in CONFIGS}


def assert_close(found, whole, dtype):
    """Within the tolerance for numbers up to 10: a float32 of 20 has no digits for less than twice as much."""
    limit = TOLERANCE[dtype] * max(1, np.abs(whole).max() / 10)
    assert np.abs(found - whole).max() <= limit


class TestLogits:
    @pytest.mark.parametrize("n", COUNTS)
    @pytest.mark.parametrize("dtype", TOLERANCE)
    @pytest.mark.parametrize("family", CONFIGS)
    def test_equal_those_of_one_process_and_are_the_same_on_all_ranks(self, folders, family, dtype, n):
        whole = gc.GPT.from_pretrained(folders[family], dtype=dtype)(IDS)

        def read(comm):
            model = gc.GPT.from_pretrained(folders[family], dtype=dtype, parallel=comm)
            cache = model.new_cache(batch=2)
            chunks = [model(chunk, cache) for chunk in np.split(IDS, [1, 30, 31, 66], axis=1)]
            return model(IDS), np.concatenate(chunks, axis=1), model(IDS, last_only=True)

        found = on_ranks(n, read)
        for results in zip(*found, strict=True):
            assert_all_the_same(results)
        at_once, in_chunks, last = found[0]
        assert at_once.dtype == dtype
        assert_close(at_once, whole, dtype)
        assert_close(in_chunks, whole, dtype)
        assert_close(last, whole[:, -1], dtype)

    def test_of_a_text_longer_than_a_chunk(self):
        ids = np.arange(400) * 7 % 4096
        whole = gc.load("nano-gpt3").model(ids)
        found = on_ranks(2, lambda comm: gc.load("nano-gpt3", parallel=comm).model(ids))
        assert_all_the_same(found)
        assert_close(found[0], whole, "float32")


class TestTexts:
    @pytest.mark.parametrize("n", COUNTS)
    @pytest.mark.parametrize("name", ["nano-gpt2", "nano-gpt3"])
    def test_are_the_same_greedy_and_drawn_alone_in_a_batch_and_with_drafts(self, name, n):
        def texts(comm):
            lm = gc.load(name, parallel=comm)
            prompts = ["Once upon a time", "The king said"]
            batch = [one.text for one in lm.generate(prompts, max_new_tokens=20)]
            drafts = ["repetitions", gc.load("nano-gpt2")]
            drafted = [lm.generate(prompts[0], max_new_tokens=20, draft=draft).text for draft in drafts]
            drawn = lm.generate(prompts[0], max_new_tokens=20, temperature=0.8, seed=3).text
            return batch, drafted, drawn, lm.score("Once upon a time there was a king").perplexity

        *whole, perplexity = texts(None)
        for *found, of_rank in on_ranks(n, texts):
            assert found == whole
            assert of_rank == pytest.approx(perplexity, rel=1e-5)

    def test_without_a_seed_are_drawn_by_the_first_rank_for_all(self):
        def draw(comm):
            lm = gc.load("nano-gpt2", parallel=comm)
            return [one.text for one in lm.generate(["Once"] * 2, temperature=1.0, max_new_tokens=10)]

        texts = on_ranks(2, draw)
        assert texts[0] == texts[1]
        assert texts[0][0] != texts[0][1]

    def test_of_different_prompts_are_refused_and_not_mixed_up(self):
        def write(comm):
            with pytest.raises(ValueError, match="the ranks are about to read different tokens"):
                gc.load("nano-gpt2", parallel=comm).generate(["Once upon", "The king"][comm.rank])

        on_ranks(2, write)


class TestRefusals:
    @pytest.mark.parametrize(
        ("call", "done"),
        [
            (lambda model, tmp: model.save_pretrained(tmp), "saved"),
            (lambda model, tmp: model.trace([1, 2]), "looked into or changed"),
            (lambda model, tmp: model.changed(lambda name, array: array)([1, 2]), "looked into or changed"),
            (lambda model, tmp: loss_and_grads(model, [1, 2], [2, 3]), "trained"),
        ],
    )
    def test_of_what_needs_the_whole_model(self, call, done, tmp_path):
        def refused(comm):
            model = gc.load("nano-gpt2", parallel=comm).model
            with pytest.raises(ValueError, match=rf"^a model that is cut among 2 ranks cannot be {done}: load it on"):
                call(model, tmp_path)

        on_ranks(2, refused)
        assert list(tmp_path.iterdir()) == []

    def test_of_more_ranks_than_heads(self):
        def refused(comm):
            with pytest.raises(ValueError, match="9 ranks are too many for a model of 8 heads"):
                gc.load("nano-gpt2", parallel=comm)

        on_ranks(9, refused)


class TestMPI:
    pytestmark = mpi.needs_mpi

    @pytest.mark.parametrize("n", [1, 2, 3, 4])
    def test_logits_and_texts_equal_those_of_one_process(self, folders, n, tmp_path):
        program = Path(__file__).parents[1] / "support" / "cut_model_program.py"
        np.save(tmp_path / "ids.npy", IDS)
        status, out, err = mpi.run(n, str(program), str(tmp_path), *map(str, folders.values()))
        assert (status, err) == (0, "")
        ranks = [json.loads(line) for line in out.splitlines()]
        assert len(ranks) == n
        assert all(of_rank == ranks[0] for of_rank in ranks)
        assert ranks[0]["text"] == gc.load("nano-gpt3").generate("Once upon a time", max_new_tokens=30).text
        for folder in folders.values():
            for dtype in TOLERANCE:
                whole = gc.GPT.from_pretrained(folder, dtype=dtype)(IDS)
                assert_close(np.load(tmp_path / f"{folder.name}-{dtype}.npy"), whole, dtype)


class TestMemory:
    @pytest.mark.parametrize("stored", ["float16", "float32"])
    def test_of_reading_is_the_rank_s_part_and_a_tensor_or_two(self, tmp_path, stored):
        config = gc.GPTConfig(n_layer=8, n_head=8, d_model=128, n_ctx=64, n_vocab=2000)
        write_checkpoint(tmp_path, config, gc.GPT(config).parameters(), np.dtype(stored))

        def peak(comm):
            tracemalloc.start()
            model = gc.GPT.from_pretrained(tmp_path, parallel=comm)
            found = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            return found, model

        peak(None)  # imports what reading needs
        of_whole, whole = peak(None)
        share = Share(1, 4)
        # A thread that an earlier test left may allocate meanwhile; what reading needs, it needs each time.
        of_part, part = min((peak(Communicator(Mute(share))) for _ in range(3)), key=lambda found: found[0])
        own = sum(value.nbytes for value in part.parameters().values())
        assert own <= 1.1 / 4 * 4 * config.n_params
        largest = max(value.nbytes for value in part.parameters().values())
        assert of_part <= own + 3 * largest
        assert of_whole >= 4 * config.n_params
        assert whole.config == part.config


class Mute:
    """A communicator of which nothing is asked but the share."""

    def __init__(self, share):
        self.share = share

    def Get_rank(self):  # noqa: N802  mpi4py's names
        return self.share.rank

    def Get_size(self):  # noqa: N802
        return self.share.n
