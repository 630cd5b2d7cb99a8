"""The decoder-only transformer of GPT-2 and GPT-3.

Radford et al. 2019, section 2.3, which refers to Radford et al. 2018 and Vaswani et al. 2017; Brown et al. 2020,
section 2.1. The reference implementation is github.com/openai/gpt-2, src/model.py.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ..arrays import AnyArray, Array, Ids
from ..checkpoints import locate_with_room, read_checkpoint, write_checkpoint
from ..checks import brief
from ..config import GPTConfig
from ..parallel import ALONE, Ranks, check_share, communicator_of
from ..parameters import block_shapes, check_parameters, initial_parameters, output_matrix
from ..sixteen_bits import Widened, is_sixteen_bits, name_of, widened
from .attention import attend, attend_with_hooks
from .changes import Change, Changing, check_unchanged, check_whole, checked_hook, one_after_another
from .hooks import Hook, Trace, hook_at_last_place, hook_in_block, no_hook, trace
from .inputs import LEAST_CHUNK, check_dtype, check_ids, check_keep, chunks
from .kv_cache import KVCache, LayerCache
from .ops import ACTIVATION, layer_norm, linear
from .products import in_fast_order, product, product_in_shares, taken_in_fast_order, threads_for
from .threads import LayerOrder, in_layer_order, in_turn, shares


class GPT:
    """A GPT: its parameters and its forward pass.

    Parameters
    ----------
    config : GPTConfig
    parameters : dict of name -> array, optional
        With the names and shapes of `gptcompare.parameters.parameter_shapes(config)`; random if not given. Arrays that
        already have the dtype and the memory order that the model uses are not copied.
    seed : int
        Seed of the random parameters.
    dtype : float32 or float64
    ranks : Communicator, optional
        Of the processes that share the model (`gptcompare.parallel`): `parameters` are then this rank's part.
    keep : bool
        Whether matrices stay in the dtype and the memory order that they have.

    Attributes
    ----------
    config : GPTConfig
        Of the whole model.
    dtype : numpy.dtype
        The dtype of the parameters, the caches and the logits.
    kept_in : str or None
        The format in which matrices are kept, if it is not the one in which the model computes.
    hooks : tuple of hooks
        What changes everything that the model computes: see `changed`.

    Raises
    ------
    TypeError
        If the configuration is not a GPTConfig.
    ValueError
        If a parameter is missing, unknown or of another shape, or the dtype is neither float32 nor float64.
    """

    def __init__(
        self, config: GPTConfig, parameters: Mapping[str, Array] | None = None, *, seed: int = 0,
        dtype: npt.DTypeLike = np.float32, ranks: Ranks = ALONE, keep: bool = False,
    ) -> None:  # fmt: skip
        check_dtype(dtype)
        if not isinstance(config, GPTConfig):
            raise TypeError(f"config must be a GPTConfig, got {config!r}: for a name use GPTConfig.preset(name)")
        check_share(ranks.share, config)
        if parameters is None:
            parameters = ranks.share.cut_all(initial_parameters(config, seed, dtype), config)
        own = ranks.share.config(config)
        check_parameters(parameters, own, ranks.share.shapes(config))
        self.config, self.ranks, self._own = config, ranks, own
        self.dtype = np.dtype(dtype)
        self.hooks: tuple[Hook, ...] = ()
        self._parameters: Mapping[str, AnyArray] = {
            name: value if keep else in_fast_order(widened(value).astype(dtype, copy=False))
            for name, value in parameters.items()
        }
        self.kept_in = next((name_of(p.dtype) for p in self._parameters.values() if is_sixteen_bits(p)), None)
        self._patterns = [config.pattern_of(layer) for layer in range(config.n_layer)]
        self._blocks = [
            {name: self._parameters[f"h.{layer}.{name}"] for name in block_shapes(own)}
            for layer in range(config.n_layer)
        ]

    def __repr__(self) -> str:
        kept = f", kept in {self.kept_in}" if self.kept_in else ""
        return brief(self, f"{self.config.in_words()}, {self.dtype}{kept}")

    @classmethod
    def from_pretrained(
        cls, name_or_folder: str | os.PathLike[str], *, source: str = "huggingface", dtype: npt.DTypeLike = np.float32,
        keep: str | None = None, parallel: Any = None,
    ) -> GPT:  # fmt: skip
        """Read a checkpoint: OpenAI's TensorFlow layout, Hugging Face's safetensors or torch zip, GGUF, or one of ours.

        Parameters
        ----------
        name_or_folder, source, dtype, keep, parallel
            As for `gptcompare.load`: it reads the tokenizer, too.

        Raises
        ------
        FileNotFoundError, DownloadError, CheckpointError, MemoryError, TypeError, ValueError
            As for `gptcompare.load`.
        """
        check_dtype(dtype)
        check_keep(keep, dtype)
        ranks = communicator_of(parallel)
        place = locate_with_room(name_or_folder, dtype, keep, source=source, wanted="weights", share=ranks.share)
        config, stored = read_checkpoint(place, dtype if keep is None else None, ranks.share)
        parameters = taken_in_fast_order(stored, dtype, keep)
        return cls(config, parameters, dtype=dtype, ranks=ranks, keep=keep is not None)

    def save_pretrained(self, folder: str | os.PathLike[str], *, dtype: npt.DTypeLike | None = None) -> None:
        """Write config.json and model.safetensors; a dense model opens in Hugging Face transformers as "gpt2".

        Both files are written completely before they are renamed into place, one right after the other: a full disk or
        a crash before that moment leaves the earlier files as they were.

        Parameters
        ----------
        folder
            Created if it does not exist.
        dtype : float16, float32 or float64, optional
            The dtype of the numbers in the file; the model's if not given. float16 halves a float32 model's file and
            keeps three digits.

        Raises
        ------
        ValueError
            If the dtype is not one of these, a parameter is beyond its range, or the model is a changed one.
        """
        check_unchanged(self, "saved")
        write_checkpoint(folder, self.config, self.parameters(), dtype)

    def parameters(self) -> Mapping[str, Array]:
        """Return name -> array: the model's own arrays; of a kept model, each widened when it is asked for."""
        return Widened(self._parameters) if self.kept_in else dict(self._parameters)

    def new_cache(self, batch: int = 1, capacity: int | None = None) -> KVCache:
        """Return an empty cache for `batch` sequences of up to `capacity` tokens each (the model's context by default).

        Raises
        ------
        ValueError
            If the capacity is not between 1 and the model's context.
        """
        return KVCache.empty(self._own, batch, self.config.n_ctx if capacity is None else capacity, self.dtype)

    def changed(self, changes: Hook | Mapping[str, Change]) -> GPT:
        """Return the same model, sharing its parameters, with a further hook in everything it computes.

        It gets what earlier hooks return; the hook of a single call, or a trace, what all of them return.

        Parameters
        ----------
        changes : hook, or dict of place -> function
            A hook, or what `gptcompare.inspection.changing` makes one of.

        Raises
        ------
        TypeError, ValueError
            As for `gptcompare.inspection.changing`, and if the model has no such place or head.
        """
        model = copy(self)
        model.hooks = (*self.hooks, checked_hook(changes, self.config))
        return model

    def trace(self, ids: npt.ArrayLike, record: Iterable[str] = ("*",)) -> Trace:
        """Record what happens inside while the model reads: see `gptcompare.inspection.trace`."""
        return trace(self, ids, record)

    def __call__(
        self,
        ids: npt.ArrayLike,
        cache: KVCache | None = None,
        *,
        last_only: bool = False,
        hook: Hook | None = None,
    ) -> Array:
        """Return the logits of the token that follows each given one.

        Parameters
        ----------
        ids : integers, (T,) or (B, T)
            New tokens: the start of each sequence, or what follows the tokens that the cache has seen.
        cache : KVCache, optional
            With as many sequences as `ids` has rows; it is extended by the new tokens.
        last_only : bool
            Compute and return only the logits of the last position.
        hook : function of a name and an array, optional
            Called at each named place of the forward pass with the array there, of all new tokens, and with `last_only`
            of the last one alone behind the blocks; it returns the array to continue with: see `gptcompare.inspection`.
            The cache remembers the keys and values that it returns.

        Returns
        -------
        (T, V) or (B, T, V); with `last_only` (V,) or (B, V)

        Raises
        ------
        TypeError, ValueError
            If there are no ids, an id is not an integer or not in the vocabulary, the tokens do not fit into the
            context, or the cache has another batch size, belongs to another model, or was broken by a failed call; or
            if a change does not fit the model (`gptcompare.inspection.changing`), or is one of whole sequences and
            there is a cache.
        """
        if isinstance(hook, Changing):
            hook.check(self.config)
        checked = check_ids(ids, self.config)
        with threads_for(checked.size, self.config.d_model * self.config.d_mlp):
            x = self._read(checked, cache, self.config.n_layer, hook)
            logits = self.unembed(x[:, -1:], hook)[:, -1] if last_only else self.unembed(x, hook)
        return logits if np.ndim(ids) == 2 else logits[0]

    def residual_stream(
        self, ids: npt.ArrayLike, cache: KVCache | None = None, *, n_blocks: int | None = None
    ) -> Array:
        """Return the residual stream after the blocks, which `unembed` turns into logits after the last one.

        Parameters
        ----------
        ids, cache
            As in a call of the model.
        n_blocks : int, optional
            Number of blocks to go through; all if not given, and always with a cache; 0 gives the embeddings.

        Returns
        -------
        (T, D) or (B, T, D)

        Raises
        ------
        TypeError, ValueError
            As for a call of the model, or if the model has fewer blocks.
        """
        n_layer = self.config.n_layer
        wanted = n_layer if n_blocks is None else n_blocks
        if not 0 <= wanted <= n_layer or (cache is not None and wanted < n_layer):
            raise ValueError(f"n_blocks must be between 0 and {n_layer}, and {n_layer} with a cache, got {n_blocks}")
        x = self._read(check_ids(ids, self.config), cache, wanted, None)
        return x if np.ndim(ids) == 2 else x[0]

    def _read(self, ids: Ids, cache: KVCache | None, n_blocks: int, hook: Hook | None) -> Array:
        """Return the residual stream after `n_blocks` blocks, (B, T, D): in chunks or, with hooks, at once."""
        batch, n_new = ids.shape
        hook = one_after_another(self.hooks, hook, position_by_position=cache is not None)
        if cache is None:
            cache = self.new_cache(batch, capacity=min(n_new, self.config.n_ctx))
        cache.check_room(batch, n_new, self._own, self.dtype)
        if hook is not None:
            check_whole(self, "looked into or changed")
        self.ranks.check_same(ids)
        x: Array = np.empty((batch, n_new, self.config.d_model), self.dtype)
        positions = np.add.outer(cache.n_tokens, np.arange(n_new))

        def read(chunk: slice, order: LayerOrder) -> None:
            x[:, chunk] = self._forward(ids[:, chunk], positions[:, chunk], cache, n_blocks, hook, order)

        with cache.extended_by(n_new):
            in_order = in_layer_order if self.ranks.share.n == 1 else in_turn
            in_order(read, chunks(n_new) if hook is None else shares(n_new, 1), n_layers=n_blocks)
        return x

    def _forward(
        self, ids: Ids, positions: Ids, cache: KVCache, n_blocks: int, hook: Hook | None, order: LayerOrder
    ) -> Array:
        """Return the residual stream after `n_blocks` blocks, (B, T, D), of a chunk of new tokens.

        Several chunks may be on their way at once; in each layer they reach the keys and values in order.
        """
        hook_point, n_past, p = hook or no_hook, positions[:, 0].tolist(), self._parameters
        # 1. Embeddings of the tokens and of their positions.
        x: Array = hook_point("hook_embed", self.ranks.looked_up(p["wte.weight"], ids, self.config.n_vocab))
        x = x + hook_point("hook_pos_embed", self.ranks.looked_up(p["wpe.weight"], positions, self.config.n_ctx))
        # 2. One block after another. The caller takes step 3, `unembed`.
        for layer, block in enumerate(self._blocks[:n_blocks]):
            caches = [sequence.layers[layer] for sequence in cache.sequences]
            in_block = hook_in_block(hook, layer)
            attend_in_layer = partial(self._attend, layer, caches, n_past, in_block, order)
            x = self._block(x, block, attend_in_layer, in_block)
        return x

    def _block(self, x: Array, p: dict[str, Array], attend: Callable[[Array], Array], hook: Hook | None) -> Array:
        """Apply attention, then the feed-forward layer: each reads the normalised residual stream and adds to it."""
        eps, hook_point = self.config.layer_norm_eps, hook or no_hook

        # 1. Attention: moves information between positions.
        x = hook_point("hook_resid_pre", x)
        normed = layer_norm(x, p["ln_1.weight"], p["ln_1.bias"], eps, partial(hook_point, "ln1.hook_normalized"))
        qkv = linear(normed, p["attn.c_attn.weight"], p["attn.c_attn.bias"])
        heads = attend(qkv)
        x += hook_point("hook_attn_out", self._to_stream(heads, p["attn.c_proj.weight"], p["attn.c_proj.bias"]))

        # 2. Feed-forward layer: works on each position by itself.
        x = hook_point("hook_resid_mid", x)
        normed = layer_norm(x, p["ln_2.weight"], p["ln_2.bias"], eps, partial(hook_point, "ln2.hook_normalized"))
        hidden = hook_point("mlp.hook_pre", linear(normed, p["mlp.c_fc.weight"], p["mlp.c_fc.bias"]))
        hidden = hook_point("mlp.hook_post", ACTIVATION[self.config.activation](hidden))
        x += hook_point("hook_mlp_out", self._to_stream(hidden, p["mlp.c_proj.weight"], p["mlp.c_proj.bias"]))
        return hook_point("hook_resid_post", x)

    def _to_stream(self, x: Array, weight: Array, bias: Array) -> Array:
        """Return x @ weight + bias; of x, each rank has its own heads or hidden numbers."""
        y = self.ranks.sum(product(x, weight))
        y += bias
        return y

    def _attend(
        self, layer: int, caches: list[LayerCache], n_past: list[int], hook: Hook | None, order: LayerOrder, qkv: Array
    ) -> Array:
        """Attend within each sequence, through its cache: (B, T, 3 H K) -> (B, T, H K), H this rank's heads."""
        pattern = self._patterns[layer]
        qkv = qkv.reshape(*qkv.shape[:2], 3, self._own.n_head, self._own.d_head)
        if hook is None:
            return attend(qkv, pattern, caches, n_past, order)
        return attend_with_hooks(qkv, pattern, caches, n_past, hook)

    def unembed(self, x: Array, hook: Hook | None = None) -> Array:
        """Apply the final layer norm and the output matrix: (..., D) -> (..., V)."""
        p, eps = self._parameters, self.config.layer_norm_eps
        at_last_place = hook_at_last_place(one_after_another(self.hooks, hook))
        x = layer_norm(x, p["ln_f.weight"], p["ln_f.bias"], eps, at_last_place)
        output, n_vectors = output_matrix(p, self.config), x.size // x.shape[-1]
        logits = product(x, output) if n_vectors < 2 * LEAST_CHUNK else product_in_shares(x, output)
        return self.ranks.joined_columns(logits, self.config.n_vocab)
