"""Two models over texts of any length: the same numbers as of one text, in little memory, and sentences of them."""

import json
import math
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from support.forge import little_memory
from support.places import ALICE, STORY_FOLDER

import gptcompare as gc
from comparison.test_reading import random_model
from gptcompare.comparison.corpus.sentences import sentences
from gptcompare.comparison.differences import named_texts, ranks_of

TEXT = (
    'Once upon a time there was a king who had three daughters. "Which of you loves me most?" he asked. '
    "The eldest said — naïve as she was 🐇 — that she did!\n\nThen came the second.  And the third? She was silent. "
)


@pytest.fixture(scope="module")
def pair(story):
    return {f"model {seed}": random_model(story, seed) for seed in (1, 2)}


@pytest.fixture(scope="module")
def found(pair):
    return gc.compare_texts(TEXT * 3, pair)


class TestNumbers:
    def test_they_are_exactly_those_of_compare_text(self, pair, found):
        reading = gc.compare_text(TEXT * 3, pair).reading
        assert found.divergence.tolist() == reading.divergence
        assert found.logprobs.tolist() == list(reading.logprobs)
        assert found.same_top.tolist() == reading.same_top
        assert found.ranks.tolist() == [of_model.ranks.tolist() for of_model in reading.alternatives]
        assert found.n_bytes == reading.n_bytes[0] == len((TEXT * 3).encode())
        assert found.bits_per_byte == pytest.approx(reading.bits_per_byte, rel=1e-12)
        assert found.perplexity == pytest.approx(reading.perplexity, rel=1e-12)
        assert found.most_divergent == reading.tokens[0][int(np.argmax(reading.divergence))]

    def test_of_several_texts_each_is_read_by_itself(self, pair, found):
        both = gc.compare_texts(["The king.", TEXT * 3], pair)
        alone = gc.compare_texts("The king.", pair)
        assert both.divergence.tolist() == [*alone.divergence, *found.divergence]
        assert both.logprobs.tolist() == np.hstack([alone.logprobs, found.logprobs]).tolist()
        assert [s.text for s in both.sentences] == [s.text for s in (*alone.sentences, *found.sentences)]
        assert both.texts == ("text 1", "text 2")

    def test_the_estimates_are_those_of_the_whole(self, found):
        assert found.mean_divergence.value == pytest.approx(found.divergence.mean())
        assert found.same_first_choice.value == pytest.approx(found.same_top.mean())
        assert found.mean_logprob.value == pytest.approx((found.logprobs[0] - found.logprobs[1]).mean() / math.log(2))
        for percent in (1, 50, 99):
            assert found.percentile(percent).value == np.percentile(found.divergence, percent)
        assert all(of.error > 0 for of in (found.mean_divergence, found.mean_logprob, found.percentile(50)))

    def test_a_rank_is_the_place_in_the_order_of_the_logits(self):
        logits = np.random.default_rng(0).integers(0, 9, (50, 20)).astype(np.float32)  # with many ties
        ids = np.random.default_rng(1).integers(0, 20, 50)
        expected = [sorted(range(20), key=lambda id_: (-row[id_], id_)).index(came) + 1
                    for row, came in zip(logits, ids, strict=True)]  # fmt: skip
        assert ranks_of(logits, ids).tolist() == expected

    @pytest.mark.reference
    def test_divergence_and_log_probability_are_those_of_transformers_logits(
        self, torch, transformers, story, tmp_path
    ):
        lms = {}
        log_p = []
        ids = story.tokenizer.encode(TEXT)
        for number in (3, 4):
            lm = random_model(story, number, n_ctx=256)
            lm.model.save_pretrained(tmp_path / str(number))
            model = gc.GPT.from_pretrained(tmp_path / str(number), dtype=np.float64)
            lms[str(number)] = gc.LanguageModel(model, story.tokenizer)
            theirs = transformers.GPT2LMHeadModel.from_pretrained(tmp_path / str(number), dtype=torch.float64)
            with torch.no_grad():
                read = torch.tensor([[story.tokenizer.eot_id, *ids]])
                log_p.append(torch.log_softmax(theirs(read).logits[0, :-1], dim=-1))
        found = gc.compare_texts(TEXT, lms)
        picked = torch.stack([of_model[torch.arange(len(ids)), torch.tensor(ids)] for of_model in log_p])
        np.testing.assert_allclose(found.logprobs, picked.numpy(), atol=1e-6)
        log_mean = torch.logsumexp(torch.stack(log_p), dim=0) - math.log(2)
        kl = [torch.nn.functional.kl_div(log_mean, p, reduction="none", log_target=True).sum(-1) for p in log_p]
        np.testing.assert_allclose(found.divergence, ((kl[0] + kl[1]) / 2 / math.log(2)).numpy(), atol=1e-6)
        places = torch.stack(
            [(of_model > of_one[:, None]).sum(-1) + 1 for of_model, of_one in zip(log_p, picked, strict=True)]
        )
        np.testing.assert_array_equal(found.ranks, places.numpy())


