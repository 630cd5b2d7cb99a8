import math
import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.amounts import examples
from support.references import gpt_neo_scores_in_float64, random_parameters, random_reference

import gptcompare as gc
from gptcompare.backward import gradients, score_and_input_grads
from gptcompare.model.changes import changing
from gptcompare.model.ops import cross_entropy
from gptcompare.training import loss_and_grads

TOLERANCE = {np.float32: 1e-4, np.float64: 1e-8}  # of the largest gradient of a parameter

GPT2 = {"n_layer": 3, "n_head": 3, "n_embd": 39, "vocab_size": 101, "n_positions": 150, "n_inner": 70}
NEO = {
    "num_layers": 4, "num_heads": 3, "hidden_size": 33, "vocab_size": 101, "max_position_embeddings": 150,
    "intermediate_size": 50,
}  # fmt: skip
ALTERNATING = {"attention_types": [[["global", "local"], 2]]}
# Under each name: the family, its configuration, and the shape of a batch.
REFERENCES = {
    "gpt2": ("gpt2", GPT2, (2, 150)),
    "gpt2, one sequence of one token": ("gpt2", GPT2, (1,)),
    "gpt2, shorter than the context": ("gpt2", GPT2, (3, 77)),
    "gpt2, untied": ("gpt2", {**GPT2, "tie_word_embeddings": False}, (2, 50)),
    "gpt2, gelu": ("gpt2", {**GPT2, "activation_function": "gelu"}, (50,)),
    "gpt2, relu": ("gpt2", {**GPT2, "activation_function": "relu", "layer_norm_epsilon": 1e-3}, (2, 50)),
    "gpt2, longer than a few hundred tokens": ("gpt2", {**GPT2, "n_layer": 1, "n_positions": 400}, (2, 333)),
    "gpt_neo": ("gpt_neo", {**NEO, **ALTERNATING, "window_size": 17}, (2, 150)),
    "gpt_neo, a window of one token": ("gpt_neo", {**NEO, **ALTERNATING, "window_size": 1}, (2, 40)),
    "gpt_neo, untied, local first, gelu": (
        "gpt_neo",
        {**NEO, "attention_types": [[["local", "local", "global"], 1], [["local"], 1]], "window_size": 67,
         "tie_word_embeddings": False, "activation_function": "gelu"},
        (2, 131),
    ),
}  # fmt: skip


def assert_close(grads, expected, dtype):
    assert list(grads) == list(expected)
    for name, reference in expected.items():
        assert grads[name].dtype == dtype, name
        assert grads[name].shape == reference.shape, name
        largest = np.abs(reference).max()
        assert np.abs(grads[name] - reference).max() <= TOLERANCE[dtype] * largest, name


def with_biases(reference, torch):
    """GPT-Neo's queries, keys and values get the biases that ours have, of 0, so that their gradients are known."""
    for name, module in reference.named_modules():
        if name.endswith(("q_proj", "k_proj", "v_proj")):
            module.bias = torch.nn.Parameter(torch.zeros(module.out_features))
    return reference


def gradients_of(reference, names, config):
    """A transformers model's gradients in our names and shapes, in our order."""
    theirs = {name.removeprefix("transformer."): p.grad.numpy() for name, p in reference.named_parameters()}
    if reference.config.model_type == "gpt_neo":
        theirs = {name.replace("attn.attention.out_proj", "attn.c_proj"): grad for name, grad in theirs.items()}
        theirs = {name: grad.T if name.startswith("h.") else grad for name, grad in theirs.items()}
        for name in [name for name in names if "c_attn" in name]:
            q, k, v = (theirs[name.replace("c_attn", f"attention.{x}_proj")] for x in "qkv")
            # Our queries are theirs times sqrt(d_head), for our scores are divided by it.
            theirs[name] = np.concatenate([q / math.sqrt(config.d_head), k, v], axis=-1)
    if not config.tied_embeddings:
        theirs["lm_head.weight"] = theirs["lm_head.weight"].T
    return {name: theirs[name] for name in names}


@pytest.fixture(scope="module", params=REFERENCES)
def case(request, torch, transformers, tmp_path_factory):
    """A folder that transformers wrote, ids, targets, and that model's loss and gradients in float64."""
    model_type, shape, batch = REFERENCES[request.param]
    torch.manual_seed(0)
    reference = random_reference(torch, transformers, model_type, shape)
    folder = tmp_path_factory.mktemp("model")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference.save_pretrained(folder)
    reference = with_biases(reference, torch).to(torch.float64)
    ids, targets = np.random.default_rng(0).integers(shape["vocab_size"], size=(2, *batch))
    return folder, ids, targets, reference


