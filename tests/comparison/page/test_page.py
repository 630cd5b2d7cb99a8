"""The page in a browser: what it shows when one points, clicks, slides and types."""

import math
from pathlib import Path

import pytest
from support.browser import Browser, needs_browser
from support.models import with_context

import gptcompare as gc
from gptcompare.comparison.page.insides import TEMPERATURES

pytestmark = [pytest.mark.slow, needs_browser]

LOOK = Path(__file__).with_name("look.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def compared():
    return gc.compare("Once upon a time", max_new_tokens=25, temperature=0.8, top_p=0.9, seed=1)


@pytest.fixture(scope="module")
def browser():
    with Browser() as browser:
        yield browser


@pytest.fixture
def opened(browser, tmp_path):
    """A function that opens the page of a comparison, in a browser that must have nothing to say about it."""
    addresses = []

    def open_(comparison, browser=browser, first=0):
        (tmp_path / "page.html").write_text(comparison.to_html(first=first), encoding="utf-8")
        addresses.append((tmp_path / "page.html").as_uri())
        browser.open(addresses[-1])
        browser.run(LOOK)
        return browser

    browser.requests.clear()
    browser.console.clear()
    yield open_
    assert browser.console == []
    assert browser.requests in ([], addresses[-1:])


@pytest.fixture
def page(opened, compared):
    return opened(compared)


def likeliest(compared, text, model, position):
    """(label, probability) of the tokens that a model held likeliest."""
    pairs = compared.readings[text].alternatives[model].at(position)
    return [(repr(token.decode()).replace(" ", "␣"), probability) for token, probability in pairs]


def test_pointing_at_a_token_shows_what_both_models_expected(page, compared):
    for position in (0, 7, 24):
        page.point(f"#token-1-{4 + position}")
        for model in (0, 1):
            shown, wanted = page.run(f"look.bars({model})")[:5], likeliest(compared, 1, model, position)[:5]
            assert [label for label, _, _ in shown] == [label for label, _ in wanted]
            assert [width for _, width, _ in shown] == pytest.approx([100 * p for _, p in wanted], abs=0.02)
    assert "nano-gpt3: " in page.text("#told")


def test_the_same_position_is_marked_in_the_other_column_and_on_the_chart(page):
    page.point("#token-0-9")
    assert page.run("look.ids('.pointed')") == ["token-0-9"]
    assert page.run("look.ids('.marked')") == ["token-1-9"]
    assert page.run("[...document.querySelectorAll('.here')].map((bar) => bar.x.baseVal.value)") == [9 * 7, 9 * 7]


def test_pointing_at_a_bar_of_the_chart_points_at_its_token(page):
    chart = ".chart .scroll svg"
    _, y = page.middle_of(chart)
    left = page.run(f"document.querySelector('{chart}').getBoundingClientRect().left")
    page.command("Input.dispatchMouseEvent", type="mouseMoved", x=left + 12.5 * 7, y=y)
    assert page.run("look.ids('.pointed')") == ["token-0-12"]


def test_a_click_holds_the_place_and_another_lets_it_go(page):
    page.click("#token-0-8")
    page.point("#token-0-12")
    assert page.run("look.ids('.pointed')") == ["token-0-8"]
    page.click("#token-0-8")
    page.point("#token-0-12")
    assert page.run("look.ids('.pointed')") == ["token-0-12"]


def test_a_click_on_the_same_place_of_another_text_holds_that(page):
    page.click("#token-0-8")
    page.click("#token-1-8")
    page.point("#token-1-12")
    assert page.run("look.ids('.pointed')") == ["token-1-8"]


def test_beyond_a_shorter_text_the_page_begins_with_a_longer_one(opened):
    lm = gc.load("nano-gpt2")
    sides = {"short": with_context(lm, 8), "long": lm}
    page = opened(gc.compare("Once upon a time", sides, max_new_tokens=12), first=10)
    assert page.run("look.ids('.pointed')")[0].startswith("token-1-")
    assert "(token 7 of long's text)" in page.text(".column:nth-child(2) h3")


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
def test_the_slider_redraws_the_bars_as_the_softmax_would(page, compared, temperature):
    page.point("#token-0-10")
    page.run(f"look.slide({TEMPERATURES.index(temperature)})")
    lm = gc.load("nano-gpt2")
    before = [*lm.prompt_ids(compared.prompt), *compared.sides[0].completion.ids[:6]]
    logits = lm.model(before, last_only=True).astype(float) / temperature
    weights = sorted((math.exp(value - logits.max()) for value in logits), reverse=True)
    wanted = [100 * weight / sum(weights) for weight in weights[:5]]
    assert [width for _, width, _ in page.run("look.bars(0)")[:5]] == pytest.approx(wanted, abs=0.05)
    assert page.text("#temperature-value") == f"{temperature:.1f}"


def test_more_bars_are_ten(page):
    page.point("#token-0-10")
    assert len(page.run("look.bars(0)")) in (5, 6)
    page.click(".controls input[type=checkbox]")
    assert len(page.run("look.bars(0)")) in (10, 11)


def test_the_arrow_keys_move_and_say_where(page):
    page.run("document.querySelectorAll('.text')[1].focus()")
    for key in ("Home", "ArrowRight", "ArrowRight"):
        page.key(key)
    assert page.run("document.activeElement.getAttribute('aria-activedescendant')") == "token-1-2"
    assert page.run("document.getElementById('token-1-2').getAttribute('aria-selected')") == "true"
    assert page.text("#told").startswith("token 3 of what was given, '␣a'")
    page.key("End")
    assert page.run("look.ids('.pointed')") == ["token-1-28"]


def test_ranks_have_the_colours_of_their_tens(page, compared):
    page.click("input[value=rank]")
    borders = {10: "rank-10", 100: "rank-100", 1000: "rank-1000", math.inf: "rank-more"}
    for column, reading in enumerate(compared.readings):
        ranks = reading.alternatives[column].ranks.tolist()
        wanted = [borders[next(most for most in borders if rank <= most)] for rank in ranks]
        assert page.run(f"look.ranks({column})")[4:] == wanted
    assert "to 1,000" in page.text("#legend")


def test_the_difference_has_one_colour_for_each_model_and_one_scale(page, compared):
    page.click("input[value=difference]")
    for column, reading in enumerate(compared.readings):
        shown = page.run(f"look.differences({column})")
        wanted = [(a - b) / math.log(2) for a, b in zip(*reading.logprobs, strict=True)]
        assert [depth for _, depth in shown] == pytest.approx([min(abs(bits) / 6, 1) for bits in wanted], abs=2e-3)
        assert [name for name, _ in shown] == [f"var(--model-{int(bits <= 0)})" for bits in wanted]
    assert "6 or more bits likelier to nano-gpt3" in page.text("#legend")


def test_a_click_chooses_a_head_in_both_models(page):
    page.click("[aria-label='layer 2, head 4']")
    assert page.run("look.heads()") == ["layer 2, head 4"] * 2
    assert page.run("look.headTitles()") == [
        f"{name}'s attention over nano-gpt2's text: layer 2, head 4" for name in ("nano-gpt2", "nano-gpt3")
    ]


def test_the_heads_are_one_stop_of_the_tab_key_and_the_arrows_move_in_them(page):
    assert page.run("[...document.querySelectorAll('.heads button')].filter((one) => one.tabIndex === 0).length") == 2
    page.click("[aria-label='layer 1, head 0']")
    page.run("document.querySelector('.heads [aria-pressed=true]').focus()")
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "ArrowUp", "ArrowLeft"):
        page.key(key)
    assert page.run("document.activeElement.ariaLabel") == "layer 1, head 1"
    assert page.run("look.heads()") == ["layer 1, head 1"] * 2


