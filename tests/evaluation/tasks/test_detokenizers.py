import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptcompare.evaluation.tasks.detokenizers import (
    PAIRS,
    WIKITEXT_RULES,
    detokenized,
    detokenized_pair,
    detokenized_wikitext,
)

TOKENS = [
    "Anna", "fox", "``", "''", "`", "'", "-LRB-", "-RRB-", "-LSB-", "-RSB-", "--", "...", ".", ",", "?!", "n't", "'s",
    "can", "not", "'T", "was", "$", "£", "5", "%", "1\\/2", "é",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(TOKENS), max_size=12).map(" ".join)


class TestPennTreebank:
    @pytest.mark.parametrize(
        ("tokens", "text"),
        [
            ("`` I do n't , '' said he . `` Do you ? ''", '"I don\'t," said he. "Do you?"'),
            ("`` He cried : ` Stop ! ' and ran . ''", "\"He cried: 'Stop!' and ran.\""),
            ("The king 's aunts ' cats -LRB- old ones -RRB- slept .", "The king's aunts' cats (old ones) slept."),
            ("I 'm , you 're , we 've , they 'd , she 'll", "I'm, you're, we've, they'd, she'll"),
            ("IT IS N'T ANNA 'S", "IT ISN'T ANNA'S"),
            ("a fine child -- a very fine child", "a fine child -- a very fine child"),
            ("Well ... I can not say", "Well... I cannot say"),
            ("'T was gon na rain , and 't is wet", "'Twas gonna rain, and 'tis wet"),
            ("-LSB- sic -RSB- -LCB- x -RCB-", "[sic] {x}"),
            ("it cost $ 5 , or £ 3 ; 5 % more", "it cost $5, or £3; 5% more"),
            ("the $ sign", "the $ sign"),
            ("1\\/2 of \\* it", "1/2 of * it"),
            ("old-fashioned Mr. Brown ; o'clock", "old-fashioned Mr. Brown; o'clock"),
            ("-LRB- `` Yes ! '' -RRB-", '("Yes!")'),
            ("  two \t spaces \n", "two spaces"),
            ("", ""),
        ],
    )
    def test_a_text_is_written_as_it_was_before_it_was_cut(self, tokens, text):
        assert detokenized(tokens) == text

    @given(TEXTS)
    def test_nothing_is_lost_but_spaces_and_the_names_of_brackets(self, text):
        def letters(text):
            return re.sub(r"\s", "", text)

        for name, bracket in (("-LRB-", "("), ("-RRB-", ")"), ("-LSB-", "["), ("-RSB-", "]"), ("\\/", "/")):
            expected = text = text.replace(name, bracket)
        expected = re.sub("``|''", '"', expected).replace("`", "'")
        assert letters(detokenized(text)) == letters(expected)

    @given(TEXTS, TEXTS)
    def test_two_parts_are_the_whole_but_for_words_that_are_cut_there(self, before, after):
        left, right = detokenized_pair(before + " ", after)
        whole = detokenized(f"{before} {after}")
        assert left == detokenized(before)
        cut = ((before.split() or [""])[-1], (after.split() or [""])[0]) in {("can", "not"), ("'T", "was")}
        assert left + right == whole or (cut and left + right.removeprefix(" ") == whole)

    @pytest.mark.parametrize(
        ("before", "after", "pair"),
        [
            ("he said ", "Anna .", ("he said", " Anna.")),
            ("he ", "'s there", ("he", "'s there")),
            ("he said , `` ", "Anna", ('he said, "', "Anna")),
            ("can ", "not", ("can", " not")),
            ("mini-", "fox", ("mini-", "fox")),
            ("", "Anna", ("", "Anna")),
            ("Anna ", "", ("Anna", "")),
        ],
    )
    def test_the_second_part_begins_with_the_space_between_them(self, before, after, pair):
        assert detokenized_pair(before, after) == pair


def test_wikitext_loses_the_spaces_of_its_tokens():
    page = ' = A = \n \n He paid 1 @,@ 000 " coins " ( old ) ; it was Tom \'s well @-@ known idea . \n'
    assert detokenized_wikitext(page) == ' = A =\n\nHe paid 1,000 "coins" (old); it was Tom\'s well-known idea.\n'


@pytest.mark.parametrize("n", [2, 3, 4])
def test_wikitext_s_headings_have_their_marks_together(n):
    marks = " ".join("=" * n)
    assert detokenized_wikitext(f" {marks} A {marks} \n") == f" {'=' * n} A {'=' * n}\n"


# The patterns of lm-evaluation-harness (lm_eval/tasks/wikitext/preprocess_wikitext.py) that look for pairs.
HARNESS_PAIRS = (
    r"\(\s*([^\)]*?)\s*\)", r"\[\s*([^\]]*?)\s*\]", r"{\s*([^}]*?)\s*}", r"\"\s*([^\"]*?)\s*\"",
    r"'\s*([^']*?)\s*'",
)  # fmt: skip


@given(st.text("()[]{}\"' \n\u2028ab", max_size=40))
def test_spaces_inside_brackets_go_as_with_the_patterns_of_the_harness(text):
    expected = text
    for pattern, pair in zip(HARNESS_PAIRS, PAIRS, strict=True):
        expected = re.sub(pattern, rf"{pair[0]}\1{pair[1]}", expected)
    ours = text
    for pattern, replacement in WIKITEXT_RULES:
        if not isinstance(replacement, str):
            ours = re.sub(pattern, replacement, ours)
    assert ours == expected


@pytest.mark.parametrize("mark", ["(", "[", "{"])
def test_a_page_of_brackets_that_nothing_closes_stays_as_it_is(mark):
    page = mark * 100_000  # minutes, if each bracket looked for its end
    assert detokenized_wikitext(page) == page
