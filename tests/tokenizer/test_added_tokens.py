import json
import random
from dataclasses import replace
from itertools import accumulate, product

import pytest

from gptcompare import Tokenizer
from gptcompare.tokenizer.added_tokens import TokenFinder
from gptcompare.tokenizer.vocabulary import Matching

IDS = {"<a>": 1, "<ab>": 2, "<a><b>": 3, "word": 4, "wo": 5, "é x": 8}


@pytest.mark.parametrize(
    ("text", "matching", "parts"),
    [
        ("x<a>y", {}, ["x", 1, "y"]),
        ("<a>", {}, [1]),
        ("", {}, []),
        ("<a><b>", {}, [3]),  # the longest
        ("swordé xwo", {}, ["s", 4, 8, 5]),
        ("x  <a>  y", {"<a>": Matching(lstrip=True)}, ["x", 1, "  y"]),
        ("x  <a>  y", {"<a>": Matching(rstrip=True)}, ["x  ", 1, "y"]),
        ("sword word", {"word": Matching(single_word=True)}, ["sword ", 4]),
        ("word", {"word": Matching(single_word=True)}, [4]),
        ("word_", {"word": Matching(single_word=True)}, ["word_"]),
        ("wo<a>word", {"wo": Matching(normalized=True), "word": Matching(normalized=True)}, [5, 1, 4]),
    ],
)
def test_a_token_is_found_as_it_stands_and_by_its_rules(text, matching, parts):
    found = TokenFinder(IDS, matching).split(text)
    assert [part if isinstance(part, str) else part.id for part in found] == parts
    assert "".join(part if isinstance(part, str) else part.text for part in found) == text


def test_white_space_is_taken_once():
    """A token of white space that takes what is before it is not found where an earlier one has taken everything."""
    matching = {"<m>": Matching(rstrip=True), "  ": Matching(lstrip=True)}
    assert TokenFinder({"<m>": 1, "  ": 2}, matching).split("<m>  a  b") == [
        (1, "<m>  "), "a", (2, "  "), "b",
    ]  # fmt: skip


def test_as_many_tokens_as_there_may_be_are_found_at_once():
    ids = {f"<|{n}|>": n for n in range(20_000)}
    assert TokenFinder(ids, {}).split("<|7|>x<|19999|>" * 2) == [(7, "<|7|>"), "x", (19_999, "<|19999|>")] * 2


@pytest.mark.parametrize(
    ("matching", "covered"),
    [
        (Matching(), ["old", " ", " ", "<mask>", " ", " ", "é", "<mask>", " "]),
        (Matching(lstrip=True), ["old", "  <mask>", " ", " ", "é", "<mask>", " "]),
        (Matching(rstrip=True), ["old", " ", " ", "<mask>  ", "é", "<mask> "]),
        (Matching(lstrip=True, rstrip=True), ["old", "  <mask>  ", "é", "<mask> "]),
    ],
    ids=str,
)
def test_a_token_covers_the_white_space_that_it_takes(matching, covered):
    vocabulary = Tokenizer.train(["old é king "] * 9, 262).vocabulary
    mask = Tokenizer(vocabulary).n_vocab
    tokenizer = Tokenizer(replace(vocabulary, added_tokens={"<mask>": mask}, matching={"<mask>": matching}))
    text = "".join(covered)
    assert text == "old  <mask>  é<mask> "
    assert tokenizer.byte_ends(text) == [*accumulate(len(part.encode()) for part in covered)]
    assert [id_ == mask for id_ in tokenizer.encode(text)] == ["<mask>" in part for part in covered]


def test_no_token_ends_behind_the_text():
    """White space that a token takes is read again by a token of white space, as by tokenizers."""
    vocabulary = Tokenizer.train(["old é king "] * 9, 262).vocabulary
    mask, space = Tokenizer(vocabulary).n_vocab, Tokenizer(vocabulary).n_vocab + 1
    matching = {"<mask>": Matching(rstrip=True)}
    tokenizer = Tokenizer(replace(vocabulary, added_tokens={"<mask>": mask, " ": space}, matching=matching))
    assert tokenizer.encode("<mask> ") == [mask, space]
    assert tokenizer.byte_ends("<mask> ") == [7, 7]