def test_a_token_has_the_number_that_it_has_in_the_text(opened, compared):
    page = opened(compared)
    page.point("#token-0-10")
    assert "(token 7 of nano-gpt2's text)" in page.text(".column h3")
    page = opened(compared, first=6)
    page.point("#token-0-4")
    assert "(token 7 of nano-gpt2's text)" in page.text(".column h3")


def test_what_a_token_looks_at_is_the_attention_of_the_model(page, compared):
    page.click("[aria-label='layer 3, head 1']")
    page.click("#token-0-14")
    lm = gc.load("nano-gpt3")
    ids = [*lm.prompt_ids(compared.prompt), *compared.sides[0].completion.ids]
    weights = lm.model.trace(ids).patterns()[3, 1, 14]
    shown = page.run("look.looksAt(1)")
    assert shown[0][0] == 1 + weights.argmax()
    for position, width in shown:
        assert width / 100 == pytest.approx(weights[position - 1], abs=0.005)


def test_outside_the_band_a_map_is_like_what_is_still_to_come(opened):
    tokenizer = gc.load("nano-gpt2").tokenizer
    shape = {"n_layer": 2, "n_head": 2, "d_model": 16, "n_ctx": 64, "n_vocab": tokenizer.n_vocab}
    config = gc.GPTConfig(**shape, attention=("banded", "dense"), band_width=3)
    lm = gc.LanguageModel(gc.GPT(config), tokenizer)
    page = opened(gc.compare_text("Once upon a time there was a king.", {"band": lm}))
    banded, dense = 0, 2  # the numbers of the maps of the layers' first heads
    unseen = page.run(f"look.cell({dense}, 0, 6)")
    assert page.run(f"look.cell({banded}, 6, 0)") == unseen
    assert page.run(f"look.cell({banded}, 6, 4)") != unseen
    assert page.run(f"look.cell({dense}, 6, 0)") != unseen
    assert "0 band 3" in page.text(".heads")


