"""Clusters of rows that belong together: variances, degrees of freedom, how many they amount to.

Pure. Contributions are summed within each cluster before they are squared. Large clusters pull
the estimate towards themselves, so that what is left of them is too small: each sum is divided
by sqrt(1 - n / N), its share of all rows (CR2: Bell & McCaffrey 2002, Surv. Methodol. 28:169).
The variance then rests on fewer clusters than there are, and Student's t gets the degrees of
freedom that its first two moments show (Imbens & Kolesár 2016, Rev. Econ. Stat. 98:701).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Codes = NDArray[np.intp]


@dataclass(frozen=True, kw_only=True, eq=False)
class Clusters:
    """The clusters of each group of rows: which group each is in, and how many rows it has."""

    owner: Codes  # group of each cluster
    rows: Floats  # of each cluster
    groups: int

    def sum(self, values: Floats) -> Floats:
        """Return the sum over each group's clusters."""
        totals = np.bincount(self.owner, weights=values, minlength=self.groups)
        return totals.astype(np.float64, copy=False)

    @property
    def count(self) -> Floats:
        """Return the number of clusters of each group."""
        return self.sum(np.ones(len(self.rows)))

    @property
    def share(self) -> Floats:
        """Return the part of its group's rows that each cluster holds."""
        return self.rows / self.sum(self.rows)[self.owner]

    def sum_squares(self, sums: Floats) -> Floats:
        """Return each group's variance from its clusters' sums of contributions (CR2)."""
        return self.sum(sums * sums / np.maximum(1 - self.share, 1e-300))

    def find_spread(self, sums: Floats, squares: Floats) -> Floats:
        """Return the correlation of the rows of a cluster that each group shows, 0 to 1.

        ``sums``: of each cluster's contributions; ``squares``: of each group's contributions.
        """
        pairs = self.sum(self.rows * (self.rows - 1))
        together = (self.sum(sums * sums) - squares) / np.maximum(pairs, 1)
        alone = squares / np.maximum(self.sum(self.rows), 1)
        return np.clip(together / np.maximum(alone, 1e-300), 0, 1)

    def find_freedom(self, spread: Floats) -> Floats:
        """Return each group's degrees of freedom (Bell-McCaffrey); clusters - 1 if all are equal.

        ``spread``: the correlation of the rows of a cluster, 0 to 1, by group.
        """
        total = self.sum(self.rows)
        share = self.share
        square = self.rows**2 / np.maximum(1 - share, 1e-300)
        even = self.sum(share * share)
        rho = spread[self.owner]
        rest = (1 - spread) / total - spread * even
        own = (1 - rho) * self.rows + rho * square * (1 - 2 * share + even[self.owner])
        across = square * (rest[self.owner] + 2 * rho * share)
        none, first, second = (self.sum(square * share**power) for power in range(3))
        apart = (
            (rest * none) ** 2
            + 2 * spread**2 * (second * none + first**2)
            + 4 * rest * spread * first * none
        )
        bottom = self.sum(own * own - across * across) + apart
        return self.sum(own) ** 2 / np.maximum(bottom, 1e-300)

    def count_effective(self, spread: Floats) -> Floats:
        """Return how many clusters of equal size each group's amount to.

        G / (1 + the squared coefficient of variation of the clusters' parts in the variance):
        Carter, Schnepel & Steigerwald 2017, Rev. Econ. Stat. 99:698.
        """
        part = self.rows * (1 + spread[self.owner] * (self.rows - 1))
        return self.sum(part) ** 2 / np.maximum(self.sum(part * part), 1e-300)


def size_clusters(clusters: Codes) -> Clusters:
    """Return the clusters of all rows as those of one group; ``clusters``: of each row."""
    rows = np.bincount(clusters).astype(np.float64)
    return Clusters(owner=np.zeros(len(rows), dtype=np.intp), rows=rows, groups=1)
