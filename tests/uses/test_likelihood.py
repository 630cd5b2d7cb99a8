import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.amounts import examples
from support.models import log_softmax64, logprobs_of, random_model

import gptcompare as gc
from gptcompare.evaluation import encode_pair, log_likelihoods
from gptcompare.uses import likelihood

CONTEXTS = [
    "Once upon a time there was a king who had",
    "Once upon a time there was a queen, and she had",
    "Once upon a time there was a king who had ",
    "The wolf ran",
    "",
]
CONTINUATIONS = [" a", " three daughters, and the youngest was the fairest of them all", " nothing.", " naïve 🐇!"]
PAIRS = [(context, continuation) for context in CONTEXTS for continuation in CONTINUATIONS]


def expected(lm, pair):
    return sum(logprobs_of(lm, *encode_pair(lm, *pair)))


class TestEncodePair:
    @pytest.mark.parametrize("context", ["The dog began to", "The dog began to ", "The dog began to \n"])
    def test_white_space_at_the_end_of_the_context_belongs_to_the_continuation(self, story, context):
        space = context.removeprefix("The dog began to")
        before, behind = encode_pair(story, context, "bark")
        assert before == story.tokenizer.encode("The dog began to")
        assert story.tokenizer.decode(behind) == f"{space}bark"

    @pytest.mark.parametrize("context", ["", "  "])
    def test_in_place_of_an_empty_context_stands_the_end_of_a_text(self, story, context):
        assert encode_pair(story, context, " bark")[0] == [story.tokenizer.eot_id]

    def test_a_token_that_begins_every_text_stands_in_front_of_the_context(self, story):
        vocabulary = dataclasses.replace(story.tokenizer.vocabulary, bos="<|endoftext|>")
        lm = gc.LanguageModel(story.model, gc.Tokenizer(vocabulary))
        before, behind = encode_pair(story, "The dog", " ran")
        assert encode_pair(lm, "The dog", " ran") == ([lm.tokenizer.bos_id, *before], behind)

    def test_a_continuation_without_a_token_of_its_own_is_refused(self, story):
        for context, continuation in (("The dog", ""), ("The dog ", "")):
            with pytest.raises(ValueError, match="no token of its own"):
                encode_pair(story, context, continuation)
        assert len(story.tokenizer.encode("the")) == len(story.tokenizer.encode("th")) == 1
        with pytest.raises(ValueError, match="let it begin with a space"):
            encode_pair(story, "th", "e")


