"""Two revisions to a report: read, parse, diff, judge. The line that `compare` runs.

Reads git and disk through :mod:`mlgitops.comparison.sides`; decides nothing that diff and
judge do not.
"""

from __future__ import annotations

from posixpath import relpath
from typing import TYPE_CHECKING

import msgspec

from mlgitops.comparison.cost.changes import compare_cost
from mlgitops.comparison.diff import diff_data, diff_metrics, diff_params, diff_stages
from mlgitops.comparison.looks import count_looks
from mlgitops.comparison.prediction_files import PredictionFiles
from mlgitops.comparison.promotion.resolve import list_edited, list_environments
from mlgitops.comparison.protected import MAX_PROTECTED, find_measuring, find_protected, find_traces
from mlgitops.comparison.run_claims import take_cost, take_stages
from mlgitops.comparison.sampling import find_sampling
from mlgitops.comparison.seed_files import SeedFiles
from mlgitops.comparison.sides import SideFiles, read_sides
from mlgitops.comparison.staleness import find_stale
from mlgitops.comparison.tables.changes import compare_tables
from mlgitops.comparison.test_data import align_hashes, compare_hashes, find_test_data, identify
from mlgitops.comparison.trend import read_trend
from mlgitops.dvc.runs import read_run
from mlgitops.errors import MlgitopsError
from mlgitops.git.paths import is_below
from mlgitops.judgement.absence import Absences
from mlgitops.judgement.judge import judge_report
from mlgitops.judgement.policy import parse_policy
from mlgitops.model import (
    REPORT_SCHEMA,
    Judgement,
    Omitted,
    Policy,
    Report,
    Side,
    TestData,
    Verdict,
)
from mlgitops.model.wire import fit_report

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlgitops.comparison.charts.plots import Renewed
    from mlgitops.comparison.measuring.head import HeadMeasured
    from mlgitops.comparison.measuring.run import Measured
    from mlgitops.comparison.stale import Staleness
    from mlgitops.console import Console
    from mlgitops.git.repository import Folder
    from mlgitops.model import MetricChange, TableChange
    from mlgitops.tables.predictions import Predictions

POLICY = "policy.yaml"
NO_POLICY = (
    "There is no `policy.yaml`, so nothing was judged. Say what a model must satisfy, such as "
    "`metrics: {test.accuracy: {greater_is_better: true, max_worsening: 0.01}}` below `version: 1`."
)
NO_METRICS = (
    "No dvc.yaml declares a metric, so none was compared. Two lines at the end of one would, for"
    " the file that your pipeline writes: `metrics:` and `  - metrics.json`."
)
_MAX_NOTICES = 50
_MAX_MISTAKES = 20


