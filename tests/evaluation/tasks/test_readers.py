import json
import re

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from support.amounts import examples
from support.harness import harness_requests, harness_task

from gptcompare.evaluation.tasks.data_files import Content
from gptcompare.evaluation.tasks.items import Document, Item
from gptcompare.evaluation.tasks.readers import (
    read_cbt,
    read_completions,
    read_hellaswag,
    read_lambada,
    read_lambada_cloze,
    read_piqa,
    read_plain_hellaswag,
    read_wikitext,
    read_winogrande,
)

HELLASWAG = [
    {
        "activity_label": "Baking bread", "ctx_a": "A man kneads [step] the dough.", "ctx_b": "the oven",
        "ctx": "A man kneads.", "endings": ["is hot.", "sings [title] a song.", "flies  away.", "[substeps] sleeps."],
        "label": 2,
    },
    {
        "activity_label": "Gardening", "ctx_a": "[header] How to plant a tree [title] Dig a hole.", "ctx_b": "",
        "ctx": "of no use there", "endings": ["Water it.", "Burn it."], "label": "0",
    },
]  # fmt: skip
PIQA = [
    {"goal": "To keep soup warm,", "sol1": "put a lid on it.", "sol2": "put it into the snow."},
    {"goal": "peel an orange", "sol1": "with a lamp", "sol2": "with 'your' \"fingers\""},
]
WINOGRANDE = [
    {"sentence": "The cup fell off the table because _ was tilted.", "option1": "the cup", "option2": "the table",
     "answer": "2"},
    {"sentence": "_ ate _ .", "option1": "Ann", "option2": "Bob", "answer": "1"},
]  # fmt: skip
LAMBADA = [{"text": "She gave it to Tom, and nobody was as glad\nas Tom"}, {"text": "two  spaces"}, {"text": "one"}]
COMPLETIONS = [
    {"context": "\n\nQ: What is 2 plus 3?\n\nA:", "completion": " 5"},
    {"context": "", "completion": "y"},
]
CANDIDATES = ["Alice", "Anna", "Bertha", "Carl", "Dora", "Emil", "Fritz", "Gerda", "Hans", "Ida"]


def jsonl(objects, name="dev.jsonl", **how):
    return Content(name, "".join(json.dumps(one, **how) + "\n" for one in objects).encode())


def labels_of(*labels):
    return Content("dev-labels.lst", "".join(f"{label}\n" for label in labels).encode())


def cbt(*questions, sentences=("`` Who is there ? ''", "asked the fox .")):
    """Items whose first sentences are given, and those behind them all alike."""
    parts = []
    for question in questions:
        all_sentences = [*sentences, *["It rained ."] * (20 - len(sentences)), question]
        parts.append("".join(f"{n} {text}\n" for n, text in enumerate(all_sentences, 1)))
    return Content("cbtest.txt", "\n".join(parts).encode())


def question(text, answer="Gerda", candidates=CANDIDATES):
    return f"{text}\t{answer}\t\t{'|'.join(candidates)}"


class TestEachFormat:
    def test_lambada_asks_for_the_last_word(self):
        assert read_lambada([jsonl(LAMBADA)]) == [
            Item((("She gave it to Tom, and nobody was as glad\nas", " Tom"),)),
            Item((("two ", " spaces"),)),
            Item((("", " one"),)),
        ]
        cloze = read_lambada_cloze([jsonl(LAMBADA)])[0]
        assert cloze.pairs == (("She gave it to Tom, and nobody was as glad\nas ____. ->", " Tom"),)

    def test_hellaswag_has_an_activity_a_context_and_endings_without_the_marks_of_wikihow(self):
        first, second = read_hellaswag([jsonl(HELLASWAG)])
        assert {context for context, _ in first.pairs} == {"Baking bread: A man kneads the dough. The oven"}
        assert [ending for _, ending in first.pairs] == [" is hot.", " sings. a song.", " flies away.", "  sleeps."]
        assert first.right == 2
        assert second.context == "Gardening: How to plant a tree. Dig a hole."
        assert second.answer == " Water it."

    def test_plain_hellaswag_is_the_published_context_and_each_ending_after_a_space(self):
        first, _ = read_plain_hellaswag([jsonl(HELLASWAG)])
        assert first.pairs == tuple(("A man kneads.", f" {ending}") for ending in HELLASWAG[0]["endings"])
        assert first.right == 2

    def test_piqa_is_a_question_with_two_answers_and_its_label_beside_it(self):
        first, second = read_piqa([jsonl(PIQA), labels_of(0, 1)])
        assert first.context == "Question: To keep soup warm,\nAnswer:"
        assert (first.answer, second.answer) == (" put a lid on it.", " with 'your' \"fingers\"")

    def test_winogrande_has_two_contexts_and_one_continuation(self):
        first, second = read_winogrande([jsonl(WINOGRANDE)])
        before = "The cup fell off the table because"
        assert first.pairs == ((f"{before} the cup", " was tilted."), (f"{before} the table", " was tilted."))
        assert (first.right, second.right) == (1, 0)
        assert second.pairs == (("Ann", " ate _ ."), ("Bob", " ate _ ."))

    def test_completions_stay_as_they_are(self):
        read = read_completions([jsonl(COMPLETIONS)])
        assert [(item.context, item.answer) for item in read] == [tuple(one.values()) for one in COMPLETIONS]


