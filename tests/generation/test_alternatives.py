"""What could have come instead of a token: the likeliest ones, the token's rank, the entropy."""

import json
import math

import numpy as np
import pytest

import gptcompare as gc
from gptcompare.generation.scoring import Alternatives, alternatives_part

PROMPT = "Once upon a time"


class TestOfLogits:
    def test_the_likeliest_come_first_and_of_equals_the_lower_id(self):
        logits = np.array([[1.0, 3.0, 2.0, 3.0, 2.0, 2.0], [0.0, 0.0, 0.0, 0.0, 0.0, 0.0]])
        ids, probabilities, ranks, entropies = alternatives_part(logits, np.array([4, 5]), 4)
        assert ids.tolist() == [[1, 3, 2, 4], [0, 1, 2, 3]]
        assert ranks.tolist() == [4, 6]
        np.testing.assert_allclose(probabilities[1], 1 / 6, rtol=1e-15)
        np.testing.assert_allclose(entropies[1], math.log2(6), rtol=1e-15)

    def test_impossible_tokens_count_nothing(self):
        _, probabilities, ranks, entropies = alternatives_part(np.array([[0.0, -np.inf, 0.0]]), np.array([1]), 3)
        assert probabilities.tolist() == [[0.5, 0.5, 0.0]]
        assert (ranks[0], entropies[0]) == (3, 1.0)

    @pytest.mark.parametrize("k", [1, 5, 50, 99])
    def test_they_are_a_sorted_distribution(self, k):
        rng = np.random.default_rng(k)
        logits = rng.integers(0, 9, (20, 50)).astype(np.float32)  # with many ties
        came = rng.integers(0, 50, 20)
        ids, probabilities, ranks, entropies = alternatives_part(logits, came, k)
        for n, row in enumerate(logits.astype(np.float64)):
            order = sorted(range(50), key=lambda id_: (-row[id_], id_))
            p = np.exp(row) / np.exp(row).sum()
            assert ids[n].tolist() == order[:k]
            assert ranks[n] == order.index(came[n]) + 1
            np.testing.assert_allclose(probabilities[n], p[order[:k]], rtol=1e-12)
            np.testing.assert_allclose(entropies[n], -(p * np.log2(p)).sum(), rtol=1e-12)


@pytest.mark.reference
@pytest.mark.parametrize("seed", [0, 1])
def test_they_are_those_of_transformers_logits(seed, transformers, torch, tmp_path):
    torch.manual_seed(seed)
    config = transformers.GPT2Config(
        n_layer=2, n_head=2, n_embd=16, n_positions=48, vocab_size=300, initializer_range=0.5
    )
    theirs = transformers.GPT2LMHeadModel(config).double().eval()
    theirs.save_pretrained(tmp_path)
    lm = gc.load(tmp_path, dtype=np.float64, tokenizer=gc.Tokenizer.train(["the cat sat on the mat " * 9], 265))
    score = lm.score("the cat sat on the mat, and the dog sat on the cat", alternatives=7)
    with torch.no_grad():
        logprobs = theirs(torch.tensor([score.ids])).logits[0, :-1].log_softmax(-1)
    top = logprobs.exp().topk(7)
    came = torch.tensor(score.ids[1:])[:, None]
    found = score.alternatives
    np.testing.assert_allclose(found.probabilities, top.values.numpy(), rtol=1e-6)
    assert found.ids.tolist() == top.indices.tolist()
    assert found.ranks.tolist() == (1 + (logprobs > logprobs.gather(1, came)).sum(-1)).tolist()
    entropies = -(logprobs.exp() * logprobs).sum(-1) / math.log(2)
    np.testing.assert_allclose(found.entropies, entropies.numpy(), rtol=1e-6)


