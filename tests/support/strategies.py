"""What property-based tests draw from, and the attention patterns that tests go through: all that are registered."""

from hypothesis import strategies as st

from gptcompare.config import ACTIVATIONS, GPTConfig
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


@st.composite
def any_config(draw):
    """A configuration of any shape and patterns, small enough to be computed with."""
    attention = tuple(draw(st.lists(st.sampled_from(list(PATTERNS)), min_size=1, max_size=5)))
    sizes = {}
    for kind in attention:
        for field in PATTERNS[kind].parameters():
            sizes[field.name] = draw(st.integers(1, 6))
    if "fixed" in attention:  # the summaries together are not longer than a block
        sizes["stride"] = sizes["summary_width"] * sizes["summary_variants"] + draw(st.integers(0, 50))
    numbers = {name: draw(st.integers(1, 40)) for name in ("n_layer", "n_head", "d_model", "d_head", "d_mlp")}
    return GPTConfig(
        **numbers,
        **sizes,
        attention=attention,
        n_ctx=draw(st.integers(1, 5000)),
        n_vocab=draw(st.integers(1, 100_000)),
        activation=draw(st.sampled_from(ACTIVATIONS)),
        layer_norm_eps=draw(st.floats(1e-12, 1)),
        tied_embeddings=draw(st.booleans()),
    )


ANY_CONFIG = any_config()
