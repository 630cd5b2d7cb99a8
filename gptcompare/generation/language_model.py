"""A model and its tokenizer together: a prompt goes in, a stream of text comes out.

The loops that write are in `completion.py` and, with a draft, `speculation.py`; the one that reads is `predictions` in
`scoring.py`. Here is what a prompt or a text becomes before, and after.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, overload

import numpy.typing as npt

from ..arrays import Array
from ..checkpoints.folder import write_end_ids
from ..checks import brief, each_text, instance, integer
from ..config import GPTConfig
from ..model import GPT
from ..model.changes import Change
from ..model.hooks import Hook
from ..tokenizer import AllowedSpecial, Tokenizer
from .completion import Completion, Continuation, TextStream
from .options import GenerationOptions, takes_generation_options
from .scoring import Measures, Score, predictions
from .speculation import REPETITIONS, write


class LanguageModel:
    """A model with its tokenizer; all parameters are available as attributes.

    Parameters
    ----------
    model : GPT
    tokenizer : Tokenizer
    end_ids : collection of int, optional
        The tokens with which the model ends a text; the tokenizer's `eot_id` if not given.
    allowed_special : collection of str, or "all"
        Special tokens that are recognised in every text that the model reads, as in `Tokenizer.encode`; by default
        none. Each method and function that reads a text can allow them for itself.
    name : str, optional
        The name that it is shown by.

    Raises
    ------
    TypeError, ValueError
        If they are of other classes, or the tokenizer has more ids than the model, not counting tokens that were only
        added to it: a text with one of these is refused.
    """

    def __init__(
        self,
        model: GPT,
        tokenizer: Tokenizer,
        end_ids: Iterable[int] | None = None,
        allowed_special: AllowedSpecial = (),
        name: str | None = None,
    ) -> None:
        instance("model", model, GPT)
        instance("tokenizer", tokenizer, Tokenizer)
        n_vocab = model.config.n_vocab
        if tokenizer.n_vocab > n_vocab and max(tokenizer.vocabulary.ids.values(), default=-1) >= n_vocab:
            sizes = f"the tokenizer has {tokenizer.n_vocab} ids, the model only {n_vocab}"
            raise ValueError(f"{sizes}: they do not belong together")
        self.model, self.tokenizer, self.name = model, tokenizer, name
        self.allowed_special = tokenizer.allowed(allowed_special)
        its_own = () if tokenizer.eot_id is None else (tokenizer.eot_id,)
        self.end_ids = frozenset(its_own if end_ids is None else (integer("an end id", id_) for id_ in end_ids))

    def __repr__(self) -> str:
        return brief(self, f"{self.name or 'no name'}, {self.config.in_words()}, {self.tokenizer.n_vocab} tokens")

    @property
    def config(self) -> GPTConfig:
        """The model's configuration."""
        return self.model.config

    def allowing(self, allowed_special: AllowedSpecial) -> LanguageModel:
        """Return the same model for texts in which these special tokens are recognised; itself if there are none.

        Raises
        ------
        TypeError, ValueError
            As for `Tokenizer.encode`.

        Examples
        --------
        >>> import gptcompare as gc
        >>> gc.load("nano-gpt2").allowing("all").encode("The end.<|endoftext|>")
        [491, 1024, 13, 8191]
        """
        if isinstance(allowed_special, Collection) and not allowed_special:
            return self
        return LanguageModel(self.model, self.tokenizer, self.end_ids, allowed_special, self.name)

    def changed(self, changes: Hook | Mapping[str, Change]) -> LanguageModel:
        """Return the same model with a hook in everything it computes: what it writes, scores and predicts.

        A change that treats each position by itself (leaves heads out, adds a vector, scales) writes a text as if all
        of it were read anew for each token: `gptcompare.model.hooks` says what a hook gets. With what is `patched`, no
        text can be written. A changed model is slower, and cannot be saved, exported or trained.

        Parameters
        ----------
        changes : hook, or dict of place -> function
            As for `GPT.changed`, also what it raises. A changed model can be changed again.

        Examples
        --------
        >>> import gptcompare as gc
        >>> without_a_head = {"blocks.0.attn.hook_z": gc.inspection.without_heads([3])}
        >>> gc.load("nano-gpt2").changed(without_a_head).generate("Once upon a time", max_new_tokens=4).text
        ' there was a little'
        """
        name = self.name and f"{self.name}, changed"
        return LanguageModel(self.model.changed(changes), self.tokenizer, self.end_ids, self.allowed_special, name)

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text, with the special tokens that are allowed, all of which the model has.

        Raises
        ------
        ValueError
            If a token was added to the tokenizer only: the model was not made larger for it.
        """
        ids = self.tokenizer.encode(text, self.allowed_special)
        if (beyond := max(ids, default=-1)) >= self.config.n_vocab:
            raise ValueError(
                f"the token {self.tokenizer.decode([beyond])!r} has the id {beyond}, but the model has only "
                f"{self.config.n_vocab}: it was added to the tokenizer and not to the model"
            )
        return ids

    def save_pretrained(self, folder: str | os.PathLike[str], *, dtype: npt.DTypeLike | None = None) -> None:
        """Write the model, its tokenizer, and the tokens that end a text, in generation_config.json.

        The parameters, and what it raises, are those of `GPT.save_pretrained`.
        """
        self.model.save_pretrained(folder, dtype=dtype)
        self.tokenizer.save_pretrained(folder)
        write_end_ids(folder, self.end_ids)

    @overload
    def generate(self, prompt: str, **options: Any) -> Completion: ...
    @overload
    def generate(self, prompt: Iterable[str], **options: Any) -> list[Completion]: ...
    @takes_generation_options
    def generate(
        self,
        prompt: str | Iterable[str],
        *,
        draft: LanguageModel | str | None = None,
        allowed_special: AllowedSpecial = (),
        alternatives: int = 0,
        **options: Any,
    ) -> Completion | list[Completion]:
        """Continue a prompt, or each of several.

        Prompt and completion together never exceed the model's context: when it is full, generation stops with
        finish_reason "context". If the tokenizer has a `bos_id`, the model reads it before the prompt, and it counts
        towards the context. An empty prompt stands for the `beginning` of a text. A token that the tokenizer does not
        have, from the padding of some published vocabularies, adds no text.

        Parameters
        ----------
        prompt : str, or a list of them
            Or a column of a table, or an array: `gptcompare.checks.each_text` says what counts as a list.
        draft : LanguageModel or "repetitions", optional
            Guesses the next tokens, so that several can be checked at once (`gptcompare.generation.speculation`): a
            smaller model with the same vocabulary, or the text's own repetitions. It makes writing faster where it
            guesses well, and changes no token. For several prompts it guesses less: they share each step already.
        allowed_special : collection of str, or "all"
            Special tokens that are recognised in the prompt, as in `Tokenizer.encode`; by default it is plain text.
        alternatives : int
            How many tokens that could have come instead to record for each new one (`Completion.alternatives`).
        temperature, top_k, top_p, min_p, repetition_penalty
            Determine how tokens are chosen: see `Sampling`. The default is greedy.
        max_new_tokens : int
            The most tokens to write.
        seed : int, optional
            Seed of the noise with which tokens are drawn: it belongs to the positions and tokens, so a prompt is
            continued by the same text alone, in a batch, with a draft, or in several parts. Without a seed, every call
            draws different tokens.
        stop : str, or a sequence of them
            Generation ends where the completion would contain one of these strings.

        Returns
        -------
        Completion, or a list of them for a list of prompts

        Raises
        ------
        TypeError, ValueError
            If an argument is unknown or wrong, or a prompt is longer than the model's context.

        Examples
        --------
        >>> import gptcompare as gc
        >>> gc.load("nano-gpt2").generate("Once upon a time", max_new_tokens=4).text
        ', a little girl'
        """
        checked = GenerationOptions.of(**options)
        prompts = [prompt] if isinstance(prompt, str) else list(each_text("prompt", prompt))
        lm = self.allowing(allowed_special)
        continuations = [lm._begin(text, checked, alternatives) for text in prompts]
        for _ in write(self.model, continuations, checked, self.end_ids, self._checked_draft(draft)):
            pass
        completions = [continuation.completion() for continuation in continuations]
        return completions[0] if isinstance(prompt, str) else completions

    @takes_generation_options
    def stream(
        self,
        prompt: str,
        *,
        draft: LanguageModel | str | None = None,
        allowed_special: AllowedSpecial = (),
        alternatives: int = 0,
        **options: Any,
    ) -> TextStream:
        """Write the same completion as `generate`, piece by piece: an iterator of str.

        No piece ends inside a character or contains part of a stop string. The parameters are the same as for
        `generate`.

        Raises
        ------
        TypeError, ValueError
            As for `generate`; also for a list of prompts.

        Examples
        --------
        >>> import gptcompare as gc
        >>> list(gc.load("nano-gpt2").stream("Once upon a time", max_new_tokens=4))
        [',', ' a', ' little', ' girl']
        """
        if not isinstance(prompt, str):
            raise TypeError(f"stream takes one prompt, got {type(prompt).__name__}")
        checked = GenerationOptions.of(**options)
        continuation = self.allowing(allowed_special)._begin(prompt, checked, alternatives)
        pieces = write(self.model, [continuation], checked, self.end_ids, self._checked_draft(draft))
        return TextStream(continuation, pieces)

    def score(
        self, text: str, *, stride: int | None = None, allowed_special: AllowedSpecial = (), alternatives: int = 0
    ) -> Score:
        """Compute the log-probability of each token of a text given those before it.

        The first token has none, unless the tokenizer has a `bos_id`, which is then read before it.

        Parameters
        ----------
        text : str
        stride : int, optional
            Texts of more than n_ctx + 1 tokens are read in windows, each of which starts this many tokens after the
            previous one (`gptcompare.generation.windows`); half of n_ctx if not given. Only the first window begins
            with the `bos_id`.
        allowed_special, alternatives
            As for `generate`.

        Raises
        ------
        TypeError
            If the text is not a string.
        ValueError
            If there are fewer than two tokens, including a `bos_id`, or the stride is not between 1 and the context.

        Examples
        --------
        >>> import gptcompare as gc
        >>> score = gc.load("nano-gpt2").score("Once upon a time")
        >>> f"{score.perplexity:.2f}"
        '2.62'
        """
        ids = self.allowing(allowed_special)._ids_to_read(text)
        if len(ids) < 2:
            raise ValueError(f"a score needs at least two tokens, but from this text the model reads {len(ids)}")
        measures = Measures(ids[1:], integer("alternatives", alternatives, at_least=0))
        for logits in self.predictions(ids, stride=stride):
            measures.add(logits)
        n_bytes = len(self.tokenizer.decode_bytes(ids[1:]))
        return Score(ids, measures.logprobs, n_bytes, measures.alternatives(self.tokenizer))

    def prompt_ids(self, prompt: str) -> list[int]:
        """Return the ids the model reads: `bos_id`, if any, then the prompt; if there are none, the end of text.

        Raises
        ------
        ValueError
            If the prompt is empty and the tokenizer has no token that begins or ends a text.

        Examples
        --------
        >>> import gptcompare as gc
        >>> gc.load("nano-gpt2").prompt_ids("Once upon a time")
        [2665, 891, 258, 523]
        """
        if ids := self._ids_to_read(prompt) or self.beginning:
            return ids
        raise ValueError("the prompt is empty, and the tokenizer has no end-of-text token to begin with")

    @property
    def beginning(self) -> list[int]:
        """The token before a new text: `bos_id`, or the end of the text before it, or none if the model has neither."""
        tokens = (self.tokenizer.bos_id, self.tokenizer.eot_id)
        return [id_ for id_ in tokens if id_ is not None and id_ < self.config.n_vocab][:1]

    def predictions(self, ids: Sequence[int], *, stride: int | None = None) -> Iterator[Array]:
        """Yield the logits of each id but the first, given those before it, in chunks (n, V), len(ids) - 1 rows in all.

        More than n_ctx + 1 ids are read in windows, as `score` describes for its stride.

        Raises
        ------
        ValueError
            If the stride is not between 1 and the context, or a damaged parameter makes the logits infinite or NaN.
        """
        return predictions(self.model, ids, stride)

    def _ids_to_read(self, text: str) -> list[int]:
        """Return the ids that the model reads for a text: the `bos_id`, if there is one, then the text's tokens."""
        bos_id = self.tokenizer.bos_id
        return ([] if bos_id is None else [bos_id]) + self.encode(text)

    def _begin(self, prompt: str, options: GenerationOptions, alternatives: int) -> Continuation:
        """Check a prompt, and prepare it to be continued."""
        ids, alternatives = self.prompt_ids(prompt), integer("alternatives", alternatives, at_least=0)
        if len(ids) > (n_ctx := self.config.n_ctx):
            raise ValueError(f"the prompt has {len(ids)} tokens, the model's context is {n_ctx}: shorten it")
        return Continuation(prompt, ids, options, self.tokenizer, alternatives)

    def _checked_draft(self, draft: LanguageModel | str | None) -> GPT | str | None:
        """Return the draft's model, or the other draft itself."""
        if isinstance(draft, LanguageModel):
            if draft.tokenizer.vocabulary != self.tokenizer.vocabulary:
                raise ValueError("the draft has another vocabulary: its ids would mean other tokens")
            return draft.model
        if draft is not None and not (isinstance(draft, str) and draft == REPETITIONS):
            raise ValueError(f"draft must be a LanguageModel or {REPETITIONS!r}, got {draft!r}")
        return draft
