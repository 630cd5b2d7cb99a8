import codecs
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from support.places import DATA

import gptcompare as gc
from gptcompare.generation import Sampling
from gptcompare.generation.noise import Noise

RECORDS = json.loads((DATA / "story_reference.json").read_text(encoding="utf-8"))
PROMPTS = [record["prompt"] for record in RECORDS]


@pytest.mark.parametrize("record", RECORDS, ids=PROMPTS)
class TestTransformersOutputs:
    """Recorded by tests/data/make_story_reference.py."""

    def test_the_greedy_completion_is_the_same(self, story, record):
        completion = story.generate(record["prompt"], max_new_tokens=len(record["greedy_ids"]))
        assert completion.ids == record["greedy_ids"]
        assert completion.text == record["greedy_text"]
        assert completion.logprobs == pytest.approx(record["greedy_logprobs"], abs=1e-4)
        assert completion.finish_reason == "length"


@pytest.mark.parametrize("record", [record for record in RECORDS if len(record["ids"]) > 1])
def test_the_score_of_every_token_is_transformers_s(story, record):
    score = story.score(record["prompt"])
    assert score.ids == record["ids"]
    assert score.logprobs == pytest.approx(record["logprobs"], abs=1e-4)


@pytest.mark.parametrize(
    "options", [{}, {"temperature": 0.9, "seed": 5}, {"temperature": 1.2, "top_p": 0.8, "seed": 6}]
)
def test_a_batch_of_different_lengths_gives_the_completions_of_one_by_one(story, options):
    together = story.generate(PROMPTS, max_new_tokens=50, stop=["the"], **options)
    assert len({len(completion.ids) for completion in together}) > 1
    for prompt, completion in zip(PROMPTS, together, strict=True):
        alone = story.generate(prompt, max_new_tokens=50, stop=["the"], **options)
        assert (completion.prompt, completion.text, completion.ids) == (prompt, alone.text, alone.ids)
        assert completion.finish_reason == alone.finish_reason
        assert completion.logprobs == pytest.approx(alone.logprobs, abs=1e-4)


def test_a_batch_draws_what_each_prompt_draws_alone_though_its_logits_are_rounded_otherwise():
    """With cumulated probabilities, the third of these prompts was continued by another word in a batch."""
    lm = gc.load("nano-gpt2")
    prompts = [
        " to the general conclusion, that whereve",
        " a little timidly: 'but it's no use goin",
        ", and the White Rabbit was still in sigh",
    ]
    options = {"temperature": 1.0, "seed": 126, "max_new_tokens": 24}
    assert [one.text for one in lm.generate(prompts, **options)] == [
        lm.generate(prompt, **options).text for prompt in prompts
    ]


@pytest.mark.parametrize("options", [{}, {"temperature": 0.9, "top_p": 0.95}], ids=["greedy", "drawn"])
def test_a_text_that_is_written_in_two_parts_is_the_one_written_at_once(story, options):
    prompt = "Once upon a time"
    whole = story.generate(prompt, max_new_tokens=30, seed=5, **options)
    first = story.generate(prompt, max_new_tokens=11, seed=5, **options)
    ids = story.prompt_ids(prompt + first.text)
    assert ids == story.prompt_ids(prompt) + first.ids  # else the model would read other tokens
    rest = story.generate(prompt + first.text, max_new_tokens=19, seed=5, **options)
    assert first.ids + rest.ids == whole.ids


def test_an_empty_batch_has_no_completions(story):
    assert story.generate([]) == []


def test_the_seed_decides_what_is_drawn(story):
    first, again, other = (story.generate("The king", temperature=1.0, seed=seed).ids for seed in (1, 1, 2))
    assert first == again != other


def test_without_a_seed_every_call_differs(story):
    assert story.generate("The king", temperature=1.0).ids != story.generate("The king", temperature=1.0).ids


