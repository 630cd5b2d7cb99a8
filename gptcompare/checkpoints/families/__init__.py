"""Each publisher's fields and tensor names, translated into ours.

All differences between publishers end here, so that there is only one forward pass. A family of models is a module
with `config` (its description -> GPTConfig) and `parameters` (its tensors -> ours). A setting under which the model
would compute a different function from our forward pass is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy.typing as npt

from ...checks import shown
from ...config import GPTConfig
from ...parallel import Share
from ..errors import CheckpointError
from . import gpt2, gpt_neo, openai, opt, ours
from .common import GPT2_EMBEDDING, Tensors, without_prefix


class Family(NamedTuple):
    """Two functions that read the models of one architecture."""

    config: Callable[[Path, Mapping[str, Any]], GPTConfig]
    parameters: Callable[[Path, Tensors, GPTConfig, npt.DTypeLike | None, Share], tuple[GPTConfig, Tensors]]
    embedding: str = GPT2_EMBEDDING  # the name of its token embedding, with optional beginnings

    def read(
        self, path: Path, tensors: Tensors, config: GPTConfig, dtype: npt.DTypeLike | None, share: Share
    ) -> tuple[GPTConfig, Tensors]:
        """Return `parameters` of tensors that may all have a further name before their own."""
        tensors, prefix = without_prefix(path, tensors, self.embedding)
        try:
            return self.parameters(path, tensors, config, dtype, share)
        except CheckpointError as error:
            if not prefix:
                raise
            raise CheckpointError(path, f"{error.reason} ({shown(prefix)} before the names was left out)") from None


OPENAI = Family(openai.config, openai.parameters, r"model/wte")
# model_type in config.json -> family.
FAMILIES = {
    "gpt2": Family(gpt2.config, gpt2.parameters),
    "gpt_neo": Family(gpt_neo.config, gpt_neo.parameters),
    "opt": Family(opt.config, opt.parameters, r"(model\.)?(decoder\.)?embed_tokens\.weight"),
    ours.MODEL_TYPE: Family(ours.config, gpt2.parameters),
}


def family_of(path: Path, values: Mapping[str, Any]) -> Family:
    """Return the family that a config.json names. CheckpointError if the forward pass cannot compute it."""
    model_type = values.get("model_type", "gpt2" if "n_embd" in values else None)  # GPT-2's first files had none
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        raise CheckpointError(path, f"model_type {shown(model_type)} is not supported: known are {', '.join(FAMILIES)}")
    family = FAMILIES[model_type]
    if model_type == "gpt2" and gpt2.has_other_scores(values):
        return family._replace(parameters=partial(gpt2.parameters, values=values))
    return family


def to_files(config: GPTConfig, parameters: Tensors) -> tuple[dict[str, Any], Tensors]:
    """Make the contents of config.json and the tensor file: as Hugging Face's GPT-2 if equivalent, else as ours."""
    return gpt2.config_to_hf(config) or ours.config_to_file(config), gpt2.parameters_to_hf(parameters)