@pytest.mark.parametrize("options", [{}, {"temperature": 0.9, "seed": 3}], ids=["greedy", "drawn"])
class TestOfACompletion:
    def test_they_do_not_change_it(self, story, options):
        plain = story.generate(PROMPT, max_new_tokens=20, **options)
        assert plain.alternatives is None
        assert plain.to_dict()["alternatives"] is None
        found = story.generate(PROMPT, max_new_tokens=20, alternatives=5, **options)
        assert (found.ids, found.logprobs, found.text) == (plain.ids, plain.logprobs, plain.text)

    def test_there_is_one_row_for_each_token(self, story, options):
        found = story.generate(PROMPT, max_new_tokens=20, alternatives=5, **options)
        assert len(found.alternatives) == len(found.ids)
        for n, id_ in enumerate(found.ids):
            rank = found.alternatives.ranks[n]
            assert options or rank == 1
            if rank <= 5:
                assert found.alternatives.ids[n, rank - 1] == id_
                np.testing.assert_allclose(
                    np.log(found.alternatives.probabilities[n, rank - 1]), found.logprobs[n], rtol=1e-5, atol=1e-6
                )

    def test_a_batch_a_draft_a_stream_and_a_score_have_the_same(self, story, options):
        def equal(a, b):
            assert np.array_equal(a.ids, b.ids)
            assert np.array_equal(a.ranks, b.ranks)
            np.testing.assert_allclose(a.probabilities, b.probabilities, rtol=1e-4)
            np.testing.assert_allclose(a.entropies, b.entropies, rtol=1e-4)

        one = story.generate(PROMPT, max_new_tokens=20, alternatives=5, **options)
        batch = story.generate([PROMPT, "The king"], max_new_tokens=20, alternatives=5, **options)
        equal(batch[0].alternatives, one.alternatives)
        draft = story.generate(PROMPT, max_new_tokens=20, alternatives=5, draft="repetitions", **options)
        equal(draft.alternatives, one.alternatives)
        stream = story.stream(PROMPT, max_new_tokens=20, alternatives=5, **options)
        list(stream)
        assert stream.completion == one
        score = story.score(PROMPT + one.text, alternatives=5)
        n = len(score.ids) - 1 - len(one.ids)
        equal(Alternatives(*(getattr(score.alternatives, name)[n:] for name in FIELDS), {}), one.alternatives)


FIELDS = ("ids", "probabilities", "ranks", "entropies")


def test_they_go_through_json(story):
    score = story.score("Once upon a time there was a king.", alternatives=3)
    values = json.loads(json.dumps(score.to_dict()))["alternatives"]
    assert len(values) == len(score.logprobs)
    for n, row in enumerate(values):
        assert row["rank"] == score.alternatives.ranks[n]
        assert row["ids"] == score.alternatives.ids[n].tolist()
        assert row["probabilities"] == score.alternatives.probabilities[n].tolist()
        assert row["entropy"] == score.alternatives.entropies[n]
        assert row["tokens"] == [story.tokenizer.decode([id_]) for id_ in row["ids"]]


def test_an_id_without_a_token_has_no_bytes(story):
    part = alternatives_part(np.array([[0.0, 1.0] + [0.0] * (story.tokenizer.n_vocab + 5)]), np.array([0]), 3)
    padded = (np.array([[1, story.tokenizer.n_vocab + 2]]), *part[1:])
    found = Alternatives.joined([(padded[0], part[1][:, :2], *part[2:])], story.tokenizer)
    assert found.at(0)[1][0] == b""


@pytest.mark.parametrize("wrong", [-1, "a", 1.5, True])
@pytest.mark.parametrize(
    "function",
    [
        lambda lm, k: lm.generate(PROMPT, alternatives=k),
        lambda lm, k: lm.stream(PROMPT, alternatives=k),
        lambda lm, k: lm.score(PROMPT, alternatives=k),
        lambda lm, k: gc.compare(PROMPT, [lm], alternatives=k),
        lambda lm, k: gc.compare_text(PROMPT, [lm], alternatives=k),
    ],
)
def test_a_wrong_number_is_refused(function, wrong, story):
    with pytest.raises((TypeError, ValueError), match="alternatives must be"):
        function(story, wrong)