def test_logprobs_are_the_model_s_own_whatever_the_sampling(story):
    completion = story.generate("The king", temperature=3.0, top_k=50, seed=0)
    prompt_ids = story.tokenizer.encode("The king")
    logits = story.model(prompt_ids + completion.ids).astype(np.float64)
    for n, (id_, logprob) in enumerate(zip(completion.ids, completion.logprobs, strict=True)):
        row = logits[len(prompt_ids) + n - 1]
        assert logprob == pytest.approx(row[id_] - np.logaddexp.reduce(row), abs=1e-4)


class TestStream:
    def test_the_pieces_are_the_completion(self, story):
        stream = story.stream("Once upon a time", max_new_tokens=30)
        pieces = list(stream)
        assert len(pieces) > 10
        assert "".join(pieces) == stream.completion.text
        assert stream.completion == story.generate("Once upon a time", max_new_tokens=30)

    def test_a_piece_comes_before_the_next_token_is_computed(self, story):
        stream = story.stream("Once upon a time", max_new_tokens=30)
        next(stream)
        assert len(stream.completion.ids) < 3
        assert stream.completion.finish_reason == ""

    def test_no_piece_ends_inside_a_character(self, byte_model):
        """A model that writes random bytes: every piece must be what a whole decoder makes of the bytes so far."""
        stream = byte_model.stream("x", max_new_tokens=50, temperature=1.0, seed=0)
        whole = codecs.getincrementaldecoder("utf-8")(errors="replace")
        seen = ""
        for piece in stream:
            seen += piece
            ended = bool(stream.completion.finish_reason)
            so_far = whole.decode(byte_model.tokenizer.decode_bytes(stream.completion.ids), final=ended)
            assert so_far.startswith(seen)
            whole.reset()
        assert seen == byte_model.tokenizer.decode(stream.completion.ids)

    def test_wrong_arguments_are_refused_at_the_call_and_not_at_the_first_piece(self, story):
        with pytest.raises(ValueError, match="temperature"):
            story.stream("x", temperature=-1)
        with pytest.raises(TypeError, match="one prompt"):
            story.stream(["x"])


@pytest.fixture(scope="module")
def byte_model():
    """A random model over single bytes: its text is full of broken and of multi-byte characters."""
    tokenizer = gc.Tokenizer.train(["x"], 257)
    config = gc.GPTConfig(n_layer=1, n_head=1, d_model=8, n_ctx=60, n_vocab=257)
    return gc.LanguageModel(gc.GPT(config), tokenizer)


class TestEnds:
    def test_a_stop_string_across_tokens_ends_the_text_before_it(self, story):
        whole = story.generate("Once upon a time", max_new_tokens=60).text
        stop = whole[20:27]  # cuts through words
        completion = story.generate("Once upon a time", max_new_tokens=60, stop=[stop, "never written"])
        assert completion.finish_reason == "stop"
        assert completion.text == whole[: whole.index(stop)]
        assert stop in story.tokenizer.decode(completion.ids)
        assert "".join(story.stream("Once upon a time", max_new_tokens=60, stop=stop)) == completion.text

    def test_what_was_held_back_for_a_stop_string_comes_out_at_the_end(self, story):
        whole = story.generate("Once upon a time", max_new_tokens=60)
        stop = whole.text[-3:] + "\0"
        assert story.generate("Once upon a time", max_new_tokens=60, stop=stop).text == whole.text

    def test_the_end_of_text_token_ends_the_text_and_is_no_part_of_it(self, story):
        wte = story.model.parameters()["wte.weight"]
        parameters = story.model.parameters()
        direction = parameters["ln_f.bias"]
        eot = story.tokenizer.eot_id
        parameters["wte.weight"] = wte.copy()
        parameters["wte.weight"][eot] = direction * 100  # by far the largest logit after any text
        lm = gc.LanguageModel(gc.GPT(story.config, parameters), story.tokenizer)
        completion = lm.generate("Once upon a time")
        assert (completion.text, completion.ids, completion.logprobs) == ("", [], [])
        assert completion.finish_reason == "end_of_text"

    def test_prompt_and_completion_never_exceed_the_context(self, byte_model):
        completion = byte_model.generate("x" * 55, max_new_tokens=100)
        assert completion.finish_reason == "context"
        assert len(completion.ids) == 5
        full = byte_model.generate("x" * 60)
        assert (full.ids, full.text, full.finish_reason) == ([], "", "context")

    def test_a_prompt_longer_than_the_context_is_refused(self, byte_model):
        with pytest.raises(ValueError, match="the prompt has 61 tokens, the model's context is 60"):
            byte_model.generate("x" * 61)

    def test_no_new_tokens_is_an_empty_completion(self, story):
        assert story.generate("x", max_new_tokens=0).finish_reason == "length"

    def test_an_empty_prompt_begins_a_text(self, story):
        ids = [story.tokenizer.eot_id]
        assert story.generate("", max_new_tokens=1).ids == [int(story.model(ids)[-1].argmax())]


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"max_new_tokens": -1}, ValueError, "max_new_tokens"),
        ({"max_new_tokens": 1.0}, TypeError, "max_new_tokens must be an integer"),
        ({"stop": ""}, ValueError, "stop string must not be empty"),
        ({"stop": [1]}, TypeError, "stop"),
        ({"top_k": 0}, ValueError, "top_k"),
        ({"seed": -1}, ValueError, "seed must be at least 0"),
        ({"seed": "a"}, TypeError, "seed must be an integer"),
    ],
)
def test_wrong_options_are_refused(story, options, error, words):
    with pytest.raises(error, match=words):
        story.generate("x", **options)