class TestCBT:
    def test_a_candidate_and_the_rest_of_its_sentence_stand_behind_the_passage(self):
        questions = [question("`` I do n't know , '' said XXXXX , and slept ."), question("XXXXX ran .")]
        first, second = read_cbt([cbt(*questions)])
        passage = '"Who is there?" asked the fox.' + " It rained." * 18
        assert first.pairs[0] == (passage + ' "I don\'t know," said', " Alice, and slept.")
        assert [continuation for _, continuation in first.pairs] == [f" {name}, and slept." for name in CANDIDATES]
        assert first.right == 7
        assert second.pairs[0] == (passage, " Alice ran.")

    def test_behind_a_quotation_mark_there_is_no_space(self):
        (item,) = read_cbt([cbt(question("`` XXXXX ! '' he cried ."))])
        assert item.context.endswith(' It rained. "')
        assert item.answer == 'Gerda!" he cried.'

    def test_a_candidate_that_is_an_ending_follows_its_word_directly(self):
        candidates = ["'s", *CANDIDATES[1:]]
        (item,) = read_cbt([cbt(question("He XXXXX right .", "'s", candidates))])
        assert (item.context[-2:], item.answer) == ("He", "'s right.")
        assert item.pairs[1][1] == " Anna right."

    def test_a_word_that_is_missing_twice_is_filled_in_twice(self):
        (item,) = read_cbt([cbt(question("`` XXXXX ! XXXXX ! ''"))])
        assert item.answer == 'Gerda! Gerda!"'

    def test_a_part_of_a_word_stays_one(self):
        (item,) = read_cbt([cbt(question("the mini-XXXXX-like fox"))])
        assert (item.context[-10:], item.answer) == (" the mini-", "Gerda-like fox")

    @pytest.mark.parametrize("n_tabs", [1, 2, 3])
    def test_any_number_of_tabs_stands_before_the_candidates(self, n_tabs):
        line = "XXXXX ran .\tGerda" + "\t" * n_tabs + "|".join(CANDIDATES)
        assert read_cbt([cbt(line)])[0].answer == " Gerda ran."

    @pytest.mark.parametrize("place", [0, 4, 9])
    def test_a_candidate_may_be_the_mark_that_is_between_candidates(self, place):
        candidates = [*CANDIDATES[:place], "|", *CANDIDATES[place + 1 :]]
        (item,) = read_cbt([cbt(question("XXXXX ran .", candidates[3], candidates))])
        assert [continuation for _, continuation in item.pairs] == [f" {word} ran." for word in candidates]
        (item,) = read_cbt([cbt(question("XXXXX ran .", "|", candidates))])
        assert item.right == place

    def test_white_space_in_sentences_and_between_items_changes_nothing(self):
        lines = cbt(question("XXXXX ran .")).content
        spaced = lines.replace(b" rained", b"  rained ").replace(b"\n", b" \n\n\n")
        assert read_cbt([Content("", spaced)]) == read_cbt([Content("", lines)])

    @pytest.mark.parametrize(
        ("lines", "said"),
        [
            (
                lambda text: text.replace("\n7 ", "\n8 "),
                r"line 7: expected sentence 7 of 21, beginning with that number",
            ),
            (lambda text: text.replace("\n7 It rained .", ""), r"line 7: expected sentence 7 of 21"),
            (lambda text: text[: text.index("\n12 ")], r"line 11: the file ends before sentence 21"),
            (lambda text: text.replace("XXXXX", "YYYYY"), r"line 21: expected a question with XXXXX in it, a tab"),
            (lambda text: text.replace("\t", " "), r"line 21: expected a question with XXXXX in it, a tab, the"),
            (
                lambda text: text.replace("Carl|", ""),
                r'line 21: expected 10 candidates with "\|" between them, one',
            ),
            (lambda text: text.replace("Carl|", "Carl|Carla|"), r"line 21: expected 10 candidates"),
            (
                lambda text: text.replace("|Gerda", "|Greta"),
                r"line 21: expected 10 candidates .* one of them the answer",
            ),
            (lambda text: "hello\n" + text, r"line 1: expected sentence 1 of 21"),
        ],
    )
    def test_what_is_no_item_is_refused_with_its_line(self, lines, said):
        content = lines(cbt(question("XXXXX ran .")).content.decode()).encode()
        with pytest.raises(ValueError, match=f"^cbtest.txt, {said}"):
            read_cbt([Content("cbtest.txt", content)])


