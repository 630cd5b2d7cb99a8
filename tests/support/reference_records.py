"""Records of every quantity that needs no data file, computed by PyTorch and transformers, which share no code with us.

`asked` is what is computed, of a vocabulary of any size; `Reference` computes it.
"""

import math

import numpy as np

N_GREEDY = 12
RECIPES = {
    "": {"learning_rate": 1e-4, "betas": [0.9, 0.95], "eps": 1e-8, "weight_decay": 0.0, "gradient_clip": 1.0, "n": 4},
    "2": {"learning_rate": 1e-4, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.0, "gradient_clip": 0, "n": 2},
}
# As in the public records: absolute and relative tolerances of float32, said for what they are.
TOLERANCE = "float32 beside float64: what the public records allow"
ALLOWED = {
    "logits": 1e-4, "centred logits": 2e-4, "logit differences": 2e-4, "hidden state": 1e-4, "percentages": 1e-2,
    "largest percentages": 1e-2, "probabilities": 2e-5, "log-probabilities": 2e-4, "sum of log-probabilities": 1e-3,
    "surprisal": 1e-3, "log-probabilities in windows": 2e-4, "loss": 4e-5, "loss without a head": 4e-5,
    "perplexity": 1e-2, "logits of greedy tokens": 1e-3, "log-probabilities of greedy tokens": 1e-3,
    "training losses": 1e-4, "final bias": 5e-5,
}  # fmt: skip


def asked(texts, n_layer, n_head):
    """Yield quantity, what is given, and the text it is of; texts are lists of ids, the first of at least 65."""
    long, others = texts[0], texts[1:]
    short = long[:12]
    tokens = sorted({*short, *others[0][:6]})
    batch = [long[32 * n : 32 * n + 33] for n in range(2)]
    yield "logits", {"ids": short, "positions": [0, 1, 5, -1], "tokens": tokens}
    yield "centred logits", {"ids": short, "tokens": tokens}
    yield "logit differences", {"texts": others, "pairs": [[ids[0], ids[1]] for ids in others]}
    yield "hidden state", {"ids": long, "positions": [0, 2, 40, -1], "dimensions": [0, 1, 2, 3, 5]}
    yield "likeliest tokens", {"ids": long, "positions": list(range(len(long)))}
    yield "percentages", {"ids": short, "tokens": tokens}
    yield "largest percentages", {"ids": short, "n": 5}
    yield "probabilities", {"ids": short, "first": 1}
    yield "log-probabilities", {"ids": long, "first": 1}
    yield "sum of log-probabilities", {"ids": long, "first": 20}
    yield "surprisal", {"ids": others[0], "first": 1}
    yield "log-probabilities in windows", {"windows": [long[:6], long[5:11], long[7:13]], "first": [1, 1, 4]}
    yield "loss", {"texts": batch}
    yield "loss without a head", {"texts": batch, "layer": 0, "head": n_head - 1}
    yield "loss without a head", {"texts": batch, "layer": n_layer - 1, "head": 0}
    yield "perplexity", {"texts": others}
    yield "greedy tokens", {"ids": short, "n": N_GREEDY}
    yield "greedy tokens", {"ids": long, "n": N_GREEDY}
    yield "is greedy", {"ids": short, "continuations": "greedy"}
    yield "logits of greedy tokens", {"ids": short, "n": 5}
    yield "log-probabilities of greedy tokens", {"ids": short, "n": 5}
    for recipe in RECIPES.values():
        yield "training losses", {"texts": batch, **recipe}
    yield "final bias", {"tokens": tokens}


