"""numpy, loaded for one thread: what the helper computes is over before others have started.

OpenBLAS starts a thread for every core when it is loaded, which costs more than our sums; a
sum of one thread is also the same number on every machine. Programs that we start later find
the environment as it was.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

_THREADS = "OPENBLAS_NUM_THREADS"


def load_numpy() -> None:
    """Load numpy, unless it is; call this before the first module that needs it.

    Raises :class:`ImportError` when numpy is not installed.
    """
    if "numpy" in sys.modules or _THREADS in os.environ:
        return
    os.environ[_THREADS] = "1"
    try:
        import numpy  # noqa: F401, ICN001 - loaded for the others
    finally:
        del os.environ[_THREADS]


def sort_distinct(values: ArrayLike) -> NDArray[Any]:
    """Return the distinct values, sorted; none of them is NaN.

    As `np.unique`, which first loads all that masked arrays need (numpy 2.5).

    >>> sort_distinct([3, 1, 3]).tolist()
    [1, 3]
    """
    return count_distinct(values)[0]


def count_distinct(values: ArrayLike) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Return the distinct values, sorted, and how often each stands there; none is NaN.

    >>> [part.tolist() for part in count_distinct([3, 1, 3])]
    [[1, 3], [1, 2]]
    """
    import numpy as np

    ranked = np.sort(np.asarray(values), axis=None)
    first = np.ones(len(ranked), dtype=bool)
    first[1:] = ranked[1:] != ranked[:-1]
    starts = np.flatnonzero(first)
    return ranked[starts], np.diff(starts, append=len(ranked))
