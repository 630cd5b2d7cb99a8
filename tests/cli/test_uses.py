import io
import json
import re
import sys
from dataclasses import asdict

import pytest
from support.places import STORY_FOLDER

from gptcompare import evaluation
from gptcompare.cli import main, uses
from gptcompare.display.text_width import width

STORY = ["--model", str(STORY_FOLDER)]
TEXTS = ["The hens were asleep.", "It rained\tall day."]
COMMANDS = [
    ["classify", "--labels", "good,bad", *TEXTS],
    ["sentiment", *TEXTS],
    ["entities", *TEXTS],
    ["choose", "Who came?", "the fox", "the hen"],
    ["answer", "Who came?"],
]


def of(command):
    return command[0]


@pytest.fixture
def examples(tmp_path):
    def write(*objects):
        file = tmp_path / "examples.jsonl"
        file.write_text("\n".join(map(json.dumps, objects)), encoding="utf-8")
        return str(file)

    return write


def test_classify_prints_label_probability_and_text(story, examples, capsys):
    file = examples({"text": "Rain!", "answer": "bad"}, {"text": "Sun!", "answer": "good"})
    command = ["classify", "--labels", "good=glad, bad=sad", *TEXTS, "--examples", file, *STORY]
    found = evaluation.classify(
        story, TEXTS, {"good": "glad", "bad": "sad"}, [("Rain!", "bad"), ("Sun!", "good")]
    )  # fmt: skip
    assert main(command) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{label:<4}  {max(row):.3f}  {' '.join(text.split())}"
        for text, label, row in zip(TEXTS, found.labels, found.probabilities, strict=True)
    ]
    assert main([*command, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["text"] for row in rows] == TEXTS
    assert [row["label"] for row in rows] == found.labels
    assert [[*row["probabilities"].values()] for row in rows] == found.probabilities.tolist()
    assert [*rows[0]["probabilities"]] == ["good", "bad"]


def test_spaces_around_a_label_and_its_words_do_not_count(capsys):
    prompts = []
    for labels in ("good=glad,bad=sad", " good = glad , bad =sad "):
        assert main(["classify", "--labels", labels, *TEXTS, "--show-prompt"]) == 0
        prompts.append(capsys.readouterr().out)
    assert prompts[0] == prompts[1]
    assert uses._labels(" good = glad , bad =sad ") == {"good": "glad", "bad": "sad"}


def test_wide_labels_are_aligned(story, capsys):
    assert main(["classify", "--labels", "良い,bad", *TEXTS, *STORY]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert {width(re.split(r"[01]\.\d{3}  ", row)[0]) for row in rows} == {width("良い") + 2}


def test_the_normalisation_is_an_option(story, capsys):
    assert main(["sentiment", *TEXTS, *STORY, "--json", "--normalisation", "sum"]) == 0
    found = evaluation.sentiment(story, TEXTS, normalisation="sum")
    rows = json.loads(capsys.readouterr().out)
    assert [[*row["probabilities"].values()] for row in rows] == found.probabilities.tolist()


def test_texts_are_read_from_standard_input_line_by_line(monkeypatch, story, capsys):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("schön\n\n  \nRain.\r\n".encode())))
    assert main(["sentiment", "-", *STORY, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["text"], row["label"]) for row in rows] == [
        *zip(["schön", "Rain."], evaluation.sentiment(story, ["schön", "Rain."]).labels, strict=True)
    ]


@pytest.mark.parametrize("character", ["\u2028", "\x85", "\x0b", "\x0c", "\x1e"])
def test_a_text_of_standard_input_ends_where_its_line_ends_and_nowhere_else(character, typed, capsys):
    typed(f"We danced.{character}All night.\nHe wept.\n")
    assert main(["sentiment", "-", *STORY, "--json"]) == 0
    assert [row["text"] for row in json.loads(capsys.readouterr().out)] == [
        f"We danced.{character}All night.",
        "He wept.",
    ]


