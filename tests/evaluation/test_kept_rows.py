import contextlib
import json
import multiprocessing
import os

import pytest

from gptcompare.evaluation.kept_rows import RESULT, ROWS, kept_rows, write_result

IDENTITY = {"task": "lambada", "settings": {"limit": None, "seed": 0}, "data": [{"sha256": "00"}]}
ROW = {"logprob": -1.2345678901234567, "is_greedy": True, "answer": "naïve \n"}


def lines(folder):
    """Without the checks."""
    found = [json.loads(line) for line in (folder / ROWS).read_text().splitlines()]
    assert all(len(line.pop("check")) == 16 for line in found)
    return found


def test_a_later_try_finds_what_the_earlier_ones_found(tmp_path):
    with kept_rows(tmp_path / "run", IDENTITY) as kept:
        assert kept.found == {}
        kept.add([5, 2], [ROW, {"logprob": 0.0}])
    with kept_rows(tmp_path / "run", IDENTITY) as kept:
        assert kept.found == {5: ROW, 2: {"logprob": 0.0}}
        kept.add([0], [ROW])
    assert lines(tmp_path / "run") == [IDENTITY, {"item": 5, **ROW}, {"item": 2, "logprob": 0.0}, {"item": 0, **ROW}]


def test_what_was_found_is_on_the_disk_at_once(tmp_path):
    with contextlib.suppress(KeyboardInterrupt), kept_rows(tmp_path, IDENTITY) as kept:
        kept.add([1], [ROW])
        assert lines(tmp_path)[1:] == [{"item": 1, **ROW}]
        raise KeyboardInterrupt
    with kept_rows(tmp_path, IDENTITY) as kept:
        assert kept.found == {1: ROW}


@pytest.mark.parametrize("n_bytes", range(1, 60, 7))
def test_a_line_that_a_kill_has_cut_costs_only_itself(tmp_path, n_bytes):
    with kept_rows(tmp_path, IDENTITY) as kept:
        kept.add([0, 1], [ROW, ROW])
    content = (tmp_path / ROWS).read_bytes()
    (tmp_path / ROWS).write_bytes(content[:-n_bytes])
    with kept_rows(tmp_path, IDENTITY) as kept:
        assert kept.found in ({0: ROW}, {0: ROW, 1: ROW})
        assert 1 in kept.found or n_bytes > 1
        kept.add([1], [ROW])
    assert lines(tmp_path) == [IDENTITY, {"item": 0, **ROW}, {"item": 1, **ROW}] + [{"item": 1, **ROW}] * (n_bytes == 1)


@pytest.mark.parametrize(
    ("changed", "named"), [({"task": "piqa"}, "task"), ({"settings": {"limit": 3, "seed": 0}}, "settings")]
)
def test_another_evaluation_is_not_mixed_with_it(tmp_path, changed, named):
    with kept_rows(tmp_path, IDENTITY) as kept:
        kept.add([0], [ROW])
    before = (tmp_path / ROWS).read_bytes()
    with (
        pytest.raises(ValueError, match=rf"is from another evaluation \(it differs in {named}\): give another folder"),
        kept_rows(tmp_path, {**IDENTITY, **changed}),
    ):
        pass
    assert (tmp_path / ROWS).read_bytes() == before


@pytest.mark.parametrize(
    "line",
    [b"{}", b'{"item": 1, "logprob": -1.0}', b'{"item": "1"}', b"[" * 100_000, b"\xff", b"", b"[1]", b"9" * 5000],
    ids=["empty", "no check", "text", "deep", "bytes", "nothing", "list", "long number"],
)  # fmt: skip
def test_a_line_that_is_not_as_it_was_written_costs_only_itself(tmp_path, line):
    with kept_rows(tmp_path, IDENTITY) as kept:
        kept.add([0, 1, 2], [ROW, ROW, ROW])
    first, zero, one, two, end = (tmp_path / ROWS).read_bytes().split(b"\n")
    (tmp_path / ROWS).write_bytes(b"\n".join([first, zero, line, two, end]))
    with kept_rows(tmp_path, IDENTITY) as kept:
        assert kept.found == {0: ROW, 2: ROW}
    (tmp_path / ROWS).write_bytes(b"\n".join([first, zero, one.replace(b"logprob", b"logprop"), two, end]))
    with kept_rows(tmp_path, IDENTITY) as kept:
        assert kept.found == {0: ROW, 2: ROW}
    assert lines(tmp_path) == [IDENTITY, {"item": 0, **ROW}, {"item": 2, **ROW}]


def test_an_altered_byte_never_makes_another_row(tmp_path):
    with kept_rows(tmp_path, IDENTITY) as kept:
        kept.add([7], [ROW])
    first, row, _ = (tmp_path / ROWS).read_bytes().split(b"\n")
    for place in range(len(row)):
        altered = row[:place] + bytes([row[place] ^ 1]) + row[place + 1 :]
        (tmp_path / ROWS).write_bytes(first + b"\n" + altered + b"\n")
        with kept_rows(tmp_path, IDENTITY) as kept:
            assert kept.found in ({}, {7: ROW})  # the digits of a number may be more than it needs


def test_rows_of_an_earlier_version_are_not_mixed_with_ours(tmp_path):
    (tmp_path / ROWS).write_text(json.dumps({"task": "lambada"}) + "\n" + json.dumps({"item": 0, **ROW}) + "\n")
    with (
        pytest.raises(ValueError, match=r"another evaluation \(it differs in version\)"),
        kept_rows(tmp_path, {"version": "1.0", "task": "lambada"}),
    ):
        pass


@pytest.mark.parametrize("content", [b"", b"\n", b"{", b"[1]\n", b"\xff\n"])
def test_a_file_of_something_else_is_not_written_over(tmp_path, content):
    (tmp_path / ROWS).write_bytes(content)
    with pytest.raises(ValueError, match=r"items\.jsonl, line 1: damaged, so nobody"), kept_rows(tmp_path, IDENTITY):
        pass
    assert (tmp_path / ROWS).read_bytes() == content


def test_a_result_of_something_else_is_not_written_over(tmp_path):
    (tmp_path / RESULT).write_bytes(b"mine")
    with (
        pytest.raises(ValueError, match=r"result\.json is of something else, as there is no items\.jsonl beside it"),
        kept_rows(tmp_path, IDENTITY),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [RESULT]
    assert (tmp_path / RESULT).read_bytes() == b"mine"


def _hold(folder, holding, end):
    with kept_rows(folder, IDENTITY):
        holding.set()
        end.wait(30)


@pytest.mark.skipif(os.name == "nt", reason="processes are started with fork")
def test_two_processes_do_not_write_to_one_folder(tmp_path):
    context = multiprocessing.get_context("fork")
    holding, end = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(tmp_path, holding, end))
    other.start()
    try:
        assert holding.wait(30)
        with pytest.raises(ValueError, match="another process is evaluating in"), kept_rows(tmp_path, IDENTITY):
            pass
    finally:
        end.set()
        other.join()


def test_without_a_folder_rows_are_kept_in_memory_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with kept_rows(None, IDENTITY) as kept:
        kept.add([3], [ROW])
        assert kept.found == {3: ROW}
    assert not list(tmp_path.iterdir())


def test_a_result_is_json_that_is_always_whole(tmp_path):
    write_result(tmp_path, {"metrics": [1.5]})
    write_result(tmp_path, {"metrics": [2.5]})
    assert json.loads((tmp_path / RESULT).read_text()) == {"metrics": [2.5]}
    assert [path.name for path in tmp_path.iterdir()] == [RESULT]