class _Request(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for: two sides of which project, and where its policy stands."""

    base: Side
    head: Side
    key: str
    policy_path: str


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """How head's stored model is to be measured by base's code."""

    results: str  # the commit that holds the results of head's run
    claimed: Report  # that run's own report
    timeout: float  # seconds that a stage may take


def compare(
    folder: Folder,
    base: Side,
    head: Side,
    *,
    worktree: bool,
    policy_path: str,
    key: str,
    console: Console,
    evaluation: Evaluation | None = None,
) -> Report:
    """Compare two sides of a project and judge the difference by the policy at base.

    ``worktree``: head is what stands on disk; with an ``evaluation``, what its commit of results
    holds, and the numbers are those that base's code measures. Raises :class:`MlgitopsError`
    when there is nothing to compare, or when head's pipeline is malformed. Where base's policy
    is, the facts are in the report, and the verdict is undecided.
    """
    base_side = SideFiles(name="base", sha=base.sha, folder=folder)
    revision = evaluation.results if evaluation else head.sha
    head_side = SideFiles(name="head", sha=None if worktree else revision, folder=folder)
    request = _Request(base=base, head=head, key=key, policy_path=policy_path)
    policy, notices = read_policy(base_side, head_side, policy_path)
    read_sides(base_side, head_side, console)
    _check_found(base_side, head_side)
    stale = find_stale(head_side, base_side, doubted=evaluation is None)
    applied = policy if isinstance(policy, Policy) else Policy()
    if applied.files.test_data:
        find_test_data(applied.files.test_data, base_side, head_side, console)
    tables = compare_tables(base_side, head_side, applied, console)
    cost = compare_cost(base_side, head_side, applied)
    if evaluation is not None:
        cost = take_cost(cost, evaluation.claimed.cost)
    trial = _measure_head(evaluation, applied, base_side, head_side, console)
    notices += [*(trial.notices if trial is not None else ()), *stale.notices]
    notices += [*base_side.notices, *head_side.notices]
    report = _collect(
        base_side, head_side, applied, request, tables=tables, cost=cost, notices=notices
    )
    if evaluation is not None:
        stages = take_stages(report.stages, evaluation.claimed.stages)
        report = msgspec.structs.replace(report, stages=stages)
    report, rescored = _add_measured(report, applied, base_side, head_side, console, trial=trial)
    measured = trial.result.predictions if trial is not None and trial.result else None
    shares_model = trial is not None and trial.rows is None
    files = PredictionFiles(
        applied.files.predictions,
        *(base_side, head_side, console),
        stale=stale,
        rescored=rescored.predictions if rescored is not None else None,
        measured=measured,
        # Without rows of its own, head has base's model and rows, and base's stored answers.
        read={base_side.name: measured} if shares_model and measured is not None else {},
    )
    rows = trial.rows.contents if trial is not None and trial.rows is not None else None
    seeds = _open_seeds(applied, files, stale, evaluation, rows=rows, rescored=rescored)
    if isinstance(policy, Policy):
        report = _add_promotions(report, policy, base_side, head_side, console, commit=head.sha)
    judged = _judge(report, policy, files, stale, console, seeds=seeds, rows=rows)
    return fit_report(_add_plots(judged, applied, base_side, head_side, rescored))


def _open_seeds(
    policy: Policy,
    files: PredictionFiles,
    stale: Staleness,
    evaluation: Evaluation | None,
    *,
    rows: Mapping[str, bytes] | None,
    rescored: Measured | None,
) -> SeedFiles:
    """Find the models of other seeds, measured anew wherever the served ones were.

    ``rows`` are those on which head was measured anew; None: it was not.
    """
    anew = [] if rows is None else [(files.head, rows)]
    if rescored is not None and policy.files.test_data is not None:
        data = files.head.read_anywhere(policy.files.test_data) or b""
        anew.append((files.base, rows or {policy.files.test_data: data}))
    measured: dict[str, dict[str, Predictions] | MlgitopsError] = {}
    if policy.files.seeds and anew:
        from mlgitops.comparison.measuring.run import TIMEOUT
        from mlgitops.comparison.measuring.seeds import measure_seeds

        sides = files.base, files.head
        timeout = evaluation.timeout if evaluation is not None else TIMEOUT
        measured = {
            side.name: measure_seeds(
                policy.files, *sides, side, contents, console=files.console, timeout=timeout
            )
            for side, contents in anew
        }
    return SeedFiles(policy.files.seeds, files, stale=stale, measured=measured)


def _limit_notices(notices: list[str]) -> tuple[str, ...]:
    lost = len(notices) - _MAX_NOTICES
    more = [f"{lost} more notices are left out."] if lost > 0 else []
    return (*notices[:_MAX_NOTICES], *more)


def read_policy(
    base: SideFiles, head: SideFiles, path: str
) -> tuple[Policy | MlgitopsError | None, list[str]]:
    """Read the policy at base, and what a reader must know of it.

    Head's when base has none; None when there is none. An error stands for one at base that
    cannot be read: head's must not judge in its place.
    """
    try:
        data = base.read(path)
        if data is not None:
            return parse_policy(data, where=f"{path} at base"), []
    except MlgitopsError as error:
        return error, []
    if form := _find_other_form(base, path):
        hint = "let git keep the policy as a file; a change that does so is judged by people"
        return MlgitopsError(form, where=f"{path} at base", hint=hint), []
    data = head.read(path)
    if data is None:
        if path != POLICY:
            raise MlgitopsError("there is no such policy, neither at base nor at head", where=path)
        return None, [NO_POLICY]
    notice = f"The base has no `{path}`: the one in this change was applied."[:500]
    return parse_policy(data, where=path), [notice]


def _find_other_form(base: SideFiles, path: str) -> str | None:
    """Say what base has in the policy's place that is no file in git; None when it has nothing."""
    if base.folder.has_folder(base.sha, path):
        return "the policy is a folder"
    if base.folder.find_module(base.sha, path):
        return "the policy lies in a submodule, whose files are not read"
    if base.folder.read(base.sha, f"{path}.dvc") is not None:
        return "DVC keeps the policy, and git has its pointer alone"
    return None


def _check_found(base: SideFiles, head: SideFiles) -> None:
    """Refuse a comparison where neither side has what its pipeline declares, or a pipeline."""
    if base.metrics or head.metrics:
        if _holds_metrics(base, head):
            return
        paths = ", ".join(sorted({*base.metrics, *head.metrics})[:5])
        hint = "run the pipeline and commit what it wrote: `mlgitops train`"
        raise MlgitopsError("the metrics files are on neither side", where=paths[:200], hint=hint)
    _refuse_unresolved(head, base)
    if not any(_uses_dvc(side) for side in (base, head)):
        hint = "`mlgitops new` makes a project that has one"
        raise MlgitopsError("there is no dvc.yaml, neither at base nor at head", hint=hint)
    head.notices.append(NO_METRICS)


def _refuse_unresolved(*sides: SideFiles) -> None:
    """Name the first template that is not known: its stage may be the one with the metrics."""
    for side in sides:
        for stage, reference in side.pipeline.unresolved.items():
            file, _, name = stage.rpartition(":")
            raise MlgitopsError(
                f"stage `{name[:80]}` was not read: `${{{reference}}}` is not known",
                where=f"{file or 'dvc.yaml'} at {side.name}",
                hint="mend the name, or set it in params.yaml or `vars`",
            )


def _holds_metrics(*sides: SideFiles) -> bool:
    """Tell whether a side has a metrics file at all, be it one that cannot be read."""
    sets = [metrics for side in sides for metrics in side.metrics.values()]
    return any(metrics.values or metrics.unusable or metrics.problem for metrics in sets)


def _uses_dvc(side: SideFiles) -> bool:
    """Tell whether a side has a pipeline, or data that DVC keeps."""
    pipeline = side.pipeline
    return bool(pipeline.stages or pipeline.locks or pipeline.pointers or pipeline.broken)


def _find_unread(base: SideFiles, head: SideFiles) -> list[str]:
    """Say why no metrics file could be read; nothing where one was, or none is declared."""
    sides = (base, head)
    if any(metrics.values for side in sides for metrics in side.metrics.values()):
        return []
    return [
        f"`{path}` at {side.name} {metrics.problem}"[:500]
        for side in sides
        for path, metrics in side.metrics.items()
        if metrics.problem
    ]


def _collect(
    base: SideFiles,
    head: SideFiles,
    policy: Policy,
    request: _Request,
    *,
    tables: tuple[TableChange, ...],
    cost: tuple[MetricChange, ...],
    notices: list[str],
) -> Report:
    """Put all facts together that are known before anything is judged."""
    tracked = {*base.folder.list_files(base.sha), *head.folder.list_files(head.sha)}
    changed = base.folder.repository.changed_files(base.sha, head.sha)
    path = policy.files.test_data
    before, after = (identify(side, path) if path else None for side in (base, head))
    observed = read_run(head.folder.place) if head.sha is None else {}
    protected = find_protected(changed, base, head, policy, request.policy_path)
    edited = [relpath(path, base.folder.prefix or ".") for path in changed]
    traces = find_traces((base, head), {request.policy_path})
    return Report(
        schema=REPORT_SCHEMA,
        key=request.key,
        base=msgspec.structs.replace(request.base, test_data=before),
        head=msgspec.structs.replace(request.head, test_data=after),
        test_data=compare_hashes(
            *align_hashes(path or "", (base, before), (head, after)),
            is_hidden=bool(path) and base.find_broken(path or "") is not None,
        ),
        sampling=find_sampling(head.params, policy),
        looks=count_looks(path, base, head),
        trend=read_trend(policy, base),
        metrics=diff_metrics(base.metrics, head.metrics),
        params=diff_params(base.params, head.params),
        data=diff_data(base.pipeline, head.pipeline, tracked),
        stages=diff_stages(base.pipeline, head.pipeline, observed, edited),
        tables=tables,
        cost=cost,
        policy_changed=not traces.isdisjoint(changed),
        protected=tuple(protected[:MAX_PROTECTED]),
        omitted=Omitted(protected=max(0, len(protected) - MAX_PROTECTED)),
        notices=_limit_notices(notices),
    )


def _add_promotions(
    report: Report,
    policy: Policy,
    base: SideFiles,
    head: SideFiles,
    console: Console,
    *,
    commit: str | None,
) -> Report:
    """Compare the models of environments, where this change edits what they want.

    What the base alone edited since they parted at ``commit`` is no part of the change.
    """
    changed = list_edited(base.folder.repository, base.sha, head.sha, commit)
    if not list_environments(base.folder, changed):
        return report
    from mlgitops.comparison.promotion.facts import compare_promotions

    return compare_promotions(report, policy, base, head, console, changed=changed)


def _measure_head(
    evaluation: Evaluation | None,
    policy: Policy,
    base: SideFiles,
    head: SideFiles,
    console: Console,
) -> HeadMeasured | None:
    """Measure head by base's code, where that is asked for."""
    if evaluation is None:
        return None
    from mlgitops.comparison.measuring.head import measure_head

    return measure_head(policy, base, head, console, timeout=evaluation.timeout)


def _add_measured(
    report: Report,
    policy: Policy,
    base: SideFiles,
    head: SideFiles,
    console: Console,
    *,
    trial: HeadMeasured | None,
) -> tuple[Report, Measured | None]:
    """Put what base's code measured into the report, of head and then of base on its rows."""
    if trial is None:
        return _rescore(report, policy, base, head, console, trial=None)
    changes = diff_metrics(base.metrics, trial.metrics)
    report = msgspec.structs.replace(report, measurement=trial.facts, metrics=changes)
    report, rescored = _rescore(report, policy, base, head, console, trial=trial)
    return msgspec.structs.replace(report, metrics=trial.mark(report.metrics)), rescored


def _rescore(
    report: Report,
    policy: Policy,
    base: SideFiles,
    head: SideFiles,
    console: Console,
    *,
    trial: HeadMeasured | None,
) -> tuple[Report, Measured | None]:
    """Measure base on head's test data where that is not base's own, or beside head's model."""
    if trial is not None and report.test_data is TestData.SAME:
        from mlgitops.comparison.measuring.base import renew_base

        return renew_base(report, policy, base, head, console, trial=trial)
    if report.test_data is not TestData.CHANGED:
        return report, None
    from mlgitops.comparison.measuring.rescore import rescore

    rows = trial.rows.contents if trial is not None and trial.rows is not None else None
    metrics = trial.metrics if trial is not None else None
    return rescore(report, policy, base, head, console, rows=rows, metrics=metrics)


def _judge(
    report: Report,
    policy: Policy | MlgitopsError | None,
    files: PredictionFiles,
    stale: Staleness,
    console: Console,
    *,
    seeds: SeedFiles,
    rows: Mapping[str, bytes] | None,
) -> Report:
    base, head = files.base, files.head
    if not isinstance(policy, Policy):
        reasons = str(policy).splitlines() if policy else _find_unread(base, head)
        judgement = _leave_open(reasons) if reasons else Judgement(verdict=Verdict.SKIP)
        return msgspec.structs.replace(_mark_stale(report, None, stale), judgement=judgement)
    from mlgitops.comparison.evidence import add_evidence

    absences = Absences(report.metrics, base.pipeline, base.metrics)
    report = msgspec.structs.replace(report, metrics=absences.mark(report.metrics))
    report = _mark_stale(report, policy.files.model, stale)
    report = add_evidence(report, policy, files, seeds)
    if policy.reference is not None:
        from mlgitops.comparison.reference.facts import hold_against_reference

        report = hold_against_reference(report, policy, files, stale, console, rows=rows)
    judged = judge_report(report, policy)
    skipped = judged.judgement is None or judged.judgement.verdict is Verdict.SKIP
    if skipped and (unread := _find_unread(base, head)):
        return msgspec.structs.replace(judged, judgement=_leave_open(unread))
    return judged


def _leave_open(reasons: list[str]) -> Judgement:
    """Decide nothing, for the policy at base or every metrics file cannot be read."""
    lines = tuple(line.strip(" -")[:500] for line in reasons[:_MAX_MISTAKES])
    return Judgement(verdict=Verdict.UNDECIDED, failures=lines)


def _mark_stale(report: Report, model: str | None, stale: Staleness) -> Report:
    """Say of each metric of head whether it is of an older run; of its cost, as of its model."""
    return msgspec.structs.replace(
        report,
        metrics=stale.mark(report.metrics),
        cost=stale.mark(report.cost, made_with=model),
    )


def _add_plots(
    report: Report,
    policy: Policy,
    base: SideFiles,
    head: SideFiles,
    rescored: Measured | None,
) -> Report:
    """Add the plots that dvc.yaml declares to the charts that predictions gave."""
    if not (base.pipeline.plots or head.pipeline.plots):
        return report
    from mlgitops.comparison.charts.plots import draw_plots

    renewed = _renew_plots(report, policy, base, rescored)
    plots = draw_plots(base, head, {chart.name for chart in report.charts}, renewed)
    return msgspec.structs.replace(report, charts=(*report.charts, *plots))


def _renew_plots(
    report: Report, policy: Policy, base: SideFiles, rescored: Measured | None
) -> Renewed:
    """Return what base's measuring stages plot on head's test data, where the test data changed.

    A curve of base on its own test data is not drawn over head's: None where there is no other.
    """
    if report.test_data is not TestData.CHANGED:
        return {}
    measuring = find_measuring(base.pipeline, policy).values()
    outs = {out for stage in measuring for out in stage.outs}
    fresh = rescored.plots if rescored is not None else {}
    return {path: fresh.get(path) for path in base.pipeline.plots if is_below(path, outs)}
