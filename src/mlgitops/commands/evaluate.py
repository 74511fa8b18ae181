"""`mlgitops evaluate`: base's code measures a pull request's model, and says so in the report."""

from __future__ import annotations

import argparse
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mlgitops.commands.options import add_directory, add_event, add_json, add_key
from mlgitops.errors import EXIT_PASS, MlgitopsError

if TYPE_CHECKING:
    from mlgitops.console import Console
    from mlgitops.github.event import Event
    from mlgitops.model import Measurement, Report

_EPILOG = """\
The job that trains runs the pull request's own code, so its numbers are a claim. This runs in
another job, which has checked out the base and runs nothing of the pull request: the stored model
comes by the hash in the run's dvc.lock, the test rows by the base's (where the raw data changed,
the base's stages make them from it), and the base's stages that measure write metrics and
predictions. No stage that trains runs. The report then holds both: what was measured, and what
the run claims. Where the base's code cannot measure the model, the report says why.

example, after `mlgitops train`, `compare` and `publish --export handover` in another job:
  mlgitops evaluate --import ../handover --report ../report.json --output ../measured.json

exit codes: 0 the report is written, whatever it says, 2 it could not be
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.epilog = _EPILOG
    parser.add_argument(
        "--import",
        type=Path,
        metavar="DIR",
        dest="handover",
        required=True,
        help="what the run's job exported (`mlgitops publish --export`)",
    )
    parser.add_argument(
        "--report",
        metavar="FILE",
        required=True,
        help="the report of the run's job, from the project's folder: time, memory and what the "
        "stages did are its word",
    )
    parser.add_argument(
        "--output", metavar="FILE", required=True, help="write the report to this file, as JSON"
    )
    add_event(parser)
    parser.add_argument(
        "--workflow",
        default=".github/workflows/pull-request.yml",
        metavar="FILE",
        help="in a `workflow_run` event, the workflow that compared (default: %(default)s)",
    )
    parser.add_argument(
        "--timeout",
        type=_parse_seconds,
        default=900.0,
        metavar="SECONDS",
        help="what each stage of the base may take (default: %(default)g)",
    )
    parser.add_argument(
        "--policy", metavar="FILE", help="the policy, from the project's folder (policy.yaml)"
    )
    add_key(parser)
    add_json(parser)
    add_directory(parser)


def _parse_seconds(text: str) -> float:
    """Parse a time limit."""
    with suppress(ValueError):
        if 0 < float(text) <= _MOST_SECONDS:
            return float(text)
    limit = f"above 0, and at most {_MOST_SECONDS:g}"
    raise argparse.ArgumentTypeError(f"{text[:20]!r} is no number of seconds {limit}")


_MOST_SECONDS = 86_400.0
_BEHIND = (
    "the base has commits that the branch lacks, and the run used both: merge the base into the "
    "branch (`git merge`) and push"
)


def run(args: argparse.Namespace, console: Console) -> int:
    """Measure, write the report, and say what was measured."""
    from mlgitops.commands.compare import write_file
    from mlgitops.github.fork import StaleRunError
    from mlgitops.github.outputs import format_log, write_outputs
    from mlgitops.model import Measurement
    from mlgitops.model.wire import encode_report

    try:
        event = _find_event(args)
    except StaleRunError as error:
        console.say(f"  nothing to measure: {error}")
        return EXIT_PASS
    report = _evaluate(args, event, console)
    data = encode_report(report)
    write_file(args.directory / args.output, data)
    measurement = report.measurement or Measurement()
    write_outputs(os.environ, {"measured": "false" if measurement.reason else "true"})
    shown = data.decode() if args.json else _describe(measurement)
    console.result(format_log(shown) if os.environ.get("GITHUB_ACTIONS") == "true" else shown)
    return EXIT_PASS


def _find_event(args: argparse.Namespace) -> Event:
    """Find whose model is measured; for a fork's run, by the API."""
    from mlgitops.github.client import open_client
    from mlgitops.github.event import parse_run, read_payload
    from mlgitops.github.inputs import find_event, find_payload

    data = read_payload(find_payload(args.event, os.environ))
    workflow_run = parse_run(os.environ)
    with open_client(workflow_run.api_url, token=os.environ.get("GITHUB_TOKEN")) as client:
        return find_event(data, workflow_run, os.environ, client, workflow=args.workflow)


def _is_behind(project: Path, event: Event) -> bool:
    """Tell whether the run was on a merge of both, of which no commit could hold the results."""
    from mlgitops.git.repository import Repository

    with Repository(project) as repository:
        base, head = repository.resolve(event.base_sha), repository.resolve(event.head_sha)
        return repository.merge_base(base, head) != base


def _evaluate(args: argparse.Namespace, event: Event, console: Console) -> Report:
    """Compare base with the commit that the handover makes, measured by base's code.

    Where there can be no such commit, the run's own report is handed on as the claim that it is.
    """
    import msgspec

    from mlgitops.comparison.revisions import POLICY, Evaluation, compare
    from mlgitops.git.repository import Folder, Repository
    from mlgitops.model import DEFAULT_KEY, Measurement, Side
    from mlgitops.storage import prepare_storage
    from mlgitops.storage.handover import HandoverRequest, commit_handover
    from mlgitops.storage.handover.commit import authorize
    from mlgitops.verification.record import fetch_commit

    project = args.directory.absolute()
    key = args.key or DEFAULT_KEY
    claimed = _read_claimed(args.directory / args.report, event, key)
    authorize(os.environ)
    fetch_commit(project, event.head_sha)
    if _is_behind(project, event):
        return msgspec.structs.replace(claimed, measurement=Measurement(reason=_BEHIND))
    prepare_storage(project, console)
    request = HandoverRequest(
        project=project,
        handover=args.handover.absolute(),
        base=event.base_sha,
        head=event.head_sha,
        branch=event.head_branch,
        commit=False,
    )
    results = commit_handover(request, console)
    with Repository(project) as repository:
        return compare(
            Folder(repository, project.resolve()),
            Side(sha=event.base_sha),
            Side(sha=event.head_sha, dirty=claimed.head.dirty),
            worktree=False,
            policy_path=args.policy or POLICY,
            key=key,
            console=console,
            evaluation=Evaluation(results=results, claimed=claimed, timeout=args.timeout),
        )


def _read_claimed(path: Path, event: Event, key: str) -> Report:
    """Read the report of the run's job, which its own code may have written."""
    from mlgitops.github.decision import check_identity
    from mlgitops.github.inputs import read_input
    from mlgitops.model.wire import parse_report

    data = read_input(path)
    if data is None:
        hint = "the log of the job that compared says why it wrote none"
        raise MlgitopsError("the run left no report", where=str(path), hint=hint)
    report = parse_report(data)
    check_identity(report, event, key=key)
    return report


def _describe(measurement: Measurement) -> str:
    """Say in one line what was measured, or why nothing was."""
    if measurement.reason is not None:
        return f"not measured by the base's code: {measurement.reason}"
    rows = "" if measurement.rows is None else f" on {measurement.rows:,} test rows"
    rebuilt = ", made by the base's code from the new data" if measurement.rebuilt else ""
    return f"measured by the base's code{rows}{rebuilt}: {', '.join(measurement.paths)}"
