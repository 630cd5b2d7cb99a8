"""Files of tasks in the formats in which they are published, made of alice.txt, with what is nasty in the real ones."""

import itertools
import json
import random
import re

from gptcompare.uses import log_likelihoods
from support.places import ALICE

TEXT = ALICE.read_text(encoding="utf-8")
WORDS = TEXT.split()
SENTENCES = [" ".join(found.split()) for found in re.findall(r"[A-Z][^.!?]+[.!?]'?", TEXT)]
FOREIGN = ["“Ça alors ! – «ÇA»”", "Ωmega—ß½é…", "兎の穴", "naïve 🐇🐇!", "“Öh…” – “Äh…”", "Ещё раз"]
ANSWERS = ["кот", "🐇🐇🐇🐇🐇🐇", "“—”", "zqxj", "兎の穴", "Alice"]
NAMES = ["Alice", "the White Rabbit", "Dinah", "the Hatter", "Æthelflæd", "O'Hare", "the Queen of Hearts"]


def write_files(folder, lm):
    """Task -> path of its file, which a model can be evaluated with; some words of LAMBADA's are the model's own.

    Beside them lie piqa.jsonl and pages.jsonl, the questions with their labels and the pages of WikiText, which the
    harness has from data sets that hold them so.
    """
    rng = random.Random(20)
    questions, pages = [_piqa(rng, number, lm) for number in range(18)], _pages(rng)
    contents = {
        "lambada.jsonl": _lines({"text": text} for text in _lambada(rng, lm)),
        "hellaswag.jsonl": _lines(_hellaswag(rng, number) for number in range(20)),
        "dev.jsonl": _lines({key: text for key, text in one.items() if key != "label"} for one in questions),
        "dev-labels.lst": "".join(f"{one['label']}\n" for one in questions),
        "piqa.jsonl": _lines(questions),
        "winogrande.jsonl": _lines(_winogrande(rng, number) for number in range(18)),
        "cbt.txt": "".join(_cbt(rng) for _ in range(15)),
        "wiki.test.raw": " \n" + "\n".join(pages),
        "pages.jsonl": _lines({"page": page} for page in pages),
        "arithmetic.jsonl": _lines(_arithmetic(rng) for _ in range(15)),
        "words.jsonl": _lines(_scrambled(rng) for _ in range(15)),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content.encode())
    names = {
        "lambada": "lambada.jsonl", "hellaswag": "hellaswag.jsonl", "piqa": "dev.jsonl",
        "winogrande": "winogrande.jsonl", "cbt-cn": "cbt.txt", "wikitext-2": "wiki.test.raw",
        "two-digit-addition": "arithmetic.jsonl", "mid-word-1-anagrams": "words.jsonl",
    }  # fmt: skip
    return {task: folder / name for task, name in names.items()}


def _lines(objects):
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in objects)


def _piece(rng, least, most):
    """Some words in a row."""
    n = rng.randint(least, most)
    start = rng.randrange(len(WORDS) - n)
    return " ".join(WORDS[start : start + n])


def _lambada(rng, lm):
    """Texts whose last word is Alice's, the model's own, or more than a word."""
    texts = [_piece(rng, 8, 40) for _ in range(8)]
    texts += [_piece(rng, 700, 700), "Alice", "down the  hole", "all about it: ", "she said\nWhy?\n", "the naïve 兎🐇"]
    texts += [f"{_piece(rng, 5, 10)} straightforwardness", f"{_piece(rng, 5, 10)} ‘Curiouser!’"]
    own = []
    while len(own) < 12:
        context = _piece(rng, 5, 30)
        ids = lm.generate(context, max_new_tokens=rng.choice([1, 1, 2])).ids
        word = lm.tokenizer.decode(ids)
        same = lm.tokenizer.encode(context + word) == [*lm.tokenizer.encode(context), *ids]
        if same and re.fullmatch(r" \S+", word):
            own += [context + word, f"{context}{word}zebra"]
    return texts + own


def _hellaswag(rng, number):
    """Every other one as if from WikiHow, with marks in brackets, and some endings in other scripts."""
    endings = [_piece(rng, *lengths) for lengths in ((1, 2), (2, 5), (6, 12), (16, 22))]
    endings[1] = " ".join([rng.choice(FOREIGN), endings[1], rng.choice(FOREIGN)])
    first, second = _piece(rng, 6, 18), rng.choice([*NAMES, "", "she and Dinah", "é: the DUCHESS"])
    if number % 2:
        first = f"[header] How to {_piece(rng, 2, 4)} [title] {first} [step]  {_piece(rng, 4, 12)}   and so on"
        second = ""
        endings[2] = f"  [title] {endings[2]}. [substeps] {_piece(rng, 2, 4)}  [1] {_piece(rng, 1, 3)}  "
        endings[3] = f"[step] {endings[3]} [title] {_piece(rng, 1, 3)}"
    if number == 4:
        first = _piece(rng, 600, 600)
    rng.shuffle(endings)
    return {
        "ind": number, "activity_label": _piece(rng, 1, 3).capitalize(), "ctx_a": first, "ctx_b": second,
        "ctx": f"{first} {second}", "endings": endings, "label": rng.randrange(4), "split": "val",
        "source_id": f"wikihow~{number}",
    }  # fmt: skip


