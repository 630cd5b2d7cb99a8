"""A drawn model: what the picture says is what the configuration says, whatever its numbers and names are."""

import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.strategies import ANY_CONFIG

import gptcompare as gc
from gptcompare.patterns import PATTERNS, visible_keys
from gptcompare.report.pictures.architecture import MOST_LAYERS, PLACES, POSITIONS, architecture
from gptcompare.report.pictures.drawing import SIZES, estimated_width

SVG = "{http://www.w3.org/2000/svg}"
LARGEST = gc.GPTConfig(
    n_layer=100_000, n_head=2**40, d_model=2**40, d_head=2**40, d_mlp=2**40, n_ctx=2**40, n_vocab=2**40,
    attention=tuple(PATTERNS), band_width=2**40, stride=2**40, summary_width=2**38, summary_variants=3,
    activation="gelu_tanh", layer_norm_eps=1.234567e-300, tied_embeddings=False,
)  # fmt: skip
NAMES = st.text(max_size=60)


def models(picture):
    """The drawn models, as elements, in their order."""
    return ElementTree.fromstring(picture.svg).findall(f"{SVG}g[@class='model']")


def parameters(model):
    return sum(int(part.get("data-parameters")) for part in model.iter() if part.get("data-parameters"))


def layers(model):
    """The kind of each drawn layer."""
    bars = [bar for bar in model.iter() if bar.get("data-layer")]
    assert [int(bar.get("data-layer")) for bar in bars] == list(range(len(bars)))
    return [bar.get("data-kind") for bar in bars]


def words(element):
    return [text.text for text in element.iter(f"{SVG}text")]


def extent(text):
    """From where to where a text goes along its line, with the width that it is given or estimated to have."""
    width = float(text.get("textLength") or estimated_width(text.text or "", text.get("class")))
    x = float(text.get("x"))
    start = {"start": x, "middle": x - width / 2, "end": x - width}[text.get("text-anchor", "start")]
    return start, start + width


def seen_in_the_first_bar_of(model, kind):
    """Which share of the context is coloured."""
    bar = next(bar for bar in model.iter() if bar.get("data-layer") and bar.get("data-kind") == kind)
    whole = float(bar.find(f"{SVG}rect").get("width"))
    return sum(map(float, re.findall(r"h([\d.]+)v", bar.find(f"{SVG}path").get("d")))) / whole


@settings(max_examples=40)
@given(config=ANY_CONFIG)
def test_the_parameters_of_the_boxes_are_all_that_the_model_has(config):
    (model,) = models(architecture(config))
    assert parameters(model) == config.n_params
    assert f"{config.n_params:,} parameters" in words(model)


@settings(max_examples=40)
@given(config=ANY_CONFIG)
def test_every_layer_is_there_with_its_kind(config):
    (model,) = models(architecture(config))
    kinds = [config.attention[layer % len(config.attention)] for layer in range(config.n_layer)]
    assert layers(model) == kinds
    for kind in set(kinds):
        assert f"{kinds.count(kind):,} {kind}" in words(model)
    assert {part.get("data-kind") for part in model.iter() if part.get("class") == "pattern"} == set(kinds)


@settings(max_examples=40)
@given(config=st.one_of(ANY_CONFIG, st.just(LARGEST)), name=NAMES, n=st.integers(1, 3))
def test_no_text_leaves_the_picture_or_is_smaller_than_eight_points(config, name, n):
    picture = ElementTree.fromstring(architecture({f"{name}{number}": config for number in range(n)}).svg)
    _, _, width, height = map(float, picture.get("viewBox").split())
    for model in picture.findall(f"{SVG}g[@class='model']"):
        left, top = map(float, re.findall(r"[\d.]+", model.get("transform")))
        for text in model.iter(f"{SVG}text"):
            start, end = extent(text)
            if "rotate(-90)" in (text.get("transform") or ""):
                x, y = map(float, re.findall(r"[\d.]+", text.get("transform"))[:2])
                assert top < top + y - end < top + y - start < height
                assert left + x - SIZES["faint"] > 0
            else:
                assert 0 <= left + start <= left + end <= width, text.text
                assert SIZES[text.get("class")] < top + float(text.get("y")) < height, text.text
    assert min(SIZES.values()) >= 8 * 96 / 72  # a point is 1/72 and a pixel 1/96 of an inch


