"""Train the small English model in `tests/data/story-gpt2/` with Hugging Face transformers and tokenizers.

A checkpoint made from first to last by somebody else's code: what our readers, tokenizer and forward pass are
tested on where a trained model is needed, and small enough to lie in the repository (float16, about 2 MB).

The text is a folder of public-domain children's books of Project Gutenberg, one plain-text file per book. Needs the
`reference` extra; about half an hour on two cores:

    python tests/data/make_story_model.py FOLDER_OF_TEXTS tests/data/story-gpt2
"""

import argparse
import math
import time
from pathlib import Path

import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import GPT2Config, GPT2LMHeadModel

N_VOCAB, N_CTX, BATCH, WARMUP, PEAK_LR = 2048, 256, 16, 100, 3e-3


def learn_tokenizer(books: list[str], out: Path) -> ByteLevelBPETokenizer:
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(books, vocab_size=N_VOCAB, special_tokens=["<|endoftext|>"], show_progress=False)
    tokenizer.save_model(str(out))
    return tokenizer


def learning_rate(step: int, n_steps: int) -> float:
    if step < WARMUP:
        return PEAK_LR * (step + 1) / WARMUP
    return PEAK_LR * (0.1 + 0.45 * (1 + math.cos(math.pi * (step - WARMUP) / (n_steps - WARMUP))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=30)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)

    books = [path.read_text(encoding="utf-8") for path in sorted(args.texts.glob("*.txt"))]
    tokenizer = learn_tokenizer(books, args.out)
    eot = tokenizer.token_to_id("<|endoftext|>")
    ids = torch.tensor([i for book in books for i in [eot, *tokenizer.encode(book).ids]])
    print(f"{len(books)} books, {len(ids):,} tokens")

    config = GPT2Config(
        vocab_size=N_VOCAB, n_positions=N_CTX, n_embd=128, n_layer=4, n_head=4, bos_token_id=eot, eos_token_id=eot,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
    )  # fmt: skip
    model = GPT2LMHeadModel(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_LR, betas=(0.9, 0.95), weight_decay=0.1)
    start, step, n_steps = time.monotonic(), 0, 10_000
    while step < n_steps:
        if step == 50:  # how many steps the time allows
            n_steps = int(args.minutes * 60 / (time.monotonic() - start) * 50)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, n_steps)
        rows = torch.randint(len(ids) - N_CTX, (BATCH,))
        batch = torch.stack([ids[row : row + N_CTX] for row in rows])
        loss = model(batch, labels=batch).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        if step % 100 == 0 or step == n_steps:
            print(f"step {step}/{n_steps} loss {loss.item():.3f} {time.monotonic() - start:.0f} s", flush=True)
    model.half().save_pretrained(args.out)


if __name__ == "__main__":
    main()
