import pytest
from support.published_tasks import completions, content, lambada, prepared, wikitext, winogrande

from gptcompare.evaluation import Settings, task_named


class TestSettings:
    @pytest.mark.parametrize("name", ["limit", "shots", "stride", "beams", "seed"])
    def test_what_is_no_integer_or_too_small_is_refused(self, name):
        with pytest.raises(TypeError, match=f"{name} must be an integer"):
            Settings(**{name: 1.5})
        with pytest.raises(ValueError, match=f"{name} must be at least"):
            Settings(**{name: -1})

    @pytest.mark.parametrize(
        ("task", "choice"), [("lambada", "stride"), ("lambada", "beams"), ("text", "shots"), ("wikitext-2", "beams")]
    )
    def test_a_choice_that_a_task_does_not_have_is_refused(self, task, choice):
        with pytest.raises(ValueError, match=f"{task} has no {choice}: leave it out"):
            task_named(task).check(Settings(**{choice: 2}))

    def test_what_is_not_chosen_is_the_tasks_own(self, story):
        assert task_named("lambada").decided(Settings(), story) == Settings(shots=0)
        assert task_named("text").decided(Settings(), story) == Settings(stride=story.config.n_ctx)
        assert task_named("reversed-words").decided(Settings(shots=2), story) == Settings(shots=2, beams=4)


class TestQuestions:
    def test_without_shots_items_are_as_they_are_read(self, story, tmp_path):
        path = lambada(tmp_path)
        assert prepared(story, "lambada", path).items == task_named("lambada").read(content(path))

    def test_shots_are_others_of_the_file_with_their_answers_in_front(self, story, tmp_path):
        path = lambada(tmp_path, n=7)
        items = task_named("lambada").read(content(path))
        solved = [item.context + item.answer for item in items]
        for number, item in enumerate(prepared(story, "lambada", path, shots=3).items):
            *shown, asked = item.context.split("\n\n")
            assert asked == items[number].context
            assert item.answer == items[number].answer
            assert len(set(shown)) == 3
            assert set(shown) <= set(solved) - {solved[number]}

    def test_which_they_are_depends_on_the_seed_and_the_item_alone(self, story, tmp_path):
        path = lambada(tmp_path)
        first = prepared(story, "lambada", path, shots=2).items
        assert prepared(story, "lambada", path, shots=2, limit=5).items == first[:5]
        assert prepared(story, "lambada", path, shots=2, seed=1).items != first

    def test_every_other_item_is_drawn_at_times(self, story, tmp_path):
        path = lambada(tmp_path, n=4)
        solved = [item.context + item.answer for item in task_named("lambada").read(content(path))]
        drawn = {prepared(story, "lambada", path, shots=1, seed=seed).items[2].context for seed in range(60)}
        assert {context.split("\n\n")[0] for context in drawn} == {solved[0], solved[1], solved[3]}

    def test_an_equal_item_does_not_give_the_answer_away(self, story, tmp_path):
        pairs = [("Q: 1 + 1?\nA:", " 2"), ("Q: 1 + 2?\nA:", " 3"), ("Q: 1 + 1?\nA:", " 2"), ("Q: 2 + 2?\nA:", " 4")]
        path = completions(tmp_path, "two_digit_addition.jsonl", pairs)
        for seed in range(5):
            for item in prepared(story, "two-digit-addition", path, shots=2, seed=seed).items:
                question = item.context[item.context.rindex("Q:") :]
                assert item.context.count(question) == 1
        with pytest.raises(ValueError, match="has 4 items: cannot draw 3 besides the one asked"):
            prepared(story, "two-digit-addition", path, shots=3)

    def test_all_answers_of_an_item_stand_behind_the_same_shots(self, story, tmp_path):
        for item in prepared(story, "winogrande", winogrande(tmp_path), shots=2).items:
            (first, _), (second, _) = item.pairs
            assert first.split("\n\n")[:-1] == second.split("\n\n")[:-1]
            assert first != second

    def test_there_must_be_enough_others(self, story, tmp_path):
        with pytest.raises(ValueError, match="lambada has 4 items: cannot draw 4 besides the one asked"):
            prepared(story, "lambada", lambada(tmp_path, n=4), shots=4)


class TestTexts:
    def test_every_token_is_predicted_once_behind_the_end_of_a_text(self, story, tmp_path):
        path = tmp_path / "text.txt"
        path.write_text("Once upon a time there was a king. " * 40)
        items = prepared(story, "text", path, stride=100).items
        assert items[0].context == (story.tokenizer.eot_id,)
        ids = [id_ for item in items for id_ in item.predicted]
        assert story.tokenizer.decode(ids) == path.read_text()
        n_ctx = story.config.n_ctx
        assert all(len(item.context) + len(item.predicted) - 1 == n_ctx for item in items[1:])
        assert [len(item.predicted) for item in items[:2]] == [n_ctx, 100]

    def test_each_document_begins_anew_and_counts_as_it_is_published(self, story, tmp_path):
        path = wikitext(tmp_path)
        found = prepared(story, "wikitext-2", path, limit=3)
        assert [item.context for item in found.items] == [(story.tokenizer.eot_id,)] * 3
        assert [item.document for item in found.items] == [0, 1, 2]
        whole = prepared(story, "wikitext-2", path).protocol
        assert found.protocol.n_bytes == whole.n_bytes[:3]
        assert sum(whole.n_bytes) == pytest.approx(path.stat().st_size, abs=10)

    def test_an_empty_text_has_nothing_to_predict(self, story, tmp_path):
        (tmp_path / "empty.txt").write_bytes(b"")
        with pytest.raises(ValueError, match=r"no token to predict in .*empty\.txt"):
            prepared(story, "text", tmp_path / "empty.txt")