def test_no_stop_string_may_be_said_as_none_and_numbers_may_be_numpy_s(story):
    completion = story.generate("x", stop=None, seed=np.int64(1), max_new_tokens=np.int64(3), temperature=np.float32(1))
    assert len(completion.ids) == 3


def test_a_prompt_that_is_no_text_is_refused(story):
    with pytest.raises(TypeError, match="prompt must be a str or a list of them, got NoneType"):
        story.generate(None)
    with pytest.raises(TypeError, match=r"^prompt\[0\] must be a str, got int"):
        story.generate([1, 2])
    with pytest.raises(ValueError, match="lone surrogate"):
        story.generate("\ud800")


class TestScore:
    def test_perplexity_is_the_exponential_of_the_mean_loss(self, story):
        score = story.score("Once upon a time there was a king.")
        assert len(score.logprobs) == len(score.ids) - 1
        assert score.perplexity == pytest.approx(math.exp(-np.mean(score.logprobs)))

    @pytest.mark.parametrize("n", [2, 59, 60, 61, 62, 90, 91, 150, 200])
    def test_a_text_longer_than_the_context_is_scored_in_half_overlapping_windows(self, byte_model, n):
        ids = np.random.default_rng(0).integers(97, 123, size=n)
        text = bytes(ids.tolist()).decode()
        ids = byte_model.tokenizer.encode(text)
        expected = []
        for target in range(1, n):
            # the first window has 60 tokens before its last target, each later one ends 30 later, or with the text
            end = 60 if target <= 60 else min(60 + math.ceil((target - 60) / 30) * 30, n - 1)
            start = max(end - 60, 0)
            logits = byte_model.model(ids[start:target], last_only=True).astype(np.float64)
            expected.append(logits[ids[target]] - np.logaddexp.reduce(logits))
        assert byte_model.score(text).logprobs == pytest.approx(expected, abs=1e-5)

    def test_damaged_parameters_have_no_score(self, story):
        damaged = {name: value * np.float32(np.nan) for name, value in story.model.parameters().items()}
        lm = gc.LanguageModel(gc.GPT(story.config, damaged), story.tokenizer)
        with pytest.raises(ValueError, match="logits are not finite"):
            lm.score("Once upon a time")

    @pytest.mark.parametrize("text", ["The king — naïve 🐇 — ran.", "“Ünïcödé”", "a b"])
    def test_bits_per_byte_are_the_loss_over_the_bytes_that_were_predicted(self, story, text):
        score = story.score(text)
        assert score.n_bytes == len(text.encode()) - len(story.tokenizer.decode_bytes(score.ids[:1]))
        assert score.bits_per_byte == pytest.approx(
            -sum(math.log2(math.exp(x)) for x in score.logprobs) / score.n_bytes
        )

    def test_a_token_in_front_of_every_text_is_no_byte_of_it(self, story):
        assert gc.LanguageModel(story.model, with_bos(story).tokenizer).score("The king").n_bytes == len("The king")

    def test_a_text_of_one_token_has_no_score(self, byte_model):
        with pytest.raises(ValueError, match="at least two tokens, but from this text the model reads 1"):
            byte_model.score("x")


