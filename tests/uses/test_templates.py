import dataclasses

import pytest

from gptcompare.evaluation import CLASSIFICATION, COMPLETION, ENTITIES, QUESTION, SENTIMENT, Template

READY = [CLASSIFICATION, COMPLETION, ENTITIES, QUESTION, SENTIMENT]
CAPITALS = Template("Q: {question}\nA:", instruction="Name the capital.")


def test_zero_one_and_few_shot_prompts():
    assert CAPITALS.prompt("France?") == "Name the capital.\n\nQ: France?\nA:"
    examples = [("Spain?", "Madrid"), ("Italy?", "Rome")]
    one = "Name the capital.\n\nQ: Spain?\nA: Madrid\n\nQ: France?\nA:"
    assert CAPITALS.prompt("France?", examples[:1]) == one
    assert CAPITALS.prompt("France?", examples) == one.replace("\n\nQ: F", "\n\nQ: Italy?\nA: Rome\n\nQ: F")


def test_without_an_instruction_nothing_stands_in_front():
    assert dataclasses.replace(CAPITALS, instruction="").prompt("France?") == "Q: France?\nA:"


def test_every_part_can_be_replaced():
    template = Template("{a} -> {b}:", answer=" <{answer}>", instruction="!", separator=" | ")
    assert template.prompt({"a": "1", "b": "2"}, [({"b": "4", "a": "3"}, "5")]) == "! | 3 -> 4: <5> | 1 -> 2:"


@pytest.mark.parametrize("template", READY, ids=lambda template: template.query)
def test_a_template_shows_how_an_example_and_a_query_are_written(template):
    fields = {name: f"{{{name}}}" for name in template.fields}
    assert str(template) == template.prompt(fields, [(fields, "{answer}")])


@pytest.mark.parametrize("template", READY, ids=lambda template: template.query)
def test_a_prompt_does_not_end_with_a_space_which_would_belong_to_the_answer_s_token(template):
    assert template.prompt(dict.fromkeys(template.fields, "x"))[-1] != " "
    assert template.answer.startswith(" ")


def test_braces_in_what_is_filled_in_are_text():
    assert CAPITALS.prompt("{question} {x} }{", [("{0}", "{answer}")]).endswith(
        "Q: {0}\nA: {answer}\n\nQ: {question} {x} }{\nA:"
    )


def test_braces_of_the_template_are_written_twice():
    template = Template("{{{text}}}:")
    assert template.prompt("x") == "{x}:"
    assert str(template) == "{{text}}: {answer}\n\n{{text}}:"


@pytest.mark.parametrize(
    ("parts", "error", "words"),
    [
        ({"query": "nothing"}, ValueError, "query needs a field"),
        ({"query": "{}"}, ValueError, "is not a name"),
        ({"query": "{0}"}, ValueError, "is not a name"),
        ({"query": "{text.x}"}, ValueError, "is not a name"),
        ({"query": "{text!r}"}, ValueError, "is not a name"),
        ({"query": "{text:{x}}"}, ValueError, "is not a name"),
        ({"query": "{text"}, ValueError, "is not a template"),
        ({"query": "{text}", "answer": " yes"}, ValueError, "must have the field {answer}"),
        ({"query": "{text}", "answer": "{answer} {text}"}, ValueError, "must have the field {answer}"),
        ({"query": 1}, TypeError, "query must be a str"),
        ({"query": "{text}", "separator": None}, TypeError, "separator must be a str"),
    ],
)
def test_what_is_no_template_is_refused(parts, error, words):
    with pytest.raises(error) as caught:
        Template(**parts)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("query", "examples", "error", "words"),
    [
        (1, [], TypeError, "query must be a str, or a dict"),
        ({"question": 1}, [], TypeError, "query must be a str, or a dict"),
        ({1: "x"}, [], TypeError, "query must be a str, or a dict"),
        ({"text": "x"}, [], ValueError, "has the fields question, the query text"),
        ("x", ["ab"], TypeError, "pair of a query and its answer"),
        ("x", [("a", "b", "c")], TypeError, "pair of a query and its answer"),
        ("x", [("a", 1)], TypeError, "an answer must be a str"),
    ],
)
def test_what_does_not_fit_a_template_is_refused(query, examples, error, words):
    with pytest.raises(error, match=words):
        QUESTION.prompt(query, examples)


def test_a_template_of_several_fields_needs_them_by_name():
    with pytest.raises(ValueError, match="fields text, type: give a dict"):
        ENTITIES.prompt("x")
