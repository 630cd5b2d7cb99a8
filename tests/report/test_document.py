import itertools
import re
import shlex

import numpy as np
import pytest
from support.outline import Outline

import gptcompare as gc
from gptcompare.cli import _parser
from gptcompare.display.units import in_bytes
from gptcompare.patterns import PATTERNS
from gptcompare.presets import published
from gptcompare.presets.record import BITS_PER_BYTE, FEW_SHOT, LOSS, ONE_SHOT, PERPLEXITY, ZERO_SHOT
from gptcompare.report import blocks as document
from gptcompare.report.document import Report, report
from gptcompare.report.performance import LOWER_IS_BETTER
from gptcompare.report.structure import FIELDS, Model, pictures

MAIN = ["gpt2-xl", "gpt3-175b"]
SAMPLE = ["gpt2", "gpt2-xl", "distilgpt2", "gpt3-xl", "gpt3-175b", "nano-gpt2", "nano-gpt3", "gpt-neo-1.3b", "opt-1.3b"]
PAIRS = list(itertools.combinations(SAMPLE, 2))
NUMBER = re.compile(r"[\d.]+([%KMBT]|[kMGT]?B| x)?( \[\d+\])?")
SEVERAL = [MAIN, ["nano-gpt2", "nano-gpt3"], ["gpt2-xl", "gpt3-xl", "gpt-neo-1.3b"], ["distilgpt2"]]


def section(text, title):
    """What stands below a heading, up to the next one of its level or above."""
    level = re.search(rf"^(#+) {re.escape(title)}$", text, re.M)
    assert level, title
    rest = text[level.end() :]
    end = re.search(rf"^#{{1,{len(level[1])}}} ", rest, re.M)
    return rest[: end.start()] if end else rest


def tables(text):
    """Each table as a list of rows, the header first, without the line of dashes."""
    found = [[]]
    for line in text.splitlines():
        if line.startswith("| "):
            found[-1].append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
        elif found[-1]:
            found.append([])
    return [[rows[0], *rows[2:]] for rows in found if rows]


def alignments(text):
    """For each table, the alignment of each column, as Markdown's line of dashes has it."""
    return [line.strip("| ").split(" | ") for line in text.splitlines() if re.fullmatch(r"\|( -+:? \|)+", line)]


def sources(text):
    """Number in brackets -> the source."""
    lines = section(text, "Sources").strip().splitlines()
    return {f"[{n}]": line.removeprefix(f"{n}. ").replace("\\", "") for n, line in enumerate(lines, 1)}


class TestNames:
    def test_without_names_it_is_about_gpt2_xl_and_gpt3_175b(self):
        assert report() == Report(("gpt2-xl", "gpt3-175b"))

    def test_aliases_are_resolved_and_repetitions_count_once(self):
        assert report(["GPT3", "1558M", "gpt3-175b"]).names == ("gpt3-175b", "gpt2-xl")

    def test_an_unknown_name_is_refused_with_the_nearest_ones(self):
        with pytest.raises(ValueError, match="did you mean gpt3-small"):
            report(["gpt2", "gpt3-smal"])

    def test_what_is_no_name_cannot_stand_in_a_report(self):
        with pytest.raises(ValueError, match="unknown model"):
            report(["gpt2", "<script>alert(1)</script>"])

    def test_a_string_in_place_of_a_list_is_refused(self):
        with pytest.raises(TypeError, match="names must be a list of names"):
            report("gpt2")

    def test_no_names_at_all_are_refused(self):
        with pytest.raises(ValueError, match="at least one"):
            report([])


