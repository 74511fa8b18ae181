"""What the decision rests on: facts, the model in service, branches, pull requests. Reads git.

Where there is a token the API is asked whether a pull request was closed; without one, a branch
that is not merged counts as open.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlgitops.delivery.bundle import read_model_sha256
from mlgitops.delivery.production import look_at
from mlgitops.delivery.proposals.proposal import find_default, find_forge
from mlgitops.errors import MlgitopsError
from mlgitops.git.program import find_revision, run_git
from mlgitops.git.wanted import read_wanted
from mlgitops.model.look import AlertKind
from mlgitops.parsing import parse_yaml
from mlgitops.render.monitor import describe_finding
from mlgitops.retraining.decision import Attempt, Observed
from mlgitops.retraining.report import REPORT, parse_report
from mlgitops.retraining.table import TABLE, choose_table
from mlgitops.storage.exchange import has_origin

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from mlgitops.delivery.proposals.proposal import Forge
    from mlgitops.git.repository import Folder
    from mlgitops.git.wanted import Wanted
    from mlgitops.github.pull_requests import PullState
    from mlgitops.model.monitoring import DayFact
    from mlgitops.monitoring.project import Watched

BRANCHES = "mlgitops/retrain/"
_HEADS = "refs/heads/"
_MOST_ATTEMPTS = 200
_OID = re.compile(r"^- md5: ([0-9a-f]{32})$", re.MULTILINE)
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
            hint="`dvc update` takes it over",
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
        attempts=tuple(_list_attempts(scene, environ)),
        merged_day=_read_merged_day(folder, tip),
    )


def name_branch(scene: Scene, attempts: tuple[Attempt, ...]) -> str:
    """Name the branch of the next retraining: by the table that it starts from.

    Whoever starts at the same time from the same table takes the same name, and only one of them
    can push it.
    """
    names = {attempt.branch for attempt in attempts}
    return next(name for name in _list_names(scene) if name not in names)


def _list_names(scene: Scene) -> Iterator[str]:
    """Yield the names of branches that start from the table of the default branch."""
    data = scene.folder.repository.read(scene.tip, scene.pointer) or b""
    match = _OID.search(data.decode("utf-8", "replace"))
    if match is None:
        raise MlgitopsError("it names no md5 of the table", where=scene.pointer)
    stem = f"{BRANCHES}{scene.folder.prefix}{match[1][:_SHORT]}"
    yield stem
    yield from (f"{stem}-{number}" for number in range(2, _MOST_ATTEMPTS + 2))


def _list_attempts(scene: Scene, environ: Mapping[str, str]) -> Iterator[Attempt]:
    """Yield the retrainings of this project: branches of origin, and pull requests without one."""
    repository = scene.folder.repository
    own = re.compile(re.escape(f"{BRANCHES}{scene.folder.prefix}") + r"[0-9a-f]{12}(-\d{1,3})?")
    tips = list_branches(repository.root, f"{BRANCHES}{scene.folder.prefix}")
    named = {branch: sha for branch, sha in tips.items() if own.fullmatch(branch)}
    if len(named) > _MOST_ATTEMPTS:
        hint = "delete the branches of those that are merged or closed"
        raise MlgitopsError(f"more than {_MOST_ATTEMPTS} retrainings", where=BRANCHES, hint=hint)
    forge = find_forge(repository, environ)
    states = _ask_states(scene, forge, sorted(named))
    merged = _list_merged(scene)
    for branch, sha in sorted(named.items()):
        if find_revision(repository.root, sha) is None:
            run_git(repository.root, "fetch", "--quiet", "--no-tags", "origin", sha)
        state = states.get(branch)
        is_merged = (
            (state is not None and state.name == "merged")
            or repository.is_ancestor(sha, scene.tip)
            or repository.find_blob(sha, f"{scene.folder.prefix}{REPORT}") in merged
        )
        yield Attempt(
            branch=branch,
            day=repository.read_day(sha),
            is_merged=is_merged,
            is_closed=state is not None and state.name == "closed",
            is_asked=forge is not None,
        )
    for branch, state in states.items():
        if branch not in named:  # it was deleted; its pull request still has its name
            day = state.day or repository.read_day(scene.tip)
            is_merged = state.name == "merged"
            yield Attempt(branch=branch, day=day, is_merged=is_merged, is_closed=not is_merged)


def _list_merged(scene: Scene) -> set[str | None]:
    """List the reports that the default branch had: a squashed branch is known by its own."""
    repository, path = scene.folder.repository, f"{scene.folder.prefix}{REPORT}"
    changes = repository.list_changes(scene.tip, path, most=_MOST_ATTEMPTS)
    return {repository.find_blob(commit, path) for commit in changes} - {None}


def list_branches(root: Path, prefix: str) -> dict[str, str]:
    """Return the branches that begin with ``prefix``, at origin where there is one: name → sha."""
    if has_origin(root):
        printed = run_git(root, "ls-remote", "origin", f"{_HEADS}{prefix}*")
        pairs = (line.split("\t") for line in printed.splitlines())
        listed = {name: sha for sha, name in pairs}
    else:
        printed = run_git(root, "for-each-ref", "--format=%(objectname)\t%(refname)", _HEADS)
        listed = {name: sha for sha, name in (line.split("\t") for line in printed.splitlines())}
    return {
        name.removeprefix(_HEADS): sha
        for name, sha in listed.items()
        if name.startswith(f"{_HEADS}{prefix}")
    }


def _ask_states(scene: Scene, forge: Forge | None, branches: list[str]) -> dict[str, PullState]:
    """Return what became of the pull requests of branches, and of deleted ones from this table."""
    if forge is None:
        return {}
    from mlgitops.github.client import open_client
    from mlgitops.github.pull_requests import find_state

    states: dict[str, PullState] = {}
    deleted = (name for name in _list_names(scene) if name not in branches)
    with open_client(forge.api, token=forge.token) as client:
        for branch in (*branches, *deleted):
            state = find_state(client, forge.name, branch=branch, base=scene.base)
            if state is not None:
                states[branch] = state
            elif branch not in branches:
                break
    return states


def _read_merged_day(folder: Folder, tip: str) -> str | None:
    """Return the day of the newest retraining that the default branch has."""
    data = folder.repository.read(tip, f"{folder.prefix}{REPORT}")
    return None if data is None else parse_report(data, f"{REPORT} at {tip[:_SHORT]}").day