class TestLogLikelihoods:
    @pytest.mark.parametrize(
        "changes",
        [{}, {"attention": ("dense", "banded"), "band_width": 5}, {"n_ctx": 24}, {"n_ctx": 600}],
        ids=["dense", "banded", "contexts too long", "room for all"],
    )
    def test_each_is_the_sum_over_the_continuation_that_the_logits_give(self, story, changes):
        lm = random_model(story, **changes)
        found = log_likelihoods(lm, PAIRS)
        assert [one.logprob for one in found] == pytest.approx([expected(lm, pair) for pair in PAIRS], rel=1e-5)
        assert [one.n_bytes for one in found] == [len(continuation.encode()) for _, continuation in PAIRS]
        for one, pair in zip(found, PAIRS, strict=True):
            before, behind = encode_pair(lm, *pair)
            assert one.n_tokens == len(behind)
            assert one.n_cut == max(len(before) + len(behind) - 1 - lm.config.n_ctx, 0)
            assert one.per_token * one.n_tokens == pytest.approx(one.logprob)
            assert one.per_byte * one.n_bytes == pytest.approx(one.logprob)

    @settings(max_examples=examples(20), deadline=None)
    @given(order=st.permutations(range(len(PAIRS))), n=st.integers(1, len(PAIRS)))
    def test_what_is_read_together_changes_nothing(self, story, order, n):
        lm = random_model(story, attention=("dense", "banded"), band_width=5)
        pairs = [PAIRS[number] for number in order[:n]]
        together = log_likelihoods(lm, pairs)
        alone = [log_likelihoods(lm, [pair])[0] for pair in pairs]
        assert [one.logprob for one in together] == pytest.approx([one.logprob for one in alone], rel=1e-5)
        assert [one.is_greedy for one in together] == [one.is_greedy for one in alone]

    @pytest.mark.parametrize("n_ctx", [60, 90, 600])
    def test_nor_do_contexts_of_any_lengths_with_several_continuations_of_any_lengths(self, story, n_ctx):
        lm = random_model(story, attention=("banded", "dense"), band_width=5, n_ctx=n_ctx)
        rng = np.random.default_rng(n_ctx)
        pairs = [
            (context, tuple(rng.integers(lm.config.n_vocab, size=rng.integers(1, 30)).tolist()))
            for length in (1, 3, 16, 17, 18, 34, 40, 55)
            for context in [tuple(rng.integers(lm.config.n_vocab, size=length).tolist())]
            for _ in range(rng.integers(1, 5))
        ]
        together = likelihood.log_likelihoods_of_ids(lm, pairs)
        alone = [logprobs_of(lm, list(before), list(behind)) for before, behind in pairs]
        kept = [one.logprob for one in together if not one.n_cut]
        expected = [sum(of_one) for of_one, one in zip(alone, together, strict=True) if not one.n_cut]
        assert kept == pytest.approx(expected, rel=1e-5)
        assert len(kept) > 10

    def test_contexts_and_continuations_of_several_items_are_read_together(self, story, monkeypatch):
        passes = []
        residual_stream = gc.GPT.residual_stream
        monkeypatch.setattr(
            gc.GPT, "residual_stream", lambda self, ids, *rest: passes.append(ids) or residual_stream(self, ids, *rest)
        )
        log_likelihoods(
            story, [(f"The {name} said", word) for name in ("fox", "bear", "hen") for word in (" yes, I", " no")]
        )
        assert len(passes) == 3  # what all begin with, the contexts, the continuations

    @pytest.mark.parametrize(("chunk", "memory"), [(1, 2**28), (3, 2**28), (256, 1)])
    def test_nor_do_the_sizes_of_batches(self, story, monkeypatch, chunk, memory):
        lm = random_model(story)
        whole = log_likelihoods(lm, PAIRS)
        monkeypatch.setattr(likelihood, "CHUNK", chunk)
        monkeypatch.setattr(likelihood, "MEMORY", memory)
        assert [one.logprob for one in log_likelihoods(lm, PAIRS)] == pytest.approx(
            [one.logprob for one in whole], rel=1e-5
        )

    @pytest.mark.parametrize("seed", range(4))
    def test_equal_pairs_have_equal_numbers_to_the_last_bit(self, story, seed):
        lm = random_model(story, seed=seed, n_ctx=600)
        texts = [" a", " nothing, she said", " the end of it all", " so", " that was", " three of them", " it"]
        pairs = [("Once upon a time there was a king who had", text) for text in (*texts, *texts[::-1], *texts)]
        found = dict(zip(pairs, log_likelihoods(lm, pairs), strict=True))
        assert log_likelihoods(lm, pairs) == [found[pair] for pair in pairs]

    def test_what_contexts_begin_with_is_read_once(self, story, monkeypatch):
        n_read = []
        forward = gc.GPT._forward
        monkeypatch.setattr(
            gc.GPT, "_forward", lambda self, ids, *rest: n_read.append(ids.size) or forward(self, ids, *rest)
        )
        lm = random_model(story, n_ctx=600)
        prefix = "Once upon a time there was a king who had three daughters. " * 5
        contexts = [prefix + name for name in ("The fox", "The bear said", "The hen")]
        words = [" ran", " sang", " the"]
        log_likelihoods(lm, [(context, word) for context in contexts for word in words])
        encoded = [lm.tokenizer.encode(context) for context in contexts]
        n_shared = len(lm.tokenizer.encode(prefix.rstrip()))
        n_words = sum(len(lm.tokenizer.encode(word)) - 1 for word in words)
        most = n_shared + sum(len(ids) - n_shared for ids in encoded) + len(contexts) * (n_words + len(words))
        assert sum(n_read) <= most < sum(map(len, encoded))

    def test_greedy_is_what_greedy_decoding_writes(self, story):
        written = story.generate("Once upon a time", max_new_tokens=6).text
        pairs = [("Once upon a time", text) for text in (written, written + " zebra", " zebra")]
        assert [one.is_greedy for one in log_likelihoods(story, pairs)] == [True, False, False]

    def test_a_text_in_two_parts_is_as_probable_as_its_score_says(self, story):
        score = story.score("The king had three daughters.")
        n = len(story.tokenizer.encode("The king"))
        (found,) = log_likelihoods(story, [("The king", " had three daughters.")])
        assert found.logprob == pytest.approx(sum(score.logprobs[n - 1 :]), rel=1e-5)

    def test_all_continuations_of_a_token_have_probability_1_together(self, story):
        ids = range(story.tokenizer.n_vocab)
        logprobs = log_softmax64(story.model(story.tokenizer.encode("The king")))[-1]
        texts = [story.tokenizer.decode([id_]) for id_ in ids]
        chosen = [id_ for id_ in ids if texts[id_].startswith(" ") and texts[id_].isascii() and texts[id_].strip()]
        chosen = [id_ for id_ in chosen if encode_pair(story, "The king", texts[id_])[1] == [id_]]
        found = log_likelihoods(story, [("The king", texts[id_]) for id_ in chosen])
        assert [one.logprob for one in found] == pytest.approx(logprobs[chosen].tolist(), rel=1e-5)
        assert len(chosen) > 500

    def test_none_give_none(self, story):
        assert log_likelihoods(story, []) == []

    def test_what_cannot_be_scored_is_refused(self, story):
        with pytest.raises(ValueError, match="the model's context is 16"):
            log_likelihoods(random_model(story, n_ctx=16), [("a", " b" * 17)])
        with pytest.raises(TypeError, match=r"^pairs\[0\] must be a str, got int"):
            log_likelihoods(story, [("a", 1)])
        damaged = random_model(story)
        damaged.model.parameters()["ln_f.bias"][0] = np.nan
        with pytest.raises(ValueError, match="not finite"):
            log_likelihoods(damaged, PAIRS)


