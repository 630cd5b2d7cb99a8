"""EleutherAI's lm-evaluation-harness runs its own tasks on the folder of a model of ours and on the files that we read.

Of its task definitions nothing is changed but where the data come from.
"""

import json
import socket
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support.harness_files import write_files
from support.models import random_model
from support.places import REASON

import gptcompare as gc
from gptcompare.evaluation import TASKS, Settings, evaluate
from gptcompare.generation.scoring import windows
from gptcompare.presets.record import ACCURACY, BITS_PER_BYTE, HARNESS_PERPLEXITY, PER_CHARACTER, PERPLEXITY

pytestmark = [pytest.mark.reference, pytest.mark.filterwarnings("ignore")]

# Our name of a task -> the harness's, the folder of its definition, its split, and the file that it reads.
OF_HARNESS = {
    "lambada": ("lambada_openai", "lambada", "test", "lambada.jsonl"),
    "hellaswag": ("hellaswag", "hellaswag", "validation", "hellaswag.jsonl"),
    "piqa": ("piqa", "piqa", "validation", "piqa.jsonl"),
    "winogrande": ("winogrande", "winogrande", "validation", "winogrande.jsonl"),
    "wikitext-2": ("wikitext", "wikitext", "test", "pages.jsonl"),
}
CHOOSING = ["hellaswag", "piqa", "winogrande"]
YAML = {"winogrande": "default"}  # where the definition's file has another name than the task
SHOTS = 3
N_CTX = 96  # of the random model: some prompts are cut, some are not


def close(value):
    """Sums of float32 in another order; the second bound is that of a probability near 1."""
    return pytest.approx(value, rel=1e-5, abs=2e-5)


@pytest.fixture(scope="module")
def harness(torch, transformers):
    """The modules of the harness. While it is in use, nobody can connect to anything."""
    pytest.importorskip("datasets", reason=REASON)
    pytest.importorskip("lm_eval.models.huggingface", reason=REASON)
    names = ("evaluator", "tasks", "utils", "api.instance", "api.samplers", "models.huggingface")
    modules = {name.rpartition(".")[2]: import_module(f"lm_eval.{name}") for name in names}
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, _no_connection)
        patch.setattr(socket, "getaddrinfo", _no_connection)
        # What it notes of the machine for its record takes seconds to find out, and a question to the hub.
        patch.setattr(modules["evaluator"], "add_env_info", lambda results: None)
        patch.setattr(modules["huggingface"].HFLM, "get_model_info", lambda self: {})
        n_threads = torch.get_num_threads()
        torch.set_num_threads(1)  # matrices as small as these are only slower with more
        yield SimpleNamespace(**modules)
        torch.set_num_threads(n_threads)


def _no_connection(*args, **kwargs):
    raise AssertionError(f"there is no need to connect to anything: {args}")


@pytest.fixture(scope="module", params=["random", "nano-gpt2"])
def lm(request, story):
    if request.param == "nano-gpt2":
        return gc.load("nano-gpt2")
    lm = random_model(story, n_ctx=N_CTX)  # whose wide weights blow the rounding of float32 up
    return gc.LanguageModel(gc.GPT(lm.config, lm.model.parameters(), dtype=np.float64), lm.tokenizer)


@pytest.fixture(scope="module")
def files(lm, tmp_path_factory):
    return write_files(tmp_path_factory.mktemp("files"), lm)


@pytest.fixture(scope="module")
def theirs(harness, lm, tmp_path_factory):
    """The model as the harness loads it from our folder."""
    folder = tmp_path_factory.mktemp("model")
    lm.model.save_pretrained(folder)
    lm.tokenizer.save_pretrained(folder)
    return harness.huggingface.HFLM(pretrained=str(folder), device="cpu", dtype=lm.model.dtype.name, batch_size=8)


@pytest.fixture(scope="module")
def manager(harness, files, tmp_path_factory):
    """What the harness finds its tasks with, on our files."""
    folder, definitions = tmp_path_factory.mktemp("tasks"), Path(harness.tasks.__file__).parent
    for ours, (name, where, split, file) in OF_HARNESS.items():
        path = str(files[ours].with_name(file))
        definition = {
            "include": str(definitions / where / f"{YAML.get(name, name)}.yaml"),
            "task": name,
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"train": path, split: path}, "cache_dir": str(folder / "cache")},
        }
        (folder / f"{name}.yaml").write_text(json.dumps(definition))  # which YAML can read
    return harness.tasks.TaskManager(include_path=str(folder), include_defaults=False)


