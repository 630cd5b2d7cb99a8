"""Ids are compared with tiktoken's and learned merges with those of Hugging Face tokenizers.

Texts, recorded results and the references themselves come from tests/data/make_tokenizer_reference.py.
"""

import json
import random
import runpy
import string
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.amounts import examples
from support.places import DATA

from gptcompare import Tokenizer
from gptcompare.tokenizer import bpe as tokenizer_module
from gptcompare.tokenizer.learning import learn_merges
from gptcompare.tokenizer.vocabulary import BYTE_ORDER, Vocabulary

REFERENCE = runpy.run_path(str(DATA / "make_tokenizer_reference.py"))
ALICE, SAMPLES, random_texts = REFERENCE["ALICE"], REFERENCE["SAMPLES"], REFERENCE["random_texts"]
RECORDED = json.loads((DATA / "tokenizer_gpt2.json").read_text(encoding="utf-8"))

EOT = "<|endoftext|>"
REPRODUCIBLE = settings(derandomize=True, deadline=None, database=None)
TOKEN_IDS = st.lists(st.integers(0, 255) | st.integers(0, 50256))  # the first 256 are the bytes: often not UTF-8


@pytest.fixture(scope="module")
def gpt2():
    return Tokenizer.from_pretrained("gpt2")


@pytest.fixture(scope="module")
def tiktoken_gpt2():
    pytest.importorskip("tiktoken", reason="needs the `reference` extra")
    return REFERENCE["tiktoken_gpt2"]()


@pytest.fixture(scope="module")
def hugging_face():
    return pytest.importorskip("tokenizers", reason="needs the `reference` extra")


# Text to ids and back


def test_ids_are_those_that_tiktoken_gave(gpt2):
    assert [text for text, ids in RECORDED["ids"] if gpt2.encode(text) != ids] == []


def test_ids_of_characters_that_are_young_in_unicode_are_those_that_tiktoken_gave(gpt2):
    assert [text for text, ids in RECORDED["young"] if gpt2.encode(text) != ids] == []


@pytest.mark.reference
@pytest.mark.parametrize("kind", ["ids", "young"])
def test_the_recorded_ids_are_still_tiktoken_s(tiktoken_gpt2, kind):
    assert [text for text, ids in RECORDED[kind] if tiktoken_gpt2.encode_ordinary(text) != ids] == []


@pytest.mark.reference
@pytest.mark.parametrize("name", SAMPLES)
def test_ids_of_every_beginning_of_a_text_are_tiktoken_s(name, gpt2, tiktoken_gpt2):
    beginnings = [SAMPLES[name][:end] for end in range(len(SAMPLES[name]) + 1)]
    assert [text for text in beginnings if gpt2.encode(text) != tiktoken_gpt2.encode_ordinary(text)] == []


