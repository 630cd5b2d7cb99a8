"""Files of vocabularies, most of them written by Hugging Face's own packages, and files that are no vocabulary."""

import copy
import hashlib
import json
import runpy
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gptcompare import Tokenizer
from gptcompare.vocabulary import BYTE_ORDER, BYTE_TO_CHAR, Vocabulary, read_vocabulary, to_bytes, to_characters

DATA = Path(__file__).parent / "data"
REFERENCE = runpy.run_path(str(DATA / "make_tokenizer_reference.py"))
TEXTS = [REFERENCE["ALICE"][:20_000], *REFERENCE["SCRIPTS"].values(), *REFERENCE["CODE"].values()]

EOT = "<|endoftext|>"
MERGES = [("#", "#"), ("h", "e"), ("Ġ", "t"), ("Ġt", "he"), ("##", "##"), ("#", "v")]
SMALL = Vocabulary.from_merges(MERGES)
TABLE = {**SMALL.ids, **SMALL.special_tokens}
TEXT = "### the the\n#vers #### hé"
IDS = Tokenizer(SMALL).encode(TEXT)
DESCRIPTION = {
    "version": "1.0",
    "added_tokens": [{"id": TABLE[EOT], "content": EOT, "special": True}],
    "normalizer": None,
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
    "post_processor": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True},
    "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
    "model": {"type": "BPE", "dropout": None, "vocab": TABLE, "merges": [" ".join(merge) for merge in MERGES]},
}


def lines(merges, version="#version: 0.2\n"):
    return version + "".join(f"{left} {right}\n" for left, right in merges)


def changed(*path_and_value, of=DESCRIPTION):
    """A copy of a description in which the value at a path of keys is another."""
    *path, last, value = path_and_value
    description = node = copy.deepcopy(of)
    for key in path:
        node = node[key]
    node[last] = value
    return description


def folder_with(folder, contents):
    """The folder, with files of the given names: a str or bytes as it is, anything else as JSON."""
    for name, content in contents.items():
        text = content if isinstance(content, (str, bytes)) else json.dumps(content)
        (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return folder


LAYOUTS = {
    "vocab.json + merges.txt": {"vocab.json": TABLE, "merges.txt": lines(MERGES)},
    "encoder.json + vocab.bpe": {"encoder.json": TABLE, "vocab.bpe": lines(MERGES)},
    "tokenizer.json": {"tokenizer.json": DESCRIPTION},
    "tokenizer.json with pairs": {"tokenizer.json": changed("model", "merges", [list(pair) for pair in MERGES])},
}


# Bytes as characters


def test_each_byte_is_a_printable_character_of_its_own():
    assert sorted(BYTE_TO_CHAR) == sorted(BYTE_ORDER) == [*range(256)]
    assert len(set(BYTE_TO_CHAR.values())) == 256
    assert all(char.isprintable() and not char.isspace() for char in BYTE_TO_CHAR.values())


@settings(derandomize=True, deadline=None, database=None)
@given(token=st.binary())
def test_bytes_are_written_as_characters_and_read_back(token):
    assert to_characters(token) == "".join(BYTE_TO_CHAR[byte] for byte in token)
    assert to_bytes(to_characters(token)) == token


# The layouts


def test_gpt2_s_ids_follow_from_its_merges(tmp_path):
    Tokenizer.from_pretrained("gpt2").save_pretrained(tmp_path)
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.iterdir()}
    assert hashes == {  # of OpenAI's encoder.json and vocab.bpe, as in tiktoken_ext/openai_public.py
        "vocab.json": "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
        "merges.txt": "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
    }


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_vocabulary(layout, tmp_path):
    vocabulary = read_vocabulary(folder_with(tmp_path, LAYOUTS[layout]))
    assert vocabulary.merges == MERGES
    assert vocabulary.ids == SMALL.ids
    assert vocabulary.special_tokens == {EOT: 256 + len(MERGES)}
    assert Tokenizer(vocabulary).encode(TEXT) == IDS