def pytorch_loss(torch, reference, ids, targets, **options):
    """PyTorch's loss of a transformers model, whose parameters get their gradients."""
    reference.zero_grad()
    with gpt_neo_scores_in_float64(torch):
        logits = reference(torch.tensor(np.atleast_2d(ids))).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), torch.tensor(targets.ravel()), **options)
        loss.backward()
    return loss.item()


@pytest.mark.reference
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_loss_and_every_gradient_by_name_equal_pytorch_s(torch, case, dtype):
    folder, ids, targets, reference = case
    model = gc.GPT.from_pretrained(folder, dtype=dtype)
    loss, grads = loss_and_grads(model, ids, targets)
    assert loss == pytest.approx(pytorch_loss(torch, reference, ids, targets), rel=TOLERANCE[dtype])
    assert_close(grads, gradients_of(reference, model.parameters(), model.config), dtype)


@pytest.mark.reference
@pytest.mark.parametrize("ignore", [-100, 50], ids=["no token", "a token"])
def test_targets_that_do_not_count_are_pytorch_s_ignore_index(torch, case, ignore):
    folder, ids, targets, reference = case
    targets = np.where(np.random.default_rng(3).random(targets.shape) < 0.6, ignore, targets)
    targets.flat[-1] = 7  # one counts, also where there is but one
    model = gc.GPT.from_pretrained(folder, dtype=np.float64)
    loss, grads = loss_and_grads(model, ids, targets, ignore=ignore)
    assert loss == pytest.approx(pytorch_loss(torch, reference, ids, targets, ignore_index=ignore), rel=1e-8)
    assert_close(grads, gradients_of(reference, model.parameters(), model.config), np.float64)


SHAPE = {"n_layer": 3, "n_head": 2, "d_model": 8, "d_head": 5, "n_ctx": 40, "n_vocab": 20}
SPARSE = {"band_width": 9, "stride": 8, "summary_width": 2, "summary_variants": 2}
CONFIGS = {
    "dense": gc.GPTConfig(**SHAPE),
    "untied": gc.GPTConfig(**SHAPE, tied_embeddings=False),
    "gelu_erf": gc.GPTConfig(**SHAPE, activation="gelu_erf"),
    "relu": gc.GPTConfig(**SHAPE, activation="relu"),
    "alternating": gc.GPTConfig(**SHAPE, attention=("dense", "banded"), band_width=7),
    "strided": gc.GPTConfig(**SHAPE, attention=("strided",), stride=6),
    "fixed": gc.GPTConfig(**SHAPE, attention=("fixed",), stride=7, summary_width=3),
    "sparse transformer": gc.GPTConfig(**SHAPE, attention=("strided", "banded", "fixed"), **SPARSE),
}
every_config = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)


def random_batch(shape, seed=1, n_vocab=20):
    return np.random.default_rng(seed).integers(n_vocab, size=(2, *shape))


def assert_slopes(loss_of, parameters, grads):
    """In a random direction of each parameter the loss changes as its gradient says."""
    rng = np.random.default_rng(2)
    for name, value in parameters.items():
        direction = rng.standard_normal(value.shape)
        above, below = (loss_of(parameters | {name: value + step * direction}) for step in (1e-5, -1e-5))
        assert (above - below) / 2e-5 == pytest.approx((grads[name] * direction).sum(), rel=1e-5, abs=1e-8), name


@every_config
@pytest.mark.parametrize("shape", [(1,), (2, 17), (40,)], ids=str)
def test_the_loss_is_the_model_s_and_the_gradients_its_slopes(config, shape):
    ids, targets = random_batch(shape)

    def loss_of(parameters):
        return cross_entropy(gc.GPT(config, parameters, dtype=np.float64)(ids), targets).mean()

    parameters = random_parameters(config, 0)
    loss, grads = loss_and_grads(gc.GPT(config, parameters, dtype=np.float64), ids, targets)
    assert loss == pytest.approx(loss_of(parameters), rel=1e-12)
    assert_slopes(loss_of, parameters, grads)