@pytest.mark.reference
def test_ids_of_12_000_random_texts_are_tiktoken_s(gpt2, tiktoken_gpt2):
    alphabets = REFERENCE["alphabets"]()
    texts = [text for alphabet in alphabets.values() for text in random_texts(alphabet, n=12_000 // len(alphabets))]
    assert [text for text in texts if gpt2.encode(text) != tiktoken_gpt2.encode_ordinary(text)] == []


@pytest.mark.reference
def test_ids_of_a_book_are_tiktoken_s(gpt2, tiktoken_gpt2):
    assert gpt2.encode(ALICE) == tiktoken_gpt2.encode_ordinary(ALICE)


@pytest.mark.reference
@REPRODUCIBLE
@given(ids=TOKEN_IDS)
def test_text_and_bytes_of_any_ids_are_tiktoken_s(gpt2, tiktoken_gpt2, ids):
    assert gpt2.decode_bytes(ids) == tiktoken_gpt2.decode_bytes(ids)
    assert gpt2.decode(ids) == tiktoken_gpt2.decode(ids)


@REPRODUCIBLE
@given(text=st.text())
def test_decoding_gives_back_every_text_and_its_utf_8(gpt2, text):
    ids = gpt2.encode(text)
    assert gpt2.decode(ids) == text
    assert gpt2.decode_bytes(ids) == text.encode("utf-8")


@st.composite
def merges_of_two_letters(draw, one_way_to_a_token):
    """Merges in an order in which their parts exist; if allowed, some twice, and some with the result of another."""
    tokens, merges = ["a", "b"], []
    for _ in range(draw(st.integers(0, 12))):
        left, right = draw(st.sampled_from(tokens)), draw(st.sampled_from(tokens))
        if left + right not in tokens or not one_way_to_a_token:
            tokens.append(left + right)
            merges.append((left, right))
    return merges


def merged_by_definition(text, merges):
    """`Encoder.bpe` of openai/gpt-2, src/encoder.py: merge the pair of the lowest rank, wherever it is, and repeat."""
    word = [*text]
    while known := [pair for pair in pairwise(word) if pair in merges]:
        best, position = min(known, key=merges.index), 0
        while position < len(word) - 1:
            if (word[position], word[position + 1]) == best:
                word[position : position + 2] = ["".join(best)]
            position += 1
    return word


@settings(REPRODUCIBLE, max_examples=examples(500))
@given(merges=merges_of_two_letters(one_way_to_a_token=True), text=st.text("ab", max_size=60))
def test_a_piece_is_merged_as_openai_s_encoder_does(merges, text):
    vocabulary = Vocabulary.from_merges(merges)
    assert Tokenizer(vocabulary).encode(text) == [vocabulary.ids[token] for token in merged_by_definition(text, merges)]


@pytest.mark.reference
@settings(REPRODUCIBLE, max_examples=examples(500))
@given(merges=merges_of_two_letters(one_way_to_a_token=False), text=st.text("ab", max_size=60))
def test_a_piece_is_merged_as_hugging_face_does_whatever_the_merges(hugging_face, merges, text):
    vocabulary = Vocabulary.from_merges(merges)
    theirs = hugging_face.ByteLevelBPETokenizer(vocabulary.ids, merges)
    assert Tokenizer(vocabulary).encode(text) == theirs.encode(text).ids


@REPRODUCIBLE
@given(before=st.lists(st.text()), text=st.text(), cached_characters=st.integers(0, 50))
def test_ids_do_not_depend_on_what_was_encoded_before(story, before, text, cached_characters):
    used, fresh = (Tokenizer(story.tokenizer._vocabulary) for _ in range(2))
    with mock.patch.object(tokenizer_module, "CACHED_CHARACTERS", cached_characters):
        for earlier in [*before, text]:
            used.encode(earlier)
            assert sum(map(len, used._cache)) <= cached_characters
    assert used.encode(text) == fresh.encode(text)


def test_two_threads_that_encode_at_once_get_the_ids_that_one_gets(gpt2, monkeypatch):
    texts = [*SAMPLES.values(), *random_texts([*string.ascii_letters, " ", "é", "字"], n=500)]
    expected = [gpt2.encode(text) for text in texts]
    shared = Tokenizer.from_pretrained("gpt2")
    monkeypatch.setattr(tokenizer_module, "CACHED_CHARACTERS", 200)  # the cache starts anew again and again
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(2) as pool:
            forward = pool.submit(lambda: [shared.encode(text) for text in texts])
            backward = pool.submit(lambda: [shared.encode(text) for text in reversed(texts)])
            assert forward.result() == expected
            assert backward.result() == expected[::-1]
    finally:
        sys.setswitchinterval(interval)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("abc\ud83d", "U+D83D, at character 3"),
        ("\udc00", "U+DC00, at character 0"),
        ("😀\ude00\ud83d", "U+DE00, at character 1"),
    ],
)
def test_a_lone_surrogate_is_refused_and_located(gpt2, text, where):
    for refuse in (lambda: gpt2.encode(text), lambda: Tokenizer.train(["abab", text], 257)):
        with pytest.raises(ValueError, match="lone surrogate") as error:
            refuse()
        assert where in str(error.value)


