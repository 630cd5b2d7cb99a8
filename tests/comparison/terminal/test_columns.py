import io
import os
import re

import pyte
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.amounts import examples

import gptcompare as gc
from gptcompare.comparison.sides import describe
from gptcompare.comparison.terminal.columns import LiveColumns, fits, rows
from gptcompare.comparison.terminal.summary import speeds
from gptcompare.comparison.writers import load_models
from gptcompare.display.text_width import width

HEADERS = [("left", "4 layers"), ("right", "4 layers, and a long description of it")]
WORDS = st.sampled_from(
    ["a", " word", " Schifffahrt", "\n", "\n\n", " 雪", "雪", "🐇", " naïve", "—", " x" * 30, "\t", "é"]
)


class Terminal(io.StringIO):
    """What LiveColumns writes, shown by an emulator; the rows that scrolled away are kept."""

    def __init__(self, columns, lines):
        super().__init__()
        self.size = os.terminal_size((columns, lines))
        self.screen = pyte.HistoryScreen(columns, lines, history=100_000, ratio=0.5)
        self.screen.set_mode(pyte.modes.LNM)  # as the driver of a terminal turns \n into \r\n
        self.stream = pyte.Stream(self.screen)
        self.n_writes = 0
        self.interrupted_write = None  # the number of the write that Ctrl-C ends when the text has been taken

    def write(self, text):
        self.stream.feed(text)
        self.n_writes += 1
        if self.n_writes - 1 == self.interrupted_write:
            raise KeyboardInterrupt
        return len(text)

    def resize(self, columns, lines):
        self.size = os.terminal_size((columns, lines))
        self.screen.resize(lines, columns)

    def rows(self):
        """All rows down to the last that is not empty."""
        gone = ["".join(line[n].data for n in range(self.size.columns)).rstrip() for line in self.screen.history.top]
        return [*gone, *(line.rstrip() for line in self.screen.display)]


def trimmed(lines):
    while lines and not lines[-1]:
        lines = lines[:-1]
    return lines


def grow(terminal, steps, resize=None, end_after=None, shade=0):
    """Let two texts grow by turns, the first perhaps not to the end; returns them."""
    columns = LiveColumns(terminal, HEADERS, "", lambda: terminal.size)
    texts = ["", ""]
    write(columns, texts, steps, resize and (lambda: terminal.resize(*resize)), end_after, shade)
    return texts


def write(columns, texts, steps, in_the_middle=None, end_after=None, shade=0):
    """The steps, into columns and into texts, all in one shade."""
    for n, (number, piece) in enumerate(steps):
        if end_after is not None and n >= end_after:
            columns.end(0)
            number = 1
        texts[number] += piece
        columns.add(number, piece, [shade] * len(piece))
        columns.draw()
        if in_the_middle and n == len(steps) // 2:
            in_the_middle()
    columns.finish()


def colours(terminal):
    """Colour of each character that is not a space, from the first row to the last."""
    gone = [[line[n] for n in range(terminal.size.columns)] for line in terminal.screen.history.top]
    there = [[terminal.screen.buffer[y][x] for x in range(terminal.size.columns)] for y in range(terminal.size.lines)]
    return [(cell.data, cell.fg) for line in [*gone, *there] for cell in line if cell.data.strip()]


STEPS = st.lists(st.tuples(st.integers(0, 1), WORDS), max_size=60)


class TestRows:
    @pytest.mark.parametrize("n_cells", [60, 80, 200])
    @given(texts=st.tuples(*[st.lists(WORDS, max_size=20).map("".join)] * 2))
    @settings(max_examples=examples(25))
    def test_no_row_is_wider_than_asked_for_and_the_columns_stand_below_each_other(self, n_cells, texts):
        lines = rows(HEADERS, texts, n_cells)
        assert all(width(line) <= n_cells for line in lines)
        column = (n_cells - 3) // 2
        assert all("│" in line for line in lines)
        assert {width(line[: line.index("│")]) for line in lines} == {column + 1}

    def test_every_word_of_both_texts_is_there(self):
        lines = rows(HEADERS, ["Once upon a time", "there was"], 60)
        assert lines[-1].split("│")[0].strip() == "Once upon a time"
        assert lines[-1].split("│")[1].strip() == "there was"

    @pytest.mark.parametrize(
        ("n_columns", "n_cells", "fit"), [(2, 51, True), (2, 50, False), (3, 78, True), (3, 77, False)]
    )
    def test_columns_fit_from_24_cells_on(self, n_columns, n_cells, fit):
        assert fits(n_columns, n_cells) == fit