@pytest.mark.parametrize(("width", "dark"), [(400, False), (400, True), (1200, True)])
def test_nothing_is_wider_than_the_window_and_all_can_be_read(opened, compared, width, dark):
    with Browser(width=width, height=900, dark=dark) as browser:
        page = opened(compared, browser)
        assert page.run("document.documentElement.scrollWidth") == width
        for colouring in ("surprise", "rank", "difference"):
            page.click(f"input[value={colouring}]")
            assert page.run("look.contrast()") >= 4.5, colouring
        assert page.console == []


NASTY = {
    "markup": "<script>window.broken = 1</script><b>bold</b>",
    "controls": "one\x00two\x1b[31m",
    "right to left": "שלום \u202eevil\u2066 world",
    "long word": "a" * 3000,
    "emoji": "🐇 👩\u200d👩\u200d👧 e\u0301 漢字",
}


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
def test_any_text_stays_text(opened, text):
    names = {text[:30]: gc.load("nano-gpt2"), "other": gc.load("nano-gpt3")}
    comparisons = [gc.compare_text(text, names)]
    if len(text) < 1000:  # as a prompt
        comparisons.append(gc.compare(text, names, max_new_tokens=3))
    for comparison in comparisons:
        page = opened(comparison)
        page.point("#token-0-1")
        assert page.run("window.broken === undefined && !document.querySelector('main b, main img')")
        assert page.run("document.documentElement.scrollWidth <= innerWidth")
        pieces = comparison.page_data()["texts"][0]["cuts"][0]["pieces"]
        assert page.run("look.text(0)") == "".join(pieces).replace("\n", "⏎\n")
        assert page.console == []


def test_models_of_different_vocabularies_have_no_common_places(opened, story):
    page = opened(gc.compare("Once", {"story": story, "nano": gc.load("nano-gpt2")}, max_new_tokens=9))
    page.point("#token-1-2")
    assert page.run("look.ids('.marked')") == []
    assert page.run("document.querySelector('input[value=difference]')") is None
    assert [page.run(f"look.hasBars({n}) && look.hasAttention({n})") for n in (0, 1)] == [False, True]
