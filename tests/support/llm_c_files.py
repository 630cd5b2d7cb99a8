"""Files as karpathy/llm.c's train_gpt2.py writes them (write_model, write_tokenizer)."""

import numpy as np

# The parameters of a block in the order of the file, each of all layers in turn, by the names of transformers' GPT-2.
IN_A_BLOCK = [
    f"{module}.{kind}"
    for module in ("ln_1", "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj")
    for kind in ("weight", "bias")
]
PADDED_TO = 128


def header(*numbers):
    return np.array([*numbers, *[0] * (256 - len(numbers))], "<i4").tobytes()


def in_bfloat16(array):
    """The upper halves of float32, rounded to the nearest, ties to even."""
    bits = np.ascontiguousarray(array, "<f4").view("<u4")
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("<u2")


def model_file(config, parameters, *, version=3, **changes):
    """The bytes of a model; changes are numbers of the header that are then wrong."""
    rows = -(-config.n_vocab // PADDED_TO) * PADDED_TO
    given = {
        "magic": 20240326, "version": version, "n_ctx": config.n_ctx, "n_vocab": config.n_vocab,
        "n_layer": config.n_layer, "n_head": config.n_head, "d_model": config.d_model, "rows": rows,
    }  # fmt: skip
    wte = parameters["wte.weight"]
    padded = np.concatenate([wte, np.full((rows - len(wte), wte.shape[1]), np.nan, wte.dtype)])  # must not be used
    arrays = [padded, parameters["wpe.weight"]]
    arrays += [
        parameters[f"h.{layer}.{name}"].T for name in IN_A_BLOCK for layer in range(config.n_layer)
    ]  # torch's Linear has (d_out, d_in)
    arrays += [parameters[name] for name in ("ln_f.weight", "ln_f.bias")]
    convert = in_bfloat16 if version == 5 else lambda array: array.astype("<f4")
    return header(*(given | changes).values()) + b"".join(convert(array).tobytes() for array in arrays)


def tokens_file(tokens, *, version=2, eot=None, n=None):
    """The bytes of a table of tokens, each given as bytes."""
    numbers = [20240328, version, len(tokens) if n is None else n]
    if version >= 2:
        numbers.append(len(tokens) - 1 if eot is None else eot)
    return header(*numbers) + b"".join(bytes([len(token)]) + token for token in tokens)