@pytest.mark.parametrize("layout", LAYOUTS)
def test_line_ends_of_windows_change_nothing(layout, tmp_path):
    def with_crlf(content):
        return (content if isinstance(content, str) else json.dumps(content, indent=1)).replace("\n", "\r\n")

    folder = folder_with(tmp_path, {name: with_crlf(content) for name, content in LAYOUTS[layout].items()})
    assert read_vocabulary(folder).merges == MERGES
    assert Tokenizer.from_pretrained(folder).encode(TEXT) == IDS


@pytest.mark.parametrize("version", ["", "#version: 0.2\n", "#version: 0.2 - Trained by `huggingface/tokenizers`\n"])
def test_lines_that_begin_with_a_hash_are_merges_except_the_version(version, tmp_path):  # the first merge is "# #"
    folder = folder_with(tmp_path, {"vocab.json": TABLE, "merges.txt": lines(MERGES, version)})
    assert read_vocabulary(folder).merges == MERGES


def test_ids_need_not_follow_the_merges_nor_be_without_gaps(tmp_path):
    table = {token: 1000 - 2 * id_ for token, id_ in TABLE.items()}
    tokenizer = Tokenizer.from_pretrained(folder_with(tmp_path, {"vocab.json": table, "merges.txt": lines(MERGES)}))
    assert tokenizer.encode(TEXT) == [1000 - 2 * id_ for id_ in IDS]
    assert tokenizer.decode(tokenizer.encode(TEXT)) == TEXT
    assert tokenizer.n_vocab == 1001
    with pytest.raises(ValueError, match="id 999 is not in the vocabulary"):
        tokenizer.decode([999])


def test_a_merge_that_is_listed_twice_has_its_later_rank():
    """As `dict(zip(bpe_merges, range(len(bpe_merges))))` in openai/gpt-2, src/encoder.py, gives it."""
    vocabulary = Vocabulary.from_merges([("a", "b"), ("b", "c"), ("a", "b")])
    assert Tokenizer(vocabulary).encode("abc abd") == [vocabulary.ids[token] for token in ("a", "bc", "Ġ", "ab", "d")]


def test_added_tokens_are_special_tokens_and_stay_so_when_saved(tmp_path):
    added = {"größer als": 701, "<pad>": 700, EOT: TABLE[EOT], "he": TABLE["he"]}
    folder_with(tmp_path, {"vocab.json": TABLE, "merges.txt": lines(MERGES), "added_tokens.json": added})
    tokenizer = Tokenizer.from_pretrained(tmp_path)
    assert tokenizer.special_tokens == {EOT: TABLE[EOT], "<pad>": 700, "größer als": 701}
    assert tokenizer.encode("größer als", allowed_special="all") == [701]
    assert tokenizer.decode([700, 701]) == "<pad>größer als"
    tokenizer.save_pretrained(tmp_path / "saved")
    assert [*json.loads((tmp_path / "saved" / "vocab.json").read_text()).values()] == [*range(len(TABLE)), 700, 701]
    assert Tokenizer.from_pretrained(tmp_path / "saved").special_tokens == tokenizer.special_tokens


def test_a_folder_without_a_tokenizer_is_not_found(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"neither vocab\.json \+ merges\.txt, nor .* nor tokenizer\.json"):
        Tokenizer.from_pretrained(folder_with(tmp_path, {"vocab.json": TABLE}))  # the merges are missing
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        read_vocabulary(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError, match=r"'gpt2-larg' is not a folder, and an unknown model .* gpt2-large"):
        Tokenizer.from_pretrained("gpt2-larg")


# Files that Hugging Face's packages write, and files that they read


@pytest.fixture(scope="module")
def gpt2_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gpt2")
    Tokenizer.from_pretrained("gpt2").save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def tokenizers():
    return pytest.importorskip("tokenizers", reason="needs the `reference` extra")


@pytest.fixture(scope="module")
def transformers():
    return pytest.importorskip("transformers", reason="needs the `reference` extra")


def assert_same_ids(ours, theirs):
    assert [text for text in TEXTS if ours.encode(text) != theirs.encode(text)] == []


@pytest.mark.reference
def test_transformers_reads_the_files_that_are_saved(transformers, gpt2_folder):
    theirs = transformers.GPT2Tokenizer.from_pretrained(gpt2_folder)
    assert_same_ids(Tokenizer.from_pretrained("gpt2"), theirs)
    assert theirs.encode(f"a{EOT}") == Tokenizer.from_pretrained("gpt2").encode(f"a{EOT}", allowed_special="all")