class TestLiveColumns:
    @given(STEPS, st.sampled_from([(60, 24), (81, 10), (200, 50), (60, 3), (60, 2)]), st.none() | st.integers(0, 40))
    @settings(max_examples=examples(60), deadline=None)
    def test_what_stands_on_the_terminal_at_the_end_is_the_finished_columns(self, steps, size, end_after):
        terminal = Terminal(*size)
        texts = grow(terminal, steps, end_after=end_after)
        assert trimmed(terminal.rows()) == trimmed(rows(HEADERS, texts, size[0]))

    @given(STEPS, st.sampled_from([((60, 24), (80, 24)), ((200, 30), (60, 12)), ((80, 8), (80, 30))]))
    @settings(max_examples=examples(40), deadline=None)
    def test_after_a_resize_everything_is_drawn_again_for_the_new_window(self, steps, sizes):
        before, after = sizes
        terminal = Terminal(*before)
        texts = grow(terminal, steps, after)
        expected = trimmed(rows(HEADERS, texts, after[0]))
        if steps:
            assert trimmed(terminal.rows())[-len(expected) :] == expected

    @given(STEPS, st.sampled_from([(60, 24), (81, 10), (60, 3)]), st.data())
    @settings(max_examples=examples(40), deadline=None)
    def test_colours_move_no_character_and_each_word_keeps_its_own(self, steps, size, data):
        terminal = Terminal(*size)
        columns, texts, shades = LiveColumns(terminal, HEADERS, "", lambda: terminal.size), ["", ""], [[], []]
        for number, piece in steps:
            of_piece = [data.draw(st.integers(0, 4))] * len(piece)
            texts[number] += piece
            shades[number] += of_piece
            columns.add(number, piece, of_piece)
            columns.draw()
        columns.finish()
        assert trimmed(terminal.rows()) == trimmed(rows(HEADERS, texts, size[0]))
        whole = Terminal(size[0], 500)
        whole.write("\n".join(rows(HEADERS, texts, size[0], shades)))
        assert colours(terminal) == colours(whole)

    def test_a_word_has_the_colour_of_its_surprise_wherever_the_line_breaks(self):
        words = [(f" w{n}", n % 5) for n in range(40)]
        terminal = Terminal(60, 40)
        columns = LiveColumns(terminal, HEADERS, "", lambda: terminal.size)
        for word, shade in words:
            columns.add(0, word, [shade] * len(word))
            columns.draw()
        columns.finish()
        found = colours(terminal)
        shown = "".join(character for character, _ in found if character not in "│─")
        of_w = [fg for character, fg in found if character == "w" and fg != "default"]
        assert shown.endswith("".join(word.strip() for word, _ in words))
        assert len(of_w) == sum(shade != 0 for _, shade in words)
        assert of_w[:4] == of_w[4:8]
        assert len({*of_w}) == 4

    def test_a_text_that_is_ahead_by_more_than_a_window_is_there_at_the_end(self):
        terminal = Terminal(60, 8)
        texts = grow(terminal, [(0, f"line {n}\n") for n in range(40)] + [(1, "one line")])
        assert trimmed(terminal.rows()) == trimmed(rows(HEADERS, texts, 60))

    def test_a_row_that_has_not_changed_is_not_written_again(self):
        terminal = Terminal(60, 24)
        written = []
        columns = LiveColumns(terminal, HEADERS, "first line\nsecond", lambda: terminal.size)
        columns.draw()
        original = terminal.write
        terminal.write = lambda text: written.append(text) or original(text)
        columns.add(0, " word")
        columns.draw()
        assert "word" in "".join(written)
        assert "first" not in "".join(written)

    def test_nothing_new_writes_nothing(self):
        terminal = Terminal(60, 24)
        columns = LiveColumns(terminal, HEADERS, "a", lambda: terminal.size)
        columns.draw()
        terminal.write = lambda text: pytest.fail(f"wrote {text!r}")
        columns.draw()

    @pytest.mark.parametrize(("lines", "shade"), [(24, 0), (6, 0), (2, 0), (6, 3)])
    def test_ctrl_c_in_any_write_that_a_slow_terminal_lets_wait_leaves_every_row_there_once(self, lines, shade):
        steps = [(n % 3 // 2, f" word-{n}" + "\n" * (n % 5 == 4)) for n in range(24)]
        whole = Terminal(60, lines)
        grow(whole, steps, shade=shade)
        for number in range(whole.n_writes):
            terminal = Terminal(60, lines)
            terminal.interrupted_write = number
            columns, texts = LiveColumns(terminal, HEADERS, "", lambda terminal=terminal: terminal.size), ["", ""]
            with pytest.raises(KeyboardInterrupt):
                write(columns, texts, steps, shade=shade)
            columns.finish()
            assert trimmed(terminal.rows()) == trimmed(rows(HEADERS, texts, 60)), number
            assert terminal.screen.cursor.attrs.fg == "default"

    def test_a_line_is_cleared_before_it_is_written(self):
        """Behind the last cell of a full row, xterm would clear that cell."""
        terminal = Terminal(53, 24)
        written = []
        terminal.write = written.append
        grow(terminal, [(1, "x" * 30)])
        assert not [text for text in written if re.search(r"\S *\x1b\[K", text)]

    def test_control_characters_of_a_model_do_not_reach_the_terminal(self):
        terminal = Terminal(60, 24)
        grow(terminal, [(0, "safe\x1b[2J\x1b]0;title\x07"), (1, "\x9b31m")])
        assert "safe␛[2J␛]0;title␇" in terminal.rows()[4]


@pytest.fixture(scope="module")
def compared():
    return gc.compare("Once upon a time", max_new_tokens=20)


class TestSummary:
    def test_it_has_the_numbers_of_the_comparison(self, compared):
        lines = compared.summary().splitlines()
        cells = {line.split("  ")[0].strip(): line.split()[-2:] for line in lines[:6]}
        assert cells["tokens"] == ["20", "20"]
        assert cells["mean log-probability"] == [f"{side.mean_logprob:.3f}" for side in compared.sides]
        for side, reading in zip(compared.sides, compared.readings, strict=True):
            assert cells[f"perplexity of {side.name}'s text"] == [f"{x:.2f}" for x in reading.perplexity]

    def test_it_says_where_the_texts_part_and_how_far_the_models_agree(self, compared):
        text = " ".join(compared.summary().split())
        parting = compared.parting
        assert ("The texts part at once: " if parting.position == 0 else f"after {parting.position} token") in text
        for token, margin in zip(parting.tokens, parting.margins, strict=True):
            shown = repr(token.decode()).replace(" ", "␣")
            assert f"{shown} ({margin:+.2f})" in text
        for reading in compared.readings:
            assert f"agree at {sum(reading.same_top)} of 20 positions" in text
            assert f"divergence is {sum(reading.divergence) / 20:.3f} bits in the mean" in text

    def test_equal_texts_are_said_to_be_the_same(self):
        lm = gc.load("nano-gpt2")
        assert "The texts are the same." in gc.compare("Once", {"a": lm, "b": lm}, max_new_tokens=5).summary()

    def test_of_one_model_nothing_is_compared(self):
        text = gc.compare("Once", ["nano-gpt2"], max_new_tokens=5).summary()
        assert "tokens" in text
        assert "The texts" not in text
        assert "likeliest" not in text

    def test_models_with_other_vocabularies_are_compared_by_bits_per_byte(self, story):
        comparison = gc.compare("Once", {"story": story, "nano": gc.load("nano-gpt2")}, max_new_tokens=5)
        text = " ".join(comparison.summary().split())
        assert "bits per byte of story's text" in text
        assert "perplexity of" not in text
        assert "different vocabularies" in text
        assert "different vocabularies" in gc.compare_text("Once", load_models([story, gc.load("nano-gpt2")])).to_text()

    def test_nothing_written_has_dashes_in_the_place_of_numbers(self):
        comparison = gc.compare("Once", max_new_tokens=0)
        assert "–" in comparison.summary()
        assert speeds(comparison.sides).split()[-2:] == ["–", "–"]


def test_a_text_s_summary_has_its_numbers():
    comparison = gc.compare_text("The king had three daughters.")
    text = comparison.to_text()
    for number in (*comparison.reading.bits_per_byte,):
        assert f"{number:.3f}" in text
    assert f"agree at {sum(comparison.reading.same_top)} of" in text


def test_of_one_model_alone_nothing_is_compared():
    text = gc.compare_text("The king had three daughters.", models=("nano-gpt2",)).to_text()
    assert "bits per byte" in text
    assert "models" not in text


def test_a_description_has_the_table_s_numbers():
    assert describe(gc.GPTConfig.preset("gpt3-175b")) == (
        "96 layers, width 12288, 96 heads of 128, dense/banded attention, band 256, context 2048, 175B parameters"
    )
