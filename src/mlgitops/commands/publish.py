"""`mlgitops publish`: store what the pipeline made where the others can fetch it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from mlgitops.commands.options import add_directory, add_json
from mlgitops.errors import EXIT_FAIL, EXIT_PASS, MlgitopsError

if TYPE_CHECKING:
    import argparse

    from mlgitops.console import Console
    from mlgitops.github.decision import Decision
    from mlgitops.github.event import Event
    from mlgitops.storage.handover import Taken

_EPILOG = """\
Sends every object that dvc.lock and the .dvc files name to the default remote, and proves by
listing it that all of them arrived with the right size. Storage in the repository: the new
objects are hashed again, committed to the branch dvc-storage and pushed without force.

In a workflow, the job that trains may not write, so it hands over (--export) and another job
takes (--import): when the base's policy passes the report, or its fail is waived, every object
is hashed, dvc.lock is held against the pull request's commit, the objects are stored where the
base says and the storage is listed to prove it, and dvc.lock and the outputs that git keeps are
committed to the pull request's branch; a waiver is recorded in that commit's message. With
--mode verify nothing is written: exit code 1 when the branch does not hold the results of its
own run.

examples:
  mlgitops train && mlgitops publish && git commit -am "Train on more data" && git push
  mlgitops publish --export handover
  mlgitops publish --import handover --report report.json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `mlgitops publish`."""
    parser.epilog = _EPILOG
    add_directory(parser)
    add_json(parser)
    way = parser.add_mutually_exclusive_group()
    way.add_argument(
        "--export", type=Path, metavar="DIR", help="write what the run made to DIR, send nothing"
    )
    way.add_argument(
        "--import",
        type=Path,
        metavar="DIR",
        dest="handover",
        help="take what another job exported, for the pull request of the event",
    )
    parser.add_argument(
        "--base", metavar="REV", help="with --export: the storage is where this revision says"
    )
    parser.add_argument(
        "--mode",
        choices=("commit", "verify"),
        default="commit",
        help="with --import: commit the results, or only check that they are committed "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--report", default="report.json", metavar="FILE", help="with --import: of the same run"
    )
    parser.add_argument(
        "--policy", default="policy.yaml", metavar="FILE", help="with --import: of the base"
    )
    parser.add_argument(
        "--evaluate-result",
        metavar="RESULT",
        default="",
        help="with --import: how the job in which base's code measures ended (needs.JOB.result); "
        "only after `success` is --report believed to be that job's",
    )
    parser.add_argument("--key", help="with --import: names the project in the report")
    parser.add_argument(
        "--event", type=Path, metavar="FILE", help="with --import (default: $GITHUB_EVENT_PATH)"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Publish and say how many objects the storage now holds."""
    if args.export:
        return _export(args, console)
    if args.handover:
        return _import(args, console)
    from mlgitops.storage import publish_objects

    published = publish_objects(args.directory.absolute(), console)
    if args.json:
        console.result(json.dumps(asdict(published), indent=2))
        return EXIT_PASS
    new = "" if published.added is None else f", {published.added} of them new"
    pushed = "pushed" if published.pushed else "kept here: the repository has no origin yet"
    console.result(
        f"remote {published.remote}: complete, {published.objects} objects{new}; {pushed}"
    )
    return EXIT_PASS


def _export(args: argparse.Namespace, console: Console) -> int:
    from mlgitops.dvc.configuration import use_base
    from mlgitops.storage.handover import export_handover

    project = args.directory.absolute()
    with use_base(project, args.base, console):
        handover = export_handover(project, args.export)
    if args.json:
        console.result(json.dumps(asdict(handover), indent=2))
    else:
        size = f"{handover.bytes / 1e6:.1f} MB"
        console.result(
            f"handed over: {handover.objects} new objects, {handover.results} results, {size}"
        )
    return EXIT_PASS


