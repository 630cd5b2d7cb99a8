"""What a side can be: a model, changed, or with options of its own."""

import json
import re
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from support.models import random_model
from support.places import STORY_FOLDER

import gptcompare as gc
from gptcompare.comparison import writers
from gptcompare.comparison.sides import describe
from gptcompare.comparison.stream import ComparisonStream
from gptcompare.comparison.writers import Writer, load_models, load_sides
from gptcompare.generation import GenerationOptions, Sampling
from gptcompare.inspection import without_heads

PROMPT = "Once upon a time"
DRAWN = {"temperature": 0.9, "seed": 3, "max_new_tokens": 20}
NANO = "nano-gpt2"


@pytest.fixture(scope="module")
def lm():
    return gc.load(NANO)


@pytest.fixture(scope="module")
def small():
    """In float64, in which no two tokens are equally likely."""
    lm = random_model(gc.load(STORY_FOLDER), seed=1)
    return gc.LanguageModel(gc.GPT(lm.config, lm.model.parameters(), dtype=np.float64), lm.tokenizer)


def without(lm, *heads):
    return lm.changed({f"blocks.{layer}.attn.hook_z": without_heads([head]) for layer, head in heads})


class TestNames:
    def test_a_string_says_a_model_and_its_options(self):
        given = [
            f"{NANO}@temperature=0.5", f"{NANO}@top-k=4@top_p=0.9@min_p=.01@repetition_penalty=1.5@seed=7",
            f"{NANO}@without=1.2+1.3+0.0", NANO,
        ]  # fmt: skip
        sides = load_sides(given)
        assert [*sides] == given
        assert [side.options for side in sides.values()] == [
            {"temperature": 0.5},
            {"top_k": 4, "top_p": 0.9, "min_p": 0.01, "repetition_penalty": 1.5, "seed": 7},
            {},
            {},
        ]

    def test_every_option_of_sampling_and_the_seed_can_be_a_side_s_own(self):
        assert (*(option.name for option in fields(Sampling)), "seed", "without") == writers.OWN_OPTIONS

    def test_a_name_is_loaded_once_for_all_its_sides(self, monkeypatch):
        names = []
        load = writers.load
        monkeypatch.setattr(writers, "load", lambda name, **options: names.append(name) or load(name, **options))
        sides = load_sides([NANO, f"{NANO}@temperature=1", (NANO, {"seed": 3}), f"{NANO}@without=0.1", "nano-gpt3"])
        assert names == [NANO, "nano-gpt3"]
        first, *others = [side.lm.model.parameters()["wte.weight"] for side in sides.values()]
        assert [parameter is first for parameter in others] == [True, True, True, False]

    @pytest.mark.parametrize(
        ("given", "model", "options"),
        [
            ("owner/name", "owner/name", {}),
            ("owner/name@main", "owner/name@main", {}),
            ("owner/name@main@temperature=0.5", "owner/name@main", {"temperature": 0.5}),
            ("owner/name@v1@2@seed=1@top_k=2", "owner/name@v1@2", {"seed": 1, "top_k": 2}),
            (Path("owner@temperature=1"), "owner@temperature=1", {}),  # a path has no options
        ],
    )
    def test_a_revision_is_no_option(self, given, model, options, monkeypatch, lm):
        loaded = []
        monkeypatch.setattr(writers, "load", lambda name, **_: loaded.append(name) or lm)
        (side,) = load_sides([given]).values()
        assert (loaded, side.options) == ([model], options)

    def test_a_folder_of_that_name_is_a_folder(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "story@temperature=2").symlink_to(STORY_FOLDER)
        (side,) = load_sides(["story@temperature=2"]).values()
        assert (side.lm.config.n_vocab, side.options) == (gc.GPT.from_pretrained(STORY_FOLDER).config.n_vocab, {})

    def test_a_side_is_named_as_it_was_given(self, lm, tmp_path):
        given = [lm, (lm, {"temperature": 0.5, "seed": 1}), (NANO, {"top_k": 3}), f"{NANO}@seed=1", NANO, NANO]
        assert [*load_sides(given)] == [
            NANO, f"{NANO}@temperature=0.5@seed=1", f"{NANO}@top_k=3", f"{NANO}@seed=1", f"{NANO} (2)", f"{NANO} (3)",
        ]  # fmt: skip
        nameless = gc.LanguageModel(lm.model, lm.tokenizer)
        assert [*load_sides([nameless, (nameless, {"seed": 1})])] == ["model 1", "model 2@seed=1"]
        assert [*load_sides([lm, lm.changed(lambda name, array: array)])] == [NANO, f"{NANO}, changed"]
        named = {
            "cool": (lm, {"temperature": 0.5}),
            "plain": NANO,
            "string": f"{NANO}@without=0.1",
            "folder": STORY_FOLDER,
        }
        assert [*load_sides(named)] == [*named]

    def test_sides_that_were_loaded_can_be_given_again(self, lm):
        sides = load_sides([lm, f"{NANO}@temperature=0.5", f"{NANO}@without=0.1"])
        again = load_sides(sides)
        assert again == sides
        assert ComparisonStream(PROMPT, sides).comparison().sides[1].options["temperature"] == 0.5