@every_config
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_gradients_have_the_parameters_names_shapes_dtype_and_order_and_the_model_stays_as_it_was(config, dtype):
    parameters = random_parameters(config, 0, dtype)
    model = gc.GPT(config, parameters, dtype=dtype)
    loss, grads = loss_and_grads(model, *random_batch((2, 30)))
    assert isinstance(loss, float)
    assert list(grads) == list(model.parameters())
    for name, value in model.parameters().items():
        assert (grads[name].shape, grads[name].dtype) == (value.shape, dtype)
        assert grads[name].strides == value.strides
        assert np.array_equal(value, parameters[name])
        assert not any(np.shares_memory(grads[name], other) for other in model.parameters().values())


@every_config
def test_float32_gradients_are_the_float64_ones_to_single_precision(config):
    parameters = random_parameters(config, 0, np.float32)
    batch = random_batch((3, 40))
    loss, grads = loss_and_grads(gc.GPT(config, parameters), *batch)
    exact_loss, exact = loss_and_grads(gc.GPT(config, parameters, dtype=np.float64), *batch)
    assert loss == pytest.approx(exact_loss, rel=1e-5)
    assert_close(grads, exact, np.float32)


@every_config
def test_the_gradient_of_a_batch_is_the_mean_of_its_sequences(config):
    model = gc.GPT(config, random_parameters(config, 0), dtype=np.float64)
    ids, targets = random_batch((3, 25))
    loss, grads = loss_and_grads(model, ids, targets)
    alone = [loss_and_grads(model, *sequence) for sequence in zip(ids, targets, strict=True)]
    assert loss == pytest.approx(np.mean([loss for loss, _ in alone]))
    assert_close(grads, {name: np.mean([of[name] for _, of in alone], axis=0) for name in grads}, np.float64)


@pytest.mark.parametrize("rows", [1, 7, 24, 50])
def test_the_logits_of_any_number_of_tokens_at_a_time_give_the_same_gradients(rows, monkeypatch):
    model = gc.GPT(CONFIGS["dense"], random_parameters(CONFIGS["dense"], 0), dtype=np.float64)
    batch = random_batch((2, 25))
    loss, grads = loss_and_grads(model, *batch)
    monkeypatch.setattr(gradients, "LOGIT_ROWS", rows)
    again, grads_again = loss_and_grads(model, *batch)
    assert again == pytest.approx(loss)
    assert_close(grads_again, grads, np.float64)


@settings(max_examples=examples(20), deadline=None)
@given(T=st.integers(1, 40), more=st.integers(0, 9))
def test_a_band_as_wide_as_the_sequence_gives_the_dense_gradients(T, more):
    dense = CONFIGS["dense"]
    banded = gc.GPTConfig.from_dict({**dense.to_dict(), "attention": ["banded"], "band_width": T + more})
    parameters, batch = random_parameters(dense, 0), random_batch((2, T))
    _, expected = loss_and_grads(gc.GPT(dense, parameters, dtype=np.float64), *batch)
    _, grads = loss_and_grads(gc.GPT(banded, parameters, dtype=np.float64), *batch)
    assert_close(grads, expected, np.float64)


@every_config
def test_the_gradient_of_a_score_with_respect_to_the_embeddings_is_its_slope(config):
    model, rng = gc.GPT(config, random_parameters(config, 0), dtype=np.float64), np.random.default_rng(3)
    embedded, weights, direction = (rng.standard_normal(shape) for shape in ((2, 17, 8), (2, 20), (2, 17, 8)))

    def score_of(logits):
        return (np.sin(logits) * weights).sum(axis=-1), np.cos(logits) * weights

    scores, gradient = score_and_input_grads(model, embedded, score_of)
    above, below = (score_and_input_grads(model, embedded + step * direction, score_of)[0] for step in (1e-5, -1e-5))
    assert (above - below) / 2e-5 == pytest.approx((gradient * direction).sum(axis=(1, 2)), rel=1e-5, abs=1e-8)
    logits = model([[0] * 17] * 2, hook=changing({"hook_embed": lambda _: embedded}))[:, -1]
    assert scores == pytest.approx(score_of(logits)[0], rel=1e-12)


def test_longer_sequences_than_the_context_and_changed_models_have_no_gradient_of_a_score():
    model = gc.GPT(CONFIGS["dense"])
    with pytest.raises(ValueError, match="41 new ones do not fit into the context of 40 tokens"):
        score_and_input_grads(model, np.zeros((1, 41, 8), np.float32), lambda logits: (logits[:, 0], logits))
    with pytest.raises(ValueError, match="a changed model cannot be differentiated"):
        score_and_input_grads(model.changed({"hook_embed": np.negative}), np.zeros((1, 4, 8)), lambda x: (x[:, 0], x))