def _import(args: argparse.Namespace, console: Console) -> int:
    from mlgitops.github.decision import Undecided
    from mlgitops.github.event import read_event
    from mlgitops.render.waiver import format_trailers
    from mlgitops.storage.handover import HandoverRequest, take_handover
    from mlgitops.storage.handover.commit import authorize, find_waived

    named = args.event or os.environ.get("GITHUB_EVENT_PATH")
    if not named:
        raise MlgitopsError("there is no event: run this in a workflow, or name one with --event")
    event = read_event(Path(named), os.environ)
    project = args.directory.absolute()
    if event.number is None or event.from_fork:
        text = "nothing is published: results are kept for branches of this repository only"
        _finish(args, console, text, sha="", outcome="withheld")
        return EXIT_PASS
    decision = _decide(args, event)
    authorize(os.environ)
    if isinstance(decision, Undecided) or decision.exit_code != EXIT_PASS:
        text = f"nothing is published: the verdict is {decision.verdict}"
        earlier = find_waived(project, event.head_branch, event.head_sha)
        _finish(args, console, text, sha="", outcome="withheld", waived=earlier)
        return EXIT_PASS
    taken = take_handover(
        HandoverRequest(
            project=project,
            handover=args.handover.absolute(),
            base=event.base_sha,
            head=event.head_sha,
            branch=event.head_branch,
            commit=args.mode == "commit",
            trailers=format_trailers(decision.waiver) if decision.waiver else (),
            verify=lambda sha: _verify(decision, args, sha),
        ),
        console,
    )
    text = _describe(taken, event)
    _finish(args, console, text, sha=taken.sha, outcome=taken.outcome)
    return EXIT_FAIL if taken.outcome == "stale" else EXIT_PASS


def _decide(args: argparse.Namespace, event: Event) -> Decision:
    """Judge the report by the base's policy; when it fails, ask whether that is waived."""
    from mlgitops.github.client import open_client
    from mlgitops.github.decision import check_record, decide
    from mlgitops.github.inputs import read_decided, read_input
    from mlgitops.github.waiver import settle
    from mlgitops.model import DEFAULT_KEY, Verdict

    data = read_input(args.directory / args.report)
    policy = read_input(args.directory / args.policy)
    decision = decide(
        data,
        policy,
        event,
        key=args.key or DEFAULT_KEY,
        where=args.policy,
        evaluating=args.evaluate_result,
    )
    decision = check_record(decision, read_decided(decision, args.directory, args.policy))
    token = os.environ.get("GITHUB_TOKEN")
    if decision.verdict != Verdict.FAIL or not token:
        return decision
    with open_client(event.run.api_url, token=token) as client:
        return settle(decision, event, client)


def _verify(decision: Decision, args: argparse.Namespace, sha: str) -> None:
    """Refuse results at a commit that are not those of which the report was judged."""
    from mlgitops.github.decision import Undecided, check_results
    from mlgitops.github.inputs import read_decided

    record = read_decided(decision, args.directory, args.policy, published=sha)
    checked = check_results(decision, record)
    if isinstance(checked, Undecided):
        raise MlgitopsError(checked.problem, where="the handover")


def _describe(taken: Taken, event: Event) -> str:
    if taken.outcome == "stale":
        return (
            "the branch does not hold the results of its own run. Run these, then push:\n"
            "  mlgitops train && mlgitops publish\n"
            '  git commit --all --message "Record what was trained"'
        )
    stored = f"storage complete, {taken.objects} objects, {taken.added} of them new"
    if taken.outcome == "current":
        return f"{event.head_branch} holds its results already; {stored}"
    return f"committed {taken.results} results to {event.head_branch} as {taken.sha}; {stored}"


def _finish(
    args: argparse.Namespace,
    console: Console,
    text: str,
    *,
    sha: str,
    outcome: str,
    waived: str = "",
) -> None:
    from mlgitops.github.outputs import format_command, format_log, write_outputs

    write_outputs(os.environ, {"sha": sha, "outcome": outcome, "waived": waived})
    shown = json.dumps({"outcome": outcome, "sha": sha or None}) if args.json else text
    in_log = os.environ.get("GITHUB_ACTIONS") == "true"
    if in_log and outcome == "stale":
        console.result(format_command("error", text, title="dvc.lock is behind"))
    console.result(format_log(shown) if in_log else shown)