@pytest.mark.reference
@pytest.mark.parametrize("name", ["GPT2Tokenizer", "GPT2TokenizerFast"])
def test_what_transformers_saves_is_read_with_the_tokens_that_it_added(name, transformers, gpt2_folder, tmp_path):
    vocabulary = {"vocab": str(gpt2_folder / "vocab.json"), "merges": str(gpt2_folder / "merges.txt")}
    theirs = getattr(transformers, name)(**vocabulary)
    theirs.add_special_tokens({"pad_token": "<pad>"})
    theirs.save_pretrained(tmp_path)
    ours = Tokenizer.from_pretrained(tmp_path)
    assert_same_ids(ours, theirs)
    assert ours.special_tokens == {EOT: theirs.eos_token_id, "<pad>": theirs.pad_token_id}
    assert ours.n_vocab == len(theirs)
    text = f"<pad>{EOT}a <pad>b"
    assert ours.encode(text, allowed_special="all") == theirs.encode(text)


@pytest.mark.reference
@pytest.mark.parametrize("setting", ["add_prefix_space", "add_bos_token"])
def test_what_transformers_saves_with_settings_that_change_ids_is_refused(setting, transformers, gpt2_folder, tmp_path):
    vocabulary = {"vocab": str(gpt2_folder / "vocab.json"), "merges": str(gpt2_folder / "merges.txt")}
    transformers.GPT2Tokenizer(**vocabulary, **{setting: True}).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"tokenizer\.json: (add_prefix_space|a post-processor that adds tokens) is"):
        Tokenizer.from_pretrained(tmp_path)


@pytest.mark.reference
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_of_a_vocabulary_that_tokenizers_learned_gives_its_ids(layout, tokenizers, tmp_path):
    theirs = REFERENCE["train_hugging_face"](TEXTS, 1200)
    theirs.save_model(str(tmp_path))
    if layout == "encoder.json + vocab.bpe":
        (tmp_path / "vocab.json").rename(tmp_path / "encoder.json")
        (tmp_path / "merges.txt").rename(tmp_path / "vocab.bpe")
    elif layout.startswith("tokenizer.json"):
        for path in tmp_path.iterdir():
            path.unlink()
        theirs.save(str(tmp_path / "tokenizer.json"))
        if layout == "tokenizer.json":  # the older form, which tokenizers reads but writes no more
            description = json.loads(theirs.to_str())
            merges = [" ".join(pair) for pair in description["model"]["merges"]]
            folder_with(tmp_path, {"tokenizer.json": changed("model", "merges", merges, of=description)})
            theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    ours = Tokenizer.from_pretrained(tmp_path)
    assert [text for text in TEXTS if ours.encode(text) != theirs.encode(text).ids] == []
    assert ours.special_tokens == {EOT: theirs.token_to_id(EOT)}
    assert ours.n_vocab == theirs.get_vocab_size()


# Other tokenizers and damaged files

TEMPLATE = {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}]}
BOS_TEMPLATE = changed("single", [{"SpecialToken": {"id": EOT, "type_id": 0}}, *TEMPLATE["single"]], of=TEMPLATE)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("model", "type", "WordPiece"), "the model is not BPE"),
        (("model", "type", "Unigram"), "the model is not BPE"),
        (("model", None), "the model is not BPE"),
        (("normalizer", {"type": "NFC"}), "a normalizer is not supported"),
        (("pre_tokenizer", None), "the pre-tokenizer is not GPT-2's"),
        (("pre_tokenizer", {"type": "Metaspace"}), "the pre-tokenizer is not GPT-2's"),
        (("pre_tokenizer", {"type": "Sequence", "pretokenizers": []}), "the pre-tokenizer is not GPT-2's"),
        (("pre_tokenizer", "add_prefix_space", True), "add_prefix_space is not supported"),
        (("pre_tokenizer", "use_regex", False), r"another pattern \(use_regex false\) is not supported"),
        (("post_processor", BOS_TEMPLATE), "a post-processor that adds tokens is not supported"),
        (("post_processor", {"type": "RobertaProcessing"}), "a post-processor that adds tokens is not supported"),
        (("model", "ignore_merges", True), "ignore_merges is not supported"),
        (("model", "byte_fallback", True), "byte_fallback is not supported"),
        (("model", "dropout", 0.1), "dropout is not supported"),
        (("model", "continuing_subword_prefix", "##"), "continuing_subword_prefix is not supported"),
        (("model", "end_of_word_suffix", "</w>"), "end_of_word_suffix is not supported"),
    ],
)
def test_other_algorithms_are_refused_by_name(change, sentence, tmp_path):
    with pytest.raises(ValueError, match=rf"tokenizer\.json: {sentence}"):
        read_vocabulary(folder_with(tmp_path, {"tokenizer.json": changed(*change)}))


