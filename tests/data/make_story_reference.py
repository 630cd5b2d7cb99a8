"""Make `tests/data/story_reference.json`: what transformers says of `tests/data/story-gpt2`, in float64.

For each prompt its ids, the log-probability of every token after the first, and a greedy continuation with its
log-probabilities. Needs the `reference` extra:

    python tests/data/make_story_reference.py
"""

import json
from pathlib import Path

import torch
from transformers import GPT2LMHeadModel, GPT2TokenizerFast

HERE = Path(__file__).parent
N_NEW = 60
PROMPTS = [
    "Once upon a time",
    "The",
    "'I don't know,' said the little rabbit, 'but I will",
    "In a far-off country -- nobody knows where -- there lived 3 brothers:",
    "“Ünïcödé” — 雪 and 🐇 are not in these books",
    "\n\n",
]


def main() -> None:
    model = GPT2LMHeadModel.from_pretrained(HERE / "story-gpt2", dtype=torch.float64).eval()
    tokenizer = GPT2TokenizerFast.from_pretrained(HERE / "story-gpt2")
    records = []
    for prompt in PROMPTS:
        ids = tokenizer(prompt)["input_ids"]
        with torch.no_grad():
            # no end-of-text id, so that the continuation always has its full length
            full = model.generate(
                torch.tensor([ids]), max_new_tokens=N_NEW, do_sample=False, eos_token_id=None, pad_token_id=0
            )
            logprobs = torch.log_softmax(model(full).logits[0, :-1], dim=-1)
        chosen = logprobs.gather(1, full[0, 1:, None])[:, 0].tolist()
        new = full[0, len(ids) :].tolist()
        records.append(
            {
                "prompt": prompt,
                "ids": ids,
                "logprobs": chosen[: len(ids) - 1],
                "greedy_ids": new,
                "greedy_text": tokenizer.decode(new, clean_up_tokenization_spaces=False),
                "greedy_logprobs": chosen[len(ids) - 1 :],
            }
        )
    (HERE / "story_reference.json").write_text(json.dumps(records, indent=1) + "\n")


if __name__ == "__main__":
    main()
