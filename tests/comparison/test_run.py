import json
import math

import numpy as np
import pytest
from support.models import with_context

import gptcompare as gc
from gptcompare.comparison.sides import Parting
from gptcompare.comparison.stream import ComparisonStream
from gptcompare.comparison.terminal.closing import closing
from gptcompare.comparison.writers import load_models

PROMPT = "Once upon a time"
SAMPLED = {"temperature": 0.9, "top_p": 0.95, "seed": 3, "max_new_tokens": 25}


@pytest.fixture(scope="module")
def pair():
    return load_models(("nano-gpt2", "nano-gpt3"))


def closing_of(comparison):
    parts = comparison.sides, comparison.readings, comparison.parting, comparison.share_vocabulary, comparison.options
    return closing(*parts, 100)


@pytest.fixture(scope="module")
def compared(pair):
    return gc.compare(PROMPT, pair, max_new_tokens=25)


class TestSides:
    @pytest.mark.parametrize("options", [{"max_new_tokens": 25}, SAMPLED, {"max_new_tokens": 0}])
    def test_each_model_writes_what_it_writes_alone(self, pair, options):
        comparison = gc.compare(PROMPT, pair, **options)
        for side, (name, lm) in zip(comparison.sides, pair.items(), strict=True):
            alone = lm.generate(PROMPT, **options)
            assert side.name == name
            assert (side.text, side.completion.ids, side.completion.finish_reason) == (
                alone.text, alone.ids, alone.finish_reason,
            )  # fmt: skip
            assert side.completion.logprobs == pytest.approx(alone.logprobs, abs=1e-5)

    def test_a_model_s_own_perplexity_is_that_of_what_it_wrote(self, compared):
        for number, (side, reading) in enumerate(zip(compared.sides, compared.readings, strict=True)):
            assert reading.logprobs[number] == pytest.approx(side.completion.logprobs, abs=1e-4)
            assert reading.perplexity[number] == pytest.approx(math.exp(-side.mean_logprob), rel=1e-4)

    def test_the_clock_times_each_model(self, compared):
        for side in compared.sides:
            assert side.seconds_to_first_token > 0
            assert side.tokens_per_second > 0

    def test_a_first_piece_of_many_tokens_does_not_count_as_one(self, pair):
        lm = pair["nano-gpt2"]
        text = lm.generate(PROMPT, max_new_tokens=12).text
        held_back = gc.compare(PROMPT, {"a": lm}, max_new_tokens=12, stop=text + "@@@").sides[0]
        assert held_back.text == text
        assert held_back.tokens_per_second is None

    def test_nothing_written_has_no_speed_and_no_mean(self, pair):
        side, _ = gc.compare(PROMPT, pair, max_new_tokens=0).sides
        assert (side.seconds_to_first_token, side.tokens_per_second, side.mean_logprob) == (None, None, None)