@pytest.mark.parametrize("no_text", [None, b"text", 5, ["text"]])
def test_what_is_not_a_str_is_refused(gpt2, no_text):
    with pytest.raises(TypeError, match=f"text must be a str, got {type(no_text).__name__}"):
        gpt2.encode(no_text)
    with pytest.raises(TypeError, match=r"^texts\[1\] (must be a str, got (bytes|int|list)|is missing)"):
        Tokenizer.train(["text", no_text], 257)


@pytest.mark.parametrize("unknown", [-1, 50257, 10**12])
def test_an_unknown_id_cannot_be_decoded_but_streams_as_no_text(gpt2, unknown):
    before, after = gpt2.encode("né"), gpt2.encode(" à")
    for decode in (gpt2.decode, gpt2.decode_bytes):
        with pytest.raises(ValueError, match=rf"id {unknown} is not in the vocabulary: ids are 0 \.\.\. 50256"):
            decode([*before, unknown, *after])
    stream = gpt2.stream_decoder()
    assert "".join(map(stream.push, [unknown, *before, unknown, *after, unknown])) == "né à"
    assert stream.finish() == ""


# Special tokens


@pytest.mark.reference
@pytest.mark.parametrize("allowed", [set(), {EOT}, "all"])
def test_special_tokens_are_treated_as_tiktoken_does(gpt2, tiktoken_gpt2, allowed):
    texts = random_texts([EOT, EOT, EOT[:-1], "<|", "endoftext", "|>", " ", "\n", "a", "'s"], n=500, longest=12)
    for text in texts:
        ids = tiktoken_gpt2.encode(text, allowed_special=allowed, disallowed_special=())
        assert gpt2.encode(text, allowed_special=allowed) == ids


def test_the_end_of_text_is_plain_text_unless_allowed(gpt2):
    around = gpt2.encode("a "), gpt2.encode(" b")
    assert gpt2.eot_id == 50256  # the last of the 50,257 tokens (Radford et al. 2019, section 2.3)
    assert gpt2.bos_id is None
    assert gpt2.n_vocab == 50257
    assert gpt2.special_tokens == {EOT: 50256}
    assert 50256 not in gpt2.encode(f"a {EOT} b")
    assert gpt2.encode(f"a {EOT} b", allowed_special=[EOT]) == [*around[0], 50256, *around[1]]
    assert gpt2.decode([50256]) == EOT


def test_allowed_special_tokens_may_come_from_a_generator(gpt2):
    assert gpt2.encode(f"a{EOT}", allowed_special=(token for token in [EOT])) == gpt2.encode(f"a{EOT}", {EOT})


def test_of_allowed_special_tokens_the_longest_that_fits_is_taken():
    bytes_alone = Vocabulary.from_merges([])
    special_tokens = {"<a>": 256, "<a><b": 257, "<a": 258, ".*": 259}
    tokenizer = Tokenizer(replace(bytes_alone, special_tokens=special_tokens, eot=None))
    assert tokenizer.encode("<a><b<a><a.*", allowed_special="all") == [257, 256, 258, 259]
    assert tokenizer.encode("<a>.*", allowed_special={"<a"}) == [258, *tokenizer.encode(">.*")]
    assert tokenizer.eot_id is None


def test_a_special_token_that_does_not_exist_cannot_be_allowed(gpt2):
    with pytest.raises(ValueError, match=r"\['<pad>'\] are not special tokens of this vocabulary: it has \['<\|endof"):
        gpt2.encode("a", allowed_special={"<pad>"})
    with pytest.raises(TypeError, match='must be a collection of tokens or "all"'):
        gpt2.encode("a", allowed_special=EOT)


# Streaming


@REPRODUCIBLE
@given(ids=TOKEN_IDS)
def test_streamed_pieces_together_are_the_decoded_text_of_any_ids(gpt2, ids):
    stream = gpt2.stream_decoder()
    pieces = [*map(stream.push, ids), stream.finish()]
    assert "".join(pieces) == gpt2.decode(ids)


