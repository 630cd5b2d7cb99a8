"""The options of generation on the command line, one for each field of `GenerationOptions`, and the model."""

from __future__ import annotations

import argparse
import dataclasses

from ..generation import GenerationOptions, LanguageModel, load


def load_model(options: argparse.Namespace) -> LanguageModel:
    """Load the model that the options of `add_model` name."""
    return load(options.model, source=options.source, tokenizer=options.tokenizer)


def add_generation_options(parser: argparse.ArgumentParser) -> None:
    """Add an option for each field of `GenerationOptions`."""
    for field in dataclasses.fields(GenerationOptions):
        flag = flag_of(field.name)
        # Without a default here, so that `given_options` can tell what was given.
        if field.name == "stop":
            parser.add_argument(flag, action="append", default=argparse.SUPPRESS, **field.metadata)
        else:
            parser.add_argument(flag, type=_kind_of(field), default=argparse.SUPPRESS, **field.metadata)


def flag_of(name: str) -> str:
    """Return an option as it is written on the command line.

    >>> flag_of("top_k")
    '--top-k'
    """
    return "--" + name.replace("_", "-")


def _kind_of(field: dataclasses.Field[object]) -> type:
    """Return the type of an option's value: the type of the field, without None."""
    return {"int": int, "float": float}[str(field.type).removesuffix(" | None")]


def given_options(options: argparse.Namespace) -> dict[str, object]:
    """Return the options of generation that were given, by name."""
    names = [field.name for field in dataclasses.fields(GenerationOptions)]
    return {name: getattr(options, name) for name in names if hasattr(options, name)}


def generation_options_of(options: argparse.Namespace) -> GenerationOptions:
    """Return the options of generation, those that were not given with their defaults."""
    return GenerationOptions(**given_options(options))  # type: ignore[arg-type]  # argparse has checked their types
