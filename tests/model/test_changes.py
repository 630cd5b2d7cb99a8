"""Models with hooks of their own: the hook is in everything they compute, and nothing leaves without it."""

import numpy as np
import pytest
from support.changes import CHANGES, CONFIGS, IDS, random_model, read_on

import gptcompare as gc
from gptcompare.inspection import changing, contributions, logit_lens, patched, without_heads
from gptcompare.model.changes import in_words
from gptcompare.model.ops import log_softmax
from gptcompare.training import Recipe, loss_and_grads, train

Z = "blocks.1.attn.hook_z"


def louder(name, array):
    return array * 1.5 if name.endswith("mlp_out") else array


@pytest.fixture(params=CONFIGS)
def model(request):
    return random_model(request.param)


class TestChanged:
    @pytest.mark.parametrize("change", CHANGES)
    def test_all_that_it_computes_is_what_the_model_computes_with_the_hook(self, model, change):
        hook = changing(CHANGES[change])
        changed = model.changed(CHANGES[change])
        expected = model(IDS, hook=hook)
        assert (changed(IDS) == expected).all()
        assert (changed(IDS, last_only=True) == model(IDS, last_only=True, hook=hook)).all()
        np.testing.assert_allclose(changed.unembed(changed.residual_stream(IDS)), expected, rtol=0, atol=1e-9)
        np.testing.assert_allclose(read_on(changed, IDS, None, [28, 5, 3]), expected, rtol=0, atol=1e-9)
        for n_blocks, stream in enumerate(changed.trace(IDS).residual_stream()):
            np.testing.assert_allclose(changed.residual_stream(IDS, n_blocks=n_blocks), stream, rtol=0, atol=1e-12)

    def test_the_model_itself_stays_as_it_is_and_shares_its_parameters(self, model):
        before = model(IDS)
        changed = model.changed(louder)
        assert (model(IDS) == before).all()
        assert not np.allclose(changed(IDS), before)
        assert all(value is changed.parameters()[name] for name, value in model.parameters().items())
        assert (model.hooks, changed.hooks) == ((), (louder,))

    def test_a_second_hook_gets_what_the_first_returns_and_a_call_s_what_both_do(self, model):
        place, seen = "blocks.0.hook_mlp_out", {}

        def see(name, array):
            seen[name] = array.copy()
            return array

        twice = model.changed({place: lambda array: array + 1}).changed({place: lambda array: array * 2})
        twice(IDS, hook=see)
        expected = (model.trace(IDS)[place] + 1) * 2
        np.testing.assert_allclose(seen[place][0], expected, rtol=0, atol=1e-12)
        np.testing.assert_allclose(twice.trace(IDS)[place], expected, rtol=0, atol=1e-12)

    def test_a_trace_of_it_holds_what_it_computes(self, model):
        changed = model.changed({Z: without_heads([1])}).changed({"ln_final.hook_normalized": np.negative})
        found = changed.trace(IDS)
        assert (found[Z][:, 1] == 0).all()
        assert (found.logits == changed(IDS)).all()
        np.testing.assert_allclose(logit_lens(found)[-1], log_softmax(changed(IDS)), rtol=0, atol=1e-9)

    @pytest.mark.parametrize("shape", [(12,), (5, 12), (2, 5, 12), (2, 4, 5, 12)])
    def test_vectors_of_any_axes_come_to_the_last_place_as_a_batch(self, shape):
        seen = []

        def see(name, array):
            seen.append(array.shape)
            return array * 2

        model, x = random_model("dense"), np.random.default_rng(0).normal(size=shape)
        expected = model.unembed(x.reshape(1, -1, 12), see).reshape(*shape[:-1], 50)
        np.testing.assert_allclose(model.changed(see).unembed(x), expected, rtol=0, atol=1e-12)
        assert seen[1] == {1: (1, 1, 12), 2: (1, 5, 12), 3: (2, 5, 12), 4: (8, 5, 12)}[len(shape)]

    @pytest.mark.parametrize("change", CHANGES)
    def test_contributions_sum_to_its_logits(self, model, change):
        changed = model.changed(CHANGES[change])
        found = changed.trace(IDS)
        parts = contributions(found, 7, 3)
        assert sum(parts.values()) == pytest.approx(changed(IDS)[7, 3], abs=1e-9)
        if "head left out" in change or "keys" in change or "MLPs" in change:  # the parts have it all
            assert abs(parts["changes"]) < 1e-9
        elif "added" in change or "ends" in change:
            assert abs(parts["changes"]) > 1e-3
        assert "changes" not in contributions(model.trace(IDS), 7, 3)

    def test_a_subclass_stays_one(self):
        class Own(gc.GPT):
            pass

        plain = random_model("dense")
        own = Own(plain.config, plain.parameters(), dtype=np.float64)
        assert type(own.changed(louder)) is Own


