import json
import math

import pytest
from support.models import StandIn, random_model, with_context

import gptcompare as gc
from gptcompare.comparison.page.data import MOST_ATTENTION, MOST_PREDICTIONS


@pytest.fixture(scope="module")
def compared():
    return gc.compare("Once upon a time", max_new_tokens=15, temperature=0.8, seed=3)


@pytest.fixture(scope="module")
def data(compared):
    return compared.page_data()


def test_json_can_hold_it_and_it_comes_back_the_same(data):
    assert json.loads(json.dumps(data, allow_nan=False)) == data


def test_each_column_has_its_models_own_text(compared, data):
    for number, (side, column) in enumerate(zip(compared.sides, data["columns"], strict=True)):
        assert column == {"text": number, "reader": number}
        text = data["texts"][number]
        assert "".join(text["cuts"][0]["pieces"]) + text["cuts"][0]["tail"] == compared.prompt + side.text


def test_the_numbers_of_a_token_are_those_of_its_reading(compared, data):
    for text, reading in zip(data["texts"], compared.readings, strict=True):
        for number, of_model in enumerate(text["readings"]):
            first = of_model["first"]
            assert first == 4
            assert of_model["logprobs"][first:] == pytest.approx(reading.logprobs[number], abs=1e-3)
            assert of_model["ranks"][first:] == reading.alternatives[number].ranks.tolist()
            assert of_model["entropies"][first:] == pytest.approx(reading.alternatives[number].entropies, abs=0.01)
            chosen = [data["labels"][choice] for choice in of_model["choices"][first:]]
            assert chosen == [
                repr(gc.load("nano-gpt2").tokenizer.decode([id_])).replace(" ", "␣") for id_ in reading.choices[number]
            ]
        assert text["divergence"][4:] == pytest.approx(reading.divergence, abs=1e-4)
        assert text["same_top"][4:] == reading.same_top


def test_the_prompts_tokens_have_numbers_too_but_the_first(data):
    for text in data["texts"]:
        for reading in text["readings"]:
            assert reading["logprobs"][0] is None
            assert all(value is not None for value in reading["logprobs"][1:])
            assert all(tokens is not None for tokens in reading["inside"]["alternatives"][1:])


def test_two_equal_models_have_equal_bars():
    lm = gc.load("nano-gpt2")
    data = gc.compare("Once upon a time", {"one": lm, "other": lm}, max_new_tokens=8).page_data()
    for text in data["texts"]:
        one, other = text["readings"]
        assert {**one, "model": 1} == other
        assert set(text["divergence"][4:]) == {0}


def test_it_points_first_at_where_the_texts_part(compared, data):
    assert data["starts_at"] == 4 + compared.parting.position
    equal = gc.compare("Once upon a time", ["nano-gpt2"] * 2, max_new_tokens=8).page_data()
    assert equal["starts_at"] == 0


def test_models_of_different_vocabularies_each_read_their_own_text(story):
    data = gc.compare("Once", {"story": story, "nano": gc.load("nano-gpt2")}, max_new_tokens=5).page_data()
    assert not data["share_vocabulary"]
    assert [[reading["model"] for reading in text["readings"]] for text in data["texts"]] == [[0], [1]]
    assert all(text["divergence"] is None for text in data["texts"])
    read = gc.compare_text("Once upon a time.", {"story": story, "nano": gc.load("nano-gpt2")}).page_data()
    assert [reading["cut"] for reading in read["texts"][0]["readings"]] == [0, 1]
    assert "".join(read["texts"][0]["cuts"][1]["pieces"]).endswith("Once upon a time.")
    assert [cut["tail"] for cut in read["texts"][0]["cuts"]] == ["", ""]  # each vocabulary's text is whole


def test_a_banded_layer_says_its_band():
    models = gc.compare("Once", max_new_tokens=1).page_data()["models"]
    assert [model["bands"] for model in models] == [[0, 0, 0, 0, 0, 0], [8, 0, 8, 0, 8, 0]]


