import json
import math

import numpy as np
import pytest
from support.places import ALICE

import gptcompare as gc
from gptcompare.comparison.reading import jensen_shannon, read, share_vocabulary
from gptcompare.generation import GenerationOptions
from gptcompare.generation.noise import Noise

SMALL = {"n_layer": 2, "n_head": 2, "d_model": 16, "n_ctx": 32}
TEXT = "Once upon a time there was a king who had three daughters. — naïve 🐇!"


def random_model(lm, seed, **changes):
    """Of random parameters, with the tokenizer of another; its distributions are far from flat."""
    config = gc.GPTConfig(**{**SMALL, "n_vocab": lm.tokenizer.n_vocab, **changes})
    parameters = {name: value * 8 for name, value in gc.GPT(config, seed=seed).parameters().items()}
    return gc.LanguageModel(gc.GPT(config, parameters), lm.tokenizer)


def log2_softmax(logits):
    logits = np.asarray(logits, np.float64)
    return (logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)) / math.log(2)


def divergence_by_entropies(*log2_p):
    """Lin 1991, equation 5.1: the entropy of the mean less the mean of the entropies, in bits."""

    def entropy(p):
        return -sum(x * math.log2(x) for x in p if x > 0)

    p = [[2.0**x for x in row] for row in log2_p]
    mean = [sum(column) / len(p) for column in zip(*p, strict=True)]
    return entropy(mean) - sum(map(entropy, p)) / len(p)


class TestJensenShannon:
    @pytest.mark.parametrize("n_models", [2, 3])
    def test_it_is_the_entropy_of_the_mean_less_the_mean_of_the_entropies(self, n_models):
        logits = np.random.default_rng(0).normal(0, 3, (n_models, 5, 40)).astype(np.float32)
        expected = [divergence_by_entropies(*log2_softmax(logits[:, row])) for row in range(5)]
        assert jensen_shannon(list(logits)) == pytest.approx(expected, abs=1e-12)

    def test_equal_distributions_have_none(self):
        logits = np.random.default_rng(0).normal(0, 10, (7, 1000)).astype(np.float32)
        assert jensen_shannon([logits, logits.copy()]).tolist() == [0.0] * 7

    def test_those_without_a_common_token_have_one_bit(self):
        logits = np.array([[[0, -np.inf]], [[-np.inf, 3]]], np.float32)
        assert jensen_shannon(list(logits)) == pytest.approx([1.0])

    def test_a_smaller_vocabulary_has_no_probability_for_the_others_padding(self):
        logits = np.zeros((1, 4), np.float32)
        padded = np.full((1, 6), -np.inf, np.float32)
        padded[:, :4] = 0
        assert jensen_shannon([logits, padded]) == pytest.approx([0.0])

    def test_the_order_of_the_models_does_not_matter(self):
        a, b = np.random.default_rng(0).normal(0, 3, (2, 5, 40))
        assert jensen_shannon([a, b]).tolist() == jensen_shannon([b, a]).tolist()