@REPRODUCIBLE
@given(text=st.text())
def test_a_stream_gives_each_character_with_its_last_byte_and_never_a_part_of_one(gpt2, text):
    bytes_alone = [BYTE_ORDER.index(byte) for byte in text.encode("utf-8")]  # ids 0 to 255
    for ids in (gpt2.encode(text), bytes_alone):
        stream, streamed = gpt2.stream_decoder(), ""
        for n, id_ in enumerate(ids, start=1):
            streamed += stream.push(id_)
            assert streamed == gpt2.decode_bytes(ids[:n]).decode("utf-8", errors="ignore")
        assert streamed == text
        assert stream.finish() == ""


# Long texts


def random_letters(n):
    return "".join(random.Random(7).choices(string.ascii_letters, k=n))


LONG_PIECES = {
    "one letter": "a".__mul__,
    "one space": " ".__mul__,
    "one emoji": "😀".__mul__,
    "letters": random_letters,
}


class CountingRanks(dict):
    """Ranks of pairs that count how often they are looked up."""

    n_lookups = 0

    def get(self, pair):
        self.n_lookups += 1
        return super().get(pair)


@pytest.mark.parametrize("kind", LONG_PIECES)
def test_the_work_for_one_long_piece_grows_with_its_length_not_its_square(kind):
    tokenizer = Tokenizer.from_pretrained("gpt2")
    lookups_per_byte = []
    for n in (2_000, 20_000, 200_000):
        tokenizer._rank = CountingRanks(tokenizer._rank)
        text = LONG_PIECES[kind](n)
        ids = tokenizer.encode(text)
        lookups_per_byte.append(tokenizer._rank.n_lookups / len(text.encode()))
        assert tokenizer.decode(ids) == text
    assert max(lookups_per_byte) < 1.5 * min(lookups_per_byte)


@pytest.mark.reference
@pytest.mark.parametrize("kind", LONG_PIECES)
def test_ids_of_one_long_piece_are_tiktoken_s(kind, gpt2, tiktoken_gpt2):
    text = LONG_PIECES[kind](200_000)
    assert gpt2.encode(text) == tiktoken_gpt2.encode_ordinary(text)


@pytest.mark.reference
def test_ids_of_many_random_bytes_are_tiktoken_s(gpt2, tiktoken_gpt2):
    text = random.Random(8).randbytes(200_000).decode("latin-1")
    assert gpt2.encode(text) == tiktoken_gpt2.encode_ordinary(text)
    assert gpt2.decode(gpt2.encode(text)) == text


# Learning merges

ADVERSARIAL_TEXTS = {
    "one letter": ["a" * 1000],
    "one letter in runs of every length": [" ".join("a" * n for n in range(50))],
    "two letters in turn": ["ab" * 500, "ba" * 7],
    "a period of three": ["aab" * 333],
    "every pair equally often": ["zyxw"] * 3 + ["abcd"] * 3 + ["mnop"] * 3,
    "ties between letters, spaces and bytes of characters": ["é è\n\n字字 ~~ !! \x00\x00 é è\n\n字字 ~~ !! \x00\x00"],
    "repetition of repetitions": ["abab cabab dcabab " * 20],
    "nothing twice": ["abcdefg"],
    "no text": ["", ""],
}


def merges_of(tokenizer):
    return tokenizer._vocabulary.merges


def assert_learns_as_hugging_face(texts, n_vocab):
    expected = REFERENCE["merges_of"](REFERENCE["train_hugging_face"](texts, n_vocab))
    assert merges_of(Tokenizer.train(texts, 257 + len(expected))) == expected
    if 257 + len(expected) < n_vocab:
        with pytest.raises(ValueError, match=f"n_vocab can be at most {257 + len(expected)}, got {n_vocab}"):
            Tokenizer.train(texts, n_vocab)


def test_merges_learned_from_a_book_are_those_that_hugging_face_learned():
    learned = merges_of(Tokenizer.train([ALICE], 1000))
    assert [f"{left} {right}" for left, right in learned] == RECORDED["alice_merges"]