# The published lines begin and end with a space.
@given(st.text("[] \nab", max_size=30))
def test_the_marks_of_wikihow_are_what_a_bracket_closes_in_its_line(text):
    [item] = read_hellaswag([jsonl([{**HELLASWAG[0], "endings": [text], "label": 0}])])
    assert item.answer == " " + re.sub(r"\[.*?\]", "", text.strip()).replace("  ", " ")


def test_an_ending_of_brackets_that_nothing_closes_stays_as_it_is():
    brackets = "[" * 100_000  # minutes, if each bracket looked for its end
    [item] = read_hellaswag([jsonl([{**HELLASWAG[0], "endings": [brackets], "label": 0}])])
    assert item.answer == f" {brackets}"


PAGES = "\n".join(
    [
        " ",
        " = The Fox = ",
        " ",
        " The fox 's den is 3 @.@ 5 m wide . ",
        " ",
        " = = Food = = ",
        " ",
        ' It eats " mice " ( and birds ) . ',
        " ",
        " = = = Mice = = = ",
        " ",
        " a = b ",
        " = Owls = ",
        " ",
        " Owls fly . ",
        "",
    ]
)


class TestWikiText:
    def test_a_page_begins_at_a_heading_of_the_first_level_and_at_no_other(self):
        found = read_wikitext([Content("wiki", PAGES.encode())])
        begin = PAGES.index(" = Owls")
        fox, owls = PAGES[PAGES.index(" = The Fox") : begin - 1], PAGES[begin:]
        assert [(one.n_words, one.n_bytes) for one in found] == [
            (len(re.split(r"\s+", page)), len(page.encode())) for page in (fox, owls)
        ]
        assert '\nThe fox\'s den is 3.5 m wide.\n\n== Food ==\n\nIt eats "mice" (and birds).\n' in found[0].text
        assert found[1].text.startswith(" = Owls =")

    @pytest.mark.parametrize(
        ("line", "is_title"),
        [
            (" = A = ", True), ("= A =", True), (" = E = mc2 = ", True), (" = A = B = ", True), (" = = A = = ", False),
            (" = = = A = = = ", False), (" = = = = A = = = = ", False), (" = A", False), (" A = ", False),
            (" = ", False), (" = = ", False), (" == A == ", False), ("x = A = ", False), (" = A = = ", False),
            (" =A= ", False),
        ],
    )  # fmt: skip
    def test_what_a_title_is(self, line, is_title):
        found = read_wikitext([Content("wiki", f"text\n{line}\ntext\n".encode())])
        assert len(found) == 1 + is_title

    @given(
        st.lists(st.text("= a\t", max_size=8) | st.sampled_from([" = A = ", " = = A = = ", "", " x . "]), max_size=12)
    )
    def test_pages_are_those_of_the_published_data_set(self, lines):
        content = Content("wiki", "\n".join(lines).encode())
        if not any(line.strip() for line in lines):
            with pytest.raises(ValueError, match=r"^wiki: there is no text in it$"):
                read_wikitext([content])
            return
        counted = [(one.n_words, one.n_bytes) for one in read_wikitext([content])]
        expected = [page for page in published_pages(lines) if page.strip()]
        assert counted == [(len(re.split(r"\s+", page)), len(page.encode())) for page in expected]