def _piqa(rng, number, lm):
    goal = _piece(rng, 3, 12) + rng.choice(["?", "", " ", "\n", " 兎"])
    solutions = [_piece(rng, 1, 4), _piece(rng, 5, 20)]
    solutions[number % 2] += rng.choice(["", " \"'quoted'\" {{x}} \\n", f" – {rng.choice(FOREIGN)}", ".  "])
    if number % 5 == 3:
        solutions = _ordered_otherwise_by_byte(lm, f"Question: {goal}\nAnswer:")
    if number == 7:
        goal = _piece(rng, 650, 650)
    rng.shuffle(solutions)
    return {"goal": goal, "sol1": solutions[0], "sol2": solutions[1], "label": rng.randrange(2)}


def _ordered_otherwise_by_byte(lm, context):
    """Two answers, of which the model finds the first likelier for each character and the second for each byte."""
    logprobs = [one.logprob for one in log_likelihoods(lm, [(context, f" {answer}") for answer in ANSWERS])]
    by_character, by_byte = (
        {answer: logprob / length(answer) for answer, logprob in zip(ANSWERS, logprobs, strict=True)}
        for length in (len, lambda answer: len(answer.encode()))
    )
    return next(
        [first, second]
        for first, second in itertools.permutations(ANSWERS, 2)
        if by_character[first] > by_character[second] and by_byte[first] < by_byte[second]
    )


def _winogrande(rng, number):
    before = "" if number == 3 else _piece(rng, *((600, 600) if number == 5 else (3, 14))) + " "
    behind = rng.choice([" ", "'s ", ", ", " _ "]) + _piece(rng, 1, 12) + rng.choice([".", " .", " "])
    first, second = rng.sample(NAMES, 2)
    return {
        "qID": f"{number}", "sentence": f"{before}_{behind}", "option1": first, "option2": second,
        "answer": rng.choice("12"),
    }  # fmt: skip


def _tokens(text):
    """A text as it is cut for the Penn Treebank."""
    text = re.sub(r"(^|[\s(])'", r"\1 `` ", text)
    text = re.sub(r"([.,;:!?)])'", r"\1 '' ", text)
    text = re.sub(r"(\w)('s|n't|'ll)\b", r"\1 \2", text)
    return " ".join(re.sub(r"([.,;:!?()])", r" \1 ", text).split()).replace("(", "-LRB-").replace(")", "-RRB-")


def _cbt(rng):
    start = rng.randrange(len(SENTENCES) - 21)
    lines = [_tokens(sentence) for sentence in SENTENCES[start : start + 20]]
    question = _tokens(_piece(rng, 8, 16)).split()
    place = rng.randrange(len(question))
    others = {word for word in WORDS if word.isalpha()} - {question[place]}
    candidates = [*rng.sample(sorted(others), 9), question[place]]
    rng.shuffle(candidates)
    answer, question[place] = question[place], "XXXXX"
    lines.append(f"{' '.join(question)}\t{answer}\t\t{'|'.join(candidates)}")
    return "".join(f"{number} {line} \n" for number, line in enumerate(lines, 1)) + "\n"


def _pages(rng):
    """Pages of which most are short, written as in WikiText: all tokens apart, blank lines with a space."""
    pages = [_page(rng, number, 900 if number in (2, 9) else rng.randint(25, 150)) for number in range(15)]
    return [*pages[:-1], f"{pages[-1]} \n"]


def _page(rng, number, n_words):
    marks = [
        "1 @,@ 234 @.@ 5 km", "( see [ 1 ] )", "well @-@ known", '" so "', "the cats ' tails", "20 ° N 5", "兎 – ß",
        "' tis '", "A 's", "{ x }", "= =", "yes ! no ?",
        "a point N of it",
    ]  # fmt: skip
    words = re.sub(r"([.,;:!?()'])", r" \1 ", _piece(rng, n_words, n_words)).split()
    for _ in range(n_words // 12):
        words.insert(rng.randrange(len(words)), rng.choice(marks))
    half = len(words) // 2
    lines = [f" = Page {number} : {_piece(rng, 1, 2)} = ", " ", f" {' '.join(words[:half])} "]
    lines += [" ", " = = Section = = ", " ", " = = = Part = = = ", f" {' '.join(words[half:])} ", " "]
    return "\n".join(lines)


def _arithmetic(rng):
    a, b = rng.randrange(100), rng.randrange(100)
    asked = f"Q: {_piece(rng, 3, 8)}. What is {a} plus {b}?"  # so that a model that cannot add says this and that
    return {"context": f"{asked}\n\nA: It is", "completion": f" {a + b}"}


def _scrambled(rng):
    word = rng.choice([word for word in WORDS if word.isalpha() and len(word) > 3])
    mixed = word[0] + "".join(rng.sample(word[1:-1], len(word) - 2)) + word[-1]
    return {
        "context": f"Please unscramble the letters into a word, and write that word:\n{mixed} = ", "completion": word,
    }  # fmt: skip
