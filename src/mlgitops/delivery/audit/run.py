"""The audit of an environment: ledger, desired state, model, release, verdict, each against git.

In: a project, an environment, and a question. Out: :class:`~mlgitops.model.audit.Audit`, with
every check that was made. Reads git, the cache and the storage; changes nothing of them.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mlgitops import __version__
from mlgitops.delivery.audit.checks.image import look_for_images
from mlgitops.delivery.audit.checks.release import look_for_release
from mlgitops.delivery.audit.checks.subject import Subject
from mlgitops.delivery.audit.checks.table import CHECKS
from mlgitops.delivery.audit.choose import (
    choose_entries,
    find_doubt,
    find_skew,
    list_periods,
)
from mlgitops.delivery.audit.facts import (
    list_ingredients,
    list_packages,
    read_at_revision,
    read_commit,
    read_parameters,
)
from mlgitops.delivery.audit.outcomes import AbsentError, OpenError, UnverifiedError
from mlgitops.delivery.audit.reproduce import BYTES, ServedModel, reproduce_model
from mlgitops.delivery.bundle import MODEL
from mlgitops.delivery.ledger import BRANCH, Ledger
from mlgitops.delivery.releases.release import Release, read_line
from mlgitops.errors import MlgitopsError
from mlgitops.git.program import run_git
from mlgitops.git.repository import Folder, Repository
from mlgitops.model.audit import (
    Audit,
    AuditedModel,
    Check,
    CheckState,
    LedgerFacts,
    PullRequestFacts,
)
from mlgitops.model.ledger import Event

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from mlgitops.console import Console
    from mlgitops.dvc.pipeline import Pipeline
    from mlgitops.model.audit import CommitFacts
    from mlgitops.model.ledger import LedgerEntry

    AskGitHub = Callable[[int], PullRequestFacts]

_LONGEST = 500
_SECONDS = 600.0


@dataclass(frozen=True, kw_only=True)
class Given:
    """What whoever asks has at hand, to be held against the record."""

    statement: Path | None = None  # of the verdict
    image: Path | None = None  # an OCI layout
    clones: tuple[Path, ...] = ()  # of repositories that data was imported from


@dataclass(frozen=True, kw_only=True)
class _Sources:
    """Where an audit reads."""

    project: Path
    repository: Repository
    prefix: str
    line: frozenset[str]  # commits at which the default branch stood
    given: Given
    again: bool  # train each model again
    ask_github: AskGitHub | None
    console: Console


def audit_environment(
    project: Path,
    environment: str,
    console: Console,
    *,
    asked: str | None = None,
    given: Given | None = None,
    again: bool = False,
    ask_github: AskGitHub | None = None,
) -> Audit:
    """Audit what ``environment`` serves, or what it served at the time, or the model, ``asked``.

    With ``again`` each model is trained again, where nothing failed before. ``ask_github`` is
    given the number of a pull request, and says who approved it.

    Raises :class:`MlgitopsError` when the question cannot be read, or nothing served then.
    """
    project = project.resolve()
    with Repository(project) as repository:
        prefix = Folder(repository, project).prefix
        _fetch_default(repository)
        ledger = Ledger(repository.root, prefix)
        check, entries = _read_ledger(ledger, environment)
        chosen = choose_entries(entries, asked, datetime.now(UTC))
        if check.state is not CheckState.FAILS and not chosen:
            raise _explain_nothing(environment, asked, entries)
        sources = _Sources(
            project=project,
            repository=repository,
            prefix=prefix,
            line=read_line(repository),
            given=given or Given(),
            again=again,
            ask_github=ask_github,
            console=console,
        )
        skew, doubt = find_skew(entries), find_doubt(entries, asked)
        return Audit(
            toolkit=__version__,
            environment=environment,
            project=prefix,
            asked=asked or "now",
            ledger=LedgerFacts(
                commit=ledger.tip,
                entries=len(entries),
                waiting=ledger.waiting,
                problem=ledger.problem and ledger.problem[:_LONGEST],
            ),
            notices=(skew,) if skew else (),
            checks=(
                check,
                *((Check(name="times", state=CheckState.OPEN, detail=doubt),) if doubt else ()),
            ),
            models=tuple(_audit_entry(sources, entry, entries) for entry in chosen),
        )


def _fetch_default(repository: Repository) -> None:
    """Fetch the default branch, with the tags on it; where origin does not answer, go without.

    Whether it answers is said by the check of the ledger.
    """
    name = repository.find_default_branch() or ""
    with suppress(MlgitopsError):
        full = run_git(repository.root, "rev-parse", "--abbrev-ref", name).strip()
        remote, _, branch = full.partition("/")
        if remote == "origin":
            run_git(repository.root, "fetch", "--quiet", "origin", branch, timeout=_SECONDS)


def _read_ledger(ledger: Ledger, environment: str) -> tuple[Check, tuple[LedgerEntry, ...]]:
    """Read the ledger, and say whether it is whole and the newest."""
    name = "ledger"
    try:
        entries = ledger.read(environment)
    except MlgitopsError as error:
        return Check(name=name, state=CheckState.FAILS, detail=_show(error)), ()
    if ledger.problem:
        detail = f"origin could not be asked, so there may be newer entries: {ledger.problem}"
        return Check(name=name, state=CheckState.OPEN, detail=detail[:_LONGEST]), entries
    count = "1 entry" if len(entries) == 1 else f"{len(entries)} entries"
    detail = f"{count} without a gap, none rewritten, at {str(ledger.tip)[:12]}"
    return Check(name=name, state=CheckState.HOLDS, detail=detail), entries


def _audit_entry(
    sources: _Sources, entry: LedgerEntry, entries: Sequence[LedgerEntry]
) -> AuditedModel:
    repository = sources.repository
    pipeline = _read_pipeline(repository, entry.revision)
    release = look_for_release(repository, entry)
    desired_by = read_commit(repository, entry.commit)
    trained = read_commit(repository, entry.revision)
    requests = _ask_github(sources, desired_by, trained)
    subject = Subject(
        entry=entry,
        project=sources.project,
        repository=repository,
        prefix=sources.prefix,
        line=sources.line,
        desired_by=desired_by,
        trained=trained,
        requests=requests,
        release=release,
        statement=sources.given.statement,
        clones=sources.given.clones,
        images=look_for_images(sources.given.image, repository, sources.prefix, entry),
        console=sources.console,
    )
    checks = tuple(_make_check(name, step, subject) for name, step in CHECKS.items())
    if sources.again:
        checks += _train_again(sources, entry, checks)
    version = pipeline.find_version(f"{sources.prefix}{MODEL}") if pipeline else None
    held = release if isinstance(release, Release) else None
    return AuditedModel(
        model=entry.model,
        version=held.version if held else entry.version,
        sha256=entry.sha256,
        md5=version.hash.removeprefix("md5:") if version else None,
        revision=entry.revision,
        desired_by=desired_by,
        promotion=_pick(requests, desired_by),
        trained=trained,
        training=_pick(requests, trained),
        periods=list_periods(entries, entry),
        ingredients=tuple(
            list_ingredients(repository, sources.prefix, entry.revision, pipeline)
            if pipeline
            else ()
        ),
        packages=list_packages(repository, sources.prefix, entry.revision) if pipeline else (),
        parameters=read_parameters(sources.prefix, pipeline) if pipeline else {},
        lineage=held.lineage if held else None,
        signature=held.signature if held else None,
        checks=checks,
    )


def _ask_github(
    sources: _Sources, *commits: CommitFacts | None
) -> dict[int, PullRequestFacts | MlgitopsError] | None:
    """Ask for each pull request that the commits name; None where nobody can be asked."""
    if sources.ask_github is None:
        return None
    answers: dict[int, PullRequestFacts | MlgitopsError] = {}
    for number in {commit.pull_request for commit in commits if commit} - {None}:
        try:
            answers[number or 0] = sources.ask_github(number or 0)
        except MlgitopsError as error:
            answers[number or 0] = error
    return answers


def _pick(
    requests: Mapping[int, PullRequestFacts | MlgitopsError] | None, commit: CommitFacts | None
) -> PullRequestFacts | None:
    request = (requests or {}).get((commit.pull_request if commit else None) or 0)
    return request if isinstance(request, PullRequestFacts) else None


def _train_again(
    sources: _Sources, entry: LedgerEntry, checks: Sequence[Check]
) -> tuple[Check, ...]:
    """Train the model again; not where a check failed, or the code may be anybody's."""
    if any(check.state in {CheckState.FAILS, CheckState.OPEN} for check in checks):
        detail = "no code is run where a check before it does not hold"
        return (Check(name=BYTES, state=CheckState.OPEN, detail=detail),)
    model = ServedModel(
        project=sources.project,
        repository=sources.repository,
        prefix=sources.prefix,
        revision=entry.revision,
        sha256=entry.sha256,
    )
    return reproduce_model(model, sources.console)


