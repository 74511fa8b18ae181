"""Head's stored model under base's code: what base's measuring stages say of it.

The model comes by the hash in head's lock, the rows from base's or made by base's code, and
nothing of head runs. Where that cannot be done, the facts say why, and head's numbers remain the
claims of its own run.
"""

from __future__ import annotations

import hashlib
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from mlgitops.comparison.graph import Graph
from mlgitops.comparison.measuring.edited import find_edited
from mlgitops.comparison.measuring.kinds import refuse_code
from mlgitops.comparison.measuring.plan import leave_out, list_needed, plan_measuring
from mlgitops.comparison.measuring.rows import (
    Rows,
    describe_makers,
    find_rows,
    has_rows_of,
    read_claimed,
)
from mlgitops.comparison.measuring.run import Measured, explain_failure, measure_model
from mlgitops.comparison.prediction_files import read_stored
from mlgitops.comparison.sides import fetch_missing
from mlgitops.comparison.staleness import find_stale
from mlgitops.dvc.metrics import MetricSet
from mlgitops.errors import MlgitopsError
from mlgitops.model import Measurement

if TYPE_CHECKING:
    from mlgitops.comparison.measuring.plan import Plan
    from mlgitops.comparison.sides import SideFiles
    from mlgitops.console import Console
    from mlgitops.model import MetricChange, Policy

NO_VALUE = "has no value for it by base's code"
_OTHER_ANSWERS = (
    "The predictions that the pull request's run stored are not those that the base's code makes of"
    " its model: `{}`. After a merge they are the base's, with which the next change is compared."
)
_MAX_TEXT = 500
_MOST_EDITED = 100


class HeadMeasured(Struct, frozen=True, kw_only=True):
    """What base's code says of head's model, or why it says nothing."""

    facts: Measurement
    result: Measured | None = None  # None: nothing was measured
    rows: Rows | None = None  # on which it was, or may base's be; None: base's own
    notices: tuple[str, ...] = ()  # what a reader must know of the rows
    metrics: dict[str, MetricSet] = {}  # of head, with what was measured put in
    claimed: dict[str, MetricSet] = {}  # what head's own run wrote into the measured files

    def mark(self, changes: tuple[MetricChange, ...]) -> tuple[MetricChange, ...]:
        """Put beside each measured value what head's own run claims."""
        return tuple(
            replace(change, head_claimed=self.claimed[change.path].values.get(change.name))
            if change.path in self.claimed
            else change
            for change in changes
        )


def measure_head(
    policy: Policy, base: SideFiles, head: SideFiles, console: Console, *, timeout: float
) -> HeadMeasured:
    """Measure head's model by base's code; the values stand in place of head's own.

    Each stage may take ``timeout`` seconds. What head's own run does not state is not added: a
    metric that its code lost is lost all the same.
    """
    start = time.perf_counter()
    try:
        measured = _measure(policy, base, head, console, timeout=timeout)
    except (MlgitopsError, ImportError) as error:
        seconds = round(time.perf_counter() - start, 3)
        facts = Measurement(reason=explain_failure(error), seconds=seconds)
        return HeadMeasured(
            facts=_name_model(facts, policy, head),
            metrics=head.metrics,
            rows=read_claimed(policy.files, base, head, console),
        )
    result = measured.result
    assert result is not None  # noqa: S101 - nothing was raised
    claimed = {path: head.metrics.get(path, MetricSet()) for path in result.metrics}
    metrics = {path: _set_measured(claimed[path], fresh) for path, fresh in result.metrics.items()}
    seconds = round(time.perf_counter() - start, 3)
    return replace(
        measured,
        facts=replace(measured.facts, seconds=seconds),
        metrics=head.metrics | metrics,
        claimed=claimed,
    )


def _measure(
    policy: Policy, base: SideFiles, head: SideFiles, console: Console, *, timeout: float
) -> HeadMeasured:
    plan = plan_measuring(base.pipeline, policy.files, base.folder.list_files(base.sha))
    others = _list_others(plan, base, head)
    plan = leave_out(plan, others) if others else plan
    model = _read_model(plan, base, head, console)
    edited = find_edited(plan.stages, base, head)[:_MOST_EDITED]
    facts = Measurement(paths=tuple(sorted(plan.metrics)), edited=edited)
    facts = _set_digests(facts, model[plan.model])
    predictions = policy.files.predictions
    if stored := _find_stored(plan, base, head, predictions, console):
        rows = stored.predictions.rows if stored.predictions is not None else None
        notices = _check_answers(stored, base, head, predictions, console) if not edited else ()
        return HeadMeasured(facts=replace(facts, rows=rows), result=stored, notices=notices)
    rows_of_head = find_rows(plan, base, head, console, timeout=timeout)
    _fetch_objects(plan, base, head, console)
    given = {**rows_of_head.contents, **model}
    with console.step("measuring head's model by base's code"):
        without = _list_siblings(plan, base, head) - given.keys()
        result = measure_model(plan, base, given, predictions, timeout=timeout, without=without)
    rows = result.predictions.rows if result.predictions is not None else None
    notices = _check_answers(result, base, head, predictions, console) if not edited else ()
    return HeadMeasured(
        facts=replace(facts, rows=rows, rebuilt=rows_of_head.rebuilt),
        result=result,
        rows=rows_of_head,
        notices=(
            *rows_of_head.describe(head),
            *describe_makers(plan, base, head),
            *notices,
        ),
    )


