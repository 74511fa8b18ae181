"""Base's stored model under base's own code, on the rows on which head's was measured.

What base has stored came with an earlier pull request: the word of that one's run, or of other
code. Where base's code measures otherwise, what it measures is base's.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec.structs import replace

from mlgitops.comparison.measuring.plan import plan_measuring
from mlgitops.comparison.measuring.rescore import set_metrics
from mlgitops.comparison.measuring.run import TIMEOUT, Measured, explain_failure, measure_model
from mlgitops.comparison.prediction_files import read_stored
from mlgitops.comparison.sides import fetch_missing
from mlgitops.dvc.metrics import MetricSet
from mlgitops.errors import MlgitopsError
from mlgitops.judgement.claims import agrees
from mlgitops.model import Rescoring

if TYPE_CHECKING:
    from mlgitops.comparison.measuring.head import HeadMeasured
    from mlgitops.comparison.measuring.plan import Plan
    from mlgitops.comparison.sides import SideFiles
    from mlgitops.console import Console
    from mlgitops.model import Files, Policy, Report

_UNKNOWN = "Whether what base has stored is what its code measures of its model is not known: {}."
_MAX_TEXT = 500


def renew_base(
    report: Report,
    policy: Policy,
    base: SideFiles,
    head: SideFiles,
    console: Console,
    *,
    trial: HeadMeasured,
) -> tuple[Report, Measured | None]:
    """Put what base's code measures of its own model in place of what base has stored, if other.

    On the rows of ``trial``, which are base's own. What is stored remains where it agrees, and
    with a notice where nothing can be measured.
    """
    is_judged = bool(policy.metrics or policy.slices)
    if trial.result is None or trial.rows is None or not is_judged:
        return report, None
    start = time.perf_counter()
    try:
        measured = _measure(policy.files, base, head, dict(trial.rows.contents), console)
    except (MlgitopsError, ImportError) as error:
        text = _UNKNOWN.format(explain_failure(error))[:_MAX_TEXT]
        return replace(report, notices=(*report.notices, text)), None
    if _has_same_values(base, measured) and _has_same_answers(policy.files, base, measured):
        return report, None
    facts = Rescoring(
        paths=tuple(sorted(measured.metrics)),
        rows=None if measured.predictions is None else measured.predictions.rows,
        seconds=round(time.perf_counter() - start, 3),
    )
    metrics = set_metrics(base.metrics, measured.metrics, trial.metrics)
    return replace(report, metrics=metrics, rescoring=facts), measured


def _measure(
    files: Files, base: SideFiles, head: SideFiles, rows: dict[str, bytes], console: Console
) -> Measured:
    plan = plan_measuring(base.pipeline, files, base.folder.list_files(base.sha))
    wanted = {*plan.objects, *plan.of_model, *plan.outs.intersection({files.predictions or ""})}
    fetch_missing(base, head, lambda side: wanted if side.name == base.name else set(), console)
    given = {**_read_model(plan, base), **rows}
    with console.step("measuring base's model by its own code"):
        return measure_model(plan, base, given, files.predictions, timeout=TIMEOUT)


def _read_model(plan: Plan, base: SideFiles) -> dict[str, bytes]:
    """Read base's model by its hash; what a file beside it says of it is the run's word."""
    contents = {}
    for path in sorted(plan.of_model):
        data = base.read_kept(path)
        if data is None:
            raise MlgitopsError(f"`{path}` of base is not here: neither cache nor storage has it")
        contents[path] = data
    return contents


def _has_same_values(base: SideFiles, measured: Measured) -> bool:
    """Tell whether base has stored the very metrics that were measured, but for rounding."""
    for path, fresh in measured.metrics.items():
        stored = base.metrics.get(path, MetricSet()).values
        if stored.keys() != fresh.values.keys():
            return False
        if not all(agrees(stored[name], value) for name, value in fresh.values.items()):
            return False
    return True


def _has_same_answers(files: Files, base: SideFiles, measured: Measured) -> bool:
    """Tell whether base has stored the very predictions that were measured, but for rounding."""
    if files.predictions is None or measured.predictions is None:
        return True
    from mlgitops.comparison.measuring.answers import gives_same_answers

    with suppress(MlgitopsError):  # what cannot be read is not the same
        stored = read_stored(base, files.predictions)
        return stored is not None and gives_same_answers(stored, measured.predictions)
    return False