def _read_pipeline(repository: Repository, commit: str) -> Pipeline | None:
    """Read the pipeline at ``commit``; None where the commit or the pipeline cannot be read."""
    if repository.find(commit) is None:
        return None
    try:
        return read_at_revision(repository, commit)
    except MlgitopsError:
        return None  # the checks of model.json and dvc.lock say why


def _make_check(name: str, step: Callable[[Subject], str], subject: Subject) -> Check:
    try:
        return Check(name=name, state=CheckState.HOLDS, detail=step(subject))
    except AbsentError as error:
        return Check(name=name, state=CheckState.ABSENT, detail=_show(error))
    except UnverifiedError as error:
        return Check(name=name, state=CheckState.UNVERIFIED, detail=_show(error))
    except OpenError as error:
        return Check(name=name, state=CheckState.OPEN, detail=_show(error))
    except MlgitopsError as error:
        return Check(name=name, state=CheckState.FAILS, detail=_show(error))


def _show(error: MlgitopsError) -> str:
    return f"{error.where}: {error.what}" if error.where else error.what


def _explain_nothing(
    environment: str, asked: str | None, entries: Sequence[LedgerEntry]
) -> MlgitopsError:
    if not entries:
        return MlgitopsError(
            f"the ledger holds nothing of {environment}",
            where=f"branch {BRANCH}",
            hint=f"`mlgitops deploy {environment}` writes its first entry; `mlgitops history` lists"
            " the environments that have one",
        )
    problem = f"nothing was in service in {environment} then" if asked else "nothing is in service"
    stops = [entry for entry in entries if entry.event is Event.STOPPED]
    why = f"its first entry is of {entries[0].at}"
    if stops:
        why += f", and it was stopped at {stops[-1].at} by {stops[-1].actor or 'somebody'}"
    return MlgitopsError(f"{problem}: {why}", hint="`mlgitops history` shows all periods")
