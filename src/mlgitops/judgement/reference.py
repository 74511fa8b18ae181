"""Head against a reference that does not slide: the report and the policy with it in base's place.

Many changes may each lose less than their margin. Held against one commit that they all share, the
sum of them shows. What judges, shows and verifies a report against its base does the same with the
reference in base's place; only what cannot be read there is its own case: undecided. Pure.
"""

from __future__ import annotations

import re
from enum import StrEnum

import msgspec

from mlgitops.model import (
    Kind,
    MetricVerdict,
    Omitted,
    Policy,
    Reference,
    Report,
    Rule,
    Side,
    Verdict,
)

#: How the policy names the newest release.
RELEASE = "release"
NOT_READ = "the report holds nothing of the reference that the policy names"
_ENVIRONMENT = re.compile(r"deploy/([a-z0-9][a-z0-9-]{0,62})")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
#: What git allows in the name of a tag, and a little less.
#: Source: https://git-scm.com/docs/git-check-ref-format
_TAG = re.compile(
    r"(?!.*(\.\.|@\{|//|\.lock(/|$)|/\.))[A-Za-z0-9][A-Za-z0-9._@/+-]{0,199}(?<![./])"
)
_MAX_NAME, _MAX_TEXT = 200, 500


class Form(StrEnum):
    """What a policy may name as its reference."""

    RELEASE = "release"  # the newest tag of a version
    ENVIRONMENT = "environment"  # the commit that it serves
    COMMIT = "commit"
    TAG = "tag"


def find_form(name: str) -> Form | None:
    """Tell what the policy's ``name`` stands for; None when it can be none of them.

    >>> find_form("deploy/production"), find_form("v1.2.0"), find_form("HEAD~3")
    (<Form.ENVIRONMENT: 'environment'>, <Form.TAG: 'tag'>, None)
    """
    if name == RELEASE:
        return Form.RELEASE
    if name.startswith("deploy/"):
        return Form.ENVIRONMENT if _ENVIRONMENT.fullmatch(name) else None
    if _COMMIT.fullmatch(name):
        return Form.COMMIT
    return Form.TAG if _TAG.fullmatch(name) else None


def select_rules(policy: Policy) -> Policy:
    """Return the policy of what may be lost since the reference, as one against a base."""
    rules = {
        name: Rule(
            greater_is_better=rule.greater_is_better,
            max_worsening=rule.max_worsening_since_reference,
        )
        for name, rule in policy.metrics.items()
        if rule.max_worsening_since_reference is not None
    }
    return Policy(
        confidence=policy.confidence,
        files=policy.files,
        metrics=rules if policy.reference is not None else {},
        cluster=policy.cluster,
        inconclusive=policy.inconclusive_since_reference,
    )


def put_in_place(report: Report, reference: Reference) -> Report:
    """Return the report of head against ``reference``, which stands in base's place."""
    return Report(
        schema=report.schema,
        key=report.key,
        base=Side(sha=reference.sha, ref=reference.label, test_data=reference.test_data),
        head=report.head,
        test_data=reference.rows,
        rescoring=reference.rescoring,
        measurement=report.measurement,
        metrics=reference.metrics,
        omitted=Omitted(stages=0 if reference.untouched else 1),  # one that is not the same
    )


def name_since(name: str, label: str) -> str:
    """Name a metric as held against the reference.

    >>> name_since("test.roc_auc", "v1.2.0")
    'test.roc_auc since v1.2.0'
    """
    return f"{name} since {label}"[:_MAX_NAME]


def leave_undecided(name: str, rule: Rule, reason: str) -> MetricVerdict:
    """Return the verdict on a metric whose reference cannot be read."""
    return MetricVerdict(
        name=name,
        kind=Kind.INCOMPARABLE,
        verdict=Verdict.UNDECIDED,
        rule=rule,
        reasons=(reason[:_MAX_TEXT],),
    )


def find_absence(reference: Reference, verdict: MetricVerdict) -> str | None:
    """Say why the reference has no value that the metric of ``verdict`` could be held against."""
    plain = verdict.name.removeprefix(f"{verdict.path}:")
    change = next(
        (
            change
            for change in reference.metrics
            if (change.path, change.name) == (verdict.path, plain)
        ),
        None,
    )
    if change is None or change.base is not None or change.head is None:
        return None
    why = change.reason or change.base_missing
    return f"has no value at the reference{f': {why}' if why else ''}"


def say_failures(label: str, verdict: MetricVerdict) -> list[str]:
    """Say why a verdict on what was lost since the reference is no pass, one sentence each."""
    lines = []
    for reason in verdict.reasons:
        is_of_sides = "base" in reason and verdict.verdict is Verdict.FAIL
        stands = ", which stands in base's place" if is_of_sides else ""
        lines.append(f"since `{label}`{stands}: `{verdict.name}` {reason}"[:_MAX_TEXT])
    return lines


def mark_undecided(verdict: MetricVerdict, reason: str) -> MetricVerdict:
    """Return ``verdict`` as one that cannot be reached, for ``reason``."""
    return msgspec.structs.replace(
        verdict,
        kind=Kind.INCOMPARABLE,
        verdict=Verdict.UNDECIDED,
        reasons=(reason[:_MAX_TEXT],),
        unproven=None,
    )
