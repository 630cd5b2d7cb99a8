import json
import re
import threading
from dataclasses import fields

import pytest
from support.browser import Browser, needs_browser

from gptcompare.comparison.page.document import part
from gptcompare.generation import GenerationOptions
from gptcompare.play import serve
from gptcompare.play.page import CONTROLS, play_page


def settings_of(html):
    return json.loads(re.search(r'id="settings">(.*?)</script>', html, re.DOTALL)[1])


def test_the_page_offers_the_models_and_an_option_for_each_control():
    settings = settings_of(play_page(["a", "</script>"]))
    assert settings["models"] == ["a", "</script>"]
    assert [control["name"] for control in settings["controls"]] == list(CONTROLS)


def test_every_control_is_an_option_of_generation():
    names = {field.name for field in fields(GenerationOptions)}
    assert set(CONTROLS) <= names
    assert names - set(CONTROLS) == {"stop", "repetition_penalty"}


def test_its_scripts_are_those_of_the_comparisons_page_and_its_own():
    scripts = re.findall(r"<script>(.*?)</script>", play_page(["a"]), re.DOTALL)
    assert scripts[:2] == [part("attention.js"), part("page.js")]
    assert len(scripts) == 3


@pytest.fixture
def address():
    server = serve(port=0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.url
    server.shutdown()
    server.close()
    thread.join()


WRITTEN = "document.querySelectorAll('.token').length > 0 && !document.getElementById('write').disabled"


@needs_browser
@pytest.mark.slow
class TestInABrowser:
    @pytest.fixture
    def page(self, address):
        with Browser() as browser:
            browser.open(address)
            browser.wait(WRITTEN)
            yield browser
            assert browser.console == []
            assert {url.removeprefix(address) for url in browser.requests} <= {"", "write", "stop"}

    def set(self, page, **values):
        for name, value in values.items():
            page.run(f"document.getElementById('{name}').value = {json.dumps(value)}")

    def write(self, page):
        page.run("document.querySelector('main').replaceChildren()")
        page.click("#write")
        page.wait(WRITTEN)

    def test_it_writes_at_once(self, page):
        assert page.text("#columns .text").startswith("Once upon a time")
        assert page.text("#status") == ""

    def test_it_writes_what_is_asked_for_and_the_same_seed_writes_the_same(self, page):
        page.run("document.getElementById('prompt').select()")
        page.click("#prompt")
        page.run("document.getElementById('prompt').select()")
        page.type("The little rabbit")
        self.set(page, seed=7, temperature=0.9, max_new_tokens=12)
        self.write(page)
        first = page.text("#columns")
        assert "The little rabbit" in first
        self.write(page)
        assert page.text("#columns") == first
        self.set(page, seed=8)
        self.write(page)
        assert page.text("#columns") != first

    def test_a_model_beside_itself_writes_the_same(self, page):
        self.set(page, **{"model-1": "nano-gpt2", "seed": 7})
        self.write(page)
        texts = page.run("[...document.querySelectorAll('#columns .text')].map((one) => one.innerText)")
        assert texts[0] == texts[1]

    def test_the_texts_grow_while_they_are_written_and_stop_ends_them(self, page):
        self.set(page, max_new_tokens=400)
        page.click("#write")
        page.wait("document.querySelector('.writer .text')?.innerText.length > 60")
        page.click("#stop")
        page.wait(WRITTEN)
        assert page.run("document.querySelectorAll('.token').length") < 2 * 404

    def test_the_focus_stays_at_the_buttons(self, page):
        page.run("document.getElementById('write').focus()")
        page.key("Enter")
        page.run("document.getElementById('write').click()")
        page.wait("document.activeElement.id === 'stop' || document.activeElement.id === 'write'")
        page.wait(WRITTEN)
        assert page.run("document.activeElement.id") == "write"

    def test_an_error_is_said_and_the_page_goes_on(self, page):
        self.set(page, temperature=0.5, prompt="a " * 3000)
        page.click("#write")
        page.wait("document.getElementById('status').innerText.includes('context')")
        self.set(page, prompt="Once")
        page.console.clear()  # the browser's own line about status 400
        self.write(page)
        assert page.text("#status") == ""

    def test_it_works_with_the_keyboard_alone(self, page):
        page.run("document.querySelector('main').replaceChildren(); document.getElementById('prompt').focus()")
        page.command(
            "Input.dispatchKeyEvent", type="keyDown", key="Enter", code="Enter", windowsVirtualKeyCode=13, modifiers=2
        )
        page.wait(WRITTEN)
        assert page.run("document.querySelectorAll('.token').length") > 20