@pytest.fixture(scope="module")
def run(harness, theirs, manager):
    """The harness itself, from the task to the numbers."""

    def run(tasks, shots):
        found = harness.evaluator.simple_evaluate(
            model=theirs, tasks=tasks, num_fewshot=shots, task_manager=manager, log_samples=True, bootstrap_iters=0
        )
        for samples in found["samples"].values():
            samples.sort(key=lambda sample: sample["doc_id"])
        return found

    return run


@pytest.fixture(scope="module")
def zero_shot(run):
    return run([name for name, *_ in OF_HARNESS.values()], 0)


@pytest.fixture(scope="module")
def evaluations(lm, files):
    return {name: evaluate(lm, name, files[name]) for name in OF_HARNESS}


@pytest.fixture(scope="module")
def of_pairs(harness, theirs):
    """The harness's log-likelihoods of pairs of texts, each with whether it is greedy."""

    def found(pairs):
        requests = [
            harness.instance.Instance(request_type="loglikelihood", doc={}, arguments=pair, idx=0) for pair in pairs
        ]
        return theirs.loglikelihood(requests, disable_tqdm=True)

    return found


def prepared(lm, name, path, **settings):
    """What `evaluate` lets the model read of a file."""
    task = TASKS[name]
    contents = task.data.contents(path)
    return task.prepare(lm, contents, task.decided(Settings(**settings), lm))


def metric_of(name, row, metric):
    """A metric of a single item."""
    return next(one.value for one in TASKS[name].protocol.metrics([row], 0) if one.name == metric)


def assert_same_choices(name, evaluation, samples, results):
    assert len(evaluation.rows) == len(samples)
    for row, sample in zip(evaluation.rows, samples, strict=True):
        assert row["logprobs"] == close([logprob for logprob, _ in sample["filtered_resps"]])
        assert metric_of(name, row, ACCURACY) == 100 * sample["acc"]
        if "acc_norm" in sample:
            assert metric_of(name, row, PER_CHARACTER) == 100 * sample["acc_norm"]
    assert evaluation[ACCURACY].value == pytest.approx(100 * results["acc,none"])
    assert ("acc_norm,none" in results) == any(metric.name == PER_CHARACTER for metric in evaluation.metrics)
    if "acc_norm,none" in results:
        assert evaluation[PER_CHARACTER].value == pytest.approx(100 * results["acc_norm,none"])


@pytest.mark.parametrize("name", ["lambada", *CHOOSING])
def test_the_model_reads_the_same(lm, files, zero_shot, name):
    items = prepared(lm, name, files[name]).items
    samples = zero_shot["samples"][OF_HARNESS[name][0]]
    assert [list(item.pairs) for item in items] == [sample["arguments"] for sample in samples]


@pytest.mark.parametrize("name", CHOOSING)
def test_each_choice_has_the_same_probability_and_each_accuracy_is_the_same(evaluations, zero_shot, name):
    in_harness = OF_HARNESS[name][0]
    assert_same_choices(name, evaluations[name], zero_shot["samples"][in_harness], zero_shot["results"][in_harness])


def test_some_accuracies_depend_on_how_lengths_are_evened_out(zero_shot):
    samples = [sample for name in ("hellaswag", "piqa") for sample in zero_shot["samples"][name]]
    assert sum(sample["acc"] != sample["acc_norm"] for sample in samples) > 3
    n_other = 0  # of PIQA's two answers one is right, so another choice is another accuracy
    for sample in zero_shot["samples"]["piqa"]:
        logprobs = np.array([logprob for logprob, _ in sample["filtered_resps"]])
        answers = [sample["doc"]["sol1"], sample["doc"]["sol2"]]
        by_character = np.argmax(logprobs / [len(answer) for answer in answers])
        by_byte = np.argmax(logprobs / [len(answer.encode()) for answer in answers])
        n_other += bool(by_character != by_byte)
    assert n_other > 2