class TestTargetsThatDoNotCount:
    IDS, TARGETS = random_batch((2, 17))
    COUNTED = np.random.default_rng(4).random((2, 17)) < 0.3

    @every_config
    @pytest.mark.parametrize("ignore", [-100, -1, 20, 2**31 - 1])
    def test_the_rest_has_the_mean_loss_of_its_positions_one_by_one_and_of_their_gradients(self, config, ignore):
        model = gc.GPT(config, random_parameters(config, 0), dtype=np.float64)
        loss, grads = loss_and_grads(model, self.IDS, np.where(self.COUNTED, self.TARGETS, ignore), ignore=ignore)
        alone = []
        for place in np.argwhere(self.COUNTED):
            targets = np.full_like(self.TARGETS, ignore)
            targets[tuple(place)] = self.TARGETS[tuple(place)]
            alone.append(loss_and_grads(model, self.IDS, targets, ignore=ignore))
        assert loss == pytest.approx(np.mean([one for one, _ in alone]), rel=1e-12)
        assert_close(grads, {name: sum(one[name] for _, one in alone) / len(alone) for name in grads}, np.float64)

    @every_config
    def test_the_loss_is_the_model_s_and_the_gradients_its_slopes(self, config):
        targets = np.where(self.COUNTED, self.TARGETS, -100)

        def loss_of(parameters):
            logits = gc.GPT(config, parameters, dtype=np.float64)(self.IDS)
            return cross_entropy(logits[self.COUNTED], self.TARGETS[self.COUNTED]).mean()

        parameters = random_parameters(config, 0)
        loss, grads = loss_and_grads(gc.GPT(config, parameters, dtype=np.float64), self.IDS, targets, ignore=-100)
        assert loss == pytest.approx(loss_of(parameters), rel=1e-12)
        assert_slopes(loss_of, parameters, grads)

    def test_what_follows_the_last_that_counts_changes_nothing(self):
        model = gc.GPT(CONFIGS["alternating"], random_parameters(CONFIGS["alternating"], 0), dtype=np.float64)
        targets = np.concatenate([self.TARGETS, np.full((2, 5), -100)], axis=1)
        for padding in (0, 19):
            ids = np.concatenate([self.IDS, np.full((2, 5), padding)], axis=1)
            loss, grads = loss_and_grads(model, ids, targets, ignore=-100)
            expected, expected_grads = loss_and_grads(model, self.IDS, self.TARGETS)
            assert loss == pytest.approx(expected, rel=1e-12)
            assert_close(grads, expected_grads, np.float64)

    def test_where_all_count_no_bit_changes(self):
        model = gc.GPT(CONFIGS["dense"], random_parameters(CONFIGS["dense"], 0))
        loss, grads = loss_and_grads(model, self.IDS, self.TARGETS, ignore=-100)
        expected, expected_grads = loss_and_grads(model, self.IDS, self.TARGETS)
        assert loss == expected
        assert all(np.array_equal(grads[name], expected_grads[name]) for name in grads)

    @pytest.mark.parametrize(
        ("targets", "ignore", "error", "words"),
        [
            ([-100, -100], -100, ValueError, "no target counts, all are -100: give at least one that does"),
            ([5, 5], 5, ValueError, "no target counts, all are 5"),
            ([5, -1], -100, ValueError, "id -1 at index 1 .* targets are 0 ... 19, or -100, which does not count"),
            ([5, 6], 5.0, TypeError, "ignore must be an integer, got 5.0"),
            ([5, 6], 2**31, ValueError, "ignore must be at most"),
        ],
    )
    def test_what_makes_no_sense_is_refused(self, targets, ignore, error, words):
        with pytest.raises(error, match=words):
            loss_and_grads(gc.GPT(CONFIGS["dense"]), [1, 2], targets, ignore=ignore)

    def test_ids_to_read_must_all_be_tokens(self):
        with pytest.raises(ValueError, match="id -100 at index 1 is not in the vocabulary: ids are 0"):
            loss_and_grads(gc.GPT(CONFIGS["dense"]), [1, -100], [2, -100], ignore=-100)


