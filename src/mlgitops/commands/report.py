"""`mlgitops report`: judge a report again, write the summary, post the comment and the check."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from mlgitops.errors import EXIT_PASS, MlgitopsError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from mlgitops.console import Console
    from mlgitops.github.comment import Posted
    from mlgitops.github.decision import Decision
    from mlgitops.github.event import Event

EXAMPLES = """\
example, in a job that may write and has checked out the base:
  mlgitops report --report report.json --policy policy.yaml

The report is treated as hostile: it must be of this event's commits, its own verdict is
thrown away, and the base's policy judges again. The job summary is written first; then
one comment is created or updated, and one check is put on the head commit, with the token
in GITHUB_TOKEN. A failure to post is a warning and never changes the verdict.
exit code: 0 pass, 1 fail, 2 could not decide.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.epilog = EXAMPLES
    parser.add_argument(
        "--report", default="report.json", metavar="PATH", help="default: %(default)s"
    )
    parser.add_argument(
        "--policy", default="policy.yaml", metavar="PATH", help="of the base; default: %(default)s"
    )
    parser.add_argument("--key", help="names the project when several share one repository")
    parser.add_argument("--event", type=Path, metavar="PATH", help="default: $GITHUB_EVENT_PATH")
    parser.add_argument(
        "--workflow",
        default=".github/workflows/pull-request.yml",
        metavar="PATH",
        help="in a `workflow_run` event, the workflow that compared (default: %(default)s)",
    )
    parser.add_argument(
        "--artifact",
        default="mlgitops-report",
        metavar="NAME",
        help="in a `workflow_run` event, the artifact that holds the report (default: %(default)s)",
    )
    parser.add_argument(
        "--directory", type=Path, default=Path(), metavar="DIR", help="the project (default: .)"
    )
    parser.add_argument(
        "--published",
        metavar="SHA",
        help="the commit with this run's results, when one was made: the verdict holds there too",
    )
    parser.add_argument("--json", action="store_true", help="print what was decided as JSON")
    parser.add_argument("--dry-run", action="store_true", help="print the comment, post nothing")


def run(args: argparse.Namespace, console: Console) -> int:
    """Decide, write, post, and return the verdict's exit code."""
    from mlgitops.github.decision import Decision, decide
    from mlgitops.model import DEFAULT_KEY

    event = find_event(args, console)
    if event is None:
        return EXIT_PASS
    key = args.key or DEFAULT_KEY
    policy = read_policy(args, event)
    try:
        data = read_report(args, event)
        decision = decide(data, policy, event, key=key, where=args.policy)
    except MlgitopsError as error:
        decision = Decision(problem=str(error))
    judged, event = event, follow_published(event, args.published)
    comment = render(decision, event, key=key) + describe_published(judged, event)
    url = ""
    try:
        _write_first(decision, event, comment, os.environ, console)
    except MlgitopsError as error:
        _warn(f"the summary could not be written: {error}", console)
    if not args.dry_run:
        posted = _post(decision, event, comment, key=key, policy=policy, args=args, console=console)
        url = (posted.url or "") if posted else ""
        if judged.head_sha != event.head_sha and os.environ.get("GITHUB_TOKEN"):
            _post_check(decision, judged, key=key, policy=policy, args=args, console=console)
    _write_outputs(decision, url, console)
    _print(_as_json(decision, url) if args.json else comment, console)
    return decision.exit_code


def follow_published(event: Event, sha: str | None) -> Event:
    """Return ``event`` as if its head were ``sha``, the commit with this run's own results."""
    import re

    import msgspec

    if not sha:
        return event
    if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", sha):
        raise MlgitopsError(f"not a commit: {sha[:80]!a}", where="--published")
    return msgspec.structs.replace(event, head_sha=sha)


def describe_published(judged: Event, event: Event) -> str:
    """Say under the comment that the verdict holds for the commit made since."""
    if judged.head_sha == event.head_sha:
        return ""
    return (
        f"\nThe results of this run are on the branch: {event.head_sha} adds dvc.lock and the "
        f"outputs that git keeps to {judged.head_sha[:12]}. Merging needs no second training.\n"
    )


def find_event(args: argparse.Namespace, console: Console) -> Event | None:
    """Find what to report on; None when its pull request shows another commit by now."""
    from mlgitops.github.event import parse_event, parse_run, read_payload

    data, run = read_payload(_find_event(args.event)), parse_run(os.environ)
    if os.environ.get("GITHUB_EVENT_NAME") != "workflow_run":
        return parse_event(data, run)
    import requests

    from mlgitops.github.client import GitHubClient
    from mlgitops.github.fork import StaleRunError, fetch_fork_event, parse_fork_run

    with requests.Session() as session:
        client = GitHubClient(session, run.api_url, token=os.environ.get("GITHUB_TOKEN"))
        try:
            fork = parse_fork_run(data, run, workflow=args.workflow)
            return fetch_fork_event(client, fork)
        except StaleRunError as error:
            console.say(f"  nothing to post: {error}")
            return None


def read_report(args: argparse.Namespace, event: Event) -> bytes | None:
    """Read the report: of this run from the disk, of another run from its artifact."""
    if event.report_run_id is None:
        return read_input(args.directory / args.report)
    import requests

    from mlgitops.github.artifacts import fetch_member
    from mlgitops.github.client import GitHubClient
    from mlgitops.report import MAX_REPORT_BYTES

    run = event.run
    with requests.Session() as session:
        client = GitHubClient(session, run.api_url, token=os.environ.get("GITHUB_TOKEN"))
        return fetch_member(
            client,
            run.repository,
            event.report_run_id,
            artifact=args.artifact,
            member=Path(args.report).name,
            limit=MAX_REPORT_BYTES,
        )


