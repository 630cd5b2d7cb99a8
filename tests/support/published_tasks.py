"""Small files in the formats in which tasks are published, with sentences of this project's own."""

import json

from gptcompare.evaluation import Content, Settings, task_named

SENTENCES = [
    "The fox went into the wood and looked for the hen",
    "A king had three daughters, and the youngest was the fairest",
    "It was dark, and the old woman lit her lamp",
    "He took the bread and gave it to the poor man",
    "The bird sang in the tree until the sun went down",
    "They came to a river, and there was no bridge",
    "The naïve 🐇 ran back to its mother and told her everything",
]


def write_lines(path, objects):
    path.write_text("".join(json.dumps(one) + "\n" for one in objects), encoding="utf-8")
    return path


def lambada(folder, n=20):
    """Texts of different lengths; some words that a model of English can guess."""
    texts = [" ".join(SENTENCES[(k + j) % len(SENTENCES)] for j in range(1 + k % 4)) for k in range(n)]
    return write_lines(folder / "lambada_test.jsonl", [{"text": text} for text in texts])


def winogrande(folder, n=9):
    rows = [
        {"sentence": f"The {a} hid from the {b} because the _ was hungry.", "option1": a, "option2": b, "answer": "2"}
        for a, b in [("hen", "fox"), ("mouse", "cat"), ("boy", "bear")]
    ]
    return write_lines(folder / "dev.jsonl", (rows * n)[:n])


def completions(folder, name, pairs):
    return write_lines(folder / name, [{"context": context, "completion": answer} for context, answer in pairs])


def additions(folder, n=12):
    pairs = [(f"\n\nQ: What is {k} plus {k + 11}?\n\nA:", f" {2 * k + 11}") for k in range(n)]
    return completions(folder, "two_digit_addition.jsonl", pairs)


def wikitext(folder):
    pages = [f" = Page {k} = \n \n {text} . \n = = Part = = \n {text} , too . \n" for k, text in enumerate(SENTENCES)]
    path = folder / "wiki.test.raw"
    path.write_text("".join(pages), encoding="utf-8")
    return path


def content(path):
    return [Content(str(path), path.read_bytes())]


def prepared(lm, name, path, **settings):
    task = task_named(name)
    return task.prepare(lm, content(path), task.decided(Settings(**settings), lm))