@pytest.mark.parametrize("name", gc.presets())
def test_no_text_runs_into_another(name):
    (model,) = models(architecture(name))
    lines = {}
    for text in model.iter(f"{SVG}text"):
        if text.get("transform") is None:
            lines.setdefault(float(text.get("y")), []).append(extent(text))
    for line in lines.values():
        for (_, end), (start, _) in zip(sorted(line), sorted(line)[1:], strict=False):
            assert end <= start


def test_no_text_of_a_published_model_is_squeezed():
    assert [name for name in gc.presets() if "textLength" in architecture(name).svg] == []


@settings(max_examples=20)
@given(name=NAMES)
def test_a_name_stays_text_whatever_is_in_it(name):
    picture = architecture({name: gc.GPTConfig.preset("nano-gpt2")})
    tags = {element.tag for element in ElementTree.fromstring(picture.svg).iter()}
    plain = architecture("nano-gpt2")
    assert tags == {element.tag for element in ElementTree.fromstring(plain.svg).iter()}
    assert picture.svg.encode()


def test_a_name_with_markup_is_shown_as_it_is():
    name = '</text><script>"&amp;'
    (model,) = models(architecture({name: "nano-gpt2"}))
    assert words(model)[0] == name


def test_a_long_name_is_cut_and_whole_in_the_title():
    name = "a long name " * 20
    picture = architecture({name: "nano-gpt2"})
    assert words(models(picture)[0])[0].endswith("…")
    assert name in ElementTree.fromstring(picture.svg).find(f"{SVG}title").text


class TestScale:
    def test_two_models_share_the_height_of_a_layer_and_the_length_of_a_token(self):
        two = models(architecture("gpt2-xl", "gpt3-175b"))
        bars = [[bar.find(f"{SVG}rect") for bar in model.iter() if bar.get("data-layer")] for model in two]
        heights = {float(bar.get("height")) for of_model in bars for bar in of_model}
        assert len(heights) == 1
        widths = [{float(bar.get("width")) for bar in of_model} for of_model in bars]
        assert widths[1] == {2 * width for width in widths[0]}  # contexts of 1,024 and 2,048
        steps = [np.diff([float(bar.get("y")) for bar in of_model]) for of_model in bars]
        np.testing.assert_allclose(steps[0], steps[0][0], atol=0.02)
        np.testing.assert_allclose(steps[1], steps[0][0], atol=0.02)

    def test_alone_a_model_has_the_same_parts_as_beside_another(self):
        alone, beside = (models(architecture("gpt2", *others))[0] for others in ([], ["gpt3-175b"]))
        assert words(alone)[:12] == words(beside)[:12]
        assert parameters(alone) == parameters(beside)

    def test_the_natural_width_is_that_of_a_page(self):
        width = [float(re.search(r'width="(\d+)"', architecture(*named).svg)[1]) for named in
                 (["gpt2"], ["gpt2", "gpt2-xl"], ["gpt2", list(gc.presets())])]  # fmt: skip
        assert width[0] <= 760
        assert width[1] == width[2] <= 1100