def of_files(tokenizers, folder):
    return tokenizers.Tokenizer(tokenizers.models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt")))


def flags():
    return [dict(zip(("lstrip", "rstrip", "single_word", "normalized"), values, strict=True))
            for values in product([False, True], repeat=4)]  # fmt: skip


@pytest.mark.reference
@pytest.mark.parametrize("seed", range(8))
def test_texts_are_cut_as_by_tokenizers(seed, tmp_path):
    """Two tokens with each combination of rules, special ones and others, in texts of tokens, words and white space."""
    tokenizers = pytest.importorskip("tokenizers", reason="needs the `reference` extra")
    rng = random.Random(seed)
    Tokenizer.train(["the cat sat on the mat, and the rat sat on the cat. " * 3], 270).save_pretrained(tmp_path)
    theirs = of_files(tokenizers, tmp_path)
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    theirs.decoder = tokenizers.decoders.ByteLevel()
    names = ["<m>", "the", "cat", "[X]", "été", "的", "a b", "ca", "<m><m>", " x", "x ", "1", "_", "日本", ".", "at,"]
    rng.shuffle(names)
    for name, rules in zip(names, rng.sample(flags(), len(names)), strict=True):
        theirs.add_tokens([tokenizers.AddedToken(name, special=rng.random() < 0.5, **rules)])
    theirs.save(str(tmp_path / "tokenizer.json"))
    ours = Tokenizer.from_pretrained(tmp_path)
    assert len(ours.special_tokens) + len(ours.vocabulary.added_tokens) >= len(names)
    others = [*" \n\t\u3000\x1cxé\u03017-\u200dⅧª", "  ", "the", "cats"]
    for _ in range(400):
        text = "".join(rng.choices([*names, *others], k=rng.randint(1, 9)))
        assert ours.encode(text, allowed_special="all") == theirs.encode(text).ids, text
        theirs.encode_special_tokens = True
        alone = [text for text in [text] if not any(token in text for token in ours.special_tokens)]
        assert [ours.encode(text) for text in alone] == [theirs.encode(text).ids for text in alone]
        theirs.encode_special_tokens = False


@pytest.mark.reference
@pytest.mark.parametrize("spelling", range(5))
def test_other_spellings_of_gpt2_s_algorithm_are_read(spelling, tmp_path):
    tokenizers = pytest.importorskip("tokenizers", reason="needs the `reference` extra")
    pre = tokenizers.pre_tokenizers
    patterns = [
        r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+""",
        r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+""",
        r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s""",
    ]
    byte_level = pre.ByteLevel(add_prefix_space=False, use_regex=False)
    spellings = [
        pre.Sequence([pre.ByteLevel(add_prefix_space=False)]),
        *(pre.Sequence([pre.Split(tokenizers.Regex(pattern), "isolated"), byte_level]) for pattern in patterns),
        pre.Sequence([pre.Split(tokenizers.Regex(patterns[0]), "removed", invert=True), byte_level]),
    ]
    text = "The cat's  hat,\n\n  12 rats'll\tsay: été 日本!?  \n "
    Tokenizer.train([text * 4], 285).save_pretrained(tmp_path)
    theirs = of_files(tokenizers, tmp_path)
    theirs.pre_tokenizer = spellings[spelling]
    theirs.save(str(tmp_path / "tokenizer.json"))
    ours = Tokenizer.from_pretrained(tmp_path)
    rng = random.Random(spelling)
    for _ in range(300):
        part = "".join(rng.choices(text, k=rng.randint(1, 30)))
        assert ours.encode(part) == theirs.encode(part).ids, part
    description = json.loads((tmp_path / "tokenizer.json").read_text())
    description["normalizer"] = {"type": "Sequence", "normalizers": []}
    (tmp_path / "tokenizer.json").write_text(json.dumps(description))
    assert Tokenizer.from_pretrained(tmp_path).encode(text) == theirs.encode(text).ids