class TestStructure:
    @pytest.mark.parametrize("names", PAIRS, ids="-".join)
    def test_the_table_has_the_fields_that_differ_and_no_others(self, names):
        rows = tables(section(report(names).to_markdown(), "Configurations"))
        first, second = (gc.GPTConfig.preset(name).to_dict() for name in names)
        assert set(FIELDS) == set(first)
        shown = [re.search(r"\(`(\w+)`\)", row[0])[1] for row in rows[0][1:]] if rows else []
        assert shown == [field for field in FIELDS if first[field] != second[field]]

    def test_the_cells_are_the_configurations_values(self):
        rows = tables(section(report(MAIN).to_markdown(), "Configurations"))[0]
        cells = {re.search(r"\(`(\w+)`\)", row[0])[1]: row[1:] for row in rows[1:]}
        assert cells["n_layer"] == ["48", "96"]
        assert cells["attention"] == ["dense", "dense/banded"]
        assert cells["band_width"] == ["none", "256"]

    def test_what_is_equal_is_said_with_its_value(self):
        text = section(report(["nano-gpt2", "nano-gpt3"]).to_markdown(), "Configurations")
        assert "tokens in the context: 512; tokens in the vocabulary: 8192; activation: gelu_tanh" in text
        assert "band:" not in text

    def test_equal_configurations_are_said_to_be_so(self):
        assert gc.GPTConfig.preset("gpt3-small") == gc.GPTConfig.preset("gpt-neo-125m")
        text = section(report(["gpt3-small", "gpt-neo-125m"]).to_markdown(), "Configurations")
        assert "have the same configuration" in text
        assert not tables(text)

    def test_what_follows_is_as_computed_by_hand(self):
        rows = {row[0]: row[1:] for row in tables(section(report(MAIN).to_markdown(), "What follows from them"))[0]}
        assert rows["parameters"] == ["1.56B", "175B", "112 x"]
        # keys and values of 48 layers, 1024 tokens, width 1600, and of 48 dense and 48 banded layers of width 12288
        cache, banded_cache = 2 * 48 * 1024 * 1600 * 4, 2 * 48 * (2048 + 256) * 12288 * 4
        expected = [f"{cache / 1e6:.0f}MB", f"{banded_cache / 1e9:.1f}GB", f"{banded_cache / cache:.1f} x"]
        assert rows["key/value cache, full context, float32"] == expected
        assert rows["weights, float32"][:2] == ["6.23GB", "698GB"]
        assert rows["in the token embedding"][0] == "80.4M, 5.2%"

    def test_the_shares_of_the_parts_add_up_to_all_parameters(self):
        rows = tables(section(report(MAIN).to_markdown(), "What follows from them"))[0]
        for column in (1, 2):
            shares = [float(share[1]) for row in rows if (share := re.search(r", ([\d.]+)%$", row[column]))]
            assert sum(shares) == pytest.approx(100, abs=0.3)

    def test_what_the_bands_save_of_the_cache_is_what_half_of_the_layers_leave_out(self):
        text = section(report(MAIN).to_markdown(), "What follows from them")
        assert re.search(rf"- gpt3-175b: with dense .* and {(1 - 256 / 2048) / 2:.1%}\.", text)
        assert "gpt2-xl: with dense layers" not in text


