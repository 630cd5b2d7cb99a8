"""Files of vocabularies, most of them written by Hugging Face's own packages, and files that are no vocabulary."""

import copy
import hashlib
import json
import re
import runpy
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.amounts import examples
from support.places import DATA

from gptcompare import Tokenizer
from gptcompare.tokenizer.files import files_of_vocabulary, read_vocabulary, write_vocabulary
from gptcompare.tokenizer.vocabulary import Matching, Vocabulary

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


FLAGS = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": True}


def as_object(token):
    """A token as in the published settings of OPT."""
    return {"__type": "AddedToken", "content": token, **FLAGS}


def template(*tokens, of, after=()):
    """A post-processor that puts tokens of a table before a text, and others after it, as tokenizers writes it."""

    def special(token):
        return {"SpecialToken": {"id": token, "type_id": 0}}

    text, other = ({"Sequence": {"id": name, "type_id": n}} for n, name in enumerate("AB"))
    single = [*map(special, tokens), text, *map(special, after)]
    named = {token: {"id": token, "ids": [of[token]], "tokens": [token]} for token in (*tokens, *after)}
    return {"type": "TemplateProcessing", "single": single, "pair": [*single, other], "special_tokens": named}


# As Meta's OPT numbers its tokens, and with the settings that are published with it.
OPT_TOKENS = ["<s>", "<pad>", "</s>", "<unk>", *SMALL.ids, EOT, "madeupword0000", "<mask>"]
OPT_TABLE = {token: id_ for id_, token in enumerate(OPT_TOKENS)}
OPT_IDS = [OPT_TABLE[token] for id_ in IDS for token in TABLE if TABLE[token] == id_]
OPT_NAMES = {"bos_token": "</s>", "eos_token": "</s>", "unk_token": "</s>", "pad_token": "<pad>"}
OPT_SETTINGS = {
    "errors": "replace",
    **{name: as_object(token) for name, token in OPT_NAMES.items()},
    "add_prefix_space": False,
    "add_bos_token": True,
    "tokenizer_class": "GPT2Tokenizer",
}
OPT_PAIR = {"vocab.json": OPT_TABLE, "merges.txt": lines(MERGES)}
OPT_DESCRIPTION = {
    **changed("model", "vocab", OPT_TABLE),
    "added_tokens": [{"id": OPT_TABLE[t], "content": t, "special": True, **FLAGS} for t in ("<pad>", "</s>")],
    "post_processor": template("</s>", of=OPT_TABLE),
}
BYTE_LEVEL = DESCRIPTION["post_processor"]


def opt_settings(**values):
    return {**OPT_SETTINGS, **values}


def opt_without(*names):
    return {name: value for name, value in OPT_SETTINGS.items() if name not in names}


def opt_description(post_processor):
    return {**OPT_DESCRIPTION, "post_processor": post_processor}


