#!/usr/bin/env bash
# A text stream whose reader is slow, and a signal whose handler raises (Ctrl-C) while `write` or `flush` waits.
# Guess: some of the text has been written, and the rest is gone, so that a program that goes on should write it again.
# Seen with CPython 3.10 to 3.13 on Linux: a text that fits into the buffer (8,192 bytes) was kept whole and comes out
# with the next flush, so that writing it again doubles it; one that does not fit is lost, all of it.
# It needs Python alone.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/interrupted.py" <<'PROGRAM'
import io, os, signal, sys, threading


class Stop(Exception):
    pass


def stop(*_):
    raise Stop


def what_arrives(n_rows):
    """The text that a stream was given before and after an interrupt, and the text that its reader got."""
    reading, writing = os.pipe()
    stream = io.TextIOWrapper(io.BufferedWriter(os.fdopen(writing, "wb", buffering=0)))
    os.set_blocking(writing, False)
    filled = 0
    try:
        while True:
            filled += os.write(writing, b"." * 4096)
    except BlockingIOError:  # the pipe is full: whoever writes next must wait
        os.set_blocking(writing, True)
    rows = "".join(f"row {n}\n" for n in range(n_rows))
    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        stream.write(rows)
        stream.flush()
        sys.exit("nothing was interrupted")
    except Stop:
        pass
    got = bytearray()

    def read():
        while block := os.read(reading, 65536):
            got.extend(block)

    reader = threading.Thread(target=read)
    reader.start()
    stream.write("the end\n")
    stream.close()
    reader.join()
    return rows, got[filled:].decode()


print("Python", sys.version.split()[0])
for n_rows, expected in ((3, "kept"), (1000, "kept"), (2000, "lost"), (20000, "lost")):
    rows, got = what_arrives(n_rows)
    seen = {rows + "the end\n": "kept", "the end\n": "lost"}.get(got, "something else")
    print(f"a write of {len(rows)} bytes, interrupted: {seen}")
    if seen != expected:
        sys.exit(f"expected: {expected}")
PROGRAM
python3 "$folder/interrupted.py"