@pytest.mark.reference
@pytest.mark.parametrize("n_vocab", [1000, 2500, 10_000])
def test_merges_learned_from_a_book_are_hugging_face_s(hugging_face, n_vocab):
    assert_learns_as_hugging_face(ALICE.splitlines(keepends=True), n_vocab)


@pytest.mark.reference
@pytest.mark.parametrize("name", ADVERSARIAL_TEXTS)
def test_merges_learned_from_adversarial_texts_are_hugging_face_s(hugging_face, name):
    assert_learns_as_hugging_face(ADVERSARIAL_TEXTS[name], 5000)


@pytest.mark.reference
@REPRODUCIBLE
@given(texts=st.lists(st.text("ab") | st.text("abc", max_size=200) | st.text("aé ", max_size=50), min_size=1))
def test_merges_learned_from_texts_of_few_letters_are_hugging_face_s(hugging_face, texts):
    assert_learns_as_hugging_face(texts, 5000)


def merges_by_definition(words):
    """Count all pairs, merge the most frequent (of equals the one with the lowest ids), and begin again."""
    tokens = [bytes([byte]) for byte in BYTE_ORDER]
    words = ["".join(chr(BYTE_ORDER.index(byte)) for byte in word) for word in words]  # a symbol is a character
    merges = []
    while True:
        counts = Counter(pair for word in words for pair in pairwise(word))
        left, right = min(counts, key=lambda pair: (-counts[pair], pair), default=("", ""))
        if counts[left, right] < 2:
            return merges
        merges.append((tokens[ord(left)], tokens[ord(right)]))
        words = [word.replace(left + right, chr(len(tokens))) for word in words]
        tokens.append(b"".join(merges[-1]))


@REPRODUCIBLE
@given(words=st.lists(st.lists(st.sampled_from(b"ab\0"), max_size=60).map(bytes)))
def test_learned_merges_are_those_of_the_definition(words):
    assert learn_merges(Counter(words), n_merges=10_000) == merges_by_definition(words)


@pytest.mark.reference
def test_a_trained_tokenizer_encodes_as_hugging_face_does_with_its_files(hugging_face, tmp_path):
    trained = Tokenizer.train([ALICE, *REFERENCE["SCRIPTS"].values()], 1500)
    trained.save_pretrained(tmp_path)
    theirs = hugging_face.ByteLevelBPETokenizer(str(tmp_path / "vocab.json"), str(tmp_path / "merges.txt"))
    assert theirs.get_vocab_size() == trained.n_vocab == 1500
    for text in [ALICE, *REFERENCE["SCRIPTS"].values(), *REFERENCE["CODE"].values()]:
        assert trained.encode(text) == theirs.encode(text).ids


def test_a_trained_tokenizer_is_read_back_as_it_was_saved(tmp_path):
    trained = Tokenizer.train(iter([ALICE]), 600)
    trained.save_pretrained(tmp_path)
    again = Tokenizer.from_pretrained(tmp_path)
    assert merges_of(again) == merges_of(trained)
    assert (again.n_vocab, again.eot_id) == (trained.n_vocab, trained.eot_id) == (600, 599)
    assert again.bos_id is None
    assert again.encode(ALICE) == trained.encode(ALICE)
    assert again.decode(trained.encode(ALICE)) == ALICE


def test_the_smallest_vocabulary_is_the_bytes_and_the_end_of_text():
    smallest = Tokenizer.train(["abab"], 257)
    assert smallest.encode("aé") == [BYTE_ORDER.index(byte) for byte in "aé".encode()]
    assert smallest.eot_id == 256
    with pytest.raises(ValueError, match=r"at least 257 .* got 256"):
        Tokenizer.train(["abab"], 256)


def test_a_single_text_in_place_of_a_list_of_texts_is_refused():
    with pytest.raises(TypeError, match="must be a list of texts"):
        Tokenizer.train(ALICE, 1000)