class TestRefused:
    @pytest.mark.parametrize(
        ("given", "words"),
        [
            (f"{NANO}@temprature=1", "a side has no option 'temprature' of its own: did you mean temperature"),
            (f"{NANO}@colour=3", "there are temperature, top_k, top_p, min_p, repetition_penalty, seed, without"),
            (f"{NANO}@max_new_tokens=3", "a side has no option 'max_new_tokens' of its own"),
            (f"{NANO}@temperature=hot", f"{NANO}@temperature=hot: temperature must be a number, got 'hot'"),
            (f"{NANO}@temperature=", "temperature must be a number, got ''"),
            (f"{NANO}@top_k=2.5", "top_k must be an integer, got '2.5'"),
            (f"{NANO}@temperature=-1", "@temperature=-1: temperature must be 0 (greedy) or a positive finite number"),
            (f"{NANO}@temperature=nan", "temperature must be 0 (greedy) or a positive finite number"),
            (f"{NANO}@top_p=1.5", "top_p must be above 0 and at most 1"),
            (f"{NANO}@seed=-1", "seed must be at least 0"),
            (f"{NANO}@seed=1@seed=2", "'seed' is there twice"),
            (f"{NANO}@top-k=1@top_k=1", "'top_k' is there twice"),
            (f"{NANO}@seed=1@main", "'main' has no value; a side is written NAME@option=value@option=value"),
            ("@seed=1", "'@seed=1' has no model"),
            (f"{NANO}@without=6.0", "there is no head 6.0: the layers are 0 ... 5, the heads of each 0 ... 7"),
            (f"{NANO}@without=0.8", "there is no head 0.8: the layers are 0 ... 5, the heads of each 0 ... 7"),
            *[
                (f"{NANO}@without={wrong}", f"with + between them, such as 1.2+1.3, got '{wrong}'")
                for wrong in ("", "1", "1.", "1.2,1.3", "1.2+", "-1.2", "1.2.3", "a.b", "1e0.2", "٣.1")
            ],
            ((NANO, {"colour": 3}), "a side has no option 'colour' of its own"),
            ((NANO, {"temperature": -1}), f"{NANO}@temperature=-1: temperature must be 0 (greedy)"),
            ((NANO, {"stop": "x"}), "a side has no option 'stop' of its own"),
            ((f"{NANO}@seed=1", {"seed": 2}), "seed is given twice, in the name and beside it"),
            ((NANO, {"without": 1.2}), "without must be LAYER.HEAD"),
        ],
        ids=str,
    )  # fmt: skip
    def test_a_wrong_option_is_one_error_that_says_what_there_is(self, given, words):
        for models in ([given], ["nano-gpt3", given]):
            with pytest.raises(ValueError, match=re.escape(words)):
                gc.compare(PROMPT, models)

    def test_a_wrong_kind_is_refused_by_its_name(self):
        with pytest.raises(TypeError, match="cool: temperature must be a number, got 'hot'"):
            gc.compare(PROMPT, {"cool": (NANO, {"temperature": "hot"})})

    def test_a_writer_that_was_made_by_hand_is_checked_like_any_side(self, lm):
        for models in ([Writer(lm, {"colour": 3})], {"a": Writer(lm, {"colour": 3})}):
            with pytest.raises(ValueError, match="a side has no option 'colour'"):
                load_sides(models)
        with pytest.raises(TypeError, match=r"models\[0\] must be a name"):
            load_sides([Writer(3)])

    def test_a_wrong_option_is_refused_before_any_model_is_loaded(self, monkeypatch):
        monkeypatch.setattr(writers, "load", lambda *_, **__: pytest.fail("a model was loaded"))
        with pytest.raises(ValueError, match="has no option"):
            load_sides([NANO, f"{NANO}@colour=3"])

    @pytest.mark.parametrize("given", [3, None, (NANO,), (NANO, 3), (3, {}), (NANO, {}, {}), b"x", ((NANO, {}), {})])
    def test_what_is_no_side_is_refused_with_its_place(self, given):
        words = "must be a name, a folder, a LanguageModel, or a pair of one of these and a dict of its options, got "
        with pytest.raises(TypeError, match=re.escape(f"models[1] {words}")):
            gc.compare(PROMPT, [NANO, given])
        with pytest.raises(TypeError, match=re.escape(f"models['a'] {words}")):
            gc.compare(PROMPT, {"a": given})

    @pytest.mark.parametrize("given", [f"{NANO}@temperature=0.5", (NANO, {"temperature": 0.5})])
    def test_options_have_no_meaning_where_nothing_is_written(self, given):
        words = f"{NANO}@temperature=0.5 has temperature of its own: that is for a prompt that is continued"
        with pytest.raises(ValueError, match=words):
            gc.compare_text("The king", [NANO, given])
        with pytest.raises(ValueError, match=words):
            load_models([given])


