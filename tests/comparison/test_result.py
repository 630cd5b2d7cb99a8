import json

import pytest
from support.outline import Outline

import gptcompare as gc


@pytest.fixture(scope="module")
def compared():
    return gc.compare("Once upon a time", max_new_tokens=12)


@pytest.fixture(scope="module")
def read():
    return gc.compare_text("The fox looked for the hen.")


class TestText:
    def test_it_has_both_texts_side_by_side_and_the_summary_below(self, compared):
        text = compared.to_text(90)
        columns = text.removesuffix(compared.summary(90))
        assert columns != text
        for side in compared.sides:
            for word in side.text.split():
                assert word in columns
        assert all(len(line) <= 90 for line in text.splitlines())
        assert " │ " in columns

    def test_a_text_that_was_read_is_told_about_and_not_repeated(self, read):
        assert "bits per byte" in read.to_text()
        assert read.reading.text not in read.to_text()

    def test_printing_a_result_prints_its_text(self, compared, read):
        assert str(compared) == compared.to_text()
        assert str(read) == read.to_text()


class TestPage:
    def test_its_title_is_the_prompt_or_the_given_one(self, compared, read):
        assert "<title>Once upon a time</title>" in compared.to_html()
        assert "<title>a &lt; b</title>" in compared.to_html("a < b")
        assert "<title>a &lt; b</title>" in read.to_html("a < b")

    def test_it_says_the_numbers_also_without_its_script(self, compared, read):
        assert " ".join(compared.summary().split()) in " ".join(Outline(compared.to_html()).text.split())
        assert " ".join(read.to_text().split()) in " ".join(Outline(read.to_html()).text.split())


def test_a_text_that_a_changed_model_read_says_what_was_changed():
    read = gc.compare_text("Once upon a time", ["nano-gpt2", "nano-gpt2@without=1.2"])
    [unchanged, [change]] = read.to_dict()["changes"]
    assert unchanged == []
    assert read._repr_html_().count(change) == 1


def test_the_summary_tells_how_often_the_same_token_is_drawn_and_could_be(compared):
    drawn = gc.compare("Once upon a time", max_new_tokens=12, temperature=0.8, seed=1)
    words = " ".join(drawn.summary().split())
    for reading in drawn.readings:
        expected = f"draw the same token at {sum(reading.same_choice)} of these positions; no dice could make that more"
        assert f"{expected} than {sum(reading.overlap):.1f} on average" in words
    assert "dice" not in compared.summary()


def test_the_dict_is_what_json_holds(compared, read):
    for result in (compared, read):
        assert json.loads(json.dumps(result.to_dict())) == result.to_dict()


def test_the_options_are_all_that_there_are(compared):
    assert compared.options == gc.GenerationOptions(max_new_tokens=12).to_dict()
