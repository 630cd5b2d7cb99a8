"""What property-based tests draw from, and the attention patterns that tests go through: all that are registered."""

from hypothesis import strategies as st

from gptcompare.patterns import PATTERNS


@st.composite
def any_of(draw, pattern):
    """A pattern of that class with any sizes that it allows."""
    first, *others = [field.name for field in pattern.parameters()] or [None]
    sizes = {} if first is None else {first: draw(st.integers(1, 50))}
    sizes |= {name: draw(st.integers(1, 6)) for name in others}
    try:
        return pattern(**sizes)
    except ValueError:  # sizes that contradict each other: the first one as large as it must be
        return pattern(**{**sizes, first: 50})


ANY_PATTERN = st.one_of([any_of(pattern) for pattern in PATTERNS.values()])
# One of each, its sizes 7, 3 and 2 as far as it has them.
ONE_OF_EACH = [pattern(*[7, 3, 2][: len(pattern.parameters())]) for pattern in PATTERNS.values()]
