"""What the trusted half concludes: hostile bytes, the base's policy and the event to a verdict.

Pure. The report's own judgement is thrown away and made again; whatever is wrong with the
report becomes an undecided verdict with its reason, which is posted like any other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, assert_never

import msgspec

from mlgitops.errors import EXIT_FAIL, EXIT_PASS, EXIT_UNDECIDED, MistakesError, MlgitopsError
from mlgitops.github.checks import Annotation, Check, RunIdentity
from mlgitops.github.comment import MAX_BODY_BYTES
from mlgitops.github.jobs import Obstacle, explain_unmeasured
from mlgitops.github.marker import Marker, render_marker
from mlgitops.judgement.judge import judge_report
from mlgitops.judgement.policy import parse_policy
from mlgitops.model import Measurement, Policy, Report, Verdict, Waivers, Waiving
from mlgitops.model.wire import parse_report
from mlgitops.parsing import parse_yaml
from mlgitops.render.escape import escape_address, escape_code, escape_prose
from mlgitops.render.facts import headline
from mlgitops.render.markdown import render_comment
from mlgitops.render.waiver import describe_waiving, title_waiver
from mlgitops.verification.claims import list_claims
from mlgitops.verification.consistency import find_contradictions
from mlgitops.verification.contradictions import (
    contradict_base,
    contradict_foreign,
    contradict_head,
    contradict_likeness,
    contradict_objects,
    contradict_promotions,
    contradict_reference,
    contradict_results,
)
from mlgitops.verification.corrections import (
    add_notice,
    correct_cluster,
    correct_looks,
    correct_protected,
    correct_sampling,
    correct_trend,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlgitops.github.event import Event
    from mlgitops.model import Links, Waiver
    from mlgitops.parsing import Place
    from mlgitops.verification.record import Record

_EXITS = {Verdict.PASS: EXIT_PASS, Verdict.WAIVED: EXIT_PASS, Verdict.FAIL: EXIT_FAIL}
#: "Nothing to judge" must not look like a pass, and "could not decide" must not either. GitHub
#: takes a neutral or skipped check for a required one that passed:
#: https://docs.github.com/en/pull-requests/collaborating-with-pull-requests/collaborating-on-repositories-with-code-quality-features/about-status-checks
_CONCLUSIONS = {
    Verdict.PASS: "success",
    Verdict.FAIL: "failure",
    Verdict.SKIP: "action_required",
    Verdict.WAIVED: "success",
    Verdict.UNDECIDED: "failure",
}
_MAX_ANNOTATIONS = 200
_ENDING_BYTES = 2_000  # what stands below the report takes less
_MAX_CONTRADICTIONS, _MAX_TEXT = 10, 500


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """A report that was judged by the rules of the policy at base.

    ``waiving`` is what was found of a waiver, which lets a failing report merge all the same;
    None where none can be asked for.
    """

    report: Report
    rules: Policy
    waiving: Waiving | None = None
    obstacle: Obstacle | None = None  # what makes numbers that would merge undecided

    @property
    def waivable(self) -> bool:
        """Tell whether the policy at base lets a fail be waived."""
        return self.rules.waivers is Waivers.ALLOWED

    @property
    def waiver(self) -> Waiver | None:
        """Return the waiver of a report that the policy fails; nothing else can be waived."""
        judgement = self.report.judgement
        fails = judgement is not None and judgement.verdict is Verdict.FAIL
        return self.waiving.waiver if fails and self.waivable and self.waiving else None

    @property
    def verdict(self) -> Verdict:
        """Return pass, fail, waived, skip or undecided.

        What would merge is undecided while anything stands in its way, as when its results
        were not published: the branch's dvc.lock is then a claim that nobody verified.
        """
        judgement = self.report.judgement
        if judgement is None:
            return Verdict.UNDECIDED
        verdict = Verdict.WAIVED if self.waiver else judgement.verdict
        is_free = verdict is Verdict.FAIL or self.obstacle is None
        return verdict if is_free else Verdict.UNDECIDED

    @property
    def exit_code(self) -> int:
        """Return the exit code of the verdict."""
        return _EXITS.get(self.verdict, EXIT_UNDECIDED)

    @property
    def conclusion(self) -> str:
        """Return the conclusion of the check."""
        return _CONCLUSIONS[self.verdict]

    @property
    def title(self) -> str:
        """Return the verdict in a few plain words."""
        if self.obstacle and self.verdict is Verdict.UNDECIDED:
            return self.obstacle.title
        return title_waiver(self.waiver) if self.waiver else headline(self.report)


class Undecided(msgspec.Struct, frozen=True, kw_only=True):
    """The reason why no report is judged. What was found of a waiver changes nothing of it."""

    problem: str
    waivable: bool = True  # by the policy at base, as far as it was read
    waiving: Waiving | None = None

    @property
    def verdict(self) -> Verdict:
        """Return undecided."""
        return Verdict.UNDECIDED

    @property
    def exit_code(self) -> int:
        """Return the exit code of what is undecided."""
        return EXIT_UNDECIDED

    @property
    def conclusion(self) -> str:
        """Return the conclusion of the check."""
        return _CONCLUSIONS[self.verdict]

    @property
    def title(self) -> str:
        """Return the verdict in a few plain words."""
        return "Could not decide"


Decision: TypeAlias = Judged | Undecided


def decide(
    data: bytes | None,
    policy: bytes | None,
    event: Event,
    *,
    key: str,
    where: str,
    evaluating: str = "",
) -> Decision:
    """Judge the report in ``data`` by ``policy``; never raises for what they hold.

    None stands for a file that is not there. ``where`` names the policy file in messages.
    ``evaluating`` is the result of the job in which base's code measures, in GitHub's words: the
    report is that job's after success alone, else one that the pull request's code may have
    written.
    """
    if data is None:
        return Undecided(problem="the comparison left no report: the log of its job says why")
    if policy is None:
        return Undecided(problem=f"the base has no {where}, so there is nothing to judge by")
    try:
        report = parse_report(data)
        check_identity(report, event, key=key)
        report = settle_measurement(report, evaluating)
        rules = parse_policy(policy, where=where)
        refuse_contradictions(find_contradictions(report, rules), "the report contradicts itself")
        return Judged(report=judge_report(report, rules), rules=rules)
    except MlgitopsError as error:
        return Undecided(problem=str(error))


def add_obstacle(decision: Decision, obstacle: Obstacle | None) -> Decision:
    """Hold ``obstacle`` against a judged report; what is undecided would not merge anyway."""
    match decision:
        case Judged():
            return msgspec.structs.replace(decision, obstacle=obstacle)
        case Undecided():
            return decision
        case _:
            assert_never(decision)


def check_record(decision: Decision, record: Record) -> Decision:
    """Hold a judged report against what git has of base and head; its own list of files goes.

    One that says anything else of base than base's commit is undecided, whatever it was.
    """
    if isinstance(decision, Undecided):
        return decision
    report, rules = decision.report, decision.rules
    contradictions: list[str] = []
    if "base" in record.problems and "base" not in record.missing:
        contradictions.append(f"base could not be read: {record.problems['base']}")
    if record.base is not None:
        contradictions += contradict_base(report, rules, record.base)
    if record.head is not None and record.results is None:
        contradictions += contradict_head(report, record.head, record.base)
    contradictions += contradict_reference(report, rules, record)
    contradictions += contradict_promotions(report, rules, record)
    corrected = correct_sampling(correct_protected(report, record), record)
    corrected = correct_looks(corrected, record)
    corrected = correct_cluster(corrected, record)
    corrected = correct_trend(corrected, record)
    return _refuse(decision, contradictions) or msgspec.structs.replace(decision, report=corrected)


def check_results(decision: Decision, record: Record) -> Decision:
    """Hold what may merge against the commit with its results, and name what remains a claim.

    A fail stays one: it publishes nothing.
    """
    if isinstance(decision, Undecided) or decision.exit_code != EXIT_PASS:
        return decision
    report, rules = decision.report, decision.rules
    contradictions = contradict_foreign(record.foreign)
    if "results" in record.problems:
        contradictions.append(f"the commit with the results: {record.problems['results']}")
    if record.results is not None:
        contradictions += contradict_results(report, rules, record.results)
        contradictions += contradict_objects(report, record.data)
        if record.base is not None:
            contradictions += contradict_likeness(report, record.base, record.results)
    refused = _refuse(decision, contradictions)
    claims = "; ".join(list_claims(report, rules, record))
    if refused or not claims:
        return refused or decision
    text = f"Not verified, only claimed by the run that compared: {claims}."
    return msgspec.structs.replace(decision, report=add_notice(report, text))


def _refuse(judged: Judged, contradictions: Sequence[str]) -> Undecided | None:
    try:
        refuse_contradictions(contradictions, "the report is not what git holds")
    except MlgitopsError as error:
        return Undecided(problem=str(error), waivable=judged.waivable, waiving=judged.waiving)
    return None


def refuse_contradictions(contradictions: Sequence[str], summary: str) -> None:
    """Refuse a report of which one word cannot be believed: then no other is, either.

    ``summary`` begins the message. Raises :class:`MlgitopsError` naming the contradictions.
    """
    if not contradictions:
        return
    named = list(contradictions[:_MAX_CONTRADICTIONS])
    if len(contradictions) > len(named):
        named.append(f"and {len(contradictions) - len(named)} more")
    errors = [MlgitopsError(text[:_MAX_TEXT]) for text in named]
    raise MistakesError(
        f"{summary}, so nothing of it was judged:", errors, hint="run the workflow again"
    )


def settle_measurement(report: Report, evaluating: str) -> Report:
    """Believe that base's code measured only what the job that has it do so says.

    ``evaluating`` is that job's result. Raises :class:`MlgitopsError` for a report that should
    be that job's and tells of no measurement.
    """
    reason = explain_unmeasured(evaluating)
    if reason is not None:
        return msgspec.structs.replace(report, measurement=Measurement(reason=reason))
    if report.measurement is None:
        raise MlgitopsError(
            "the report is not of the job that measures with base's code",
            hint="give this job the artifact of that one, by `needs.evaluate.outputs.artifact-id`",
        )
    return report


def check_identity(report: Report, event: Event, *, key: str) -> None:
    """Refuse a report of another project, or of other commits than the event's."""
    if report.key != key:
        raise MlgitopsError(f"the report is of project {report.key[:80]!r}, not {key!r}")
    for name, stated, expected in (
        ("base", report.base.sha, {event.base_sha}),
        ("head", report.head.sha, {event.head_sha}),
    ):
        if stated not in expected:
            wanted = " or ".join(sha[:12] for sha in sorted(expected))
            raise MlgitopsError(
                f"the report's {name} is {(stated or 'no commit')[:12]}, the event's is {wanted}",
                hint="the report belongs to another run; run the workflow again",
            )


