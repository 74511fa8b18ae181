"""Versions, environments over time, and who leads on the same test rows. Reads git and the storage.

A leaderboard holds releases whose test set has the same hash, and no others: numbers on different
rows do not rank. Its intervals are measured here, from the predictions of both models.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlgitops import __version__
from mlgitops.comparison.revisions import POLICY, compare
from mlgitops.delivery.ledger import BRANCH, Ledger
from mlgitops.delivery.releases.provenance import find_unmeasured, trace_model
from mlgitops.delivery.releases.release import find_model_name, list_releases, read_tip
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
    from mlgitops.delivery.releases.release import Release
    from mlgitops.model import MetricChange
    from mlgitops.model.policy import Rule

_MOST_PLACES = 20  # of one leaderboard: each beside the first is a comparison
_LONGEST = 500
_RELATIVE = 1e-6  # by which a number of a statement may differ from that of the training


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
        own = {entry.model for history in histories for entry in history.entries}
        own |= _find_own_name(folder)
        releases, left_out = _read_releases(folder, own)
        measured, notices = _hold_numbers(folder, releases)
        boards = [
            board
            for model in dict.fromkeys(release.model for release in releases)
            for board in _rank(folder, [m for m in measured if m.release.model == model], console)
        ]
        if ledger.problem:
            notices.insert(0, f"origin could not be asked for {BRANCH}: {ledger.problem}")
        return History(
            toolkit=__version__,
            project=folder.prefix,
            ledger=ledger.tip,
            notices=tuple(notice[:_LONGEST] for notice in notices),
            left_out=tuple(reason[:_LONGEST] for reason in left_out),
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


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """A release with the numbers that its tag and git agree on."""

    release: Release
    test_data: str | None  # hash in git
    values: Mapping[str, float]  # name of a metric → value in git


def _find_own_name(folder: Folder) -> set[str]:
    """Find the name of the project's model, which may not be in service yet."""
    try:
        name = find_model_name(folder.repository, folder.prefix, read_tip(folder.repository))
    except MlgitopsError:
        return set()
    return {name}


def _read_releases(folder: Folder, own: AbstractSet[str]) -> tuple[list[Release], list[str]]:
    """Read the project's releases, and why the tags of other names are left out that do not hold.

    Raises :class:`MlgitopsError` naming the first tag of a model in ``own`` that does not hold.
    """
    releases, left_out = [], []
    for model in list_models(folder.repository):
        try:
            listed = list_releases(folder.repository, model)
        except MlgitopsError as error:
            if model in own:
                raise
            left_out.append(f"{model}, no model of this project: {error.where}: {error.what}")
            continue
        releases += [release for release in listed if release.lineage.project == folder.prefix]
    return releases, left_out


def _hold_numbers(folder: Folder, releases: Sequence[Release]) -> tuple[list[_Measured], list[str]]:
    """Hold the numbers of each release against git; return those that agree, and why others not."""
    agreeing, notices = [], []
    for release in releases:
        held = trace_model(folder.repository, folder.prefix, release.revision).fields
        values = {metric["name"]: metric["value"] for metric in held["metrics"]}
        problem = find_unmeasured(release.lineage, held) or _find_other(release, values)
        if problem:
            notices.append(f"{release.tag} is not ranked: {problem}.")
        else:
            agreeing.append(_Measured(release=release, test_data=held["test_data"], values=values))
    return agreeing, notices


def _find_other(release: Release, values: Mapping[str, float]) -> str | None:
    """Say which metric of a release is another one in git, by more than rounding."""
    for metric in release.lineage.metrics:
        committed = values.get(metric.name)
        if committed is not None and not math.isclose(committed, metric.value, rel_tol=_RELATIVE):
            return f"its {metric.name} is {metric.value:.6g}, and git has {committed:.6g}"
    return None


def _rank(folder: Folder, measured: Sequence[_Measured], console: Console) -> Iterator[Leaderboard]:
    """Rank the releases of one model that share the newest one's test set, metric by metric."""
    if not measured:
        return
    newest = measured[-1]
    where = f"{POLICY} of {newest.release.tag}"
    data = folder.read(newest.release.revision, POLICY)
    if newest.test_data is None or data is None:
        return
    rules = parse_policy(data, where=where).metrics
    same = [m for m in measured if m.test_data == newest.test_data][-_MOST_PLACES:]
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
    folder: Folder, measured: Sequence[_Measured], name: str, rule: Rule, console: Console
) -> Leaderboard | None:
    """Rank releases by one metric; None where fewer than two have it."""
    values = {m.release.version: m.values[name] for m in measured if name in m.values}
    ranked = sorted(
        (m.release for m in measured if name in m.values),
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
        test_data=measured[-1].test_data or "",
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
