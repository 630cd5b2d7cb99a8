"""The report's fourth chapter: which weights can be loaded, and the commands for each use."""

from __future__ import annotations

from collections.abc import Sequence

from ..checkpoints.catalogue import nearest_in_size
from ..checkpoints.layouts import GPT2_SIZE
from ..checkpoints.room import FLOAT32
from ..checks import together
from ..config import GPTConfig
from ..display.units import in_bytes
from ..presets import EMBEDDED_PAIR, Published, published
from ..presets.record import SHOTS
from .blocks import Block, Grid, Heading, Items, merged
from .structure import Model

TRAINED_ARRAYS = 4  # for each parameter: itself, its gradient and AdamW's two moments
PROMPT = '"Once upon a time"'


def applications(models: Sequence[Model]) -> list[Block]:
    loaded = _loaded(models)
    header = ["", *(model.name for model in models)]
    rows = [
        ["used in the commands below", *loaded],
        ["memory of the weights in float32", *(_memory([name]) for name in header[1:])],
        ["memory to train them, at least", *(_memory([name], TRAINED_ARRAYS) for name in header[1:])],
        ["tokens that are seen at once", *(str(model.config.n_ctx) for model in models)],
        ["published results: zero-, one- and few-shot", *(_n_results(model.published) for model in models)],
    ]
    return [
        Heading(2, "4. Applications"),
        Items(merged((model.name, _where(model.published)) for model in models)),
        Grid([header, *rows], range(1, len(header))),
        *(_stand_in(model.name, other) for model, other in zip(models, loaded, strict=True) if model.name != other),
        "The memory below is what the parameters alone take, in float32: once to use a model, and "
        f"{TRAINED_ARRAYS} times to train it, with a gradient and AdamW's two moments for each.",
        Grid([["what for", "memory, at least", "command"], *_uses(models, list(dict.fromkeys(loaded)))], numbers=(1,)),
        f"{together(EMBEDDED_PAIR)} are in the package, and show the two attention patterns side by side without a "
        f"download: `gptcompare compare {PROMPT}`.",
    ]


def _where(model: Published) -> str:
    if model.embedded:
        return "the weights are in the package."
    if model.repository is None:
        return "the weights were never published."
    openai = ", or from OpenAI's store with `--source openai`" if model.openai_name else ""
    return f"the weights are downloaded from {model.repository} on the Hugging Face Hub{openai}."


def _memory(names: Sequence[str], copies: int = 1) -> str:
    return in_bytes(copies * FLOAT32 * sum(GPTConfig.preset(name).n_params for name in names))


def _n_results(model: Published) -> str:
    return ", ".join(str(sum(result.shots == shots for result in model.results)) for shots in SHOTS)


def _can_be_loaded(model: Published) -> bool:
    return model.embedded or model.repository is not None


def _loaded(models: Sequence[Model]) -> list[str]:
    """Return each model's own name or, if its weights were not published, the nearest in size that is not yet taken."""
    taken = [model.name for model in models if _can_be_loaded(model.published)]
    loaded = []
    for model in models:
        name = model.name
        if not _can_be_loaded(model.published):
            near = nearest_in_size(name, len(models))
            name = next((other for other in near if other not in taken), near[0])
            taken.append(name)
        loaded.append(name)
    return loaded


def _stand_in(name: str, loaded: str) -> str:
    near = ", ".join(f"{other} ({_memory([other])})" for other in nearest_in_size(name))
    return (
        f"The weights of {name} were never published, so it cannot be loaded. The public models nearest in size, with "
        f"the memory of their weights in float32, are {near}; {loaded} stands in for it below. It is another model, "
        "with training data of its own."
    )


def _uses(models: Sequence[Model], loaded: Sequence[str]) -> list[list[str]]:
    """Return rows of a purpose, the memory that it takes, and its command."""
    several = list(dict.fromkeys([*loaded, *EMBEDDED_PAIR]))[: max(2, len(loaded))]
    compared = ",".join(several)
    together_they_take = _memory(several)
    return [
        ["see which models can be loaded, and which are on this machine", "", "`gptcompare models`"],
        *(use for name in loaded for use in _uses_of_one(name)),
        [
            f"let {together(several)} write side by side",
            together_they_take,
            f"`gptcompare compare {PROMPT} --models {compared}`",
        ],
        [
            "measure how probable each of them finds a text",
            together_they_take,
            f"`gptcompare compare --text mine.txt --models {compared}`",
        ],
        *_tokenizers(models, loaded),
        *(
            _train(f"train {name}'s configuration on your own texts, from random parameters", "config", name)
            for name in (model.name for model in models)
        ),
    ]


def _uses_of_one(name: str) -> list[list[str]]:
    fetched = [] if published(name).embedded else [[f"fetch {name}", "", f"`gptcompare download {name}`"]]
    uses = {
        f"let {name} continue a text, or a task that the prompt describes, with or without examples": (
            f"generate {PROMPT}"
        ),
        f"let {name} label texts": 'classify --labels animals,weather "The hens slept."',
        f"ask {name}": 'answer "What does a cow give?"',
        f"measure how good {name} is at a published task": "evaluate --task lambada",
    }
    return [
        *fetched,
        *([use, _memory([name]), f"`gptcompare {command} --model {name}`"] for use, command in uses.items()),
        _train(f"teach {name} your own texts", "init", name),
    ]


def _train(use: str, begin: str, name: str) -> list[str]:
    return [use, _memory([name], TRAINED_ARRAYS), f"`gptcompare train mine.txt --{begin} {name} --out runs/{name}`"]


def _tokenizers(models: Sequence[Model], loaded: Sequence[str]) -> list[list[str]]:
    """Return a command for each vocabulary; those of GPT-2's size are GPT-2's, which is in the package."""
    readers: dict[str, list[str]] = {}
    for model, own in zip(models, loaded, strict=True):
        readers.setdefault("gpt2" if model.config.n_vocab == GPT2_SIZE else own, []).append(model.name)
    return [
        [f"see a text as the tokens of {together(names)}", "", f"`gptcompare tokenize {PROMPT} --model {tokenizer}`"]
        for tokenizer, names in readers.items()
    ]
