import math
import re
from html import unescape

import pytest
from support.outline import Outline

import gptcompare as gc
from gptcompare.display.page import FROM_THE_RIGHT, document
from gptcompare.display.text_width import CONTROL


@pytest.fixture(scope="module")
def compared():
    return gc.compare("Once upon a time", max_new_tokens=15)


def spans(html):
    """(surprise in bits, text) of each coloured token."""
    found = re.findall(r'<span title="([\d.]+) bits[^"]*" style="[^"]*">(.*?)</span>', html, flags=re.DOTALL)
    return [(float(bits), unescape(text)) for bits, text in found]


def test_it_has_the_texts_the_descriptions_and_the_summary(compared):
    text = Outline(compared._repr_html_()).text
    for side in compared.sides:
        assert side.text in text
        assert side.name in text
    assert "6 layers, width 256, 8 heads of 32, banded/dense attention, band 8" in text
    assert compared.summary() in text


def test_each_token_has_its_surprise_in_bits(compared):
    tokens = spans(compared._repr_html_())
    expected = [
        (round(-logprob / math.log(2), 2), token.decode())
        for number, reading in enumerate(compared.readings)
        for token, logprob in zip(reading.tokens[number], reading.logprobs[number], strict=True)
    ]
    assert [text for _, text in tokens] == [text for _, text in expected]
    assert [bits for bits, _ in tokens] == pytest.approx([bits for bits, _ in expected], abs=0.011)


def test_a_character_of_several_tokens_is_shown_whole_with_the_surprise_of_all():
    comparison = gc.compare_text("🐇 ran", ["nano-gpt2"])
    first, *_ = spans(comparison._repr_html_())
    tokens, logprobs = comparison.reading.tokens[0], comparison.reading.logprobs[0]
    n = next(n for n in range(1, len(tokens)) if b"".join(tokens[:n]) == "🐇".encode())
    assert n > 1
    assert first[1] == "🐇"
    assert first[0] == pytest.approx(-sum(logprobs[:n]) / math.log(2), abs=0.01)


def test_the_other_models_surprise_at_it_is_that_of_all_its_tokens():
    comparison = gc.compare_text("🐇 ran")
    title = re.search(r'<span title="([^"]*)"[^>]*>🐇</span>', comparison._repr_html_())[1]
    tokens, logprobs = comparison.reading.tokens[0], comparison.reading.logprobs
    n = next(n for n in range(1, len(tokens)) if b"".join(tokens[:n]) == "🐇".encode())
    own, other = (-sum(of_model[:n]) / math.log(2) for of_model in logprobs)
    assert title == f"{own:.2f} bits; nano-gpt3 {other:.2f}"


def test_what_a_stop_string_cut_off_is_not_shown():
    text = gc.load("nano-gpt2").generate("Once", max_new_tokens=8).text
    comparison = gc.compare("Once", ["nano-gpt2"], max_new_tokens=8, stop=text[6:9])
    shown = Outline(comparison._repr_html_()).text.split("parameters\n")[1].partition("The deeper")[0]
    assert shown.strip() == "Once" + text[: text.index(text[6:9])].rstrip()


@pytest.mark.parametrize("nasty", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</pre></div>&amp;"])
def test_what_models_and_users_write_stays_text(nasty):
    for comparison in (gc.compare(nasty, {nasty: gc.load("nano-gpt2")}, max_new_tokens=3), gc.compare_text(nasty)):
        outline = Outline(document(nasty, comparison._repr_html_()))
        assert {tag for tag, _ in outline.tags} <= {
            "html", "head", "meta", "title", "style", "body", "div", "h2", "p", "span", "pre", "figure", "svg", "rect",
            "figcaption", "bdi",
        }  # fmt: skip
        assert nasty in outline.text


def test_a_bar_is_as_high_as_the_divergence(compared):
    figure = re.search(r"<figure>.*?</figure>", compared._repr_html_(), flags=re.DOTALL)[0]
    heights = [float(height) for height in re.findall(r'<rect [^>]*height="([\d.]+)"', figure)]
    divergence = compared.readings[0].divergence
    assert heights == pytest.approx([48 * bits / max(divergence) for bits in divergence], abs=0.06)
    assert f"the highest {max(divergence):.3f} bits" in figure
    colours = re.findall(r'<rect [^>]*fill="(#\w+)"', figure)
    assert [colour == "#0072B2" for colour in colours] == compared.readings[0].same_top


def test_one_model_and_models_of_several_vocabularies_have_no_bars(story):
    for models in (["nano-gpt2"], {"story": story, "nano": gc.load("nano-gpt2")}):
        assert "<svg" not in gc.compare("Once", models, max_new_tokens=3)._repr_html_()


def test_a_text_is_shown_with_what_can_be_said_of_it():
    text = gc.compare_text("Once upon a time.")
    assert text.to_text() in Outline(text._repr_html_()).text


TURNED = "\u202eevil\u2066 \x1b[2J"  # characters that turn text round, and one that clears a terminal
HEBREW = "\u05d3\u05d2\u05dd"


def test_no_text_turns_round_what_stands_beside_it():
    names = {f"a{TURNED}": gc.load("nano-gpt2"), HEBREW: gc.load("nano-gpt3")}
    for comparison in (gc.compare(TURNED, names, max_new_tokens=3), gc.compare_text(f"{TURNED} {HEBREW}", names)):
        html = document(TURNED, comparison._repr_html_())
        assert not CONTROL.search(html.replace("\u2068", "").replace("\u2069", ""))
        for line in re.findall('<title>(.*?)</title>|title="(.*?)"|aria-label="(.*?)"', html):
            assert "".join(line).count("\u2068") == "".join(line).count("\u2069")
            assert HEBREW not in re.sub("\u2068.*?\u2069", "", "".join(line))
        isolated = re.sub(r"(<bdi>).*?(</bdi>)|\u2068.*?\u2069", "", html, flags=re.DOTALL)
        text = re.sub(r'<div class="text">.*?</div>', "", isolated, flags=re.DOTALL)
        assert not FROM_THE_RIGHT.search(text)
        assert f"<h2><bdi>{HEBREW}</bdi></h2>" in html


def test_each_bar_tells_whether_the_same_token_is_drawn(compared):
    drawn = gc.compare("Once upon a time", max_new_tokens=15, temperature=1.0, seed=2)
    title = r"<title>[^<]*bits; (the same token is|other tokens are) drawn, the same at best in (\d+)%</title>"
    told = re.findall(title, drawn._repr_html_())
    expected = [
        ("the same token is" if same else "other tokens are", f"{overlap:.0%}".rstrip("%"))
        for reading in drawn.readings
        for same, overlap in zip(reading.same_choice, reading.overlap, strict=True)
    ]
    assert told == expected
    assert "drawn" not in compared._repr_html_()