class TestPatterns:
    def test_a_banded_bar_is_coloured_where_the_band_is(self):
        config = gc.GPTConfig.from_dict(gc.GPTConfig.preset("nano-gpt3").to_dict() | {"band_width": 64})
        _, banded = models(architecture("nano-gpt2", config))
        assert seen_in_the_first_bar_of(banded, "dense") == pytest.approx(1)
        assert seen_in_the_first_bar_of(banded, "banded") == pytest.approx(64 / 512, abs=0.001)

    def test_dense_and_banded_are_told_apart_without_colour(self):
        (model,) = models(architecture("gpt3-175b"))
        assert seen_in_the_first_bar_of(model, "banded") < seen_in_the_first_bar_of(model, "dense") / 4
        assert {"dense", "banded", "width 256"} <= set(words(model))

    @pytest.mark.parametrize("kind", PATTERNS)
    def test_the_drawn_squares_are_the_keys_that_a_query_sees(self, kind):
        config = gc.GPTConfig(
            n_layer=len(PATTERNS), n_head=2, d_model=4, n_ctx=512, attention=tuple(PATTERNS), band_width=64, stride=128,
            summary_width=32,
        )  # fmt: skip
        (model,) = models(architecture(config))
        drawn = next(part for part in model.iter() if part.get("class") == "pattern" and part.get("data-kind") == kind)
        sheet, path = drawn.find(f"{SVG}rect"), drawn.find(f"{SVG}path").get("d")
        cell = float(sheet.get("width")) / POSITIONS
        seen = np.zeros((POSITIONS, POSITIONS), bool)
        for x, y, width in re.findall(r"M([\d.]+) ([\d.]+)h([\d.]+)v", path):
            column = round((float(x) - float(sheet.get("x"))) / cell)
            seen[round((float(y) - float(sheet.get("y"))) / cell), column : column + round(float(width) / cell)] = True
        pattern = config.pattern_of(list(PATTERNS).index(kind)).shrunk(POSITIONS / config.n_ctx)
        np.testing.assert_array_equal(seen, visible_keys(POSITIONS, POSITIONS, pattern))

    def test_of_a_deeper_model_than_any_the_first_layers_are_drawn_and_the_others_counted(self):
        (model,) = models(architecture({"deep": LARGEST}))
        assert len(layers(model)) == MOST_LAYERS
        assert f"and {LARGEST.n_layer - MOST_LAYERS:,} more" in words(model)


class TestWhatDiffers:
    @pytest.mark.parametrize("change", [{"activation": "relu"}, {"layer_norm_eps": 1e-6}, {"d_head": 5}, {"n_head": 3},
        {"d_mlp": 9}, {"n_ctx": 9}, {"n_vocab": 9}, {"d_model": 16}, {"n_layer": 3}, {"tied_embeddings": False},
        {"attention": ("dense", "banded"), "band_width": 3}])  # fmt: skip
    def test_every_field_of_the_configuration_is_in_the_picture(self, change):
        base = {"n_layer": 2, "n_head": 2, "d_model": 8, "d_head": 4, "d_mlp": 32, "n_ctx": 16, "n_vocab": 64}
        one, other = (set(words(models(architecture({"x": gc.GPTConfig(**fields)}))[0])) for fields in
                      (base, {**base, **change}))  # fmt: skip
        assert one != other

    def test_a_tied_unembedding_has_no_parameters_of_its_own(self):
        for tied in (True, False):
            config = gc.GPTConfig(n_layer=1, n_head=1, d_model=4, n_vocab=7, tied_embeddings=tied)
            (model,) = models(architecture(config))
            output = next(part for part in model.iter() if part.get("data-part") == "output")
            assert int(output.get("data-parameters")) == (0 if tied else 28)


