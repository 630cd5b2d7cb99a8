"""The measures of what a model writes find what was put there."""

from __future__ import annotations

import math
import re

import pytest
from support.pages import ROOT, module_at

import gptcompare as gc
from gptcompare.generation.completion import Completion
from gptcompare.generation.options import SAMPLED

WRITING = module_at(ROOT / "weights" / "writing.py")


def wrote(text, prompt="", finish_reason="length"):
    return Completion(prompt, text, [], [], finish_reason)


class TestPrompts:
    TEXTS = tuple("\n\n".join(f"{name}{n} " + "word " * n for n in range(40)) for name in "abc")

    def test_there_are_as_many_as_asked_for_and_each_text_has_its_share(self):
        prompts = WRITING.prompts_from(self.TEXTS, 20)
        assert sorted(sum(prompt.startswith(name) for prompt in prompts) for name in "abc") == [6, 7, 7]

    def test_they_are_different_beginnings_of_paragraphs_that_go_on(self):
        prompts = WRITING.prompts_from(self.TEXTS, 20)
        assert len(set(prompts)) == 20
        assert {len(prompt.split()) for prompt in prompts} == {WRITING.PROMPT_WORDS}
        assert all(f"{prompt} word" in "".join(self.TEXTS) for prompt in prompts)


class TestNonceWords:
    def test_a_word_that_no_book_has_counts_once_for_each_time(self):
        written = [wrote(" A mixirre of fox, a mixirre.", finish_reason="stop"), wrote("fox fox", "The ", "stop")]
        assert WRITING.share_of_nonce_words(written, {"a", "of", "fox"}) == 2 / 8

    def test_a_cut_off_word_is_not_counted_and_a_prompt_only_where_the_model_went_on_with_its_word(self):
        assert WRITING.written_words(wrote(" the cas", "A king")) == ["the"]
        assert WRITING.written_words(wrote(" the cas", "A king", "end_of_text")) == ["the", "cas"]
        assert WRITING.written_words(wrote("dom fell.", "A king")) == ["kingdom", "fell"]

    def test_a_compound_of_known_words_is_none(self):
        assert WRITING.share_of_nonce_words([wrote("Tree-house, o'clock!")], {"tree", "house", "o'clock"}) == 0
        assert WRITING.share_of_nonce_words([wrote("Tree-hoose.")], {"tree", "house"}) == 1


def test_a_run_of_four_words_is_repeated_when_its_own_text_already_had_it():
    once, twice = "one two three four", "one two three four. One, two three four"
    assert WRITING.share_of_repeated_4_grams([wrote(once), wrote(once)]) == 0
    assert WRITING.share_of_repeated_4_grams([wrote(twice)]) == 1 / 5
    assert WRITING.share_of_repeated_4_grams([wrote("too short")]) == 0


class TestLongestCopy:
    READ = ((1, 2, 3, 4, 5), (9, 4, 5, 6, 7, 60_000))

    @pytest.mark.parametrize(
        ("written", "expected"),
        [
            ([[8, 4, 5, 6, 8], [2, 3]], (3, 1, [4, 5, 6])),
            ([[1, 2, 3, 4, 5, 9]], (5, 0, [1, 2, 3, 4, 5])),  # not on from one text to the next
            ([[7, 60_000, 55_296]], (2, 1, [7, 60_000])),  # also ids that are no characters
            ([[8, 8], []], (0, -1, [])),
        ],
    )
    def test_it_is_the_longest_run_that_is_in_one_text(self, written, expected):
        assert WRITING.longest_copy(written, self.READ) == expected


class TestLastWords:
    SENTENCES = tuple(f"He saw a {word}." for word in ("king", "wolf", "house", "ship", "tree", "bird", "road"))

    def test_an_item_has_the_right_word_among_five_different_ones(self):
        items = WRITING.last_word_items((*self.SENTENCES, "He saw Ned.", "No"))
        assert [candidates[right] for _, candidates, right in items] == [s[9:-1] for s in self.SENTENCES]
        assert all(len(set(candidates)) == 5 for _, candidates, _ in items)
        assert {context for context, _, _ in items} == {"He saw a"}

    def test_the_share_is_that_of_the_right_word_being_likeliest(self):
        lm = gc.load("nano-gpt2")
        candidates = ["time", "gzx", "qqj", "vvk", "zzw"]
        items = [("Once upon a", candidates, 0), ("Once upon a", candidates, 1)]
        assert WRITING.share_of_last_words(lm, items) == 1 / 2

    def test_the_items_are_those_of_the_notebook(self):
        shown = (ROOT / "notebooks" / "10_how_good.ipynb").read_text(encoding="utf-8")
        assert [int(n) for n in re.findall(r'"(\d+) items, for example', shown)] == [
            len(WRITING.last_word_items(WRITING.kept_sentences()))
        ]


