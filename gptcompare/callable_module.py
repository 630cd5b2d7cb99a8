"""A package that can be called like the function of the same name inside it.

`gptcompare.presets()` and `gptcompare.report(...)` are functions, and `gptcompare.presets` and `gptcompare.report` are
the packages that define them, whichever was imported first. A package becomes both by

    sys.modules[__name__].__class__ = CallableModule

(Python's data model, "Customizing module attribute access", allows the class of a module to be replaced.)
"""

from __future__ import annotations

from types import ModuleType
from typing import Any


class CallableModule(ModuleType):
    """A module that, when called, calls its function of the same name."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return getattr(self, self.__name__.rpartition(".")[2])(*arguments, **options)
