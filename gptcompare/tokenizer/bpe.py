"""Byte-level byte-pair encoding: text to ids and back.

Sennrich et al. 2016 (arXiv:1508.07909), applied to bytes as in Radford et al. 2019, section 2.2; the reference
implementation is github.com/openai/gpt-2, src/encoder.py. Text is cut into pieces (words with their leading space,
numbers, runs of punctuation, white space). Within a piece, the neighbouring pair that was learned first is merged,
again and again, until no learned pair is left.
"""

from __future__ import annotations

import codecs
import contextlib
import os
from collections.abc import Collection, Iterable
from itertools import accumulate, chain
from typing import TypeAlias

from ..checkpoints import locate
from ..checkpoints.embedded import embedded_folder
from ..checkpoints.layouts import GPT2_SIZE, TOKENIZER_FILES
from ..checks import brief, encodable, path, shown
from ..config import GPTConfig
from ..display.tokens import Tokens
from .added_tokens import Found, TokenFinder
from .files import bundled_gpt2, read_vocabulary, write_vocabulary
from .learning import learn_vocabulary, merge, merge_stages
from .pieces import pieces
from .vocabulary import BYTE_TO_CHAR, Vocabulary, to_bytes

AllowedSpecial: TypeAlias = Collection[str]  # special tokens, or "all"

CACHED_CHARACTERS = 4_000_000  # of the pieces whose ids are cached; beyond that, the cache is emptied
LONGEST_SHOWN = 500  # bytes of a piece that is shown merge by merge: some 100 lines are more than anyone reads
NO_ID = -1  # of a byte that the vocabulary lacks


