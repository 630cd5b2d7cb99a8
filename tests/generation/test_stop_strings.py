from hypothesis import given
from hypothesis import strategies as st

from gptcompare.generation.stop_strings import StopStrings

ABC = st.text("abc", max_size=12)


@given(st.lists(ABC), st.lists(st.text("abc", min_size=1, max_size=4), max_size=3))
def test_the_text_ends_before_the_first_stop_string_however_it_is_cut(pieces, stops):
    """The first to be complete, that is: a longer stop string may begin before a shorter one that ends earlier."""
    scanner, shown, stopped = StopStrings(stops), "", False
    for piece in pieces:
        certain, stopped = scanner.push(piece)
        shown += certain
        if stopped:
            break
        assert not any(stop in shown for stop in stops)
    if not stopped:
        shown += scanner.rest()
        assert shown == "".join(pieces)
    else:
        rest = "".join(pieces)[len(shown) :]
        assert any(rest.startswith(stop) for stop in stops)
    assert not any(stop in shown for stop in stops)


@given(ABC, st.lists(st.text("abc", min_size=1, max_size=4), max_size=3))
def test_where_the_text_ends_does_not_depend_on_the_pieces_it_comes_in(text, stops):
    def shown(pieces):
        scanner, found = StopStrings(stops), ""
        for piece in pieces:
            certain, stopped = scanner.push(piece)
            found += certain
            if stopped:
                return found, True
        return found + scanner.rest(), False

    assert shown([text]) == shown(text)


def test_of_stop_strings_that_overlap_the_one_that_ends_first_counts():
    assert StopStrings(["abcd", "bc"]).push("abcd") == ("a", True)
    assert StopStrings(["bc", "abc"]).push("abcd") == ("", True)


def test_text_that_cannot_begin_a_stop_string_is_not_held_back():
    assert StopStrings(["\n\n"]).push("all of this") == ("all of this", False)


def test_only_what_may_begin_a_stop_string_is_held_back():
    scanner = StopStrings(["END", "NN"])
    assert scanner.push("the EN") == ("the ", False)
    assert scanner.push("N") == ("E", True)
