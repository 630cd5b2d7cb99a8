import json
import shlex
import threading

import pytest
from support.places import STORY_FOLDER

import gptcompare as gc
from gptcompare.cli import main
from gptcompare.generation import GenerationOptions
from gptcompare.play.shelf import Shelf
from gptcompare.play.writing import LONGEST, Request, lines

GIVEN = {"prompt": "Once upon a time", "models": ["nano-gpt2", "nano-gpt3"], "options": {"max_new_tokens": 6}}


@pytest.fixture(scope="module")
def shelf():
    return Shelf([str(STORY_FOLDER)])


def written(request, stop=None):
    return list(lines(request, stop or threading.Event()))


def test_the_pieces_are_the_texts_and_the_last_line_is_what_is_known_of_them(shelf):
    options = {"max_new_tokens": 6, "temperature": 0.8, "seed": 4}
    *pieces, last = written(Request.of({**GIVEN, "options": options}, shelf))
    compared = gc.compare(GIVEN["prompt"], GIVEN["models"], **options)
    for number, side in enumerate(compared.sides):
        assert "".join(piece["text"] for piece in pieces if piece["side"] == number) == side.text
    command = last["comparison"]["made"]["command"]
    expected = compared.page_data(command=command)
    assert {**last["comparison"], "made": 0} == {**expected, "made": 0}


def test_the_command_that_the_page_names_writes_the_same(shelf, capsys):
    options = {"temperature": 0.9, "top_k": 50, "min_p": 0.01, "max_new_tokens": 5}
    *_, last = written(Request.of({**GIVEN, "prompt": 'It\'s a "tale"', "options": options}, shelf))
    program, *arguments = shlex.split(last["comparison"]["made"]["command"])
    assert program == "gptcompare"
    assert main([*arguments, "--width", "200"]) == 0
    shown = capsys.readouterr().out
    for text in last["comparison"]["texts"]:
        assert "".join(text["cuts"][0]["pieces"]).split("\n")[0].strip() in shown


@pytest.mark.parametrize(
    "change", [{"prompt": "--hello"}, {"prompt": "-"}, {"models": ["nano-gpt2"] * 2}], ids=["option", "dash", "twins"]
)
def test_the_command_is_right_for_prompts_and_models_of_any_kind(shelf, change, capsys, typed):
    request = Request.of({**GIVEN, **change, "options": {"temperature": 0.9, "max_new_tokens": 5}}, shelf)
    *_, last = written(request)
    before, _, command = last["comparison"]["made"]["command"].rpartition("| ")
    typed("-" if before else "")
    _, compare, *rest = shlex.split(command)
    assert main([compare, "--json", *rest]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["prompt"] == request.prompt
    for side, text in zip(found["sides"], last["comparison"]["texts"], strict=True):
        assert side["text"].startswith("".join(text["cuts"][0]["pieces"]).removeprefix(request.prompt))


def test_a_stop_string_may_look_like_an_option(shelf, capsys):
    request = Request.of({**GIVEN, "options": {"temperature": 0.9, "max_new_tokens": 5, "stop": ["-x"]}}, shelf)
    *_, last = written(request)
    _, *arguments = shlex.split(last["comparison"]["made"]["command"])
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["options"]["stop"] == ["-x"]


def test_the_command_of_a_text_that_was_stopped_writes_as_much(shelf):
    stop = threading.Event()
    answers = lines(Request.of({**GIVEN, "options": {"max_new_tokens": 200}}, shelf), stop)
    next(answers)
    stop.set()
    *_, last = answers
    n = max(len(text["cuts"][0]["pieces"]) - 4 for text in last["comparison"]["texts"])
    assert f"--max-new-tokens {n} " in last["comparison"]["made"]["command"] + " "


def test_a_model_may_stand_beside_itself(shelf):
    request = Request.of({**GIVEN, "models": ["nano-gpt2"] * 3}, shelf)
    assert list(request.models) == ["nano-gpt2", "nano-gpt2 (2)", "nano-gpt2 (3)"]


def test_stopping_ends_the_writing_and_compares_what_there_is(shelf):
    stop = threading.Event()
    answers = lines(Request.of({**GIVEN, "options": {"max_new_tokens": 200}}, shelf), stop)
    first = [next(answers) for _ in range(8)]
    stop.set()
    *rest, last = list(answers)
    assert len(rest) <= 1
    shown = "".join(last["comparison"]["texts"][0]["cuts"][0]["pieces"])
    assert shown == "Once upon a time" + "".join(line["text"] for line in [*first, *rest] if line["side"] == 0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"prompt": 5}, "the prompt must be a text"),
        ({"prompt": "\ud800"}, "surrogates not allowed"),
        ({"options": []}, "the options an object"),
        ({"models": "nano-gpt2"}, "models must be a list"),
        ({"models": []}, "1 to 4 models"),
        ({"models": ["nano-gpt2"] * 5}, "1 to 4 models"),
        ({"models": ["gpt2"]}, "no model 'gpt2' here"),
        ({"models": [["nano-gpt2"]]}, "models must be a list"),
        ({"options": {"temperatur": 1}}, "no option 'temperatur'"),
        ({"options": {"temperature": -1}}, "temperature must be"),
        ({"options": {"top_k": 1.5}}, "top_k must be"),
        ({"options": {"max_new_tokens": LONGEST + 1}}, f"at most {LONGEST} tokens"),
        ({"more": 1}, "and nothing else"),
    ],
)
def test_what_cannot_be_written_is_refused_with_the_reason(shelf, change, reason):
    with pytest.raises((TypeError, ValueError), match=reason):
        Request.of({**GIVEN, **change}, shelf)


@pytest.mark.parametrize("given", [None, 3, "x", [], {}, {"prompt": "a"}])
def test_what_is_no_request_is_refused(shelf, given):
    with pytest.raises(ValueError, match="a request has a prompt, models and options"):
        Request.of(given, shelf)


def test_every_option_of_generation_can_be_given(shelf):
    options = GenerationOptions(0.7, 40, 0.9, 0.05, 1.1, max_new_tokens=3, seed=1, stop=("x",))
    assert Request.of({**GIVEN, "options": options.to_dict()}, shelf).options == options