class Tokenizer:
    """A byte-level BPE tokenizer.

    Every list of ids has bytes, and every text has ids, unless the vocabulary was learned without one of its bytes.
    Special tokens, such as `<|endoftext|>`, are plain text to `encode` unless the caller allows them, as in tiktoken.

    Parameters
    ----------
    vocabulary : Vocabulary
        Merges and ids. `from_pretrained` reads one, `train` learns one.

    Examples
    --------
    >>> Tokenizer.from_pretrained("gpt2").encode("Hello world")
    [15496, 995]
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        ids = vocabulary.ids
        self._vocabulary = vocabulary
        self._id_of_byte = [ids.get(BYTE_TO_CHAR[byte], NO_ID) for byte in range(256)]
        self._rank = {(ids[left], ids[right]): rank for rank, (left, right) in enumerate(vocabulary.merges)}
        self._merged = [ids[left + right] for left, right in vocabulary.merges]
        self._bytes_of = {id_: to_bytes(token) for token, id_ in ids.items()}
        added = {**vocabulary.special_tokens, **vocabulary.added_tokens}
        self._bytes_of |= {id_: token.encode() for token, id_ in added.items() if token not in ids}
        self._n_vocab = max(self._bytes_of) + 1
        self._cache: dict[str, list[int]] = {}  # piece -> ids
        self._n_cached = 0  # characters in the cache
        self._finders: dict[frozenset[str], TokenFinder] = {}  # by the special tokens that are allowed

    def __repr__(self) -> str:
        return brief(self, f"{self._vocabulary.source}, {self.n_vocab} tokens")

    @classmethod
    def from_pretrained(cls, name_or_folder: str | os.PathLike[str]) -> Tokenizer:
        """Load the tokenizer of a published model, or the one in a folder or in a GGUF file.

        The folder holds `vocab.json` + `merges.txt`, `encoder.json` + `vocab.bpe`, or a byte-level BPE
        `tokenizer.json`; `tokenizer_config.json` and `special_tokens_map.json` beside them may name the tokens that
        begin and end a text. GPT-2, GPT-3, GPT-Neo and Cerebras-GPT need no files: they share GPT-2's vocabulary, which
        is in the package. For any other name the tokenizer's files are downloaded, without the weights.

        Raises
        ------
        FileNotFoundError
            If there is no such folder, or no tokenizer in it.
        DownloadError
            If the model's tokenizer is not on this machine and cannot be downloaded.
        ValueError
            If a file is damaged or belongs to another kind of tokenizer.
        """
        given = path("name_or_folder", name_or_folder)
        if not embedded_folder(given) and any(os.path.exists(os.path.join(given, name)) for name in TOKENIZER_FILES):
            return cls(read_vocabulary(given))
        with contextlib.suppress(ValueError):  # an unknown name, which `locate` reports
            if GPTConfig.preset(given).n_vocab == GPT2_SIZE:
                return cls(bundled_gpt2())
        return cls(read_vocabulary(locate(given, wanted="tokenizer")))

    @classmethod
    def train(cls, texts: Iterable[str], n_vocab: int) -> Tokenizer:
        """Learn a vocabulary of `n_vocab` tokens: 256 bytes, merges, and `<|endoftext|>` as the last.

        The most frequent pair is merged first; among equally frequent pairs, the one with the lower ids, as in Hugging
        Face tokenizers. A pair that occurs only once is not merged.

        Raises
        ------
        TypeError
            If `texts` is a single string or a table, or contains something that is not a string.
        ValueError
            If n_vocab is below 257, the texts have too few different pairs for it, or one has a lone surrogate.

        Examples
        --------
        >>> Tokenizer.train(["low lower lowest"], n_vocab=259).vocabulary.merges
        [('l', 'o'), ('lo', 'w')]
        """
        return cls(learn_vocabulary(texts, n_vocab))

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write `vocab.json`, `merges.txt` and `tokenizer_config.json`, which Hugging Face's GPT-2 tokenizer reads.

        They replace any tokenizer in the folder: its `tokenizer.json`, `special_tokens_map.json` and
        `added_tokens.json`, which would otherwise still be read, are removed.
        """
        write_vocabulary(path("folder", folder), self._vocabulary)

    @property
    def vocabulary(self) -> Vocabulary:
        """The merges and ids, as data."""
        return self._vocabulary

    @property
    def n_vocab(self) -> int:
        """One more than the largest id."""
        return self._n_vocab

    @property
    def special_tokens(self) -> dict[str, int]:
        """The tokens that are found as they stand where `encode` is allowed to, as text -> id."""
        return dict(self._vocabulary.special_tokens)

    @property
    def eot_id(self) -> int | None:
        """The id that ends a text, `<|endoftext|>` unless the vocabulary says otherwise, or None if it has none."""
        return self._vocabulary.id_of(self._vocabulary.eot)

    @property
    def bos_id(self) -> int | None:
        """The id that the model expects before every text (OPT), or None (GPT-2). `encode` does not add it."""
        return self._vocabulary.id_of(self._vocabulary.bos)

    def encode(self, text: str, allowed_special: AllowedSpecial = ()) -> list[int]:
        """Return the ids of a text, without the `bos_id` that some models read before it.

        Parameters
        ----------
        text : str
        allowed_special : collection of str, or "all"
            Special tokens that are recognised in the text; all others are read as plain text. The few vocabularies
            with added tokens that are not special have these recognised in every text, as in Hugging Face tokenizers.

        Raises
        ------
        TypeError
            If the text is not a string, or `allowed_special` is a string other than "all".
        ValueError
            If the text contains a lone surrogate, which UTF-8 cannot represent, or a byte that the vocabulary lacks, or
            an allowed token is not special.

        Examples
        --------
        >>> tokenizer = Tokenizer.from_pretrained("gpt2")
        >>> tokenizer.encode("Hello world<|endoftext|>", allowed_special="all")
        [15496, 995, 50256]
        """
        parts = self._parts(text, allowed_special)
        return [id_ for part in parts for id_ in ([part.id] if isinstance(part, Found) else self._encode_plain(part))]

    def byte_ends(self, text: str, allowed_special: AllowedSpecial = ()) -> list[int]:
        """Return where each token of `encode` ends in the text's UTF-8; each begins where the one before it ends.

        A token that takes the white space beside it (`Matching`) covers more than the bytes that it stands for.

        >>> Tokenizer.from_pretrained("gpt2").byte_ends("Hello world")
        [5, 11]
        """
        lengths = []
        for part in self._parts(text, allowed_special):
            if isinstance(part, Found):
                lengths.append(len(part.text.encode()))
            else:
                lengths += [len(self._bytes_of[id_]) for id_ in self._encode_plain(part)]
        n_bytes = len(
            text.encode()
        )  # which tokens of white space can exceed: behind a token that took it, it is read again
        return [min(end, n_bytes) for end in accumulate(lengths)]

    def tokens(self, text: str, allowed_special: AllowedSpecial = ()) -> Tokens:
        """Return the ids of a text with their bytes, as `encode` finds them; a notebook shows them as coloured chips.

        >>> Tokenizer.from_pretrained("gpt2").tokens("Hello world")
        <Tokens: 2: 15496 'Hello' 995 '␣world'>
        """
        return Tokens([(id_, self.bytes_of(id_)) for id_ in self.encode(text, allowed_special)])

    def merges(self, text: str, allowed_special: AllowedSpecial = ()) -> list[list[list[bytes]]]:
        """Return for each piece of a text how its tokens come about: its bytes, then its tokens after each merge.

        A special or added token is there at once. It is a ValueError if a piece has more than 500 bytes.

        >>> Tokenizer.from_pretrained("gpt2").merges(" the")
        [[[b' ', b't', b'h', b'e'], [b' t', b'h', b'e'], [b' t', b'he'], [b' the']]]
        """
        found: list[list[list[int]]] = []
        for part in self._parts(text, allowed_special):
            if isinstance(part, Found):
                found.append([[part.id]])
            else:
                found += [self._stages(piece.encode()) for piece in pieces(part)]
        return [[[self._bytes_of[id_] for id_ in stage] for stage in stages] for stages in found]

    def _parts(self, text: str, allowed_special: AllowedSpecial) -> list[str | Found]:
        """Cut a text at its special and added tokens."""
        text, allowed = encodable(text), self.allowed(allowed_special)
        special, added = self._vocabulary.special_tokens, self._vocabulary.added_tokens
        if not allowed and not added:
            return [text]
        if allowed not in self._finders:
            wanted = {**added, **{token: special[token] for token in allowed}}
            self._finders = {allowed: TokenFinder(wanted, self._vocabulary.matching)}
        return self._finders[allowed].split(text)

    def allowed(self, allowed_special: AllowedSpecial) -> frozenset[str]:
        """Return the special tokens that are meant; TypeError or ValueError if one is not special, as for `encode`."""
        special = self._vocabulary.special_tokens
        if isinstance(allowed_special, str) and allowed_special == "all":
            return frozenset(special)
        if isinstance(allowed_special, str) or not isinstance(allowed_special, Iterable):
            raise TypeError(f'allowed_special must be a collection of tokens or "all", got {allowed_special!r}')
        wanted = [*allowed_special]
        if unknown := [token for token in wanted if not isinstance(token, str) or token not in special]:
            raise ValueError(f"{unknown} are not special tokens of this vocabulary: it has {[*special]}")
        return frozenset(wanted)

    def _encode_plain(self, text: str) -> list[int]:
        cut = pieces(text)
        cache = self._cache
        for piece in set(cut).difference(cache):
            cache[piece] = merge(self._ids_of_bytes(piece.encode()), self._rank, self._merged)
            self._n_cached += len(piece)
        if self._n_cached > CACHED_CHARACTERS:
            self._cache, self._n_cached = {}, 0
        return list(chain.from_iterable(map(cache.__getitem__, cut)))

    def _ids_of_bytes(self, piece: bytes) -> list[int]:
        ids = [self._id_of_byte[byte] for byte in piece]
        if NO_ID in ids:
            missing = f"no token for byte {piece[ids.index(NO_ID)]}, which is in {shown(piece.decode())}"
            raise ValueError(f"{self._vocabulary.source} has {missing}: it was learned without it")
        return ids

    def _stages(self, piece: bytes) -> list[list[int]]:
        if len(piece) > LONGEST_SHOWN:
            raise ValueError(f"{shown(piece)} is too long to be shown merge by merge: at most {LONGEST_SHOWN} bytes")
        return merge_stages(self._ids_of_bytes(piece), self._rank, self._merged)

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        r"""Return the bytes that the ids stand for. ValueError for an id that is not in the vocabulary.

        >>> Tokenizer.from_pretrained("gpt2").decode_bytes([6184, 107])
        b' \xc3\xaf'
        """
        try:
            return b"".join([self._bytes_of[id_] for id_ in ids])
        except TypeError:  # it cannot be iterated, or has elements that are no numbers
            raise TypeError(f"ids must be one row of ids, got {type(ids).__name__}") from None
        except KeyError as error:
            raise ValueError(f"id {error.args[0]} is not in the vocabulary: ids are 0 ... {self.n_vocab - 1}") from None

    def bytes_of(self, id_: int) -> bytes:
        """Return the bytes of one id; of an id that is not in the vocabulary, as a model's padding has them, none."""
        return self._bytes_of.get(id_, b"")

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of the ids. Bytes that are not UTF-8 become U+FFFD, as in tiktoken.

        Raises
        ------
        ValueError
            If an id is not in the vocabulary.

        Examples
        --------
        >>> Tokenizer.from_pretrained("gpt2").decode([15496, 995])
        'Hello world'
        """
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def stream_decoder(self) -> StreamDecoder:
        """Return a decoder that takes ids one by one and yields only whole characters."""
        return StreamDecoder(self)


class StreamDecoder:
    """Decodes ids one by one: a character whose bytes are spread over several tokens appears with the last of them.

    The pieces joined together equal `Tokenizer.decode` of all the ids, with one exception: an id that is not in the
    vocabulary is an error there, but stands for no text here. Models whose vocabulary was padded have such ids.

    >>> decoder = StreamDecoder(Tokenizer.from_pretrained("gpt2"))
    >>> [decoder.push(id_) for id_ in (6184, 107)]
    [' ', 'ï']
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._bytes_of = tokenizer._bytes_of
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def __repr__(self) -> str:
        return brief(self, f"{len(self._decoder.getstate()[0])} bytes of a character waiting")

    def push(self, id_: int) -> str:
        """Return the characters that this id completes; often none."""
        return self._decoder.decode(self._bytes_of.get(id_, b""))

    def finish(self) -> str:
        """Return what is left at the end: a replacement character if the last character is incomplete."""
        return self._decoder.decode(b"", final=True)
