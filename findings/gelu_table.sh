#!/usr/bin/env bash
# llama.cpp with a GPT-2 in float32, a key/value cache in float32 and no flash attention, beside the same in float64.
# Guess: everything is float32 then, so the logits are right to about one part in a million.
# Seen with llama-cpp-python 0.3.36: they are off by a thousandth and more. GELU comes from a table with an entry for each
# float16, and in float16: its argument is rounded to one, too. There is no switch for that but another build. With the
# same table in the place of GELU, float64 gives the same logits but for one part in a million. It takes minutes to
# compile llama.cpp.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet llama-cpp-python==0.3.36 gguf==0.19.0 numpy==2.4.6
cat > "$folder/logits.py" <<'PROGRAM'
import sys

import gguf
import llama_cpp
import numpy as np

D, N_HEAD, N_VOCAB, N_CTX = 32, 2, 64, 32
print("llama-cpp-python", llama_cpp.__version__)
rng = np.random.default_rng(0)
shapes = {
    "token_embd.weight": (N_VOCAB, D), "position_embd.weight": (N_CTX, D), "output_norm.weight": (D,), "output_norm.bias": (D,),
    "attn_norm.weight": (D,), "attn_norm.bias": (D,), "attn_qkv.weight": (3 * D, D), "attn_qkv.bias": (3 * D,),
    "attn_output.weight": (D, D), "attn_output.bias": (D,), "ffn_norm.weight": (D,), "ffn_norm.bias": (D,),
    "ffn_up.weight": (4 * D, D), "ffn_up.bias": (4 * D,), "ffn_down.weight": (D, 4 * D), "ffn_down.bias": (D,),
}
w = {name: (rng.standard_normal(shape) * 0.3 + name.endswith("norm.weight")).astype(np.float32) for name, shape in shapes.items()}


def write(path):
    writer = gguf.GGUFWriter(path, "gpt2")
    writer.add_block_count(1)
    writer.add_context_length(N_CTX)
    writer.add_embedding_length(D)
    writer.add_feed_forward_length(4 * D)
    writer.add_head_count(N_HEAD)
    writer.add_layer_norm_eps(1e-5)
    writer.add_tokenizer_model("no_vocab")
    writer.add_vocab_size(N_VOCAB)
    for name, array in w.items():
        whole = name.split(".")[0] in ("token_embd", "position_embd", "output_norm")
        writer.add_tensor(name if whole else f"blk.0.{name}", array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def gelu_by_table(x):
    nearest = x.astype(np.float32).astype(np.float16).astype(np.float64)
    return np.where(x <= -10, 0, np.where(x >= 10, x, gelu(nearest).astype(np.float16)))


def norm(x, name):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * w[f"{name}.weight"] + w[f"{name}.bias"]


def linear(x, name):
    return x @ w[f"{name}.weight"].astype(np.float64).T + w[f"{name}.bias"]


def logits(ids, activation):
    T = len(ids)
    x = w["token_embd.weight"].astype(np.float64)[ids] + w["position_embd.weight"][:T]
    q, k, v = (part.reshape(T, N_HEAD, -1).transpose(1, 0, 2) for part in np.split(linear(norm(x, "attn_norm"), "attn_qkv"), 3, -1))
    scores = q @ k.transpose(0, 2, 1) / np.sqrt(D / N_HEAD) + np.triu(np.full((T, T), -np.inf), 1)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    x = x + linear((weights @ v).transpose(1, 0, 2).reshape(T, D), "attn_output")
    x = x + linear(activation(linear(norm(x, "ffn_norm"), "ffn_up")), "ffn_down")
    return norm(x, "output_norm") @ w["token_embd.weight"].astype(np.float64).T


write(f"{sys.argv[1]}/model.gguf")
float32 = {"type_k": llama_cpp.GGML_TYPE_F32, "type_v": llama_cpp.GGML_TYPE_F32, "flash_attn": False}
llama = llama_cpp.Llama(f"{sys.argv[1]}/model.gguf", n_ctx=N_CTX, logits_all=True, verbose=False, **float32)
ids = list(range(0, 20))
llama.eval(ids)
theirs = np.array(llama.scores[: len(ids)], np.float64)
off = {name: np.abs(theirs - logits(ids, f)).max() for name, f in (("GELU", gelu), ("the table", gelu_by_table))}
print(f"largest difference of {theirs.size} logits (spread {theirs.std():.1f}):", {name: f"{x:.1e}" for name, x in off.items()})
if not (off["GELU"] > 1e-3 and off["the table"] < off["GELU"] / 10):
    sys.exit("this has changed: expected thousandths with GELU, and less than a tenth of it with the table")
PROGRAM
"$folder/venv/bin/python" "$folder/logits.py" "$folder" 2> "$folder/log" || { cat "$folder/log"; exit 1; }
