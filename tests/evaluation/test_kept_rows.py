import contextlib
import json
import multiprocessing
import os

import pytest

from gptcompare.evaluation.kept_rows import RESULT, ROWS, kept_rows, write_result

IDENTITY = {"task": "lambada", "settings": {"limit": None, "seed": 0}, "data": [{"sha256": "00"}]}
ROW = {"logprob": -1.2345678901234567, "is_greedy": True, "answer": "naïve \n"}


def lines(folder):
    return [json.loads(line) for line in (folder / ROWS).read_text().splitlines()]


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


@pytest.mark.parametrize("line", [{"logprob": 1.0}, {"item": "1"}, {"item": None}, {"item": 1.0}, {"item": True}])
def test_a_line_without_the_number_of_an_item_ends_what_is_known(tmp_path, line):
    with kept_rows(tmp_path, IDENTITY) as kept:
        kept.add([0], [ROW])
    with open(tmp_path / ROWS, "a") as file:
        file.write(json.dumps(line) + "\n" + json.dumps({"item": 2, **ROW}) + "\n")
    with kept_rows(tmp_path, IDENTITY) as kept:
        assert kept.found == {0: ROW}


@pytest.mark.parametrize("content", [b"", b"\n", b"{", b"[1]\n", b"\xff\n"])
def test_a_file_of_something_else_is_not_written_over(tmp_path, content):
    (tmp_path / ROWS).write_bytes(content)
    with pytest.raises(ValueError, match="another evaluation"), kept_rows(tmp_path, IDENTITY):
        pass
    assert (tmp_path / ROWS).read_bytes() == content


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