class TestPage:
    def test_pictures_have_no_ids_that_could_clash(self):
        assert " id=" not in architecture("gpt2", "gpt3-175b").svg

    def test_styles_reach_nothing_outside_of_the_picture(self):
        style = ElementTree.fromstring(architecture("gpt2").svg).find(f"{SVG}style").text
        rules = re.sub(r"@media[^{]*\{|\{[^{}]*\}|\}", "\n", style)
        selectors = [part.strip() for rule in rules.split("\n") for part in rule.split(",") if part.strip()]
        assert selectors
        assert all(re.match(r"(svg(:root)?)?\.gptcompare-picture( |$)", selector) for selector in selectors)

    def test_a_screen_reader_is_told_what_is_there(self):
        picture = ElementTree.fromstring(architecture("gpt2", "nano-gpt3").svg)
        assert picture.get("role") == "img"
        assert [child.tag for child in picture][:2] == [f"{SVG}title", f"{SVG}desc"]
        assert picture.find(f"{SVG}title").text == "Architecture of gpt2 and nano-gpt3"
        for part in ("gpt2: ", "nano-gpt3: ", "124,439,808 parameters", "3 banded, 3 dense", "tied unembedding"):
            assert part in picture.find(f"{SVG}desc").text

    def test_it_needs_nothing_from_elsewhere(self):
        assert re.findall(r"https?:[^\"]*|url\(|@import|href", architecture("gpt2").svg) == [
            "http://www.w3.org/2000/svg"
        ]

    def test_the_report_has_it_on_its_page(self):
        page = gc.report(["nano-gpt2", "nano-gpt3"]).to_html()
        assert architecture("nano-gpt2", "nano-gpt3").svg.partition("<title>")[2].strip() in page
        assert "`gptcompare table nano-gpt2 nano-gpt3 --svg`" in gc.report(["nano-gpt2", "nano-gpt3"]).to_markdown()


class TestGiven:
    def test_a_name_a_configuration_and_a_model_are_the_same_picture(self):
        nano = gc.load("nano-gpt2")
        named = architecture("nano-gpt2").svg
        for same in (gc.GPTConfig.preset("nano-gpt2"), nano, nano.model, {"nano-gpt2": nano}, "NANO-GPT2"):
            assert architecture(same).svg == named

    def test_further_models_are_one_or_a_list_or_named(self):
        assert architecture("gpt2", "gpt2-xl") == architecture("gpt2", ["gpt2-xl"])
        assert architecture({"a": "gpt2", "b": "gpt2"}).names == ("a", "b")
        assert architecture("gpt2", {"mine": gc.GPTConfig(n_layer=1, n_head=1, d_model=1)}).names == ("gpt2", "mine")

    @pytest.mark.parametrize("wrong", [None, 3, ["gpt2"], object(), {"a": 3}])
    def test_what_is_no_model_is_refused(self, wrong):
        with pytest.raises(TypeError, match="a preset's name, a GPTConfig"):
            architecture(wrong)

    @pytest.mark.parametrize("place", PLACES)
    def test_a_place_is_marked_once_and_nothing_else_changes(self, place):
        plain, marked = (ElementTree.fromstring(architecture("gpt2", here=here).svg) for here in (None, place))
        assert [text for text in words(marked) if text not in words(plain)] == ["you are here"]
        assert len(list(marked.iter())) == len(list(plain.iter())) + 3

    def test_a_place_that_is_none_is_refused(self):
        with pytest.raises(ValueError, match="did you mean attn"):
            architecture("gpt2", here="atn")
        with pytest.raises(TypeError, match="here must be"):
            architecture("gpt2", here=3)

    def test_an_unknown_name_and_no_model_at_all_are_refused(self):
        with pytest.raises(ValueError, match="did you mean gpt2"):
            architecture("gpt2", "gpt22")
        with pytest.raises(ValueError, match="the dict is empty"):
            architecture({})


def test_it_is_saved_and_shown_in_a_notebook(tmp_path):
    picture = architecture("gpt2")
    picture.save(tmp_path / "new" / "gpt2.svg")
    assert (tmp_path / "new" / "gpt2.svg").read_text(encoding="utf-8") == picture.svg == picture._repr_svg_()
    assert repr(picture) == "<Architecture of 'gpt2': .svg, .save(file)>"


def test_plots_draws_it_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    assert gc.plots.architecture("gpt2") == architecture("gpt2")
    modules = [path.read_text(encoding="utf-8") for path in Path(gc.plots.__file__).parent.glob("*.py")]
    assert not any("import matplotlib" in text.partition("def ")[0] for text in modules)