@pytest.mark.parametrize("written", ["Who came?\n", "Who came?\r\n", "\ufeffWho came?\r\n", "Who came?"])
@pytest.mark.parametrize("command", [["choose", "the fox", "the hen"], ["answer"]], ids=of)
def test_a_question_from_standard_input_is_the_question(command, written, typed, capsys):
    name, *choices = command
    assert main([name, "Who came?", *choices, *STORY, "--json"]) == 0
    expected = capsys.readouterr().out
    typed(written)
    assert main([name, "-", *choices, *STORY, "--json"]) == 0
    assert capsys.readouterr().out == expected


def test_of_the_line_ends_of_a_question_only_the_last_is_not_a_part_of_it(typed, capsys):
    typed("Who\ncame?\n\n")
    assert main(["answer", "-", "--show-prompt"]) == 0
    assert capsys.readouterr().out == "Q: Who\ncame?\n\nA:\n"


def test_entities_prints_each_name_with_its_place(story, examples, capsys):
    texts = ["Anna met the King of Spain in Rome.", "The King ran."]
    file = examples({"text": "Paul sang in Bonn.", "name": ["Paul", "Bonn"]})
    command = ["entities", "--types", "name", *texts, "--examples", file, *STORY]
    found = evaluation.entities(story, texts, ["name"], [("Paul sang in Bonn.", {"name": ["Paul", "Bonn"]})])
    assert main(command) == 0
    lines = [line for text, of_text in zip(texts, found, strict=True) for line in [text, *of_text]]
    shown = [line if isinstance(line, str) else [f"{line.start}-{line.end}", line.type, line.text] for line in lines]
    printed = capsys.readouterr().out.splitlines()
    assert [line.split(maxsplit=2) if line.startswith("  ") else line for line in printed] == shown
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [
        {"text": text, "entities": [asdict(one) for one in of_text]} for text, of_text in zip(texts, found, strict=True)
    ]


def test_choose_prints_the_best_choice_first(story, capsys):
    choices = ["time", "king of the hill", "house"]
    for options, template in (([], evaluation.QUESTION), (["--complete"], evaluation.COMPLETION)):
        choice = evaluation.choose(story, "Once upon a", choices, template=template)
        probabilities = dict(zip(choices, choice.probabilities.tolist(), strict=True))
        assert main(["choose", "Once upon a", *choices, *STORY, *options]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].split(maxsplit=1)[1] == choice.best
        assert {line.split(maxsplit=1)[1]: line.split()[0] for line in lines} == {
            name: f"{value:.3f}" for name, value in probabilities.items()
        }
        assert main(["choose", "Once upon a", *choices, *STORY, *options, "--json"]) == 0
        result = {"question": "Once upon a", "best": choice.best, "probabilities": probabilities}
        assert json.loads(capsys.readouterr().out) == result


