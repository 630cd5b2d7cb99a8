#!/usr/bin/env bash
# Hugging Face transformers, and the ids in added_tokens.json.
# Guess: an added token has the id that the file gives it.
# Seen with transformers 5.24.0: the numbers only say in which order the tokens are added; each gets the next free id. A
# token that the file numbers 300, after a vocabulary of 270, has the id 270, and in a folder whose vocabulary has a gap
# (some ids without a token) every added token has another id than the one with which the model was trained. Not a word is
# said. The table "added_tokens_decoder" of tokenizer_config.json is read in the same way.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "transformers==5.24.0"
cat > "$folder/ids.py" <<'PROGRAM'
import json
import os
import sys
from pathlib import Path

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
import transformers
from tokenizers import pre_tokenizers

print("transformers", transformers.__version__)
alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
vocabulary = {character: id_ for id_, character in enumerate([*alphabet, "<|endoftext|>"])}  # 0 ... 256
entry = {"lstrip": False, "rstrip": False, "single_word": False, "normalized": False, "special": True}
cases = {
    "added_tokens.json": {"<a>": 300, "<b>": 290},
    "tokenizer_config.json": {"added_tokens_decoder": {
        "256": {"content": "<|endoftext|>", **entry}, "300": {"content": "<a>", **entry},
        "290": {"content": "<b>", **entry},
    }},
}
for name, content in cases.items():
    folder = Path(sys.argv[1]) / name.partition(".")[0]
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / name).write_text(json.dumps(content))
    tokenizer = transformers.GPT2Tokenizer.from_pretrained(folder)
    ids = [tokenizer.convert_tokens_to_ids(token) for token in ("<a>", "<b>")]
    print(f"{name} gives <a> 300 and <b> 290; the tokenizer gives them {ids}")
    if ids != [258, 257]:
        sys.exit("expected [258, 257]")
PROGRAM
"$folder/venv/bin/python" "$folder/ids.py" "$folder"
