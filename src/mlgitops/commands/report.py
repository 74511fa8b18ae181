"""`mlgitops report`: judge a report again, write the summary, post the comment and the check."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal, assert_never

from mlgitops.commands.options import add_directory, add_event, add_json, add_key
from mlgitops.errors import EXIT_PASS, EXIT_UNDECIDED, MlgitopsError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from mlgitops.console import Console
    from mlgitops.github.checks import Check
    from mlgitops.github.client import GitHubClient
    from mlgitops.github.decision import Decision
    from mlgitops.github.event import Event
    from mlgitops.github.jobs import Obstacle
    from mlgitops.verification.record import Record

EXAMPLES = """\
example, in a job that may write, needs the others and has checked out the base:
  mlgitops report --compute-result "$COMPUTE_RESULT" --evaluate-result "$EVALUATE_RESULT" \\
    --publish-result "$PUBLISH_RESULT"

The report is treated as hostile: it must be of this event's commits, its own verdict is
thrown away, and the base's policy judges again. The jobs before this one must have ended with
success, or what would merge is undecided. The job summary is written first; then
one comment is created or updated, and one check is put on the head commit, with the token
in GITHUB_TOKEN. A failure to post is a warning and never changes the verdict.

A fail is waived when the pull request carries the label `accept-regression` and somebody who
may write to the repository commented `accept-regression <full sha> <reason>`: exit code 0,
verdict `waived`, until the next push.
exit code: 0 pass or waived, 1 fail, 2 could not decide, or there is nothing to judge.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.epilog = EXAMPLES
    _add_inputs(parser)
    _add_results(parser)
    _add_posting(parser)


def _add_inputs(parser: argparse.ArgumentParser) -> None:
    """Declare what is judged, and by which policy."""
    parser.add_argument(
        "--report", default="report.json", metavar="FILE", help="default: %(default)s"
    )
    parser.add_argument(
        "--policy", default="policy.yaml", metavar="FILE", help="of the base; default: %(default)s"
    )
    add_key(parser)
    add_event(parser)
    parser.add_argument(
        "--workflow",
        default=".github/workflows/pull-request.yml",
        metavar="FILE",
        help="in a `workflow_run` event, the workflow that compared (default: %(default)s)",
    )
    parser.add_argument(
        "--artifact",
        default="mlgitops-report",
        metavar="NAME",
        help="in a `workflow_run` event, the artifact that holds the report (default: %(default)s)",
    )
    add_directory(parser)


def _add_results(parser: argparse.ArgumentParser) -> None:
    """Declare what the other jobs of the run say of themselves."""
    parser.add_argument(
        "--waived-commit",
        metavar="SHA",
        help="the commit with results that was made while this was waived, as it is no longer: "
        "a fail holds there too",
    )
    parser.add_argument(
        "--results-commit",
        metavar="SHA",
        help="the commit with this run's results, when one was made: the verdict holds there too",
    )
    parser.add_argument(
        "--compute-result",
        metavar="RESULT",
        default="",
        help="how the job that trained and compared ended (needs.JOB.result); unless it is "
        "`success`, what would merge is undecided",
    )
    parser.add_argument(
        "--evaluate-result",
        metavar="RESULT",
        default="",
        help="how the job in which base's code measures ended (needs.JOB.result); only after "
        "`success` is --report believed to be that job's, and its numbers measured",
    )
    parser.add_argument(
        "--publish-result",
        metavar="RESULT",
        default="",
        help="how the job that publishes ended (needs.JOB.result); unless it is `success`, what "
        "would merge is undecided; `skipped` is right for forks and merge groups",
    )
    parser.add_argument(
        "--publish-required",
        choices=("true", "false"),
        default="true",
        help="whether the workflow has a job that publishes, and an identity for it: then "
        "`--publish-result` is due (default: %(default)s)",
    )


