"""An audit to the terminal or a page: what decided, from what, by whom; and what was checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from mlgitops.dvc.params import flatten_params
from mlgitops.model.audit import CheckState
from mlgitops.render.sections import Page, Section

if TYPE_CHECKING:
    from mlgitops.model.audit import (
        Audit,
        AuditedModel,
        CommitFacts,
        Ingredient,
        PullRequestFacts,
    )
    from mlgitops.model.lineage import Lineage, ReleasedMetric

_MARKS = {
    CheckState.HOLDS: "holds",
    CheckState.FAILS: "FAILS",
    CheckState.OPEN: "not checked",
    CheckState.ABSENT: "none there",
    CheckState.UNVERIFIED: "not verified",
}
#: What comes before the other checks.
_ORDER = {CheckState.FAILS: 0, CheckState.OPEN: 1}
_MOST_ROWS = 60


def describe_audit(audit: Audit) -> Page:
    """Say what the audit found, the answer first."""
    failure, left_open = audit.find_first(CheckState.FAILS), audit.find_first(CheckState.OPEN)
    tone: Literal["pass", "fail", "warn"] = "pass"
    deciding = "Everything that could be held against git, the storage or a signature holds."
    if failure is not None:
        tone, deciding = "fail", f"The first that fails is `{failure.name}`: {failure.detail}"
    elif left_open is not None:
        tone, deciding = "warn", f"Not checked: `{left_open.name}`: {left_open.detail}"
    elif (unverified := audit.find_first(CheckState.UNVERIFIED)) is not None:
        deciding += f" Not verified: `{unverified.name}`: {unverified.detail}"
    sections = [_describe_model(model) for model in audit.models]
    checks = tuple(
        (check.name, _MARKS[check.state], check.detail)
        for check in sorted(audit.list_checks(), key=lambda check: _ORDER.get(check.state, 2))
    )
    notices = tuple((notice,) for notice in audit.notices)
    return Page(
        key=f"{audit.project}{audit.environment}, asked: {audit.asked}",
        headline=_write_headline(audit),
        tone=tone,
        deciding=deciding,
        sections=(
            Section(title="Look at this", rows=notices),
            *(facts for facts, *_ in sections),
            Section(title="Checks, what does not hold first", rows=checks),
            *(section for _, *parts in sections for section in parts),
        ),
    )


def _write_headline(audit: Audit) -> str:
    names = [f"{model.model} {model.version or model.sha256[:12]}" for model in audit.models]
    if not names:
        return f"{audit.environment}: nothing can be said"
    verb = "serves" if audit.asked == "now" else "served"
    return f"{audit.environment} {verb} {', then '.join(names)}"


def _describe_model(model: AuditedModel) -> tuple[Section, ...]:
    title = f"{model.model} {model.version or 'without a release'}"
    ingredients = tuple(
        (item.kind, item.path, f"{item.algorithm}:{item.digest}", *_name_source(item))
        for item in model.ingredients[:_MOST_ROWS]
    )
    hidden = len(model.ingredients) - len(ingredients)
    parameters = flatten_params(model.parameters, "dvc.lock").items()
    return (
        Section(title=title, rows=tuple(_list_facts(model))),
        Section(
            title=f"What {title} was made from and is served with",
            rows=ingredients,
            note=f"{hidden} more are in the JSON" if hidden else None,
        ),
        Section(title=f"Parameters of {title}", rows=tuple(parameters)[:_MOST_ROWS]),
        Section(title=f"Measured of {title}", rows=tuple(_list_metrics(model))),
    )


def _name_source(item: Ingredient) -> tuple[str, ...]:
    source = item.imported
    return (f"{source.repository} at {source.commit}: {source.path}",) if source else ()


def _list_facts(model: AuditedModel) -> list[tuple[str, str]]:
    rows = [("model", f"SHA-256 {model.sha256}")]
    for period in model.periods:
        until = f"until {period.until}" if period.until else "to this day"
        forced = ", deployed with --force" if period.forced else ""
        rows.append(
            ("in service", f"since {period.since} {until}, ledger entry {period.seq}{forced}")
        )
    rows += _list_commit("asked for by", model.desired_by)
    if approved := _list_approvers(model.promotion):
        rows.append(("promotion approved by", ", ".join(approved)))
    rows += _list_commit("trained in", model.trained)
    lineage = model.lineage
    if lineage is None:
        return rows
    rows += [
        ("approved by", _name_approvers(model, lineage)),
        ("author", lineage.author or f"not known: {_why(model, 'author')}"),
        ("verdict", lineage.verdict or f"not known: {_why(model, 'verdict')}"),
    ]
    if lineage.waiver is not None:
        rows.append(("waived by", f"{lineage.waiver.login}: {lineage.waiver.reason}"))
    return rows


def _name_approvers(model: AuditedModel, lineage: Lineage) -> str:
    """Name who approved the training: GitHub's answer, else the release's word, called that."""
    if model.training is not None:
        return ", ".join(_list_approvers(model.training)) or "nobody, as GitHub says"
    if lineage.approvers:
        return f"{', '.join(lineage.approvers)} (the release's word)"
    return f"not known: {_why(model, 'approvers')}"


def _list_approvers(request: PullRequestFacts | None) -> list[str]:
    return [approval.login for approval in request.approvals] if request else []


def _why(model: AuditedModel, name: str) -> str:
    return model.lineage.absent.get(name, "no reason is given") if model.lineage else ""


def _list_commit(label: str, commit: CommitFacts | None) -> list[tuple[str, str]]:
    if commit is None:
        return [(label, "a commit that is not in this clone")]
    number = f", pull request {commit.pull_request}" if commit.pull_request else ""
    text = f"{commit.sha[:12]} of {commit.at}{number}: {commit.subject}"
    return [(label, f"{text} ({commit.committer}; {commit.signature})")]


def _list_metrics(model: AuditedModel) -> list[tuple[str, str, str]]:
    metrics = model.lineage.metrics if model.lineage else ()
    return [
        (metric.name, f"{metric.value:.6g}", render_gain(metric)) for metric in metrics[:_MOST_ROWS]
    ]


def render_gain(metric: ReleasedMetric) -> str:
    """Say how far a metric moved against the base that it was judged with."""
    if metric.delta is None:
        return "nothing to compare"
    if metric.interval is None:
        return f"{metric.delta:+.4g}, no interval"
    interval = metric.interval
    return (
        f"{metric.delta:+.4g} ({interval.low:+.4g} to {interval.high:+.4g}, "
        f"{interval.confidence:.0%}, {interval.method})"
    )
