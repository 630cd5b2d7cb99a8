"""What property-based tests draw from."""

from hypothesis import strategies as st

from gptcompare.patterns import DENSE, Banded, Fixed, Strided

PATTERNS = (
    st.just(DENSE)
    | st.builds(Banded, st.integers(1, 50))
    | st.builds(Strided, st.integers(1, 50))
    | st.builds(lambda width, variants, more: Fixed(width * variants + more, width, variants),
                st.integers(1, 6), st.integers(1, 4), st.integers(0, 9))
)  # fmt: skip
