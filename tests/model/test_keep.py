"""Models whose matrices are kept in 16 bits: the same numbers as after widening everything, in half the memory."""

import json
import tracemalloc

import numpy as np
import pytest
from support.forge import GPT2_FIELDS, GPT_NEO_FIELDS, OPT_FIELDS, gpt_neo_tensors, opt_tensors, safetensors
from support.ranks import on_ranks

import gptcompare as gc
from gptcompare.checkpoints.families.gpt2 import parameters_to_hf
from gptcompare.evaluation.provenance import of_content
from gptcompare.model.products import (
    in_fast_order,
    memory_order,
    multiplication,
    pieces,
    product,
    product_in_shares,
)  # fmt: skip
from gptcompare.model.threads import products_on
from gptcompare.parameters import digest_of
from gptcompare.sixteen_bits import SIXTEEN_BITS, copy_into, widened

FORMATS = list(SIXTEEN_BITS)
TYPES = {"float16": "F16", "bfloat16": "BF16", "float32": "F32"}
SIZES = {"n_layer": 2, "n_head": 2, "d_model": 128, "n_ctx": 320, "n_vocab": 301}
FAMILIES = {
    "gpt2": ({**GPT2_FIELDS, "n_head": 2, "n_embd": 128, "n_positions": 320, "vocab_size": 301}, parameters_to_hf),
    "gpt_neo": (
        {**GPT_NEO_FIELDS, "hidden_size": 128, "max_position_embeddings": 320, "vocab_size": 301, "window_size": 7,
         "attention_types": [[["global", "local"], 1]]},
        gpt_neo_tensors,
    ),
    "opt": (
        {**OPT_FIELDS, "hidden_size": 128, "ffn_dim": 512, "max_position_embeddings": 320, "vocab_size": 301},
        opt_tensors,
    ),
}  # fmt: skip


def rounded(array, dtype):
    """The array's numbers in a format of a file."""
    stored = np.empty(array.shape, {**SIXTEEN_BITS, "float32": np.dtype(np.float32)}[dtype])
    copy_into(stored, np.ascontiguousarray(array))
    return stored


def write(folder, fields, tensors, dtype, others=()):
    """Write a checkpoint in this format, but `others` in theirs, its tensors in a row in C order."""
    header, data = {}, b""
    formats = dict.fromkeys(tensors, dtype) | dict(others)
    for name, array in tensors.items():
        stored = rounded(array, formats[name]).tobytes()
        place = [len(data), len(data) + len(stored)]
        header[name] = {"dtype": TYPES[formats[name]], "shape": array.shape, "data_offsets": place}
        data += stored
    encoded = json.dumps(header).encode()
    folder.mkdir(exist_ok=True)
    (folder / "model.safetensors").write_bytes(safetensors(encoded + b" " * (-len(encoded) % 8), data))
    (folder / "config.json").write_text(json.dumps(fields))
    return folder


def parameters(seed=0, **sizes):
    """Gains and biases are random, too; some weights are subnormal in float16."""
    config = gc.GPTConfig(**{**SIZES, **sizes})
    rng = np.random.default_rng(seed)
    return {
        name: value + 0.02 * rng.standard_normal(value.shape, np.float32)
        for name, value in gc.GPT(config, seed=seed).parameters().items()
    }


@pytest.fixture(params=FAMILIES)
def family(request):
    return request.param


@pytest.fixture(params=FORMATS)
def dtype(request):
    return request.param


@pytest.fixture
def folder(family, dtype, tmp_path):
    fields, of_publisher = FAMILIES[family]
    return write(tmp_path / family, fields, of_publisher(parameters()), dtype)


@pytest.fixture
def gpt2_folder(tmp_path):
    def of(dtype, **changes):
        return write(tmp_path / dtype, FAMILIES["gpt2"][0], parameters_to_hf(parameters() | changes), dtype)

    return of