# Files of an OPT-like tokenizer, the token that begins every text, the one that ends it.
ENDS = {
    "as published": (
        OPT_PAIR | {"tokenizer_config.json": OPT_SETTINGS, "special_tokens_map.json": OPT_NAMES}, "</s>", "</s>"
    ),
    "tokens as strings": (OPT_PAIR | {"tokenizer_config.json": opt_settings(**OPT_NAMES)}, "</s>", "</s>"),
    "no settings": (OPT_PAIR, None, EOT),
    "GPT-2's settings": (OPT_PAIR | {"tokenizer_config.json": {"model_max_length": 1024}}, None, EOT),
    "GPT-Neo's settings": (
        OPT_PAIR
        | {"tokenizer_config.json": opt_settings(**dict.fromkeys(OPT_NAMES, as_object(EOT)), add_bos_token=False)}
        | {"special_tokens_map.json": dict.fromkeys(["bos_token", "eos_token", "unk_token"], EOT)},
        None, EOT,
    ),
    "add_bos_token absent": (OPT_PAIR | {"tokenizer_config.json": opt_without("add_bos_token")}, None, "</s>"),
    "add_bos_token false": (OPT_PAIR | {"tokenizer_config.json": opt_settings(add_bos_token=False)}, None, "</s>"),
    "add_bos_token null": (OPT_PAIR | {"tokenizer_config.json": opt_settings(add_bos_token=None)}, None, "</s>"),
    "bos_token absent": (OPT_PAIR | {"tokenizer_config.json": opt_without("bos_token")}, EOT, "</s>"),
    "bos_token null": (OPT_PAIR | {"tokenizer_config.json": opt_settings(bos_token=None)}, None, "</s>"),
    "eos_token absent": (OPT_PAIR | {"tokenizer_config.json": opt_without("eos_token")}, "</s>", EOT),
    "eos_token null": (OPT_PAIR | {"tokenizer_config.json": opt_settings(eos_token=None)}, "</s>", None),
    "the map alone": (OPT_PAIR | {"special_tokens_map.json": OPT_NAMES}, None, "</s>"),
    "the map overrules the settings": (
        OPT_PAIR | {"tokenizer_config.json": OPT_SETTINGS, "special_tokens_map.json": {"bos_token": "<s>"}},
        "<s>", "</s>",
    ),
    "settings with the added tokens overrule the map": (
        OPT_PAIR
        | {"tokenizer_config.json": opt_settings(added_tokens_decoder={})}
        | {"special_tokens_map.json": {"bos_token": "<s>", "eos_token": "<unk>"}},
        "</s>", "</s>",
    ),
    "a template": ({"tokenizer.json": OPT_DESCRIPTION, "tokenizer_config.json": OPT_NAMES}, "</s>", "</s>"),
    "a template with no settings": ({"tokenizer.json": OPT_DESCRIPTION}, "</s>", EOT),
    "a template in a sequence": (
        {"tokenizer.json": opt_description({
            "type": "Sequence", "processors": [BYTE_LEVEL, OPT_DESCRIPTION["post_processor"]],
        })},
        "</s>", EOT,
    ),
    "a template overrules the settings": (
        {"tokenizer.json": OPT_DESCRIPTION}
        | {"tokenizer_config.json": opt_settings(bos_token="<s>", add_bos_token=False)},
        "</s>", "</s>",
    ),
    "no template overrules the settings": (
        {"tokenizer.json": opt_description(BYTE_LEVEL), "tokenizer_config.json": opt_settings(add_eos_token=True)},
        None, "</s>",
    ),
    "tokenizer.json overrules the pair": (
        OPT_PAIR | {"tokenizer.json": OPT_DESCRIPTION, "tokenizer_config.json": opt_without("add_bos_token")},
        "</s>", "</s>",
    ),
    "tokenizer.json with no template overrules the pair": (
        OPT_PAIR | {"tokenizer.json": opt_description(None), "tokenizer_config.json": OPT_SETTINGS}, None, "</s>"
    ),
}  # fmt: skip


# The layouts


def test_gpt2_s_ids_follow_from_its_merges(tmp_path):
    Tokenizer.from_pretrained("gpt2").save_pretrained(tmp_path)
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.iterdir()}
    del hashes["tokenizer_config.json"]
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
    assert (vocabulary.eot, vocabulary.bos) == (EOT, None)
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


def test_added_tokens_stay_what_they_are_when_saved(tmp_path):
    added = {"größer als": 701, "<pad>": 700, EOT: TABLE[EOT], "he": TABLE["he"]}
    folder_with(tmp_path, {"vocab.json": TABLE, "merges.txt": lines(MERGES), "added_tokens.json": added})
    folder_with(tmp_path, {"tokenizer_config.json": {"pad_token": "<pad>"}})
    tokenizer = Tokenizer.from_pretrained(tmp_path)
    assert tokenizer.special_tokens == {EOT: TABLE[EOT], "<pad>": 700}
    assert tokenizer.encode("größer als <pad>") == [701, *tokenizer.encode(" <pad>")]
    assert tokenizer.encode("größer als <pad>", allowed_special="all") == [701, *tokenizer.encode(" "), 700]
    assert tokenizer.decode([700, 701]) == "<pad>größer als"
    tokenizer.save_pretrained(tmp_path / "saved")
    assert [*json.loads((tmp_path / "saved" / "vocab.json").read_text()).values()] == [*range(len(TABLE)), 700, 701]
    assert replace(Tokenizer.from_pretrained(tmp_path / "saved").vocabulary, source="") == tokenizer.vocabulary


