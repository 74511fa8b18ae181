"""Where a model comes from: facts that git holds of its commit, and what a statement says of it.

What is not known stays null, with the reason. A statement is believed only when it holds against
git and the model's file; who wrote it is for a signature to say. Reads git.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct, field

from mlgitops.delivery.bundle import DESCRIPTION, MODEL, SERVING_LOCK, hash_sha256
from mlgitops.delivery.releases.merged import find_merge, read_pull_request
from mlgitops.delivery.releases.version import CONTRACT, PARAMETERS, TRAINING_LOCK
from mlgitops.dvc.metrics import parse_metrics
from mlgitops.dvc.reader import read_pipeline
from mlgitops.errors import MlgitopsError, show_bytes
from mlgitops.git.program import run_git
from mlgitops.github.kept_statement import KeptStatement
from mlgitops.github.statement_check import check_statement, read_statement
from mlgitops.judgement.policy import parse_policy
from mlgitops.model.lineage import DataHash, Lineage, ReleasedMetric
from mlgitops.model.waiver import Waiver

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mlgitops.dvc.pipeline import Pipeline
    from mlgitops.git.repository import Repository
    from mlgitops.model import MetricChange
    from mlgitops.model.statement import Statement

_POLICY = "policy.yaml"
_MAX_METRICS, _MAX_DATA = 500, 1000
_BOT = "github-actions[bot]"
_GITHUB = "noreply@github.com"  # committer of what its button merged
_NO_STATEMENT = "no statement of a verdict was given (`--statement FILE`)"
#: What a statement of the verdict says, and git does not.
_STATED = ("measured_by", "verdict", "statement", "cost")


class Account(Struct, kw_only=True):
    """What is known of a model by now, as fields of its lineage."""

    fields: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    def put(self, name: str, value: object, *, source: str | None = None, absent: str) -> None:
        """Take ``value`` for a field, or ``absent``, the reason why there is none."""
        self.fields[name] = msgspec.to_builtins(value)
        self.sources.pop(name, None)
        self.absent.pop(name, None)
        if value in (None, ()):
            self.absent[name] = absent[:500]
        elif source:
            self.sources[name] = source[:500]


def trace_model(repository: Repository, project: str, commit: str) -> Account:
    """Read what git holds of the model at ``commit``, of the project in the folder ``project``."""
    pipeline = read_pipeline(
        repository.list_files(commit), lambda path: repository.read(commit, path)
    )
    account = Account()
    hashed = {
        "contract": CONTRACT,
        "parameters": PARAMETERS,
        "environment": TRAINING_LOCK,
        "serving": SERVING_LOCK,
    }
    for name, path in hashed.items():
        data = repository.read(commit, project + path)
        digest = None if data is None else hashlib.sha256(data).hexdigest()
        account.put(name, digest, absent=f"the commit has no {path}")
    data_hashes = tuple(_list_data(repository, project, commit, pipeline))
    account.put("data", data_hashes, absent="dvc.lock names no data that the model was made from")
    _put_measured(account, repository, project, commit, pipeline)
    for name in _STATED:
        account.put(name, None, absent=_NO_STATEMENT)
    _put_people(account, repository, project, commit)
    return account


def find_unmeasured(lineage: Lineage, held: dict[str, Any]) -> str | None:
    """Say what ``lineage`` measured that git contradicts; ``held``: fields of :func:`trace_model`.

    A statement vouches for other numbers, and for test data that it names by another kind of hash.
    """
    stated = lineage.statement is not None
    if not (stated and "test_data" in lineage.sources) and held["test_data"] != lineage.test_data:
        said, named = (str(hashed)[:12] for hashed in (lineage.test_data, held["test_data"]))
        return f"its test_data is {said}, and git has {named}"
    if not stated and [*msgspec.to_builtins(lineage.metrics)] != [*held["metrics"]]:
        return "its metrics are not those in git, and no statement's"
    return None


def add_statement(
    account: Account,
    repository: Repository,
    *,
    project: str,
    path: Path,
    model: Path,
    newest: str | None,
) -> None:
    """Add what the verdict's statement in the file ``path`` says of the file ``model``.

    ``newest`` is the commit of the newest release, None before the first. Raises
    :class:`MlgitopsError` when the statement does not hold, its verdict is fail, or its base is
    older than ``newest``: to be better than an old model is no pass against the present one.
    """
    statement, data = read_statement(path)
    given = KeptStatement(statement=statement, data=data, where=str(path))
    _require_good(repository, given, project=project, model=model)
    reason = _find_older_base(repository, project, newest, statement)
    if reason is not None:
        hint = "judge the model against a base that has that release, or release without it"
        raise MlgitopsError(reason, where=str(path), hint=hint)
    _take_statement(account, given)


def add_kept_statement(
    account: Account,
    repository: Repository,
    kept: KeptStatement | str,
    *,
    project: str,
    model: Path,
    newest: str | None,
) -> None:
    """Add what the statement says that a run left, as :func:`add_statement` does for a file.

    Where there is none, or it is of another model or against an older one, what it would say stays
    null, with that reason. Raises :class:`MlgitopsError` when it does not hold, or says fail.
    """
    reason: str | None
    if isinstance(kept, str):
        reason = kept
    elif (digest := kept.statement.subject[0].digest.sha256) != hash_sha256(model):
        reason = f"{kept.where}: its verdict is on another model, {digest[:12]}"
    else:
        _require_good(repository, kept, project=project, model=model)
        reason = _find_older_base(repository, project, newest, kept.statement)
        if reason is None:
            _take_statement(account, kept)
            return
    for name in _STATED:
        account.put(name, None, absent=str(reason))


def _require_good(
    repository: Repository, kept: KeptStatement, *, project: str, model: Path
) -> None:
    """Raise unless the statement holds against git and the model, and its verdict lets merge."""
    statement, where = kept.statement, kept.where
    predicate = statement.predicate
    if predicate.project != project.rstrip("/"):
        told = predicate.project or "the root"
        raise MlgitopsError(f"it is a statement of the project in {told}", where=where)
    checked = check_statement(statement, repository, branch=None, policy_path=_POLICY, model=model)
    if checked.problems:
        raise MlgitopsError(f"the statement does not hold: {checked.problems[0]}", where=where)
    if predicate.verdict == "fail":
        hint = "a model whose verdict is fail is not released"
        raise MlgitopsError("the verdict on this model is fail", where=where, hint=hint)


def _take_statement(account: Account, kept: KeptStatement) -> None:
    """Take what a statement says that holds."""
    predicate = kept.statement.predicate
    said, report = "the verdict's statement", predicate.report
    put = account.put
    put("metrics", take_metrics(report.metrics), source=said, absent="the statement has none")
    put("measured_by", predicate.evidence, source=said, absent="")
    put("verdict", predicate.verdict, source=said, absent="")
    account.fields["waiver"] = msgspec.to_builtins(predicate.waiver)
    put("statement", hashlib.sha256(kept.data).hexdigest(), absent="")
    put("cost", take_metrics(report.cost)[:20], source=said, absent="the statement has none")
    if predicate.pull_request is not None:
        put("pull_request", predicate.pull_request, source=said, absent="")
    if report.head.test_data is not None:
        put("test_data", report.head.test_data, source=said, absent="")


def _find_older_base(
    repository: Repository, project: str, newest: str | None, statement: Statement
) -> str | None:
    """Say so when the statement's base is older than ``newest``, and has another model."""
    base = statement.predicate.report.base.sha or ""
    if newest is None or _has_model_of(repository, project, newest, base):
        return None
    return (
        f"the verdict is against {base[:12]}, which is older than the newest release, of"
        f" {newest[:12]}, and has another model"
    )


