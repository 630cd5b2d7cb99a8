"""A model and its tokenizer together: a prompt goes in, a stream of text comes out.

A step is the same for one prompt and for a batch: the logits of each sequence's last position, one token chosen from
each, one forward pass over all the chosen tokens. The prompts of a batch are read one by one, and a sequence that has
ended leaves the batch, so no sequence is padded and each gets the tokens that it would get alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np

from ..arrays import Array, Ids
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
    """A model with its tokenizer, which are its attributes `model` and `tokenizer`.

    Parameters
    ----------
    model : GPT
    tokenizer : Tokenizer

    Raises
    ------
    ValueError
        If the tokenizer has more ids than the model.
    """

    def __init__(self, model: GPT, tokenizer: Tokenizer) -> None:
        if tokenizer.n_vocab > model.config.n_vocab:
            raise ValueError(
                f"the tokenizer has {tokenizer.n_vocab} ids, the model only {model.config.n_vocab}: they do not belong "
                "together"
            )
        self.model = model
        self.tokenizer = tokenizer

    @property
    def config(self) -> GPTConfig:
        """The model's configuration."""
        return self.model.config

    @overload
    def generate(self, prompt: str, **options: Any) -> Completion: ...
    @overload
    def generate(self, prompt: list[str] | tuple[str, ...], **options: Any) -> list[Completion]: ...
    @takes_generation_options
    def generate(
        self,
        prompt: str | list[str] | tuple[str, ...],
        *,
        draft: LanguageModel | str | None = None,
        **options: Any,
    ) -> Completion | list[Completion]:
        """Continue a prompt, or each of several.

        The sequence of prompt and completion never grows beyond the model's context: at its end, generation stops with
        finish_reason "context". If the tokenizer has a `bos_id`, the model reads it before the prompt, and it
        counts. An empty prompt stands for the beginning of a text: without a `bos_id`, the model reads its end-of-text
        token, which separated the texts that it was trained on. A token that the tokenizer does not have, from the
        padding of some published vocabularies, adds no text.

        Parameters
        ----------
        prompt : str, or a list of them
        draft : LanguageModel or "repetitions", optional
            What guesses the next tokens, so that several can be checked at once (`gptcompare.generation.speculation`):
            a smaller model with the same vocabulary, or the text's own repetitions. It makes writing faster where it
            guesses well, and changes no token. Several prompts, which share each step already, are written without it.
        temperature, top_k, top_p, min_p, repetition_penalty
            How tokens are chosen: see `Sampling`. The default is greedy.
        max_new_tokens : int
        seed : int, optional
            Of the random numbers; each prompt of a batch draws the numbers that it would draw alone. Without a seed
            every call differs.
        stop : str, or a sequence of them
            Generation ends where the completion would contain one of them.

        Returns
        -------
        Completion, or a list of them for a list of prompts

        Raises
        ------
        TypeError, ValueError
            For an unknown or a wrong argument, or a prompt longer than the model's context.
        """
        if not isinstance(prompt, (str, list, tuple)):
            raise TypeError(f"prompt must be a str or a list of them, got {type(prompt).__name__}")
        checked = GenerationOptions.of(**options)
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        continuations = [self._begin(text, checked) for text in prompts]
        for _ in self._run(continuations, checked, self._check_draft(draft)):
            pass
        completions = [continuation.completion() for continuation in continuations]
        return completions[0] if isinstance(prompt, str) else completions

    @takes_generation_options
    def stream(self, prompt: str, *, draft: LanguageModel | str | None = None, **options: Any) -> TextStream:
        """The completion that `generate` gives, piece by piece while it is written: an iterator of str.

        No piece ends inside a character or shows a part of a stop string. The parameters are those of `generate`.

        Raises
        ------
        TypeError, ValueError
            As `generate`; also for a list of prompts.
        """
        if not isinstance(prompt, str):
            raise TypeError(f"stream takes one prompt, got {type(prompt).__name__}")
        checked = GenerationOptions.of(**options)
        continuation = self._begin(prompt, checked)
        return TextStream(continuation, self._run([continuation], checked, self._check_draft(draft)))

    def score(self, text: str, *, stride: int | None = None) -> Score:
        """The log-probability of every token of a text but the first, and of that too behind a `bos_id`.

        Parameters
        ----------
        text : str
        stride : int, optional
            More tokens than the model's context and one are read in windows, each so many tokens after the one before
            (`gptcompare.scoring.windows`): half a context if not given. Only the first begins with the `bos_id`.

        Raises
        ------
        TypeError
            If the text is not a string.
        ValueError
            If there are fewer than two tokens, a `bos_id` among them, or the stride is not between 1 and the context.
        """
        ids = self._ids_to_read(text)
        if len(ids) < 2:
            raise ValueError(f"a score needs at least two tokens, and of this text the model reads {len(ids)}")
        logprobs: list[float] = []
        for logits in self.predictions(ids, stride=stride):
            first = len(logprobs) + 1
            logprobs += (-cross_entropy(logits, np.array(ids[first : first + len(logits)]))).tolist()
        return Score(ids, logprobs, len(self.tokenizer.decode_bytes(ids[1:])))

    def prompt_ids(self, prompt: str) -> list[int]:
        """The ids the model sees: `bos_id`, if any, then the prompt. An empty prompt becomes the end-of-text token.

        Raises
        ------
        ValueError
            If the prompt is empty and the tokenizer has no token that begins or ends a text.
        """
        ids = self._ids_to_read(prompt)
        if ids:
            return ids
        if self.tokenizer.eot_id is None:
            raise ValueError("the prompt is empty, and the tokenizer has no end-of-text token to begin with")
        return [self.tokenizer.eot_id]

    def predictions(self, ids: Sequence[int], *, stride: int | None = None) -> Iterator[Array]:
        """The logits of each id but the first, given those before it, in chunks: (n, V), n together len(ids) - 1.

        More ids than the model's context and one are read in windows, with the stride of `score`.

        Raises
        ------
        ValueError
            If the stride is not between 1 and the context, or the logits are not finite, since a parameter is damaged.
        """
        for start, first, end in windows(len(ids), self.config.n_ctx, stride):
            yield from self._last_predictions(np.array(ids[start : end - 1]), end - first)

    def _last_predictions(self, window: Ids, n: int) -> Iterator[Array]:
        """What follows each of the last n ids of a window; never the logits of a whole context at once."""
        cache = self.model.new_cache(capacity=len(window))
        unwanted = len(window) - n
        for start in range(0, len(window), CHUNK):
            read = window[start : start + CHUNK]
            logits = self.model(read, cache)
            if start + len(read) > unwanted:
                yield finite(logits[max(unwanted - start, 0) :])

    def _ids_to_read(self, text: str) -> list[int]:
        """What the model reads of a text: its tokens, and in front of them the one that every text begins with."""
        bos_id = self.tokenizer.bos_id
        return ([] if bos_id is None else [bos_id]) + self.tokenizer.encode(text)

    def _begin(self, prompt: str, options: GenerationOptions) -> Continuation:
        """A prompt made ready."""
        ids = self.prompt_ids(prompt)
        if len(ids) > self.config.n_ctx:
            raise ValueError(
                f"the prompt has {len(ids)} tokens, the model's context is {self.config.n_ctx}: shorten it"
            )
        return Continuation(prompt, ids, options, self.tokenizer.stream_decoder())

    def _check_draft(self, draft: LanguageModel | str | None) -> LanguageModel | str | None:
        if isinstance(draft, LanguageModel):
            if draft.tokenizer.vocabulary != self.tokenizer.vocabulary:
                raise ValueError("the draft has another vocabulary: its guesses would be other tokens")
        elif draft is not None and draft != REPETITIONS:
            raise ValueError(f"draft must be a LanguageModel or {REPETITIONS!r}, got {draft!r}")
        return draft

    def _run(
        self, continuations: list[Continuation], sampling: Sampling, draft: LanguageModel | str | None
    ) -> Iterator[str]:
        """Write all of them to their ends, a token each at a time; gives the new text after each token."""
        n_ctx = self.config.n_ctx
        for continuation in continuations:
            continuation.check_room(n_ctx)
        writing = [continuation for continuation in continuations if not continuation.finish_reason]
        if draft and len(continuations) == 1:
            for continuation in writing:
                yield from self._run_with_draft(continuation, sampling, draft)
            return
        # Prefill: each prompt is read by itself, into its own row of the cache.
        lengths = [len(continuation.prompt_ids) + continuation.options.max_new_tokens for continuation in writing]
        cache = self.model.new_cache(batch=len(writing), capacity=min(max(lengths, default=n_ctx), n_ctx))
        logits = [
            self.model(continuation.prompt_ids, cache.select([row]), last_only=True)
            for row, continuation in enumerate(writing)
        ]
        while writing:
            # Choose one token of each text.
            for continuation, row_logits in zip(writing, logits, strict=True):
                id_ = sampling.choose(row_logits, continuation.rng, continuation.read_ids)
                logprob = float(log_softmax(row_logits)[id_])
                yield continuation.accept(id_, logprob, n_ctx, self.tokenizer.eot_id)
            # A text that has ended leaves the batch.
            rows = [row for row, continuation in enumerate(writing) if not continuation.finish_reason]
            cache, writing = cache.select(rows), [writing[row] for row in rows]
            # Decode: one pass over the new tokens of all the others.
            if writing:
                last_ids = [[continuation.ids[-1]] for continuation in writing]
                logits = list(self.model(last_ids, cache, last_only=True))

    def _run_with_draft(
        self, continuation: Continuation, sampling: Sampling, draft: LanguageModel | str
    ) -> Iterator[str]:
        guesser: Draft = Repetitions()
        if isinstance(draft, LanguageModel):
            guesser = SmallerModel(draft.model, self.model, sampling, continuation.rng)
        return speculate(self.model, guesser, continuation, sampling, self.tokenizer.eot_id)
