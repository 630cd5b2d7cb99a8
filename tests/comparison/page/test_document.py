import base64
import hashlib
import json
import re

import pytest
from support.outline import Outline

import gptcompare as gc
from gptcompare.comparison.page.document import as_json, part

NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</script></main>&amp;<!--",
    "\u202eevil\u2066 \x1b[2J",
]


@pytest.fixture(scope="module")
def compared():
    return gc.compare("Once upon a time", max_new_tokens=6, temperature=0.8, seed=3)


def test_a_page_is_one_document_that_loads_nothing(compared):
    html = compared.to_html("a title")
    outline = Outline(html)
    assert html.startswith("<!DOCTYPE html>")
    assert {"link", "img", "iframe", "object"}.isdisjoint(tag for tag, _ in outline.tags)
    assert not [value for _, names in outline.tags for name, value in names.items() if name in ("src", "href")]
    assert "@import" not in html
    assert "url(" not in html


def test_its_policy_allows_its_own_scripts_and_nothing_else(compared):
    html = compared.to_html("")
    [policy] = [tag["content"] for name, tag in Outline(html).tags if tag.get("http-equiv")]
    scripts = re.findall(r"<script>(.*?)</script>", html, flags=re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert rules["script-src"] == " ".join(f"'sha256-{digest}'" for digest in digests)
    assert scripts == [part("attention.js"), part("page.js")]
    assert "connect-src" not in rules


@pytest.mark.parametrize("nasty", NASTY)
def test_what_models_and_users_write_is_never_markup(nasty):
    names = {nasty: gc.load("nano-gpt2"), "other": gc.load("nano-gpt3")}
    for result in (gc.compare(nasty, names, max_new_tokens=3), gc.compare_text(nasty, names)):
        html = result.to_html(nasty, command=nasty)
        [stored] = re.findall(r'<script type="application/json" id="comparison">(.*?)</script>', html, re.DOTALL)
        assert json.loads(stored)["models"][0]["name"] == json.loads(
            json.dumps(result.page_data()["models"][0]["name"])
        )
        assert "<" not in stored
        assert [tag for tag, _ in Outline(html).tags].count("script") == 3
        assert not re.search("[\x00-\x08\x1b\u202a-\u202e\u2066\u2067]", html)


def test_json_in_a_script_says_what_json_says():
    value = {"a": "<!--<script>", "b": ["\u2028", 1.5, None]}
    assert json.loads(as_json(value)) == value
    with pytest.raises(ValueError, match="JSON"):
        as_json(float("nan"))


def test_it_says_how_it_was_made(compared):
    made = compared.page_data(command="gptcompare compare x")["made"]
    assert made["command"] == "gptcompare compare x"
    assert made["model 2"].startswith("nano-gpt3: 6 layers")
    assert (made["seed"], made["temperature"], made["max-new-tokens"]) == ("3", "0.8", "6")
    assert gc.__version__ in made["version"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", made["date"])


def test_the_name_of_a_model_is_said_as_it_is():
    compared = gc.compare("Once", {"my_model": ("nano-gpt2", {"top_k": 5})}, max_new_tokens=1, temperature=1.0, seed=1)
    assert compared.page_data()["made"]["options of my_model"] == "top_k 5"


def test_what_it_says_makes_it_again(compared):
    made = compared.page_data()["made"]
    again = gc.compare(
        made["prompt"], [made[f"model {n}"].partition(":")[0] for n in (1, 2)], seed=int(made["seed"]),
        temperature=float(made["temperature"]), max_new_tokens=int(made["max-new-tokens"]),
    )  # fmt: skip
    assert again.to_dict() == compared.to_dict()