class TestDeterminism:
    def test_without_dice_there_is_no_seed(self, compared):
        assert compared.options["seed"] is None

    def test_the_same_seed_gives_the_same_json(self, pair):
        first, second = (json.dumps(gc.compare(PROMPT, pair, **SAMPLED).to_dict()) for _ in range(2))
        assert first == second
        assert first != json.dumps(gc.compare(PROMPT, pair, **{**SAMPLED, "seed": 4}).to_dict())

    def test_several_prompts_are_compared_as_each_would_be_alone(self, pair):
        several = gc.compare([PROMPT, "The king"], pair, **SAMPLED)
        alone = [gc.compare(prompt, pair, **SAMPLED) for prompt in (PROMPT, "The king")]
        assert [comparison.to_dict() for comparison in several] == [comparison.to_dict() for comparison in alone]

    def test_without_a_seed_one_is_drawn_that_gives_the_same_again(self, pair):
        options = {key: value for key, value in SAMPLED.items() if key != "seed"}
        comparison = gc.compare(PROMPT, pair, **options)
        again = gc.compare(PROMPT, pair, **comparison.options)
        assert again.to_dict() == comparison.to_dict()

    def test_swapping_the_sides_swaps_the_numbers(self, pair, compared):
        swapped = gc.compare(PROMPT, dict(reversed(pair.items())), max_new_tokens=25)
        assert [side.to_dict() for side in swapped.sides] == [side.to_dict() for side in reversed(compared.sides)]
        for reading, other in zip(swapped.readings, reversed(compared.readings), strict=True):
            assert reading.perplexity == tuple(reversed(other.perplexity))
            assert (reading.divergence, reading.same_top) == (other.divergence, other.same_top)
        assert swapped.parting == Parting(
            compared.parting.position,
            compared.parting.tokens[::-1],
            compared.parting.margins[::-1],
            compared.parting.likeliest[::-1],
        )

    @pytest.mark.parametrize("options", [{"max_new_tokens": 25}, SAMPLED])
    def test_two_equal_models_write_the_same_and_never_diverge(self, pair, options):
        lm = pair["nano-gpt3"]
        twins = {"a": lm, "b": gc.LanguageModel(gc.GPT(lm.config, lm.model.parameters()), lm.tokenizer)}
        comparison = gc.compare(PROMPT, twins, **options)
        assert comparison.sides[0].text == comparison.sides[1].text
        assert comparison.parting is None
        for reading in comparison.readings:
            assert reading.divergence == [0.0] * 25
            assert all(reading.same_top)


class TestParting:
    def test_greedy_texts_part_where_their_tokens_do_and_each_prefers_its_own(self, pair, compared):
        first, second = (side.completion.ids for side in compared.sides)
        position = next(n for n, (a, b) in enumerate(zip(first, second, strict=True)) if a != b)
        assert compared.parting.position == position
        before = gc.Tokenizer.from_pretrained("nano-gpt2").encode(PROMPT) + first[:position]
        for lm, own, other, margin in zip(
            pair.values(), (first, second), (second, first), compared.parting.margins, strict=True
        ):
            logits = lm.model(before)[-1]
            assert margin == pytest.approx(float(logits[own[position]] - logits[other[position]]), abs=1e-4)
            assert margin > 0
        assert b"".join(compared.parting.tokens) == pair["nano-gpt2"].tokenizer.decode_bytes(
            [first[position], second[position]]
        )

    def test_an_end_of_text_is_a_choice_as_well(self, pair):
        lm = pair["nano-gpt2"]
        ending = {name: value.copy() for name, value in lm.model.parameters().items()}
        favourite = int(lm.model(lm.prompt_ids(PROMPT), last_only=True).argmax())
        ending["wte.weight"][lm.tokenizer.eot_id] = 2 * ending["wte.weight"][favourite]
        comparison = gc.compare(
            PROMPT, {"goes on": lm, "ends": gc.LanguageModel(gc.GPT(lm.config, ending), lm.tokenizer)}
        )
        assert comparison.sides[1].completion.finish_reason == "end_of_text"
        assert comparison.parting.position == len(comparison.sides[1].completion.ids)
        assert comparison.parting.tokens[1] == b""

    def test_what_is_only_cut_off_has_not_parted(self, pair):
        lm = pair["nano-gpt2"]
        comparison = gc.compare(PROMPT, {"long": lm, "short": with_context(lm, 10)}, max_new_tokens=20)
        assert [side.completion.finish_reason for side in comparison.sides] == ["length", "context"]
        assert comparison.parting is None
        assert "No token differs, but not all texts go on." in comparison.summary()

    @pytest.mark.parametrize("order", [["short", "long", "other"], ["other", "long", "short"]])
    def test_texts_that_go_on_part_after_another_was_cut_off(self, pair, order):
        lm, prompt = pair["nano-gpt2"], PROMPT.removesuffix(" time")  # which both write, before they part
        short = with_context(lm, len(lm.prompt_ids(prompt)) + 1)
        sides = {"short": short, "long": lm, "other": "nano-gpt2@without=0.3"}
        comparison = gc.compare(prompt, {name: sides[name] for name in order}, max_new_tokens=5)
        without = gc.compare(prompt, {name: sides[name] for name in order if name != "short"}, max_new_tokens=5)
        cut = order.index("short")
        assert len(comparison.sides[cut].completion.ids) <= without.parting.position == comparison.parting.position
        assert comparison.parting.tokens[cut] is None is comparison.parting.margins[cut]
        for of_all, of_two in [
            (comparison.parting.tokens, without.parting.tokens), (comparison.parting.margins, without.parting.margins)
        ]:  # fmt: skip
            assert tuple(value for value in of_all if value is not None) == of_two
        assert comparison.to_dict()["parting"]["tokens"][cut] is None
        for shown in (comparison.summary(), closing_of(comparison)):
            assert "short had ended" in " ".join(shown.split())

    def test_three_models_are_compared_like_two(self, pair):
        comparison = gc.compare(PROMPT, [*pair.values(), pair["nano-gpt2"]], max_new_tokens=10)
        assert [side.name for side in comparison.sides] == ["nano-gpt2", "nano-gpt3", "nano-gpt2 (2)"]
        assert comparison.parting.tokens[0] == comparison.parting.tokens[2] != comparison.parting.tokens[1]
        assert comparison.parting.margins[0] == pytest.approx(comparison.parting.margins[2])