def _has_model_of(repository: Repository, project: str, newest: str, base: str) -> bool:
    """Tell whether ``base`` is at or after the commit ``newest``, or has the very model of it."""
    if repository.is_first_parent_ancestor(newest, base):
        return True
    model = repository.read(newest, f"{project}{DESCRIPTION}")
    return model is not None and model == repository.read(base, f"{project}{DESCRIPTION}")


def _list_data(
    repository: Repository, project: str, commit: str, pipeline: Pipeline
) -> list[DataHash]:
    """List all that the model was made from and git does not keep, back to the start.

    By the hashes of dvc.lock: those that the stages were run with.
    """
    makers = {path: lock for lock in pipeline.locks.values() for path in lock.outs}
    paths, hashes = [project + MODEL], dict[str, str]()
    while paths:
        lock = makers.get(paths.pop())
        fresh = {} if lock is None else {k: v for k, v in lock.deps.items() if k not in hashes}
        hashes |= fresh
        paths += fresh
    tree = repository.tree(commit)
    data = [
        DataHash(
            path=show_bytes(path.removeprefix(project))[:500],
            hash=digest,
            imported=pipeline.find_source(path, digest),
        )
        for path, digest in sorted(hashes.items())
        if path not in tree.files and not tree.is_folder(path)
    ]
    return data[:_MAX_DATA]