class TestWriting:
    def test_two_sides_of_the_same_model_with_the_same_options_write_the_same(self, lm):
        models = [lm, NANO, (lm, {"temperature": 0.9}), f"{NANO}@seed=3"]
        comparison = gc.compare(PROMPT, models, **{**DRAWN, "max_new_tokens": 8})
        assert len({tuple(side.completion.ids) for side in comparison.sides}) == 1
        assert comparison.parting is None
        assert len({json.dumps(side.options) for side in comparison.sides}) == 1
        for reading in comparison.readings:
            assert reading.overlap == pytest.approx([1.0] * 8)
            assert all(reading.same_choice)

    def test_each_side_writes_what_its_model_writes_with_its_options(self, small):
        own = [{}, {"temperature": 0.3}, {"top_k": 2}, {"temperature": 0}, {"repetition_penalty": 2.0}, {"seed": 8}]
        comparison = gc.compare(PROMPT, [(small, options) for options in own], **DRAWN)
        for side, options in zip(comparison.sides, own, strict=True):
            assert side.completion.ids == small.generate(PROMPT, **{**DRAWN, **options}).ids
            assert side.options == GenerationOptions(**{**DRAWN, **options}).to_dict()
        assert comparison.options == GenerationOptions(**DRAWN).to_dict()
        assert len({side.text for side in comparison.sides}) == len(own)

    def test_an_option_can_be_taken_back(self, small):
        comparison = gc.compare(PROMPT, [small, (small, {"top_k": None})], **DRAWN, top_k=2)
        assert comparison.sides[1].completion.ids == small.generate(PROMPT, **DRAWN).ids

    def test_without_a_seed_one_is_chosen_for_all_that_have_none(self, small):
        warm = {"temperature": 1.0}
        models = [small, (small, warm), (small, {**warm, "seed": None}), (small, {**warm, "seed": 5})]
        comparison = gc.compare(PROMPT, models, max_new_tokens=12)
        _, first, second, own = comparison.sides
        assert first.completion.ids == second.completion.ids
        assert [side.options["seed"] for side in comparison.sides] == [comparison.options["seed"]] * 3 + [5]
        assert own.completion.ids == small.generate(PROMPT, temperature=1.0, seed=5, max_new_tokens=12).ids
        assert gc.compare(PROMPT, models, **comparison.options).to_dict() == comparison.to_dict()
        assert gc.compare(PROMPT, [small, (small, {"seed": None})], max_new_tokens=1).options["seed"] is None

    def test_several_prompts_are_compared_as_each_would_be_alone(self, lm):
        models = [f"{NANO}@temperature=0.5", f"{NANO}@without=0.3", without(lm, (1, 2))]
        options = {**DRAWN, "max_new_tokens": 4}
        several = gc.compare([PROMPT, "The king"], models, **options)
        alone = [gc.compare(prompt, models, **options) for prompt in (PROMPT, "The king")]
        assert [comparison.to_dict() for comparison in several] == [comparison.to_dict() for comparison in alone]

    def test_a_head_left_out_is_one_that_is_left_out_of_the_model(self, lm):
        models = [NANO, f"{NANO}@without=0.3+2.1", without(lm, (0, 3), (2, 1))]
        comparison = gc.compare(PROMPT, models, max_new_tokens=8)
        plain, written, changed = comparison.sides
        assert written.completion == changed.completion == models[2].generate(PROMPT, max_new_tokens=8)
        assert written.text != plain.text
        assert written.changes == changed.changes == ("without head 3 of layer 0; without head 1 of layer 2",)
        assert written.to_dict()["changes"] == [*written.changes]
        assert plain.changes == ()
        assert describe(written.config, written.changes).endswith("6.97M parameters; " + written.changes[0])
        assert "without head 3 of" in comparison.to_text(240)
        reading = gc.compare_text("The king had a hat.", models).reading
        assert reading.logprobs[1] == reading.logprobs[2] != reading.logprobs[0]

    def test_a_hook_is_in_the_text_the_readings_and_the_parting(self, small):
        def duller(name, array):
            return array * 0.5 if name.endswith("mlp_out") else array

        changed = small.changed(duller)
        comparison = gc.compare(PROMPT, {"plain": small, "changed": changed}, max_new_tokens=15)
        assert comparison.sides[1].changes == ("changed by duller",)
        ids = small.prompt_ids(PROMPT)
        for number, side in enumerate(comparison.sides):
            read = [*ids, *side.completion.ids]
            for n, hook in enumerate((None, duller)):
                logits = small.model(read, hook=hook)[len(ids) - 1 : -1].astype(np.float64)
                logprobs = logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
                expected = logprobs[np.arange(15), side.completion.ids]
                np.testing.assert_allclose(comparison.readings[number].logprobs[n], expected, atol=1e-4)
        position = comparison.parting.position
        own, other = (side.completion.ids[position] for side in comparison.sides)
        before = [*ids, *comparison.sides[0].completion.ids[:position]]
        for sign, hook, margin in zip((1, -1), (None, duller), comparison.parting.margins, strict=True):
            logits = small.model(before, hook=hook)[-1]
            assert margin == pytest.approx(sign * float(logits[own] - logits[other]), abs=1e-4)


