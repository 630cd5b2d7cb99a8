"""A changed model writes, scores and is used as if everything were read anew, with the change, at each step."""

from dataclasses import replace

import numpy as np
import pytest
from support.changes import CHANGES, CONFIGS
from support.models import log_softmax64
from support.places import STORY_FOLDER
from support.published_tasks import lambada, wikitext, winogrande
from support.references import gpt_neo_scores_in_float64, random_parameters, random_reference

import gptcompare as gc
from gptcompare import uses
from gptcompare.evaluation import evaluate
from gptcompare.generation import Sampling, speculation
from gptcompare.generation.noise import Noise
from gptcompare.generation.speculation import DraftLength
from gptcompare.inspection import changing, patched, without_heads
from gptcompare.verification import verify

GREEDY = Sampling()
PROMPT = "the hare and the rabbit ran and ran"
WORDS = ["the", "rabbit", "hare", "ran", "sat", "and", "slept", "ten times", "one", "two", "!", "\n"]


@pytest.fixture(scope="module")
def tokenizer():
    return gc.Tokenizer.train([" ".join(WORDS) * 5], 290)


def random_lm(tokenizer, kind, dtype=np.float64, seed=0):
    config = replace(CONFIGS[kind], n_vocab=tokenizer.n_vocab)
    return gc.LanguageModel(gc.GPT(config, random_parameters(config, seed), dtype=dtype), tokenizer, end_ids=())


def written_anew(lm, changes, prompt, n, sampling=GREEDY, seed=None):
    """The ids that follow a prompt: for each, all ids are read by the unchanged model with a hook, without a cache."""
    hook, ids, n_read = changing(changes), lm.prompt_ids(prompt), len(lm.prompt_ids(prompt))
    for _ in range(n):
        ids.append(sampling.choose(lm.model(ids, hook=hook)[-1], Noise(seed), ids))
    return ids[n_read:]


class TestWriting:
    @pytest.mark.parametrize("kind", ["a narrow band", "like OPT"])
    @pytest.mark.parametrize("change", CHANGES)
    def test_the_text_is_that_of_reading_all_anew_for_each_token(self, tokenizer, kind, change):
        lm, n = random_lm(tokenizer, kind), 20
        changed = lm.changed(CHANGES[change])
        found = changed.generate(PROMPT, max_new_tokens=n)
        assert found.ids == written_anew(lm, CHANGES[change], PROMPT, n)
        drawn = changed.generate(PROMPT, max_new_tokens=5, temperature=0.9, top_p=0.9, seed=3)
        assert drawn.ids == written_anew(lm, CHANGES[change], PROMPT, 5, Sampling(0.9, top_p=0.9), seed=3)

    @pytest.mark.parametrize("kind", CONFIGS)
    @pytest.mark.parametrize("change", ["a head left out in every layer", "what heads give is scaled"])
    def test_with_a_draft_in_a_batch_and_as_a_stream_it_is_the_same(self, tokenizer, kind, change, monkeypatch):
        monkeypatch.setattr(speculation, "READING_COST", {1: 1.0, 16: 1e-6})  # every guess is read
        monkeypatch.setattr(speculation, "DraftLength", lambda cost: DraftLength(0.0))
        lm = random_lm(tokenizer, kind)
        changed, smaller = lm.changed(CHANGES[change]), random_lm(tokenizer, kind, seed=1)
        prompts = [PROMPT, "the"]
        options = {"max_new_tokens": 20, "temperature": 0.7, "seed": 1}
        expected = [changed.generate(prompt, **options).ids for prompt in prompts]
        assert expected != [lm.generate(prompt, **options).ids for prompt in prompts]
        for draft in ("repetitions", smaller.changed(CHANGES[change]), lm):
            assert [changed.generate(prompt, draft=draft, **options).ids for prompt in prompts] == expected
        assert [one.ids for one in changed.generate(prompts, **options)] == expected
        stream = changed.stream(PROMPT, **options)
        assert ("".join(stream), stream.completion.ids) == (stream.completion.text, expected[0])

    def test_in_float32_too(self, tokenizer):
        lm, change = random_lm(tokenizer, "a narrow band", np.float32), CHANGES["what heads give is scaled"]
        found = lm.changed(change).generate(PROMPT, max_new_tokens=30)
        logits = lm.model([*lm.prompt_ids(PROMPT), *found.ids], hook=changing(change))[-31:-1]
        expected = log_softmax64(logits)[np.arange(30), found.ids]
        np.testing.assert_allclose(found.logprobs, expected, atol=1e-3)


