"""A promotion judged: the model that head wants for an environment against the one wanted there.

Both are merged commits. They are judged as base and head are, by the policy's metrics; its budgets
and slices were judged when each was merged. A way back is shown and not held against the limits:
that model was approved for this environment before, and whoever goes back has a reason that the
test rows do not show. What cannot be compared is undecided. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mlgitops.judgement.reference import leave_undecided
from mlgitops.model import Omitted, Policy, Report, Side, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlgitops.model import MetricVerdict, Promotion, PromotionVerdict

_COST = "cost."
_MAX_NAME, _MAX_TEXT = 200, 500
_NOBODY = "is not compared with what runs there"


def select_promotion_rules(policy: Policy) -> Policy:
    """Return the policy of a promotion: its metrics, without costs."""
    rules = {
        name: rule
        for name, rule in policy.metrics.items()
        if not name.rpartition(":")[2].startswith(_COST)
    }
    return Policy(
        confidence=policy.confidence,
        files=policy.files,
        metrics=rules,
        cluster=policy.cluster,
        inconclusive=policy.inconclusive,
    )


def put_promotion(report: Report, promotion: Promotion) -> Report:
    """Return the report of the promoted model against the one that is wanted there."""
    sides = [
        Side(sha=model.sha, ref=model.label, test_data=model.test_data) if model else Side(sha=None)
        for model in (promotion.base, promotion.head)
    ]
    return Report(
        schema=report.schema,
        key=report.key,
        base=sides[0],
        head=sides[1],
        test_data=promotion.rows,
        rescoring=promotion.rescoring,
        metrics=promotion.metrics,
        omitted=Omitted(stages=0 if promotion.untouched else 1),  # one that is not the same
    )


def name_in(name: str, environment: str) -> str:
    """Name a metric as held against what an environment wants.

    >>> name_in("test.roc_auc", "production")
    'test.roc_auc in production'
    """
    return f"{name} in {environment}"[:_MAX_NAME]


def leave_promotion(promotion: Promotion, rules: Policy) -> tuple[MetricVerdict, ...]:
    """Return the verdicts of a promotion whose models could not be compared."""
    verdicts = tuple(
        leave_undecided(name, rule, f"{_NOBODY}: {promotion.reason}")
        for name, rule in rules.metrics.items()
    )
    return excuse(promotion, verdicts)


def excuse(promotion: Promotion, verdicts: tuple[MetricVerdict, ...]) -> tuple[MetricVerdict, ...]:
    """Return ``verdicts`` as what is only shown, where the promotion is a way back."""
    if not promotion.is_return:
        return verdicts
    return tuple(
        msgspec.structs.replace(verdict, verdict=Verdict.SKIP, unproven=None)
        for verdict in verdicts
    )


def list_promotion_failures(promotions: Sequence[PromotionVerdict], outcome: Verdict) -> list[str]:
    """Say why the verdicts with ``outcome`` are no pass, one sentence each."""
    return [
        f"in `{promotion.environment}`: `{row.name}` {reason}"[:_MAX_TEXT]
        for promotion in promotions
        for row in promotion.metrics
        if row.verdict is outcome
        for reason in row.reasons
    ]


def list_deciding(promotions: Sequence[PromotionVerdict], *, has_failed: bool) -> list[str]:
    """Name the metrics that a promotion is about: what fails there, else the first of each.

    ``has_failed``: something else fails, and is told first.
    """
    rows = [(promotion, row) for promotion in promotions for row in promotion.metrics]
    failing = [pair for pair in rows if pair[1].verdict is Verdict.FAIL]
    shown = failing or ([] if has_failed else rows)
    return [name_in(row.name, promotion.environment) for promotion, row in shown]
