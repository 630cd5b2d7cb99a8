"""Write the two files of labelled sentences here, from the books that the embedded pair has not seen.

    python tests/data/uses/make_sentences.py CORPUS

CORPUS has a MANIFEST.tsv, as for weights/train.sh; the held-out books are listed in weights/README.md. Their text is
that of Project Gutenberg's ebooks 3454, 13087 and 65314, in the public domain in the United States. A label is never a
matter of opinion: it comes from the source.

authors.tsv: sentences that end as such, without speech and without a capital letter but the first and "I", so that no
name gives the book away; the label is the book's author, or editor. 100 of each, evenly over the book.

names.txt: sentences in which the book writes a word with a capital that is not the first one: a name. 60 of each book.
"""

import argparse
import csv
import re
from pathlib import Path

HERE = Path(__file__).parent
AUTHORS = {"3454": "Lang", "13087": "Garis", "65314": "Burgess"}
PER_AUTHOR, NAMES_PER_BOOK = 100, 60
# A sentence ends with a mark before white space and a capital letter; "Mrs." and its like end none.
END = re.compile(r"(?<=[.!?])(?<!Mr\.)(?<!Mrs\.)(?<!Dr\.)(?<!St\.)\s+(?=[A-Z\"'])")
WORD = re.compile(r"[A-Za-z]+")


def sentences(book: Path) -> list[str]:
    """Those of the paragraphs, without speech and of middle length."""
    found = [sentence for line in book.read_text(encoding="utf-8").splitlines() for sentence in END.split(line.strip())]
    plain = [sentence for sentence in found if re.fullmatch(r"[A-Z][A-Za-z ,;:'.-]+[a-z][.!?]", sentence)]
    return [sentence for sentence in dict.fromkeys(plain) if 45 <= len(sentence) <= 130 and "''" not in sentence]


def has_name(sentence: str) -> bool:
    """Whether a word that is not the first begins with a capital letter, but "I"."""
    return any(word[0].isupper() and word != "I" for word in WORD.findall(sentence)[1:])


def evenly(items: list[str], n: int) -> list[str]:
    return [items[number * len(items) // n] for number in range(n)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    corpus = parser.parse_args().corpus
    with open(corpus / "MANIFEST.tsv", encoding="utf-8", newline="") as file:
        files = {row["gutenberg_id"]: corpus / row["file"] for row in csv.DictReader(file, delimiter="\t")}

    source = (
        "# Project Gutenberg's ebooks 3454, 13087 and 65314, public domain in the USA; made by make_sentences.py.\n"
    )
    authors, names = [], []
    for number, author in AUTHORS.items():
        of_book = sentences(files[number])
        without = [sentence for sentence in of_book if not has_name(sentence)]
        authors += [f"{author}\t{sentence}\n" for sentence in evenly(without, PER_AUTHOR)]
        names += [f"{sentence}\n" for sentence in evenly([one for one in of_book if has_name(one)], NAMES_PER_BOOK)]
    (HERE / "authors.tsv").write_text(source + "label\ttext\n" + "".join(authors), encoding="utf-8")
    (HERE / "names.txt").write_text(source + "".join(names), encoding="utf-8")


if __name__ == "__main__":
    main()
