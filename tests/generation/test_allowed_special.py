"""Special tokens in a text are plain text, unless the caller allows them: in every function that reads a text."""

import dataclasses
import json

import pytest
from support.places import STORY_FOLDER

import gptcompare as gc
from gptcompare import uses
from gptcompare.cli import main
from gptcompare.generation import LanguageModel
from gptcompare.training import tokenize_files

EOT = "<|endoftext|>"
TEXT = f"The king was dead.{EOT}Once upon a time"
# What reads a text: name -> function of the model and the options.
READERS = {
    "generate": lambda lm, **o: lm.generate(TEXT, max_new_tokens=3, **o),
    "generate several": lambda lm, **o: lm.generate([TEXT, TEXT], max_new_tokens=3, **o),
    "stream": lambda lm, **o: list(lm.stream(TEXT, max_new_tokens=8, **o)),
    "score": lambda lm, **o: lm.score(TEXT, **o),
    "compare": lambda lm, **o: [
        side.completion.logprobs for side in gc.compare(TEXT, [lm], max_new_tokens=3, **o).sides
    ],
    "compare_text": lambda lm, **o: gc.compare_text(TEXT, [lm], **o).reading.to_dict(),
    "classify": lambda lm, **o: uses.classify(lm, TEXT, ["a", "b"], **o).probabilities.tolist(),
    "sentiment": lambda lm, **o: uses.sentiment(lm, TEXT, **o).probabilities.tolist(),
    "choose": lambda lm, **o: uses.choose(lm, TEXT, ["a king", "a queen"], **o).probabilities.tolist(),
    "answer": lambda lm, **o: uses.answer(lm, TEXT, max_new_tokens=12, **o),
    "answer greedily": lambda lm, **o: uses.answer(lm, TEXT, max_new_tokens=12, beams=1, **o),
    "log_likelihoods": lambda lm, **o: uses.log_likelihoods(lm, [(TEXT, " there")], **o),
    "features": lambda lm, **o: uses.features(lm, TEXT, **o).tolist(),
    "token_features": lambda lm, **o: uses.token_features(lm, TEXT, **o).spans,
}


@pytest.mark.parametrize("name", READERS)
def test_a_special_token_is_read_as_such_where_it_is_allowed(name, story):
    read = READERS[name]
    allowed = read(story, allowed_special="all")
    assert allowed == read(story.allowing("all")) == read(story, allowed_special=[EOT])
    assert allowed != read(story) or name.startswith("answer")
    assert read(story, allowed_special=()) == read(story)


def test_the_prompt_has_its_id(story):
    eot = story.tokenizer.eot_id
    before, after = (story.tokenizer.encode(part) for part in TEXT.split(EOT))
    assert story.allowing("all").prompt_ids(TEXT) == [*before, eot, *after]
    assert eot not in story.prompt_ids(TEXT)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(
    ("allowed", "error"), [(["<|user|>"], ValueError), ("<|endoftext|>", TypeError), (5, TypeError), ([5], ValueError)]
)
def test_what_is_not_special_is_refused(name, allowed, error, story):
    with pytest.raises(error, match=r"are not special tokens|allowed_special must be"):
        READERS[name](story, allowed_special=allowed)


def test_entities_read_the_prompt_with_them(story):
    found = uses.entities(story, TEXT, allowed_special="all", max_new_tokens=4)
    assert found == uses.entities(story.allowing("all"), TEXT, max_new_tokens=4)


def test_a_comparison_records_them(story):
    options = gc.compare(TEXT, [story], max_new_tokens=1, allowed_special="all").to_dict()["options"]
    assert options["allowed_special"] == [EOT]
    assert "allowed_special" not in gc.compare(TEXT, [story], max_new_tokens=1).to_dict()["options"]


@pytest.fixture
def with_padding(story):
    """The model with a token that was added to its tokenizer only."""
    vocabulary = story.tokenizer.vocabulary
    added = dataclasses.replace(vocabulary, special_tokens={**vocabulary.special_tokens, "<pad>": story.config.n_vocab})
    return LanguageModel(story.model, gc.Tokenizer(added))


def test_a_token_that_the_model_was_not_made_larger_for_is_refused_where_a_text_has_it(with_padding, story):
    assert with_padding.generate("Once", max_new_tokens=5).ids == story.generate("Once", max_new_tokens=5).ids
    assert with_padding.encode("a<pad>") == story.encode("a<pad>")
    with pytest.raises(ValueError, match=r"the token '<pad>' has the id .*, but the model has only .*: it was added"):
        with_padding.generate("a<pad>", allowed_special="all")


def test_training_texts_may_have_them(story, tmp_path):
    (tmp_path / "text.txt").write_text(TEXT)
    whole = story.allowing("all").encode(TEXT)
    plain = story.encode(TEXT)
    eot = story.tokenizer.eot_id

    def tokens(**options):
        return tokenize_files([tmp_path / "text.txt"], story.tokenizer, tmp_path / "t.npy", None, **options).tolist()

    assert tokens() == [*plain, eot]
    assert tokens(allowed_special="all") == [*whole, eot]
    assert tokens() == [*plain, eot]


class TestCommand:
    MODEL = ("--model", str(STORY_FOLDER))

    @pytest.mark.parametrize(
        "command",
        [
            ["generate", TEXT, "--max-new-tokens", "2", *MODEL],
            ["compare", TEXT, "--max-new-tokens", "2", "--models", str(STORY_FOLDER)],
            ["choose", TEXT, "a", "b", *MODEL],
            ["sentiment", TEXT, *MODEL],
            ["answer", TEXT, "--max-new-tokens", "2", *MODEL],
            ["entities", TEXT, *MODEL],
            ["tokenize", TEXT],
        ],
        ids=lambda command: command[0],
    )
    def test_it_hints_at_them_and_reads_them_if_allowed(self, command, capsys):
        hint = f"hint: {EOT} is read as plain text; --allow-special reads special tokens as such\n"
        assert main(command) == 0
        plain, err = capsys.readouterr()
        assert err.count(hint) == 1
        assert main([*command, "--allow-special"]) == 0
        special, err = capsys.readouterr()
        assert "hint" not in err
        if command[0] in ("choose", "sentiment", "tokenize"):
            assert special != plain

    def test_a_text_that_is_read_may_have_them(self, tmp_path, capsys):
        (tmp_path / "text.txt").write_text(TEXT)
        command = ["compare", "--text", str(tmp_path / "text.txt"), "--models", str(STORY_FOLDER), "--json"]
        assert main(command) == 0
        out, err = capsys.readouterr()
        assert "hint: <|endoftext|>" in err
        plain = json.loads(out)
        assert main([*command, "--allow-special"]) == 0
        expected = gc.compare_text(TEXT, [str(STORY_FOLDER)], allowed_special="all").to_dict()
        assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(expected)) != plain
