#!/usr/bin/env bash
# The types of the tensors in a GPT-2 that llama.cpp has quantized to Q4_0.
# Guess: every matrix is Q4_0, and vectors are left in F32; so a reader of F32 and Q4_0 reads the file.
# Seen with llama-cpp-python 0.3.36: the token embedding, which GPT-2 uses again as its output matrix, is Q6_K, another
# format with other blocks, and where the width is no multiple of Q6_K's 256, Q8_0. The table of positions stays F32. The
# file's own word for itself (general.file_type) is Q4_0 in both cases. It takes minutes to compile llama.cpp.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet llama-cpp-python==0.3.36 gguf==0.19.0 numpy==2.4.6
cat > "$folder/quantized_types.py" <<'PROGRAM'
import ctypes
import sys

import gguf
import llama_cpp
import numpy as np

Q4_0 = 2  # llama.h, enum llama_ftype
EXPECTED = {256: {"token_embd.weight": "Q6_K"}, 96: {"token_embd.weight": "Q8_0"}}
print("llama-cpp-python", llama_cpp.__version__)


def write(path, width):
    writer = gguf.GGUFWriter(path, "gpt2")
    writer.add_block_count(1)
    writer.add_context_length(32)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(4 * width)
    writer.add_head_count(2)
    writer.add_layer_norm_eps(1e-5)
    writer.add_tokenizer_model("no_vocab")
    writer.add_vocab_size(64)
    rng = np.random.default_rng(0)
    matrices = {
        "token_embd": (64, width), "position_embd": (32, width), "blk.0.attn_qkv": (3 * width, width),
        "blk.0.attn_output": (width, width), "blk.0.ffn_up": (4 * width, width), "blk.0.ffn_down": (width, 4 * width),
    }
    vectors = {
        "output_norm": width, "blk.0.attn_norm": width, "blk.0.ffn_norm": width, "blk.0.attn_qkv": 3 * width,
        "blk.0.attn_output": width, "blk.0.ffn_up": 4 * width, "blk.0.ffn_down": width,
    }
    for name, shape in matrices.items():
        writer.add_tensor(f"{name}.weight", rng.standard_normal(shape, np.float32))
    for name, size in vectors.items():
        writer.add_tensor(f"{name}.bias", np.zeros(size, np.float32))
        if name.endswith("norm"):
            writer.add_tensor(f"{name}.weight", np.ones(size, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


for width, expected in EXPECTED.items():
    write(f"{sys.argv[1]}/f32.gguf", width)
    options = llama_cpp.llama_model_quantize_default_params()
    options.ftype = Q4_0
    target = f"{sys.argv[1]}/q4_0.gguf"
    llama_cpp.llama_model_quantize(f"{sys.argv[1]}/f32.gguf".encode(), target.encode(), ctypes.byref(options))
    reader = gguf.GGUFReader(target)
    matrices = {tensor.name: tensor.tensor_type.name for tensor in reader.tensors if len(tensor.shape) == 2}
    others = {name: kind for name, kind in matrices.items() if kind != "Q4_0"}
    print(f"width {width}: file type {reader.fields['general.file_type'].contents()}, matrices {matrices}")
    if others != expected | {"position_embd.weight": "F32"}:
        sys.exit(f"this has changed: {others} are not Q4_0")
PROGRAM
"$folder/venv/bin/python" "$folder/quantized_types.py" "$folder" 2> "$folder/log" || { cat "$folder/log"; exit 1; }
