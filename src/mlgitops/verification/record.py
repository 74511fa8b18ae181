"""What git holds of the commits that a report speaks of: the facts to hold it against.

Reads git, and fetches a commit from origin where the clone lacks it. Nothing of the pull
request is checked out or run, and DVC is not asked for anything.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from msgspec import Struct

from mlgitops.cost.changes import measure_cost
from mlgitops.errors import MlgitopsError
from mlgitops.git import Folder, Repository
from mlgitops.handover.commit import authorize
from mlgitops.handover.results import list_foreign
from mlgitops.metrics import MetricSet  # noqa: TC001 - msgspec reads it while running
from mlgitops.protected import MAX_PROTECTED, find_protected
from mlgitops.sides import SideFiles, read_recorded
from mlgitops.staleness import Staleness, find_stale
from mlgitops.storage.branch import find_revision, run_git

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mlgitops.model import Policy, Report


class SideRecord(Struct, frozen=True, kw_only=True):
    """What git holds of one commit."""

    sha: str
    metrics: dict[str, MetricSet] = {}
    elsewhere: frozenset[str] = frozenset()  # metrics files that DVC keeps and this job has not
    stale: Staleness = Staleness()
    test_data: str | None = None  # identity of its content
    test_data_md5: str | None = None  # DVC's hash of it, where git keeps it too
    has_made_test_data: bool = False  # a stage writes it, so that a run may change it
    has_predictions: bool = False
    cost: dict[str, tuple[float, str | None]] = {}  # name → value, and kind of machine


class Record(Struct, frozen=True, kw_only=True):
    """What git holds of all of them; None for what could not be read."""

    base: SideRecord | None = None
    head: SideRecord | None = None  # the commit that was judged, as it was pushed
    results: SideRecord | None = None  # the commit that holds the run's results, if one was named
    foreign: tuple[str, ...] = ()  # files that the latter changes and no run writes
    protected: tuple[str, ...] | None = None  # changed files that decide the judgement
    policy_changed: bool = False
    problems: dict[str, str] = {}  # base, head or results → why it could not be read


def read_record(
    project: Path,
    report: Report,
    policy: Policy,
    *,
    policy_path: str,
    published: str | None = None,
) -> Record:
    """Read what git holds of the commits in ``report``, which must be the event's.

    ``policy_path`` is from the project; ``published`` the commit with this run's results. What
    cannot be read is named in the record, never raised.
    """
    commits = {"base": report.base.sha, "head": report.head.sha, "results": published}
    wanted = {name: sha for name, sha in commits.items() if sha}
    problems: dict[str, str] = {}
    paths = {change.path for change in report.metrics}
    sides: dict[str, SideFiles] = {}
    try:
        with Repository(project) as repository:
            folder = Folder(repository, project.resolve())
            for name, sha in wanted.items():
                try:
                    _fetch(project, sha)
                    sides[name] = _read_side(folder, name, sha, paths)
                except MlgitopsError as error:
                    problems[name] = _say(error)
            return _collect(folder, sides, policy, policy_path, problems)
    except MlgitopsError as error:
        return Record(problems={name: _say(error) for name in wanted if name not in problems})


def _fetch(project: Path, sha: str) -> None:
    """Fetch a commit that the clone lacks; GitHub gives any that a pull request shows."""
    if find_revision(project, sha):
        return
    authorize(os.environ)
    try:
        run_git(project, "fetch", "--quiet", "--no-tags", "origin", sha)
    except MlgitopsError as error:
        raise MlgitopsError(f"the commit {sha[:12]} is not in this clone") from error


def _read_side(folder: Folder, name: str, sha: str, paths: Iterable[str]) -> SideFiles:
    # Lenient as with base: what is malformed at head was an error where it was compared.
    side = SideFiles(name=name if name != "head" else "the head's commit", sha=sha, folder=folder)
    read_recorded(side, paths)
    return side


def _collect(
    folder: Folder,
    sides: dict[str, SideFiles],
    policy: Policy,
    policy_path: str,
    problems: dict[str, str],
) -> Record:
    base, head, results = sides.get("base"), sides.get("head"), sides.get("results")
    protected = None
    changed: list[str] = []
    if base is not None and head is not None:
        changed = _list_changed(folder.repository, base.sha or "", head.sha or "")
        protected = tuple(find_protected(changed, base, head, policy, policy_path)[:MAX_PROTECTED])
    foreign: tuple[str, ...] = ()
    if head is not None and results is not None and results.sha != head.sha:
        try:
            foreign = tuple(_list_foreign(folder.place, head.sha or "", results.sha or ""))
        except MlgitopsError as error:
            problems["results"], results = _say(error), None
    locked = bool(base and base.pipeline.locks)
    present = {"base": base, "head": head, "results": results}
    records = {
        name: None if side is None else _summarise(side, policy, locked=locked)
        for name, side in present.items()
    }
    return Record(
        **records,
        foreign=foreign,
        protected=protected,
        policy_changed=folder.prefix + policy_path in changed,
        problems=problems,
    )


def _list_changed(repository: Repository, base: str, head: str) -> list[str]:
    """List what a pull request changes; against base itself where the history is cut."""
    try:
        parted = repository.merge_base(base, head)
    except MlgitopsError:
        parted = base
    return repository.changed_files(parted, head)


def _list_foreign(project: Path, head: str, results: str) -> list[str]:
    try:
        run_git(project, "merge-base", "--is-ancestor", head, results)
    except MlgitopsError as error:
        raise MlgitopsError(f"{results[:12]} is not on top of {head[:12]}") from error
    return list_foreign(project, head, results)


def _summarise(side: SideFiles, policy: Policy, *, locked: bool) -> SideRecord:
    path, predictions = policy.files.test_data, policy.files.predictions
    identity = side.find_hash(path) if path else None
    made = {out for stage in side.pipeline.stages.values() for out in stage.outs}
    return SideRecord(
        sha=side.sha or "",
        metrics=dict(side.metrics),
        elsewhere=frozenset(path for path in side.metrics if _is_elsewhere(side, path)),
        stale=find_stale(side, locked=locked),
        test_data=identity if identity and ":" in identity else None,
        test_data_md5=_hash_content(side, path, identity),
        has_made_test_data=any(path == out or (path or "").startswith(f"{out}/") for out in made),
        has_predictions=bool(predictions) and _has_file(side, predictions or ""),
        cost=measure_cost(side, policy),
    )


def _hash_content(side: SideFiles, path: str | None, identity: str | None) -> str | None:
    """Return DVC's hash of a file; computed where git keeps it."""
    data = side.read(path) if path and identity and identity.startswith("git:") else None
    if data is None:
        return identity if identity and identity.startswith("md5:") else None
    from hashlib import md5

    return f"md5:{md5(data, usedforsecurity=False).hexdigest()}"


def _is_elsewhere(side: SideFiles, path: str) -> bool:
    """Tell whether DVC keeps a metrics file that could not be read here."""
    outs = {out for lock in side.pipeline.locks.values() for out in lock.outs}
    tracked = {*side.pipeline.pointers, *outs}
    values = side.metrics[path]
    lacks = side.read(path) is None and not (values.values or values.unusable)
    return lacks and any(path == out or path.startswith(f"{out}/") for out in tracked)


def _has_file(side: SideFiles, path: str) -> bool:
    return side.find_version(path) is not None or side.read(path) is not None


def _say(error: MlgitopsError) -> str:
    where = f"{error.where}: " if error.where else ""
    return f"{where}{error.what}".splitlines()[0].rstrip(".")[:300]