def published_pages(lines):
    """The rule of EleutherAI/wikitext_document_level: a title is what keeps a lone mark at both ends."""
    page = []
    for line in lines:
        joined = line.replace("= = =", "===").replace("= =", "==").strip()
        if joined.startswith("= ") and joined.endswith(" ="):
            yield "\n".join(page)
            page = []
        page.append(line)
    yield "\n".join(page)


FILES = {
    "lambada": (read_lambada, [jsonl(LAMBADA)]),
    "cloze": (read_lambada_cloze, [jsonl(LAMBADA)]),
    "hellaswag": (read_hellaswag, [jsonl(HELLASWAG)]),
    "plain hellaswag": (read_plain_hellaswag, [jsonl(HELLASWAG)]),
    "piqa": (read_piqa, [jsonl(PIQA), labels_of(0, 1)]),
    "winogrande": (read_winogrande, [jsonl(WINOGRANDE)]),
    "completions": (read_completions, [jsonl(COMPLETIONS)]),
    "cbt": (read_cbt, [cbt(question("XXXXX ran ."))]),
    "wikitext": (read_wikitext, [Content("wiki", PAGES.encode())]),
}


@pytest.mark.parametrize("name", FILES)
class TestAnyFormat:
    @pytest.mark.parametrize("ends", [b"\r\n", b"\n"])
    @pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
    def test_a_byte_order_mark_and_the_line_ends_of_windows_change_nothing(self, name, ends, mark):
        read, contents = FILES[name]
        other = [Content(one.name, mark + one.content.replace(b"\n", ends)) for one in contents]
        assert read(other) == read(contents)

    def test_every_item_says_its_line_and_is_no_other_for_it(self, name):
        read, contents = FILES[name]
        later = [Content(one.name, one.content + one.content) for one in contents]
        items = read(later)
        assert len(items) == 2 * len(read(contents))
        if name == "wikitext":  # whose items are pages
            return
        lines = [int(re.fullmatch(rf"{re.escape(contents[0].name)}, line (\d+)", item.place)[1]) for item in items]
        assert lines == sorted({*lines})
        assert items[: len(items) // 2] == items[len(items) // 2 :]
        assert [repr(item) for item in items[: len(items) // 2]] == [repr(item) for item in items[len(items) // 2 :]]

    def test_the_last_line_needs_no_end(self, name):
        read, contents = FILES[name]
        cut = [Content(one.name, one.content.removesuffix(b"\n")) for one in contents]
        if name != "wikitext":  # there the end counts as a byte
            assert read(cut) == read(contents)
        assert len(read(cut)) == len(read(contents))

    @pytest.mark.parametrize("content", [b"", b"\n \n\r\n", b"\xef\xbb\xbf"])
    def test_an_empty_file_is_refused(self, name, content):
        read, contents = FILES[name]
        for n, one in enumerate(contents):
            empty = [*contents[:n], Content(one.name, content), *contents[n + 1 :]]
            with pytest.raises(ValueError, match=f"^{re.escape(one.name)}: there is no (item|text) in it$"):
                read(empty)

    @pytest.mark.parametrize("line", [b"\xff", b"caf\xe9", b"\xed\xa0\x80"])
    def test_what_is_no_utf_8_is_refused_with_its_line(self, name, line):
        read, contents = FILES[name]
        for n, one in enumerate(contents):
            damaged = Content(one.name, one.content.replace(b"\n", b"\n" + line + b"\n", 1))
            with pytest.raises(ValueError, match=f"^{re.escape(one.name)}, line 2: not UTF-8 text"):
                read([*contents[:n], damaged, *contents[n + 1 :]])

    @settings(max_examples=examples(60), deadline=None)
    @given(data=st.data())
    def test_any_damage_is_an_error_of_value_that_names_the_file_or_none(self, name, data):
        read, contents = FILES[name]
        n = data.draw(st.integers(0, len(contents) - 1))
        content = bytearray(contents[n].content)
        for _ in range(data.draw(st.integers(1, 4))):
            where = data.draw(st.integers(0, len(content)))
            content[where : where + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=3))
        damaged = [*contents[:n], Content(contents[n].name, bytes(content)), *contents[n + 1 :]]
        try:
            assert all(isinstance(one, Item | Document) for one in read(damaged))
        except ValueError as error:
            named = "|".join(re.escape(one.name) for one in contents)
            assert re.match(rf"({named})(, line \d+)?: ", str(error))  # noqa: PT017


OBJECTS = {
    "lambada": (LAMBADA[0], ["text"]),
    "hellaswag": (HELLASWAG[0], ["activity_label", "ctx_a", "ctx_b", "endings", "label"]),
    "piqa": (PIQA[0], ["goal", "sol1", "sol2"]),
    "winogrande": (WINOGRANDE[0], ["sentence", "option1", "option2", "answer"]),
    "completions": (COMPLETIONS[0], ["context", "completion"]),
}


WRONG = {
    "label": [None, True, [], {}, -1, 4, 1.0, "", "x", "4", " 1"],
    "answer": [None, True, [], 0, 3, 1.0, "", "0", "3"],
    "endings": [None, True, [], {}, "text", [3], ["text", None], ["\ud800"]],
    "sentence": [None, 3, [], "_ \ud800", "There is no gap."],
}


def read_second_line(name, second):
    """Lines of which the second one may be wrong."""
    read, contents = FILES[name]
    lines = Content("dev.jsonl", jsonl([OBJECTS[name][0]]).content + second + b"\n")
    return read([lines, *contents[1:]])


@pytest.mark.parametrize("name", OBJECTS)
class TestLinesOfJSON:
    @pytest.mark.parametrize("line", [b"{", b"null", b"3", b'"text"', b"[]", b"{} {}", b"[" * 10**5, b"{'a': 1}"])
    def test_what_is_no_object_is_refused_with_its_line(self, name, line):
        with pytest.raises(ValueError, match=r"^dev\.jsonl, line 2: not (JSON|a JSON object)"):
            read_second_line(name, line)

    def test_each_field_must_be_there_and_be_what_it_should(self, name):
        good, fields = OBJECTS[name]
        for field in fields:
            wrong = [{**good, field: value} for value in WRONG.get(field, [None, 3, True, [], {}, "\ud800"])]
            missing = {key: value for key, value in good.items() if key != field}
            for one in (*wrong, missing):
                with pytest.raises(ValueError, match=rf"^dev\.jsonl, line 2: expected .*\b{field}\b"):
                    read_second_line(name, json.dumps(one).encode())

    def test_characters_that_other_programs_take_for_line_ends_stay_in_their_line(self, name):
        good, fields = OBJECTS[name]
        odd = {**good, fields[0]: "a \u2028 \u0085 \x0b _ b"}
        content = Content("dev.jsonl", json.dumps(odd, ensure_ascii=False).encode() + b"\n")
        read, contents = FILES[name]
        labels = [labels_of(0)] if len(contents) > 1 else []
        assert len(read([content, *labels])) == 1


class TestLabels:
    def test_a_label_too_few_or_too_many_is_told_with_the_line_that_has_none(self):
        with pytest.raises(
            ValueError, match=r"^dev\.jsonl, line 2: a question without a label: dev-labels\.lst has 1 "
        ):
            read_piqa([jsonl(PIQA), labels_of(0)])
        with pytest.raises(ValueError, match=r"^dev-labels\.lst, line 3: a label too many: dev\.jsonl has 2 questions"):
            read_piqa([jsonl(PIQA), labels_of(0, 1, 1)])

    @pytest.mark.parametrize("label", ["2", "-1", "x", "0 1", "1.0", "²"])
    def test_another_label_is_refused_with_its_line(self, label):
        with pytest.raises(ValueError, match=r"^dev-labels\.lst, line 2: expected one of 0, 1 as the label$"):
            read_piqa([jsonl(PIQA), labels_of(0, label)])


# Texts that a pattern could trip over.
PIECES = [
    "[title]",
    " [title]",
    "[",
    "]",
    "  ",
    " ",
    "\n",
    "_",
    "word",
    "É",
    "ß",
    "'",
    '"',
    "{{text}}",
    "\\n",
    "7",
    "𝛼",
    ".",
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=9).map("".join) | st.text(max_size=12)
DOCUMENTS = {
    "lambada": (st.fixed_dictionaries({"text": TEXTS}), "lambada/lambada_openai.yaml"),
    "cloze": (st.fixed_dictionaries({"text": TEXTS}), "lambada_cloze/lambada_openai_cloze.yaml"),
    "hellaswag": (
        st.fixed_dictionaries(
            {
                **dict.fromkeys(("activity_label", "ctx_a", "ctx_b"), TEXTS),
                "endings": st.lists(TEXTS, min_size=4, max_size=4),
                "label": st.integers(0, 3),
            }
        ),
        "hellaswag/hellaswag.yaml",
    ),
    "winogrande": (
        st.fixed_dictionaries(
            {
                "sentence": st.tuples(TEXTS, TEXTS).map("_".join),
                **dict.fromkeys(("option1", "option2"), TEXTS),
                "answer": st.sampled_from("12"),
            }
        ),
        "winogrande/default.yaml",
    ),
    "piqa": (
        st.fixed_dictionaries({**dict.fromkeys(("goal", "sol1", "sol2"), TEXTS), "label": st.integers(0, 1)}),
        "piqa/piqa.yaml",
    ),
}
WIKITEXT_PIECES = [
    "", "a", "s", "'", "' 3", "/' 3/", '"', "(", ")", "[", "]", "{", "}", "@-@", "@,@", "@.@", ":", ";", ".", "!", "?",
    ",", "=", "= =", "N", "'s", "°", "é",
]  # fmt: skip
# The harness looks at the first document, and does not take an empty text there.
FIRST = {
    "lambada": LAMBADA[0], "cloze": LAMBADA[0], "hellaswag": HELLASWAG[0], "winogrande": WINOGRANDE[0],
    "piqa": {**PIQA[0], "label": 1},
}  # fmt: skip
SLOW = settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.reference
@pytest.mark.filterwarnings("ignore")
class TestTheEvaluationHarness:
    @pytest.mark.parametrize("name", DOCUMENTS)
    @SLOW
    @given(data=st.data())
    def test_asks_the_same_and_takes_the_same_for_right(self, name, data):
        documents, file = DOCUMENTS[name]
        drawn = [FIRST[name], *data.draw(st.lists(documents, max_size=12))]
        labels = [labels_of(*(one["label"] for one in drawn))] if name == "piqa" else []
        items = FILES[name][0]([jsonl(drawn), *labels])
        # A text of digits is a number to the harness, which it then refuses: findings/harness_numbers.sh.
        assume(not any(context.isdigit() for item in items for context, _ in item.pairs))
        assert [(item.pairs, item.right) for item in items] == harness_requests(harness_task(file, drawn))

    @pytest.mark.parametrize("name", DOCUMENTS)
    def test_asks_the_same_of_the_examples(self, name):
        examples = {"lambada": LAMBADA, "cloze": LAMBADA, "hellaswag": HELLASWAG, "winogrande": WINOGRANDE}
        documents = examples.get(name, [{**one, "label": n} for n, one in enumerate(PIQA)])
        if name == "hellaswag":
            documents = [{**one, "label": str(one["label"])} for one in documents]
        read, contents = FILES[name]
        expected = harness_requests(harness_task(DOCUMENTS[name][1], documents))
        assert [(item.pairs, item.right) for item in read(contents)] == expected

    @SLOW
    @given(documents=st.lists(st.fixed_dictionaries({"context": TEXTS, "completion": TEXTS}), min_size=1, max_size=9))
    def test_has_the_same_completions(self, documents):
        task = harness_task("unscramble/reversed_words.yaml", documents)
        items = read_completions([jsonl(documents)])
        assert [item.context for item in items] == [task.fewshot_context(document, 0) for document in documents]
        for item, document in zip(items, documents, strict=True):
            if not item.answer.startswith("["):  # what the harness takes for a list of Python
                assert item.answer == task.doc_to_target(document)

    @SLOW
    @given(st.lists(st.lists(st.sampled_from(WIKITEXT_PIECES), max_size=12).map(" ".join), min_size=1, max_size=9))
    def test_reads_and_counts_the_same_page(self, lines):
        page = "\n".join(["x", *lines])
        task = harness_task("wikitext/wikitext.yaml", [{"page": page}])
        ((((text,),), _),) = harness_requests(task)
        metrics = task.config.process_results({"page": page}, (0.0,))
        found = read_wikitext([Content("wiki", page.encode())])
        if len(found) == 1:
            assert found == [Document(text, metrics["word_perplexity"][1], metrics["byte_perplexity"][1])]
