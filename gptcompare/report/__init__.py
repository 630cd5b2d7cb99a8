"""What is published about GPT-2, GPT-3 and their relatives, side by side, with sources.

`table` puts the numbers of several models beside each other (`gptcompare.table`). `document` answers four questions in
one report (`report`), a module each: `structure`, `training_data`, `performance` and `applications`; `blocks` writes it
as Markdown and as HTML.
"""

import sys

from ..callable_module import CallableModule
from .document import Report, report

__all__ = ["Report", "report"]

sys.modules[__name__].__class__ = CallableModule  # gptcompare.report(...) is report.report(...)
