"""The options of generation on the command line: one for each field of `GenerationOptions`."""

from __future__ import annotations

import argparse
import dataclasses

from ..generation import GenerationOptions


def add_generation_options(parser: argparse.ArgumentParser) -> None:
    """Add an option for each field of `GenerationOptions`."""
    for field in dataclasses.fields(GenerationOptions):
        flag = "--" + field.name.replace("_", "-")
        if field.name == "stop":
            parser.add_argument(flag, action="append", default=[], **field.metadata)
        else:
            parser.add_argument(flag, type=_kind_of(field), default=field.default, **field.metadata)


def _kind_of(field: dataclasses.Field[object]) -> type:
    """Return the type of an option's value: the type of the field, without None."""
    return {"int": int, "float": float}[str(field.type).removesuffix(" | None")]


def generation_options_of(options: argparse.Namespace) -> GenerationOptions:
    """Collect the values that were given for the fields of `GenerationOptions`."""
    return GenerationOptions(
        **{field.name: getattr(options, field.name) for field in dataclasses.fields(GenerationOptions)}
    )
