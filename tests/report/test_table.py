import json
import re

import pytest

import gptcompare as gc
from gptcompare.presets import published

EIGHT = [name for name in gc.presets() if name.startswith("gpt3")]
FOUR = ["gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl"]


def cells(text, label):
    """The cells of a row, over all blocks of a text."""
    rows = [line for line in text.splitlines() if line.startswith(label + "  ")]
    assert rows, label
    return [cell for row in rows for cell in re.split(r"\s{2,}", row.removeprefix(label).strip())]


def test_without_names_it_shows_gpt2_s_four_sizes_and_gpt3_s_eight_the_smallest_first():
    names = gc.table().names
    assert sorted(names) == sorted(FOUR + EIGHT)
    sizes = [gc.GPTConfig.preset(name).n_params for name in names]
    assert sizes == sorted(sizes)


def test_names_stand_in_the_order_given_aliases_resolved_and_once():
    assert gc.table(["gpt3-1.3b", "124M", "GPT2", "opt-1.3b"]).names == ("gpt3-xl", "gpt2", "opt-1.3b")


def test_an_unknown_name_is_refused_with_the_nearest_ones():
    with pytest.raises(ValueError, match="did you mean gpt3-small"):
        gc.table(["gpt2", "gpt3-smal"])


def test_a_string_in_place_of_a_list_of_names_is_refused():
    with pytest.raises(TypeError, match="names must be a list of names, got 'gpt2'"):
        gc.table("gpt2")


def test_no_names_at_all_are_refused():
    with pytest.raises(ValueError, match="at least one"):
        gc.table([])


def test_the_data_are_what_the_configuration_says_and_survive_json():
    facts = json.loads(json.dumps(gc.table(["gpt3-175b", "distilgpt2"]).to_dict()))
    config = gc.GPTConfig.preset("gpt3-175b")
    assert gc.GPTConfig.from_dict(facts["gpt3-175b"]["hyperparameters"]) == config
    assert facts["gpt3-175b"]["n_params"] == sum(facts["gpt3-175b"]["n_params_by_part"].values()) == config.n_params
    assert facts["gpt3-175b"]["flops_per_token"] == config.flops_per_token(2048)
    assert facts["gpt3-175b"]["weights_bytes"] == 4 * config.n_params
    assert facts["gpt3-175b"]["weights_bytes_kept"] == 2 * config.n_params
    assert facts["gpt3-175b"]["kv_cache_bytes"] == config.kv_cache_bytes(2048)
    assert facts["gpt3-175b"]["training_flops"] == config.training_flops(300e9)
    assert facts["gpt3-175b"]["training"]["tokens"] == 300_000_000_000
    assert len(facts["gpt3-175b"]["results"]) == len(published("gpt3-175b").results)
    assert facts["distilgpt2"]["training_flops"] is None


def test_the_text_has_a_cell_for_every_model_in_every_row():
    text = gc.table(["gpt2", "gpt3-small", "gpt3-175b"]).to_text()
    assert cells(text, "layers") == ["12", "12", "96"]
    assert cells(text, "heads x width") == ["12 x 64", "12 x 64", "96 x 128"]
    assert cells(text, "parameters") == ["124M", "125M", "175B"]
    assert cells(text, "weights, float32") == ["498MB", "501MB", "698GB"]
    assert cells(text, "  kept in 16 bits") == ["249MB", "250MB", "349GB"]
    assert cells(text, "training tokens") == ["–", "300B", "300B"]
    assert cells(text, "learning rate") == ["–", "0.0006", "6e-05"]
    assert cells(text, "  as published") == ["–", "2.6", "3640"]


def test_results_are_those_that_several_families_have_or_all_of_a_single_one():
    text = gc.table(["gpt2-xl", "gpt2", "gpt3-175b"]).to_text()
    assert cells(text, "LAMBADA, perplexity") == ["8.63", "35.13", "3"]
    assert "StoryCloze" not in text
    assert cells(gc.table(["gpt3-175b"]).to_text(), "LAMBADA, perplexity") == ["3"]
    assert "StoryCloze" in gc.table(["gpt3-175b"]).to_text()
    assert cells(gc.table(["gpt2", "gpt3-small", "opt-125m"]).to_text(), "LAMBADA, accuracy, %") == [
        "–",
        "42.7",
        "37.9",
    ]


def test_a_row_that_no_model_has_a_value_for_is_left_out():
    assert "training tokens" not in gc.table(["gpt2"]).to_text()


@pytest.mark.parametrize("width", [60, 80, 100, 250])
def test_no_line_is_wider_than_the_terminal_and_every_model_is_shown(width):
    text = gc.table(["gpt2", "gpt3-small", "gpt-neo-125m", "cerebras-gpt-111m", "opt-125m"]).to_text(width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert cells(text, "layers") == ["12", "12", "12", "10", "12"]


def test_a_terminal_narrower_than_a_column_shows_one_model_at_a_time():
    text = gc.table(["gpt2", "gpt3-small"]).to_text(width=10)
    assert [line.split() for line in text.splitlines() if line.startswith("layers")] == [["layers", "12"]] * 2


def test_a_note_that_a_whole_family_shares_is_said_once():
    text = gc.table().to_text()
    assert text.count("trained on Common Crawl") == 1
    assert "GPT-3: trained on Common Crawl (filtered) 60%, WebText2 22%" in text


def test_markdown_names_the_sources_of_what_is_quoted():
    text = gc.table(["gpt2", "gpt3-small"]).to_markdown()
    for name in ("gpt2", "gpt3-small"):
        assert f"- {published(name).source}\n" in text
        assert f"- {published(name).training.source}" in text


def test_markdown_is_a_table_with_as_many_cells_in_every_row():
    table, _, notes = gc.table(["gpt2", "gpt3-xl"]).to_markdown().partition("\n\n")
    lines = table.splitlines()
    assert lines[0] == "|  | gpt2 | gpt3-xl |"
    assert {line.count("|") for line in lines} == {4}
    assert "| layers | 12 | 24 |" in lines
    assert all(note.startswith("- ") for note in notes.splitlines())


def test_markdown_keeps_what_belongs_to_the_row_above_apart():
    """A notebook drops spaces at the beginning of a cell."""
    labels = [line.split(" | ")[0].removeprefix("| ") for line in gc.table(["gpt2"]).to_markdown().splitlines()]
    assert {"&emsp;embeddings", "&emsp;attention", "&emsp;MLP"} <= {*labels}
    assert [label for label in labels if label.startswith(" ")] == []


def test_print_shows_the_table():
    chosen = gc.table(["gpt2", "gpt3-xl"])
    assert str(chosen) == chosen.to_text()
    assert repr(chosen) == "<Table: gpt2 and gpt3-xl>"


def test_a_notebook_shows_the_markdown():
    chosen = gc.table(["gpt2"])
    assert chosen._repr_markdown_() == chosen.to_markdown()
