#!/usr/bin/env bash
# Hugging Face transformers, and a folder whose generation_config.json does not name the token that ends a text.
# Guess: what generation_config.json leaves open is taken from config.json, as before there was such a file.
# Seen with transformers 5.24.0: if the file exists, with whatever in it, config.json's eos_token_id is not looked at. A
# file that only sets a temperature, or is empty, makes `generate` write up to the last token that it may, without a word;
# with the file removed, the same folder ends its texts. `eos_token_id: null` in the file does the same on purpose.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "torch==2.13.0" "transformers==5.24.0"
cat > "$folder/ends.py" <<'PROGRAM'
import json
import sys
from pathlib import Path

import torch
import transformers

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
print("transformers", transformers.__version__)
folder = Path(sys.argv[1]) / "model"
torch.manual_seed(0)
config = transformers.GPT2Config(
    n_layer=1, n_head=1, n_embd=8, n_positions=64, vocab_size=20, initializer_range=1.0, eos_token_id=None,
)
model = transformers.GPT2LMHeadModel(config).eval()
model.save_pretrained(folder)
prompt = torch.tensor([[1, 2, 3]])
options = {"max_new_tokens": 30, "do_sample": False, "pad_token_id": 0}
written = model.generate(prompt, **options)[0, 3:].tolist()
n_until_end = 1 + max(written.index(id_) for id_ in written)  # it ends with the last token that is new
end = written[n_until_end - 1]
assert 1 < n_until_end < 30
values = json.loads((folder / "config.json").read_text())
(folder / "config.json").write_text(json.dumps({**values, "eos_token_id": end}))
for of_generation, expected in (
    (None, n_until_end), ({}, 30), ({"temperature": 0.7}, 30), ({"eos_token_id": None}, 30),
    ({"eos_token_id": end}, n_until_end),
):
    path = folder / "generation_config.json"
    path.unlink(missing_ok=True)
    if of_generation is not None:
        path.write_text(json.dumps(of_generation))
    loaded = transformers.AutoModelForCausalLM.from_pretrained(folder)
    n_written = loaded.generate(prompt, **options).shape[1] - 3
    print(f"config.json ends with {end}, generation_config.json {of_generation}: {n_written} tokens written")
    if n_written != expected:
        sys.exit(f"expected {expected}")
PROGRAM
"$folder/venv/bin/python" "$folder/ends.py" "$folder"
