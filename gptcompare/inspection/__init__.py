"""What happens inside a model: attention, the residual stream, what each part adds, what changes without it.

`trace` and the hooks come from `gptcompare.model.hooks`, which lists the named places of the forward pass, and from
`gptcompare.model.changes`. Read `reading` first (what a trace says: the prediction after each block, how widely heads
look, what each part adds to a logit), then `heads` (which head copies) and `attributions` (which token that was read
mattered).
"""

from ..display.tokens import ScoredTokens
from ..model.changes import Change, changing, patched, without_heads
from ..model.hooks import Hook, Trace, trace
from .attributions import Attribution, attribution
from .heads import HeadScores, head_scores
from .reading import attention_entropy, contributions, logit_lens

__all__ = [
    "Attribution",
    "Change",
    "HeadScores",
    "Hook",
    "ScoredTokens",
    "Trace",
    "attention_entropy",
    "attribution",
    "changing",
    "contributions",
    "head_scores",
    "logit_lens",
    "patched",
    "trace",
    "without_heads",
]