def render_decision(decision: Decision, *, marker: str, links: Links, limit: int) -> str:
    """Render the comment, or the summary, of any decision; ``limit`` is in bytes."""
    match decision:
        case Judged(report=report, waiving=waiving):
            marker += _render_obstacle(decision)
            return render_comment(report, marker=marker, links=links, waiving=waiving, limit=limit)
        case Undecided():
            return _render_undecided(decision, marker=marker, links=links)
        case _:
            assert_never(decision)


def _render_undecided(undecided: Undecided, *, marker: str, links: Links) -> str:
    lines = undecided.problem.splitlines() or ["no reason was given"]
    quoted = "\n".join(f"> {escape_prose(line.strip())}  " for line in lines[:20] if line.strip())
    address = escape_address(links.run_url)
    more = f"\n\n[The run]({address}) has the log." if address else ""
    waived = "".join(f"\n\n{line}" for line in describe_waiving(undecided.waiving))
    return (
        f"{marker}\n**⚠️ Could not decide.** This change has no verdict, "
        f"and is not known to be safe.\n\n{quoted}{waived}{more}\n"
    )


def _render_obstacle(judged: Judged) -> str:
    """Render what stands before the first line, which tells what the numbers alone allow."""
    if judged.obstacle is None or judged.verdict is not Verdict.UNDECIDED:
        return ""
    title = judged.obstacle.title
    start = title[0].lower() + title[1:]
    return f"\n**⚠️ Not yet: {start}.** {judged.obstacle.text} By its numbers:\n"