class TestReading:
    @pytest.mark.parametrize("kind", ["a narrow band", "like OPT"])
    @pytest.mark.parametrize("change", CHANGES)
    def test_a_score_is_that_of_the_whole_text_with_the_hook(self, tokenizer, kind, change):
        lm = random_lm(tokenizer, kind)
        score = lm.changed(CHANGES[change]).score("one two ten times the rabbit slept and the hare ran")
        logits = lm.model(score.ids[:-1], hook=changing(CHANGES[change]))
        expected = log_softmax64(logits)[np.arange(len(score.ids) - 1), score.ids[1:]]
        np.testing.assert_allclose(score.logprobs, expected, atol=1e-9)

    def test_special_tokens_can_be_allowed_before_and_after(self, tokenizer):
        lm, change = random_lm(tokenizer, "dense"), CHANGES["both ends"]
        text = "the hare<|endoftext|>"
        expected = lm.changed(change).generate(text, allowed_special="all", max_new_tokens=5).ids
        assert lm.allowing("all").changed(change).generate(text, max_new_tokens=5).ids == expected
        assert lm.changed(change).allowing("all").generate(text, max_new_tokens=5).ids == expected


# What a model can be used for: a name, and a function of a model and a folder, whose result has numbers of the model.
TEXTS = ["Once upon a time there was a king", "The wolf ran", "A little girl had a red cloak and no shoes"]


def streamed(lm):
    stream = lm.stream(TEXTS[0], max_new_tokens=8)
    assert "".join(stream) == stream.completion.text
    return stream.completion


USES = {
    "generate": lambda lm, folder: lm.generate(TEXTS, max_new_tokens=8, alternatives=3, temperature=0.8, seed=1),
    "stream": lambda lm, folder: streamed(lm),
    "draft": lambda lm, folder: lm.generate(TEXTS[0], max_new_tokens=30, draft="repetitions"),
    "score": lambda lm, folder: [lm.score(text).logprobs for text in (*TEXTS, " ".join(TEXTS * 12))],
    "predictions": lambda lm, folder: [*lm.predictions(lm.encode(TEXTS[0]))],
    "trace": lambda lm, folder: lm.model.trace(lm.encode(TEXTS[0])).logits,
    "logit lens": lambda lm, folder: gc.inspection.logit_lens(lm.model.trace(lm.encode(TEXTS[1]))),
    "compare": lambda lm, folder: gc.compare(TEXTS[0], {"a": lm}, max_new_tokens=8).sides[0].completion.logprobs,
    "readings": lambda lm, folder: gc.compare(TEXTS[0], {"a": lm}, max_new_tokens=8).readings[0].logprobs,
    "compare_text": lambda lm, folder: gc.compare_text(TEXTS[0], {"a": lm}).reading.logprobs,
    "log-likelihoods": lambda lm, folder: [
        one.logprob for one in uses.log_likelihoods(lm, [(a, b) for a in TEXTS for b in (" who sat", " and")])
    ],
    "features": lambda lm, folder: uses.features(lm, TEXTS),
    "features of a layer": lambda lm, folder: uses.features(lm, TEXTS, layer=2, pool="last"),
    "a transformer": lambda lm, folder: uses.Features(lm).transform(TEXTS),
    "token_features": lambda lm, folder: uses.token_features(lm, TEXTS[0]).vectors,
    "classify": lambda lm, folder: uses.classify(lm, TEXTS, ["tale", "news"]).probabilities,
    "sentiment": lambda lm, folder: uses.sentiment(lm, TEXTS).probabilities,
    "choose": lambda lm, folder: uses.choose(lm, "Who ran?", ["the wolf", "a cloak"]).probabilities,
    "beam search": lambda lm, folder: uses.beam_search(lm, TEXTS[0], [], max_new_tokens=6).logprob,
    "lambada": lambda lm, folder: [row["logprob"] for row in evaluate(lm, "lambada", lambada(folder)).rows],
    "winogrande": lambda lm, folder: evaluate(lm, "winogrande", winogrande(folder)).rows,
    "wikitext-2": lambda lm, folder: [m.value for m in evaluate(lm, "wikitext-2", wikitext(folder)).metrics],
}  # fmt: skip


