"""The seam between slices and the report: predictions and slice rules to facts.

Reads predictions through :class:`mlgitops.comparison.pairing.Pairing`. A rule that cannot be
evaluated is in the result with its reason; the judge lets it fail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mlgitops.errors import MlgitopsError
from mlgitops.model import SliceFacts

if TYPE_CHECKING:
    from mlgitops.comparison.pairing import Pairing
    from mlgitops.model import Policy, Report, SliceRule
    from mlgitops.statistics.matching import Pair

_MAX_TEXT = 500
OTHER_ROWS = "the test data is not the same as at base"


def measure_rules(report: Report, policy: Policy, pairing: Pairing) -> tuple[SliceFacts, ...]:
    """Measure every slice rule of ``policy`` on head's predictions, beside base's."""
    if pairing.files.path is None:
        return _all_fail(policy, "the policy names no `files.predictions`")
    try:
        return _measure(report, policy, pairing)
    except MlgitopsError as error:
        return _all_fail(policy, error.what)
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "numpy":
            raise
        return _all_fail(policy, "the package numpy is not installed (`mlgitops[statistics]`)")


def _measure(report: Report, policy: Policy, pairing: Pairing) -> tuple[SliceFacts, ...]:
    from mlgitops.statistics.matching import match_predictions
    from mlgitops.statistics.slices import measure_slices
    from mlgitops.statistics.stored import describe_lost

    files = pairing.files
    head = files.read(files.head)
    if head is None:
        return _all_fail(policy, f"`{files.path}` is not available at head")
    pair, problem = _find_pair(report, pairing)
    if pair is not None and pair.lost:
        return _all_fail(policy, describe_lost(pair))
    facts = measure_slices(
        pair or match_predictions(head, head),
        policy.slices,
        confidence=policy.confidence,
        cluster=policy.cluster,
        with_base=pair is not None,
    )
    return tuple(
        _check_columns(msgspec.structs.replace(fact, base_reason=problem), set(head.columns))
        for fact in facts
    )


def _find_pair(report: Report, pairing: Pairing) -> tuple[Pair | None, str | None]:
    """Return both sides' matched rows, or the reason why base cannot be set beside head."""
    files = pairing.files
    if not files.exists(files.base):
        broken = files.base.find_broken(files.path or "")
        # Without a reason they are the first ones: there is nothing to lose yet.
        return None, f"{broken} could not be read at base" if broken else None
    if not files.on_same_rows(report):
        return None, OTHER_ROWS
    try:
        pair = pairing.pair
    except MlgitopsError as error:
        return None, error.what.rstrip(".")[:_MAX_TEXT]
    return (pair, None) if pair.rows else (None, "base and head share no test rows")


def _check_columns(fact: SliceFacts, columns: set[str]) -> SliceFacts:
    """Refuse a rule whose column head no longer has, though base still does."""
    gone = [name for name in fact.by if name not in columns]
    if not gone or fact.reason:
        return fact
    reason = f"head's predictions have no column `{gone[0][:80]}`"
    return _fail(fact, reason)


def _all_fail(policy: Policy, reason: str) -> tuple[SliceFacts, ...]:
    return tuple(_fail(rule, reason) for rule in policy.slices)


def _fail(rule: SliceRule | SliceFacts, reason: str) -> SliceFacts:
    """Return facts without numbers."""
    return SliceFacts(
        by=rule.by,
        metric=rule.metric,
        statistic=rule.statistic,
        min_rows=rule.min_rows,
        reason=reason.rstrip(".")[:_MAX_TEXT],
    )