def _add_posting(parser: argparse.ArgumentParser) -> None:
    """Declare what is posted, and what is printed."""
    parser.add_argument(
        "--branch",
        default="",
        metavar="NAME",
        help="the branch whose rules require the check: for another base the check's name is "
        "`... into BASE` (default: the repository's default branch)",
    )
    parser.add_argument(
        "--comment",
        choices=("always", "changed"),
        default="always",
        help="changed: start a comment only when the pull request changes the project's folder or "
        ".github, or does not pass; the check is always posted (default: %(default)s)",
    )
    parser.add_argument(
        "--statement",
        type=Path,
        metavar="FILE",
        help="write a verdict on a model to this file, as an in-toto statement to keep (`mlgitops "
        "verify` checks it), and its predicate alone beside it, as NAME.predicate.json",
    )
    add_json(parser)
    parser.add_argument("--dry-run", action="store_true", help="print the comment, post nothing")


def run(args: argparse.Namespace, console: Console) -> int:
    """Decide, write, post, and return the verdict's exit code."""
    from mlgitops.github.client import open_client
    from mlgitops.github.event import parse_run, read_payload
    from mlgitops.github.fork import StaleRunError
    from mlgitops.github.inputs import find_event, find_payload

    data = read_payload(find_payload(args.event, os.environ))
    workflow_run = parse_run(os.environ)
    with open_client(workflow_run.api_url, token=os.environ.get("GITHUB_TOKEN")) as client:
        try:
            event = find_event(data, workflow_run, os.environ, client, workflow=args.workflow)
        except StaleRunError as error:
            _notice(f"nothing to post: {error}", console)
            return EXIT_PASS
        return _report(event, client, args, console)


def _report(event: Event, client: GitHubClient, args: argparse.Namespace, console: Console) -> int:
    """Judge again, write what needs no network, and only then post."""
    from mlgitops.github.decision import build_check, render_body
    from mlgitops.github.event import find_heads
    from mlgitops.github.inputs import find_policy_path, is_touched
    from mlgitops.model import DEFAULT_KEY, Verdict

    key = args.key or DEFAULT_KEY
    find_heads(event, args.results_commit)  # refuses what is no commit, before git sees it
    decision, policy, record = _conclude(event, client, args, key=key)
    heads = find_heads(event, args.results_commit or _find_recorded(decision, event, args, console))
    where = find_policy_path(args.directory, args.policy)
    comment = render_body(decision, event, key=key, heads=heads, where=where)
    try:
        _write_first(decision, event, comment, os.environ, console)
    except MlgitopsError as error:
        _warn(f"the summary could not be written: {error}", console)
    url, superseded = "", False
    if not args.dry_run and os.environ.get("GITHUB_TOKEN"):
        check = build_check(
            decision,
            event,
            key=key,
            body=comment,
            policy=policy,
            where=args.policy,
            branch=args.branch,
        )
        wanted = args.comment == "always" or decision.verdict != Verdict.PASS
        url, superseded = _post(
            client,
            event,
            console,
            comment=comment,
            check=check,
            heads=heads,
            create=wanted or is_touched(args.directory, event),
        )
    elif not args.dry_run:
        _warn("nothing was posted: GITHUB_TOKEN is not set", console)
    evidence = {}
    if args.statement and policy is not None and not superseded:
        evidence = _write_statement(decision, event, args, console, record=record, policy=policy)
    _write_outputs(decision, url, evidence, console)
    _print(_as_json(decision, url) if args.json else comment, console)
    older_pass = superseded and decision.exit_code == EXIT_PASS
    return EXIT_UNDECIDED if older_pass else decision.exit_code


def _find_recorded(
    decision: Decision, event: Event, args: argparse.Namespace, console: Console
) -> str:
    """Find the commit of results that stands on the judged one, for a verdict that is no pass.

    An earlier attempt may have left a pass there, and a publishing job that failed names none.
    """
    from mlgitops.storage.handover.commit import authorize, find_recorded

    if decision.exit_code == EXIT_PASS:
        return ""
    ended = str(args.waived_commit or "")
    asks = bool(os.environ.get("GITHUB_TOKEN")) and not args.dry_run
    if not asks or event.number is None or event.from_fork or not event.head_branch:
        return ended
    authorize(os.environ)
    try:
        return find_recorded(args.directory.absolute(), event.head_branch, event.head_sha)
    except MlgitopsError as error:
        _warn(f"whether results were committed to the branch is not known: {error}", console)
        return ended


