import dataclasses
import json
import os

import numpy as np
import pytest
from support.places import STORY_FOLDER

import gptcompare as gc
from gptcompare.files import atomic_files
from gptcompare.training import data
from gptcompare.training.data import count_texts, digest_of_tokens, tokenize_files

TEXT = STORY_FOLDER.parent / "alice.txt"


class TestTokens:
    @pytest.fixture
    def files(self, tmp_path):
        text = TEXT.read_text(encoding="utf-8")
        paths = [tmp_path / "one.txt", tmp_path / "two.txt"]
        paths[0].write_text(text[:3000], encoding="utf-8")
        paths[1].write_text(text[3000:5000], encoding="utf-8")
        return paths

    def test_the_texts_stand_in_a_row_each_with_its_end(self, story, files, tmp_path):
        tokens = tokenize_files(files, story.tokenizer, tmp_path / "tokens.npy")
        eot = story.tokenizer.eot_id
        expected = [id_ for path in files for id_ in [*story.tokenizer.encode(path.read_text("utf-8")), eot]]
        assert tokens.tolist() == expected
        assert tokens.dtype == np.uint16
        assert isinstance(tokens, np.memmap)

    def test_they_are_made_once(self, story, files, tmp_path, monkeypatch):
        first = tokenize_files(files, story.tokenizer, tmp_path / "tokens.npy").tolist()
        monkeypatch.setattr(gc.Tokenizer, "encode", lambda *_: pytest.fail("tokenized again"))
        assert tokenize_files(files, story.tokenizer, tmp_path / "tokens.npy").tolist() == first

    def test_they_are_made_anew_for_another_text_or_vocabulary(self, story, files, tmp_path):
        target = tmp_path / "tokens.npy"
        first = tokenize_files(files, story.tokenizer, target).tolist()
        other = gc.Tokenizer.train([files[0].read_text("utf-8")], 300)
        assert tokenize_files(files, other, target).tolist() != first
        files[1].write_text("Another text.")
        assert tokenize_files(files, other, target)[-1] == other.eot_id
        assert other.decode(tokenize_files(files[1:], other, target)[:-1].tolist()) == "Another text."

    def test_a_long_text_in_portions_has_the_same_tokens(self, story, tmp_path, monkeypatch):
        text = "  a b\n\n" + TEXT.read_text(encoding="utf-8")[:20_000] + " \n \n"
        (tmp_path / "long.txt").write_text(text, encoding="utf-8")
        for portion in (1, 7, 100, 5000):
            monkeypatch.setattr(data, "PORTION", portion)
            tokens = tokenize_files([tmp_path / "long.txt"], story.tokenizer, tmp_path / f"{portion}.npy")
            assert tokens.tolist() == [*story.tokenizer.encode(text), story.tokenizer.eot_id]

    def test_a_portion_ends_where_a_piece_does(self, tmp_path, monkeypatch):
        """The separators U+001C to U+001F are white space to Python, and not to the pattern that cuts pieces."""
        tokenizer = gc.Tokenizer.train(["!\x1c!\x1f " * 50], 260)
        text = "!\x1c!\x1f!\x1d " * 20
        (tmp_path / "separators.txt").write_text(text, encoding="utf-8", newline="")
        for portion in (1, 2, 7, 50):
            monkeypatch.setattr(data, "PORTION", portion)
            tokens = tokenize_files([tmp_path / "separators.txt"], tokenizer, tmp_path / f"{portion}.npy")
            assert tokens.tolist() == [*tokenizer.encode(text), tokenizer.eot_id]

    @pytest.mark.parametrize("damage", ["note cut", "note empty", "cut", "empty", "flipped", "other texts' tokens"])
    def test_what_is_damaged_is_made_anew(self, story, files, tmp_path, damage):
        target = tmp_path / "tokens.npy"
        expected = tokenize_files(files, story.tokenizer, target).tolist()
        note, tokens = target.with_suffix(".json"), target.read_bytes()
        match damage:
            case "note cut":
                note.write_bytes(note.read_bytes()[:20])
            case "note empty":
                note.write_bytes(b"")
            case "cut":
                target.write_bytes(tokens[:-100])
            case "empty":
                target.write_bytes(b"")
            case "flipped":
                target.write_bytes(tokens[:-50] + bytes([tokens[-50] ^ 1]) + tokens[-49:])
            case _:
                np.save(target, np.arange(5, dtype=np.uint16))
        assert tokenize_files(files, story.tokenizer, target).tolist() == expected

    @pytest.mark.parametrize(
        "there",
        [
            {"tokens.npy": b"theirs"},
            {"tokens.json": b"[]"},
            {"tokens.json": b'{"text": "JSON"}\n{"text": "lines"}\n'},
            {"tokens.npy": b"theirs", "tokens.json": b"{}"},
        ],
    )
    def test_a_file_of_somebody_else_stays(self, story, files, tmp_path, there):
        folder = tmp_path / "theirs"
        folder.mkdir()
        for name, content in there.items():
            (folder / name).write_bytes(content)
        with pytest.raises(ValueError, match="is not a file of tokens that was made here"):
            tokenize_files(files, story.tokenizer, folder / "tokens.npy")
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == there

    def test_no_tokens_are_there_before_their_note(self, story, files, tmp_path, monkeypatch):
        """A process that is killed between the two leaves what the next one takes for its own."""
        target = tmp_path / "tokens.npy"

        def killed(path, to):
            os.replace(path, to)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(atomic_files, "put_in_place", killed)
            with pytest.raises(KeyboardInterrupt):
                tokenize_files(files, story.tokenizer, target)
        assert not target.exists()
        tokenize_files(files, story.tokenizer, target)
        assert target.exists()

    def test_a_vocabulary_with_gaps_is_no_trouble(self, files, tmp_path):
        vocabulary = gc.Tokenizer.train([files[0].read_text("utf-8")], 300).vocabulary
        moved = {token: id_ if id_ < 280 else id_ + 50 for token, id_ in vocabulary.ids.items()}
        tokenizer = gc.Tokenizer(dataclasses.replace(vocabulary, ids=moved, special_tokens={"<|endoftext|>": 400}))
        assert tokenize_files(files, tokenizer, tmp_path / "tokens.npy")[-1] == 400

    @pytest.mark.parametrize(("content", "words"), [(b"a\xff", "not UTF-8 text"), (b" \n", "there is no text in it")])
    def test_what_is_no_text_is_refused(self, story, tmp_path, content, words):
        (tmp_path / "bad.txt").write_bytes(content)
        with pytest.raises(ValueError, match=words):
            tokenize_files([tmp_path / "bad.txt"], story.tokenizer, tmp_path / "tokens.npy")

    def test_a_text_that_is_not_there_is_refused(self, story, tmp_path):
        with pytest.raises(FileNotFoundError):
            tokenize_files([tmp_path / "none.txt"], story.tokenizer, tmp_path / "tokens.npy")

    def test_what_is_beside_them_names_texts_by_digest_alone(self, story, files, tmp_path):
        tokenize_files(files, story.tokenizer, tmp_path / "tokens.npy")
        note = json.loads((tmp_path / "tokens.json").read_text())
        assert [len(digest) for digest in note["texts"]] == [64, 64]
        assert str(tmp_path) not in json.dumps(note)


