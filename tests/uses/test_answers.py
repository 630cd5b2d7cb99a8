import pytest
from hypothesis import given
from hypothesis import strategies as st

import gptcompare as gc
from gptcompare.evaluation import QUESTION, Template, answer, beam_search, exact_match, f1
from gptcompare.uses.answers import normalised

EXAMPLES = [("Who ate the hen?", "the fox"), ("Who barked?", "the dog")]
WORDS = st.lists(st.sampled_from(["a", "The", "cat", "cat,", "sat", "on", "mat."]), max_size=6).map(" ".join)


class TestAnswer:
    def test_greedy_it_is_what_the_model_writes_up_to_the_end_of_the_line(self, story):
        prompt = QUESTION.prompt("Who came?", EXAMPLES)
        written = story.generate(prompt, max_new_tokens=40).text
        assert answer(story, "Who came?", EXAMPLES, beams=1) == written.split("\n")[0].strip()

    def test_otherwise_it_is_what_the_beam_search_finds_up_to_a_token_with_the_end_of_a_line(self, story):
        tokenizer = story.tokenizer
        ends = [
            id_ for id_ in range(tokenizer.n_vocab) if b"\n" in tokenizer.decode_bytes([id_]) or id_ == tokenizer.eot_id
        ]
        best = beam_search(story, QUESTION.prompt("Who came?", EXAMPLES), ends, width=4, alpha=0.6, max_new_tokens=40)
        assert answer(story, "Who came?", EXAMPLES) == tokenizer.decode(best.ids).strip()

    @pytest.mark.parametrize("beams", [1, 3])
    def test_several_questions_have_the_answers_that_each_has_alone(self, story, beams):
        questions = ["Who came?", {"question": "Where did the king live?"}, "Who came?"]
        together = answer(story, questions, EXAMPLES, beams=beams)
        assert together == [answer(story, one, EXAMPLES, beams=beams) for one in questions]
        assert answer(story, [], beams=beams) == []

    @pytest.mark.parametrize("beams", [1, 3])
    def test_a_prompt_that_fills_the_context_has_an_empty_answer_and_a_longer_one_is_refused(self, story, beams):
        template = Template("{text}")
        one = " the"
        n = story.config.n_ctx
        assert len(story.prompt_ids(one * n)) == story.config.n_ctx
        assert answer(story, one * n, template=template, beams=beams) == ""
        with pytest.raises(ValueError, match="context"):
            answer(story, one * (n + 1), template=template, beams=beams)

    def test_a_template_says_how_it_is_asked(self, story):
        template = Template("{text}", separator="\n")
        greedy = story.generate("Once upon a", max_new_tokens=1).text.strip()
        assert answer(story, "Once upon a", template=template, max_new_tokens=1, beams=1) == greedy

    @pytest.mark.parametrize("beams", [1, 4])
    def test_an_end_that_the_model_does_not_have_ends_nothing(self, story, beams):
        expected = answer(story, "Who came?", beams=beams, max_new_tokens=5)
        beyond = gc.LanguageModel(story.model, story.tokenizer, {*story.end_ids, story.config.n_vocab, 10**6})
        assert answer(beyond, "Who came?", beams=beams, max_new_tokens=5) == expected

    def test_it_is_one_line(self):
        for name in ("nano-gpt2", "nano-gpt3"):
            text = answer(gc.load(name), "Who came?", EXAMPLES)
            assert "\n" not in text
            assert text == text.strip()

    def test_a_prompt_that_is_too_long_is_refused(self, story):
        for beams in (1, 4):
            with pytest.raises(ValueError, match="the model's context is 256: shorten it"):
                answer(story, "word " * 300, beams=beams)


class TestMetrics:
    @pytest.mark.parametrize(
        ("text", "same"),
        [
            ("The  Cat!", "cat"),
            ("a cat\nsat", "cat sat"),
            ('An "U.S." plan', "us plan"),
            ("theatre", "theatre"),
            ("the", ""),
            ("5 a² or a½", "5 a² or a½"),  # a digit above the line belongs to the word, to Python's `re`
            ("a\u0301 the\u0301", "\u0301 \u0301"),  # and a mark does not
        ],
    )
    def test_normalised_as_squad_does_it(self, text, same):
        assert normalised(text) == same

    def test_exact_match_with_one_of_the_right_answers(self):
        assert exact_match("The cat.", "cat")
        assert exact_match("cat", ["dog", "a Cat"])
        assert not exact_match("cats", ["dog", "a Cat"])

    def test_f1_by_hand(self):
        # 2 of the 3 words given are right, 2 of the 4 right words are given: 2 * 2/3 * 1/2 / (2/3 + 1/2) = 4/7
        assert f1("black cat sat", "the cat sat on mats") == pytest.approx(4 / 7)
        assert f1("black cat sat", ["the cat sat on mats", "black cat sat"]) == 1

    @pytest.mark.parametrize(
        ("given", "right", "value"), [("", "", 1), ("the", "a", 1), ("", "cat", 0), ("cat", "the", 0)]
    )
    def test_f1_without_words(self, given, right, value):
        assert f1(given, right) == value

    @given(WORDS, WORDS)
    def test_f1_is_symmetric_between_0_and_1_and_1_for_what_matches(self, one, other):
        assert f1(one, other) == f1(other, one)
        assert 0 <= f1(one, other) <= 1
        assert f1(one, one) == 1
        if exact_match(one, other):
            assert f1(one, other) == 1

    @given(WORDS, WORDS)
    def test_f1_is_the_harmonic_mean_of_precision_and_recall(self, one, other):
        given_, right = normalised(one).split(), normalised(other).split()
        common = sum(min(given_.count(word), right.count(word)) for word in {*given_})
        if common:
            precision, recall = common / len(given_), common / len(right)
            assert f1(one, other) == pytest.approx(2 * precision * recall / (precision + recall))

    def test_there_must_be_a_right_answer(self):
        with pytest.raises(ValueError, match="no right answer"):
            f1("cat", [])