def _find_obstacle(event: Event, args: argparse.Namespace) -> Obstacle | None:
    """Hold the jobs' results against a pass; of another run, its conclusion stands for them."""
    from mlgitops.github.jobs import JobResults, find_obstacle, name_kind

    results = JobResults(
        compute=args.compute_result if event.compared is None else event.compared.conclusion,
        evaluate=args.evaluate_result,
        publish=args.publish_result,
        publishes=args.publish_required == "true",
    )
    return find_obstacle(name_kind(event), results)


def _find_newer_policy(
    event: Event, client: GitHubClient, args: argparse.Namespace
) -> Obstacle | None:
    """Hold a policy that the base branch has by now against a pass by the older one."""
    from mlgitops.git.links import LinkError
    from mlgitops.github.inputs import list_policy_paths
    from mlgitops.github.newer_policy import find_newer_policy

    try:
        paths = list_policy_paths(args.directory, args.policy)
    except LinkError:
        return None  # undecided already: no such policy is read
    return find_newer_policy(client, event, paths)


def _conclude(
    event: Event, client: GitHubClient, args: argparse.Namespace, *, key: str
) -> tuple[Decision, bytes | None, Record]:
    """Judge the report, hold it against git and the jobs' results, and ask for a waiver.

    Returns the policy at base, too, and what git holds of the commits.
    """
    from mlgitops.github.decision import Undecided, add_obstacle, check_record, check_results
    from mlgitops.github.inputs import read_decided, read_policy
    from mlgitops.github.waiver import settle

    policy, refused = None, None
    try:
        policy = read_policy(args.directory, args.policy, event)
    except MlgitopsError as error:
        refused = Undecided(problem=str(error))
    decision = refused or _decide(event, client, args, key=key, policy=policy)
    record = read_decided(decision, args.directory, args.policy, published=args.results_commit)
    decision = check_record(decision, record)
    obstacle = _find_obstacle(event, args)
    asks = bool(os.environ.get("GITHUB_TOKEN")) and not args.dry_run
    if asks:
        obstacle = obstacle or _find_newer_policy(event, client, args)
    decision = add_obstacle(decision, obstacle)
    if asks:
        decision = settle(decision, event, client)
    return check_results(decision, record), policy, record


def _decide(
    event: Event,
    client: GitHubClient,
    args: argparse.Namespace,
    *,
    key: str,
    policy: bytes | None,
) -> Decision:
    """Judge the report; one that cannot be had is a decision too."""
    from mlgitops.github.decision import Undecided, decide
    from mlgitops.github.inputs import read_report
    from mlgitops.github.jobs import SUCCESS

    try:
        data = read_report(
            args.directory / args.report,
            event,
            client,
            artifact=args.artifact,
            measured=args.evaluate_result == SUCCESS,
        )
    except MlgitopsError as error:
        return Undecided(problem=str(error))
    return decide(data, policy, event, key=key, where=args.policy, evaluating=args.evaluate_result)


def _write_first(
    decision: Decision,
    event: Event,
    comment: str,
    environ: Mapping[str, str],
    console: Console,
) -> None:
    """Write what needs no network: the summary in full, and annotations in the log."""
    from mlgitops.github.decision import render_decision
    from mlgitops.github.outputs import (
        MAX_COMMANDS_PER_LEVEL,
        MAX_SUMMARY_BYTES,
        format_command,
        write_summary,
    )

    limit = MAX_SUMMARY_BYTES - 1024
    full = render_decision(decision, marker="", links=event.run.links, limit=limit)
    write_summary(environ, full.strip() or comment)
    if environ.get("GITHUB_ACTIONS") != "true":
        return
    level, failures = _list_failures(decision)
    for failure in failures[:MAX_COMMANDS_PER_LEVEL]:
        console.result(format_command(level, failure, title=decision.title))