class TestSentences:
    def test_each_has_the_means_of_the_tokens_that_end_in_it(self, pair, found):
        lm = pair["model 1"]
        ids = lm.tokenizer.encode(TEXT * 3)
        ends = np.cumsum([len(lm.tokenizer.decode_bytes([id_])) for id_ in ids]) - 1
        difference = (found.logprobs[0] - found.logprobs[1]) / math.log(2)
        ranks = np.abs(np.log2(found.ranks[0]) - np.log2(found.ranks[1]))
        spans = sentences(TEXT * 3)
        assert len(spans) == len(found.sentences)
        for (start, end), sentence in zip(spans, found.sentences, strict=True):
            first, last = (len((TEXT * 3)[:place].encode()) for place in (start, end))
            chosen = (first <= ends) & (ends < last)
            assert sentence.text == (TEXT * 3)[start:end].strip()
            assert (TEXT * 3)[sentence.start :].startswith(sentence.text)
            assert sentence.n_tokens == chosen.sum()
            assert sentence.divergence == pytest.approx(found.divergence[chosen].mean())
            assert sentence.logprob == pytest.approx(difference[chosen].mean())
            assert sentence.rank == pytest.approx(ranks[chosen].mean())

    def test_a_word_belongs_to_its_sentence_with_the_space_before_it(self):
        found = gc.compare_texts("The king ran. The fox ran.")
        assert [sentence.n_tokens for sentence in found.sentences] == [4, 4]

    def test_their_tokens_are_all_tokens(self, found):
        assert sum(sentence.n_tokens for sentence in found.sentences) == found.n_tokens
        weights = [sentence.n_tokens for sentence in found.sentences]
        mean = np.average([sentence.divergence for sentence in found.sentences], weights=weights)
        assert mean == pytest.approx(found.mean_divergence.value)

    @pytest.mark.parametrize("by", ["divergence", "rank"])
    def test_the_most_different_come_first(self, found, by):
        numbers = [getattr(sentence, by) for sentence in found.most(100, by)]
        assert numbers == sorted((getattr(sentence, by) for sentence in found.sentences), reverse=True)
        assert found.most(2, by) == found.most(100, by)[:2]

    def test_by_log_probability_both_ends_are_listed(self, found):
        numbers = [sentence.logprob for sentence in found.sentences]
        listed = [sentence.logprob for sentence in found.most(2, "logprob")]
        assert listed == [*sorted(numbers)[::-1][:2], *sorted(numbers)[:2]]
        assert listed[0] > listed[1] > 0 > listed[3] > listed[2]
        assert len(found.most(1000, "logprob")) == len(numbers)

    def test_models_the_other_way_round_differ_by_the_sign(self, pair, found):
        turned = gc.compare_texts(TEXT * 3, dict(reversed(pair.items())))
        assert [s.logprob for s in turned.sentences] == pytest.approx([-s.logprob for s in found.sentences])
        assert [s.divergence for s in turned.sentences] == [s.divergence for s in found.sentences]

    def test_white_space_alone_is_no_sentence(self, pair):
        found = gc.compare_texts(" " * 600, pair)
        assert found.sentences == ()
        assert found.n_tokens > 0
        assert "sentences" not in str(found)


