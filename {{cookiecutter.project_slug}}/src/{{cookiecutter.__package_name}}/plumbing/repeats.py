"""Which rows of a long table repeat another one, by 64 bits of a hash of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Whole numbers up to this are the same as int64 and as float64.
_EXACT = 2.0**53


class Repeats:
    """How often each digest came so far; 12 bytes of memory for each different one."""

    def __init__(self) -> None:
        self._digests = np.empty(0, np.uint64)
        self._counts = np.empty(0, np.uint32)

    def count(self, digests: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return how many equal ones came before each digest, in this call and in earlier ones.

        >>> repeats = Repeats()
        >>> repeats.count(np.array([7, 8, 7], np.uint64)).tolist()
        [0, 0, 1]
        >>> repeats.count(np.array([7, 9], np.uint64)).tolist()
        [2, 0]
        """
        values, group, sizes = np.unique(digests, return_inverse=True, return_counts=True)
        at = np.searchsorted(self._digests, values)
        seen = np.zeros(len(values), np.bool_)
        inside = at < len(self._digests)
        seen[inside] = self._digests[at[inside]] == values[inside]
        before = np.zeros(len(values), np.int64)
        before[seen] = self._counts[at[seen]]
        self._counts[at[seen]] += sizes[seen].astype(np.uint32)
        self._digests = np.insert(self._digests, at[~seen], values[~seen])
        self._counts = np.insert(self._counts, at[~seen], sizes[~seen].astype(np.uint32))
        order = np.argsort(group, kind="stable")
        within = np.empty(len(digests), np.int64)
        within[order] = np.arange(len(digests)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        counted: NDArray[np.int64] = before[group] + within
        return counted


def digest_cells(cells: pd.Series) -> NDArray[np.uint64]:
    """Return 64 bits for each cell; a whole number has the same as int64 and as float64."""
    if cells.dtype.kind not in "if":
        return _hash(cells.to_numpy(dtype=object))
    digests = _hash(cells.to_numpy())
    if cells.dtype.kind == "f":
        numbers = cells.to_numpy()
        whole = (np.abs(numbers) < _EXACT) & (numbers == np.floor(numbers))
        digests[whole] = _hash(numbers[whole].astype(np.int64))
    return digests


def _hash(values: NDArray[np.generic]) -> NDArray[np.uint64]:
    hashed: NDArray[np.uint64] = pd.util.hash_array(values)
    return hashed
