"""Record in `tokenizer_gpt2.json` what tiktoken and Hugging Face tokenizers make of the texts below.

- "ids": [text, ids] pairs, the ids by tiktoken with GPT-2's vocabulary;
- "young": the same for characters that became letters, numbers or other marks in the last versions of Unicode, each in
  `CONTEXTS`;
- "alice_merges": the merges that tokenizers' BPE trainer learns from `alice.txt` for 1,000 tokens.

`alice.txt` is Lewis Carroll's Alice's Adventures in Wonderland, Project Gutenberg ebook 11, without its header and
licence; the sentences of `scripts.json` were written for these tests, but for two: the Ancient Greek one opens the
Gospel of John, the Gothic one the Lord's Prayer of Wulfila's Bible. Needs the `reference` extra, not the network:

    python tests/data/make_tokenizer_reference.py

The tests also run this file for the texts and the references that it defines.
"""

import json
import os
import random
import tempfile
import unicodedata
from pathlib import Path
from unittest import mock

from gptcompare import Tokenizer
from gptcompare.tokenizer import bpe as tokenizer_module
from gptcompare.tokenizer.pieces import unicode_16

DATA = Path(__file__).parent
ALICE = (DATA / "alice.txt").read_text(encoding="utf-8")
SCRIPTS = json.loads((DATA / "scripts.json").read_text(encoding="utf-8"))

UNICODE_16 = unicode_16()
CODE = {
    "python": 'def f(x: int = 0x1F) -> str:\n    """Doc."""\n    if x != 3:\n\treturn f"{x:>8.2f}\\n"\n\n    pass  # é',
    "json": '{\n  "a": [1, 2.5e-3, null, true],\n  "b\\u00e9": {"c": "d\\\\e"}\n}\r\n',
    "c": "#include <stdio.h>\r\nint main(void) {\r\n\t\tfor (int i = 0; i < 10; ++i)\t{ puts(\"'sx'\"); }\r\n}",
    "markup": "<p class='x'>a &amp; b</p>\n\n    ## ####\n- [ ] https://example.org/a?b=c#d\n",
}
EMOJI = {
    "joined": "👩‍👩‍👧‍👦 👨🏽‍🚀🏳️‍🌈 ❤️‍🔥",
    "flags": "🇩🇪🇯🇵 🇧🇷x🏴󠁧󠁢󠁳󠁣󠁴󠁿",
    "skin tones": "👍👍🏻👍🏼👍🏽👍🏾👍🏿",
    "keycaps": "1️⃣ 2️⃣ #️⃣ *️⃣ ☺︎☺️",
}
WHITE_SPACE = "".join(chr(code) for code in range(0x10000) if chr(code).isspace())
ODD = {
    "NUL": "\0a\0\0 \0b",
    "control characters": "".join(f"x{chr(code)}" for code in [*range(0x20), *range(0x7F, 0xA0)]),
    "white space alone": WHITE_SPACE,
    "white space before words": "".join(f"a{space}b{space}{space}1{space}{space}." for space in WHITE_SPACE),
    "white space at the end": "a  \n \t ",
    "no white space": "a\u200bb\u2060c\ufeffd\u180ee\u200c\u200df\u00adg",
    "combining marks": "e\u0301 a\u0308\u0323x\u20dd n\u0303o \u0301\u0301 Z\u0351\u036b\u0343a\u0322\u0328l\u0489",
    "contractions": "I'm he's HE'S we'll WE'LL they'd've 'tis '''re it’s 's's 'd1 'ſ 'K",
    "numbers": "1 12 123 1234567890 ٣٤ ५६ Ⅻ ½ ² 1,000.5 a1b2",
    "empty": "",
}
SAMPLES = {**SCRIPTS, **CODE, **EMOJI, **ODD}


CONTEXTS = "{0}'s {0}1{0}{0} a{0}"  # what is cut depends on whether the character is a letter, a number or a mark


def characters(first: int, last: int) -> list[str]:
    """Assigned characters: those that a newer Unicode may make letters of would depend on versions of packages."""
    return [char for char in map(chr, range(first, last + 1)) if unicodedata.category(char) not in ("Cs", "Cn")]


def young_characters(step: int) -> list[str]:
    """Every so many of the characters that Python, `regex` and Unicode 16 classify differently."""
    import regex

    def kinds(char: str) -> set[str]:
        by_python = unicodedata.category(char)[0]
        by_regex = next((kind for kind in "LN" if regex.match(rf"\p{{{kind}}}", char)), "-")
        fixed = next((kind for kind, members in UNICODE_16.items() if members[ord(char)]), "-")
        return {by_python if by_python in "LN" else "-", by_regex, fixed}

    return [char for char in every_character() if len(kinds(char)) > 1][::step]