class Reference:
    """What transformers and PyTorch compute of a model, in float64."""

    def __init__(self, model, torch):
        self.model, self.torch = model.double().eval(), torch
        self.transformer = model.transformer

    def logits(self, ids):
        with self.torch.no_grad():
            return self.model(self.torch.tensor([ids])).logits[0]

    def log_probabilities(self, ids, first, logits=None):
        rows = self.torch.log_softmax(self.logits(ids) if logits is None else logits, dim=-1)
        return [rows[at - 1, ids[at]].item() for at in range(first, len(ids))]

    def loss(self, texts):
        with self.torch.no_grad():
            losses = [self.model(ids, labels=ids).loss.item() for ids in (self.torch.tensor([one]) for one in texts)]
        return math.fsum(losses) / len(losses)

    def greedy(self, ids, n):
        written = self.model.generate(
            self.torch.tensor([ids]), attention_mask=self.torch.ones(1, len(ids), dtype=self.torch.long),
            max_new_tokens=n, do_sample=False, eos_token_id=None, pad_token_id=0,
        )  # fmt: skip
        return written[0, len(ids) :].tolist()

    def expected(self, quantity, given):
        """The numbers of a quantity; also what was given, where that depends on them."""
        return getattr(self, "_" + quantity.replace(" ", "_").replace("-", "_"))(**given)

    def _logits(self, ids, positions, tokens):
        rows = self.logits(ids)
        return [rows[position, token].item() for position in positions for token in tokens]

    def _centred_logits(self, ids, tokens):
        row = self.logits(ids)[-1]
        return [(row[token] - row.mean()).item() for token in tokens]

    def _logit_differences(self, texts, pairs):
        rows = [self.logits(ids)[-1] for ids in texts]
        return [(row[a] - row[b]).item() for row, (a, b) in zip(rows, pairs, strict=True)]

    def _hidden_state(self, ids, positions, dimensions):
        with self.torch.no_grad():
            last = self.transformer(self.torch.tensor([ids])).last_hidden_state[0]
        return [last[position, dimension].item() for position in positions for dimension in dimensions]

    def _likeliest_tokens(self, ids, positions):
        return [self.logits(ids)[position].argmax().item() for position in positions]

    def _percentages(self, ids, tokens):
        row = 100 * self.torch.softmax(self.logits(ids)[-1], dim=-1)
        return [row[token].item() for token in tokens]

    def _largest_percentages(self, ids, n):
        return (100 * self.torch.softmax(self.logits(ids)[-1], dim=-1)).topk(n).values.tolist()

    def _probabilities(self, ids, first):
        return [math.exp(one) for one in self.log_probabilities(ids, first)]

    def _log_probabilities(self, ids, first):
        return self.log_probabilities(ids, first)

    def _sum_of_log_probabilities(self, ids, first):
        return [sum(self.log_probabilities(ids, first))]

    def _surprisal(self, ids, first):
        return [-sum(self.log_probabilities(ids, first))]

    def _log_probabilities_in_windows(self, windows, first):
        return [one for ids, at in zip(windows, first, strict=True) for one in self.log_probabilities(ids, at)]

    def _loss(self, texts):
        return [self.loss(texts)]

    def _loss_without_a_head(self, texts, layer, head):
        """A head whose values are 0 adds nothing: its part of the input of the output matrix is 0."""
        attention = self.transformer.h[layer].attn
        projection = attention.c_proj if hasattr(attention, "c_proj") else attention.attention.out_proj
        width = self.model.config.hidden_size // self.model.config.num_attention_heads

        def without(module, inputs):
            changed = inputs[0].clone()
            changed[..., head * width : (head + 1) * width] = 0
            return (changed,)

        handle = projection.register_forward_pre_hook(without)
        try:
            return [self.loss(texts)]
        finally:
            handle.remove()

    def _perplexity(self, texts):
        return [sum(math.exp(self.loss([ids])) for ids in texts) / len(texts)]

    def _greedy_tokens(self, ids, n):
        return self.greedy(ids, n)

    def _is_greedy(self, ids, continuations):
        written = self.greedy(ids, max(map(len, continuations)))
        return [int(written[: len(one)] == one) for one in continuations]

    def _logits_of_greedy_tokens(self, ids, n):
        written = self.greedy(ids, n)
        rows = self.logits(ids + written)[len(ids) - 1 : -1]
        return [rows[at, token].item() for at, token in enumerate(written)]

    def _log_probabilities_of_greedy_tokens(self, ids, n):
        return self.log_probabilities(ids + self.greedy(ids, n), len(ids))

    def _training_losses(self, texts, learning_rate, betas, eps, weight_decay, gradient_clip, n):
        kept = {name: value.clone() for name, value in self.model.state_dict().items()}
        optimizer = self.torch.optim.AdamW(
            self.model.parameters(), lr=learning_rate, betas=tuple(betas), eps=eps, weight_decay=weight_decay
        )
        batch, losses = self.torch.tensor(texts), []
        for _ in range(n):
            optimizer.zero_grad()
            loss = self.model(batch, labels=batch).loss
            losses.append(loss.item())
            loss.backward()
            if gradient_clip:
                self.torch.nn.utils.clip_grad_norm_(self.model.parameters(), gradient_clip)
            optimizer.step()
        self.model.load_state_dict(kept)
        return losses

    def _final_bias(self, tokens):
        added = (self.model.lm_head.weight @ self.transformer.ln_f.bias).detach()
        return [(added[token] - added.mean()).item() for token in tokens]


def continuations(written):
    """What is asked of `is greedy`: beginnings of what the model writes, and what it does not write."""
    return [written[:1], written, [*written[:2], written[2] + 1], [written[0] + 1]]


def records(name, expected, questions, **about):
    """Return records as a file has them: `expected` is a function of a quantity and what is given."""
    made = []
    for number, (quantity, given) in enumerate(questions, 1):
        if given.get("continuations") == "greedy":
            given = {**given, "continuations": continuations(expected("greedy tokens", {"ids": given["ids"], "n": 5}))}
        record = {"id": f"{name}-{number}", "model": name, "quantity": quantity, "given": given}
        record["expected"] = [one if isinstance(one, int) else float(f"{one:.9g}") for one in expected(quantity, given)]
        if quantity in ALLOWED:
            record |= {"absolute": ALLOWED[quantity], "relative": 0.0, "tolerance": TOLERANCE}
        else:
            record["tolerance"] = "exact"
        made.append(record | {"by": "transformers", "source": "tests/support/reference_records.py", **about})
    return made


def random_texts(n_vocab, seed=0):
    """Some random texts, as `asked` takes them."""
    rng = np.random.default_rng(seed)
    return [rng.integers(n_vocab - 1, size=n).tolist() for n in (66, 9, 7)]


def of_model(name, model, torch, texts, decode=None):
    """Records of a GPT-2 or GPT-Neo of transformers; a tokenizer's `decode` shows the reader what the ids are."""
    config = model.config
    questions = asked(texts, config.num_hidden_layers, config.num_attention_heads)
    made = records(name, Reference(model, torch).expected, questions, note=f"{type(model).__name__}, float64")
    for record in made if decode else ():
        given = record["given"]
        of = given.get("ids") or given.get("texts") or given.get("windows")
        if of:
            record["prompt"] = [decode(ids) for ids in of] if isinstance(of[0], list) else decode(of)
    return made
