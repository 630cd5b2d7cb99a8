"""Where things lie, and why a test is skipped."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
STORY_FOLDER = DATA / "story-gpt2"
ALICE = DATA / "alice.txt"
WEIGHTS = ROOT / "weights"
REASON = "needs the `reference` extra"