class TestMemory:
    def test_a_longer_text_takes_few_more_bytes_for_each_token(self, pair):
        """Of each token: four numbers and two truth values, its ids, and what the tokenizer needs to find them."""

        def peak(n_times):
            text = TEXT * n_times
            gc.compare_texts(TEXT, pair)
            tracemalloc.start()
            try:
                found = gc.compare_texts(text, pair)
                return tracemalloc.get_traced_memory()[1], found.n_tokens
            finally:
                tracemalloc.stop()

        (small, few), (large, many) = peak(3), peak(12)
        assert (large - small) / (many - few) < 600
        assert 4 * pair["model 1"].config.n_vocab > 600  # less than one row of logits for each

    @pytest.mark.slow
    def test_a_book_is_read_in_little_memory(self):
        lms = {name: gc.load(name) for name in ("nano-gpt2", "nano-gpt3")}
        done = []
        with little_memory(100_000_000):  # the logits at all tokens are a gigabyte for each model
            found = gc.compare_texts(ALICE, lms, progress=done.append)
        assert found.n_tokens > 35_000
        assert 4 * found.n_tokens * lms["nano-gpt2"].config.n_vocab > 10 * 100_000_000
        assert sum(done) == found.n_bytes == len(ALICE.read_text(encoding="utf-8").encode())


class TestTexts:
    def test_a_folder_stands_for_its_texts_in_the_order_of_their_names(self, tmp_path):
        (tmp_path / "b" / "in").mkdir(parents=True)
        for name in ("c.txt", "a.txt", "b/in/z.txt", "b/x.md", "none"):
            (tmp_path / name).write_text(f"This is {name}.", encoding="utf-8")
        names = [name for name, _ in named_texts(tmp_path)]
        assert names == [str(tmp_path / name) for name in ("a.txt", "b/in/z.txt", "c.txt")]

    def test_texts_files_names_and_several_of_them(self, tmp_path):
        file = tmp_path / "a.txt"
        file.write_bytes(b"\xef\xbb\xbfone\r\n")
        assert [*named_texts("one")] == [("text 1", "one")]
        assert [*named_texts(file)] == [(str(file), "one\n")]
        assert [*named_texts({"x": "one"})] == [*named_texts([("x", "one")])] == [("x", "one")]
        with pytest.raises(ValueError, match="two texts, or a name and a text"):
            next(named_texts(("x", "one")))
        assert [*named_texts(("one", file))] == [("text 1", "one"), (str(file), "one\n")]

    def test_files_are_read_when_their_turn_comes(self, tmp_path):
        (tmp_path / "a.txt").write_text("one")
        texts = named_texts([tmp_path / "a.txt", tmp_path / "vanished.txt"])
        assert next(texts)[1] == "one"
        with pytest.raises(FileNotFoundError, match=r"vanished\.txt"):
            next(texts)

    def test_what_is_no_text_is_refused(self, pair, tmp_path):
        (tmp_path / "latin.txt").write_bytes(b"na\xefve")
        for wrong, error, words in (
            (3, TypeError, "must be a str or a list of them"),
            ([b"one"], TypeError, r"texts\[0\] must be a str"),
            (tmp_path / "latin.txt", ValueError, "latin.txt: not UTF-8 text"),
            (tmp_path / "none.txt", FileNotFoundError, "none.txt"),
            ("", ValueError, "there is no text to compare"),
            ([], ValueError, "there is no text to compare"),
        ):
            with pytest.raises(error, match=words):
                gc.compare_texts(wrong, pair)
        (tmp_path / "empty").mkdir()
        with pytest.raises(ValueError, match="no file in this folder has a name that ends in"):
            gc.compare_texts(tmp_path / "empty", pair)

    def test_an_empty_text_among_others_is_passed_over(self, pair):
        found = gc.compare_texts({"empty": "", "other": "The king."}, pair)
        assert found.texts == ("other",)

    def test_special_tokens_are_read_as_such_if_they_are_allowed(self):
        plain, special = (gc.compare_texts("One.<|endoftext|>Two.", allowed_special=of) for of in ((), "all"))
        assert special.n_tokens < plain.n_tokens