def test_a_folder_that_happens_to_be_called_gpt2_does_not_hide_the_vocabulary(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gpt2").mkdir()
    assert Tokenizer.from_pretrained("gpt2").n_vocab == 50257


@pytest.mark.parametrize("name", ["gpt2-xl", "124M", "gpt3-175b", "gpt-neo-125m", "cerebras-gpt-13b"])
def test_every_model_of_gpt2_s_vocabulary_has_it_by_name(name):
    assert Tokenizer.from_pretrained(name).encode("Hello world") == [15496, 995]


def test_opt_s_vocabulary_is_its_own_and_comes_from_its_files(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="'opt-125m' is neither a folder nor a model on this machine"):
        Tokenizer.from_pretrained("opt-125m")
    snapshot = tmp_path / "models--facebook--opt-125m" / "snapshots" / "27dcfa7"
    Tokenizer.train(["abab"], 258).save_pretrained(snapshot)
    (snapshot / "config.json").write_text("{}")
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("27dcfa7")
    assert Tokenizer.from_pretrained("opt-125m").n_vocab == 258


def test_a_name_that_no_file_can_have_is_not_found():
    with pytest.raises(FileNotFoundError, match="is neither a folder nor the name of a model"):
        Tokenizer.from_pretrained("a" * 5000)


# Tokens as they are shown, and how they come about


def by_hand(piece, merges):
    """What a piece was after each merge: again and again the first merge of the list that joins two neighbours."""
    stages = [[bytes([byte]) for byte in piece]]
    while True:
        tokens = stages[-1]
        place = next((n for pair in merges for n, two in enumerate(pairwise(tokens)) if two == pair), None)
        if place is None:
            return stages
        stages.append([*tokens[:place], tokens[place] + tokens[place + 1], *tokens[place + 2 :]])


@given(st.lists(st.text("ab lowern", max_size=12), min_size=1, max_size=4).map(" ".join))
@settings(max_examples=examples(20), deadline=None)
def test_the_merges_of_a_text_are_the_list_replayed_by_hand(text):
    tokenizer = Tokenizer.train(["low lower lowest newer wider banana ab aba abab " * 3], n_vocab=275)
    merges = [(left.encode(), right.encode()) for left, right in learned_as_text(tokenizer)]
    found = tokenizer.merges(text)
    assert found == [by_hand(b"".join(stages[0]), merges) for stages in found]
    assert b"".join(token for stages in found for token in stages[-1]) == text.encode()


def learned_as_text(tokenizer):
    return [(left.replace("Ġ", " "), right.replace("Ġ", " ")) for left, right in tokenizer.vocabulary.merges]


@pytest.mark.parametrize("text", ["don't", " the rabbit's 1999", "雪 🐇", "a\n\n  b", "x" * 100, ""])
def test_the_last_stages_are_the_tokens_and_each_joins_two_of_the_one_before(gpt2, text):
    found = gpt2.merges(text)
    assert [token for stages in found for token in stages[-1]] == [token for _, token in gpt2.tokens(text)]
    assert gpt2.tokens(text).ids == gpt2.encode(text)
    for stages in found:
        assert [len(token) for token in stages[0]] == [1] * len(stages[0])
        assert [len(stage) for stage in stages] == [*range(len(stages[0]), len(stages[-1]) - 1, -1)]
        assert len({b"".join(stage) for stage in stages}) == 1


def test_a_special_token_is_there_at_once_where_it_is_allowed(gpt2):
    assert gpt2.merges(f"a{EOT}", allowed_special="all") == [[[b"a"]], [[EOT.encode()]]]
    assert gpt2.tokens(f"a{EOT}", allowed_special="all")[-1] == (50256, EOT.encode())
    assert len(gpt2.merges(f"a{EOT}")) > 2


def test_what_nobody_could_read_is_not_shown_merge_by_merge(gpt2):
    with pytest.raises(ValueError, match="too long to be shown merge by merge: at most 500 bytes"):
        gpt2.merges("x" * 501)