class TestWhatIsRead:
    def test_what_a_stop_string_cut_off_is_not(self, pair):
        lm = pair["nano-gpt2"]
        whole = lm.generate(PROMPT, **SAMPLED)
        tokens = [lm.tokenizer.decode([id_]) for id_ in whole.ids]
        number = next(n for n in range(5, 20) if len(tokens[n]) > 2)
        stop = tokens[number][-1] + "".join(tokens[number + 1 : number + 4])  # begins inside a token
        comparison = gc.compare(PROMPT, {"a": lm}, **SAMPLED, stop=stop)
        side, reading = comparison.sides[0], comparison.readings[0]
        assert side.completion.finish_reason == "stop"
        assert side.text == whole.text[: whole.text.index(stop)] == "".join(tokens[: number + 1])[:-1]
        assert [token.decode() for token in reading.tokens[0]] == tokens[:number]

    def test_a_character_that_was_not_finished_is_not(self, story):
        """So that models with other vocabularies read the same bytes."""
        parameters = {name: value.copy() for name, value in story.model.parameters().items()}
        favourite = int(story.model(story.prompt_ids(PROMPT), last_only=True).argmax())
        first_byte = story.tokenizer.encode("🐇")[0]
        parameters["wte.weight"][first_byte] = 3 * parameters["wte.weight"][favourite]
        breaking = gc.LanguageModel(gc.GPT(story.config, parameters), story.tokenizer)
        comparison = gc.compare(PROMPT, {"a": breaking, "b": gc.load("nano-gpt2")}, max_new_tokens=1)
        assert comparison.sides[0].text == "\N{REPLACEMENT CHARACTER}"
        assert (comparison.readings[0].text, comparison.readings[0].n_bytes) == ("", (0, 0))

    @pytest.mark.parametrize("order", [1, -1])
    def test_an_id_from_the_padding_of_a_vocabulary_ends_it(self, pair, order):
        lm = pair["nano-gpt2"]
        config = gc.GPTConfig(**{**lm.config.to_dict(), "n_vocab": lm.config.n_vocab + 4})
        parameters = lm.model.parameters()
        favourite = int(lm.model(lm.prompt_ids(PROMPT), last_only=True).argmax())
        padding = np.repeat(2 * parameters["wte.weight"][favourite][None], 4, axis=0)
        parameters["wte.weight"] = np.concatenate([parameters["wte.weight"], padding])
        padded = gc.LanguageModel(gc.GPT(config, parameters), lm.tokenizer)
        models = dict([("padded", padded), ("plain", lm)][::order])
        comparison = gc.compare(PROMPT, models, max_new_tokens=4)
        number = [*models].index("padded")
        assert comparison.sides[number].completion.ids[0] >= lm.config.n_vocab
        assert comparison.readings[number].tokens == ([], [])
        assert len(comparison.readings[1 - number].divergence) == 4
        json.dumps(comparison.to_dict())


