import json
import re

import pytest
from support.outline import Outline
from support.published_tasks import additions

from gptcompare.evaluation import curve, evaluate


def test_each_point_is_an_evaluation_with_as_many_examples(story, tmp_path):
    data = additions(tmp_path)
    found = curve({"story": story}, "two-digit-addition", (0, 1, 4), data, beams=1, folder=tmp_path / "kept")
    for shots, point in zip((0, 1, 4), found.points("story"), strict=True):
        assert point == evaluate(story, "two-digit-addition", data, shots=shots, beams=1).metrics[0]
    kept = {path.name for path in (tmp_path / "kept" / "story").iterdir()}
    assert kept == {f"two-digit-addition{more}-beams-1" for more in ("", "-shots-1", "-shots-4")}


def test_text_page_and_json_show_every_point(story, tmp_path):
    found = curve({"a": story, "<b>": story}, "two-digit-addition", [2, 0, 2], additions(tmp_path), beams=1)
    assert [line.split()[0] for line in found.to_text().splitlines()[3:]] == ["0", "2"]
    outline = Outline(found.to_html())
    assert [tag for tag, _ in outline.tags].count("circle") == 4
    assert "<b>" in outline.text
    assert not re.search("<b>", found.to_html())
    assert json.loads(json.dumps(found.to_dict()))["shots"] == [0, 2]


@pytest.mark.parametrize("shots", [[], [-1], [1.5], ["two"]])
def test_numbers_of_shots_must_be_numbers(story, tmp_path, shots):
    with pytest.raises((TypeError, ValueError), match="shots"):
        curve({"story": story}, "two-digit-addition", shots, additions(tmp_path))