def _list_failures(decision: Decision) -> tuple[Literal["warning", "error"], Sequence[str]]:
    """List what stands against merging, and how loud the log says it."""
    from mlgitops.github.decision import Judged, Undecided

    match decision:
        case Judged(report=report, waiver=waiver):
            failures = report.judgement.failures if report.judgement else ()
            return "warning" if waiver else "error", failures
        case Undecided(problem=problem):
            return "error", (problem,)
        case _:
            assert_never(decision)


def _post(
    client: GitHubClient,
    event: Event,
    console: Console,
    *,
    comment: str,
    check: Check,
    heads: Sequence[str],
    create: bool,
) -> tuple[str, bool]:
    """Post all and say what came of it.

    Returns the comment's address, empty without one, and whether a newer run has reported.
    """
    from mlgitops.github.posting import post

    done = post(client, event, comment, check, heads, create=create)
    url = (done.comment.url or "") if done.comment else ""
    if done.comment:
        console.say(f"  comment {done.comment.outcome}: {url}".rstrip(": "))
    for address in done.checks:
        console.say(f"  check: {address}")
    for problem in done.problems:
        _warn(problem, console)
    return url, done.superseded


def _write_statement(
    decision: Decision,
    event: Event,
    args: argparse.Namespace,
    console: Console,
    *,
    record: Record,
    policy: bytes,
) -> dict[str, str]:
    """Write the statement and its predicate; return their outputs, none when there is none."""
    from mlgitops.github.inputs import find_project_path
    from mlgitops.github.statement import PolicyFile, build_statement
    from mlgitops.model.statement import encode_predicate, encode_statement
    from mlgitops.writing import replace_file

    project = find_project_path(args.directory)
    predicate = args.statement.with_suffix(".predicate.json")
    try:
        file = PolicyFile(project=project, path=args.policy, data=policy)
        statement = build_statement(decision, event, record, file)
        replace_file(args.statement, encode_statement(statement))
        replace_file(predicate, encode_predicate(statement))
    except (MlgitopsError, OSError) as error:
        _notice(f"no statement of the verdict was written: {error}", console)
        return {}
    (subject,) = statement.subject
    return {
        "statement": str(args.statement),
        "predicate": str(predicate),
        "subject-name": subject.name,
        "subject-digest": f"sha256:{subject.digest.sha256}",
    }


def _write_outputs(
    decision: Decision, url: str, evidence: Mapping[str, str], console: Console
) -> None:
    from mlgitops.github.outputs import write_outputs

    outputs = {"verdict": decision.verdict, "comment-url": url, **evidence}
    try:
        write_outputs(os.environ, outputs)
    except MlgitopsError as error:
        _warn(f"the outputs could not be written: {error}", console)


def _print(text: str, console: Console) -> None:
    """Print the result; in a workflow's log, so that no line of it is taken for a command."""
    from mlgitops.github.outputs import format_log

    console.result(format_log(text) if os.environ.get("GITHUB_ACTIONS") == "true" else text)


def _notice(text: str, console: Console) -> None:
    """Tell the person; inside a workflow, by annotating the run."""
    from mlgitops.github.outputs import format_command

    if os.environ.get("GITHUB_ACTIONS") == "true":
        console.result(format_command("notice", text, title="mlgitops"))
    else:
        console.say(f"  {text}")


def _warn(text: str, console: Console) -> None:
    """Warn the person; inside a workflow, by annotating the run."""
    from mlgitops.github.outputs import format_command

    if os.environ.get("GITHUB_ACTIONS") == "true":
        console.result(format_command("warning", text, title="mlgitops"))
    else:
        console.warn(text)


def _as_json(decision: Decision, url: str) -> str:
    import msgspec

    from mlgitops.github.decision import Judged, Undecided

    document = {
        "verdict": decision.verdict,
        "title": decision.title,
        "problem": decision.problem if isinstance(decision, Undecided) else None,
        "waiver": msgspec.to_builtins(decision.waiver) if isinstance(decision, Judged) else None,
        "comment_url": url or None,
    }
    return json.dumps(document, indent=2)
