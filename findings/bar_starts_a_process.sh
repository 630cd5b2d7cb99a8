#!/usr/bin/env bash
# What one progress bar of tqdm starts, before anything is drawn.
# One would guess: nothing; it is a class that prints.
# Seen with tqdm 4.67.1 on Linux: a thread that looks after the bar, and, where Python's processes are not forked (the default
# on macOS, and on Linux from Python 3.14), a process: tqdm makes a lock for several processes, whose semaphore Python
# gives to a resource tracker, which is a process of its own.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tqdm==4.67.1
cat > "$folder/bar.py" <<'PROGRAM'
import multiprocessing
import sys
import threading
from multiprocessing import resource_tracker

import tqdm

print("Python", sys.version.split()[0], "tqdm", tqdm.__version__)
method = sys.argv[1]
multiprocessing.set_start_method(method)
with open("/dev/null", "w") as nowhere, tqdm.tqdm(total=1, file=nowhere):
    threads = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    process = resource_tracker._resource_tracker._pid
print(f"{method}: threads {threads}, a process: {process is not None}")
if len(threads) != 1 or (process is not None) != (method != "fork"):
    sys.exit("this has changed")
PROGRAM
for method in fork forkserver spawn; do
    "$folder/venv/bin/python" "$folder/bar.py" "$method"
done
