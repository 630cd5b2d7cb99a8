import random
from dataclasses import replace

import pytest
from support.amounts import few_or_many
from support.damage import damaged

from gptcompare.training import Metrics, read_metrics
from gptcompare.training.metrics import COLUMNS, METRICS, cut_off

LINES = [Metrics(n, 96 * n, 5.5 / n, 1e-3 / n, 0.1 * n, 1234.5 + n, 4.5 if n % 7 == 0 else None) for n in range(1, 31)]
HEADER = ",".join(COLUMNS).encode() + b"\n"
WHOLE = HEADER + b"".join(line.to_line() for line in LINES)


def folder_with(tmp_path, content):
    (tmp_path / METRICS).write_bytes(content)
    return tmp_path


def kept_beside(folder):
    return [path.read_bytes() for path in folder.glob("metrics.damaged-*.csv")]


def test_lines_are_read_as_they_were_written(tmp_path):
    assert read_metrics(folder_with(tmp_path, WHOLE)) == LINES
    assert cut_off(tmp_path, 30) == LINES
    assert (tmp_path / METRICS).read_bytes() == WHOLE
    assert kept_beside(tmp_path) == []


def test_no_file_has_no_lines_and_no_folder_is_refused(tmp_path):
    assert read_metrics(tmp_path) == []
    assert cut_off(tmp_path, 0) == []
    assert (tmp_path / METRICS).read_bytes() == HEADER
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        read_metrics(tmp_path / "none")


@few_or_many("step", 7, 1)
def test_a_line_that_a_kill_cut_is_left_out(tmp_path, step):
    for n in range(len(HEADER), len(WHOLE), step):
        whole = WHOLE[:n].count(b"\n") - 1
        assert read_metrics(folder_with(tmp_path, WHOLE[:n])) == LINES[:whole]
        assert cut_off(tmp_path, whole) == LINES[:whole]
        assert (tmp_path / METRICS).read_bytes() == HEADER + b"".join(line.to_line() for line in LINES[:whole])
    assert kept_beside(tmp_path) == []


def test_lines_behind_the_saved_step_are_cut_off(tmp_path):
    assert cut_off(folder_with(tmp_path, WHOLE), 12) == LINES[:12]
    assert read_metrics(tmp_path) == LINES[:12]
    assert kept_beside(tmp_path) == []


@pytest.mark.parametrize(
    "line",
    [b"3;288,1,1,1,1,", b"3,288,1,1,1,\0,", b"3,288,1\r,1,1,1,", b'"3,288,1,1,1,1,', b"\xff", b"", b"3", b"3,288,,,,,",
     b"nan,288,1,1,1,1,", b"1_0,288,1.0,1.0,1.0,1.0,", b"[" * 50_000, b"30003,288,1.0,1.0,1.0,1.0,",
     b"1,288,1.0,1.0,1.0,1.0,", b"9" * 5000 + b",288,1.0,1.0,1.0,1.0,"],
    ids=["semicolon", "NUL", "CR", "quote", "bytes", "empty", "short", "no numbers", "nan", "underscore", "deep",
         "high step", "low step", "long number"],
)  # fmt: skip
def test_a_damaged_line_costs_no_other_line_and_the_file_is_kept_beside(tmp_path, line):
    """A quote once made the rest of the file one field, and a bad line once ended what was read."""
    content = WHOLE.replace(LINES[2].to_line(), line + b"\n")
    others = LINES[:2] + LINES[3:]
    assert read_metrics(folder_with(tmp_path, content)) == others
    assert cut_off(tmp_path, 30) == others
    assert read_metrics(tmp_path) == others
    assert kept_beside(tmp_path) == [content]


@pytest.mark.parametrize("first", [b"", b"step\n", b"\xef\xbb\xbf" + HEADER], ids=["cut", "other", "BOM"])
def test_a_damaged_header_costs_no_line(tmp_path, first):
    content = (first or HEADER[4:]) + b"".join(line.to_line() for line in LINES)
    assert cut_off(folder_with(tmp_path, content), 30) == LINES
    assert kept_beside(tmp_path) == [content]


def test_saved_lines_whose_end_is_gone_are_kept_beside(tmp_path):
    content = WHOLE[:-40]
    assert cut_off(folder_with(tmp_path, content), 30) == LINES[: content.count(b"\n") - 1]
    assert kept_beside(tmp_path) == [content]


@few_or_many("n", 100, 5000)
def test_any_damage_costs_the_lines_that_it_touches_and_no_other(tmp_path, n):
    rng = random.Random(0)
    for _ in range(n):
        content = damaged(WHOLE, rng)
        found = read_metrics(folder_with(tmp_path, content))
        assert found == sorted(found, key=lambda line: line.step)
        assert [line for line in LINES if b"\n" + line.to_line() in content and line not in found] == []


def test_a_number_of_numpy_s_is_written_as_python_s(tmp_path):
    np = pytest.importorskip("numpy")
    line = replace(LINES[0], loss=np.float64(0.1))
    assert read_metrics(folder_with(tmp_path, HEADER + line.to_line())) == [line]