class TestRead:
    def test_each_position_has_what_the_models_logits_say_of_it(self, story):
        lms = [random_model(story, seed) for seed in (1, 2)]
        ids = story.tokenizer.encode(TEXT)[:20]
        context = [story.tokenizer.eot_id, 5, 6]
        reading = read(lms, TEXT, [context] * 2, [ids] * 2)
        log2_p = [log2_softmax(lm.model([*context, *ids])[len(context) - 1 : -1]) for lm in lms]
        for of_model, expected in zip(reading.logprobs, log2_p, strict=True):
            picked = expected[np.arange(len(ids)), ids]
            assert of_model == pytest.approx((picked * math.log(2)).tolist(), abs=1e-4)
        expected = [divergence_by_entropies(*rows) for rows in zip(*log2_p, strict=True)]
        assert reading.divergence == pytest.approx(expected, abs=1e-5)
        tops = [of_model.argmax(axis=-1) for of_model in log2_p]
        assert reading.same_top == (tops[0] == tops[1]).tolist()

    @pytest.mark.parametrize("options", [{}, {"temperature": 0.7, "top_p": 0.8}, {"repetition_penalty": 1.3}], ids=str)
    def test_it_tells_how_alike_the_models_can_draw_and_whether_they_do(self, story, options):
        lms = [random_model(story, seed) for seed in (1, 2, 3)]
        context, ids = [story.tokenizer.eot_id, 5, 6], story.tokenizer.encode(TEXT)[:20]
        drawing = GenerationOptions(**{"temperature": 1.0, "seed": 4, **options})
        reading = read(lms, TEXT, [context] * 3, [ids] * 3, [drawing] * 3)
        for position, (overlap, same) in enumerate(zip(reading.overlap, reading.same_choice, strict=True)):
            before = context + ids[:position]
            p = [drawing.probabilities(lm.model(before, last_only=True), before) for lm in lms]
            assert overlap == pytest.approx(sum(map(min, zip(*p, strict=True))), abs=1e-5)
            gumbel = -np.log(Noise(4).at(len(before), len(p[0])))
            with np.errstate(divide="ignore"):
                drawn = {int((np.log(of_model) + gumbel).argmax()) for of_model in p}
            assert same == (len(drawn) == 1)

    def test_each_model_chooses_with_its_own_options(self, story):
        """By the definition: with the noise of its seed if it draws, by the largest penalised logit if it is greedy."""
        lms = [random_model(story, seed) for seed in (1, 2, 1)]
        options = [
            GenerationOptions(temperature=0.6, top_k=5, seed=4), GenerationOptions(repetition_penalty=3.0),
            GenerationOptions(temperature=1.5, seed=9),
        ]  # fmt: skip
        context, ids = [story.tokenizer.eot_id, 5, 6], story.tokenizer.encode(TEXT)[:20]
        reading = read(lms, TEXT, [context] * 3, [ids] * 3, options)
        expected = []
        for position in range(len(ids)):
            before = context + ids[:position]
            logits = [lm.model(before, last_only=True).astype(np.float64) for lm in lms]
            seen = sorted(set(before))
            logits[1][seen] = np.where(logits[1][seen] > 0, logits[1][seen] / 3, logits[1][seen] * 3)
            likeliest = np.sort(logits[0])[-5]
            first = np.where(logits[0] >= likeliest, np.exp((logits[0] - logits[0].max()) / 0.6), 0)
            third = np.exp((logits[2] - logits[2].max()) / 1.5)
            p = [first / first.sum(), np.eye(len(first))[logits[1].argmax()], third / third.sum()]
            assert reading.overlap[position] == pytest.approx(min(of[logits[1].argmax()] for of in p), abs=1e-6)
            with np.errstate(divide="ignore"):
                drawn = [np.log(p[n]) - np.log(Noise(seed).at(len(before), len(first))) for n, seed in ((0, 4), (2, 9))]
            expected.append((int(drawn[0].argmax()), int(logits[1].argmax()), int(drawn[1].argmax())))
        assert [*zip(*reading.choices, strict=True)] == expected
        assert reading.same_choice == [len(set(at)) == 1 for at in expected]
        assert len(set(reading.choices[0])) > 1

    def test_where_all_are_greedy_a_penalty_is_in_what_they_would_choose(self, story):
        lm, options = random_model(story, 1), [GenerationOptions(), GenerationOptions(repetition_penalty=2.0)]
        context, ids = lm.prompt_ids("Once"), lm.generate("Once", max_new_tokens=20).ids
        reading = read([lm, lm], TEXT, [context] * 2, [ids] * 2, options)
        for position in range(len(ids)):
            before = context + ids[:position]
            logits = lm.model(before, last_only=True)
            chosen = tuple(of_model.choose(logits, None, before) for of_model in options)
            assert (reading.choices[0][position], reading.choices[1][position]) == chosen
        assert reading.choices[0] != reading.choices[1]
        assert reading.overlap is None

    def test_where_no_tokens_are_drawn_nothing_is_told_of_drawing(self, story):
        lms = [random_model(story, seed) for seed in (1, 2)]
        for options in (None, [GenerationOptions(seed=4)] * 2):
            reading = read(lms, TEXT, [[5]] * 2, [[6, 7]] * 2, options)
            assert (reading.overlap, reading.same_choice) == (None, None)
        with_other_vocabulary = gc.compare("Once", [lms[0], "nano-gpt2"], max_new_tokens=3, temperature=1.0, seed=1)
        assert with_other_vocabulary.readings[0].overlap is None

    def test_the_embedded_pair_draws_nearly_as_alike_as_its_distributions_allow(self):
        """In the same contexts of a book; cumulated probabilities and one random number gave 31 %."""
        lms = [gc.load(name) for name in ("nano-gpt2", "nano-gpt3")]
        text = ALICE.read_text(encoding="utf-8")[3000:8000]
        ids = lms[0].tokenizer.encode(text)[:511]
        alike, possible = [], []
        for seed in range(4):
            options = GenerationOptions(temperature=1.0, seed=seed)
            reading = read(lms, text, [lm.prompt_ids("") for lm in lms], [ids] * 2, [options] * 2)
            alike += reading.same_choice
            possible += reading.overlap
        assert np.mean(alike) > 0.85 * np.mean(possible)
        assert np.mean(alike) < np.mean(possible)

    @pytest.mark.parametrize("contexts", [(32, 32), (32, 20), (7, 50)])
    def test_a_text_longer_than_the_contexts_is_read_as_one_model_alone_reads_it(self, story, contexts):
        lms = [random_model(story, seed, n_ctx=n_ctx) for seed, n_ctx in enumerate(contexts)]
        ids = story.tokenizer.encode(TEXT * 5)
        reading = read(lms, TEXT * 5, [ids[:1]] * 2, [ids[1:]] * 2)
        assert len(reading.divergence) == len(reading.same_top) == len(ids) - 1
        for of_model, lm in zip(reading.logprobs, lms, strict=True):
            assert of_model == pytest.approx(lm.score(TEXT * 5).logprobs, abs=1e-5)

    def test_models_with_other_vocabularies_are_compared_by_the_bytes(self, story):
        other = gc.load("nano-gpt2")
        assert not share_vocabulary([story, other])
        ids = [lm.tokenizer.encode(TEXT) for lm in (story, other)]
        assert len(ids[0]) != len(ids[1])
        reading = read([story, other], TEXT, [lm.prompt_ids("") for lm in (story, other)], ids)
        assert reading.n_bytes == (len(TEXT.encode()),) * 2
        assert reading.divergence is None
        assert reading.same_top is None
        for n, lm in enumerate((story, other)):
            bits = -log2_softmax(lm.model(lm.prompt_ids("") + ids[n])[:-1])[np.arange(len(ids[n])), ids[n]]
            assert reading.bits_per_byte[n] == pytest.approx(sum(bits) / len(TEXT.encode()), rel=1e-5)

    def test_no_tokens_have_no_perplexity(self, story):
        reading = read([story], "", [[5]], [[]])
        assert (reading.perplexity, reading.bits_per_byte, reading.divergence) == ((None,), (None,), None)

    def test_an_infinite_perplexity_is_no_number_of_json(self, story):
        parameters = {
            name: value * (1e6 if name == "ln_f.weight" else 1) for name, value in story.model.parameters().items()
        }
        lm = gc.LanguageModel(gc.GPT(story.config, parameters), story.tokenizer)
        reading = read([lm], "qzx", [[5]], [story.tokenizer.encode("qzx")])
        assert reading.perplexity == (math.inf,)
        json.dumps(reading.to_dict(), allow_nan=False)

    @pytest.mark.reference
    def test_perplexity_and_divergence_are_those_of_transformers_logits(self, torch, transformers, story, tmp_path):
        lms = [random_model(story, seed, n_ctx=128) for seed in (3, 4)]
        context, ids = [story.tokenizer.eot_id], story.tokenizer.encode(TEXT)
        log_p = []
        for number, lm in enumerate(lms):
            lm.model.save_pretrained(tmp_path / str(number))
            theirs = transformers.GPT2LMHeadModel.from_pretrained(tmp_path / str(number), dtype=torch.float64)
            with torch.no_grad():
                log_p.append(torch.log_softmax(theirs(torch.tensor([context + ids])).logits[0, :-1], dim=-1))
        reading = read(lms, TEXT, [context] * 2, [ids] * 2)
        losses = [-of_model[torch.arange(len(ids)), torch.tensor(ids)].mean() for of_model in log_p]
        assert reading.perplexity == pytest.approx([float(loss.exp()) for loss in losses], rel=1e-4)
        log_mean = torch.logsumexp(torch.stack(log_p), dim=0) - math.log(2)
        kl = [torch.nn.functional.kl_div(log_mean, p, reduction="none", log_target=True).sum(-1) for p in log_p]
        expected = (kl[0] + kl[1]) / 2 / math.log(2)
        assert reading.divergence == pytest.approx(expected.tolist(), abs=1e-5)
