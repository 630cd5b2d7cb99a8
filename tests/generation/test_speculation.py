import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.amounts import examples, few_or_many

import gptcompare as gc
from gptcompare.generation import speculation
from gptcompare.generation.sampling import Sampling
from gptcompare.generation.speculation import READING_COST, DraftLength, Repetitions
from gptcompare.model.kv_cache import MAX_ROLLBACK

SHAPE = {"n_layer": 2, "n_head": 2, "d_model": 16, "n_ctx": 64}
WORDS = ["the", "rabbit", "hare", "ran", "sat", "and", "slept", "ten times", "one", "two", "!", "\n"]
KINDS = {"dense": {}, "banded": {"attention": ("dense", "banded"), "band_width": 5}}


@pytest.fixture(scope="module")
def tokenizer():
    return gc.Tokenizer.train([" ".join(WORDS) * 5], 290)


def random_model(tokenizer, seed=0, **changes):
    config = gc.GPTConfig(**{**SHAPE, **changes}, n_vocab=tokenizer.n_vocab)
    model = gc.GPT(config, seed=seed, dtype=np.float64)  # in which no two tokens are equally likely
    for name, value in model.parameters().items():
        if value.ndim == 2 and name != "wpe.weight":
            value *= 8  # so that the predictions differ from token to token
    return gc.LanguageModel(model, tokenizer)


def random_prompt(rng):
    return " ".join(rng.choice(WORDS, rng.integers(1, 12)))


def assert_same(completion, plain):
    assert completion.ids == plain.ids
    assert (completion.text, completion.finish_reason) == (plain.text, plain.finish_reason)
    np.testing.assert_allclose(completion.logprobs, plain.logprobs, atol=1e-4)


@pytest.fixture
def every_guess_is_read(monkeypatch):
    monkeypatch.setattr(speculation, "READING_COST", {1: 1.0, 16: 1e-6})
    monkeypatch.setattr(speculation, "DraftLength", lambda cost: DraftLength(0.0))


@pytest.mark.usefixtures("every_guess_is_read")
@pytest.mark.parametrize("kind", KINDS)
@few_or_many("n", 20, 500)
def test_greedy_completions_are_the_same_token_for_token(tokenizer, kind, n):
    lm = random_model(tokenizer, **KINDS[kind])
    smaller = random_model(tokenizer, seed=1, n_layer=1, **KINDS[kind])
    rng = np.random.default_rng(0)
    for trial in range(n):
        prompt = random_prompt(rng)
        draft = ("repetitions", smaller)[trial % 2]
        assert_same(lm.generate(prompt, max_new_tokens=24, draft=draft), lm.generate(prompt, max_new_tokens=24))


@pytest.mark.usefixtures("every_guess_is_read")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "options", [{}, {"top_k": 5}, {"top_p": 0.8}, {"min_p": 0.2}, {"repetition_penalty": 1.7}], ids=str
)
@few_or_many("n", 2, 40)
def test_sampled_completions_of_the_same_seed_are_the_same_token_for_token(tokenizer, kind, options, n):
    lm = random_model(tokenizer, **KINDS[kind])
    rng = np.random.default_rng(1)
    for seed in range(n):
        prompt = random_prompt(rng)
        plain = lm.generate(prompt, temperature=0.9, seed=seed, **options)
        for draft in ("repetitions", random_model(tokenizer, seed=2), lm):
            assert_same(lm.generate(prompt, temperature=0.9, seed=seed, draft=draft, **options), plain)


@pytest.mark.usefixtures("every_guess_is_read")
@few_or_many("n", 500, 2000)
def test_the_tokens_drawn_with_a_draft_have_the_distribution_of_the_model(tokenizer, n):
    lm, draft = random_model(tokenizer), random_model(tokenizer, seed=1)
    sampling = Sampling(temperature=1.5, top_k=4)
    prompt = tokenizer.encode("the hare and")

    def expected(ids):
        probabilities = sampling.probabilities(lm.model([*prompt, *ids], last_only=True))
        return {(*ids, int(i)): float(probabilities[i]) for i in np.flatnonzero(probabilities)}

    joint = {}
    for one, p in expected(()).items():
        for two, q in expected(one).items():
            joint.update({three: p * q * r for three, r in expected(two).items()})
    assert math.isclose(sum(joint.values()), 1)
    drawn = dict.fromkeys(joint, 0)
    options = {"max_new_tokens": 3, "temperature": 1.5, "top_k": 4, "draft": draft}
    for seed in range(n):
        drawn[tuple(lm.generate("the hare and", seed=seed, **options).ids)] += 1
    common = [cell for cell in joint if n * joint[cell] >= 5]
    observed = np.array([*(drawn[cell] for cell in common), n - sum(drawn[cell] for cell in common)])
    wanted = n * np.array([joint[cell] for cell in common])
    wanted = np.append(wanted, n - wanted.sum())
    chi_squared = float(((observed - wanted) ** 2 / np.maximum(wanted, 1e-9)).sum())
    assert chi_squared < upper_quantile(len(wanted) - 1, z=4.75)  # exceeded once in a million