def numbers_in(value):
    """All numbers of a result, one after the other."""
    if isinstance(value, dict):
        return [number for one in value.values() for number in numbers_in(one)]
    if isinstance(value, (list, tuple, np.ndarray)):
        return [number for one in value for number in numbers_in(one)]
    if hasattr(value, "to_dict"):
        return numbers_in(value.to_dict())
    return [float(value)] if isinstance(value, (int, float, np.number)) else []


@pytest.fixture(scope="module")
def same_in_two_ways():
    """A model with a head left out, one whose parameters say the same, and the one that both are made of."""
    story = gc.load(STORY_FOLDER, dtype=np.float64)
    K, parameters = story.config.d_head, {name: value.copy() for name, value in story.model.parameters().items()}
    for layer in range(2):
        parameters[f"h.{layer}.attn.c_proj.weight"][K : 2 * K] = 0
    expected = gc.LanguageModel(gc.GPT(story.config, parameters, dtype=np.float64), story.tokenizer, story.end_ids)
    changed = story.changed({f"blocks.{layer}.attn.hook_z": without_heads([1]) for layer in range(2)})
    return changed, expected, story


@pytest.mark.parametrize("use", USES)
def test_a_head_left_out_is_in_every_use_as_if_its_rows_of_the_output_matrix_were_0(use, same_in_two_ways, tmp_path):
    """No use goes around the hook."""
    found, wanted, plain = (numbers_in(USES[use](lm, tmp_path)) for lm in same_in_two_ways)
    assert found == pytest.approx(wanted, rel=1e-6, abs=1e-9)
    assert found != pytest.approx(plain, rel=1e-4, abs=1e-6)


class TestRefused:
    def test_what_would_lose_the_change_is_refused(self, story, tmp_path):
        changed = story.changed({"blocks.0.attn.hook_z": without_heads([1])})
        for done, call in {
            "saved": lambda: changed.save_pretrained(tmp_path / "out"),
            "exported": lambda: gc.save_gguf(changed, tmp_path / "out"),
            "verified": lambda: verify(changed, name="nano-gpt2"),
        }.items():
            with pytest.raises(ValueError, match=rf"a changed model cannot be {done} \(without head 1 of layer 0\)"):
                call()
        assert not (tmp_path / "out").exists()

    def test_with_what_is_patched_no_text_is_written_scored_or_compared(self, story):
        place = "blocks.0.hook_mlp_out"
        source = story.model.trace(story.encode("Once upon a time"))[place]
        changed = story.changed({place: patched(source, [1])})
        assert changed.model.trace(story.encode("Once upon a time")).logits.shape[0] == len(source)
        for call in (
            lambda: changed.generate("Once upon a time"),
            lambda: changed.generate(["Once", "upon a time"]),
            lambda: [*changed.stream("Once upon a time", draft="repetitions")],
            lambda: changed.score("Once upon a time"),
            lambda: gc.compare("Once upon a time", {"a": story, "b": changed}),
            lambda: gc.compare_text("Once upon a time", {"a": story, "b": changed}),
        ):
            with pytest.raises(ValueError, match="no text can be written or scored with this change"):
                call()

    def test_what_a_function_changes_is_not_kept_in_a_folder_and_a_head_left_out_is(self, story, tmp_path):
        path = lambada(tmp_path)
        with pytest.raises(ValueError, match="an evaluation of a model that a function changes cannot be kept"):
            evaluate(story.changed({"hook_embed": np.negative}), "lambada", path, folder=tmp_path / "out")
        changed = story.changed({"blocks.0.attn.hook_z": without_heads([1])})
        found = evaluate(changed, "lambada", path, folder=tmp_path / "out")
        assert found.model["changes"] == ["without head 1 of layer 0"]
        assert found.model["sha256"] != evaluate(story, "lambada", path).model["sha256"]
        assert "changes" not in evaluate(story, "lambada", path).model
        with pytest.raises(ValueError, match="another"):
            evaluate(story, "lambada", path, folder=tmp_path / "out")


