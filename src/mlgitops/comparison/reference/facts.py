"""Head's metrics beside those of the reference, on the same rows: facts for the judge.

What base and head go through, the reference and head do: differences, staleness, predictions.
Reads git, disk and DVC's cache, and fetches what is missing.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from mlgitops.comparison.diff import diff_data, diff_metrics, diff_params, diff_stages
from mlgitops.comparison.evidence import add_evidence
from mlgitops.comparison.reference.resolve import find_reference
from mlgitops.comparison.sides import REFERENCE, SideFiles, read_beside
from mlgitops.comparison.test_data import align_hashes, compare_hashes, find_test_data, identify
from mlgitops.dvc.metrics import MetricSet
from mlgitops.errors import MlgitopsError
from mlgitops.judgement.absence import Absences
from mlgitops.judgement.judge import is_untouched
from mlgitops.judgement.moved import Joined
from mlgitops.judgement.reference import put_in_place, select_rules
from mlgitops.model import Omitted, Reference, Rescoring, TestData

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlgitops.comparison.measuring.run import Measured
    from mlgitops.comparison.prediction_files import PredictionFiles
    from mlgitops.comparison.stale import Staleness
    from mlgitops.console import Console
    from mlgitops.model import MetricChange, Policy, Report

_MAX_TEXT, _MAX_NAME = 500, 100


def hold_against_reference(
    report: Report,
    policy: Policy,
    files: PredictionFiles,
    stale: Staleness,
    console: Console,
    *,
    rows: Mapping[str, bytes] | None,
) -> Report:
    """Return ``report`` with head's metrics beside those of the reference, if the policy has one.

    Where that cannot be, with the reason in their place. ``rows`` (path → contents) stand in for
    the test data that head's run wrote.
    """
    rules = select_rules(policy)
    if policy.reference is None or not rules.metrics:
        return report
    reference = Reference(name=policy.reference, label=policy.reference[:_MAX_NAME])
    base = files.base
    try:
        target = find_reference(base.folder, policy.reference, base=base.sha or "", key=report.key)
        reference = msgspec.structs.replace(reference, sha=target.sha, label=target.label)
        side = SideFiles(name=REFERENCE, sha=target.sha, folder=base.folder)
        read_beside(side, base, console)
        reference, measured = _compare(
            reference, report, rules, side, files, console=console, rows=rows
        )
        rescored = measured.predictions if measured is not None else None
        compared = _add_noise(reference, report, rules, files.against(side, rescored), stale)
    except MlgitopsError as error:
        reason = _say(error)
        reference = Reference(
            name=reference.name, label=reference.label, sha=reference.sha, reason=reason
        )
        return msgspec.structs.replace(report, reference=reference)
    notices = (*report.notices, *(notice[:_MAX_TEXT] for notice in compared.notices))
    return msgspec.structs.replace(
        report,
        reference=msgspec.structs.replace(
            reference, metrics=select_judged(compared.metrics, rules)
        ),
        notices=notices,
    )


def _compare(
    reference: Reference,
    report: Report,
    rules: Policy,
    side: SideFiles,
    files: PredictionFiles,
    *,
    console: Console,
    rows: Mapping[str, bytes] | None,
) -> tuple[Reference, Measured | None]:
    """Set the metrics beside each other, the reference's measured anew where that is needed."""
    path, head = rules.files.test_data, files.head
    if path:
        find_test_data(path, side, head, console)
    test_data = identify(side, path) if path else None
    likeness = compare_hashes(
        *align_hashes(path or "", (side, test_data), (head, report.head.test_data)),
        is_hidden=bool(path) and side.find_broken(path or "") is not None,
    )
    heads = _read_head(report, head)
    reference = msgspec.structs.replace(
        reference,
        test_data=test_data,
        rows=likeness,
        metrics=diff_metrics(side.metrics, heads),
        untouched=is_untouched_between(report, side, head),
    )
    if likeness is not TestData.CHANGED:
        return reference, None
    from mlgitops.comparison.measuring.rescore import set_metrics
    from mlgitops.comparison.reference.measure import measure_reference

    start = time.perf_counter()
    measured = measure_reference(rules.files, files.base, side, head, console, rows=rows)
    facts = Rescoring(
        paths=tuple(sorted(measured.metrics)),
        rows=None if measured.predictions is None else measured.predictions.rows,
        seconds=round(time.perf_counter() - start, 3),
    )
    metrics = set_metrics(side.metrics, measured.metrics, heads)
    return msgspec.structs.replace(reference, metrics=metrics, rescoring=facts), measured


def _read_head(report: Report, head: SideFiles) -> dict[str, MetricSet]:
    """Return head's metrics as the report has them, which may be measured anew."""
    sets = dict(head.metrics)
    for change in report.metrics:
        if change.head is not None:
            stated = sets.get(change.path, MetricSet())
            values = {**stated.values, change.name: change.head}
            sets[change.path] = msgspec.structs.replace(stated, values=values)
    return sets


def is_untouched_between(report: Report, base: SideFiles, head: SideFiles) -> bool:
    """Tell whether nothing that a model is made of differs between the two commits.

    ``report``: of head against the one that stands in base's place. Reads git.
    """
    tracked = {*base.folder.list_files(base.sha), *head.folder.list_files(head.sha)}
    return is_untouched(
        msgspec.structs.replace(
            report,
            params=diff_params(base.params, head.params),
            data=diff_data(base.pipeline, head.pipeline, tracked),
            stages=diff_stages(base.pipeline, head.pipeline, {}),
            omitted=Omitted(),
        )
    )


def _add_noise(
    reference: Reference,
    report: Report,
    rules: Policy,
    files: PredictionFiles,
    stale: Staleness,
) -> Report:
    """Return head's report against the reference in base's place, with what predictions say."""
    side = files.base
    absences = Absences(reference.metrics, side.pipeline, side.metrics)
    metrics = stale.mark(absences.mark(reference.metrics))
    reference = msgspec.structs.replace(reference, metrics=metrics)
    return add_evidence(put_in_place(report, reference), rules, files)


def select_judged(metrics: tuple[MetricChange, ...], rules: Policy) -> tuple[MetricChange, ...]:
    """Keep the metrics that a limit is set for; of one that moved, both of its files."""
    joined = Joined(metrics)
    judged = [change for name in rules.metrics for change in joined.match(name)]
    names = {(change.path, change.name) for change in judged}
    names |= {
        (origin.removesuffix(f":{change.name}"), change.name)
        for origin, change in joined.moved.items()
        if change in judged
    }
    return tuple(change for change in metrics if (change.path, change.name) in names)


def _say(error: MlgitopsError) -> str:
    where = f"{error.where}: " if error.where else ""
    return f"{where}{error.what}".splitlines()[0].rstrip(".")[:_MAX_TEXT]