@pytest.mark.parametrize("first", [0, 2_000])
def test_a_long_text_is_cut_and_the_page_says_so(story, first):
    text = "".join(chr(97 + n % 26) for n in range(20_000))
    lms = {name: random_model(story, seed) for seed, name in enumerate("ab")}
    read = gc.compare_text(text, lms, alternatives=0)
    data = read.page_data(first=first)
    size = len(json.dumps(data, ensure_ascii=False).encode())
    assert 500_000 < size < 1_950_000
    shown = data["texts"][0]["cuts"][0]["pieces"]
    n = 1 + len(read.reading.tokens[0])
    assert len(shown) < n - first
    assert data["texts"][0]["cuts"][0]["tail"] == " …"
    assert f"shows {len(shown):,} of {n - first:,} tokens" in " ".join(data["left_out"])
    assert any("begins at token 2000, counted from 0" in said for said in data["left_out"]) == bool(first)
    for number, reading in enumerate(data["texts"][0]["readings"]):
        scored = [value for value in reading["logprobs"] if value is not None]
        expected = read.reading.logprobs[number][max(first - 1, 0) :][: len(scored)]
        assert scored == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(("n_layer", "n_head"), [(1, 1), (12, 12), pytest.param(48, 25, marks=pytest.mark.slow)])
def test_the_page_of_any_shape_stays_small(n_layer, n_head):
    pair = gc.load("nano-gpt2")
    shape = {"n_layer": n_layer, "n_head": n_head, "d_model": 2 * n_head, "n_ctx": 512}
    lms = {name: random_model(pair, seed, **shape) for seed, name in enumerate("ab")}
    compared = gc.compare("Once upon a time", lms, max_new_tokens=400, temperature=1.0, seed=1)
    html = compared.to_html()
    data = compared.page_data()
    assert len(html.encode()) < 2_000_000
    inside = data["texts"][0]["readings"][0]["inside"]
    n_shown, n_attention = len(inside["alternatives"]), inside["attention"]["n"]
    assert 100 < n_shown <= MOST_PREDICTIONS
    assert 5 < n_attention <= MOST_ATTENTION
    told = " ".join(data["left_out"])
    assert f"for the first {n_shown} tokens" in told
    assert f"Attention is here for the first {n_attention} tokens" in told


def test_one_model_and_one_token_make_a_page():
    for result in (gc.compare("", ["nano-gpt2"], max_new_tokens=0), gc.compare_text("a", ["nano-gpt3"])):
        data = result.page_data()
        assert data["columns"]
        assert data["most_divergence"] > 0


@pytest.mark.parametrize("first", [-1, 1.5, "2"])
def test_where_the_page_begins_must_be_a_number_from_0(compared, first):
    with pytest.raises((TypeError, ValueError), match="first must be"):
        compared.to_html(first=first)


def test_it_begins_at_the_last_token_and_not_beyond(compared):
    longest = max(4 + len(side.completion.ids) for side in compared.sides)
    data = compared.page_data(first=longest - 1)
    for text in data["texts"]:
        assert len(text["cuts"][0]["pieces"]) == 1
        assert math.isfinite(text["readings"][0]["logprobs"][0])
    with pytest.raises(ValueError, match=f"the texts have {longest}, counted from 0"):
        compared.page_data(first=longest)


@pytest.mark.parametrize("order", [["short", "long"], ["long", "short"]])
def test_beyond_the_end_of_a_shorter_text_nothing_of_it_is_shown(order):
    lm = gc.load("nano-gpt2")
    sides = {"short": with_context(lm, 8), "long": lm}
    compared = gc.compare("Once upon a time", {name: sides[name] for name in order}, max_new_tokens=12)
    texts = dict(zip(order, compared.page_data(first=10)["texts"], strict=True))
    assert texts["short"]["cuts"][0]["pieces"] == []
    shown = "".join(texts["long"]["cuts"][0]["pieces"])
    assert shown == lm.tokenizer.decode(compared.sides[order.index("long")].completion.ids[6:])


def test_long_tokens_leave_the_page_small():
    tokenizer = gc.Tokenizer.train(["═" * 64 + "\n"] * 4, 256 + 8 + 1)
    text = ("═" * 64 + "\n") * 12_000
    assert len(tokenizer.encode(text)) == 24_000
    lm = random_model(StandIn(tokenizer=tokenizer))
    html = gc.compare_text(text, {"long": lm}, alternatives=0).to_html()
    assert 500_000 < len(html.encode()) < 2_000_000
    assert " of 24,001 tokens, so that it stays small." in html


@pytest.mark.parametrize("prompt", ["", "\n\n", "   "])
def test_a_prompt_without_a_word_has_a_title(prompt):
    assert (
        gc.compare(prompt, ["nano-gpt2"], max_new_tokens=1).page_data()["title"]
        == f"{prompt!r}, a prompt without a word"
    )
