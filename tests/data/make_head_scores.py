"""Make head_scores.json: what TransformerLens says of some attention patterns.

    pip install torch==2.13.0 transformer_lens==4.3.0 && python tests/data/make_head_scores.py

The patterns are random rows of a causal softmax, which `patterns_and_ids` makes anew from its seed, also for the test.
"""

import json
from pathlib import Path

import numpy as np

N_LAYER, N_HEAD = 2, 3
KINDS = {
    "previous_token": "previous_token_head", "duplicate_token": "duplicate_token_head", "induction": "induction_head"
}  # fmt: skip


def patterns_and_ids(seed, n):
    """Attention (L, H, n, n), and n ids of which many come again."""
    rng = np.random.default_rng(seed)
    scores = np.where(np.tri(n, dtype=bool), rng.normal(0, 2, (N_LAYER, N_HEAD, n, n)), -np.inf)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True), rng.integers(6, size=n)


def main():
    import torch
    from transformer_lens import head_detector as theirs

    def score(pattern, there):
        options = {"exclude_bos": False, "exclude_current_token": False, "error_measure": "mul"}
        return theirs.compute_head_attention_similarity_score(pattern, there, **options)

    found = []
    for seed, n in enumerate([4, 7, 20, 33]):
        patterns, ids = patterns_and_ids(seed, n)
        tokens = torch.tensor(ids)[None]
        wanted = {kind: getattr(theirs, f"get_{name}_detection_pattern")(tokens) for kind, name in KINDS.items()}
        scores = {
            kind: [[score(torch.tensor(pattern), there.double()) for pattern in of_layer] for of_layer in patterns]
            for kind, there in wanted.items()
        }
        found.append({"seed": seed, "n": n, **scores})
    Path(__file__).with_name("head_scores.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