@pytest.mark.parametrize("layout", LAYOUTS)
def test_added_tokens_of_the_old_list_count_unless_a_new_one_replaces_it(layout, tmp_path):
    folder_with(tmp_path, LAYOUTS[layout] | {"added_tokens.json": {"<user>": 701, "<pad>": 700}})
    folder_with(tmp_path, {"tokenizer_config.json": {"pad_token": "<pad>"}})
    vocabulary = read_vocabulary(tmp_path)
    assert vocabulary.special_tokens == {EOT: TABLE[EOT], "<pad>": 700}
    assert vocabulary.added_tokens == {"<user>": 701}
    assert tmp_path / "added_tokens.json" in files_of_vocabulary(tmp_path)
    listed = {str(TABLE[EOT]): {"content": EOT, "special": True}, "702": {"content": "<new>"}}
    folder_with(tmp_path, {"tokenizer_config.json": {"added_tokens_decoder": listed}})
    assert read_vocabulary(tmp_path).added_tokens == {"<new>": 702}


def test_a_named_token_that_is_the_name_of_other_bytes_is_not_looked_for_in_texts(tmp_path):
    names = {"pad_token": "Ġ", "mask_token": "é", "cls_token": "!"}
    folder_with(tmp_path, LAYOUTS["vocab.json + merges.txt"] | {"tokenizer_config.json": names})
    tokenizer = Tokenizer.from_pretrained(tmp_path)
    assert tokenizer.special_tokens == {EOT: TABLE[EOT], "!": TABLE["!"]}
    text = "é Ġ!é"
    assert tokenizer.decode(tokenizer.encode(text, allowed_special="all")) == text


def test_a_folder_without_a_tokenizer_is_not_found(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"neither vocab\.json \+ merges\.txt, nor .* nor tokenizer\.json"):
        Tokenizer.from_pretrained(folder_with(tmp_path, {"vocab.json": TABLE}))  # the merges are missing
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        read_vocabulary(tmp_path / "nothing")
    with pytest.raises(
        FileNotFoundError, match=r"'gpt2-larg' is neither a folder nor the name of a model: .* gpt2-large"
    ):
        Tokenizer.from_pretrained("gpt2-larg")


# What begins and ends a text


@pytest.mark.parametrize("case", ENDS)
def test_the_tokens_that_begin_and_end_a_text_are_those_of_the_files(case, tmp_path):
    files, bos, eot = ENDS[case]
    tokenizer = Tokenizer.from_pretrained(folder_with(tmp_path, files))
    assert (tokenizer.bos_id, tokenizer.eot_id) == (OPT_TABLE.get(bos), OPT_TABLE.get(eot))
    assert tokenizer.encode(TEXT) == OPT_IDS  # whatever begins a text for the model


def test_a_vocabulary_with_no_end_of_text_has_none(tmp_path):
    table = {token: id_ for token, id_ in TABLE.items() if token != EOT}
    vocabulary = read_vocabulary(folder_with(tmp_path, {"vocab.json": table, "merges.txt": lines(MERGES)}))
    assert (vocabulary.eot, vocabulary.bos) == (None, None)


@pytest.mark.parametrize("name", ["bos_token", "unk_token"])
def test_a_token_that_is_named_but_not_used_need_not_exist(name, tmp_path):
    folder_with(tmp_path, LAYOUTS["vocab.json + merges.txt"] | {"tokenizer_config.json": {name: "<s>"}})
    assert read_vocabulary(tmp_path).bos is None


ROUND_TRIPS = {
    "GPT-2": SMALL,
    "OPT": Vocabulary(
        MERGES,
        {token: OPT_TABLE[token] for token in SMALL.ids},
        {token: id_ for token, id_ in OPT_TABLE.items() if token not in SMALL.ids},
        eot="</s>",
        bos="</s>",
    ),
    "a beginning of its own": replace(SMALL, special_tokens={**SMALL.special_tokens, "<s>": 500}, bos="<s>"),
    "only a beginning": replace(SMALL, special_tokens={"<s>": 500}, eot=None, bos="<s>"),
    "nothing": replace(SMALL, special_tokens={}, eot=None),
    "an end that a merge makes": replace(SMALL, special_tokens={"he": SMALL.ids["he"]}, eot="he"),
    "tokens with rules": replace(
        SMALL,
        special_tokens={**SMALL.special_tokens, "<mask>": 500},
        added_tokens={"<user>": 501, "é è": 502},
        matching={"<mask>": Matching(lstrip=True), "<user>": Matching(rstrip=True, single_word=True, normalized=True)},
    ),
    "a token without a merge": replace(SMALL, ids={**SMALL.ids, "Ġdog": 500}),
    "not all bytes": replace(SMALL, ids={token: id_ for token, id_ in SMALL.ids.items() if token != "!"}),
}
STALE = {
    "tokenizer_config.json": {"add_bos_token": True, "bos_token": "<stale>", "eos_token": "<stale>"},
    "special_tokens_map.json": {"bos_token": "<stale>", "eos_token": "<stale>"},
    "added_tokens.json": {"<stale>": 1000},
    "tokenizer.json": OPT_DESCRIPTION,
    "vocab.json": {"<stale>": 0},
    "merges.txt": "",
}


