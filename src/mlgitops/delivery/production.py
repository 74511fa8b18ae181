"""The facts of an environment, and a look at them beside what its releases were measured with.

Reads git, or disk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgitops.delivery.releases.release import find_model_name, list_releases, read_tip
from mlgitops.git.repository import Folder, Repository
from mlgitops.monitoring.labelled import Demands, find_bound
from mlgitops.monitoring.look import take_look
from mlgitops.monitoring.store import BranchStore, FolderStore

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mlgitops.model.look import Look
    from mlgitops.model.monitoring import DayFact
    from mlgitops.monitoring.project import Watched
    from mlgitops.monitoring.store import FactStore


def open_store(project: Path, facts: Path | None) -> FactStore:
    """Open the folder that was named, else the branch."""
    if facts is not None:
        return FolderStore(facts)
    with Repository(project.resolve()) as repository:
        folder = Folder(repository, project.resolve())
        return BranchStore(repository.root, folder.prefix)


def look_at(
    project: Path, environment: str, watched: Watched, facts: Sequence[DayFact], day: str
) -> Look:
    """Look at an environment as of the end of ``day``."""
    with Repository(project.resolve()) as repository:
        folder = Folder(repository, project.resolve())
        released = _read_released(folder) if facts and _needs(watched) else {}
        demands = Demands(
            policy=watched.policy,
            settings=watched.settings.alerts,
            released=released,
            left_out=watched.plan.left_out,
        )
        return take_look(facts, demands, day=day, project=folder.prefix, environment=environment)


def _needs(watched: Watched) -> bool:
    """Tell whether nobody wrote a limit of a metric, so that the release's value has to give it."""
    return any(
        find_bound(name, rule, watched.settings.alerts) is None
        for name, rule in watched.policy.metrics.items()
    )


def _read_released(folder: Folder) -> Mapping[str, Mapping[str, float]]:
    """Return what each release was measured with, by the sha256 of its model."""
    repository = folder.repository
    name = find_model_name(repository, folder.prefix, read_tip(repository))
    return {
        release.sha256: {metric.name: metric.value for metric in release.lineage.metrics}
        for release in list_releases(repository, name)
    }
