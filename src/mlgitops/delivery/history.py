"""Versions, environments over time, and who leads on the same test rows. Reads git and the storage.

A leaderboard holds releases whose test set has the same hash, and no others: numbers on different
rows do not rank. Its intervals are measured here, from the predictions of both models.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlgitops import __version__
from mlgitops.comparison.revisions import POLICY, compare
from mlgitops.delivery.ledger import BRANCH, Ledger
from mlgitops.delivery.release import list_releases
from mlgitops.errors import MlgitopsError
from mlgitops.git.repository import Folder, Repository
from mlgitops.git.tags import list_models
from mlgitops.judgement.policy import parse_policy
from mlgitops.model import DEFAULT_KEY, Side
from mlgitops.model.history import (
    EnvironmentHistory,
    History,
    Leaderboard,
    Place,
    ReleaseFacts,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from mlgitops.console import Console
    from mlgitops.delivery.release import Release
    from mlgitops.model import MetricChange
    from mlgitops.model.policy import Rule

_MOST_PLACES = 20  # of one leaderboard: each beside the first is a comparison
_LONGEST = 500


def read_history(project: Path, console: Console) -> History:
    """Read every release and every environment of ``project``.

    Raises :class:`MlgitopsError` naming the first tag or line of the ledger that does not hold.
    """
    project = project.resolve()
    with Repository(project) as repository:
        folder = Folder(repository, project)
        ledger = Ledger(repository.root, folder.prefix, console)
        environments = ledger.list_environments()
        histories = tuple(
            EnvironmentHistory(environment=name, entries=ledger.read(name)) for name in environments
        )
        served = {entry.model for history in histories for entry in history.entries}
        releases = [
            release
            for model in list_models(repository)
            for release in _list_releases(repository, model, served)
            if release.lineage.project == folder.prefix
        ]
        boards = [
            board
            for model in dict.fromkeys(release.model for release in releases)
            for board in _rank(folder, [r for r in releases if r.model == model], console)
        ]
        problem = ledger.problem and f"origin could not be asked for {BRANCH}: {ledger.problem}"
        return History(
            toolkit=__version__,
            project=folder.prefix,
            ledger=ledger.tip,
            notices=(problem[:_LONGEST],) if problem else (),
            releases=tuple(
                ReleaseFacts(
                    tag=release.tag,
                    revision=release.revision,
                    signature=release.signature,
                    lineage=release.lineage,
                )
                for release in releases
            ),
            environments=histories,
            leaderboards=tuple(boards),
        )


def _list_releases(repository: Repository, model: str, served: AbstractSet[str]) -> list[Release]:
    """List the releases of ``model``; none where it is no model of ours but another's tags."""
    try:
        return list_releases(repository, model)
    except MlgitopsError:
        if model in served:
            raise
        return []


def _rank(folder: Folder, releases: Sequence[Release], console: Console) -> Iterator[Leaderboard]:
    """Rank the releases of one model that share the newest one's test set, metric by metric."""
    newest = releases[-1].lineage
    data = folder.read(releases[-1].revision, POLICY)
    if newest.test_data is None or data is None:
        return
    rules = parse_policy(data, where=f"{POLICY} of {releases[-1].tag}").metrics
    same = [r for r in releases if r.lineage.test_data == newest.test_data][-_MOST_PLACES:]
    for name, rule in rules.items():
        board = _rank_by(folder, same, name, rule, console)
        if board is not None:
            yield board


@dataclass(frozen=True, kw_only=True)
class _Contest:
    """Releases of one model that were measured on the same rows, by one metric."""

    folder: Folder
    name: str  # of the metric
    values: Mapping[str, float]  # version → value
    leader: Release
    console: Console


def _rank_by(
    folder: Folder, releases: Sequence[Release], name: str, rule: Rule, console: Console
) -> Leaderboard | None:
    """Rank releases by one metric; None where fewer than two have it."""
    named = {release.version: _find_value(release, name) for release in releases}
    values = {version: value for version, value in named.items() if value is not None}
    ranked = sorted(
        (release for release in releases if release.version in values),
        key=lambda release: values[release.version],
        reverse=rule.greater_is_better,
    )
    if len(ranked) < 2:  # noqa: PLR2004 - one alone leads nobody
        return None
    leader = ranked[0]
    contest = _Contest(folder=folder, name=name, values=values, leader=leader, console=console)
    return Leaderboard(
        model=leader.model,
        metric=name,
        greater_is_better=rule.greater_is_better,
        test_data=leader.lineage.test_data or "",
        places=tuple(_place(contest, release) for release in ranked),
    )


def _place(contest: _Contest, release: Release) -> Place:
    value = contest.values[release.version]
    if release is contest.leader:
        return Place(version=release.version, value=value)
    change, reason = _measure(contest, release)
    evidence = change.evidence if change else None
    return Place(
        version=release.version,
        value=value,
        delta=contest.values[contest.leader.version] - value,
        interval=evidence.interval if evidence else None,
        rows=evidence.rows if evidence else None,
        reason=reason or (evidence.reason if evidence else None),
    )


def _measure(contest: _Contest, release: Release) -> tuple[MetricChange | None, str | None]:
    """Compare a release with the leader on their test rows; or say why that cannot be done."""
    base, head = (Side(sha=it.revision, ref=it.tag[:200]) for it in (release, contest.leader))
    try:
        report = compare(
            contest.folder,
            base,
            head,
            worktree=False,
            policy_path=POLICY,
            key=DEFAULT_KEY,
            console=contest.console,
        )
    except MlgitopsError as error:
        return None, error.what[:_LONGEST]
    change = next((change for change in report.metrics if change.name == contest.name), None)
    if change is None or change.evidence is None:
        return change, "their predictions are not in git or the storage"
    return change, None


def _find_value(release: Release, name: str) -> float | None:
    values = (metric.value for metric in release.lineage.metrics if metric.name == name)
    return next(values, None)
