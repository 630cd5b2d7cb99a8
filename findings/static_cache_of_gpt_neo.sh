#!/usr/bin/env bash
# Hugging Face transformers, GPT-Neo's local attention, and a cache of a fixed size.
# Guess: a static cache changes the speed and nothing else, as with GPT-2, or is refused by a model that cannot use it.
# Seen with transformers 5.24.0: the model takes the end of the cache for the end of the text. With k slots of the cache
# still empty, a local layer of window w sees only the last w - k tokens; from k = w on it has no window, but sees all
# that came before, and for some positions tokens that come later. Nothing is said, and
# `generate(cache_implementation="static")` writes another text.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "torch==2.13.0" "transformers==5.24.0"
cat > "$folder/sees.py" <<'PROGRAM'
import sys

import torch
import transformers
from transformers import GPT2Config, GPT2LMHeadModel, GPTNeoConfig, GPTNeoForCausalLM, StaticCache

transformers.utils.logging.set_verbosity_error()
print("transformers", transformers.__version__)
T, WINDOW, QUERY = 12, 4, 5
ALIKE = {"vocab_size": 50, "initializer_range": 0.5, "bos_token_id": 0, "eos_token_id": 0}
torch.manual_seed(0)
ids = torch.randint(1, 50, (1, T))
local = GPTNeoForCausalLM(
    GPTNeoConfig(
        hidden_size=32, num_layers=1, num_heads=4, attention_types=[[["local"], 1]], window_size=WINDOW,
        max_position_embeddings=64, attention_dropout=0.0, embed_dropout=0.0, resid_dropout=0.0, **ALIKE,
    )
).eval()
gpt2 = GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=1, n_head=4, n_positions=64, **ALIKE)).eval()


@torch.no_grad()
def logits(model, ids, slots):
    cache = StaticCache(config=model.config, max_cache_len=slots) if slots else None
    return model(ids, **({"cache": cache, "use_cache": True} if slots else {})).logits[0, QUERY]


def seen(model, slots):
    """The positions whose token, if it is another, changes the logits at position QUERY."""
    as_it_is = logits(model, ids, slots)
    found = []
    for position in range(T):
        other = ids.clone()
        other[0, position] = other[0, position] % 49 + 1
        if (logits(model, other, slots) - as_it_is).abs().max() > 1e-5:
            found.append(position)
    return found


before = list(range(QUERY + 1))
for slots, expected in ((None, [2, 3, 4, 5]), (T, [2, 3, 4, 5]), (T + 1, [3, 4, 5]), (T + 2, [4, 5]), (T + 20, before)):
    of_neo, of_gpt2 = seen(local, slots), seen(gpt2, slots)
    print(f"{slots or 'no'} slots for {T} tokens: position {QUERY} sees {of_neo}, with a window of {WINDOW}")
    if (of_neo, of_gpt2) != (expected, before):
        sys.exit(f"expected {expected}, and {before} of GPT-2, which sees {of_gpt2}")
later = seen(local, T + WINDOW)
print(f"{T + WINDOW} slots: position {QUERY} sees {later}")
if max(later) <= QUERY:
    sys.exit("it no longer sees tokens that come later")

options = {"max_new_tokens": 20, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}
for model, expected in ((gpt2, True), (local, False)):
    dynamic, static = (model.generate(ids, cache_implementation=kind, **options) for kind in (None, "static"))
    same = torch.equal(dynamic, static)
    print(f"{type(model).__name__} writes the same text with a static cache: {same}")
    if same != expected:
        sys.exit("this has changed")
PROGRAM
"$folder/venv/bin/python" -W ignore "$folder/sees.py"
