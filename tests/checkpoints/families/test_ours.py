import json

import pytest
from support.forge import small_config

from gptcompare.checkpoints import CheckpointError
from gptcompare.checkpoints.families import ours

CONFIG = small_config()


@pytest.mark.parametrize(
    "changes",
    [
        {"attention": ("dense", "banded"), "band_width": 3, "d_head": 5},
        {"attention": ("strided", "fixed"), "stride": 5, "summary_width": 2, "summary_variants": 2},
    ],
    ids=str,
)
def test_what_is_written_is_read_back(changes):
    config = small_config(**changes)
    values = ours.config_to_file(config)
    assert values["model_type"] == ours.MODEL_TYPE
    assert ours.config("config.json", json.loads(json.dumps(values))) == config


@pytest.mark.parametrize(
    "changes", [{"n_experts": 8}, {"n_layer": "2"}, {"attention": "dense"}, {"attention": [["dense"]]}], ids=str
)
def test_something_wrong_is_refused_by_its_name(changes):
    with pytest.raises(CheckpointError, match=rf"config\.json: .*{next(iter(changes))}"):
        ours.config("config.json", CONFIG.to_dict() | changes)
