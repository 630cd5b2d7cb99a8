import pytest
from support.published_tasks import additions, completions, content, prepared

from gptcompare.evaluation import TASKS, Content, Document, Item, Writing, task_named
from gptcompare.evaluation.tasks.published import ARITHMETIC, SCRAMBLED, UNSCRAMBLE, read_scrambled, read_text
from gptcompare.presets import presets, published

TITLES = {result.task for name in presets() for result in published(name).results}
NOT_IN_THE_PAPERS = {"cbt-v", "cbt-p", "text", "six-digit-addition", "six-digit-subtraction", "sum-of-digits"}


class TestRegistry:
    def test_results_are_published_under_a_tasks_title(self):
        assert {name for name, task in TASKS.items() if task.title not in TITLES} == NOT_IN_THE_PAPERS

    def test_all_files_of_gpt3_are_tasks_under_their_names(self):
        files = {task.data.published.file for task in TASKS.values() if task.data}
        for stem in (*ARITHMETIC, *SCRAMBLED):
            assert any(file.startswith(f"data/{stem}.jsonl") for file in files)
            assert stem.replace("_", "-") in TASKS

    def test_an_unknown_name_is_refused_with_the_nearest(self):
        with pytest.raises(ValueError, match="unknown task 'hellaswagg': did you mean hellaswag"):
            task_named("hellaswagg")


class TestGpt3sFiles:
    def test_questions_follow_each_other_as_they_are_published(self, story, tmp_path):
        item = prepared(story, "two-digit-addition", additions(tmp_path), shots=1).items[0]
        assert item.context.count("\n\nQ: What is ") == 2
        assert item.context.endswith("\n\nQ: What is 0 plus 11?\n\nA:")
        assert item.answer == " 11"

    @pytest.mark.parametrize("instruction", ["", f"{UNSCRAMBLE}\n", f"{UNSCRAMBLE} "])
    @pytest.mark.parametrize(("context", "completion"), [("asinoc = ", "casino"), ("asinoc =", " casino")])
    def test_the_instruction_stands_once_in_front(self, story, tmp_path, instruction, context, completion):
        pairs = [(instruction + context, completion), (instruction + "yfrogg =", "froggy")]
        path = completions(tmp_path, "cycle_letters_in_word.jsonl", pairs)
        assert read_scrambled(content(path))[0] == Item((("asinoc =", " casino"),))
        item = prepared(story, "cycle-letters-in-word", path, shots=1).items[0]
        assert item.context == f"{UNSCRAMBLE}\nyfrogg = froggy\nasinoc ="

    def test_the_number_of_beams_is_the_papers_or_the_one_that_is_wanted(self, story, tmp_path):
        path = additions(tmp_path)
        assert prepared(story, "two-digit-addition", path).protocol == Writing(4)
        assert prepared(story, "two-digit-addition", path, beams=1).protocol == Writing(1)


class TestReadText:
    def test_a_byte_order_mark_is_not_of_the_text(self):
        assert read_text([Content("text.txt", b"\xef\xbb\xbfna\xc3\xafve")]) == [Document("naïve", 1, 6)]

    def test_a_text_must_be_utf_8(self, tmp_path):
        with pytest.raises(ValueError, match=r"latin\.txt: not UTF-8 text \(.* at byte 1\)"):
            read_text([Content("latin.txt", b"n\xefve")])