def _put_measured(
    account: Account, repository: Repository, project: str, commit: str, pipeline: Pipeline
) -> None:
    """Take the numbers that the run left in git, which are self-reported."""
    metrics = []
    for path in sorted(pipeline.metrics):
        data = repository.read(commit, path) if path.startswith(project) else None
        values = parse_metrics(data, path).values if data is not None else {}
        metrics += [
            ReleasedMetric(name=show_bytes(name)[:200], value=value)
            for name, value in sorted(values.items())
        ]
    account.put(
        "metrics",
        tuple(metrics[:_MAX_METRICS]),
        source="the run that trained it; no intervals without the verdict's statement",
        absent="no metrics file of dvc.yaml is in git",
    )
    data = repository.read(commit, project + _POLICY)
    named = parse_policy(data, where=project + _POLICY).files.test_data if data else None
    version = pipeline.find_version(project + named) if named else None
    account.put(
        "test_data",
        version.hash if version else None,
        absent="dvc.lock names no test data of policy.yaml's `files: {test_data: ...}`",
    )


def _put_people(account: Account, repository: Repository, project: str, commit: str) -> None:
    """Take who made the model, from the commit of the branch that brought it in."""
    merge = find_merge(repository, project, commit)
    form = "--format=%an%x00%P"
    log = run_git(repository.root, "log", "-1", form, merge, errors="replace")
    name, parents = log.rstrip("\n").split("\0")
    number = read_pull_request(repository, merge)
    account.put(
        "pull_request",
        number,
        source=f"the subject of {merge[:12]}",
        absent=f"the subject of {merge[:12]} names none",
    )
    author = _find_author(repository, merge) if len(parents.split()) > 1 else name
    account.put(
        "author",
        _make_line(author) or None,
        source=f"the commits of {merge[:12]}",
        absent=f"the commits of {merge[:12]} name nobody",
    )
    account.put(
        "approvers",
        _find_approvers(repository, merge),
        source=f"the message of {merge[:12]}",
        absent=f"the message of {merge[:12]} has no `Reviewed-by:` or `Approved-by:`"
        " of whoever merged",
    )
    waiver = _find_waiver(repository, merge)
    account.fields["waiver"] = msgspec.to_builtins(waiver)
    if waiver is not None:
        account.put("verdict", "waived", source=f"a message below {merge[:12]}", absent="")


def _find_author(repository: Repository, merge: str) -> str:
    """Find who wrote the newest commit that a merge brought in, runs of workflows aside."""
    words = ("log", "--format=%an", f"{merge}^1..{merge}")
    names = run_git(repository.root, *words, errors="replace").splitlines()[1:]
    return next((name for name in names if name != _BOT), "")


def _find_approvers(repository: Repository, merge: str) -> tuple[str, ...]:
    """Find who approved, by the trailers that whoever merged has put into the message.

    A squashed commit has the messages of the pull request's own commits, and one that GitHub made
    has its title: who wrote the change would name who approved it. Then nobody is named.
    """
    trailers = "%(trailers:key=Reviewed-by,key=Approved-by,valueonly)"
    words = ("log", "-1", f"--format=%P%x00%ce%x00{trailers}", merge)
    parents, committer, listed = run_git(repository.root, *words, errors="replace").split("\0")
    if len(parents.split()) == 1 or committer == _GITHUB:
        return ()
    names = (_make_line(line.partition("<")[0]) for line in listed.splitlines())
    return tuple(dict.fromkeys(filter(None, names)))[:50]


def _find_waiver(repository: Repository, merge: str) -> Waiver | None:
    """Find the waiver that a commit with results records, among those that a merge brought in.

    Its author can be forged: it is taken as what speaks against the model, never for it.
    """
    keys = ("Waived-by", "Waived-at", "Waived-sha", "Waived-reason", "Waived-in")
    form = "%x00".join(f"%(trailers:key={key},valueonly,separator=%x20)" for key in keys)
    base = f"{merge}^1" if repository.find(f"{merge}^1") else None
    span = f"{base}..{merge}" if base else merge
    listed = run_git(repository.root, "log", f"--format={form}%x01", span, errors="replace")
    for entry in listed.split("\x01"):
        login, at, sha, reason, url = (*entry.strip("\n").split("\0"), *[""] * 5)[:5]
        named = {"login": login, "at": at, "sha": sha, "reason": reason, "url": url}
        try:
            return msgspec.convert(named, Waiver)
        except msgspec.ValidationError:
            continue
    return None


def take_metrics(changes: Sequence[MetricChange]) -> tuple[ReleasedMetric, ...]:
    """Take the numbers of head, with the interval of what they differ from base's."""
    return tuple(
        ReleasedMetric(
            name=change.name,
            value=change.head,
            delta=change.delta,
            interval=change.evidence.interval if change.evidence else None,
        )
        for change in changes[:_MAX_METRICS]
        if change.head is not None
    )


def _make_line(text: str) -> str:
    """Make the name of a person one line that can be shown."""
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()[:100]