def read_policy(args: argparse.Namespace, event: Event) -> bytes | None:
    """Read the policy: of the checkout, which is the base; for a fork's run, from git.

    `workflow_run` starts on the default branch, and cannot know the base before this program
    asked for it.
    """
    if event.report_run_id is None:
        return read_input(args.directory / args.policy)
    from mlgitops.git import Repository

    with Repository(args.directory) as repository:
        try:
            folder = args.directory.resolve().relative_to(repository.root.resolve())
            return repository.read(event.base_sha, (folder / args.policy).as_posix())
        except MlgitopsError:
            return None


def render(decision: Decision, event: Event, *, key: str) -> str:
    """Render the comment of ``decision`` within GitHub's limit."""
    from mlgitops.github.comment import MAX_BODY_BYTES
    from mlgitops.github.decision import render_decision
    from mlgitops.github.marker import Marker, render_marker
    from mlgitops.model import Links

    run = event.run
    marker = Marker(key=key, sha=event.head_sha, run=(run.run_number, run.run_attempt))
    links = Links(run_url=run.run_url, repository_url=run.repository_url)
    return render_decision(
        decision, marker=render_marker(marker), links=links, limit=MAX_BODY_BYTES
    )


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
    from mlgitops.model import Links

    links = Links(run_url=event.run.run_url, repository_url=event.run.repository_url)
    full = render_decision(decision, marker="", links=links, limit=MAX_SUMMARY_BYTES - 1024)
    write_summary(environ, full.strip() or comment)
    if environ.get("GITHUB_ACTIONS") != "true":
        return
    judgement = decision.report.judgement if decision.report else None
    failures = judgement.failures if judgement else ((decision.problem or ""),)
    for failure in failures[:MAX_COMMANDS_PER_LEVEL]:
        console.result(format_command("error", failure, title=decision.title))


def _post(
    decision: Decision,
    event: Event,
    comment: str,
    *,
    key: str,
    policy: bytes | None,
    args: argparse.Namespace,
    console: Console,
) -> Posted | None:
    """Post the comment and the check, each on its own: one may fail without the other."""
    import requests

    from mlgitops.github.client import GitHubClient
    from mlgitops.github.comment import CommentPoster, fetch_login

    token = os.environ.get("GITHUB_TOKEN")
    if not token:
        _warn("nothing was posted: GITHUB_TOKEN is not set", console)
        return None
    posted: Posted | None = None
    run = event.run
    with requests.Session() as session:
        client = GitHubClient(session, run.api_url, token=token)
        try:
            if event.number is not None:
                poster = CommentPoster(
                    client,
                    repository=run.repository,
                    number=event.number,
                    login=fetch_login(client, run.graphql_url),
                )
                posted = poster.post(comment)
                console.say(f"  comment {posted.outcome}: {posted.url or ''}")
        except MlgitopsError as error:
            _warn(f"the comment was not posted; read the job summary. {error}", console)
    _post_check(decision, event, key=key, policy=policy, args=args, console=console)
    return posted


def _post_check(
    decision: Decision,
    event: Event,
    *,
    key: str,
    policy: bytes | None,
    args: argparse.Namespace,
    console: Console,
) -> None:
    """Put the check on the event's head; a failure is a warning."""
    import requests

    from mlgitops.github.checks import post_check
    from mlgitops.github.client import GitHubClient
    from mlgitops.github.decision import build_check
    from mlgitops.model import Links

    run = event.run
    with requests.Session() as session:
        client = GitHubClient(session, run.api_url, token=os.environ.get("GITHUB_TOKEN"))
        try:
            links = Links(run_url=run.run_url, repository_url=run.repository_url)
            check = build_check(
                decision, event, key=key, policy=policy, where=args.policy, links=links
            )
            console.say(f"  check: {post_check(client, run.repository, check)}")
        except MlgitopsError as error:
            _warn(f"the check was not posted. {error}", console)


def _write_outputs(decision: Decision, url: str, console: Console) -> None:
    from mlgitops.github.outputs import write_outputs

    try:
        write_outputs(os.environ, {"verdict": decision.verdict, "comment-url": url})
    except MlgitopsError as error:
        _warn(f"the outputs could not be written: {error}", console)


def _print(text: str, console: Console) -> None:
    """Print the result; in a workflow's log, so that no line of it is taken for a command."""
    from mlgitops.github.outputs import format_log

    console.result(format_log(text) if os.environ.get("GITHUB_ACTIONS") == "true" else text)


def _warn(text: str, console: Console) -> None:
    """Warn the person; inside a workflow, by annotating the run."""
    from mlgitops.github.outputs import format_command

    if os.environ.get("GITHUB_ACTIONS") == "true":
        console.result(format_command("warning", text, title="mlgitops"))
    else:
        console.warn(text)


def _as_json(decision: Decision, url: str) -> str:
    found = {
        "verdict": decision.verdict,
        "title": decision.title,
        "problem": decision.problem,
        "comment_url": url or None,
    }
    return json.dumps(found, indent=2)


def _find_event(path: Path | None) -> Path:
    named = path or os.environ.get("GITHUB_EVENT_PATH")
    if not named:
        raise MlgitopsError(
            "there is no event to report on",
            hint="run this in a workflow, name a payload with `--event`, "
            "or try `mlgitops rehearse` on your machine",
        )
    return Path(named)


def read_input(path: Path) -> bytes | None:
    """Read at most a little more than a report may hold; None when it cannot be read."""
    from mlgitops.report import MAX_REPORT_BYTES

    try:
        with path.open("rb") as file:
            return file.read(MAX_REPORT_BYTES + 1)
    except OSError:
        return None
