"""The judged metric over the last merges into base: a slide that no single step shows.

Reads git alone, so that the trusted half reads the same. A value counts as far back as the commits
name the test data that base has: on other rows it would be another number.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from mlgitops.comparison.test_data import identify
from mlgitops.dvc.metrics import parse_metrics
from mlgitops.errors import MlgitopsError
from mlgitops.git.paths import list_parents
from mlgitops.model import MOST_MERGES, Trend, TrendPoint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlgitops.comparison.sides import SideFiles
    from mlgitops.model import Policy

_FEWEST = 2
_LOCK = "dvc.lock"


def read_trend(policy: Policy, base: SideFiles) -> Trend | None:
    """Read the policy's first metric at the last commits on base's line that changed its file.

    None where git does not hold it, or base's test data has no name.
    """
    metric = _find_metric(policy, base)
    test_data = policy.files.test_data
    identity = identify(base, test_data) if test_data else None
    if metric is None or identity is None or base.sha is None:
        return None
    path, name = metric
    points = list(_read_points(base, path, name, identity=identity, test_data=test_data or ""))
    if len(points) < _FEWEST:
        return None
    return Trend(name=name, path=path, points=tuple(points[::-1]))


def _find_metric(policy: Policy, base: SideFiles) -> tuple[str, str] | None:
    """Find the file and the name of the metric that the policy judges first."""
    first = next(iter(policy.metrics), "")
    matches = [
        (path, name)
        for path, metrics in base.metrics.items()
        for name in metrics.values
        if first in (name, f"{path}:{name}")
    ]
    return matches[0] if len(matches) == 1 else None


def _read_points(
    base: SideFiles, path: str, name: str, *, identity: str, test_data: str
) -> Iterator[TrendPoint]:
    """Yield the values, the newest first, until one is of other rows or cannot be read."""
    repository, located = base.folder.repository, base.folder.locate(path)
    for sha in repository.list_changes(base.sha or "", located, most=MOST_MERGES):
        entry = repository.read_at(sha, located)
        if entry is None or not _names_rows(base, sha, identity, test_data):
            return
        try:
            value = parse_metrics(entry[1], path).values.get(name)
        except MlgitopsError:
            return
        if value is None:
            return
        yield TrendPoint(sha=sha, value=value)


def _names_rows(base: SideFiles, sha: str, identity: str, test_data: str) -> bool:
    """Tell whether a commit has the test data of this ``identity``, in git or by DVC's files."""
    repository, folder = base.folder.repository, base.folder
    kind, _, digest = identity.partition(":")
    if kind == "git":
        entry = repository.read_at(sha, folder.locate(test_data))
        return entry is not None and entry[0] == digest
    locks = [posixpath.join(parent, _LOCK) for parent in ("", *list_parents(test_data))]
    for path in (f"{test_data}.dvc", *locks):
        entry = repository.read_at(sha, folder.locate(path))
        if entry is not None and digest.encode() in entry[1]:
            return True
    return False
