#!/usr/bin/env bash
# EleutherAI's lm-evaluation-harness and a multiple-choice question that consists of digits.
# Guess: the text of a question is a text, whatever stands in it.
# Seen with lm-eval 0.4.13: a template that renders to digits becomes a number when the task has choices
# (lm_eval/api/task.py, `doc_to_text`). Where it is the first question, the harness takes the task for one like
# Winogrande, in which the choices stand before the rest: it asks something else, without a word. Where it is a later
# one, the evaluation ends with "Context is not a string! : 7". With a word or a full stop, the question is read.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "lm-eval==0.4.13"
cat > "$folder/digits.py" <<'PROGRAM'
import sys
from importlib.metadata import version

import datasets
from lm_eval.api.task import ConfigurableTask

print("lm-eval", version("lm-eval"))
datasets.disable_progress_bars()


def requests_for(*questions):
    """What a model would be asked, the first choice of each question."""
    rows = [{"question": question, "right": 1} for question in questions]
    documents = datasets.DatasetDict({"test": datasets.Dataset.from_list(rows)})
    task = ConfigurableTask(
        config={
            "task": "numbers", "custom_dataset": lambda **_: documents, "test_split": "test",
            "output_type": "multiple_choice", "doc_to_text": "{{question}}", "doc_to_choice": ["odd", "even"],
            "doc_to_target": "right", "metadata": {"version": 1},
        }
    )
    return [
        task.construct_requests(document, task.fewshot_context(document, 0), metadata=("numbers", 0, 1))[0].args
        for document in task.test_docs()
    ]


for questions, expected in (
    (["number 7", "7."], "[('number 7', ' odd'), ('7.', ' odd')]"),
    (["number 7", "7"], "refused: Context is not a string! : 7"),
    (["7", "8"], "[('odd', ' 1'), ('odd', ' 1')]"),
):
    try:
        seen = str(requests_for(*questions))
    except AssertionError as error:
        seen = f"refused: {error}"
    print(f"{questions}: {seen}")
    if seen != expected:
        sys.exit(f"expected: {expected}")
PROGRAM
"$folder/venv/bin/python" "$folder/digits.py"