def upper_quantile(degrees, z):
    """Of the chi-squared distribution, by Wilson and Hilferty's cube: z is the normal quantile."""
    return degrees * (1 - 2 / (9 * degrees) + z * math.sqrt(2 / (9 * degrees))) ** 3


def test_the_bound_of_chi_squared_is_not_out_of_reach():
    # Tables give 149.449 for 100 degrees of freedom and a probability of 0.001 (NIST/SEMATECH handbook, 1.3.6.7.4).
    assert math.isclose(upper_quantile(100, z=3.0902), 149.449, rel_tol=1e-3)


def test_a_text_that_repeats_itself_is_read_in_fewer_passes(tokenizer):
    lm = random_model(tokenizer)
    prompt = "the hare ran and " * 3
    plain = lm.generate(prompt, max_new_tokens=40)
    period = next(n for n in range(1, 40) if plain.ids[-20 + n :] == plain.ids[-20:-n])  # greedy text of such a model
    assert period <= 10
    assert passes(lm, prompt, draft="repetitions") < 0.6 * passes(lm, prompt)


def test_a_draft_as_slow_as_the_model_is_never_asked(tokenizer):
    lm, twin = random_model(tokenizer), random_model(tokenizer)
    assert passes(lm, "the rabbit", draft=twin) == passes(lm, "the rabbit")
    assert passes(twin, "the rabbit", of=lm, draft=twin) == 0


@pytest.mark.usefixtures("every_guess_is_read")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", [{}, {"temperature": 1.0, "seed": 5}], ids=["greedy", "sampled"])
def test_a_draft_that_is_the_model_itself_guesses_every_token(tokenizer, kind, options):
    lm, twin = random_model(tokenizer, **KINDS[kind]), random_model(tokenizer, **KINDS[kind])
    n_tokens = len(lm.generate("the rabbit", **options).ids)
    assert passes(lm, "the rabbit", draft=twin, **options) == 1 + math.ceil((n_tokens - 1) / 16)


@pytest.mark.usefixtures("every_guess_is_read")
@pytest.mark.parametrize(("n_vocab", "padded"), [(290, 320), (320, 290)])
def test_models_may_differ_in_the_padding_of_their_vocabularies(tokenizer, n_vocab, padded):
    def model(size):
        config = gc.GPTConfig(**SHAPE, n_vocab=size)
        return gc.LanguageModel(gc.GPT(config, seed=size, dtype=np.float64), tokenizer)

    lm, draft = model(n_vocab), model(padded)
    for seed in range(20):
        options = {"temperature": 3.0, "seed": seed, "max_new_tokens": 30}
        assert_same(lm.generate("the hare", draft=draft, **options), lm.generate("the hare", **options))


def test_wrong_guesses_can_always_be_taken_back():
    assert max(READING_COST) - 1 <= MAX_ROLLBACK


def passes(lm, prompt, of=None, **options):
    """How often a model is called for a completion: `lm`, when `of` or itself writes."""
    calls = itertools.count()
    original = type(lm.model).__call__

    def counted(model, *arguments, **named):
        if model is lm.model:
            next(calls)
        return original(model, *arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(lm.model), "__call__", counted)
        (of or lm).generate(prompt, **options)
    return next(calls)


@pytest.mark.usefixtures("every_guess_is_read")
@pytest.mark.parametrize("prompt_tokens", [1, 40, 62, 63, 64])
def test_the_end_of_the_context_is_where_it_is_without_a_draft(tokenizer, prompt_tokens):
    lm = random_model(tokenizer)
    prompt = "!" * prompt_tokens
    plain = lm.generate(prompt, max_new_tokens=100)
    shorter = random_model(tokenizer, seed=1, n_ctx=50)
    for draft in ("repetitions", shorter, random_model(tokenizer, seed=1)):
        assert_same(lm.generate(prompt, max_new_tokens=100, draft=draft), plain)


@pytest.mark.usefixtures("every_guess_is_read")
def test_stop_strings_end_of_text_and_streams_are_what_they_are_without_a_draft(tokenizer):
    lm = random_model(tokenizer)
    rng = np.random.default_rng(3)
    reasons = set()
    for seed in range(60):
        options = {"temperature": 1.2, "seed": seed, "stop": ["a", "e"][seed % 2], "max_new_tokens": 15}
        prompt = random_prompt(rng)
        plain = lm.generate(prompt, **options)
        reasons.add(plain.finish_reason)
        assert lm.generate(prompt, draft="repetitions", **options).text == plain.text
        assert "".join(lm.stream(prompt, draft=lm, **options)) == plain.text
    assert reasons == {"stop", "length", "end_of_text"}


