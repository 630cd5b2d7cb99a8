import pytest

from gptcompare.display.units import in_bytes, in_letters, scaled


@pytest.mark.parametrize(
    ("n", "text"),
    [(0, "0B"), (1, "1B"), (999, "999B"), (1000, "1kB"), (497_759_232, "498MB"), (6_230_444_800, "6.23GB"),
     (350e9 * 4, "1.4TB"), (5e15, "5000TB")],
)  # fmt: skip
def test_bytes_have_three_digits_and_a_prefix(n, text):
    assert in_bytes(n) == text


def test_counts_have_the_papers_letters():
    assert [in_letters(n) for n in (124_439_808, 1_557_611_200, 175e9)] == ["124M", "1.56B", "175B"]


def test_what_rounds_up_to_a_thousand_has_the_next_prefix():
    assert scaled(999_999, " kM") == "1M"
    assert (in_bytes(999_600), in_bytes(999_400), in_bytes(999)) == ("1MB", "999kB", "999B")
