"""The libraries that gptcompare is measured beside, with the same interface for all.

    side.decode(ids, n)      seconds for n more tokens, chosen greedily, after ids (B, T), whose reading is not counted
    side.logits(ids)         the logits of all positions of ids (T,): (T, V)
    side.FIRST_TOKEN         a program that loads the folder in sys.argv[1] and prints the first token it writes
    side.AS_STORED           the same, with the weights left in the dtype of the files, where that can be asked for

All compute in float32 with the number of threads that this process may use; transformers' AS_STORED in the dtype of the
files.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

import gptcompare as gc
from gptcompare.checkpoints.export import write_gguf_model

PROMPT = "The quick brown fox"


class Gptcompare:
    name, package = "gptcompare", "gptcompare"
    FIRST_TOKEN = f"""
import sys
import gptcompare as gc
print(next(gc.load(sys.argv[1], keep=None).stream({PROMPT!r}, max_new_tokens=1), ""))
"""
    AS_STORED = FIRST_TOKEN.replace("keep=None", "keep='as stored'")

    def __init__(self, folder: Path, n_threads: int) -> None:
        self.model = gc.GPT.from_pretrained(folder)

    def decode(self, ids: np.ndarray, n: int) -> float:
        cache = self.model.new_cache(len(ids), capacity=ids.shape[1] + n)
        logits = self.model(ids, cache, last_only=True)
        start = time.perf_counter()
        for _ in range(n):
            logits = self.model(logits.argmax(-1)[:, None], cache, last_only=True)
        return time.perf_counter() - start

    def logits(self, ids: np.ndarray) -> np.ndarray:
        return self.model(ids)


class Transformers:
    name, package = "transformers", "transformers"
    FIRST_TOKEN = f"""
import sys
from transformers import AutoModelForCausalLM, AutoTokenizer
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype="float32")
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
ids = tokenizer({PROMPT!r}, return_tensors="pt")
print(tokenizer.decode(model.generate(**ids, max_new_tokens=1, do_sample=False, pad_token_id=0)[0, -1]))
"""
    AS_STORED = FIRST_TOKEN.replace('"float32"', '"auto"')

    def __init__(self, folder: Path, n_threads: int) -> None:
        import torch
        from transformers import AutoModelForCausalLM

        torch.set_num_threads(n_threads)
        torch.set_grad_enabled(False)
        self.torch = torch
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    def decode(self, ids: np.ndarray, n: int) -> float:
        out = self.model(self.torch.tensor(ids), use_cache=True, logits_to_keep=1)
        start = time.perf_counter()
        for _ in range(n):
            chosen = out.logits[:, -1].argmax(-1, keepdim=True)
            out = self.model(chosen, past_key_values=out.past_key_values, use_cache=True)
        return time.perf_counter() - start

    def logits(self, ids: np.ndarray) -> np.ndarray:
        return self.model(self.torch.tensor(ids[None]), use_cache=False).logits[0].numpy()


class CTranslate2:
    name, package = "CTranslate2", "ctranslate2"
    FIRST_TOKEN = f"""
import sys
import ctranslate2
from transformers import AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
generator = ctranslate2.Generator(sys.argv[1] + "/ctranslate2", compute_type="float32")
tokens = tokenizer.convert_ids_to_tokens(tokenizer.encode({PROMPT!r}))
print(generator.generate_batch([tokens], max_length=1, include_prompt_in_result=False)[0].sequences[0])
"""

    def __init__(self, folder: Path, n_threads: int) -> None:
        import ctranslate2

        converted = folder / "ctranslate2"
        if not converted.exists():
            ctranslate2.converters.TransformersConverter(str(folder)).convert(str(converted), quantization="float32")
        self.generator = ctranslate2.Generator(
            str(converted), compute_type="float32", inter_threads=1, intra_threads=n_threads
        )
        self.tokens = list(json.loads((folder / "vocab.json").read_text(encoding="utf-8")))

    def decode(self, ids: np.ndarray, n: int) -> float:
        prompts = [[self.tokens[i] for i in row] for row in ids]
        return self._generate(prompts, n + 1) - self._generate(prompts, 1)

    def _generate(self, prompts: list[list[str]], n: int) -> float:
        start = time.perf_counter()
        self.generator.generate_batch(
            prompts, max_length=n, min_length=n, sampling_topk=1, include_prompt_in_result=False
        )
        return time.perf_counter() - start

    def logits(self, ids: np.ndarray) -> np.ndarray:
        return np.asarray(self.generator.forward_batch([[self.tokens[i] for i in ids]]))[0]


class LlamaCpp:
    name, package = "llama.cpp", "llama_cpp"
    FIRST_TOKEN = None  # the file made for it here has no vocabulary

    def __init__(self, folder: Path, n_threads: int) -> None:
        import llama_cpp

        self.api = llama_cpp
        config = gc.GPTConfig.from_dict(_sizes(folder))
        file = folder / "model.gguf"
        if not file.exists():
            without_tokens = {"tokenizer.ggml.model": "no_vocab", "gpt2.vocab_size": config.n_vocab}
            write_gguf_model(file, config, gc.GPT.from_pretrained(folder).parameters(), without_tokens)
        self.n_vocab = config.n_vocab
        with silence():
            llama_cpp.llama_backend_init()
            self.model = llama_cpp.llama_model_load_from_file(
                str(file).encode(), llama_cpp.llama_model_default_params()
            )
            options = llama_cpp.llama_context_default_params()
            options.n_ctx = options.n_batch = config.n_ctx
            options.n_threads = options.n_threads_batch = n_threads
            options.type_k = options.type_v = llama_cpp.GGML_TYPE_F32
            options.n_seq_max = 1
            self.context = llama_cpp.llama_init_from_model(self.model, options)

    def decode(self, ids: np.ndarray, n: int) -> float:
        if len(ids) > 1:
            raise NotImplementedError("only one sequence is measured with llama.cpp")
        logits = self._read(ids[0], 0, last_only=True)
        start = time.perf_counter()
        for position in range(ids.shape[1], ids.shape[1] + n):
            logits = self._read([int(logits[0].argmax())], position, last_only=True)
        return time.perf_counter() - start

    def logits(self, ids: np.ndarray) -> np.ndarray:
        return self._read(ids, 0, last_only=False)

    def _read(self, ids: np.ndarray | list[int], first: int, last_only: bool) -> np.ndarray:
        if first == 0:
            self.api.llama_memory_clear(self.api.llama_get_memory(self.context), True)
        batch = self.api.llama_batch_init(len(ids), 0, 1)
        batch.n_tokens = len(ids)
        for i, id_ in enumerate(ids):
            batch.token[i], batch.pos[i] = int(id_), first + i
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, 0
            batch.logits[i] = not last_only or i == len(ids) - 1
        status = self.api.llama_decode(self.context, batch)
        self.api.llama_batch_free(batch)
        if status:
            raise RuntimeError(f"llama_decode gave {status}")
        n_rows = 1 if last_only else len(ids)
        return np.ctypeslib.as_array(self.api.llama_get_logits(self.context), (n_rows, self.n_vocab))


def _sizes(folder: Path) -> dict[str, Any]:
    published = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    names = {"n_layer": "n_layer", "n_head": "n_head", "d_model": "n_embd", "n_ctx": "n_positions"}
    return {ours: published[theirs] for ours, theirs in names.items()}


PEERS = (Transformers, CTranslate2, LlamaCpp)


@contextlib.contextmanager
def silence() -> Any:
    """Hide what a C library writes to standard error."""
    with open(os.devnull, "w") as nothing:
        kept = os.dup(2)
        os.dup2(nothing.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