def corpus_of_two(folder):
    columns = ("gutenberg_id", "title", "author", "year", "file", "split", "style")
    rows = [("1", "A", "B", "1900", "1.txt", "train", "simple"), ("2", "C", "D", "1901", "2.txt", "val", "richer")]
    lines = ["\t".join(row) for row in (columns, *rows)]
    (folder / "MANIFEST.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for number in "12":
        text = "Once upon a time there was a king who had a daughter.\n\n" * 3
        (folder / f"{number}.txt").write_text(text, encoding="utf-8")
    return WRITING.read_manifest(folder)


def test_a_model_is_measured_on_a_corpus_and_the_table_shows_it(tmp_path, monkeypatch):
    monkeypatch.setattr(WRITING, "MAX_NEW_TOKENS", 6)
    monkeypatch.setattr(WRITING, "kept_sentences", lambda: list(TestLastWords.SENTENCES))
    books = corpus_of_two(tmp_path)
    measured = WRITING.measure_writing(gc.load("nano-gpt2"), books, n_prompts=2)
    assert measured[WRITING.COPIED]["text"] in (tmp_path / "1.txt").read_text(encoding="utf-8")
    table = WRITING.writing_table({"one": measured, "other": measured})
    assert {line.count("|") for line in table.splitlines()} == {4}
    assert f"| {measured[WRITING.COPIED]['tokens']} |" in table


class TestWaysToChoose:
    """weights/sampling.py, which compares them."""

    @pytest.fixture
    def sampling(self, monkeypatch):
        monkeypatch.syspath_prepend(ROOT / "weights")
        return module_at(ROOT / "weights" / "sampling.py")

    def test_the_book_is_read_as_if_a_model_had_written_it(self, sampling):
        lm, text = gc.load("nano-gpt2"), sampling.read_text(sampling.BOOK)
        prompts = WRITING.prompts_from([text], 3)
        for completion in sampling.as_written(lm, text, prompts):
            assert len(completion.ids) == len(completion.logprobs) == WRITING.MAX_NEW_TOKENS
            assert completion.prompt + completion.text in " ".join(text.split())
            whole = lm.score(completion.prompt + completion.text).logprobs
            assert completion.logprobs == pytest.approx(whole[-len(completion.ids) :])

    def test_a_model_is_less_surprised_by_what_it_takes_for_likeliest(self, sampling):
        lm = gc.load("nano-gpt2")
        found = [lm.generate("Once upon a time", max_new_tokens=30, seed=1, **way) for way in sampling.WAYS.values()]
        perplexities = [sampling.perplexity_of([completion]) for completion in found]
        assert perplexities[0] == min(perplexities)
        assert perplexities[0] == pytest.approx(math.exp(-sum(found[0].logprobs) / 30))
        assert {"temperature": SAMPLED.temperature, "top_p": SAMPLED.top_p} in sampling.WAYS.values()


class TestPilots:
    """weights/pilots.py, which trains them."""

    @pytest.fixture
    def pilots(self, monkeypatch):
        monkeypatch.syspath_prepend(ROOT / "weights")
        return module_at(ROOT / "weights" / "pilots.py")

    def test_each_differs_from_the_base_in_one_thing(self, pilots):
        base, *others = pilots.PILOTS.values()
        assert base == pilots.Pilot()
        for pilot in others:
            changed = [field for field in pilot._fields if getattr(pilot, field) != getattr(base, field)]
            assert len(changed) == 1

    def test_books_are_read_as_often_as_it_says_and_held_out_ones_not(self, pilots, tmp_path):
        books = corpus_of_two(tmp_path)
        assert list(pilots.texts_of(pilots.Pilot(simple=2), books)) == [str(books[0].path)] * 2
        assert list(pilots.texts_of(pilots.Pilot(simple=0), books)) == []

    def test_a_run_is_measured(self, pilots, tmp_path, monkeypatch):
        books = corpus_of_two(tmp_path)
        monkeypatch.setattr(pilots, "SHAPE", {"n_layer": 2, "n_head": 2, "d_model": 8, "n_ctx": 16, "n_vocab": 260})
        monkeypatch.setattr(pilots, "RECIPE", pilots.RECIPE | {"steps": 2, "context": 8})
        folder = pilots.train("banded first, 8", books, tmp_path / "runs")
        assert gc.load(folder).config.attention == ("banded", "dense")
        assert 0 < pilots.bits_per_byte(folder, books) < 10
