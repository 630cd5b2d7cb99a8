"""Two models at the same items: is the difference real?

Read `statistics` first, then `run` (`compare`, and `compare_kept` for rows that evaluations have left in folders).
`result` is what they return, with a `difference` for each metric, `examples` of the items where the models differ most,
and a `picture`. `kept` reads an evaluation from its folder.
"""

from .difference import Difference
from .result import PairedEvaluation
from .run import compare, compare_kept
from .statistics import items_needed

__all__ = ["Difference", "PairedEvaluation", "compare", "compare_kept", "items_needed"]