class TestOtherVocabularies:
    def test_bits_per_byte_are_compared_over_the_same_bytes(self, story):
        comparison = gc.compare(PROMPT, {"story": story, "nano": gc.load("nano-gpt2")}, max_new_tokens=20)
        assert not comparison.share_vocabulary
        assert comparison.parting is None
        for number, reading in enumerate(comparison.readings):
            assert reading.divergence is None
            assert reading.n_bytes == (len(reading.text.encode()),) * 2
            assert reading.text == comparison.sides[number].text
        json.dumps(comparison.to_dict())

    def test_the_prompt_is_read_but_not_counted(self, story):
        nano = gc.load("nano-gpt2")
        reading = gc.compare(PROMPT, {"story": story, "nano": nano}, max_new_tokens=20).readings[0]
        ids, prompt = nano.tokenizer.encode(reading.text), nano.tokenizer.encode(PROMPT)
        logits = nano.model(prompt + ids)[len(prompt) - 1 : -1].astype(np.float64)
        picked = logits[np.arange(len(ids)), ids] - np.logaddexp.reduce(logits, axis=-1)
        assert reading.bits_per_byte[1] == pytest.approx(-picked.sum() / math.log(2) / reading.n_bytes[1], rel=1e-5)


class TestCompareText:
    def test_the_whole_text_counts_behind_an_end_of_text(self, pair):
        text = "The king had three daughters."
        comparison = gc.compare_text(text, pair)
        assert comparison.reading.n_bytes == (len(text),) * 2
        for n, lm in enumerate(pair.values()):
            ids = [lm.tokenizer.eot_id, *lm.tokenizer.encode(text)]
            logits = lm.model(ids)[:-1].astype(np.float64)
            loss = np.logaddexp.reduce(logits, axis=-1) - logits[np.arange(len(ids) - 1), ids[1:]]
            assert comparison.reading.perplexity[n] == pytest.approx(math.exp(loss.mean()), rel=1e-4)
        assert json.loads(json.dumps(comparison.to_dict()))["models"] == ["nano-gpt2", "nano-gpt3"]

    def test_an_empty_text_is_refused(self, pair):
        with pytest.raises(ValueError, match="the text is empty"):
            gc.compare_text("", pair)


class TestModels:
    def test_a_model_is_loaded_once_and_its_second_name_is_numbered(self):
        models = load_models(["nano-gpt2", "nano-gpt2"])
        assert [*models] == ["nano-gpt2", "nano-gpt2 (2)"]
        assert models["nano-gpt2"] is models["nano-gpt2 (2)"]

    @pytest.mark.parametrize("models", ["nano-gpt2", None, 3])
    def test_one_name_in_the_place_of_several_is_refused(self, models):
        with pytest.raises(TypeError, match="models must be a list of models"):
            gc.compare(PROMPT, models)

    def test_what_is_no_model_in_a_dict_is_refused_with_its_name(self):
        with pytest.raises(TypeError, match=r"models\['a'\] must be a name, a folder, a LanguageModel, .*, got 3"):
            gc.compare(PROMPT, {"a": 3})

    def test_what_is_no_text_is_refused(self, pair):
        with pytest.raises(TypeError, match="text must be a str or a list of them, got NoneType"):
            gc.compare_text(None, pair)

    def test_no_models_are_refused(self):
        with pytest.raises(ValueError, match="models is empty"):
            gc.compare(PROMPT, [])

    def test_a_wrong_option_is_refused_before_anything_is_written(self, pair):
        with pytest.raises(ValueError, match="temperature"):
            gc.compare(PROMPT, pair, temperature=-1)
        with pytest.raises(TypeError, match="colour"):
            gc.compare(PROMPT, pair, colour=1)


def test_the_stream_gives_the_pieces_of_both_texts_in_turn(pair):
    stream = ComparisonStream(PROMPT, pair, gc.GenerationOptions(max_new_tokens=25))
    texts, order = ["", ""], []
    for number, piece in stream:
        texts[number] += piece
        order.append(number)
    assert order[:6] == [0, 1, 0, 1, 0, 1]
    assert stream.writing == []
    assert texts == [side.text for side in stream.comparison().sides]
