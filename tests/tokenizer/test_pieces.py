import runpy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.places import DATA, REASON

from gptcompare import Tokenizer
from gptcompare.tokenizer.pieces import PIECES, pieces, unicode_16

REFERENCE = runpy.run_path(str(DATA / "make_tokenizer_reference.py"))


@pytest.fixture(scope="module")
def gpt2():
    return Tokenizer.from_pretrained("gpt2")


@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_the_pieces_are_the_text_and_there_are_classes_for_every_character(text):
    cut = pieces(text)
    assert "".join(cut) == text
    classes = unicode_16()
    for piece in cut:
        core = piece[1:] if piece[0] == " " and not piece.isspace() else piece
        kinds = {next((kind for kind in "LN" if classes[kind][ord(char)]), "-") for char in core}
        assert len(kinds) == 1 or core in ("'s", "'t", "'re", "'ve", "'m", "'ll", "'d")


@given(st.text(st.characters(max_codepoint=0x2FF)))
def test_where_nothing_is_new_they_are_those_of_the_pattern(text):
    assert pieces(text) == PIECES.findall(text)


@pytest.mark.parametrize("char", ["\U00011240", "\U0001e5d0", "\u1c89", "\U00016d40"])
def test_the_letters_of_unicode_16_are_letters_whatever_regex_knows(char):
    """Khojki (Unicode 15), Ol Onal, Cyrillic and Kirat Rai (16)."""
    assert pieces(f"a{char}b c") == [f"a{char}b", " c"]


def test_what_unicode_16_does_not_have_is_no_letter_though_regex_may_know_it():
    newer = [chr(code) for code in range(0x30000, 0x40000) if not unicode_16()["L"][code]][::1000]
    for char in newer:
        assert pieces(f"a{char}b") == ["a", char, "b"]


def test_the_characters_met_before_do_not_matter():
    one, other = "a\u1c89b \U000110c2", "\U0003ffff ü \u1c89"
    expected = pieces(one), pieces(other), pieces(one + other)
    assert (pieces(one), pieces(other), pieces(one + other)) == expected
    assert pieces("plain") == ["plain"]


@pytest.mark.reference
def test_the_table_is_unicode_16_s():
    pytest.importorskip("unicodedata2", reason=REASON)
    make = runpy.run_path(str(DATA / "make_unicode_classes.py"))
    assert make["TARGET"].read_text(encoding="ascii") == make["table"]()


@pytest.mark.reference
@pytest.mark.slow
@pytest.mark.parametrize("plane", range(4))
def test_every_character_has_the_ids_of_tiktoken_and_of_tokenizers(gpt2, plane):
    for package in ("tiktoken", "tokenizers"):
        pytest.importorskip(package, reason=REASON)
    from tokenizers.pre_tokenizers import ByteLevel

    chars = [char for char in REFERENCE["every_character"]() if ord(char) >> 16 == plane]
    text = "\n".join(REFERENCE["CONTEXTS"].format(char) for char in chars)
    assert gpt2.encode(text) == REFERENCE["tiktoken_gpt2"]().encode_ordinary(text)
    spans = [span for _, span in ByteLevel(add_prefix_space=False).pre_tokenize_str(text)]
    assert pieces(text) == [text[first:last] for first, last in spans]
