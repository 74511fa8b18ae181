"""What the decision rests on: facts, the model in service, branches, pull requests. Reads git.

Where there is a token the API is asked whether a pull request was closed; without one, a branch
that is not merged counts as open.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlgitops.delivery.bundle import read_model_sha256
from mlgitops.delivery.production import look_at
from mlgitops.delivery.proposals.attempts import Attempt, Series, list_attempts, list_names
from mlgitops.delivery.proposals.proposal import find_default
from mlgitops.errors import MlgitopsError
from mlgitops.git.wanted import read_wanted
from mlgitops.model.look import AlertKind
from mlgitops.parsing import parse_yaml
from mlgitops.render.monitor import describe_finding
from mlgitops.retraining.decision import Observed
from mlgitops.retraining.report import REPORT, parse_report
from mlgitops.retraining.table import TABLE, choose_table, read_pointer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlgitops.git.repository import Folder
    from mlgitops.git.wanted import Wanted
    from mlgitops.model.monitoring import DayFact
    from mlgitops.monitoring.project import Watched

BRANCHES = "mlgitops/retrain/"
_SHORT = 12


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A project and what an environment of it wants, as the default branch has it."""

    folder: Folder
    environment: str
    base: str  # the default branch, without a remote's name
    tip: str
    wanted: Wanted
    table: str  # path of the raw table, in the project's folder

    @property
    def pointer(self) -> str:
        """Return the path of the table's `.dvc` file, in the repository."""
        return f"{self.folder.prefix}{self.table}.dvc"


def read_scene(folder: Folder, environment: str) -> Scene:
    """Read the default branch; raises :class:`MlgitopsError` where no table is kept by DVC."""
    base, tip = find_default(folder.repository)
    table = choose_table(
        lambda path: folder.repository.read(tip, f"{folder.prefix}{path}") is not None
    )
    path = f"{folder.prefix}{table or TABLE}.dvc"
    pointer = folder.repository.read(tip, path)
    if table is None or pointer is None:
        raise MlgitopsError(
            "DVC keeps no such table there, so that rows cannot be added to it",
            where=f"{path} at {tip[:_SHORT]}",
            hint=f"`dvc add {TABLE}`, and commit the .dvc file",
        )
    document = parse_yaml(pointer, path)
    if isinstance(document, dict) and document.get("deps"):
        raise MlgitopsError(
            "the table is imported: its next version comes from where it is made",
            where=f"{path} at {tip[:_SHORT]}",
            hint="`mlgitops update` takes it over",
        )
    wanted = read_wanted(folder.repository, folder.prefix, environment, tip)
    return Scene(
        folder=folder, environment=environment, base=base, tip=tip, wanted=wanted, table=table
    )


def observe(
    scene: Scene,
    watched: Watched,
    facts: list[DayFact],
    *,
    day: str,
    until: str,
    environ: Mapping[str, str],
) -> Observed:
    """Observe a project; the look is as of the end of the day ``until``, and ``day`` is today."""
    folder, tip = scene.folder, scene.tip
    repository, pointer = folder.repository, scene.pointer
    look = look_at(folder.place, scene.environment, watched, facts, until)
    commit, alerts = scene.wanted.commit, look.alerts(AlertKind.MODEL)
    if alerts and look.model != read_model_sha256(repository, folder.prefix, commit):
        alerts = []  # they are of a model that is to serve no longer
    return Observed(
        day=day,
        alerts=tuple(map(describe_finding, alerts)),
        facts_day=max((fact.day for fact in facts), default=None),
        model_day=repository.read_day(commit),
        has_new_data=repository.find_blob(commit, pointer) != repository.find_blob(tip, pointer),
        attempts=tuple(list_attempts(repository, make_series(scene), environ)),
        merged_day=_read_merged_day(folder, tip),
    )


def name_branch(scene: Scene, attempts: tuple[Attempt, ...]) -> str:
    """Name the branch of the next retraining: by the table that it starts from.

    Whoever starts at the same time from the same table takes the same name, and only one of them
    can push it.
    """
    names = {attempt.branch for attempt in attempts}
    return next(name for name in make_series(scene).names if name not in names)


def make_series(scene: Scene) -> Series:
    """Describe the branches of this project's retrainings.

    The next one is named by the table of the default branch.
    """
    oid = read_pointer(scene.folder.repository.read(scene.tip, scene.pointer), scene.pointer)
    stem = f"{BRANCHES}{scene.folder.prefix}"
    return Series(
        base=scene.base,
        tip=scene.tip,
        stem=stem,
        ending=r"[0-9a-f]{12}(-\d{1,3})?",
        report=f"{scene.folder.prefix}{REPORT}",
        names=list_names(f"{stem}{oid[:_SHORT]}"),
    )


def _read_merged_day(folder: Folder, tip: str) -> str | None:
    """Return the day of the newest retraining that the default branch has."""
    data = folder.repository.read(tip, f"{folder.prefix}{REPORT}")
    return None if data is None else parse_report(data, f"{REPORT} at {tip[:_SHORT]}").day