def _list_others(plan: Plan, base: SideFiles, head: SideFiles) -> set[str]:
    """List what the stages need that is made apart from model and rows, and is not base's at head.

    A second model, say: base's would be measured in its place.
    """
    graph = Graph(base.pipeline)
    return {
        path
        for path in list_needed(plan.stages) - plan.of_model - plan.of_rows
        if graph.list_makers(path) and base.find_hash(path) != head.find_hash(path)
    }


def _list_siblings(plan: Plan, base: SideFiles, head: SideFiles) -> set[str]:
    """List what training writes beside the model, where head's is another: base's fits base's."""
    stages = [stage for stage in base.pipeline.stages.values() if plan.model in stage.outs]
    outs = {out for stage in stages for out in stage.outs}
    return {path for path in outs if base.find_hash(path) != head.find_hash(path)}


def _name_model(facts: Measurement, policy: Policy, head: SideFiles) -> Measurement:
    """Name head's model where nothing was measured, if its file is here: evidence is about it."""
    data = None
    with suppress(MlgitopsError):
        data = head.read_kept(policy.files.model) if policy.files.model else None
    return facts if data is None else _set_digests(facts, data)


def _set_digests(facts: Measurement, model: bytes) -> Measurement:
    """Name the model's file by DVC's hash, and by one that nobody finds a second file for."""
    md5 = hashlib.md5(model, usedforsecurity=False).hexdigest()
    return replace(facts, model=f"md5:{md5}", sha256=hashlib.sha256(model).hexdigest())


def _read_model(plan: Plan, base: SideFiles, head: SideFiles, console: Console) -> dict[str, bytes]:
    """Read head's model, and what belongs to it, by their hashes."""
    paths = set(plan.of_model)
    fetch_missing(base, head, lambda side: paths if side.name == head.name else set(), console)
    contents = {}
    for path in sorted(paths):
        data = head.read_kept(path)
        if data is None:
            raise MlgitopsError(
                f"`{path}` of head is not here: neither its run nor the storage has it"
            )
        if base.find_hash(path) != head.find_hash(path):
            refuse_code(path, data)
        contents[path] = data
    return contents


def _find_stored(
    plan: Plan, base: SideFiles, head: SideFiles, predictions: str | None, console: Console
) -> Measured | None:
    """Return base's stored values where head's model and test data are base's own.

    None where base's lock does not vouch for them, or one of them is not here.
    """
    same = has_rows_of(base, head, plan) and all(
        base.find_hash(path) is not None and base.find_hash(path) == head.find_hash(path)
        for path in plan.of_model
    )
    stale = find_stale(base, doubted=False)
    if not same or any(stale.explain(path) for path in plan.outs):
        return None
    metrics = {path: base.metrics.get(path, MetricSet()) for path in sorted(plan.metrics)}
    if any(not stored.values or stored.problem for stored in metrics.values()):
        return None
    if predictions is None or predictions not in plan.outs:
        return Measured(metrics=metrics, predictions=None, plots={})
    paths = {predictions}
    fetch_missing(base, head, lambda side: paths if side.name == base.name else set(), console)
    read = read_stored(base, predictions)
    return Measured(metrics=metrics, predictions=read, plots={}) if read is not None else None


def _check_answers(
    measured: Measured, base: SideFiles, head: SideFiles, path: str | None, console: Console
) -> tuple[str, ...]:
    """Say when head's run stored other predictions than those that were measured."""
    if path is None or measured.predictions is None or head.find_hash(path) is None:
        return ()
    from mlgitops.comparison.measuring.answers import gives_same_answers

    with suppress(MlgitopsError):  # what cannot be read is no evidence after a merge, either
        fetch_missing(base, head, lambda at: {path} if at.name == head.name else set(), console)
        stored = read_stored(head, path)
        if stored is None or gives_same_answers(stored, measured.predictions):
            return ()
        return (_OTHER_ANSWERS.format(path)[:_MAX_TEXT],)
    return ()


def _fetch_objects(plan: Plan, base: SideFiles, head: SideFiles, console: Console) -> None:
    paths = plan.objects.keys() - plan.of_model - plan.of_rows
    fetch_missing(base, head, lambda side: paths if side.name == base.name else set(), console)


def _set_measured(claimed: MetricSet, measured: MetricSet) -> MetricSet:
    """Put what was measured in place of what is claimed, name by name."""
    values = {name: measured.values[name] for name in claimed.values if name in measured.values}
    lost = {
        name: measured.unusable.get(name, NO_VALUE)
        for name in claimed.values
        if name not in measured.values
    }
    return replace(claimed, values=values, unusable={**lost, **claimed.unusable})