@pytest.mark.parametrize("stale", [(), *[(name,) for name in STALE], tuple(STALE)], ids="+".join)
@pytest.mark.parametrize("name", ROUND_TRIPS)
def test_what_is_saved_is_read_back_whatever_tokenizer_the_folder_had(name, stale, tmp_path):
    vocabulary = ROUND_TRIPS[name]
    folder_with(tmp_path, {file: STALE[file] for file in stale})
    write_vocabulary(tmp_path, vocabulary)
    assert replace(read_vocabulary(tmp_path), source=vocabulary.source) == vocabulary


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
@pytest.mark.parametrize(
    ("setting", "sentence"),
    [("add_prefix_space", "add_prefix_space is not"), ("add_eos_token", "this post-processor is not")],
)
def test_what_transformers_saves_with_settings_that_change_ids_is_refused(
    setting, sentence, transformers, gpt2_folder, tmp_path
):
    vocabulary = {"vocab": str(gpt2_folder / "vocab.json"), "merges": str(gpt2_folder / "merges.txt")}
    transformers.GPT2Tokenizer(**vocabulary, **{setting: True}).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=rf"tokenizer\.json: {sentence} supported"):
        Tokenizer.from_pretrained(tmp_path)


def assert_reads_as(ours, theirs):
    """That a model reads the same ids for every text, and takes the same one for the end."""
    front = [] if ours.bos_id is None else [ours.bos_id]
    assert [text for text in [*TEXTS, ""] if front + ours.encode(text) != theirs(text).input_ids] == []
    assert ours.eot_id == theirs.eos_token_id


@pytest.mark.reference
@pytest.mark.parametrize("name", ["AutoTokenizer", "GPT2Tokenizer"])
@pytest.mark.parametrize("case", ENDS)
def test_a_text_begins_and_ends_as_in_transformers(case, name, transformers, tmp_path):
    folder_with(tmp_path, {"config.json": {"model_type": "opt"}} | ENDS[case][0])
    theirs = getattr(transformers, name).from_pretrained(tmp_path)
    assert_reads_as(Tokenizer.from_pretrained(tmp_path), theirs)


@pytest.mark.reference
def test_what_transformers_saves_of_an_opt_tokenizer_is_read_alone_and_over_the_files_it_came_from(
    transformers, tmp_path
):
    published = folder_with(tmp_path, ENDS["as published"][0])
    theirs = transformers.AutoTokenizer.from_pretrained(published)
    for folder in (tmp_path / "alone", published):
        theirs.save_pretrained(folder)
        assert "add_bos_token" not in json.loads((folder / "tokenizer_config.json").read_text())
        assert_reads_as(Tokenizer.from_pretrained(folder), theirs)


@pytest.mark.reference
@pytest.mark.parametrize("name", ["AutoTokenizer", "GPT2Tokenizer"])
@pytest.mark.parametrize("vocabulary", ROUND_TRIPS.values(), ids=ROUND_TRIPS)
def test_transformers_opens_what_is_saved_with_the_same_ids(vocabulary, name, transformers, tmp_path):
    write_vocabulary(folder_with(tmp_path, STALE), vocabulary)
    theirs = getattr(transformers, name).from_pretrained(tmp_path)
    assert len(theirs) == len({**vocabulary.ids, **vocabulary.special_tokens, **vocabulary.added_tokens})
    if vocabulary.eot in vocabulary.ids:  # transformers finds it in the text
        return
    if "!" not in vocabulary.ids:  # transformers leaves it out
        with pytest.raises(ValueError, match="has no token for byte 33, which is in '!'"):
            Tokenizer(vocabulary).encode("a!")
        return
    assert_reads_as(Tokenizer(vocabulary), theirs)


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