def every_character() -> list[str]:
    """The planes of Unicode that have letters, without surrogates."""
    return [chr(code) for code in range(0x40000) if not 0xD800 <= code < 0xE000]


def alphabets() -> dict[str, list[str]]:
    """What the random texts are made of."""
    ascii_ = characters(0, 0x7F)
    planes = [characters(0, 0xFFFF), characters(0x10000, 0x1FFFF), characters(0x20000, 0x3FFFF)]
    no_characters = [chr(code) for code in range(0x40000, 0xE0000, 77)]  # planes 4 to 13, empty in every Unicode
    last_planes = characters(0xE0000, 0x10FFFF)
    contractions = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"]
    letters = ["a", "B", "é", "я", "字", "1", "٣", ".", "'", "\0"]
    return {
        "ASCII": ascii_,
        "Latin-1": characters(0, 0xFF),
        "plane 0": planes[0],
        "plane 1": planes[1],
        "planes 2 and 3": planes[2],
        "planes 4 to 13": [*no_characters, *letters],
        "planes 14 to 16": [*last_planes, *letters],
        "everything": [char for plane in (ascii_ * 200, *planes, no_characters, last_planes) for char in plane],
        "white space": [*WHITE_SPACE, *" \n" * 10, *letters],
        "contractions": [*contractions, *map(str.upper, contractions), "'", "’s", " ", "\n", "a", "you", "1", "."],
        "marks": [*characters(0x300, 0x36F), *"aeiouΑא क", "\u200d", "\ufe0f", "\u20e3"],
        "emoji": [*"👩👦👍🏻🏿🚀❤☺🇩🇪🏴#1", "\u200d", "\ufe0f", "\u20e3", " ", "a"],
    }  # fmt: skip


def random_texts(alphabet: list[str], n: int, longest: int = 60) -> list[str]:
    generator = random.Random(2019)
    return ["".join(generator.choices(alphabet, k=generator.randint(0, longest))) for _ in range(n)]


def tiktoken_gpt2():
    """tiktoken's own GPT-2, from the merges in the package: tiktoken checks that the ids follow from them."""
    import tiktoken
    from tiktoken.load import data_gym_to_mergeable_bpe_ranks
    from tiktoken_ext.openai_public import r50k_pat_str

    merges = Path(tokenizer_module.__file__).parent / "data" / "vocab.bpe"
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, TIKTOKEN_CACHE_DIR=""):
        Tokenizer.from_pretrained("gpt2").save_pretrained(folder)
        ranks = data_gym_to_mergeable_bpe_ranks(str(merges), str(Path(folder) / "vocab.json"))
    special = {"<|endoftext|>": 50256}
    return tiktoken.Encoding("gpt2", pat_str=r50k_pat_str, mergeable_ranks=ranks, special_tokens=special)


def train_hugging_face(texts: list[str], n_vocab: int):
    """A tokenizer that Hugging Face tokenizers learned, with at most n_vocab tokens."""
    from tokenizers import ByteLevelBPETokenizer

    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(
        texts, vocab_size=n_vocab, min_frequency=2, special_tokens=["<|endoftext|>"], show_progress=False
    )
    return tokenizer


def merges_of(hugging_face) -> list[tuple[str, str]]:
    return [tuple(merge) for merge in json.loads(hugging_face.to_str())["model"]["merges"]]


def main() -> None:
    encoding = tiktoken_gpt2()
    texts = [*SAMPLES.values()]
    for alphabet in alphabets().values():
        texts += random_texts(alphabet, n=17, longest=40)
    lines = [json.dumps([text, encoding.encode_ordinary(text)]) for text in texts]
    texts = [CONTEXTS.format(char) for char in young_characters(step=97)]
    young = [json.dumps([text, encoding.encode_ordinary(text)]) for text in texts]
    merges = json.dumps([" ".join(merge) for merge in merges_of(train_hugging_face([ALICE], 1000))])
    body = '{\n"ids": [\n' + ",\n".join(lines) + '\n],\n"young": [\n' + ",\n".join(young)
    body += f'\n],\n"alice_merges": {merges}\n}}\n'
    (DATA / "tokenizer_gpt2.json").write_text(body, encoding="utf-8")


if __name__ == "__main__":
    main()
