"""Text to ids to text: GPT-2's byte-level BPE.

Read `vocabulary` first (what a vocabulary is), then `bpe` (the algorithm: `Tokenizer.encode`, `decode`) and `pieces`
(what it merges within). `learning` finds the merges of a new vocabulary and replays them, and `files` reads and
writes the layouts in which vocabularies are published.
"""

from ..display.tokens import Tokens
from .bpe import AllowedSpecial, StreamDecoder, Tokenizer
from .vocabulary import END_OF_TEXT, Vocabulary

__all__ = ["END_OF_TEXT", "AllowedSpecial", "StreamDecoder", "Tokenizer", "Tokens", "Vocabulary"]
