"""Record what llama.cpp computes from GGUF files of GPT-2: `tests/data/gguf/`.

    pip install gguf==0.19.0 llama-cpp-python==0.3.36      # which compiles llama.cpp: some minutes
    python tests/data/make_gguf_reference.py tests/data/gguf

Three kinds of records, each beside what it was made from:

- `blocks.npz`: random blocks of the quantized types, and the weights that ggml's own C functions make of them.
- `NAME-TYPE.gguf` and `files.npz`: files that this library had no part in. The random weights are written by the
  package `gguf` under the names that its own table gives for those of transformers, and quantized by llama.cpp. The
  weights to expect are those that llama.cpp writes when it turns such a file back into float32, told by their SHA-256.
- `exported.json` and `exported.npz`: files that this library writes are not kept, only their SHA-256. Logits of some
  texts, greedy continuations, and the ids of many texts.

Logits are recorded twice. "at once" is llama.cpp as exact as it can be: float32 weights, a key/value cache in float32,
no flash attention; only its table of GELU stays in float16. "one by one" is llama.cpp as its users run it, a token at a
time: a cache in float16, flash attention, and with quantized weights, activations rounded to 8 bits.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import gguf
import llama_cpp
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from support.gguf_models import EXPORTED, random_parameters, vocabulary

import gptcompare as gc
from gptcompare.tokenizer import Vocabulary

ROOT = Path(__file__).parents[2]
TYPES = {"f32": 0, "f16": 1, "q4_0": 2, "q8_0": 7, "bf16": 32}  # llama.h, enum llama_ftype
# What the package makes and llama.cpp quantizes: d_model 256 is the narrowest that Q6_K fits, which "Q4_0" has too.
FILES = {
    "small": (
        {"n_layer": 2, "n_head": 4, "d_model": 32, "n_ctx": 32, "n_vocab": 288},
        ["f32", "f16", "bf16", "q8_0", "q4_0"],
    ),
    "wide": ({"n_layer": 1, "n_head": 8, "d_model": 256, "d_mlp": 192, "n_ctx": 16, "n_vocab": 280}, ["q4_0"]),
    "untied": (
        {"n_layer": 1, "n_head": 2, "d_model": 32, "d_mlp": 96, "n_ctx": 24, "n_vocab": 300, "tied_embeddings": False},
        ["f32", "q8_0"],
    ),
}  # fmt: skip
PROMPTS = ["Once upon a time", "The king was", "In the evening, the old man and his wife went to"]
TEXT = "The hen"
GREEDY = 24  # tokens


def write_with_the_package(
    file: Path, config: gc.GPTConfig, parameters: dict[str, np.ndarray], words: Vocabulary
) -> None:
    """Write a file as llama.cpp's conversion/gpt2.py does, by the package's own tables of names."""
    writer = gguf.GGUFWriter(str(file), "gpt2")
    writer.add_name("random")
    writer.add_block_count(config.n_layer)
    writer.add_context_length(config.n_ctx)
    writer.add_embedding_length(config.d_model)
    writer.add_feed_forward_length(config.d_mlp)
    writer.add_head_count(config.n_head)
    writer.add_layer_norm_eps(config.layer_norm_eps)
    writer.add_file_type(0)
    ids = {id_: token for token, id_ in (words.ids | words.special_tokens).items()}
    kinds = gguf.TokenType
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([ids.get(id_, f"[PAD{id_}]") for id_ in range(config.n_vocab)])
    control = set(words.special_tokens.values())
    writer.add_token_types(
        [
            kinds.CONTROL if id_ in control else kinds.NORMAL if id_ in ids else kinds.UNUSED
            for id_ in range(config.n_vocab)
        ]
    )
    writer.add_token_merges([f"{left} {right}" for left, right in words.merges])
    writer.add_bos_token_id(words.special_tokens[words.eot])
    writer.add_eos_token_id(words.special_tokens[words.eot])
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.GPT2, config.n_layer)
    for name, array in parameters.items():
        theirs = name if name == "lm_head.weight" else f"transformer.{name}"
        transposed = array.ndim == 2 and name not in ("wte.weight", "wpe.weight")
        new = names.get_name(theirs, try_suffixes=(".weight", ".bias"))
        writer.add_tensor(new, np.ascontiguousarray(array.T if transposed else array))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def quantize(source: Path, target: Path, kind: str) -> None:
    """Let llama.cpp write a file with other types."""
    options = llama_cpp.llama_model_quantize_default_params()
    options.ftype, options.nthread, options.allow_requantize = TYPES[kind], 1, True
    assert llama_cpp.llama_model_quantize(str(source).encode(), str(target).encode(), ctypes.byref(options)) == 0


class Llama:
    """llama.cpp with a file, as its users run it, or as exact as it can be."""

    def __init__(self, file: Path, exact: bool = False) -> None:
        options: dict[str, Any] = {"n_ctx": 0, "logits_all": True, "n_threads": 1, "n_threads_batch": 1}
        if exact:
            options |= {"type_k": llama_cpp.GGML_TYPE_F32, "type_v": llama_cpp.GGML_TYPE_F32, "flash_attn": False}
        self.llama = llama_cpp.Llama(str(file), verbose=False, **options)

    def at_once(self, ids: list[int]) -> np.ndarray:
        self.llama.reset()
        self.llama.eval(ids)
        return np.array(self.llama.scores[: len(ids)], np.float32)

    def one_by_one(self, ids: list[int]) -> np.ndarray:
        self.llama.reset()
        for id_ in ids:
            self.llama.eval([id_])
        return np.array(self.llama.scores[: len(ids)], np.float32)

    def greedy(self, ids: list[int], n_ctx: int) -> list[int]:
        """Continue the ids, as long as there is room, up to a token at which llama.cpp ends a text."""
        self.llama.reset()
        self.llama.eval(ids)
        written: list[int] = []
        model = self.llama._model.vocab
        while len(written) < GREEDY and len(ids) + len(written) < n_ctx:
            written.append(int(np.argmax(self.llama.scores[self.llama.n_tokens - 1])))
            if llama_cpp.llama_vocab_is_eog(model, written[-1]):
                break
            if len(ids) + len(written) < n_ctx:
                self.llama.eval(written[-1:])
        return written

    def tokenize(self, text: str, special: bool = False) -> list[int]:
        return self.llama.tokenize(text.encode(), add_bos=False, special=special)


def sha256(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def record_blocks(out: Path) -> None:
    library = ctypes.CDLL(str(next(Path(llama_cpp.__file__).parent.joinpath("lib").glob("libggml-base.so*"))))
    rng = np.random.default_rng(0)
    arrays = {}
    for name, (n_weights, n_bytes, scales) in {
        "Q4_0": (32, 18, [0]), "Q4_1": (32, 20, [0, 2]), "Q8_0": (32, 34, [0]), "Q6_K": (256, 210, [208]),
    }.items():  # fmt: skip
        blocks = rng.integers(0, 256, (40, n_bytes), np.uint8)
        for at in scales:  # of all sizes, from the smallest float16 to large ones, and zero
            sizes = rng.standard_normal(40) * 10.0 ** rng.uniform(-7, 4, 40)
            sizes[:2] = 0, -0.0
            blocks[:, at : at + 2] = sizes.astype("<f2")[:, None].view(np.uint8)
        weights = np.empty(40 * n_weights, np.float32)
        function = getattr(library, f"dequantize_row_{name.replace('Q', 'q')}")
        function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
        function(blocks.ctypes.data, weights.ctypes.data, weights.size)
        package = gguf.quants.dequantize(blocks.reshape(-1), gguf.GGMLQuantizationType[name])
        assert np.array_equal(package, weights), name
        arrays |= {f"{name} blocks": blocks, f"{name} weights": weights.reshape(40, n_weights)}
    np.savez_compressed(out / "blocks.npz", **arrays)


def record_files(out: Path, scratch: Path) -> None:
    arrays: dict[str, np.ndarray] = {}
    records: dict[str, Any] = {}
    for name, (sizes, kinds) in FILES.items():
        config = gc.GPTConfig(**sizes)
        source = scratch / f"{name}.gguf"
        write_with_the_package(source, config, random_parameters(config, seed=0), vocabulary(min(config.n_vocab, 280)))
        for kind in kinds:
            file = out / f"{name}-{kind}.gguf"
            quantize(source, file, kind)
            back = scratch / f"{name}-{kind}-f32.gguf"
            quantize(file, back, "f32")
            stored = {tensor.name: tensor.tensor_type.name for tensor in gguf.GGUFReader(file).tensors}
            weights = {tensor.name: tensor for tensor in gguf.GGUFReader(back).tensors}
            assert {tensor.tensor_type.name for tensor in weights.values()} == {"F32"}
            llama = Llama(file)
            ids = llama.tokenize(TEXT)
            arrays[f"{file.name} at once"] = Llama(back, exact=True).at_once(ids)
            arrays[f"{file.name} one by one"] = llama.one_by_one(ids)
            records[file.name] = {
                "types": sorted(set(stored.values())),
                "sha256": {tensor: sha256(weights[tensor].data) for tensor in weights},
                "text": TEXT,
                "ids": ids,
                "greedy": llama.greedy(ids, config.n_ctx),
            }
    (out / "files.json").write_text(json.dumps(records, indent=1) + "\n")
    np.savez_compressed(out / "files.npz", **arrays)


def texts() -> list[str]:
    """Texts of all kinds: prose, code, numbers, other scripts, white space, quotes, emoji, control characters."""
    alice = (ROOT / "tests" / "data" / "alice.txt").read_text(encoding="utf-8")
    scripts = json.loads((ROOT / "tests" / "data" / "scripts.json").read_text(encoding="utf-8"))
    samples = [str(value) for value in (scripts.values() if isinstance(scripts, dict) else scripts)]
    by_hand = [
        "Hello world", " leading", "trailing ", "two  spaces   three", "a\n\nb\n", "\t\ttabs\t", "\r\n",
        "don't I'll we've I'D", "it's 'tis ''s", "x=1;y+=2**10 # code", "1234567890 3.14 1,000,000", "½ ² ③ Ⅷ ٣ 四",
        "ﬁ naïve café Ångström ẞ", "日本語のテキスト", "Привет, мир!", "مرحبا بالعالم", "नमस्ते दुनिया", "👍🏽 🎉🎉",
        "\u00a0nbsp\u2003em\u3000ideographic", "\u200bzero\ufeff", "\x00\x01\x1f\x7f", "<|endoftext|> as text",
        "!!!???...---", "'''", "''''s", "a'b'c", "ʼn 's", "\u2028line\u2029", "e\u0301 combining", "A" * 100, " " * 40,
        "\n" * 9, "no-break\u00adhyphen", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝟙𝟚𝟛", "", " ", "\n", "\n ", " \n", "a \n b", "  a",
    ]  # fmt: skip
    return by_hand + samples + [alice[at : at + 97] for at in range(0, min(len(alice), 97 * 60), 97)]


def record_exported(out: Path, scratch: Path) -> None:
    models = {name: make() for name, make in EXPORTED.items()}
    arrays: dict[str, np.ndarray] = {}
    records: dict[str, Any] = {}
    for name, lm in models.items():
        for dtype in ("float32", "float16"):
            file = scratch / "exported.gguf"
            gc.save_gguf(lm, file, dtype=dtype)
            quantize(file, scratch / "exported-f32.gguf", "f32")
            llama, exact = Llama(file), Llama(scratch / "exported-f32.gguf", exact=True)
            prompts = [text for text in PROMPTS if len(lm.tokenizer.encode(text)) < lm.config.n_ctx]
            record: dict[str, Any] = {"sha256": hashlib.sha256(file.read_bytes()).hexdigest(), "prompts": []}
            for number, prompt in enumerate(prompts):
                ids = llama.tokenize(prompt)
                arrays[f"{name}, {dtype}, {number} at once"] = exact.at_once(ids)[-1]
                arrays[f"{name}, {dtype}, {number} one by one"] = llama.one_by_one(ids)[-1]
                record["prompts"].append({"text": prompt, "ids": ids, "greedy": llama.greedy(ids, lm.config.n_ctx)})
            records[f"{name}, {dtype}"] = record
    words: dict[str, Any] = {}
    tiny = gc.GPT(gc.GPTConfig(n_layer=1, n_head=1, d_model=4, n_ctx=8))
    for name, lm in {
        "nano-gpt2": models["nano-gpt2"],
        "gpt2": gc.LanguageModel(tiny, gc.Tokenizer.from_pretrained("gpt2")),
    }.items():
        gc.save_gguf(lm, scratch / "words.gguf")
        llama = Llama(scratch / "words.gguf")
        words[name] = [[text, llama.tokenize(text), llama.tokenize(text, special=True)] for text in texts()]
    contents = json.dumps({"models": records, "texts": words}, ensure_ascii=False)
    (out / "exported.json").write_text(contents + "\n", encoding="utf-8")
    np.savez_compressed(out / "exported.npz", **arrays)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        record_blocks(out)
        record_files(out, Path(scratch))
        record_exported(out, Path(scratch))


if __name__ == "__main__":
    main()
