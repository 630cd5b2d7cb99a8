import pytest
from support.outline import Outline

from gptcompare.display.page import document, isolated, isolated_in_attribute, isolated_words, visible


def test_a_document_is_whole_and_its_title_stays_text():
    html = document("a <b> & c", "<p>body</p>")
    assert html.startswith("<!DOCTYPE html>")
    assert "a <b> & c" in Outline(html).text
    assert "<title>a &lt;b&gt; &amp; c</title>" in html


HEBREW, ARABIC = "\u05d3\u05d2\u05dd", "\u0646\u0645\u0648\u0630\u062c"


@pytest.mark.parametrize("text", ["a < b & c", f"{HEBREW} 1.5", "\u202ea\x1b\t\u2028"])
def test_a_text_is_the_same_however_it_stands_on_a_page(text):
    shown = Outline(visible(text)).text
    assert Outline(isolated(text)).text == shown
    assert Outline(isolated_words(text)).text == shown
    assert isolated_in_attribute(text).strip("\u2068\u2069") == visible(text)


@pytest.mark.parametrize(
    ("text", "html"),
    [
        (f"{HEBREW}  {ARABIC}", f"<bdi>{HEBREW}</bdi>  <bdi>{ARABIC}</bdi>"),
        (f"{HEBREW} {ARABIC} (+0.50)", f"<bdi>{HEBREW} {ARABIC}</bdi> (+0.50)"),
        (f"'{HEBREW}', 1\n{ARABIC}", f"<bdi>&#x27;{HEBREW}&#x27;,</bdi> 1\n<bdi>{ARABIC}</bdi>"),
        ("a  b\n c ", "a  b\n c "),
    ],
)
def test_words_from_the_right_stand_in_isolation_from_their_neighbours(text, html):
    assert isolated_words(text) == html