@pytest.mark.usefixtures("every_guess_is_read")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", [{}, {"temperature": 0.9, "seed": 3, "stop": "sat"}], ids=["greedy", "sampled"])
@few_or_many("n", 3, 60)
def test_several_texts_are_written_as_without_a_draft(tokenizer, kind, options, n):
    lm, smaller = random_model(tokenizer, **KINDS[kind]), random_model(tokenizer, seed=1, n_layer=1, **KINDS[kind])
    rng = np.random.default_rng(0)
    for trial in range(n):
        fills_the_context = "the " * 25
        prompts = ["", "one two one two", *(random_prompt(rng) for _ in range(3)), fills_the_context]
        plain = lm.generate(prompts, max_new_tokens=24, **options)
        for draft in ("repetitions", smaller, lm):
            with_draft = lm.generate(prompts, max_new_tokens=24, draft=draft, **options)
            for completion, expected in zip(with_draft, plain, strict=True):
                assert_same(completion, expected)
        assert trial or len({len(completion.ids) for completion in plain}) > 1  # they end at different steps


def test_several_texts_that_repeat_themselves_are_read_in_fewer_passes(tokenizer):
    lm = random_model(tokenizer)
    prompts = ["the hare ran and " * 3, "one two " * 4]
    options = {"max_new_tokens": 40}
    assert passes(lm, prompts, draft="repetitions", **options) < 0.8 * passes(lm, prompts, **options)


def test_of_more_texts_fewer_guesses_are_read():
    lengths = []
    for n_texts in (1, 4, 16, 64):
        pace = DraftLength(0.0, n_texts)
        pace.hit_rate = 0.9
        lengths.append(pace.next_guesses())
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] > lengths[-1]


def test_a_draft_of_another_kind_or_vocabulary_is_refused(tokenizer):
    lm = random_model(tokenizer)
    other = random_model(gc.Tokenizer.train(["some other text, some other"], 265))
    with pytest.raises(ValueError, match="another vocabulary"):
        lm.generate("the", draft=other)
    with pytest.raises(ValueError, match="must be a LanguageModel or 'repetitions', got 'gpt2'"):
        lm.stream("the", draft="gpt2")
    with pytest.raises(ValueError, match="must be a LanguageModel or 'repetitions', got 3"):
        lm.generate("the", draft=3)


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.integers(1, 8), st.integers(1, 5))
def test_repetitions_go_on_as_after_the_last_place_where_the_longest_known_run_occurred(ids, n, step):
    draft = Repetitions()
    for length in range(1, len(ids), step):
        draft.guess(ids[:length], n)
    guesses = draft.guess(ids, n)
    for run in (3, 2):
        ends = [end for end in range(run, len(ids)) if ids[end - run : end] == ids[-run:]]
        if len(ids) >= run and ends:
            text = [*ids, *guesses]
            assert len(guesses) == n
            assert guesses == text[ends[-1] : ends[-1] + n]
            return
    assert guesses == []


def test_a_period_goes_on_in_the_guesses():
    assert Repetitions().guess([7, 1, 2, 1, 2], 5) == [1, 2, 1, 2, 1]


@pytest.mark.parametrize("cost", [0.0, 0.05, 0.3])
def test_more_hits_never_make_fewer_guesses_and_none_make_none(cost):
    pace, numbers = DraftLength(cost), []
    for rate in np.linspace(0, 1, 21):
        pace.hit_rate, pace._wait, pace._waited = float(rate), speculation.RETRY, 0
        numbers.append(pace.next_guesses())
    assert numbers == sorted(numbers)
    assert numbers[0] == 0
    assert numbers[-1] + 1 in READING_COST
    assert numbers[-1] > 0


def test_the_hit_rate_follows_what_was_noted():
    pace = DraftLength(0.0)
    for _ in range(100):
        pace.note(True)
    assert pace.hit_rate > 0.99
    for _ in range(100):
        pace.note(False)
    assert pace.hit_rate < 0.01


def test_a_draft_that_could_pay_is_tried_again_and_one_that_cannot_never_is():
    tried = {}
    for cost in (0.05, 1.0):
        pace = DraftLength(cost)
        pace.hit_rate = 0.0
        tried[cost] = 0
        for _ in range(10 * speculation.RETRY):
            if pace.next_guesses():
                tried[cost] += 1
                pace.note(False)
    steps = 10 * speculation.RETRY - 3 * speculation.RETRY_SOON  # after the first two trials
    assert tried == {0.05: 2 + steps // speculation.RETRY, 1.0: 0}


def test_a_draft_that_is_right_again_is_soon_trusted_again():
    pace = DraftLength(0.2)
    for _ in range(50):
        pace.note(False)
    for _ in range(6 * speculation.RETRY):
        guesses = pace.next_guesses()
        if guesses > 1:
            break
        if guesses:
            pace.note(True)
    assert guesses > 1


@pytest.mark.parametrize(("cost", "rate"), [(0.35, 0.75), (0.2, 0.7), (0.2, 0.2), (0.05, 0.3)])
def test_a_draft_that_never_pays_costs_little(cost, rate):
    pace, rng, times, tokens = DraftLength(cost), np.random.default_rng(0), 0.0, 0
    for _ in range(3000):
        n = pace.next_guesses()
        hits = rng.random(n) < rate
        n_right = int(np.argmin(hits)) if not hits.all() else n
        times, tokens = times + pace._time(1 + n), tokens + 1 + n_right
        for hit in hits[: n_right + 1]:
            pace.note(bool(hit))
    assert times / tokens < 1.06