def _render_policy(decision: Decision, event: Event, *, where: str) -> str:
    """Render by which policy it was judged: a later one on the base may say something else."""
    if isinstance(decision, Undecided):
        return ""
    branch = f" of {escape_code(event.base_branch, limit=100)}" if event.base_branch else ""
    return f"\nJudged by {escape_code(where, limit=200)}{branch} at {event.base_sha}.\n"


def render_body(
    decision: Decision, event: Event, *, key: str, heads: Sequence[str], where: str
) -> str:
    """Render the comment of ``decision`` within GitHub's limit.

    ``heads`` are the commits that carry the verdict: the marker names the first, and when
    another follows, which is the one that was judged, a line says why there are two. ``where``
    is the policy's file, of the base.
    """
    marker = render_marker(Marker(key=key, sha=heads[0], run=event.order))
    limit = MAX_BODY_BYTES - _ENDING_BYTES
    body = render_decision(decision, marker=marker, links=event.run.links, limit=limit)
    body += _render_policy(decision, event, where=where)
    if len(heads) == 1:
        return body
    if decision.exit_code != EXIT_PASS:
        return (
            f"{body}\nThis holds for {heads[0]} too: it adds to {heads[1][:12]} the results of "
            "another project, or of this one by an earlier attempt.\n"
        )
    return (
        f"{body}\nThe results of this run are on the branch: {heads[0]} adds dvc.lock and the "
        f"outputs that git keeps to {heads[1][:12]}. Merging needs no second training.\n"
    )