class TestModels:
    @pytest.mark.parametrize("names", [["nano-gpt2"], ["nano-gpt2", "nano-gpt3", "nano-gpt2"]], ids=len)
    def test_two_are_asked_for(self, names):
        with pytest.raises(ValueError, match=f"two models can differ in a sentence, and {len(names)} given"):
            gc.compare_texts("x", names)

    def test_those_of_other_vocabularies_are_refused(self):
        with pytest.raises(ValueError, match=r"have different vocabularies.*bits per byte"):
            gc.compare_texts("x", ["nano-gpt2", STORY_FOLDER])

    def test_a_model_beside_itself_differs_nowhere(self):
        found = gc.compare_texts("The king ran. The fox ran.", ["nano-gpt2", "nano-gpt2"])
        assert not found.divergence.any()
        assert found.same_first_choice.value == 1
        assert found.most(5, "logprob") == []
        assert "Likelier to" not in found.to_text(5, "logprob")


class TestShown:
    def test_it_is_plain_values_that_json_can_hold(self, found):
        told = json.loads(json.dumps(found.to_dict(2, "rank"), allow_nan=False))
        assert told["models"] == list(found.names)
        assert told["sentences"][0]["text"] == found.most(1, "rank")[0].text
        assert [len(told["sentences"]), told["by"], told["n_tokens"]] == [2, "rank", found.n_tokens]
        median = found.percentile(50)
        assert told["divergence"]["percentiles"]["50"] == {"value": median.value, "standard_error": median.error}

    def test_the_text_begins_as_that_of_one_text_does(self, pair, found):
        assert found.to_text().startswith(gc.compare_text(TEXT * 3, pair).to_text() + "\n\n")

    def test_the_sentences_stand_below_in_lines_that_are_not_too_long(self, found):
        for by in ("divergence", "logprob", "rank"):
            text = found.to_text(3, by, n_cells=60)
            listed = text.split("\n\n")[-2 if by == "logprob" else -1 :]
            assert max(map(len, "\n".join(listed).splitlines())) <= 60
            for sentence in found.most(3, by):
                assert f"{abs(getattr(sentence, by)):.3f}" in text
                assert " ".join(sentence.text.split()) in " ".join(" ".join(listed).split())

    def test_of_several_texts_the_name_stands_before_the_sentence(self, pair):
        text = gc.compare_texts({"a\x1b.txt": "The king ran. A fox.", "b.txt": "The dog."}, pair).to_text()
        assert "a␛.txt: The king ran." in text
        assert "Over the 2 texts: " in text

    def test_a_single_sentence_is_not_listed(self, pair):
        assert "sentences" not in gc.compare_texts("The king ran.", pair).to_text()

    def test_none_are_listed_if_none_are_wanted(self, found):
        assert "sentences:" not in found.to_text(0)

    def test_its_repr_says_what_it_is_about(self, found):
        assert repr(found).startswith(f"<Differences of model 1 and model 2: {found.n_tokens} tokens, 18 sentences, ")
        assert str(found) == found.to_text()

    @pytest.mark.parametrize(
        ("n", "by", "words"), [(-1, "rank", "n must be at least 0"), (3, "kl", "by must be one of")]
    )
    def test_what_cannot_be_listed_is_refused(self, found, n, by, words):
        with pytest.raises(ValueError, match=words):
            found.most(n, by)
        with pytest.raises(ValueError, match=words):
            found.to_text(n, by)
        with pytest.raises(ValueError, match="between 0 and 100"):
            found.percentile(101)


def test_progress_is_told_in_bytes(pair):
    done = []
    found = gc.compare_texts([TEXT, TEXT], pair, progress=done.append)
    assert sum(done) == found.n_bytes
    assert len(done) > 2


def test_a_path_is_a_file_and_a_str_a_text(pair, tmp_path):
    (tmp_path / "a.txt").write_text(TEXT, encoding="utf-8")
    assert gc.compare_texts(tmp_path / "a.txt", pair).n_tokens == gc.compare_texts(TEXT, pair).n_tokens
    assert gc.compare_texts(str(Path("a.txt")), pair).n_bytes == len("a.txt")