def test_each_word_of_lambada_has_the_same_probability_and_its_metrics_are_the_same(evaluations, zero_shot):
    evaluation, samples = evaluations["lambada"], zero_shot["samples"]["lambada_openai"]
    for row, sample in zip(evaluation.rows, samples, strict=True):
        ((logprob, is_greedy),) = sample["filtered_resps"]
        assert row["logprob"] == close(logprob)
        assert logprob == sample["perplexity"]
        assert row["is_greedy"] == is_greedy == bool(sample["acc"])
    results = zero_shot["results"]["lambada_openai"]
    assert evaluation[ACCURACY].value == pytest.approx(100 * results["acc,none"])
    assert evaluation[HARNESS_PERPLEXITY].value == pytest.approx(results["perplexity,none"], rel=1e-4)
    assert 6 <= sum(row["is_greedy"] for row in evaluation.rows) < len(samples) - 6


def test_each_page_of_wikitext_has_the_same_probability_and_its_metrics_are_the_same(lm, files, evaluations, zero_shot):
    evaluation, samples = evaluations["wikitext-2"], zero_shot["samples"]["wikitext"]
    documents = TASKS["wikitext-2"].read(TASKS["wikitext-2"].data.contents(files["wikitext-2"]))
    assert [document.text for document in documents] == [sample["arguments"][0][0] for sample in samples]
    sums, n_rows = [], 0
    for document in documents:
        n_ids = len(lm.prompt_ids("")) + len(lm.tokenizer.encode(document.text))
        n = len([*windows(n_ids, lm.config.n_ctx, lm.config.n_ctx)])
        sums.append(sum(row["logprob"] for row in evaluation.rows[n_rows : n_rows + n]))
        n_rows += n
    assert n_rows == len(evaluation.rows) > len(documents) + 2
    assert sums == close([sample["filtered_resps"][0] for sample in samples])

    for document, sample in zip(documents, samples, strict=True):
        assert (document.n_words, document.n_bytes) == (sample["word_perplexity"][1], sample["bits_per_byte"][1])
    results = zero_shot["results"]["wikitext"]
    assert evaluation[PERPLEXITY].value == pytest.approx(results["word_perplexity,none"], rel=1e-5)
    assert evaluation[BITS_PER_BYTE].value == pytest.approx(results["bits_per_byte,none"], rel=1e-6)
    assert 2 ** evaluation[BITS_PER_BYTE].value == pytest.approx(results["byte_perplexity,none"], rel=1e-5)


@pytest.mark.parametrize("divisor", [2, 5])
def test_with_another_stride_each_window_has_the_probability_that_the_harness_gives_it(
    harness, lm, files, theirs, divisor
):
    stride = lm.config.n_ctx // divisor
    rows = evaluate(lm, "wikitext-2", files["wikitext-2"], stride=stride, limit=4).rows
    documents = TASKS["wikitext-2"].read(TASKS["wikitext-2"].data.contents(files["wikitext-2"]))[:4]
    requests = []
    for document in documents:
        ids, n_ctx = theirs.tok_encode(document.text), theirs.max_length
        pairs = harness.utils.get_rolling_token_windows(ids, theirs.prefix_token_id, n_ctx, n_ctx - stride + 1)
        requests += [(("", ""), *harness.utils.make_disjoint_window(pair)) for pair in pairs]
    found = theirs._loglikelihood_tokens(requests, disable_tqdm=True)
    assert [row["logprob"] for row in rows] == close([logprob for logprob, _ in found])
    assert [row["n_tokens"] for row in rows] == [len(predicted) for _, _, predicted in requests]
    assert {*map(len, (read for _, read, _ in requests))} > {1}  # the context of a window but the first


def test_a_text_of_ones_own_has_the_same_bits_per_byte(harness, lm, theirs, files):
    path = files["wikitext-2"]
    request = harness.instance.Instance("loglikelihood_rolling", {}, (path.read_text(encoding="utf-8"),), 0)
    (logprob,) = theirs.loglikelihood_rolling([request], disable_tqdm=True)
    evaluation = evaluate(lm, "text", path)
    assert sum(row["logprob"] for row in evaluation.rows) == close(logprob)
    n_tokens = len(theirs.tok_encode(path.read_text(encoding="utf-8")))
    assert evaluation["perplexity (per token)"].value == pytest.approx(np.exp(-logprob / n_tokens), rel=1e-5)
    assert evaluation[BITS_PER_BYTE].value == pytest.approx(-logprob / np.log(2) / len(path.read_bytes()), rel=1e-6)