def name_check(event: Event, *, key: str, branch: str = "") -> str:
    """Name the check, so that one for another base never stands for the one that is required.

    A pull request may change its base after it was judged, and its commit keeps its checks. So
    only a change that goes into ``branch``, by default the repository's default branch, gets
    the name that its rules require; for any other the name carries the base.
    """
    name, guarded = f"mlgitops / {key}", branch or event.default_branch
    if event.base_branch and event.base_branch == guarded:
        return name
    return f"{name} into {event.base_branch or 'a branch that the event does not name'}"


def build_check(
    decision: Decision,
    event: Event,
    *,
    key: str,
    body: str,
    policy: bytes | None,
    where: str,
    branch: str = "",
) -> Check:
    """Build the check on the head commit; it says what ``body``, the comment, says.

    Its name depends on ``key``, and on whether the change goes into ``branch``.
    """
    run = event.run
    summary = body.partition("\n")[2].strip()  # the marker is the comment's own
    return Check(
        name=name_check(event, key=key, branch=branch),
        head_sha=event.head_sha,
        run=RunIdentity(key=key, order=event.order, poster=(run.run_id, run.run_attempt)),
        conclusion=decision.conclusion,
        title=decision.title,
        summary=summary,
        details_url=run.run_url,
        annotations=find_annotations(decision, policy, where=where),
    )


def find_annotations(
    decision: Decision, policy: bytes | None, *, where: str
) -> tuple[Annotation, ...]:
    """Put each failing metric's reasons beside its line in the policy."""
    if isinstance(decision, Undecided) or policy is None:
        return ()
    judgement = decision.report.judgement
    lines: dict[Place, int] = {}
    parse_yaml(policy, where, lines=lines)
    annotations = []
    for metric in judgement.metrics if judgement else ():
        if metric.verdict is not Verdict.FAIL:
            continue
        section = "budgets" if metric.budget else "metrics"
        line = lines.get((section, metric.name), 1)
        annotations.append(
            Annotation(
                path=where,
                start_line=line,
                end_line=line,
                annotation_level="warning" if decision.waiver else "failure",
                title=metric.name,
                message="\n".join(metric.reasons) or metric.kind.value,
            )
        )
    return tuple(annotations[:_MAX_ANNOTATIONS])