class TestLogits:
    @pytest.mark.parametrize("n_threads", [1, 2, 3])
    def test_are_those_of_the_weights_that_were_widened_at_loading(self, folder, dtype, n_threads):
        kept, wide = gc.GPT.from_pretrained(folder, keep="as stored"), gc.GPT.from_pretrained(folder)
        assert (kept.kept_in, wide.kept_in) == (dtype, None)
        ids = np.random.default_rng(1).integers(301, size=(9, 300))
        with products_on(n_threads):
            for n in (1, 2, 8, 64, 300):
                caches = kept.new_cache(), wide.new_cache()
                for new in (ids[0, :n], ids[1, :1], ids[2, :5]):
                    ours, expected = (model(new, cache) for model, cache in zip((kept, wide), caches, strict=True))
                    np.testing.assert_array_equal(ours, expected)
            np.testing.assert_array_equal(kept(ids), wide(ids))

    def test_of_the_embedded_pair_write_the_same_texts(self):
        options = {"max_new_tokens": 30, "seed": 3, "temperature": 0.9}
        for name in ("nano-gpt2", "nano-gpt3"):
            kept, wide = gc.load(name, keep="as stored"), gc.load(name)
            assert kept.model.kept_in == "float16"
            prompts = ["Once upon a time", "The fox said, ", "Where"]
            assert [found.ids for found in kept.generate(prompts, **options)] == [
                found.ids for found in wide.generate(prompts, **options)
            ]
            assert kept.score("The king had three daughters.").logprobs == (
                wide.score("The king had three daughters.").logprobs
            )
            with_draft = kept.generate("again and again and again and", draft="repetitions", max_new_tokens=20)
            assert with_draft.ids == wide.generate("again and again and again and", max_new_tokens=20).ids

    def test_of_a_model_that_is_cut_among_ranks_are_the_same(self, folder):
        ids = np.random.default_rng(2).integers(301, size=70)

        def logits(keep):
            return on_ranks(2, lambda comm: gc.GPT.from_pretrained(folder, keep=keep, parallel=comm)(ids))

        np.testing.assert_array_equal(logits("as stored"), logits(None))


class TestProducts:
    @pytest.mark.parametrize("n_threads", [1, 2, 3])
    @pytest.mark.parametrize("shape", [(768, 3072), (3072, 768), (400, 50257), (512, 8191), (999, 3333)], ids=str)
    def test_have_the_same_bits_as_those_with_the_wide_matrix(self, shape, n_threads, dtype):
        rng = np.random.default_rng(0)
        kept = in_fast_order(rounded(rng.standard_normal(shape, np.float32), dtype))
        wide = widened(kept)
        with products_on(n_threads):
            for n in (1, 2, 5, 12, 13, 130):
                x = rng.standard_normal((n, shape[0]), np.float32)
                np.testing.assert_array_equal(product(x, kept), product(x, wide))
                np.testing.assert_array_equal(product_in_shares(x, kept), product_in_shares(x, wide))

    @pytest.mark.parametrize("shape", [(96, 130), (130, 96), (7, 501), (501, 7), (1, 1), (65, 4097)], ids=str)
    def test_are_right_however_small_the_pieces_are(self, shape, dtype, monkeypatch):
        sizes = {
            multiplication: {"WIDENED": 1, "STRETCH": 64, "TILE": 1, "SHARED": 0},
            pieces: {"SMALL": 2000, "LONGEST_RUN": 50, "BLOCK": 1, "SHARED_PIECES": 0},
        }
        for module, of_module in sizes.items():
            for name, value in of_module.items():
                monkeypatch.setattr(module, name, value)
        rng = np.random.default_rng(1)
        kept = in_fast_order(rounded(rng.standard_normal(shape, np.float32), dtype))
        for n in (1, 2, 4, 11, 129):
            x = rng.standard_normal((n, shape[0]), np.float32)
            expected = x.astype(float) @ widened(kept).astype(float)
            for ours in (product(x, kept), product_in_shares(x, kept)):
                assert ours.dtype == np.float32
                np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5 * np.sqrt(shape[0]))