class TestPictures:
    def test_there_is_one_for_each_pattern_that_looks_different(self):
        assert report(["gpt2", "gpt2-xl"]).to_markdown().count("```text") == 1
        assert report(["gpt3-175b", "gpt-neo-1.3b", "gpt2"]).to_markdown().count("```text") == 2

    @pytest.mark.parametrize("text_of", ["to_markdown", "to_html"])
    def test_the_cells_that_are_drawn_as_seen_are_those_that_the_definition_sees(self, text_of):
        text = getattr(report(["nano-gpt2", "nano-gpt3"]), text_of)()
        drawn = drawn_in_html(text) if text_of == "to_html" else drawn_in_markdown(text)
        position = np.arange(24)
        query, key = position[:, None], position[None]
        band = 2  # of 24: the narrowest that is drawn
        dense, banded = key <= query, (key <= query) & (query - key < band)
        assert len(drawn) == 2
        np.testing.assert_array_equal(drawn[0], dense)
        np.testing.assert_array_equal(drawn[1], banded)

    def test_squares_that_are_seen_and_not_seen_cover_the_picture(self):
        svg = re.search(r'<figure class="pattern">.*?</svg>', report(MAIN).to_html(), re.S)[0]
        colours = [squares(path) for path in re.findall(r"<path [^>]*>", svg)]
        np.testing.assert_array_equal(colours[0], ~colours[1])

    def test_the_caption_says_how_many_layers_and_how_it_is_reduced(self):
        text = report(["gpt3-175b"]).to_markdown()
        assert "gpt3-175b, 48 of 96 layers, `band_width` 256 of 2048 drawn as 3 of 24." in text

    @pytest.mark.parametrize("variants", [1, 2])
    def test_strided_and_fixed_patterns_are_drawn_too_and_visibly(self, variants):
        config = gc.GPTConfig(
            n_layer=len(PATTERNS), n_head=2, d_model=8, n_ctx=4096, attention=tuple(PATTERNS), band_width=8, stride=64,
            summary_width=8, summary_variants=variants,
        )  # fmt: skip
        drawn = pictures([Model("any", config, published("gpt2"))])
        assert [picture.caption.partition(":")[0] for picture in drawn] == list(PATTERNS)
        for picture in drawn:
            assert picture.seen.diagonal().all()
            assert not np.triu(picture.seen, 1).any()
            assert np.tril(picture.seen, -1).any()
        assert len({picture.seen.tobytes() for picture in drawn}) == len(PATTERNS)


def drawn_in_markdown(text):
    blocks = re.findall(r"```text\n(.*?)\n```", text, re.S)
    return [np.array([[cell == "■" for cell in line.split()] for line in block.splitlines()]) for block in blocks]


def drawn_in_html(text):
    return [squares(path) for path in re.findall(r"<path [^>]*>", text) if document.SEEN in path]


