"""Published facts about GPT-2, GPT-3 and their relatives, side by side, with sources.

`table` puts the numbers of several models side by side (`gptcompare.table`). `document` puts four chapters into one
report (`report`), each from a module of its own: `structure`, `training_data`, `performance` and `applications`.
`blocks` writes the report as Markdown and as HTML.
"""

import sys

from ..callable_module import CallableModule
from .document import Report, report

__all__ = ["Report", "report"]

sys.modules[__name__].__class__ = CallableModule  # gptcompare.report(...) is report.report(...)
