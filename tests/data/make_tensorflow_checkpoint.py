"""Write a tiny GPT-2 with TensorFlow, as OpenAI published theirs: `tests/data/tensorflow-gpt2*`.

The same random parameters three times: in one data file, in two data files, and as the arrays to expect. A step
counter and a string lie beside them, as training leaves them. Needs the `reference` extra:

    python tests/data/make_tensorflow_checkpoint.py tests/data
"""

import argparse
import json
from pathlib import Path

import numpy as np
import tensorflow as tf

N_LAYER, N_HEAD, N_EMBD, N_CTX, N_VOCAB = 2, 2, 8, 12, 40


def random_variables() -> dict[str, np.ndarray]:
    """Arrays under the names and in the shapes of openai/gpt-2, src/model.py."""
    shapes = {"wpe": (N_CTX, N_EMBD), "wte": (N_VOCAB, N_EMBD), "ln_f/g": (N_EMBD,), "ln_f/b": (N_EMBD,)}
    for layer in range(N_LAYER):
        for norm in ("ln_1", "ln_2"):
            shapes |= {f"h{layer}/{norm}/g": (N_EMBD,), f"h{layer}/{norm}/b": (N_EMBD,)}
        for linear, n_in, n_out in [
            ("attn/c_attn", N_EMBD, 3 * N_EMBD),
            ("attn/c_proj", N_EMBD, N_EMBD),
            ("mlp/c_fc", N_EMBD, 4 * N_EMBD),
            ("mlp/c_proj", 4 * N_EMBD, N_EMBD),
        ]:
            shapes |= {f"h{layer}/{linear}/w": (1, n_in, n_out), f"h{layer}/{linear}/b": (n_out,)}
    rng = np.random.default_rng(0)
    return {f"model/{name}": rng.standard_normal(shape, np.float32) for name, shape in shapes.items()}


def save(prefix: Path, tensors: dict[str, tf.Tensor]) -> None:
    """One data file and its index, by the operation behind tf.compat.v1.train.Saver."""
    names = sorted(tensors)
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=[tensors[name] for name in names],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    hparams = {"n_vocab": N_VOCAB, "n_ctx": N_CTX, "n_embd": N_EMBD, "n_head": N_HEAD, "n_layer": N_LAYER}
    one, two = out / "tensorflow-gpt2", out / "tensorflow-gpt2-two-shards"
    for folder in (one, two):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "hparams.json").write_text(json.dumps(hparams) + "\n")

    variables = random_variables()
    tensors = {name: tf.constant(array) for name, array in variables.items()}
    tensors["global_step"] = tf.constant(7, tf.int64)
    tensors["note"] = tf.constant("a string is not a tensor of numbers")
    save(one / "model.ckpt", tensors)

    names = sorted(tensors)
    for part in (0, 1):
        save(two / f"part{part}", {name: tensors[name] for name in names[part::2]})
    tf.raw_ops.MergeV2Checkpoints(
        checkpoint_prefixes=[str(two / "part0"), str(two / "part1")],
        destination_prefix=str(two / "model.ckpt"),
        delete_old_dirs=False,
    )
    np.savez_compressed(out / "tensorflow-gpt2.npz", **variables)


if __name__ == "__main__":
    main()