class TestMeasures:
    def test_at_two_temperatures_the_overlap_is_that_of_the_two_distributions(self, story):
        small = random_model(story, seed=1)
        lm = gc.LanguageModel(gc.GPT(small.config, small.model.parameters(), dtype=np.float64), small.tokenizer)
        comparison = gc.compare(
            PROMPT, [(lm, {"temperature": 0.4}), (lm, {"temperature": 1.3})], seed=1, max_new_tokens=15
        )
        prompt = lm.prompt_ids(PROMPT)
        for side, reading in zip(comparison.sides, comparison.readings, strict=True):
            assert reading.divergence == pytest.approx([0.0] * 15, abs=1e-9)  # the model is the same
            for position, overlap in enumerate(reading.overlap):
                logits = lm.model([*prompt, *side.completion.ids[:position]], last_only=True).astype(np.float64)
                one, other = (np.exp((logits - logits.max()) / temperature) for temperature in (0.4, 1.3))
                pairs = zip(one / one.sum(), other / other.sum(), strict=True)
                assert overlap == pytest.approx(sum(min(pair) for pair in pairs), abs=1e-6)

    def test_what_each_side_would_choose_in_its_own_text_is_what_it_wrote(self, small):
        models = [
            small,
            (small, {"temperature": 0.4}),
            (small, {"temperature": 0}),
            (small, {"seed": 9}),
            without(small, (0, 1)),
        ]
        comparison = gc.compare(PROMPT, models, **DRAWN)
        for number, (side, reading) in enumerate(zip(comparison.sides, comparison.readings, strict=True)):
            assert reading.choices[number] == side.completion.ids
            assert reading.same_choice == [len(set(at)) == 1 for at in zip(*reading.choices, strict=True)]

    def test_greedy_beside_drawn_meets_as_often_as_its_choice_is_drawn(self, small):
        comparison = gc.compare(PROMPT, [(small, {"temperature": 0}), small], **DRAWN)
        prompt, reading = small.prompt_ids(PROMPT), comparison.readings[0]
        for position, overlap in enumerate(reading.overlap):
            before = [*prompt, *comparison.sides[0].completion.ids[:position]]
            logits = small.model(before, last_only=True).astype(np.float64)
            p = np.exp((logits - logits.max()) / 0.9)
            assert overlap == pytest.approx(p.max() / p.sum(), abs=1e-5)
        assert "The models draw the same token at" in " ".join(comparison.summary().split())

    def test_sides_that_differ_only_in_their_dice_say_so(self, small):
        comparison = gc.compare(PROMPT, [(small, {"seed": seed}) for seed in (1, 2)], **{**DRAWN, "seed": 0})
        assert comparison.readings[0].overlap == pytest.approx([1.0] * 20)
        assert not all(comparison.readings[0].same_choice)

    def test_the_options_of_a_writer_are_a_comparison_s_with_its_own(self, small):
        common = GenerationOptions(temperature=0.5, seed=1, max_new_tokens=3)
        stream = ComparisonStream(PROMPT, [small, (small, {"temperature": 0.7})], common)
        assert stream.options_of_sides == [common, replace(common, temperature=0.7)]