OF_TRANSFORMERS = {
    "gpt2": ({"n_layer": 3, "n_head": 4, "n_embd": 24, "n_positions": 64, "vocab_size": 290}, "attn.c_proj"),
    "gpt_neo": (
        {"num_layers": 4, "num_heads": 4, "hidden_size": 24, "max_position_embeddings": 64, "vocab_size": 290,
         "window_size": 5, "attention_types": [[["global", "local"], 2]]},
        "attn.attention.out_proj",
    ),
    "opt": (
        {"num_hidden_layers": 3, "num_attention_heads": 4, "hidden_size": 24, "ffn_dim": 96, "vocab_size": 290,
         "max_position_embeddings": 64},
        "self_attn.out_proj",
    ),
}  # fmt: skip


@pytest.mark.reference
@pytest.mark.parametrize("model_type", OF_TRANSFORMERS)
def test_heads_left_out_are_those_whose_output_transformers_sets_to_0(
    torch, transformers, tokenizer, tmp_path, model_type
):
    torch.manual_seed(0)
    shape, projection = OF_TRANSFORMERS[model_type]
    reference = random_reference(torch, transformers, model_type, shape).to(torch.float64)
    reference.save_pretrained(tmp_path)
    left_out = {1: [2], 2: [0, 3]}  # in a banded layer of GPT-Neo, and in a dense one

    def without(heads):
        def hook(module, inputs):
            by_head = inputs[0].clone().unflatten(-1, (4, 6))
            by_head[..., heads, :] = 0
            return (by_head.flatten(-2), *inputs[1:])

        return hook

    for layer, heads in left_out.items():
        modules = [module for name, module in reference.named_modules() if name.endswith(f".{layer}.{projection}")]
        (module,) = modules
        module.register_forward_pre_hook(without(heads))
    model = gc.GPT.from_pretrained(tmp_path, dtype=np.float64)
    changed = gc.LanguageModel(model, tokenizer, end_ids=()).changed(
        {f"blocks.{layer}.attn.hook_z": without_heads(heads) for layer, heads in left_out.items()}
    )
    ids = changed.prompt_ids(PROMPT)
    with torch.no_grad(), gpt_neo_scores_in_float64(torch):
        written = reference.generate(
            torch.tensor([ids]), max_new_tokens=40, do_sample=False, pad_token_id=0, eos_token_id=None
        )[0]
        logits = reference(written[None]).logits[0].numpy()
    found = changed.generate(PROMPT, max_new_tokens=40)
    assert ids + found.ids == written.tolist()
    np.testing.assert_allclose(
        found.logprobs, log_softmax64(logits)[range(len(ids) - 1, len(written) - 1), found.ids], atol=1e-6
    )
    cache = changed.model.new_cache()
    pieces = [changed.model(written[start : start + 7].tolist(), cache) for start in range(0, len(written), 7)]
    np.testing.assert_allclose(np.concatenate(pieces), logits, rtol=0, atol=1e-6)
    assert np.abs(model(written.numpy()) - logits).max() > 1e-2
