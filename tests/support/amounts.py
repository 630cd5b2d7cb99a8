"""How much a test does: little in the run that a contributor waits for, more in the one of `.ci/run`."""

import pytest
from hypothesis import settings

# The profiles of hypothesis: `quick` is the default one, `pytest --hypothesis-profile=ci` chooses the other.
QUICK, CI = 20, 100  # examples, of a property that names no number of its own
LEAST = 20


def examples(n):
    """The number of examples of a property: n with the profile `ci`, a tenth of it, but at least 20, without."""
    return n if settings.default.max_examples >= CI else min(n, max(n // 10, LEAST))


def few_or_many(name, few, many):
    """Gives a test a number: a small one, and with the marker `slow` a large one."""
    return pytest.mark.parametrize(name, [few, pytest.param(many, marks=pytest.mark.slow)])
