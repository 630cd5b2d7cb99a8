import csv
import pickle
import subprocess
import sys

import numpy as np
import pytest
from support import places

import gptcompare as gc
from gptcompare.evaluation import Features, classify
from gptcompare.uses import features

USES = places.DATA / "uses"
TEXTS = ["The hens were asleep.", "It rained all day.", "The wolf ran.", "He sang.", "Snow fell.", "Two kings came."]


@pytest.fixture(scope="session")
def sklearn():
    return pytest.importorskip("sklearn", reason="needs the `reference` extra")


def labelled(name):
    """Texts and labels of one of the files."""
    with open(USES / name, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader((line for line in file if not line.startswith("#")), delimiter="\t", quoting=3))
    return [row["text"] for row in rows], [row["label"] for row in rows]


def test_it_gives_the_features(story):
    step = Features(story, layer=1, pool="last")
    assert np.array_equal(step.fit_transform(TEXTS), features(story, TEXTS, 1, "last"))
    assert np.array_equal(step.fit(TEXTS, [0] * 6).transform(np.array(TEXTS)), features(story, TEXTS, 1, "last"))


def test_a_name_is_loaded_at_first_use():
    expected = features(gc.load("nano-gpt3"), TEXTS)
    assert np.array_equal(Features("nano-gpt3").transform(TEXTS), expected)
    assert np.array_equal(pickle.loads(pickle.dumps(Features("nano-gpt3"))).transform(TEXTS), expected)
    with pytest.raises(gc.DownloadError, match="no-such-model"):
        Features("no-such-model").transform(TEXTS)


def test_parameters_are_read_and_set():
    step = Features()
    assert step.get_params() == {"model": "nano-gpt2", "layer": -1, "pool": "mean"}
    assert step.set_params(layer=2, pool="last") is step
    assert repr(step) == "Features('nano-gpt2', layer=2, pool='last')"
    with pytest.raises(ValueError, match="parameters model, layer, pool, not 'layers'"):
        step.set_params(layers=1)


@pytest.mark.parametrize(
    ("pool", "texts", "error", "words"),
    [
        (None, TEXTS, ValueError, 'pool must be "mean" or "last"'),
        ("mean", "text", TypeError, "^X must be a list of texts, got a single str"),
        ("mean", [["text"]], TypeError, r"^X\[0\] must be a str, got list"),
        ("mean", np.zeros((2, 2)), TypeError, r"^X must be .* got ndarray of shape \(2, 2\)"),
    ],
)
def test_what_has_no_vectors_is_refused(story, pool, texts, error, words):
    with pytest.raises(error, match=words):
        Features(story, pool=pool).transform(texts)


def test_the_library_imports_neither_the_room_nor_scikit_learn_until_they_are_used():
    code = (
        "import sys, gptcompare as gc\n"
        "assert 'gptcompare.evaluation' not in sys.modules and 'evaluation' in dir(gc)\n"
        "gc.evaluation.Features().get_params()\n"
        "assert 'gptcompare.evaluation' in sys.modules and 'sklearn' not in sys.modules\n"
        "try: gc.no_such_name\n"
        "except AttributeError as error: assert 'no_such_name' in str(error)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.reference
def test_scikit_learn_clones_it_and_searches_its_parameters(sklearn, story):
    from sklearn.base import clone
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.utils import get_tags

    step = Features(story, layer=1)
    assert clone(step) is not step
    assert clone(step).get_params() == step.get_params()
    assert clone(step).model is story
    pipeline = make_pipeline(step, StandardScaler(), LogisticRegression(C=1e4, max_iter=10_000))
    search = GridSearchCV(clone(pipeline), {"features__layer": [0, 1], "features__pool": ["mean", "last"]}, cv=2)
    labels = ["a", "b", "a", "b", "b", "a"]
    search.fit(TEXTS, labels)
    assert search.best_params_.keys() == {"features__layer", "features__pool"}
    assert pipeline.fit(TEXTS, labels).predict(TEXTS).tolist() == labels
    assert get_tags(step).input_tags.string


class TestWorkedExample:
    """What README and notebook say of the embedded models, which have not seen these books."""

    @pytest.mark.reference
    @pytest.mark.parametrize("name", ["nano-gpt2", "nano-gpt3"])
    def test_a_classifier_on_features_knows_authors_far_better_than_the_majority_class(self, sklearn, name):
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import StratifiedKFold, cross_val_score
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        texts, labels = labelled("authors.tsv")
        vectors = Features(name).fit_transform(texts)
        classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
        folds = StratifiedKFold(5, shuffle=True, random_state=0)
        accuracy = cross_val_score(classifier, vectors, labels, cv=folds).mean()
        assert max(map(labels.count, labels)) / len(labels) == pytest.approx(1 / 3)
        assert accuracy > 1 / 3 + 0.2

    def test_the_data_are_balanced_and_without_repetition(self):
        for name in ("authors.tsv", "sentiment.tsv"):
            texts, labels = labelled(name)
            assert len({*texts}) == len(texts)
            assert len({labels.count(label) for label in labels}) == 1

    def test_a_prompt_is_far_from_that(self):
        texts, labels = labelled("authors.tsv")
        found = classify(gc.load("nano-gpt2"), texts, ["Lang", "Garis", "Burgess"])
        assert np.mean([one == right for one, right in zip(found.labels, labels, strict=True)]) < 1 / 3 + 0.2