BOS_TEMPLATE = template(EOT, of=TABLE)
UNSUPPORTED = "this post-processor is not supported"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("model", "type", "WordPiece"), "the model is 'WordPiece', so its tokenizer is not byte-level BPE"),
        (("model", "type", "Unigram"), "the model is 'Unigram', so its tokenizer is not byte-level BPE"),
        (("model", None), "the model is None, so its tokenizer is not byte-level BPE"),
        (("normalizer", {"type": "NFC"}), "a normalizer is not supported"),
        (("pre_tokenizer", None), "the pre-tokenizer is not GPT-2's"),
        (("pre_tokenizer", {"type": "Metaspace"}), "the pre-tokenizer is not GPT-2's"),
        (("pre_tokenizer", {"type": "Sequence", "pretokenizers": []}), "the pre-tokenizer is not GPT-2's"),
        (("pre_tokenizer", "add_prefix_space", True), "add_prefix_space is not supported"),
        (("pre_tokenizer", "use_regex", False), r"another pattern \(use_regex false\) is not supported"),
        (("post_processor", {"type": "RobertaProcessing"}), UNSUPPORTED),
        (("post_processor", template(after=[EOT], of=TABLE)), UNSUPPORTED),
        (("post_processor", template(EOT, after=[EOT], of=TABLE)), UNSUPPORTED),
        (("post_processor", template(EOT, EOT, of=TABLE)), UNSUPPORTED),
        (("post_processor", template("<s>", of={"<s>": 500})), UNSUPPORTED),
        (("post_processor", template(EOT, of={EOT: 5})), UNSUPPORTED),
        (("post_processor", {**BOS_TEMPLATE, "special_tokens": {}}), UNSUPPORTED),
        (("post_processor", {**BOS_TEMPLATE, "special_tokens": None}), UNSUPPORTED),
        (("post_processor", changed("special_tokens", EOT, "ids", [5, 6], of=BOS_TEMPLATE)), UNSUPPORTED),
        (("post_processor", {"type": "Sequence", "processors": [BOS_TEMPLATE, BOS_TEMPLATE]}), UNSUPPORTED),
        (("post_processor", {"type": "Sequence", "processors": BOS_TEMPLATE}), UNSUPPORTED),
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
        ("post_processor", template(of=TABLE)),
        ("post_processor", {"type": "Sequence", "processors": [BYTE_LEVEL, template(of=TABLE)]}),
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


@pytest.mark.parametrize("setting", ["add_prefix_space", "add_eos_token"])
def test_settings_that_change_ids_are_refused_by_name(setting, tmp_path):
    folder_with(tmp_path, OPT_PAIR | {"tokenizer_config.json": opt_settings(**{setting: True})})
    with pytest.raises(ValueError, match=rf"tokenizer_config\.json: {setting} is not supported"):
        read_vocabulary(tmp_path)


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
        ({**WITHOUT_A, "a": TABLE["b"]}, "two tokens have the same id"),
        ({**TABLE, "<pad>": TABLE["b"]}, "two tokens have the same id"),
        ({**TABLE, "a": -1}, "'a' has id -1"),
        ({**TABLE, "a": 1.0}, r"'a' has id 1\.0"),
        ({**TABLE, "a": True}, "'a' has id True"),
        ({**TABLE, "a": "64"}, "'a' has id '64'"),
        ({**TABLE, "a": None}, "'a' has id None"),
        ({**TABLE, "a": [64]}, r"'a' has id \[64\]"),
        ({**TABLE, "a": float("nan")}, "'a' has id nan"),
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
        (changed("added_tokens", {EOT: 262}), "added_tokens is not a list"),
        (changed("added_tokens", [{"id": 300}]), "an added token must be a text that is not empty, or an object with"),
        (changed("added_tokens", [{"id": 300, "content": ["<pad>"]}]), "an added token must be a text"),
        (changed("added_tokens", [{"content": "<pad>"}]), "the added token '<pad>' has no id"),
        (changed("added_tokens", ["<pad>"]), "the added token '<pad>' has no id"),
        (changed("added_tokens", [{"id": -1, "content": "<pad>"}]), "'<pad>' has id -1"),
        (changed("added_tokens", [{"id": 300, "content": ""}]), "an added token must be a text that is not empty"),
        (changed("added_tokens", [{"id": 300, "content": "x", "lstrip": 1}]), "an added token: .* must be true or"),
        (changed("added_tokens", [{"id": 64, "content": "<pad>"}]), "two tokens have the same id"),
        (changed("added_tokens", [{"id": 300, "content": EOT}]), "'<.endoftext.>' has two ids, 262 and, .* 300"),
        (changed("added_tokens", [{"id": 300, "content": "he"}]), f"'he' has two ids, {TABLE['he']} and, .* 300"),
    ],
)  # fmt: skip
def test_a_damaged_tokenizer_json_is_refused_with_the_reason(description, reason, tmp_path):
    with pytest.raises(ValueError, match=rf"tokenizer\.json: {reason}"):
        read_vocabulary(folder_with(tmp_path, {"tokenizer.json": description}))