def squares(path):
    cells = np.zeros((document.POSITIONS, document.POSITIONS), bool)
    for x, y in re.findall(r"M(\d+) (\d+)h7v7h-7z", path):
        cells[int(y) // document.CELL, int(x) // document.CELL] = True
    return cells


class TestTraining:
    def test_the_mix_is_the_published_one(self):
        rows = tables(section(report(MAIN).to_markdown(), "Mixes"))[0][1:]
        assert [row[1] for row in rows] == [d.name for name in MAIN for d in published(name).training.data]
        assert rows[1][2:4] == ["60%", "410B"]

    def test_a_mix_that_several_models_have_stands_once(self):
        rows = tables(section(report(["gpt3-small", "gpt3-175b"]).to_markdown(), "Mixes"))[0][1:]
        assert len(rows) == len(published("gpt3-small").training.data)

    def test_a_mix_that_is_not_known_is_said_to_be_so(self):
        assert published("opt-1.3b").training.data == ()
        assert tables(section(report(["opt-1.3b"]).to_markdown(), "Mixes"))[0][1][1] == "–"

    def test_what_is_not_published_is_a_dash_or_named_below(self):
        text = section(report(MAIN).to_markdown(), "Training")
        rows = {row[0]: row[1:] for row in tables(text)[0]}
        assert rows["tokens seen"] == ["–", "300B"]
        assert rows["batch, tokens"] == ["524K", "3.2M"]
        assert rows["compute, petaflop/s-days"] == ["–", "3640"]
        assert "The sources do not say" not in text
        alone = section(report(["gpt2"]).to_markdown(), "Training")
        assert re.search(r"The sources do not say: tokens seen, learning rate", alone)

    def test_tokens_for_each_parameter_are_the_quotient(self):
        rows = {row[0]: row[1:] for row in tables(section(report(MAIN).to_markdown(), "Training"))[0]}
        assert float(rows["tokens seen for each parameter"][1]) == pytest.approx(300e9 / 174.6e9, rel=5e-3)


def quoted(names):
    """Of the results section: (task, metric, shots, name, value, source) of each value that is printed."""
    text = report(names).to_markdown()
    listed = sources(text)
    found = []
    for part in re.split(r"^### ", section(text, "3. Performance"), flags=re.M)[1:]:
        header, *rows = tables(part)[0]
        shots_of = [header.index("shots")] if "shots" in header else []
        for row in rows:
            for name, cell in zip(header, row, strict=True):
                if name in names and cell != "–":
                    value, number = cell.split()
                    shots = row[shots_of[0]] if shots_of else part.splitlines()[0].lower()
                    metric = row[1].removesuffix(" (lower is better)")
                    found.append((row[0], metric, shots, name, float(value), listed[number]))
    return found


def in_presets(names):
    return {(r.task, r.metric, r.shots, name, r.value, r.source) for name in names for r in published(name).results}


class TestPerformance:
    @pytest.mark.parametrize("names", [*map(list, PAIRS), *SEVERAL, ["gpt3-xl", "gpt3-175b"]], ids="-".join)
    def test_every_value_is_in_the_presets_with_its_source_and_stands_once(self, names):
        found = quoted(names)
        assert set(found) <= in_presets(names)
        assert len(set(found)) == len(found)

    @pytest.mark.parametrize("names", [MAIN, ["gpt2-xl", "gpt3-xl", "gpt-neo-1.3b"], ["gpt3-xl", "opt-1.3b"]])
    def test_the_shared_results_but_one_shot_ones_are_all_there(self, names):
        by_key = {}
        for key in in_presets(names):
            by_key.setdefault(key[:3], set()).add(key)
        shared = [key for keys in by_key.values() if len(keys) > 1 for key in keys if key[2] != ONE_SHOT]
        assert shared
        assert sorted(quoted(names)) == sorted(shared)

    def test_few_shot_is_shown_where_both_have_it(self):
        assert {key[2] for key in quoted(["gpt3-xl", "gpt3-175b"])} == {ZERO_SHOT, FEW_SHOT}

    def test_models_that_share_no_result_are_said_to_and_show_their_own(self):
        names = ["gpt2", "nano-gpt2"]
        assert "No two of these models share a published result" in report(names).to_markdown()
        assert set(quoted(names)) == in_presets(names)

    def test_a_model_that_shares_none_beside_two_that_do_shows_its_own(self):
        own = [key for key in quoted([*MAIN, "nano-gpt2"]) if key[3] == "nano-gpt2"]
        assert set(own) == in_presets(["nano-gpt2"])

    def test_of_a_model_with_hundreds_of_results_alone_the_zero_shot_ones_are_shown(self):
        expected = {key for key in in_presets(["gpt3-175b"]) if key[2] == ZERO_SHOT}
        assert set(quoted(["gpt3-175b"])) == expected

    @pytest.mark.parametrize("names", [MAIN, ["gpt3-xl", "gpt3-175b"], ["gpt3-175b"]], ids="-".join)
    def test_how_many_are_left_out_is_said(self, names):
        n_more = int(re.search(r"has (\d+) results more", report(names).to_markdown())[1])
        assert n_more + len(quoted(names)) == len(in_presets(names))

    def test_a_model_without_results_is_said_to_have_none(self):
        assert "No result of distilgpt2 is in the presets." in report(["distilgpt2", "gpt2"]).to_markdown()

    def test_who_is_better_is_counted_in_the_metric_s_direction(self):
        assert {PERPLEXITY, LOSS, BITS_PER_BYTE} <= LOWER_IS_BETTER
        zero_shot = section(report(MAIN).to_markdown(), "Zero-shot")
        n = len(tables(zero_shot)[0]) - 1
        assert f"gpt2-xl has 0 of {n}, gpt3-175b has {n} of {n}" in zero_shot

    def test_every_metric_of_the_presets_has_the_right_direction(self):
        metrics = {result.metric for name in gc.presets() for result in published(name).results}
        assert {m for m in metrics if re.match("perplexity|loss|bits", m)} == LOWER_IS_BETTER & metrics

    @pytest.mark.parametrize("names", [*SEVERAL, ["gpt3-xl", "gpt3-175b"], ["gpt2", "nano-gpt2"]], ids="-".join)
    def test_a_picture_has_the_shared_values_that_are_the_better_the_higher(self, names):
        page = report(names).to_html()
        pictures = [svg for svg in re.findall(r"<svg .*?</svg>", page, re.S) if "higher is better" in svg]
        drawn = {
            (shots, *re.fullmatch(r"([\w.-]+), (.+), (.+?): ([\d.]+)", said).groups())
            for svg in pictures
            for shots in re.findall(r"<title>(\S+) results of ", svg)
            for said in re.findall(r"<circle [^>]*><title>(.*?)</title>", svg)
        }
        values = {
            (shots.capitalize(), name, task, metric.removesuffix(", %"), f"{value:g}")
            for task, metric, shots, name, value, _ in quoted(names)
            if metric not in LOWER_IS_BETTER and len(report(names).names) > 1
        }
        beside = {key for key in values if sum(key[0::2] == other[0::2] for other in values) >= 1}
        assert drawn == (beside if "Published results of the same task" in page else set())

    def test_all_that_is_drawn_is_on_the_scale(self):
        values = {
            result.value
            for name in gc.presets()
            for result in published(name).results
            if result.metric not in LOWER_IS_BETTER
        }
        assert 0 <= min(values) <= max(values) <= 100


class TestApplications:
    def commands(self, names):
        return re.findall(r"`(gptcompare [^`]*)`", section(report(names).to_markdown(), "4. Applications"))

    @pytest.mark.parametrize("names", SEVERAL, ids="-".join)
    def test_every_command_is_one_that_the_command_line_understands(self, names):
        for command in self.commands(names):
            words = shlex.split(command)[1:]
            _parser(words).parse_args(words)

    @pytest.mark.parametrize("names", [*map(list, PAIRS), *SEVERAL], ids="-".join)
    def test_what_is_loaded_can_be_loaded(self, names):
        for command in self.commands(names):
            given = re.search(r"--(?:model|models|init) (\S+)|download (\S+)", command)
            for name in (given[1] or given[2]).split(",") if given else ():
                assert published(name).embedded or published(name).repository

    def test_weights_that_were_never_published_have_a_stand_in_and_its_memory(self):
        text = section(report(MAIN).to_markdown(), "4. Applications")
        assert "The weights of gpt3-175b were never published, so it cannot be loaded." in text
        assert f"opt-66b ({4 * gc.GPTConfig.preset('opt-66b').n_params / 1e9:.0f}GB)" in text
        assert not [command for command in self.commands(MAIN) if "--model gpt3-175b" in command]

    def test_a_stand_in_is_not_a_model_that_is_there_already(self):
        names = ["gpt3-xl", "gpt3-large", "gpt-neo-1.3b", "opt-1.3b"]
        compared = next(command for command in self.commands(names) if command.startswith("gptcompare compare"))
        several = compared.rpartition(" ")[2].split(",")
        assert len(set(several)) == 4

    def test_a_model_alone_is_compared_with_one_in_the_package(self):
        assert 'gptcompare compare "Once upon a time" --models gpt2,nano-gpt2' in self.commands(["gpt2"])

    def test_training_needs_four_times_the_memory_of_the_weights(self):
        rows = {row[0]: row[1:] for row in tables(section(report(MAIN).to_markdown(), "4. Applications"))[0]}
        assert rows["memory to train them, at least"] == ["24.9GB", "2.79TB"]
        assert rows["tokens that are seen at once"] == ["1024", "2048"]

    @pytest.mark.parametrize("names", [*SEVERAL, ["gpt3-175b"]], ids="-".join)
    def test_every_command_that_uses_or_trains_a_model_says_what_memory_it_takes(self, names):
        rows = tables(section(report(names).to_markdown(), "4. Applications"))[-1][1:]
        for _, memory, command in rows:
            words = command.strip("`").split()
            named = re.search(r"--(?:model|models|init|config) (\S+)", command.strip("`"))
            if words[1] in ("models", "download", "tokenize"):
                assert memory == ""
                continue
            n_params = sum(gc.GPTConfig.preset(name).n_params for name in named[1].split(","))
            assert memory == in_bytes(4 * n_params * (4 if words[1] == "train" else 1))


class TestDocument:
    @pytest.mark.parametrize("names", [*SEVERAL, ["gpt3-xl", "gpt3-175b"]], ids="-".join)
    def test_numbers_stand_at_the_right_and_words_at_the_left(self, names):
        text = report(names).to_markdown()
        found = tables(text)
        assert len(alignments(text)) == len(found)
        for (header, *rows), aligned in zip(found, alignments(text), strict=True):
            for title, column, alignment in zip(header, zip(*rows, strict=True), aligned, strict=True):
                numbers = [bool(NUMBER.fullmatch(cell)) for cell in column if cell not in ("", "–")]
                if numbers and all(numbers):
                    assert alignment == "---:", title
                if numbers and not any(numbers) and title.partition(" ")[0] not in names:
                    assert alignment == "---", title

    @pytest.mark.parametrize("names", SEVERAL, ids="-".join)
    def test_both_forms_have_the_same_columns_at_the_right(self, names):
        rows = re.findall(r"<tr>(.*?)</tr>", report(names).to_html(), re.S)
        text = report(names).to_markdown()
        expected = [
            [alignment == "---:" for alignment in aligned]
            for rows_of, aligned in zip(tables(text), alignments(text), strict=True)
            for _ in rows_of
        ]
        assert [["number" in tag for tag in re.findall(r"<t[hd]([^>]*)>", row)] for row in rows] == expected

    @pytest.mark.parametrize("names", [[name] for name in gc.presets()] + list(map(list, PAIRS)), ids="-".join)
    def test_all_tables_have_as_many_cells_in_every_row(self, names):
        text = report(names).to_markdown()
        assert len(tables(text)) >= 4
        for rows in tables(text):
            assert len({len(row) for row in rows}) == 1

    @pytest.mark.parametrize("names", [[name] for name in gc.presets()] + SEVERAL, ids="-".join)
    def test_the_page_is_whole_and_loads_nothing(self, names):
        text = report(names).to_html()
        page = Outline(text)
        tags = {tag for tag, _ in page.tags}
        assert {"html", "title", "table", "svg", "ol"} <= tags
        assert not tags & {"script", "link", "img", "iframe", "object", "embed"}
        assert not re.search(r"https?:|url\(|@import| on\w+=", text)
        addresses = [attributes["href"] for _, attributes in page.tags if "href" in attributes]
        assert addresses
        ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
        assert {address[1:] for address in addresses} == ids

    @pytest.mark.parametrize("names", SEVERAL, ids="-".join)
    def test_every_source_is_referred_to_and_every_reference_is_a_source(self, names):
        text = report(names).to_markdown()
        listed = sources(text)
        assert set(re.findall(r"\[\d+\]", text.partition("## Sources")[0])) == set(listed)
        for name in report(names).names:
            model = published(name)
            assert {model.source, model.training.source} <= set(listed.values())

    def test_both_forms_say_the_same(self):
        words = re.compile(r"[\w.%]+")
        html = Outline(report(MAIN).to_html()).texts
        body = "".join(html[html.index("\n") :])
        for row in itertools.chain(*tables(report(MAIN).to_markdown())):
            for cell in row:
                assert all(word in body for word in words.findall(cell))

    def test_what_a_text_has_of_html_or_markdown_stays_text(self):
        text = 'a < b & "c" | *d* [1] `e < f`'
        assert document.to_html(text) == (
            '<p>a &lt; b &amp; &quot;c&quot; | *d* <a href="#source-1">[1]</a> <code>e &lt; f</code></p>'
        )
        assert document.to_markdown(text) == 'a \\< b & "c" \\| \\*d\\* [1] `e < f`'

    def test_a_notebook_shows_the_body_of_the_page(self):
        assert report(MAIN)._repr_html_() in report(MAIN).to_html()
