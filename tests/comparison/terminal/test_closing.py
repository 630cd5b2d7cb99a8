import pytest

import gptcompare as gc
from gptcompare.comparison.terminal.closing import closing, speeds_in_short
from gptcompare.display.text_width import width

PROMPT = "Once upon a time"


def lines_below(comparison, n_cells=80):
    parts = comparison.sides, comparison.readings, comparison.parting, comparison.share_vocabulary, comparison.options
    return closing(*parts, n_cells).splitlines()


@pytest.fixture(scope="module")
def drawn():
    return gc.compare(PROMPT, max_new_tokens=20, temperature=0.8, top_p=0.9, seed=1)


def test_it_is_a_handful_of_lines_in_80_cells(drawn):
    assert 5 <= len(lines_below(drawn)) <= 8
    assert max(map(width, lines_below(drawn))) <= 80


def test_its_numbers_are_those_of_the_comparison(drawn):
    text = " ".join(lines_below(drawn))
    for side, reading in zip(drawn.sides, drawn.readings, strict=True):
        own, other = reading.perplexity
        assert f"of {side.name}'s text: {own:.2f} to nano-gpt2, {other:.2f} to nano-gpt3." in text
    same = sum(sum(reading.same_top) for reading in drawn.readings)
    drew = sum(sum(reading.same_choice) for reading in drawn.readings)
    assert f"The likeliest tokens agree at {same} of 40 positions, the drawn ones at {drew}." in text
    for side, likeliest in zip(drawn.sides, drawn.parting.likeliest, strict=True):
        assert f"{side.name} held likeliest {likeliest[0][0].decode().replace(' ', '␣')!r}" in text
    assert lines_below(drawn)[-1] == "Seed 1 (temperature 0.8, top-p 0.9): --seed 1 writes the same."


def test_greedy_texts_have_no_seed_and_no_dice():
    text = " ".join(lines_below(gc.compare(PROMPT, max_new_tokens=5)))
    assert "eed" not in text
    assert "drawn" not in text


def test_of_one_model_and_of_equal_texts_nothing_parts():
    assert len(lines_below(gc.compare(PROMPT, ["nano-gpt2"], max_new_tokens=5))) == 1
    lm = gc.load("nano-gpt2")
    assert lines_below(gc.compare(PROMPT, {"a": lm, "b": lm}, max_new_tokens=5))[0] == "The texts are the same."


def test_other_vocabularies_are_compared_by_bits_per_byte(story):
    text = " ".join(lines_below(gc.compare(PROMPT, {"story": story, "nano": gc.load("nano-gpt2")}, max_new_tokens=5)))
    assert "different vocabularies" in text
    assert "Bits per byte of story's text" in text
    assert "Perplexity of" not in text


def test_the_speeds_are_one_line_also_where_nothing_was_written(drawn):
    assert speeds_in_short(drawn.sides).count("\n") == 0
    assert speeds_in_short(gc.compare(PROMPT, max_new_tokens=0).sides).startswith("[no tokens per second")
