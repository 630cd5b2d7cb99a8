from support.outline import Outline

from gptcompare.display.page import document


def test_a_document_is_whole_and_its_title_stays_text():
    html = document("a <b> & c", "<p>body</p>")
    assert html.startswith("<!DOCTYPE html>")
    assert "a <b> & c" in Outline(html).text
    assert "<title>a &lt;b&gt; &amp; c</title>" in html