def test_answer_prints_the_answer(story, examples, capsys):
    file = examples({"question": "Who ate the hen?", "answer": "the fox"})
    command = ["answer", "Who came?", "--examples", file, "--max-new-tokens", "8", *STORY]
    for beams in (1, 3):
        text = evaluation.answer(
            story, "Who came?", [("Who ate the hen?", "the fox")], max_new_tokens=8, beams=beams
        )  # fmt: skip
        assert main([*command, "--beams", str(beams)]) == 0
        assert capsys.readouterr().out == f"{text}\n"
    assert main([*command, "--beams", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["question"] == "Who came?"


@pytest.mark.parametrize("command", COMMANDS, ids=of)
def test_a_prompt_is_shown_without_a_model(command, capsys):
    assert main([*command, "--show-prompt", "--model", "no-such-model"]) == 0
    out = capsys.readouterr().out
    shown = out.split(f"\n{'─' * 20}\n")
    assert len(shown) == {"classify": 2, "sentiment": 2, "entities": 4}.get(command[0], 1)
    assert ("hens" if len(shown) > 1 else "Who came?") in shown[0]


def test_another_template_from_a_file(tmp_path, capsys):
    file = tmp_path / "template.json"
    file.write_text(json.dumps({"query": "<{text}>", "answer": "={answer}", "instruction": "Do!", "separator": "\n"}))
    command = ["classify", "--labels", "a,b", "x{y}", "--template", str(file), "--show-prompt"]
    assert main(command) == 0
    assert capsys.readouterr().out == "Do!\n<x{y}>\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["classify", "--labels", "a", "x"], "at least two answers"),
        (["classify", "--labels", "a,,b", "x"], "has an empty part"),
        (["classify", "--labels", "a,a", "x"], "labels must be different"),
        (["classify", "--labels", "a=,b", "x"], "labels must be different"),
        (["classify", "--labels", "a = ,b", "x"], "labels must be different"),
        (["classify", "--labels", "a =x,a= y", "x"], "labels must be different"),
        (["classify", "--labels", "a=x,b=x", "y"], "all different"),
        (["sentiment", "x", "--examples", "no-such-file"], "no-such-file"),
        (["sentiment", "x", "--template", "no-such-file"], "no-such-file"),
        (["sentiment", "x\udcff"], "is not UTF-8"),
        (["entities", "--types", ",", "x"], "has an empty part"),
        (["choose", "x", "a"], "at least two answers"),
        (["answer", "x", "--max-new-tokens", "0"], "must be at least 1"),
        (["answer", "x", "--beams", "0"], "must be at least 1"),
        (["answer", "x " * 600], "the model's context is 512"),
        (["answer", "x", "--model", "gpt3-175b"], "OpenAI never published the weights"),
    ],
)
def test_a_user_s_error_is_one_line_and_status_2(arguments, words, capsys):
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert err.startswith("gptcompare: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not a JSON object"),
        ('{"answer": " {answer}"}', "not a template"),
        ('{"query": "{text}", "colour": "red"}', "not a template"),
        ('{"query": 1}', "not a template"),
        ('{"query": "text"}', "query needs a field"),
    ],
)
def test_a_file_that_is_no_template_is_named(content, words, tmp_path, capsys):
    (tmp_path / "template").write_text(content)
    assert main(["answer", "x", "--template", str(tmp_path / "template"), "--show-prompt"]) == 2
    assert words in capsys.readouterr().err


def test_examples_with_another_label_or_field_are_refused(examples, capsys):
    for object_, words in (({"text": "x", "answer": "c"}, "the label 'c'"), ({"y": "x", "answer": "a"}, "fields text")):
        command = ["classify", "--labels", "a,b", "x", "--examples", examples(object_), "--show-prompt"]
        assert main(command) == 2
        assert words in capsys.readouterr().err


def test_empty_standard_input_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\n")))
    assert main(["sentiment", "-"]) == 2
    assert "standard input is empty" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS, ids=of)
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as end:
        main([command[0], "--help"])
    assert end.value.code == 0
    assert "--show-prompt" in capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS, ids=of)
def test_the_embedded_pair_says_that_it_is_too_small(command, capsys):
    assert main(command) == 0
    out, err = capsys.readouterr()
    assert err.count("note: nano-gpt2 is too small to be right often; --model gpt2") == 1
    assert "too small" not in out
    assert main([*command, "--show-prompt"]) == 0
    assert capsys.readouterr().err == ""


def test_a_model_that_was_asked_for_says_nothing_of_its_size(capsys):
    assert main(["choose", "Who came?", "the fox", "the hen", *STORY]) == 0
    assert capsys.readouterr().err == ""


def test_a_text_that_is_continued_needs_no_such_word(capsys):
    assert main(["choose", "--complete", "Once upon a", "time", "king"]) == 0
    assert capsys.readouterr().err == ""


def test_what_was_not_found_or_not_said_is_said(monkeypatch, capsys):
    monkeypatch.setattr(evaluation.uses, "entities", lambda lm, texts, *rest, **options: [[] for _ in texts])
    monkeypatch.setattr(evaluation.uses, "answer", lambda lm, question, *rest, **options: "")
    for texts, words in ((["It rained."], "no names found\n"), (TEXTS, "no names found in 2 of 2 texts\n")):
        assert main(["entities", *texts, *STORY]) == 0
        assert capsys.readouterr().err == words
    assert main(["answer", "Who came?", *STORY]) == 0
    out, err = capsys.readouterr()
    assert out == "\n"
    assert err == "the answer is empty: the model ended its line at once\n"