def test_each_candidate_of_the_childrens_book_test_has_the_same_probability(lm, files, of_pairs):
    limit = 15 if lm.config.n_ctx == N_CTX else 4  # of the larger model, since an item is ten long texts
    evaluation = evaluate(lm, "cbt-cn", files["cbt-cn"], limit=limit)
    items = prepared(lm, "cbt-cn", files["cbt-cn"], limit=limit).items
    found = iter(of_pairs([pair for item in items for pair in item.pairs]))
    is_right = []
    for row, item in zip(evaluation.rows, items, strict=True):
        logprobs = [next(found)[0] for _ in item.pairs]
        assert row["logprobs"] == close(logprobs)
        is_right.append(int(np.argmax(logprobs)) == item.right)
    assert evaluation[ACCURACY].value == pytest.approx(100 * np.mean(is_right))


@pytest.mark.parametrize("name", ["lambada", "lambada-cloze"])
def test_behind_solved_items_each_word_of_lambada_has_the_same_probability(lm, files, of_pairs, name):
    evaluation = evaluate(lm, name, files["lambada"], shots=SHOTS, limit=16)
    found = of_pairs([item.pairs[0] for item in prepared(lm, name, files["lambada"], shots=SHOTS, limit=16).items])
    for row, (logprob, is_greedy) in zip(evaluation.rows, found, strict=True):
        assert row["logprob"] == close(logprob)
        assert row["is_greedy"] == is_greedy
    assert evaluation.n_cut > 0


@pytest.fixture(scope="module")
def few_shot(harness, lm, files, manager, run):
    """The harness with the items in front of each that we have drawn; all else of the prompts is its own.

    LAMBADA is not among them: the harness writes two spaces before the words that it shows.
    """

    class AsDrawn(harness.samplers.ContextSampler):
        def sample(self, n, eval_doc=None, df=None, **kwargs):
            drawn = next(self.drawn)
            assert len(drawn) == n
            return [self.df[number] for number in drawn]

    tasks = manager.load(CHOOSING)["tasks"]  # which have the same names here and there
    for name, task in tasks.items():
        task.sampler = AsDrawn([*task.eval_docs])
        task.sampler.drawn = drawn_of(lm, name, files[name])
    return run([*tasks.values()], SHOTS)


def drawn_of(lm, name, path):
    """For each item, the numbers of those that stand in front of it."""
    items, asked = prepared(lm, name, path).items, prepared(lm, name, path, shots=SHOTS).items
    solved = {item.context + item.answer + "\n\n": number for number, item in enumerate(items)}
    for item, behind in zip(items, asked, strict=True):
        before, drawn = behind.context.removesuffix(item.context), []
        while before:
            text = next(text for text in solved if before.startswith(text))
            before = before.removeprefix(text)
            drawn.append(solved[text])
        yield drawn


@pytest.mark.parametrize("name", CHOOSING)
def test_few_shot_prompts_and_accuracies_are_those_of_the_harness_if_it_draws_the_same(lm, files, few_shot, name):
    in_harness, items = OF_HARNESS[name][0], prepared(lm, name, files[name], shots=SHOTS).items
    samples = few_shot["samples"][in_harness]
    assert [list(item.pairs) for item in items] == [sample["arguments"] for sample in samples]
    evaluation = evaluate(lm, name, files[name], shots=SHOTS)
    assert_same_choices(name, evaluation, samples, few_shot["results"][in_harness])
    assert evaluation.n_cut > 0


@pytest.mark.parametrize("shots", [0, 1])
@pytest.mark.parametrize("name", ["two-digit-addition", "mid-word-1-anagrams"])
def test_a_greedy_answer_is_what_the_harness_generates(harness, lm, files, theirs, name, shots):
    evaluation = evaluate(lm, name, files[name], shots=shots, beams=1)
    one = prepared(lm, name, files[name], shots=shots, beams=1)
    options = {"until": ["\n"], "max_gen_toks": one.protocol.max_new_tokens, "do_sample": False}
    requests = [harness.instance.Instance("generate_until", {}, (item.context, dict(options)), 0) for item in one.items]
    written = theirs.generate_until(requests, disable_tqdm=True)
    assert [row["answer"] for row in evaluation.rows] == [text.strip() for text in written]
    n_right = sum(text.strip() == item.answer.strip() for text, item in zip(written, one.items, strict=True))
    assert evaluation[ACCURACY].value == pytest.approx(100 * n_right / len(written))
    assert len({row["answer"] for row in evaluation.rows}) > 1
