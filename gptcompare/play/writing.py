"""What the page asks for, and the lines that answer it while two models write."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..comparison import Comparison, ComparisonStream
from ..comparison.writers import free_name
from ..generation import GenerationOptions, LanguageModel
from ..generation.options import SAMPLED
from .shelf import Shelf

FEWEST, MOST = 1, 4  # models beside each other
NO_OPTION = {"top_p": 1.0}  # what leaves an option out that the command has by default
LONGEST = 400  # tokens, more than which no page shows at once


@dataclass(frozen=True)
class Request:
    """A prompt, the models that are to continue it, and how.

    Parameters
    ----------
    prompt : str
    names : tuple of str
        Of the models, as they were asked for.
    models : dict of name -> LanguageModel
        By names that are all different.
    options : GenerationOptions
    """

    prompt: str
    names: tuple[str, ...]
    models: Mapping[str, LanguageModel]
    options: GenerationOptions

    @classmethod
    def of(cls, given: object, shelf: Shelf) -> Request:
        """Return a request from what the page sent: {"prompt": ..., "models": [...], "options": {...}}.

        Raises
        ------
        TypeError, ValueError
            If something is missing, unknown, or of the wrong kind; also what loading a model raises.
        """
        if not isinstance(given, dict) or given.keys() != {"prompt", "models", "options"}:
            raise ValueError("a request has a prompt, models and options, and nothing else")
        prompt, names, options = given["prompt"], given["models"], given["options"]
        if not isinstance(prompt, str) or not isinstance(options, dict):
            raise TypeError("the prompt must be a text, and the options an object")
        prompt.encode()  # a lone surrogate is no text: UnicodeEncodeError, which is a ValueError
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise TypeError("models must be a list of names")
        if not FEWEST <= len(names) <= MOST:
            raise ValueError(f"there must be {FEWEST} to {MOST} models, not {len(names)}")
        checked = GenerationOptions.of(**options)
        if checked.max_new_tokens > LONGEST:
            raise ValueError(f"at most {LONGEST} tokens fit on the page, got {checked.max_new_tokens}")
        models: dict[str, LanguageModel] = {}
        for name in names:
            models[free_name(name, models)] = shelf.take(name)
        return cls(prompt, tuple(names), models, checked)

    def command(self, comparison: Comparison) -> str:
        """Return the command that writes the same texts: with the options that are not the command's own defaults.

        Of texts that were stopped it writes as much as the longer one has.
        """
        options = {**self.options.to_dict(), "seed": comparison.options["seed"]}
        if not all(side.completion.finish_reason for side in comparison.sides):
            options["max_new_tokens"] = max(len(side.completion.ids) for side in comparison.sides)
        words = ["--models", ",".join(self.names)]
        for name, value in options.items():
            if value == SAMPLED.to_dict()[name] and name != "temperature":
                continue
            given = NO_OPTION.get(name) if value is None else value
            for one in given if isinstance(given, list) else [given]:
                option, text = "--" + name.replace("_", "-"), str(one)
                words += [] if one is None else [f"{option}={text}"] if text.startswith("-") else [option, text]
        if self.prompt == "-":  # which would be standard input
            return "printf %s - | " + shlex.join(["gptcompare", "compare", "-", *words])
        if self.prompt.startswith("-"):
            return shlex.join(["gptcompare", "compare", *words, "--", self.prompt])
        return shlex.join(["gptcompare", "compare", self.prompt, *words])


def lines(request: Request, stop: threading.Event) -> Iterator[dict[str, Any]]:
    """Yield what the page gets while the models write: new pieces of text, and at the end all that is known of them.

    Setting `stop` ends the writing early; what has been written by then is compared.

    Yields
    ------
    dict
        {"side": number of the model, "text": new text}; the last one is {"comparison": what the page knows}.
    """
    stream = ComparisonStream(request.prompt, request.models, request.options)
    for number, piece in stream:
        yield {"side": number, "text": piece}
        if stop.is_set():
            break
    comparison = stream.comparison()
    yield {"comparison": comparison.page_data(command=request.command(comparison))}
