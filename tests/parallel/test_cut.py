import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.cut_models import CONFIGS, parameters_of
from support.ranks import on_ranks

import gptcompare as gc
from gptcompare.parallel import WHOLE, Communicator, Share, check_share
from gptcompare.parallel.cut import Joined
from gptcompare.parameters import parameter_shapes
from gptcompare.presets import presets


def shares(n):
    return [Share(rank, n) for rank in range(n)]


@st.composite
def cut_configs(draw):
    n_head = draw(st.integers(1, 9))
    config = gc.GPTConfig(
        n_layer=draw(st.integers(1, 3)), n_head=n_head, d_model=draw(st.integers(1, 9)), d_head=draw(st.integers(1, 5)),
        d_mlp=draw(st.integers(n_head, 90)), n_vocab=draw(st.integers(n_head, 60)), n_ctx=draw(st.integers(n_head, 12)),
        tied_embeddings=draw(st.booleans()),
    )  # fmt: skip
    return config, draw(st.integers(1, n_head))


@given(cut_configs())
def test_every_head_column_and_id_belongs_to_exactly_one_rank_and_no_rank_has_none(drawn):
    config, n = drawn
    for what, size in (
        ("heads", config.n_head),
        ("columns", config.d_mlp),
        ("vocabulary", config.n_vocab),
        ("positions", config.n_ctx),
    ):
        parts = [getattr(share, what)(config) for share in shares(n)]
        assert [number for part in parts for number in range(part.start, part.stop)] == list(range(size))
        assert all(part.start < part.stop for part in parts)


@given(cut_configs())
def test_the_parts_have_the_shapes_of_a_smaller_configuration_and_make_up_the_whole(drawn):
    config, n = drawn
    whole = {name: np.random.default_rng(0).random(shape) for name, shape in parameter_shapes(config).items()}
    parts = [share.cut_all(whole, config) for share in shares(n)]
    for share, part in zip(shares(n), parts, strict=True):
        assert {name: value.shape for name, value in part.items()} == share.shapes(config)
        of_part = replace(share.config(config), n_ctx=len(part["wpe.weight"]))
        assert share.shapes(config) == parameter_shapes(of_part)

    def joined(comm):
        ranks = Communicator(comm)
        return dict(Joined(parts[ranks.share.rank], config, ranks.gathered))

    for of_rank in on_ranks(n, joined):
        for name, value in whole.items():
            np.testing.assert_array_equal(of_rank[name], value)


@pytest.mark.parametrize("name", [name for name in presets() if gc.GPTConfig.preset(name).n_params > 10**8])
@pytest.mark.parametrize("n", [2, 3, 4, 7, 8, 12])
def test_no_rank_holds_more_than_its_part_and_a_tenth(name, n):
    config = gc.GPTConfig.preset(name)
    sizes = [sum(math.prod(shape) for shape in share.shapes(config).values()) for share in shares(n)]
    assert max(sizes) <= 1.1 * config.n_params / n


def test_one_rank_has_the_whole_model_as_it_is():
    config = CONFIGS["gpt2"]
    whole = parameters_of(config)
    assert WHOLE.config(config) is config
    assert all(WHOLE.cut(name, value, config) is value for name, value in whole.items())


def test_parts_are_views_so_that_nothing_else_of_a_mapped_file_is_read():
    config = CONFIGS["untied"]
    for name, value in parameters_of(config).items():
        part = Share(1, 3).cut(name, value, config)
        assert np.may_share_memory(part, value) or ".c_attn." in name


def test_more_ranks_than_heads_are_refused():
    check_share(Share(0, 6), CONFIGS["gpt2"])
    with pytest.raises(ValueError, match=r"^7 ranks are too many for a model of 6 heads: .* at most 6$"):
        check_share(Share(0, 7), CONFIGS["gpt2"])


def test_a_pattern_whose_heads_see_different_keys_is_refused():
    fixed = replace(CONFIGS["gpt2"], attention=("dense", "fixed"), stride=8, summary_width=2, summary_variants=1)
    check_share(Share(0, 2), fixed)
    with pytest.raises(ValueError, match=r"^layer 1 is fixed with heads that see different keys"):
        check_share(Share(0, 2), replace(fixed, summary_variants=2))
