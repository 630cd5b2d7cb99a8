"""Logits to text: a model and its tokenizer write texts, and tell how probable a text is.

Read `language_model` first (`LanguageModel.generate`, `stream` and `score`), then what it uses: `options` and
`sampling` (which token comes next), `completion` (the progress of one prompt), `stop_strings`, `scoring` (windows and
perplexity) and `speculation` (several tokens in one pass). `loading` is `gptcompare.load` and `save_gguf`.
"""

from .completion import Completion, TextStream
from .language_model import LanguageModel
from .loading import load, save_gguf
from .options import GenerationOptions
from .sampling import Sampling
from .scoring import Score, windows

__all__ = [
    "Completion",
    "GenerationOptions",
    "LanguageModel",
    "Sampling",
    "Score",
    "TextStream",
    "load",
    "save_gguf",
    "windows",
]