class TestTextsInFiles:
    TEXTS = ("One day the king died.\n", "\nTwo\n\n", " three ")

    def tokens(self, contents, tokenizer, folder, **options):
        paths = [folder / f"{n}.txt" for n in range(len(contents))]
        for path, content in zip(paths, contents, strict=True):
            path.write_bytes(content.encode())
        return tokenize_files(paths, tokenizer, folder / "tokens.npy", **options).tolist()

    @pytest.mark.parametrize("end", ["<|endoftext|>", "<|endoftext|>\n", "<|endoftext|>\r\n"])
    @pytest.mark.parametrize("last", [True, False])
    def test_texts_in_one_file_are_the_texts_in_a_file_each(self, story, tmp_path, end, last):
        apart = self.tokens(self.TEXTS, story.tokenizer, tmp_path)
        if end == "<|endoftext|>":
            texts = [text.lstrip() for text in self.TEXTS]  # a line end after it would be a part of it
            apart = self.tokens(texts, story.tokenizer, tmp_path)
        else:
            texts = self.TEXTS
        together = end.join(texts) + end * last
        assert self.tokens([together], story.tokenizer, tmp_path) == apart
        assert count_texts(np.array(apart), story.tokenizer) == apart.count(story.tokenizer.eot_id) == 3

    def test_the_tokens_are_those_of_the_end_of_text_as_a_special_token(self, story, tmp_path):
        together = "<|endoftext|>".join(text.strip() for text in self.TEXTS)
        special = story.tokenizer.encode(together, allowed_special="all")
        assert self.tokens([together], story.tokenizer, tmp_path) == [*special, story.tokenizer.eot_id]

    def test_what_has_only_white_space_is_no_text(self, story, tmp_path):
        once = self.tokens(["a<|endoftext|>b"], story.tokenizer, tmp_path)
        assert self.tokens(["<|endoftext|>\n\na<|endoftext|><|endoftext|> \nb\n"], story.tokenizer, tmp_path) != once
        assert self.tokens(["<|endoftext|>a<|endoftext|>\n\n<|endoftext|>b"], story.tokenizer, tmp_path) == once
        with pytest.raises(ValueError, match=r"0\.txt: there is no text in it, only '<\|endoftext\|>'"):
            self.tokens(["<|endoftext|>\n<|endoftext|>"], story.tokenizer, tmp_path)

    def test_another_mark_separates_them_or_none_does(self, story, tmp_path):
        expected = self.tokens(["a", "b"], story.tokenizer, tmp_path)
        assert self.tokens(["a%%%%b"], story.tokenizer, tmp_path, end_of_text="%%%%") == expected
        for none in (None, ""):
            whole = self.tokens(["a<|endoftext|>b"], story.tokenizer, tmp_path, end_of_text=none)
            assert whole == [*story.tokenizer.encode("a<|endoftext|>b"), story.tokenizer.eot_id]

    def test_the_mark_is_recorded_where_it_makes_a_difference_and_nowhere_else(self, story, tmp_path):
        def note(content, **options):
            self.tokens([content], story.tokenizer, tmp_path, **options)
            return json.loads((tmp_path / "tokens.json").read_text())

        assert note("a b") == note("a b", end_of_text="%") == note("a b", end_of_text=None)
        assert {*note("a b")} == {"texts", "vocabulary", "tokens"}
        assert note("a%b", end_of_text="%")["end_of_text"] == "%"
        assert note("a%b", end_of_text="b") != note("a%b", end_of_text="%") != note("a%b")

    def test_many_texts_in_portions_have_the_same_tokens(self, story, tmp_path, monkeypatch):
        text = TEXT.read_text(encoding="utf-8")[:6000].replace("\n\n", "<|endoftext|>")
        whole = self.tokens([text, text], story.tokenizer, tmp_path)
        for portion in (1, 100, 3000):
            monkeypatch.setattr(data, "PORTION", portion)
            (tmp_path / "tokens.npy").unlink()
            assert self.tokens([text, text], story.tokenizer, tmp_path) == whole
            assert count_texts(np.array(whole), story.tokenizer) == whole.count(story.tokenizer.eot_id) > 20


def test_the_digest_of_tokens_heeds_their_shape_and_not_their_dtype_or_order_in_memory():
    tokens = np.arange(12)
    shapes = [tokens, tokens.reshape(3, 4), tokens.reshape(4, 3)]
    assert len({digest_of_tokens(one) for one in shapes}) == 3
    for one in shapes:
        assert digest_of_tokens(one) == digest_of_tokens(one.astype(np.uint16)) == digest_of_tokens(one.copy("F"))
