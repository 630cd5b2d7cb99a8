import json

import pytest
from support.places import STORY_FOLDER

from gptcompare import verification
from gptcompare.cli import main

ABOUT = {
    "id": "r",
    "model": "story",
    "by": "me",
    "source": "here",
    "tolerance": "exact",
    "quantity": "likeliest tokens",
}


@pytest.fixture
def recorded(story, tmp_path):
    """A file of records with the right token, or another."""

    def write(off_by=0):
        likeliest = int(story.model([1, 2, 3])[-1].argmax())
        given = {"ids": [1, 2, 3], "positions": [-1]}
        file = tmp_path / "records.json"
        file.write_text(json.dumps({"records": [{**ABOUT, "given": given, "expected": [likeliest + off_by]}]}))
        return str(file)

    return write


def test_the_embedded_pair_is_verified_without_a_network(capsys):
    assert main(["verify", "nano-gpt2"]) == 0
    *rows, _, summary = capsys.readouterr().out.splitlines()
    n = sum(record.model == "nano-gpt2" for record in verification.known_records())
    assert summary == f"nano-gpt2: {n} of {n} records agree"
    assert [row[0] for row in rows[1:]] == ["="] * n


@pytest.mark.parametrize(("off_by", "status", "said"), [(0, 0, "1 of 1 record agrees"), (1, 1, "0 of 1 record agrees")])
def test_the_exit_status_says_whether_it_agrees(off_by, status, said, recorded, capsys):
    command = ["verify", str(STORY_FOLDER), "--records", recorded(off_by)]
    assert main(command) == status
    assert said in capsys.readouterr().out
    assert main([*command, "--json"]) == status
    found = json.loads(capsys.readouterr().out)
    assert found["agrees"] == (status == 0)
    assert found["rows"][0]["source"] == "here"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([str(STORY_FOLDER)], "no model of this configuration has recorded outputs"),
        (
            [str(STORY_FOLDER), "--as", "gpt2-lrge"],
            "there are no recorded outputs of 'gpt2-lrge': did you mean gpt2-large",
        ),
        ([str(STORY_FOLDER), "--as", "gpt2"], "record r001 of gpt2 does not fit this model"),
        (["gpt3-175b"], "there are no recorded outputs of 'gpt3-175b'"),
        (["no/such/folder"], "no/such/folder"),
        (["gpt2"], "is set"),
        ([str(STORY_FOLDER), "--records", "none.json"], "none.json"),
        ([str(STORY_FOLDER), "--as", "cerebras-gpt-111m"], "need data files: ask for them (--all"),
        (
            [str(STORY_FOLDER), "--as", "cerebras-gpt-111m", "--data", "nowhere"],
            "there is no folder 'nowhere': give the one that",
        ),
    ],
)
def test_a_users_error_is_one_line(arguments, message, capsys):
    assert main(["verify", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.splitlines()[-1].startswith("gptcompare: ")