class TestRefused:
    @pytest.mark.parametrize(
        ("changes", "error", "words"),
        [
            (
                {"blocks.3.attn.hook_z": np.negative},
                ValueError,
                "'blocks.3.attn.hook_z': did you mean",
            ),
            ({"blocks.1.attn.hook_zz": np.negative}, ValueError, r"no place is called 'blocks\.1\.attn\.hook_zz'"),
            ({"hook_z": np.negative}, ValueError, "no place is called 'hook_z'"),
            ({Z: without_heads([4])}, ValueError, r"there is no head 4: there are 0 \.\.\. 3"),
            ({"blocks.1.hook_mlp_out": without_heads([1])}, ValueError, "no heads can be left out"),
            ({Z: 3}, TypeError, r"the change at blocks\.1\.attn\.hook_z must be a function of an array, got 3"),
            (without_heads([1]), TypeError, "a change needs a place: give a dict, such as"),
            ({3: np.negative}, TypeError, "a place must be a str, got 3"),
            (3, TypeError, "changes must be a hook or a dict of place -> function, got 3"),
            (None, TypeError, "changes must be a hook or a dict of place -> function, got None"),
        ],
    )
    def test_what_does_not_fit_is_refused_before_anything_is_read(self, changes, error, words):
        with pytest.raises(error, match=words):
            random_model("dense").changed(changes)

    def test_what_is_patched_reads_whole_sequences_only(self):
        model = random_model("dense")
        place = "blocks.1.hook_mlp_out"
        changed = model.changed({place: patched(model.trace(IDS)[place] + 1)})
        assert changed(IDS).shape == changed.trace(IDS).logits.shape == (len(IDS), 50)
        with pytest.raises(ValueError, match="no text can be written or scored with this change"):
            changed(IDS, changed.new_cache())

    def test_what_would_lose_the_hook_is_refused(self, tmp_path):
        changed = random_model("dense").changed({Z: without_heads([2])}).changed(louder)
        changes = r"\(without head 2 of layer 1; changed by louder\): give the model that it was made from"
        recipe = Recipe(n_steps=1, batch=1, context=8, warmup_steps=0)
        for done, call in {
            "saved": lambda: changed.save_pretrained(tmp_path / "folder"),
            "trained": lambda: loss_and_grads(changed, IDS[:-1], IDS[1:]),
        }.items():
            with pytest.raises(ValueError, match=f"a changed model cannot be {done} {changes}"):
                call()
        with pytest.raises(ValueError, match=f"a changed model cannot be trained {changes}"):
            train(changed, IDS, recipe, out=tmp_path / "folder")
        assert not (tmp_path / "folder").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({Z: without_heads([2])}, "without head 2 of layer 1"),
        ({Z: without_heads([0, 2])}, "without heads 0 and 2 of layer 1"),
        ({"blocks.0.attn.hook_q": without_heads([3])}, "without head 3 of layer 0 at attn.hook_q"),
        ({"hook_embed": patched(np.zeros(12)), Z: np.negative}, f"hook_embed patched; {Z} changed by negative"),
        ({"hook_embed": lambda array: array}, "hook_embed changed by a function"),
    ],
)
def test_a_change_in_words(changes, words):
    assert in_words(changing(changes)) == words
    assert in_words(louder) == "changed by louder"
