import hashlib

import numpy as np
import pytest
from support.models import log_softmax64
from support.places import ALICE, STORY_FOLDER
from support.published_tasks import lambada, wikitext, write_lines

import gptcompare as gc
from gptcompare.checkpoints import DownloadError
from gptcompare.evaluation import evaluate
from gptcompare.verification import Record, verify
from gptcompare.verification.data_quantities import DataFiles, overlapping_windows, perplexity_of_wikitext

ABOUT = {"model": "story", "tolerance": "none given", "by": "us", "source": "here"}
NUMBERS = {"expected": [1.0], "absolute": 1e300, "relative": 0.0}
LAMBADA = Record(**ABOUT, **NUMBERS, id="0", quantity="task", given={"task": "lambada", "metric": "accuracy, %"})
PIQA = Record(**ABOUT, **NUMBERS, id="1", quantity="task", given={"task": "piqa", "metric": "accuracy, %"})
VERDICT = Record(
    **ABOUT, **NUMBERS, id="2", quantity="loss of a text file",
    given={"file": "the-verdict.txt", "characters": [0, 900], "window": 20, "ids_sha256": ""},
)  # fmt: skip


def as_on_the_page_of_transformers(logits_of, ids, max_length, stride):
    """docs/source/en/perplexity.md of transformers: labels of -100 count for nothing, and the model shifts them."""
    nll_sum, n_tokens, prev_end_loc = 0.0, 0, 0
    for begin_loc in range(0, len(ids), stride):
        end_loc = min(begin_loc + max_length, len(ids))
        trg_len = end_loc - prev_end_loc
        input_ids = ids[begin_loc:end_loc]
        target_ids = np.array(input_ids)
        target_ids[:-trg_len] = -100
        rows, labels = log_softmax64(logits_of(input_ids))[:-1], target_ids[1:]
        counted = labels != -100
        neg_log_likelihood = -rows[np.arange(len(labels)), labels][counted].mean()
        num_loss_tokens = (target_ids != -100).sum() - 1
        nll_sum += neg_log_likelihood * num_loss_tokens
        n_tokens += num_loss_tokens
        prev_end_loc = end_loc
        if end_loc == len(ids):
            break
    return np.exp(nll_sum / n_tokens)


@pytest.fixture(scope="module")
def exact():
    """In float64, so that it does not matter how many ids are read at once."""
    return gc.LanguageModel(gc.GPT.from_pretrained(STORY_FOLDER, dtype=np.float64), gc.load(STORY_FOLDER).tokenizer)


@pytest.fixture
def short_wikitext(tmp_path):
    path = wikitext(tmp_path)
    path.write_text(path.read_text(encoding="utf-8")[:500], encoding="utf-8")
    return path


def ids_of_wikitext(lm, path):
    rows = [line if line.strip() else "" for line in path.read_text(encoding="utf-8").splitlines(keepends=True)]
    return lm.prompt_ids("\n\n".join(rows))


@pytest.mark.parametrize(("window", "stride"), [(32, 32), (32, 16), (40, 17)])
def test_the_perplexity_in_windows_is_that_of_transformers_page(window, stride, exact, short_wikitext):
    ids = ids_of_wikitext(exact, short_wikitext)
    assert len(ids) > 3 * window
    expected = as_on_the_page_of_transformers(exact.model, ids, window, stride)
    found = perplexity_of_wikitext(exact, DataFiles(short_wikitext.parent), window, stride, whole_windows=False)
    assert found == [pytest.approx(expected, rel=1e-10)]