class TestWhatIsKept:
    def test_are_the_matrices_but_not_the_positions(self, folder, dtype):
        model = gc.GPT.from_pretrained(folder, keep="as stored")
        for name, value in model._parameters.items():
            is_kept = value.ndim == 2 and name != "wpe.weight"
            assert value.dtype == (SIXTEEN_BITS[dtype] if is_kept else np.float32), name

    def test_a_matrix_in_the_order_of_the_file_stays_in_the_file(self, dtype, gpt2_folder):
        model = gc.GPT.from_pretrained(gpt2_folder(dtype), keep="as stored")
        in_file = [name for name, value in model._parameters.items() if not value.flags.owndata]
        assert in_file == [f"h.{layer}.{name}.weight" for layer in range(2) for name in ("attn.c_attn", "mlp.c_fc")]

    def test_all_stay_in_a_file_that_is_larger_than_memory(self, folder, dtype, monkeypatch):
        wide = gc.GPT.from_pretrained(folder)
        monkeypatch.setattr(memory_order, "memory_of_machine", lambda: 1000)
        with pytest.warns(UserWarning, match="read from the file again for each token, at the speed of the disk"):
            kept = gc.GPT.from_pretrained(folder, keep="as stored")
        in_memory = {name for name, value in kept._parameters.items() if value.flags.owndata and value.ndim == 2}
        joined = {f"h.{layer}.attn.c_attn.weight" for layer in range(2)} if "gpt2" not in str(folder) else set()
        assert in_memory == {"wpe.weight"} | joined
        for n in (1, 2, 5, 30):
            np.testing.assert_allclose(kept(range(n)), wide(range(n)), rtol=0, atol=2e-5)

    def test_loading_takes_two_bytes_a_number(self, dtype, gpt2_folder):
        folder = gpt2_folder(dtype)
        for keep, n_bytes in ((dtype, 2), (None, 4)):
            tracemalloc.start()
            n_params = gc.GPT.from_pretrained(folder, keep=keep).config.n_params
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert 0.5 * n_bytes * n_params < peak < 1.3 * n_bytes * n_params + 300_000

    @pytest.mark.parametrize("stored", TYPES)
    def test_weights_of_another_format_are_rounded_to_it(self, stored, dtype, gpt2_folder):
        folder = gpt2_folder(stored)
        kept, wide = gc.GPT.from_pretrained(folder, keep=dtype), gc.GPT.from_pretrained(folder)
        for name, value in wide.parameters().items():
            is_kept = value.ndim == 2 and name != "wpe.weight"
            expected = widened(rounded(value, dtype)) if is_kept else value
            np.testing.assert_array_equal(kept.parameters()[name], expected, err_msg=name)

    def test_each_matrix_of_a_file_with_several_formats_is_rounded(self, dtype, tmp_path):
        of_file = parameters_to_hf(parameters())
        embedding = next(name for name in of_file if name.endswith("wte.weight"))
        fields = FAMILIES["gpt2"][0]
        folder = write(tmp_path / "mixed", fields, of_file, "float32", {embedding: dtype})
        kept = gc.GPT.from_pretrained(folder, keep=dtype)
        matrices = {n: value for n, value in kept._parameters.items() if value.ndim == 2 and n != "wpe.weight"}
        assert {value.dtype for value in matrices.values()} == {SIXTEEN_BITS[dtype]}
        all_rounded = gc.GPT.from_pretrained(write(tmp_path / "rounded", fields, of_file, dtype))
        for name in matrices:
            np.testing.assert_array_equal(kept.parameters()[name], all_rounded.parameters()[name], err_msg=name)

    def test_float32_weights_as_they_are_stored_are_not_kept(self, gpt2_folder):
        model = gc.GPT.from_pretrained(gpt2_folder("float32"), keep="as stored")
        assert model.kept_in is None
        assert {value.dtype for value in model.parameters().values()} == {np.dtype(np.float32)}

    def test_queries_whose_scale_is_no_power_of_two_are_float32(self, dtype, tmp_path):
        fields = {**FAMILIES["gpt_neo"][0], "num_heads": 4}  # sqrt(32)
        folder = write(tmp_path / "neo", fields, gpt_neo_tensors(parameters(n_head=4)), dtype)
        kept, wide = gc.GPT.from_pretrained(folder, keep="as stored"), gc.GPT.from_pretrained(folder)
        assert kept._parameters["h.0.attn.c_attn.weight"].dtype == np.float32
        assert kept._parameters["h.0.mlp.c_fc.weight"].dtype == SIXTEEN_BITS[dtype]
        np.testing.assert_array_equal(kept(range(40)), wide(range(40)))

    def test_a_matrix_with_an_infinity_is_float32(self, dtype, gpt2_folder):
        spoilt = parameters()["h.1.mlp.c_fc.weight"]
        spoilt[3, 5] = -np.inf
        folder = gpt2_folder(dtype, **{"h.1.mlp.c_fc.weight": spoilt})
        kept, wide = gc.GPT.from_pretrained(folder, keep="as stored"), gc.GPT.from_pretrained(folder)
        for name, value in wide.parameters().items():
            np.testing.assert_array_equal(kept.parameters()[name], value)
        assert kept._parameters["h.1.mlp.c_fc.weight"].dtype == np.float32

    def test_a_number_beyond_the_range_of_the_format_is_refused(self, gpt2_folder):
        large = parameters()["h.0.mlp.c_proj.weight"]
        large[0, 0] = 1e6
        folder = gpt2_folder("float32", **{"h.0.mlp.c_proj.weight": large})
        with pytest.raises(ValueError, match=r"h\.0\.mlp\.c_proj\.weight has numbers beyond the range of float16"):
            gc.GPT.from_pretrained(folder, keep="float16")
        assert gc.GPT.from_pretrained(folder, keep="bfloat16").kept_in == "bfloat16"


