import math
from dataclasses import replace

import numpy as np
import pytest
from support.models import log_softmax64, logprobs_of, random_model

import gptcompare as gc
from gptcompare.evaluation import Document, Item, answer, encode_pair
from gptcompare.evaluation.metrics import ratio
from gptcompare.evaluation.tasks.protocols import Choosing, EveryToken, LastWord, Window, Writing, in_windows
from gptcompare.uses.templates import COMPLETION

CONTEXT = "Once upon a time there was a king who had"
ENDINGS = (" a", " three daughters, and the youngest was the fairest", " naïve 🐇", " nothing.")


def values(metrics):
    return {metric.name: metric.value for metric in metrics}


class TestChoosing:
    def test_a_row_has_what_the_logits_give_for_each_answer(self, story):
        item = Item(tuple((CONTEXT, ending) for ending in ENDINGS), right=2)
        (row,) = Choosing(normalised=True).rows(story, [item])
        expected = [sum(logprobs_of(story, *encode_pair(story, CONTEXT, ending))) for ending in ENDINGS]
        assert row["logprobs"] == pytest.approx(expected, rel=1e-5)
        assert row["n_tokens"] == [len(encode_pair(story, CONTEXT, ending)[1]) for ending in ENDINGS]
        assert row["n_characters"] == [len(ending) - 1 for ending in ENDINGS]
        assert (row["right"], row["n_cut"]) == (2, 0)

    def test_contexts_may_differ_too(self, story):
        item = Item((("The king", " had a daughter"), ("The bear", " had a daughter")))
        (row,) = Choosing(normalised=False).rows(story, [item])
        expected = [sum(logprobs_of(story, *encode_pair(story, *pair))) for pair in item.pairs]
        assert row["logprobs"] == pytest.approx(expected, rel=1e-5)

    def test_an_answer_wins_as_a_whole_for_each_token_or_for_each_character(self):
        def row(right):
            return {"right": right, "logprobs": [-2.0, -6.0, -9.0], "n_tokens": [1, 4, 3], "n_characters": [2, 9, 30]}

        for right, name in enumerate(["accuracy, %", "accuracy (per token), %", "accuracy (per character), %"]):
            found = values(Choosing(normalised=True).metrics([row(right)], seed=0))
            assert found == {other: 100.0 * (other == name) for other in found}
            assert len(found) == 3
        assert [*values(Choosing(normalised=False).metrics([row(0)], seed=0))] == ["accuracy, %"]

    def test_of_answers_that_are_equally_probable_the_first_is_chosen(self):
        rows = [{"right": right, "logprobs": [-1.0, -1.0]} for right in (0, 1)]
        assert values(Choosing(normalised=False).metrics(rows, seed=0)) == {"accuracy, %": 50.0}

    def test_an_answer_without_a_character_is_compared_all_the_same(self):
        rows = [{"right": 0, "logprobs": [-2.0, -1.5], "n_tokens": [1, 2], "n_characters": [0, 1]}]
        assert values(Choosing(normalised=True).metrics(rows, seed=0))["accuracy (per character), %"] == 0.0


class TestLastWord:
    def test_it_is_right_if_the_model_would_write_it(self, story):
        word = " " + story.generate(CONTEXT, max_new_tokens=1).text.strip()
        rows = LastWord().rows(story, [Item(((CONTEXT, word),)), Item(((CONTEXT, " zebra"),))])
        assert [row["is_greedy"] for row in rows] == [True, False]
        found = values(LastWord().metrics(rows, seed=0))
        assert found["accuracy, %"] == 50.0
        losses = [-sum(logprobs_of(story, *encode_pair(story, CONTEXT, one))) for one in (word, " zebra")]
        assert found["perplexity (lm-eval)"] == pytest.approx(math.exp(np.mean(losses)), rel=1e-5)


class TestWriting:
    @pytest.mark.parametrize("beams", [1, 3])
    def test_it_is_right_if_the_line_is_the_answer(self, story, beams):
        written = answer(story, CONTEXT, template=COMPLETION, beams=beams, max_new_tokens=16)
        items = [Item(((CONTEXT, f" {written}"),)), Item(((CONTEXT, f" {written}!"),))]
        rows = Writing(beams).rows(story, items)
        assert rows == [{"answer": written, "right": written}, {"answer": written, "right": f"{written}!"}]
        assert values(Writing(beams).metrics(rows, seed=0)) == {"accuracy, %": 50.0}


class TestEveryToken:
    @pytest.mark.parametrize("stride", [1, 7, 24])
    def test_every_token_is_as_probable_as_the_logits_behind_its_window_say(self, story, stride):
        lm = random_model(story, n_ctx=24)
        text = " ".join(ENDINGS) * 2
        ids = [lm.tokenizer.eot_id, *lm.tokenizer.encode(text)]
        items = in_windows(lm, [Document(text, 5, 50)], stride)
        total = 0.0
        for item in items:
            logits = lm.model([*item.context, *item.predicted][:-1])
            logprobs = log_softmax64(logits)[-len(item.predicted) :]
            total += logprobs[np.arange(len(item.predicted)), item.predicted].sum()
        protocol = EveryToken(n_bytes=(50,), n_words=(5,))
        found = values(protocol.metrics(protocol.rows(lm, items), seed=0))
        assert found["perplexity (per token)"] == pytest.approx(math.exp(-total / (len(ids) - 1)), rel=1e-5)
        assert found["perplexity"] == pytest.approx(math.exp(-total / 5), rel=1e-4)
        assert found["bits per byte"] == pytest.approx(-total / 50 / math.log(2), rel=1e-5)

    def test_a_text_without_words_of_its_own_has_no_perplexity_of_a_word(self, story):
        rows = EveryToken((10,)).rows(story, [Window(0, (story.tokenizer.eot_id,), (5, 6))])
        assert [*values(EveryToken((10,)).metrics(rows, seed=0))] == ["perplexity (per token)", "bits per byte"]

    def test_what_is_drawn_for_an_interval_are_documents_or_the_windows_of_a_single_one(self):
        def row(document, loss):
            return {"document": document, "logprob": -loss, "n_tokens": 2, "n_bytes": 5}

        windows = [row(0, 10.0), row(0, 14.0), row(1, 30.0), row(1, 34.0)]
        documents = ratio("", [24.0, 64.0], [20, 30], 0, lambda loss: loss / math.log(2))
        assert EveryToken((20, 30)).metrics(windows, seed=0)[1] == replace(documents, name="bits per byte")
        single = ratio("", [10.0, 14.0], [10, 10], 0, lambda loss: loss / math.log(2))
        assert EveryToken((20,)).metrics(windows[:2], seed=0)[1] == replace(single, name="bits per byte")

    def test_without_a_token_to_begin_with_a_text_cannot_be_read(self, story):
        without = replace(story.tokenizer.vocabulary, eot=None, bos=None)
        beyond = replace(without, special_tokens={"<end>": story.config.n_vocab}, eot="<end>")  # of the model's ids
        for vocabulary in (without, beyond):
            lm = gc.LanguageModel(story.model, gc.Tokenizer(vocabulary))
            with pytest.raises(ValueError, match="no token that begins or ends a text"):
                in_windows(lm, [Document("The king", 2, 8)], 16)