@pytest.mark.parametrize(
    "change",
    [
        ("post_processor", None),
        ("post_processor", TEMPLATE),
        ("pre_tokenizer", {"type": "ByteLevel", "add_prefix_space": False}),
        ("model", "dropout", 0.0),
        ("model", "end_of_word_suffix", ""),
        ("added_tokens", []),
        ("padding", {"strategy": "BatchLongest"}),
    ],
)
def test_settings_that_change_no_ids_are_accepted(change, tmp_path):
    vocabulary = read_vocabulary(folder_with(tmp_path, {"tokenizer.json": changed(*change)}))
    assert (vocabulary.merges, vocabulary.ids, vocabulary.special_tokens) == (MERGES, SMALL.ids, SMALL.special_tokens)


DEEP = "[" * 100_000
WITHOUT_A = {token: id_ for token, id_ in TABLE.items() if token != "a"}


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (json.dumps(TABLE)[:-9], "not JSON"),
        ("", "not JSON"),
        (DEEP, "not JSON"),
        (json.dumps(TABLE)[:-1] + ', "x": ' + "9" * 5000 + "}", "not JSON"),
        (json.dumps(TABLE).encode("utf-16"), "not UTF-8"),
        (json.dumps(TABLE, ensure_ascii=False).encode("latin-1", "replace"), "not UTF-8"),
        ([*TABLE], "not a JSON object token -> id"),
        ("null", "not a JSON object token -> id"),
        (WITHOUT_A, r"byte 97 \('a'\) has no id"),
        ({**WITHOUT_A, "a": TABLE["b"]}, "two tokens have the same id"),
        ({**TABLE, "<pad>": TABLE["b"]}, "two tokens have the same id"),
        ({**TABLE, "a": -1}, "'a' has id -1"),
        ({**TABLE, "a": 1.0}, r"'a' has id 1\.0"),
        ({**TABLE, "a": True}, "'a' has id True"),
        ({**TABLE, "a": "64"}, "'a' has id '64'"),
        ({**TABLE, "a": None}, "'a' has id None"),
        ({**TABLE, "a": [64]}, r"'a' has id \[64\]"),
        ({**TABLE, "a": float("nan")}, "'a' has id nan"),
        ({**TABLE, "": 500}, "'' cannot be a token"),
        ({**TABLE, "\ud800": 500}, r"'\\ud800' cannot be a token"),
        ({token: id_ for token, id_ in TABLE.items() if token != "Ġthe"}, r"'Ġthe' of merge 4 \(Ġt he\) has no id"),
    ],
)
def test_a_damaged_table_is_refused_with_the_file_and_the_reason(table, reason, tmp_path):
    with pytest.raises(ValueError, match=rf"vocab\.json: .*{reason}"):
        read_vocabulary(folder_with(tmp_path, {"vocab.json": table, "merges.txt": lines(MERGES)}))