@pytest.fixture(scope="module", params=["random", "nano-gpt2"])
def both(request, torch, transformers, story, tmp_path_factory):
    """A model of ours, and the folder that transformers opens."""
    folder = tmp_path_factory.mktemp("model")
    lm = random_model(story) if request.param == "random" else gc.load("nano-gpt2")
    lm.model.save_pretrained(folder)
    lm.tokenizer.save_pretrained(folder)
    return lm, folder


LONG = [("word " * 300, " the end"), ("word " * 300 + "\n", "the end"), ("a", " b" * 40)]


@pytest.mark.reference
def test_the_numbers_are_those_of_transformers_logits(torch, transformers, both):
    lm, folder = both
    theirs = transformers.GPT2LMHeadModel.from_pretrained(folder, dtype=torch.float64)
    for pair, found in zip(PAIRS + LONG, log_likelihoods(lm, PAIRS + LONG), strict=True):
        before, behind = encode_pair(lm, *pair)
        read = torch.tensor([(before + behind)[-(lm.config.n_ctx + 1) :]])
        with torch.no_grad():
            logprobs = torch.log_softmax(theirs(read[:, :-1]).logits[0], dim=-1)[-len(behind) :]
        targets = torch.tensor(behind)
        assert found.logprob == pytest.approx(float(logprobs.gather(1, targets[:, None]).sum()), rel=1e-5)
        assert found.is_greedy == bool((logprobs.argmax(dim=-1) == targets).all())


@pytest.mark.reference
@pytest.mark.filterwarnings("ignore")
def test_the_numbers_are_those_of_the_evaluation_harness(transformers, both):
    instance = pytest.importorskip("lm_eval.api.instance", reason="needs the `reference` extra")
    huggingface = pytest.importorskip("lm_eval.models.huggingface", reason="needs the `reference` extra")
    lm, folder = both
    harness = huggingface.HFLM(pretrained=str(folder), device="cpu", dtype="float32", batch_size=3)
    requests = [
        instance.Instance(request_type="loglikelihood", doc={}, arguments=pair, idx=number)
        for number, pair in enumerate(PAIRS + LONG)
    ]
    for found, (logprob, is_greedy) in zip(
        log_likelihoods(lm, PAIRS + LONG), harness.loglikelihood(requests, disable_tqdm=True), strict=True
    ):
        assert found.logprob == pytest.approx(logprob, rel=1e-5)
        assert found.is_greedy == is_greedy
    for pair in PAIRS + LONG:
        if pair[0]:
            assert encode_pair(lm, *pair) == tuple(harness._encode_pair(*pair))