def with_bos(lm):
    """As with OPT: what ends a text begins every text, too."""
    vocabulary = lm.tokenizer._vocabulary
    return gc.LanguageModel(lm.model, gc.Tokenizer(replace(vocabulary, bos=vocabulary.eot)))


@pytest.fixture(scope="module")
def story_with_bos(story):
    return with_bos(story)


class TestBeginOfEveryText:
    @pytest.mark.parametrize("prompt", PROMPTS)
    def test_the_model_reads_it_in_front_of_the_prompt(self, story, story_with_bos, prompt):
        ids = [story.tokenizer.eot_id, *story.tokenizer.encode(prompt)]
        completion = story_with_bos.generate(prompt, max_new_tokens=1)
        assert completion.prompt == prompt
        assert completion.ids == [int(story.model(ids)[-1].argmax())]
        assert "".join(story_with_bos.stream(prompt, max_new_tokens=1)) == completion.text

    def test_an_empty_prompt_is_nothing_else(self, story, story_with_bos):
        assert story_with_bos.generate("") == story.generate("")

    def test_it_takes_its_place_in_the_context(self, byte_model):
        lm = with_bos(byte_model)
        assert len(lm.generate("x" * 55, max_new_tokens=100).ids) == 4
        with pytest.raises(ValueError, match="the prompt has 61 tokens, the model's context is 60"):
            lm.generate("x" * 60)

    def test_every_token_of_the_text_has_a_score(self, story, story_with_bos):
        ids = [story.tokenizer.eot_id, *story.tokenizer.encode("Once upon a time")]
        score = story_with_bos.score("Once upon a time")
        logits = story.model(ids[:-1]).astype(np.float64)
        chosen = [row[id_] - np.logaddexp.reduce(row) for row, id_ in zip(logits, ids[1:], strict=True)]
        assert score.ids == ids
        assert score.logprobs == pytest.approx(chosen, abs=1e-5)

    def test_a_text_of_one_token_has_a_score_and_an_empty_one_has_none(self, story_with_bos):
        assert len(story_with_bos.score("x").logprobs) == 1
        with pytest.raises(ValueError, match="at least two tokens, but from this text the model reads 1"):
            story_with_bos.score("")

    @pytest.mark.reference
    @pytest.mark.parametrize("prompt", PROMPTS)
    def test_completion_and_score_are_transformers_s(self, story_with_bos, prompt, tmp_path):
        torch = pytest.importorskip("torch", reason="needs the `reference` extra")
        transformers = pytest.importorskip("transformers", reason="needs the `reference` extra")
        story_with_bos.tokenizer.save_pretrained(tmp_path)
        read = transformers.AutoTokenizer.from_pretrained(tmp_path)(prompt, return_tensors="pt")
        model = transformers.GPT2LMHeadModel.from_pretrained(DATA / "story-gpt2", dtype=torch.float32)
        written = model.generate(**read, max_new_tokens=20, do_sample=False, pad_token_id=0)[0]
        ids = read.input_ids[0].tolist()
        assert story_with_bos.generate(prompt, max_new_tokens=20).ids == written[len(ids) :].tolist()
        with torch.no_grad():
            logprobs = model(read.input_ids).logits[0].log_softmax(-1)[range(len(ids) - 1), ids[1:]]
        score = story_with_bos.score(prompt)
        assert score.ids == ids
        assert score.logprobs == pytest.approx(logprobs.tolist(), abs=1e-4)