@pytest.mark.parametrize(
    ("merges", "reason"),
    [
        (lines([*MERGES, ("he", "x y")]), r"merges\.txt: merge 7 is not a pair of tokens: \['he', 'x', 'y'\]"),
        (lines([*MERGES, ("he", "")]), r"merges\.txt: merge 7 is not a pair of tokens"),
        (lines(MERGES) + "he\n", r"merges\.txt: merge 7 is not a pair of tokens"),
        (lines([*MERGES, ("unknown", "he")]), r"vocab\.json: 'unknown' of merge 7 \(unknown he\) has no id"),
        (lines(MERGES).encode("utf-16"), r"merges\.txt: not UTF-8"),
        (lines(MERGES).encode("latin-1", "replace") + b"\xff", r"merges\.txt: not UTF-8"),
    ],
)
def test_damaged_merges_are_refused_with_the_file_and_the_reason(merges, reason, tmp_path):
    with pytest.raises(ValueError, match=reason):
        read_vocabulary(folder_with(tmp_path, {"vocab.json": TABLE, "merges.txt": merges}))


@pytest.mark.parametrize(
    ("description", "reason"),
    [
        ([DESCRIPTION], "not a JSON object"),
        (changed("model", "vocab", [["a", 64]]), "not a JSON object token -> id"),
        (changed("model", "merges", None), "no list of merges"),
        (changed("model", "merges", [["h", "e", "Ġ"]]), "merge 1 is not a pair of tokens"),
        (changed("model", "merges", [["h", 5]]), "merge 1 is not a pair of tokens"),
        (changed("model", "merges", ["h  e"]), "merge 1 is not a pair of tokens"),
        (changed("model", "merges", [None]), "merge 1 is not a pair of tokens"),
        (changed("added_tokens", {EOT: 262}), "added_tokens is not a list of objects with a content"),
        (changed("added_tokens", [{"id": 300}]), "added_tokens is not a list of objects with a content"),
        (changed("added_tokens", [{"id": 300, "content": ["<pad>"]}]), "added_tokens is not a list of objects"),
        (changed("added_tokens", [{"content": "<pad>"}]), "'<pad>' has id None"),
        (changed("added_tokens", [{"id": 300, "content": ""}]), "'' cannot be a token"),
        (changed("added_tokens", [{"id": 64, "content": "<pad>"}]), "two tokens have the same id"),
        (changed("added_tokens", [{"id": 300, "content": EOT}]), "'<.endoftext.>' has two ids, 262 and, .* 300"),
        (changed("added_tokens", [{"id": 300, "content": "he"}]), f"'he' has two ids, {TABLE['he']} and, .* 300"),
    ],
)  # fmt: skip
def test_a_damaged_tokenizer_json_is_refused_with_the_reason(description, reason, tmp_path):
    with pytest.raises(ValueError, match=rf"tokenizer\.json: {reason}"):
        read_vocabulary(folder_with(tmp_path, {"tokenizer.json": description}))


@st.composite
def forged(draw, value):
    """JSON in which one value, at any depth, is another."""
    if isinstance(value, (dict, list)) and value and draw(st.integers(0, 9)):
        key = draw(st.sampled_from([*value] if isinstance(value, dict) else range(len(value))))
        return changed(key, draw(forged(value[key])), of=value)
    strange = [None, True, -1, 1.5, 64, 10**30, float("nan"), "", "a", "\ud800", "a b c", "é", [], {}, [[]], {"a": []}]
    return draw(st.sampled_from(strange))


@st.composite
def broken(draw, content):
    """The bytes of a file of which one value is another, or a few bytes are, or the end is missing."""
    if not isinstance(content, str):
        content = json.dumps(draw(st.just(content) | forged(content)), ensure_ascii=False)
    data = bytearray(content.encode("utf-8", "surrogatepass"))
    for _ in range(draw(st.integers(0, 2))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.just(len(data)) | st.integers(0, len(data)))])


@pytest.mark.parametrize("layout", LAYOUTS)
@settings(max_examples=700, derandomize=True, deadline=None, database=None)
@given(data=st.data())
def test_whatever_a_file_holds_it_is_refused_or_reads_every_text(layout, tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / layout
    folder.mkdir(exist_ok=True)
    folder_with(folder, {name: data.draw(broken(content)) for name, content in LAYOUTS[layout].items()})
    try:
        tokenizer = Tokenizer.from_pretrained(folder)
        outcome = tokenizer.decode(tokenizer.encode(TEXT, allowed_special="all"))
    except ValueError as refusal:
        outcome = str(refusal)
    assert outcome == TEXT or str(folder) in outcome