@pytest.mark.parametrize("name", ["tokenizer_config.json", "special_tokens_map.json"])
@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ("", "not JSON"),
        (json.dumps(OPT_SETTINGS)[:-1], "not JSON"),
        (DEEP, "not JSON"),
        (json.dumps(OPT_SETTINGS).encode("utf-16"), "not UTF-8"),
        ([OPT_SETTINGS], "not a JSON object"),
        ("null", "not a JSON object"),
        (opt_settings(eos_token=""), "eos_token must be a text"),
        (opt_settings(pad_token=5), "pad_token must be a text"),
        (opt_settings(additional_special_tokens="<a>"), "the additional special tokens are not a list"),
        (opt_settings(additional_special_tokens=[5]), "an additional special token must be a text"),
        (opt_settings(added_tokens_decoder=["<a>"]), "added_tokens_decoder is not an object id -> token"),
        (opt_settings(added_tokens_decoder={"-1": {"content": "<a>"}}), "added_tokens_decoder is not an object id"),
        (opt_settings(added_tokens_decoder={"9" * 5000: {"content": "<a>"}}), "added_tokens_decoder is not an"),
        (opt_settings(added_tokens_decoder={"900": {}}), "added_tokens_decoder must be a text"),
        (opt_settings(eos_token=2), "eos_token must be a text"),
        (opt_settings(eos_token=True), "eos_token must be a text"),
        (opt_settings(eos_token=["</s>"]), "eos_token must be a text"),
        (opt_settings(eos_token={}), "eos_token must be a text"),
        (opt_settings(eos_token={"content": None}), "eos_token must be a text"),
        (opt_settings(bos_token=2), "bos_token must be a text"),
        (opt_settings(add_bos_token="false"), "add_bos_token must be true or false"),
        (opt_settings(add_bos_token=1), "add_bos_token must be true or false"),
        (opt_settings(add_eos_token="false"), "add_eos_token must be true or false"),
        (opt_settings(add_prefix_space=0), "add_prefix_space must be true or false"),
    ],
)  # fmt: skip
def test_damaged_settings_are_refused_with_the_file_and_the_reason(settings, reason, name, tmp_path):
    with pytest.raises(ValueError, match=rf"{re.escape(name)}: {reason}"):
        read_vocabulary(folder_with(tmp_path, OPT_PAIR | {name: settings}))


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


FORGED = LAYOUTS | {
    "OPT": ENDS["as published"][0],
    "OPT in one file": ENDS["a template in a sequence"][0] | {"tokenizer_config.json": OPT_NAMES},
}


@pytest.mark.parametrize("layout", FORGED)
@settings(max_examples=examples(700), derandomize=True, deadline=None, database=None)
@given(data=st.data())
def test_whatever_a_file_holds_it_is_refused_or_reads_every_text(layout, tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / layout
    folder.mkdir(exist_ok=True)
    folder_with(folder, {name: data.draw(broken(content)) for name, content in FORGED[layout].items()})
    try:
        tokenizer = Tokenizer.from_pretrained(folder)
        outcome = tokenizer.decode(tokenizer.encode(TEXT, allowed_special="all"))
    except ValueError as refusal:
        outcome = str(refusal)
    assert outcome == TEXT or str(folder) in outcome
