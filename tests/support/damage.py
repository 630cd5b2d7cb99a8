"""Files that a bad disk, a kill, an editor or a program that reads the wrong bytes leaves."""

import random

PIECES = [b"", b"\0", b"\r", b"\n", b'"', b",", b"[" * 20_000, b"{}", b"\xff", b"nan", b"1e400", b"9" * 5000]


def damaged(content: bytes, rng: random.Random) -> bytes:
    """The content with one damage, which may be that everything is gone."""
    start = rng.randrange(len(content) + 1)
    end = min(len(content), start + rng.choice([1, 1, 2, 8, 64, 1 << 20]))
    part = content[start:end]
    kind = rng.choice(["bit", "byte", "gone", "cut", "zero", "twice", "piece", "line", "lines"])
    if kind == "bit" and part:
        part = bytes([part[0] ^ 1 << rng.randrange(8)]) + part[1:]
    elif kind == "byte" and part:
        part = bytes([rng.randrange(256)]) + part[1:]
    elif kind == "gone":
        part = b""
    elif kind == "cut":
        return content[:start]
    elif kind == "zero":
        part = bytes(len(part))
    elif kind == "twice":
        part = 2 * part
    elif kind == "piece":
        part = rng.choice(PIECES) + part[1:]
    elif kind in ("line", "lines"):
        lines = content.splitlines(keepends=True)
        if kind == "line" and lines:
            del lines[rng.randrange(len(lines))]
        else:
            rng.shuffle(lines)
        return b"".join(lines)
    return content[:start] + part + content[end:]
