import signal

import pytest
import support.cores  # noqa: F401  before NumPy
from hypothesis import settings
from support.amounts import CI, QUICK
from support.fixtures import hub, story_hub, typed  # noqa: F401  fixtures for all tests
from support.places import REASON, STORY_FOLDER

import gptcompare as gc
from gptcompare.checkpoints.download import cache
from gptcompare.checkpoints.download.publishers import HuggingFace
from gptcompare.model import threads

settings.register_profile("quick", max_examples=QUICK, deadline=None)  # a busy machine is no fault
settings.register_profile("ci", max_examples=CI, deadline=None)
settings.load_profile("quick")  # --hypothesis-profile comes later

OF_THE_USER = (
    "HF_ENDPOINT", "HF_HUB_CACHE", "HF_TOKEN", "HF_TOKEN_PATH", "HF_HUB_OFFLINE", "HUGGING_FACE_HUB_TOKEN",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN", "GPTCOMPARE_OPENAI_ENDPOINT", "GPTCOMPARE_GITHUB_ENDPOINT", "XDG_CACHE_HOME",
    "GPTCOMPARE_AI2_ENDPOINT", "HUGGINGFACE_HUB_CACHE", "TRANSFORMERS_OFFLINE", "TQDM_DISABLE", "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY",
)  # fmt: skip


def pytest_addoption(parser):
    group = parser.getgroup("recorded outputs", "for `pytest -m recorded`: tests/verification/test_recorded.py")
    group.addoption(
        "--model", action="append", default=[], metavar="NAME=FOLDER",
        help="compare the model in a folder with the recorded outputs of a published one, such as gpt2=path/to/gpt2",
    )  # fmt: skip
    group.addoption("--data", metavar="FOLDER", help="a folder with data files, for perplexities and accuracies")


# The public 124M checkpoint, where the user has it: found before the tests hide the user's caches.
GPT2_OF_THE_USER = cache.find(HuggingFace("openai-community/gpt2"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """No other processes for files or tests that are named: to start them takes longer than most files do."""
    return 0 if any(".py" in argument for argument in config.args) else None


@pytest.fixture(autouse=True)
def no_network(tmp_path_factory, monkeypatch):
    """No test reads or fills the caches of the user, has the user's token, or downloads from a publisher."""
    for name in OF_THE_USER:
        monkeypatch.delenv(name, raising=False)
    caches = tmp_path_factory.mktemp("caches")
    monkeypatch.setenv("HF_HOME", str(caches / "huggingface"))
    monkeypatch.setenv("GPTCOMPARE_HOME", str(caches / "gptcompare"))
    monkeypatch.setenv("GPTCOMPARE_OFFLINE", "1")
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture(scope="session", autouse=True)
def signals_that_stop():
    """Ctrl-C interrupts and SIGHUP ends, also where pytest runs in the background or under `nohup`, which ignore them.

    The processes that tests start inherit it: what has a handler here has the default one there.
    """
    wanted = {"SIGINT": signal.default_int_handler, "SIGHUP": signal.SIG_DFL}
    numbers = {getattr(signal, name): handler for name, handler in wanted.items() if hasattr(signal, name)}
    before = {number: signal.getsignal(number) for number in numbers}
    for number, handler in numbers.items():
        if before[number] is signal.SIG_IGN:
            signal.signal(number, handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def story():
    """A small trained model that reads and writes English: see tests/data/make_story_model.py."""
    return gc.load(STORY_FOLDER)


# The packages that tests compare with; a test that asks for one is skipped where it is not installed.


@pytest.fixture(scope="session")
def torch():
    return pytest.importorskip("torch", reason=REASON)


@pytest.fixture(scope="session")
def transformers(torch):
    return pytest.importorskip("transformers", reason=REASON)


@pytest.fixture(scope="session")
def tf():
    return pytest.importorskip("tensorflow", reason=REASON)


@pytest.fixture(scope="session")
def safetensors_numpy():
    return pytest.importorskip("safetensors.numpy", reason=REASON)


@pytest.fixture(scope="session")
def safetensors_torch(torch):
    return pytest.importorskip("safetensors.torch", reason=REASON)


@pytest.fixture
def four_threads(monkeypatch):
    """As if products used four threads, whatever this machine has."""
    blas = threads._Blas()
    blas.get, blas.set, blas.n_threads = lambda: 4, lambda n: None, 4
    monkeypatch.setattr(threads, "_blas", blas)