class TestWhatElseAKeptModelDoes:
    def test_it_says_so(self):
        assert repr(gc.load("nano-gpt2", keep="bfloat16").model).endswith("float32, kept in bfloat16>")

    def test_it_is_saved_and_exported_with_the_same_numbers(self, dtype, gpt2_folder, tmp_path):
        kept = gc.GPT.from_pretrained(gpt2_folder(dtype), keep="as stored")
        kept.save_pretrained(tmp_path / "saved")
        assert digest_of(gc.GPT.from_pretrained(tmp_path / "saved").parameters()) == digest_of(kept.parameters())
        lm = gc.load("nano-gpt2", keep="as stored")
        gc.save_gguf(lm, tmp_path / "nano.gguf", dtype="float16")
        assert digest_of(gc.load(tmp_path / "nano.gguf").model.parameters()) == digest_of(lm.model.parameters())

    def test_evaluations_know_it_as_the_same_model(self):
        assert of_content(gc.load("nano-gpt2", keep="as stored")) == of_content(gc.load("nano-gpt2"))

    def test_it_can_be_looked_into(self):
        lm, wide = gc.load("nano-gpt3", keep="as stored"), gc.load("nano-gpt3")
        ids = lm.encode("The king had a")
        traces = [of.model.trace(ids) for of in (lm, wide)]
        assert gc.inspection.contributions(traces[0], -1, 300) == gc.inspection.contributions(traces[1], -1, 300)

    def test_it_cannot_be_trained(self):
        lm = gc.load("nano-gpt2", keep="as stored")
        recipe = gc.training.Recipe(n_steps=1, batch=1, context=4, warmup_steps=0)
        for attempt in (
            lambda: gc.training.loss_and_grads(lm.model, [1, 2], [2, 3]),
            lambda: gc.training.train(lm.model, np.arange(9), recipe),
        ):
            with pytest.raises(ValueError, match="kept in float16 cannot be trained: load it without `keep`"):
                attempt()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"keep": "int8"}, "keep must be one of 'float16', 'bfloat16', 'as stored' or None, got 'int8'"),
        ({"keep": "float16", "dtype": np.float64}, "weights that are kept are multiplied in float32, not in float64"),
    ],
)
def test_what_cannot_be_kept_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        gc.load("nano-gpt2", **arguments)
