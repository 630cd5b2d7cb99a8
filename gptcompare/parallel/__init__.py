"""A model that is cut among several processes, the ranks of an MPI program, each of which computes its part of it.

`cut` says which heads, columns and rows belong to a rank, and cuts parameters; `communication` is all that ranks say to
each other; `travel` counts the bytes of it, and what they cost; `program` runs a command on all ranks, of which one
speaks. How a model is cut is explained in docs/guides/machines.md.

mpi4py is imported only where it is asked for.
"""

from .communication import ALONE, Alone, Communicator, Ranks, communicator_of
from .cut import WHOLE, Share, check_share

__all__ = ["ALONE", "WHOLE", "Alone", "Communicator", "Ranks", "Share", "check_share", "communicator_of"]
