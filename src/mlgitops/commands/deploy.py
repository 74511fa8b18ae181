"""`mlgitops deploy`: bring the model of an environment into service, checked."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from mlgitops.delivery import CheckFailedError, LocalTarget
from mlgitops.errors import EXIT_FAIL, EXIT_PASS

if TYPE_CHECKING:
    from mlgitops.console import Console
    from mlgitops.delivery import Outcome, Status, Target

_EPILOG = """\
Reads deploy/ENV/model.yaml at the commit, fetches the model by its digest and verifies it,
starts the project's server beside the running one, waits until it is ready, asks it for the
golden prediction, and only then switches the public port over. On any failure the model that
served before goes on serving. The servers keep running after the command, until --stop.

exit codes:
  0  in service (or, with --status, serving)
  1  the model failed a check, or --status finds it not serving: the log's end is shown
  2  could not try: no such environment, digest mismatch, model not found, port taken

examples:
  mlgitops deploy staging
  mlgitops deploy production --revision v1.2.0 --port 9000
  mlgitops deploy staging --status --json
  mlgitops deploy staging --stop
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `mlgitops deploy`."""
    parser.epilog = _EPILOG
    parser.add_argument("environment", metavar="ENV", help="a folder below deploy/")
    parser.add_argument(
        "--port", type=_parse_port, metavar="N", help="public port (default: model.yaml's)"
    )
    parser.add_argument(
        "--revision",
        default="HEAD",
        metavar="REV",
        help="the commit to deploy: what its deploy/ENV/model.yaml wants (default: HEAD)",
    )
    parser.add_argument(
        "--directory", type=Path, default=Path(), metavar="DIR", help="the project (default: .)"
    )
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--status", action="store_true", help="only say what is in service")
    instead.add_argument("--stop", action="store_true", help="end the environment's processes")
    parser.add_argument("--json", action="store_true", help="write the outcome as JSON")


def run(args: argparse.Namespace, console: Console) -> int:
    """Deploy, or show, or stop."""
    target: Target = LocalTarget(args.directory, console)
    if args.stop:
        stopped = target.stop(args.environment)
        console.result(f"{args.environment}: {'stopped' if stopped else 'nothing was running'}")
        return EXIT_PASS
    if args.status:
        status = target.read_status(args.environment)
        console.result(encode_status(status) if args.json else _describe(status))
        return EXIT_PASS if status.serving else EXIT_FAIL
    try:
        outcome = target.deploy(args.environment, revision=args.revision, port=args.port)
    except CheckFailedError as error:
        console.error(error)
        return EXIT_FAIL
    console.result(encode_outcome(outcome) if args.json else _tell(outcome))
    return EXIT_PASS


def encode_outcome(outcome: Outcome) -> str:
    """Write what a deployment did as JSON, all in one level."""
    deployed = outcome.deployed
    document = {
        "environment": outcome.environment,
        "model": deployed.model,
        "sha256": deployed.sha256,
        "commit": deployed.commit,
        "previous": outcome.previous,
        "changed": outcome.changed,
        "url": deployed.url,
        "logs": outcome.logs,
    }
    return json.dumps(document, indent=2)


def encode_status(status: Status) -> str:
    """Write what an environment serves as JSON, all in one level; null where nothing is."""
    document: dict[str, object] = {"environment": status.environment, "serving": status.serving}
    for name in ("model", "sha256", "commit", "since", "url"):
        document[name] = getattr(status.deployed, name) if status.deployed else None
    return json.dumps(document, indent=2)


def _parse_port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 2**16:
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is not a port: give 1 to 65535")
    return int(text)


def _tell(outcome: Outcome) -> str:
    deployed = outcome.deployed
    model = f"{deployed.model} {deployed.sha256[:12]}"
    if not outcome.changed:
        return f"{outcome.environment}: {model} is in service already, at {deployed.url}"
    before = f" (before: {outcome.previous[:12]})" if outcome.previous else ""
    return f"{outcome.environment}: {model} is in service at {deployed.url}{before}"


def _describe(status: Status) -> str:
    deployed = status.deployed
    if deployed is None:
        return f"{status.environment}: nothing is deployed"
    state = "in service" if status.serving else "NOT answering"
    model = f"{deployed.model} {deployed.sha256[:12]} of commit {deployed.commit[:12]}"
    return f"{status.environment}: {model}, {state} at {deployed.url} since {deployed.since}"
