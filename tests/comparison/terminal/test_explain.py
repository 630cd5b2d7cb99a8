import json
import re

import numpy as np
import pytest

import gptcompare as gc
from gptcompare.cli import main

PROMPT = "Once upon a time"


@pytest.fixture(scope="module")
def pair():
    return {name: gc.load(name) for name in ("nano-gpt2", "nano-gpt3")}


@pytest.fixture(scope="module", params=[{}, {"temperature": 0.8, "seed": 3}], ids=["greedy", "drawn"])
def compared(request, pair):
    return gc.compare(PROMPT, pair, max_new_tokens=15, **request.param)


def test_a_reading_has_the_alternatives_of_each_model(compared, pair):
    for reading in compared.readings:
        for lm, found in zip(pair.values(), reading.alternatives, strict=True):
            score = lm.score(PROMPT + reading.text, alternatives=10)
            n = len(score.ids) - 1 - len(found)
            assert np.array_equal(found.ids, score.alternatives.ids[n:])
            np.testing.assert_allclose(found.probabilities, score.alternatives.probabilities[n:], rtol=1e-4)


def test_a_model_s_own_text_is_what_it_would_choose(compared):
    for number, (side, reading) in enumerate(zip(compared.sides, compared.readings, strict=True)):
        assert reading.choices[number] == side.completion.ids
        both = zip(*reading.choices, strict=True)
        if reading.same_choice is not None:
            assert reading.same_choice == [a == b for a, b in both]
        else:
            assert reading.same_top == [a == b for a, b in both]


def test_equal_models_give_equal_bars(pair):
    lm = pair["nano-gpt2"]
    reading = gc.compare(PROMPT, {"a": lm, "b": lm}, max_new_tokens=5).readings[0]
    assert reading.alternatives[0] == reading.alternatives[1]
    assert reading.choices[0] == reading.choices[1]


def test_the_parting_names_what_each_model_held_likeliest(compared, pair):
    parting = compared.parting
    for lm, held in zip(pair.values(), parting.likeliest, strict=True):
        before = lm.encode(PROMPT) + compared.sides[0].completion.ids[: parting.position]
        logits = lm.model(before, last_only=True).astype(np.float64)
        p = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
        top = np.argsort(-p)[:3]
        assert [token for token, _ in held] == [lm.tokenizer.decode_bytes([id_]) for id_ in top]
        np.testing.assert_allclose([probability for _, probability in held], p[top], rtol=1e-4)
    assert " held likeliest '" in " ".join(compared.summary(10_000).split("\n"))


def test_everything_goes_through_json(compared):
    values = json.loads(json.dumps(compared.to_dict()))
    assert len(values["readings"][0]["alternatives"]) == 2
    assert values["readings"][0]["alternatives"][0][0].keys() == {"rank", "entropy", "ids", "probabilities", "tokens"}


def test_explain_shows_the_most_different_positions_first(compared):
    texts = compared.explain(4, 300).split("\n\n")
    bits = [float(text.split("(")[1].split(" bits")[0]) for text in texts]
    every = sorted((bits for reading in compared.readings for bits in reading.divergence), reverse=True)
    assert bits == [round(value, 3) for value in every[:4]]
    assert all("█" in text for text in texts)
    assert all((" ←" in text) == (min(map(int, re.findall(r"rank (\d+)", text))) <= 5) for text in texts)


@pytest.mark.parametrize("n_cells", [30, 60, 100, 200])
def test_explain_fits_the_width(compared, n_cells):
    from gptcompare.display.text_width import width

    assert max(map(width, compared.explain(3, n_cells).split("\n"))) <= n_cells


@pytest.mark.parametrize("n_cells", [30, 53, 54, 70, 100])
def test_explain_says_all_in_narrow_columns_too(compared, n_cells):
    def words(text):
        return sorted(re.findall(r"[\w.]+", text))

    wide = compared.explain(1, 300)
    narrow = compared.explain(1, n_cells)
    assert words(narrow) == words(wide)
    assert narrow.count(" ←") == wide.count(" ←")


def test_there_is_nothing_to_explain_without_alternatives_or_a_second_model(pair):
    with pytest.raises(ValueError, match="without alternatives"):
        gc.compare(PROMPT, pair, max_new_tokens=2, alternatives=0).explain()
    with pytest.raises(ValueError, match="two models that share a vocabulary"):
        gc.compare(PROMPT, ["nano-gpt2"], max_new_tokens=2).explain()
    with pytest.raises(ValueError, match="n must be at least 1"):
        gc.compare(PROMPT, pair, max_new_tokens=2).explain(0)


class TestCommand:
    def test_explain(self, capsys):
        assert main(["compare", PROMPT, "--max-new-tokens", "5", "--greedy", "--explain", "2", "--width", "90"]) == 0
        out = capsys.readouterr().out
        assert out.rstrip().endswith(gc.compare(PROMPT, max_new_tokens=5).explain(2, 90).rstrip())

    def test_explain_a_text(self, tmp_path, capsys):
        (tmp_path / "text.txt").write_text("Once upon a time there was a king.")
        assert main(["compare", "--text", str(tmp_path / "text.txt"), "--explain", "1"]) == 0
        assert "the text, token " in capsys.readouterr().out

    def test_the_number_of_alternatives(self, capsys):
        assert main(["compare", PROMPT, "--max-new-tokens", "2", "--alternatives", "3", "--json"]) == 0
        values = json.loads(capsys.readouterr().out)
        assert len(values["readings"][0]["alternatives"][0][0]["ids"]) == 3

    @pytest.mark.parametrize(
        "options",
        [
            ["--explain", "0"],
            ["--explain", "2", "--json"],
            ["--explain", "1", "--alternatives", "0"],
            ["--alternatives", "-1"],
        ],
    )
    def test_what_cannot_be_is_refused(self, options, capsys):
        assert main(["compare", PROMPT, *options]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.count("\n") == 1