class TestLoad:
    def test_a_folder_without_tokenizer_files_gets_gpt2_s(self, tmp_path):
        config = gc.GPTConfig(n_layer=1, n_head=1, d_model=2, n_ctx=8, n_vocab=50304)
        gc.GPT(config).save_pretrained(tmp_path)
        lm = gc.load(tmp_path)
        assert lm.tokenizer.n_vocab == 50257
        assert lm.generate("Hello", max_new_tokens=3, temperature=1.0, seed=0).finish_reason == "length"

    @pytest.mark.parametrize("n_vocab", [100, 50305])
    def test_another_vocabulary_without_tokenizer_files_is_refused(self, tmp_path, n_vocab):
        gc.GPT(gc.GPTConfig(n_layer=1, n_head=1, d_model=2, n_ctx=8, n_vocab=n_vocab)).save_pretrained(tmp_path)
        with pytest.raises(FileNotFoundError, match="no tokenizer"):
            gc.load(tmp_path)

    def test_half_a_tokenizer_is_refused_and_not_replaced(self, tmp_path):
        gc.GPT(gc.GPTConfig(n_layer=1, n_head=1, d_model=2, n_ctx=8)).save_pretrained(tmp_path)
        (tmp_path / "vocab.json").write_text("{}")
        with pytest.raises(FileNotFoundError, match="no tokenizer"):
            gc.load(tmp_path)

    def test_a_token_that_only_the_model_has_adds_no_text(self, byte_model):
        config = gc.GPTConfig(n_layer=1, n_head=1, d_model=8, n_ctx=60, n_vocab=5000)
        lm = gc.LanguageModel(gc.GPT(config), byte_model.tokenizer)
        completion = lm.generate("x", temperature=1.0, seed=0)
        assert max(completion.ids) > 257
        known = [id_ for id_ in completion.ids if id_ < 257]
        assert completion.text == byte_model.tokenizer.decode(known)

    def test_a_tokenizer_with_more_ids_than_the_model_is_refused(self, story, byte_model):
        with pytest.raises(ValueError, match="do not belong together"):
            gc.LanguageModel(byte_model.model, story.tokenizer)

    def test_float64_on_request(self):
        lm = gc.load(DATA / "story-gpt2", dtype=np.float64)
        for record in RECORDS:
            logits = lm.model(record["ids"]).astype(np.float64)
            chosen = [row[id_] - np.logaddexp.reduce(row) for row, id_ in zip(logits, record["ids"][1:], strict=False)]
            assert chosen == pytest.approx(record["logprobs"], abs=1e-10)


@pytest.mark.parametrize(
    "options", [{"repetition_penalty": 1.6}, {"repetition_penalty": 1.6, "temperature": 0.9}], ids=str
)
def test_the_penalty_is_for_the_prompt_and_what_was_written_since_in_a_batch_too(story, options):
    prompts = ["Once upon a time", "The king and the king", "A"]
    batch = story.generate(prompts, max_new_tokens=25, seed=3, **options)
    for prompt, completion in zip(prompts, batch, strict=True):
        ids, sampling = story.prompt_ids(prompt), Sampling(**options)
        noise = Noise(3)
        for id_ in completion.ids:
            logits = story.model(ids, last_only=True)
            assert sampling.choose(logits, noise, ids) == id_
            ids.append(id_)


@pytest.mark.reference
def test_greedy_text_with_a_penalty_is_that_of_transformers(torch, transformers, story, tmp_path):
    story.model.save_pretrained(tmp_path)
    reference = transformers.GPT2LMHeadModel.from_pretrained(tmp_path)
    for prompt in ("Once upon a time", "The king and the king", "The fox said to the hen"):
        ids = story.prompt_ids(prompt)
        expected = reference.generate(
            torch.tensor([ids]), max_new_tokens=40, do_sample=False, repetition_penalty=1.4, pad_token_id=0,
            eos_token_id=None,
        )  # fmt: skip
        found = story.generate(prompt, max_new_tokens=40, repetition_penalty=1.4).ids
        assert found == expected[0, len(ids) :].tolist()[: len(found)]
        assert len(found) > 5
