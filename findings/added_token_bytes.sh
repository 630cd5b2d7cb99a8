#!/usr/bin/env bash
# Hugging Face tokenizers, and an added token with a letter beyond ASCII.
# Guess: an added token is found in a text as it stands, and so is decoded as it stands.
# Seen with tokenizers 0.23.3: it is found as it stands, but decoded like a token of the vocabulary, whose characters stand
# for bytes. "<é>" then is the bytes 3C E9 3E, which are not UTF-8: "<\ufffd>". "<Ġ>" loses its letter for a space. A token
# with one character that stands for no byte, such as a space, is decoded as it stands, é and all.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "tokenizers==0.23.3"
"$folder/venv/bin/python" - <<'PROGRAM'
import sys

import tokenizers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

print("tokenizers", tokenizers.__version__)
alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
tokenizer = Tokenizer(models.BPE({character: id_ for id_, character in enumerate(alphabet)}, []))
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = decoders.ByteLevel()
expected = {"<e>": "<e>", "<é>": "<\ufffd>", "<Ġ>": "< >", "<é x>": "<é x>"}
tokenizer.add_tokens([AddedToken(text, special=False) for text in expected])
changed = []
for text, seen in expected.items():
    ids = tokenizer.encode(text).ids
    decoded = tokenizer.decode(ids, skip_special_tokens=False)
    print(f"{text!r}: {len(ids)} id, decoded {decoded!r}")
    if len(ids) != 1 or decoded != seen:
        changed.append(text)
sys.exit(f"changed: {changed}" if changed else 0)
PROGRAM
