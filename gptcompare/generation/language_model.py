"""A model and its tokenizer together: a prompt goes in, a stream of text comes out.

A step is the same for one prompt and for a batch: choose one token from the logits of each sequence's last position,
then run one forward pass over all the chosen tokens. The prompts of a batch are read one by one, and a sequence that
has ended leaves the batch, so no sequence is padded and each gets the same tokens as by itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from ..arrays import Array, Ids
from ..checkpoints.folder import write_end_ids
from ..checks import each_text, instance, integer
from ..config import GPTConfig
from ..model import GPT
from ..model.gpt import CHUNK
from ..model.ops import cross_entropy, log_softmax
from ..tokenizer import Tokenizer
from .completion import Completion, Continuation, TextStream
from .options import GenerationOptions, takes_generation_options
from .sampling import Sampling, finite
from .scoring import Score, windows
from .speculation import Draft, Repetitions, SmallerModel, speculate

REPETITIONS = "repetitions"  # the draft that needs no model


class LanguageModel:
    """A model with its tokenizer; all parameters are available as attributes.

    Parameters
    ----------
    model : GPT
    tokenizer : Tokenizer
    end_ids : collection of int, optional
        The tokens with which the model ends a text; the tokenizer's `eot_id` if not given.

    Raises
    ------
    TypeError, ValueError
        If they are of other classes, or the tokenizer has more ids than the model.
    """

    def __init__(self, model: GPT, tokenizer: Tokenizer, end_ids: Iterable[int] | None = None) -> None:
        instance("model", model, GPT)
        instance("tokenizer", tokenizer, Tokenizer)
        if tokenizer.n_vocab > model.config.n_vocab:
            raise ValueError(
                f"the tokenizer has {tokenizer.n_vocab} ids, the model only {model.config.n_vocab}: they do not belong "
                "together"
            )
        self.model = model
        self.tokenizer = tokenizer
        its_own = () if tokenizer.eot_id is None else (tokenizer.eot_id,)
        self.end_ids = frozenset(its_own if end_ids is None else (integer("an end id", id_) for id_ in end_ids))

    @property
    def config(self) -> GPTConfig:
        """The model's configuration."""
        return self.model.config

    def save_pretrained(self, folder: str | os.PathLike[str], *, dtype: npt.DTypeLike | None = None) -> None:
        """Write the model, its tokenizer, and the tokens that end a text, in generation_config.json.

        Parameters
        ----------
        folder, dtype
            As for `GPT.save_pretrained`.

        Raises
        ------
        ValueError
            As for `GPT.save_pretrained`.
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
        **options: Any,
    ) -> Completion | list[Completion]:
        """Continue a prompt, or each of several.

        Prompt and completion together never exceed the model's context: when it is full, generation stops with
        finish_reason "context". If the tokenizer has a `bos_id`, the model reads it before the prompt, and it counts
        towards the context. An empty prompt stands for the beginning of a text: without a `bos_id`, the model reads its
        end-of-text token, which separated the texts that it was trained on. A token that the tokenizer does not have,
        from the padding of some published vocabularies, adds no text.

        Parameters
        ----------
        prompt : str, or a list of them
            Or a column of a table, or an array: `gptcompare.checks.each_text` says what counts as a list.
        draft : LanguageModel or "repetitions", optional
            Guesses the next tokens, so that several can be checked at once (`gptcompare.generation.speculation`): a
            smaller model with the same vocabulary, or the text's own repetitions. It makes writing faster where it
            guesses well, and changes no token. It is not used for several prompts, which already share each step.
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
        ', a great man'
        """
        checked = GenerationOptions.of(**options)
        prompts = [prompt] if isinstance(prompt, str) else list(each_text("prompt", prompt))
        continuations = [self._begin(text, checked) for text in prompts]
        for _ in self._run(continuations, checked, self._check_draft(draft)):
            pass
        completions = [continuation.completion() for continuation in continuations]
        return completions[0] if isinstance(prompt, str) else completions

    @takes_generation_options
    def stream(self, prompt: str, *, draft: LanguageModel | str | None = None, **options: Any) -> TextStream:
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
        [',', ' a', ' great', ' man']
        """
        if not isinstance(prompt, str):
            raise TypeError(f"stream takes one prompt, got {type(prompt).__name__}")
        checked = GenerationOptions.of(**options)
        continuation = self._begin(prompt, checked)
        return TextStream(continuation, self._run([continuation], checked, self._check_draft(draft)))

    def score(self, text: str, *, stride: int | None = None) -> Score:
        """Compute the log-probability of each token of a text given those before it.

        The first token has none, unless the tokenizer has a `bos_id`, which is then read before it.

        Parameters
        ----------
        text : str
        stride : int, optional
            Texts of more than n_ctx + 1 tokens are read in windows, each of which starts this many tokens after the
            previous one (`gptcompare.generation.windows`); half of n_ctx if not given. Only the first window begins
            with the `bos_id`.

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
        '2.25'
        """
        ids = self._ids_to_read(text)
        if len(ids) < 2:
            raise ValueError(f"a score needs at least two tokens, but from this text the model reads {len(ids)}")
        logprobs: list[float] = []
        for logits in self.predictions(ids, stride=stride):
            first = len(logprobs) + 1
            logprobs += (-cross_entropy(logits, np.array(ids[first : first + len(logits)]))).tolist()
        return Score(ids, logprobs, len(self.tokenizer.decode_bytes(ids[1:])))

    def prompt_ids(self, prompt: str) -> list[int]:
        """Return the ids the model reads: `bos_id`, if any, then the prompt.

        If there are none, they are the end-of-text token.

        Raises
        ------
        ValueError
            If the prompt is empty and the tokenizer has no token that begins or ends a text.

        Examples
        --------
        >>> import gptcompare as gc
        >>> gc.load("nano-gpt2").prompt_ids("Once upon a time")
        [2217, 761, 258, 500]
        """
        ids = self._ids_to_read(prompt)
        if ids:
            return ids
        if self.tokenizer.eot_id is None:
            raise ValueError("the prompt is empty, and the tokenizer has no end-of-text token to begin with")
        return [self.tokenizer.eot_id]

    def predictions(self, ids: Sequence[int], *, stride: int | None = None) -> Iterator[Array]:
        """Yield the logits of each id but the first, given those before it, in chunks (n, V), len(ids) - 1 rows in all.

        More than n_ctx + 1 ids are read in windows, as `score` describes for its stride.

        Raises
        ------
        ValueError
            If the stride is not between 1 and the context, or a damaged parameter makes the logits infinite or NaN.
        """
        if isinstance(ids, (str, bytes)) or not isinstance(ids, (Sequence, np.ndarray)):
            raise TypeError(f"ids must be a list of ids, got {type(ids).__name__}")
        for start, first, end in windows(len(ids), self.config.n_ctx, stride):
            yield from self._last_predictions(np.array(ids[start : end - 1]), end - first)

    def _last_predictions(self, window: Ids, n: int) -> Iterator[Array]:
        """Yield the logits after each of the last n ids of a window, never those of a whole context at once."""
        cache = self.model.new_cache(capacity=len(window))
        unwanted = len(window) - n
        for start in range(0, len(window), CHUNK):
            read = window[start : start + CHUNK]
            logits = self.model(read, cache)
            if start + len(read) > unwanted:
                yield finite(logits[max(unwanted - start, 0) :])

    def _ids_to_read(self, text: str) -> list[int]:
        """Return the ids that the model reads for a text: the `bos_id`, if there is one, then the text's tokens."""
        bos_id = self.tokenizer.bos_id
        return ([] if bos_id is None else [bos_id]) + self.tokenizer.encode(text)

    def _begin(self, prompt: str, options: GenerationOptions) -> Continuation:
        """Check a prompt, and prepare it to be continued."""
        ids = self.prompt_ids(prompt)
        if len(ids) > self.config.n_ctx:
            raise ValueError(
                f"the prompt has {len(ids)} tokens, the model's context is {self.config.n_ctx}: shorten it"
            )
        return Continuation(prompt, ids, options, self.tokenizer.stream_decoder())

    def _check_draft(self, draft: LanguageModel | str | None) -> LanguageModel | str | None:
        if isinstance(draft, LanguageModel):
            if draft.tokenizer.vocabulary != self.tokenizer.vocabulary:
                raise ValueError("the draft has another vocabulary: its ids would mean other tokens")
        elif draft is not None and not (isinstance(draft, str) and draft == REPETITIONS):
            raise ValueError(f"draft must be a LanguageModel or {REPETITIONS!r}, got {draft!r}")
        return draft

    def _run(
        self, continuations: list[Continuation], sampling: Sampling, draft: LanguageModel | str | None
    ) -> Iterator[str]:
        """Write all continuations to their ends, one token each per step; yield the new text after each token."""
        n_ctx = self.config.n_ctx
        for continuation in continuations:
            continuation.check_room(n_ctx)
        writing = [continuation for continuation in continuations if not continuation.finish_reason]
        if draft and len(continuations) == 1:
            for continuation in writing:
                yield from self._run_with_draft(continuation, sampling, draft)
            return
        # 1. Prefill: read each prompt by itself, into its own row of the cache.
        lengths = [len(continuation.prompt_ids) + continuation.options.max_new_tokens for continuation in writing]
        cache = self.model.new_cache(batch=len(writing), capacity=min(max(lengths, default=n_ctx), n_ctx))
        logits = [
            self.model(continuation.prompt_ids, cache.select([row]), last_only=True)
            for row, continuation in enumerate(writing)
        ]
        while writing:
            # 2. Choose one token for each text.
            for continuation, row_logits in zip(writing, logits, strict=True):
                id_ = sampling.choose(row_logits, continuation.noise, continuation.read_ids)
                logprob = float(log_softmax(row_logits)[id_])
                yield continuation.accept(id_, logprob, n_ctx, self.end_ids)
            # 3. Drop the texts that have ended from the batch.
            rows = [row for row, continuation in enumerate(writing) if not continuation.finish_reason]
            cache, writing = cache.select(rows), [writing[row] for row in rows]
            # 4. Decode: run one pass over the new tokens of the others.
            if writing:
                last_ids = [[continuation.ids[-1]] for continuation in writing]
                logits = list(self.model(last_ids, cache, last_only=True))

    def _run_with_draft(
        self, continuation: Continuation, sampling: Sampling, draft: LanguageModel | str
    ) -> Iterator[str]:
        guesser: Draft = Repetitions()
        if isinstance(draft, LanguageModel):
            guesser = SmallerModel(draft.model, self.model, sampling, continuation.noise)
        return speculate(self.model, guesser, continuation, sampling, self.end_ids)
