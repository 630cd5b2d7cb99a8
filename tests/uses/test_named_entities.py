from types import SimpleNamespace

import pytest
from support.models import StandIn

import gptcompare as gc
from gptcompare.evaluation import ENTITY_EXAMPLES, Entity, Template, entity_prompt
from gptcompare.uses import entities

TEXT = "Anna Brown met Anna in Vienna; Vienna, said Annabel, was cold."


def says(**answers):
    """A model that answers for each type what it is told to."""
    asked = []

    def generate(prompts, max_new_tokens, stop):
        asked.extend(prompts)
        assert stop == "\n"
        types = [prompt.rsplit("\n", 1)[1].rstrip(":") for prompt in prompts]
        return [SimpleNamespace(text=answers[type_]) for type_ in types]

    return StandIn(generate=generate, asked=asked)


def test_a_prompt_has_the_form_of_its_examples():
    examples = [("Anna sang in Rome with Paul.", {"person": ["Anna", "Paul"], "place": ["Rome"]}), ("It rained.", {})]
    assert entity_prompt("Max ran.", "person", examples) == (
        "Text: Anna sang in Rome with Paul.\nperson: Anna, Paul\n\n"
        "Text: It rained.\nperson: none\n\n"
        "Text: Max ran.\nperson:"
    )


def test_the_model_is_asked_for_each_type_of_each_text():
    lm = says(person=" none", place=" none")
    assert entities(lm, ["Max ran.", "It rained."]) == [[], []]
    asked = [(text, type_) for text in ("Max ran.", "It rained.") for type_ in ("person", "place")]
    assert lm.asked == [entity_prompt(text, type_, ENTITY_EXAMPLES) for text, type_ in asked]


def test_names_are_found_wherever_they_stand_as_words():
    found = entities(says(person=" Anna", place=" Vienna, Rome"), TEXT)
    assert [(one.text, one.type) for one in found] == [("Anna", "person")] * 2 + [("Vienna", "place")] * 2
    assert all(TEXT[one.start : one.end] == one.text for one in found)
    assert [one.start for one in found] == [0, 15, 23, 31]


def test_the_longer_name_wins_and_then_the_type_that_was_asked_for_first():
    found = entities(says(person=" Anna, Vienna", place=" Vienna, Anna Brown"), TEXT)
    assert found == [
        Entity("Anna Brown", "place", 0, 10),
        Entity("Anna", "person", 15, 19),
        Entity("Vienna", "person", 23, 29),
        Entity("Vienna", "person", 31, 37),
    ]


def test_what_does_not_stand_in_the_text_is_no_name_of_it():
    assert entities(says(person=" Hans, anna, , nna", place=" none"), TEXT) == []


def test_a_trained_model_gives_names_of_the_text_or_none():
    texts = ["Little Joe Otter lives in the Laughing Brook.", "It rained all day."]
    found = entities(gc.load("nano-gpt2"), texts, types=["person", "place"])
    assert len(found) == 2
    for text, of_text in zip(texts, found, strict=True):
        assert all(text[one.start : one.end] == one.text for one in of_text)
        assert of_text == entities(gc.load("nano-gpt2"), text, types=["person", "place"])


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"types": ()}, ValueError, "types is empty"),
        ({"types": "person"}, TypeError, "^types must be a list of texts, got a single str"),
        ({"texts": [1]}, TypeError, r"^texts\[0\] must be a str, got int"),
        ({"examples": [("Anna sang.", {"person": "Anna"})]}, TypeError, "put it into a list"),
        ({"template": Template("{text}")}, ValueError, "the template has the fields text"),
    ],
)
def test_what_cannot_be_asked_is_refused(arguments, error, words):
    with pytest.raises(error, match=words):
        entities(says(), **{"texts": TEXT, **arguments})