def test_the_perplexity_in_whole_windows_is_the_exponential_of_the_mean_of_their_losses(exact, short_wikitext):
    """As IST-DASLab/gptq has it: what does not fill a window is dropped, and all windows count alike."""
    ids = ids_of_wikitext(exact, short_wikitext)
    losses = []
    for start in range(0, len(ids) // 30 * 30, 30):
        window = np.array(ids[start : start + 30])
        losses.append(-log_softmax64(exact.model(window))[np.arange(29), window[1:]].mean())
    found = perplexity_of_wikitext(exact, DataFiles(short_wikitext.parent), 30, 30, whole_windows=True)
    assert found == [pytest.approx(np.exp(np.mean(losses)), rel=1e-10)]


@pytest.mark.parametrize("n_ids", [1, 2, 5, 31, 32, 33, 64, 100])
def test_windows_predict_each_id_once_but_the_first_of_the_text_and_of_windows_that_nothing_precedes(n_ids):
    for window, stride in ((8, 8), (8, 4), (8, 3)):
        found = list(overlapping_windows(n_ids, window, stride, whole_windows=False))
        predicted = [start + at for start, end, first in found for at in range(first, end - start)]
        assert len(predicted) == len(set(predicted))
        unpredicted = set(range(n_ids)) - set(predicted)
        assert unpredicted == ({start for start, *_ in found} if stride == window else {0})
        assert all(end - start <= window for start, end, _ in found)
        whole = list(overlapping_windows(n_ids, window, stride, whole_windows=True))
        assert whole == [one for one in found if one.end - one.start == window]


def test_a_task_is_evaluated_once_for_all_its_records(story, tmp_path, monkeypatch):
    lambada(tmp_path)
    asked = []

    def counted(*arguments):
        asked.append(arguments)
        return evaluate(*arguments)

    monkeypatch.setattr("gptcompare.verification.data_quantities.evaluate", counted)
    metrics = ("accuracy, %", "perplexity (lm-eval)")
    records = [Record(**ABOUT, **NUMBERS, id=metric, quantity="task", given={"task": "lambada", "metric": metric})
               for metric in metrics]  # fmt: skip
    rows = verify(story, records=records, with_data=True, data=tmp_path).rows
    result = evaluate(story, "lambada", tmp_path)
    assert [row.got for row in rows] == [[result[metric].value] for metric in metrics]
    assert len(asked) == 1


def test_hellaswag_in_llm_cs_style_is_the_summed_and_the_mean_loss_of_the_endings(story, tmp_path):
    items = [
        {"ctx": "The king sat", "endings": ["down on the old chair", "blue", "tree tree tree"], "label": 0},
        {"ctx": "She ran into", "endings": ["the wood", "the the", "of and under a house"], "label": 1},
    ]
    write_lines(tmp_path / "hellaswag_val.jsonl", items)
    chosen = []
    for item in items:
        losses = []
        for ending in item["endings"]:
            context, end = story.tokenizer.encode(item["ctx"]), story.tokenizer.encode(f" {ending}")
            rows = log_softmax64(story.model(context + end))[len(context) - 1 : -1]
            losses.append(-rows[np.arange(len(end)), end])
        chosen.append([int(np.argmin([one.sum() for one in losses])), int(np.argmin([one.mean() for one in losses]))])
    right = np.array([[item["label"]] * 2 for item in items])
    expected = (100 * (np.array(chosen) == right).mean(axis=0)).tolist()
    records = [
        Record(**ABOUT, **NUMBERS, id=metric, quantity="task", given={"task": "hellaswag-llm.c", "metric": metric})
        for metric in ("accuracy, %", "accuracy (per token), %")
    ]
    rows = verify(story, records=records, with_data=True, data=tmp_path).rows
    assert [row.got[0] for row in rows] == expected


def verdict(lm, folder, window, digest=None):
    text = ALICE.read_text(encoding="utf-8")
    (folder / "the-verdict.txt").write_text(text, encoding="utf-8")
    ids = lm.tokenizer.encode(text[100:900])
    digest = hashlib.sha256(" ".join(map(str, ids)).encode()).hexdigest() if digest is None else digest
    given = {"file": "the-verdict.txt", "characters": [100, 900], "window": window, "ids_sha256": digest}
    return ids, Record(**ABOUT, **NUMBERS, id="0", quantity="loss of a text file", given=given)


def test_the_loss_of_a_text_file_is_the_mean_over_its_whole_windows(story, tmp_path):
    ids, record = verdict(story, tmp_path, 50)
    losses = []
    for start in range(0, len(ids) - 50, 50):
        inputs, targets = ids[start : start + 50], ids[start + 1 : start + 51]
        losses.append(-log_softmax64(story.model(inputs))[np.arange(50), targets].mean())
    [row] = verify(story, records=[record], with_data=True, data=tmp_path).rows
    assert row.got == [pytest.approx(np.mean(losses), rel=1e-12)]


def test_another_text_than_the_recorded_one_is_refused(story, tmp_path):
    _, record = verdict(story, tmp_path, 50, digest="0" * 64)
    with pytest.raises(ValueError, match=r"record 0 of story .*the-verdict\.txt is another text"):
        verify(story, records=[record], with_data=True, data=tmp_path)


def test_records_whose_file_is_not_in_the_folder_are_named_and_not_run(story, tmp_path):
    lambada(tmp_path)
    rows = verify(story, records=[LAMBADA, PIQA, VERDICT], with_data=True, data=tmp_path).rows
    assert [row.agrees for row in rows] == [True, None, None]
    assert "there is no dev.jsonl" in rows[1].missing
    assert "there is no the-verdict.txt" in rows[2].missing


def test_a_folder_with_none_of_the_files_is_refused(story, tmp_path):
    with pytest.raises(ValueError, match="has none of the data files: there is no"):
        verify(story, records=[LAMBADA, PIQA], with_data=True, data=tmp_path)


def test_without_data_what_can_be_downloaded_must_be_and_what_cannot_is_named(story):
    with pytest.raises(DownloadError, match="lambada_test"):
        verify(story, records=[LAMBADA], with_data=True)
    [row] = verify(story, records=[VERDICT], with_data=True).rows
    assert row.missing == "the-verdict.txt must be given as data: it is not downloaded"


def test_data_files_are_asked_for_only_with_all(story):
    logits = Record(**ABOUT, **NUMBERS, id="3", quantity="logits", given={"ids": [1], "positions": [0], "tokens": [2]})
    result = verify(story, records=[LAMBADA, logits])
    assert [row.record for row in result.rows] == [logits]
    assert result.n_not_asked == 1
    with pytest.raises(ValueError, match="all 1 records of story need data files"):
        verify(story, records=[LAMBADA])


def test_a_task_or_metric_that_there_is_not_is_refused_by_the_name_of_the_record(story, tmp_path):
    lambada(tmp_path)
    for given, message in (({"task": "lambda", "metric": "x"}, "did you mean lambada"),
                           ({"task": "lambada", "metric": "x"}, "record 9 of story .*there are accuracy")):  # fmt: skip
        record = Record(**ABOUT, **NUMBERS, id="9", quantity="task", given=given)
        with pytest.raises(ValueError, match=message):
            verify(story, records=[record], with_data=True, data=tmp_path)


def test_the_name_of_a_language_model_is_not_needed_where_all_records_are_of_one(story):
    assert isinstance(story, gc.LanguageModel)
    assert verify(story, records=[VERDICT], with_data=True).model == "story"
