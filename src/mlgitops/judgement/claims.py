"""Who measured what is judged: base's code, or the pull request's own run. Pure.

In: a report whose `measurement` says what base's code measured, and the verdicts on its numbers.
Out: the verdicts with why a number is a claim. A judged number that the run claims and base's code
does not confirm fails, whatever the policy says; a claim without a measurement fails where the
policy asks for independent evidence. Budgets are what was spent, and always the run's word.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from mlgitops.judgement.slices import name_rule
from mlgitops.model import DemandedEvidence, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mlgitops.model import Measurement, MetricChange, MetricVerdict, Report, SliceVerdict

#: How far two computations of one number may lie apart: a fraction of it, or in its unit.
RELATIVE, ABSOLUTE = 1e-6, 1e-9
#: A last stored digit that is worth more than this fraction of a number is no rounding.
_COARSEST_DIGIT = 1e-3
_SELF_REPORTED = "is self-reported by the pull request: "
_BROKEN = "does not hold: it "
_MOST_NAMES = 5
_MAX_TEXT = 500


def agrees(claimed: float, measured: float) -> bool:
    """Tell whether a claim is the measured number, but for rounding.

    Within 1e-6 of it or 1e-9 of its unit, or one of the last digits that were stored of either,
    where that digit is worth at most a thousandth of the number.

    >>> agrees(0.7123, 0.7124), agrees(0.99, 0.98), agrees(0.7123, 0.712349)
    (True, False, False)
    """
    if math.isclose(claimed, measured, rel_tol=RELATIVE, abs_tol=ABSOLUTE):
        return True
    digit = min(_find_last_digit(claimed), _find_last_digit(measured))
    apart = abs(claimed - measured)
    return digit < 1 and digit <= _COARSEST_DIGIT * abs(measured) and apart < 1.5 * digit


def find_claim(change: MetricChange, measurement: Measurement | None) -> str | None:
    """Say why head's value is its own run's word alone.

    None where base's code measured it, and where that was not tried: then nothing is demanded.
    """
    if measurement is None or change.head is None:
        return None
    if measurement.reason is not None:
        return measurement.reason.rstrip(".")
    if change.path not in measurement.paths:
        return f"base's code does not write `{change.path}`"
    if change.evidence is not None and measurement.rows is None:
        return "its noise is of predictions that base's code did not write"
    return None


def describe_broken(change: MetricChange, measurement: Measurement | None) -> str | None:
    """Say what the run claims of a metric that base's code measured otherwise; None if it agrees.

    What follows the metric's name, such as "is 0.99 by its own run and 0.71 by base's code".
    """
    claimed, measured = change.head_claimed, change.head
    if measurement is None or claimed is None:
        return None
    if measured is None:
        return f"is {claimed:.6g} by its own run, and base's code has no value of it"
    if agrees(claimed, measured):
        return None
    own, base = _show_apart(claimed, measured)
    return f"is {own} by its own run and {base} by base's code"


def weigh_metric(
    verdict: MetricVerdict, change: MetricChange, report: Report, demanded: DemandedEvidence
) -> MetricVerdict:
    """Return the verdict with what is held against the evidence of head's value.

    Where the change edits the code that measures, its claims are of other code: no fail.
    """
    measurement = report.measurement
    if verdict.budget or change in report.cost:
        return verdict
    broken = describe_broken(change, measurement)
    is_edited = measurement is not None and bool(measurement.edited)
    reasons = [f"{_BROKEN}{broken}"] if broken and not is_edited else []
    reasons += verdict.reasons
    why = find_claim(change, measurement)
    claimed = f"{_SELF_REPORTED}{why}"[:_MAX_TEXT] if why else None
    if claimed and demanded is DemandedEvidence.INDEPENDENT:
        reasons.append(claimed)
    outcome = Verdict.FAIL if reasons else verdict.verdict
    return msgspec.structs.replace(
        verdict, verdict=outcome, reasons=tuple(reasons), claimed=claimed
    )


def weigh_slices(
    verdicts: Iterable[SliceVerdict], report: Report, demanded: DemandedEvidence
) -> tuple[SliceVerdict, ...]:
    """Return the verdicts on slice rules with why their groups are a claim: all, or none."""
    why = _find_slice_claim(report.measurement)
    if why is None:
        return tuple(verdicts)
    claimed = f"{_SELF_REPORTED}{why}"[:_MAX_TEXT]
    fails = demanded is DemandedEvidence.INDEPENDENT
    return tuple(
        msgspec.structs.replace(
            verdict,
            verdict=Verdict.FAIL if fails else verdict.verdict,
            reasons=(*verdict.reasons, claimed) if fails else verdict.reasons,
            claimed=claimed,
        )
        for verdict in verdicts
    )


def find_broken(verdict: MetricVerdict) -> str | None:
    """Return what the run claims of this metric that does not hold; what follows its name."""
    broken = (reason for reason in verdict.reasons if reason.startswith(_BROKEN))
    return next((reason.removeprefix(_BROKEN) for reason in broken), None)


def list_failures(metrics: Sequence[MetricVerdict], slices: Sequence[SliceVerdict]) -> list[str]:
    """List why the failing ``metrics`` and ``slices`` fail: what is no evidence at all first.

    Claims that do not hold are one sentence, and so are those that nobody measured.
    """
    rest = [
        f"`{row.name}` {reason}"[:_MAX_TEXT]
        for row in metrics
        for reason in row.reasons
        if not (reason == row.claimed or reason.startswith(_BROKEN))
    ]
    rest += [reason for row in slices for reason in row.reasons if reason != row.claimed]
    return [*_list_broken(metrics), *_list_unmeasured(metrics, slices), *rest]


def _list_broken(metrics: Sequence[MetricVerdict]) -> list[str]:
    """Say in one sentence which claims do not hold."""
    claims = ((row.name, find_broken(row)) for row in metrics)
    broken = [f"`{name}` {text}" for name, text in claims if text is not None]
    if not broken:
        return []
    more = [f"and {len(broken) - _MOST_NAMES} more"] if len(broken) > _MOST_NAMES else []
    named = "; ".join([*broken[:_MOST_NAMES], *more])
    return [f"the pull request's numbers do not hold: {named}"[:_MAX_TEXT]]


def _list_unmeasured(metrics: Sequence[MetricVerdict], slices: Sequence[SliceVerdict]) -> list[str]:
    """Say of each reason which numbers are only claimed though the policy asks for more."""
    names: dict[str, list[str]] = {}
    for row in metrics:
        if row.claimed is not None and row.claimed in row.reasons:
            names.setdefault(row.claimed, []).append(f"`{row.name}`")
    for rule in slices:
        if rule.claimed is not None and rule.claimed in rule.reasons:
            names.setdefault(rule.claimed, []).append(name_rule(rule.rule))
    return [
        "the policy asks for `evidence: independent`, and there is none for"
        f" {_join(group)}: {claimed.removeprefix(_SELF_REPORTED)}"[:_MAX_TEXT]
        for claimed, group in names.items()
    ]


def _find_slice_claim(measurement: Measurement | None) -> str | None:
    """Say why the groups' values are the run's word alone; they come from its predictions."""
    if measurement is None:
        return None
    if measurement.reason is not None:
        return measurement.reason.rstrip(".")
    return "base's code writes no predictions" if measurement.rows is None else None


def _find_last_digit(number: float) -> float:
    """Return what the last digit of a number is worth, as it was stored."""
    exponent = Decimal(repr(number)).normalize().as_tuple().exponent
    return math.inf if isinstance(exponent, str) else float(10.0**exponent)


def _show_apart(*numbers: float) -> list[str]:
    """Write numbers with as few digits as tell them apart, at least two."""
    for digits in range(2, 18):
        texts = [f"{number:.{digits}g}" for number in numbers]
        if len(set(texts)) == len(numbers):
            break
    return texts


def _join(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more