def test_a_position_or_a_token_that_is_not_there_has_no_gradient():
    model = gc.GPT(CONFIGS["untied"], random_parameters(CONFIGS["untied"], 0))
    ids, targets = random_batch((2, 10))
    _, grads = loss_and_grads(model, ids, targets)
    assert np.flatnonzero(grads["wte.weight"].any(axis=1)).tolist() == np.unique(ids).tolist()
    assert np.flatnonzero(grads["wpe.weight"].any(axis=1)).tolist() == list(range(10))


def peak_memory(attention, T, **fields):
    config = gc.GPTConfig(
        n_layer=2, n_head=8, d_model=16, n_ctx=T, n_vocab=8, attention=(attention,), **fields
    )  # fmt: skip
    model, batch = gc.GPT(config), random_batch((T,), n_vocab=8)
    loss_and_grads(model, *batch)
    tracemalloc.start()
    loss_and_grads(model, *batch)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize(
    ("attention", "fields"), [("banded", {"band_width": 20}), ("fixed", {"stride": 64, "summary_width": 1})]
)
def test_the_memory_of_a_sparse_layer_does_not_grow_with_the_square_of_the_sequence(attention, fields):
    assert peak_memory(attention, 4096, **fields) < 2.3 * peak_memory(attention, 2048, **fields)
    assert peak_memory(attention, 2048, **fields) < peak_memory("dense", 2048) / 5


class TestDropout:
    CONFIG = CONFIGS["sparse transformer"]
    BATCH = random_batch((2, 30))

    def loss_and_grads(self, parameters, seed=0, p_drop=0.2):
        model = gc.GPT(self.CONFIG, parameters, dtype=np.float64)
        return loss_and_grads(model, *self.BATCH, p_drop=p_drop, rng=np.random.default_rng(seed))

    def test_the_gradients_are_the_slopes_of_the_loss_with_the_same_dropout(self):
        parameters = random_parameters(self.CONFIG, 0)
        _, grads = self.loss_and_grads(parameters)
        assert_slopes(lambda parameters: self.loss_and_grads(parameters)[0], parameters, grads)

    def test_the_generator_alone_says_what_is_left_out(self):
        parameters = random_parameters(self.CONFIG, 0)
        loss, grads = self.loss_and_grads(parameters, seed=3)
        again, grads_again = self.loss_and_grads(parameters, seed=3)
        assert loss == again
        assert all(np.array_equal(grads[name], grads_again[name]) for name in grads)
        assert loss != self.loss_and_grads(parameters, seed=4)[0]

    def test_none_is_the_same_as_not_asking_for_it_and_draws_nothing(self):
        model, rng = gc.GPT(self.CONFIG), np.random.default_rng(0)
        before = rng.bit_generator.state
        loss, _ = loss_and_grads(model, *self.BATCH, p_drop=0.0, rng=rng)
        assert loss == loss_and_grads(model, *self.BATCH)[0]
        assert rng.bit_generator.state == before

    @pytest.mark.parametrize("p_drop", [-0.1, 1.0, math.nan])
    def test_a_probability_out_of_range_is_refused(self, p_drop):
        with pytest.raises(ValueError, match="p_drop must be at least 0 and less than 1"):
            loss_and_grads(gc.GPT(self.CONFIG), [1], [2], p_drop=p_drop, rng=np.random.default_rng(0))

    def test_without_a_generator_it_is_refused(self):
        with pytest.raises(TypeError, match=r"p_drop 0.1 needs rng, .* got None"):
            loss_and_grads(gc.GPT(self.CONFIG), [1], [2], p_drop=0.1)


@pytest.mark.parametrize(
    ("ids", "targets", "error", "words"),
    [
        ([3, -1], [3, 3], ValueError, "id -1 at index 1 is not in the vocabulary: ids are 0 ... 19"),
        ([3, 3], [3, 20], ValueError, "id 20 at index 1 is not in the vocabulary: targets are 0 ... 19"),
        ([], [], ValueError, "at least one token"),
        ([1.0], [1], TypeError, "ids must be integers, got float64"),
        ([1], [1.0], TypeError, "targets must be integers, got float64"),
        ([1, 2], [1], ValueError, r"targets has shape \(1,\), ids \(2,\)"),
        ([1, 2], [[1, 2]], ValueError, r"targets has shape \(1, 2\), ids \(2,\)"),
        ([0] * 41, [0] * 41, ValueError, "41 new ones do not fit into the context of 40 tokens"),
    ],
)
def test_wrong_ids_and_targets_are_refused(ids, targets, error, words):
    with pytest.raises(error, match=words):
        loss_and_grads(gc.GPT(CONFIGS["dense"]), ids, targets)
