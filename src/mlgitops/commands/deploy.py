"""`mlgitops deploy`: bring the model of an environment into service, checked."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING

from mlgitops.commands.options import add_directory, add_environment, add_json
from mlgitops.delivery import CheckFailedError, Deployed, LocalTarget
from mlgitops.errors import EXIT_FAIL, EXIT_PASS, MlgitopsError
from mlgitops.storage.handover.commit import authorize

if TYPE_CHECKING:
    from mlgitops.console import Console
    from mlgitops.delivery import Outcome, Shadow, Status, Target

_EPILOG = """\
Reads deploy/ENV/model.yaml at the tip of the default branch, as origin has it, fetches the model by
its digest and verifies it, starts the project's server beside the running one, waits until it is
ready, asks it for the golden prediction, and only then sends the users there. While the bake that
the file asks for lasts, the old server answers whatever the new one fails to; when the new one
fails, the old one comes back by itself. A commit whose model failed is not tried again. What was
brought into service is written to the ledger, the branch `deployments`. The servers keep running
after the command, until --stop, which takes away what --install brought, too.

--shadow asks the requests of a file, one of the Open Inference Protocol a line, of the server in
service and of what git, or --revision, wants, which is started beside for that time. It says how
many answers are equal within the golden tolerance. No user is sent there, nothing is written down.

exit codes:
  0  in service (or, with --status, serving; with --shadow, the candidate answered all that the
     server in service answered, the same or not)
  1  the model failed and what served before serves on; or --status finds it not serving
  2  could not try: no such environment, not merged, not published, digest mismatch, port taken

examples:
  mlgitops deploy staging
  mlgitops deploy production --port 9000
  mlgitops deploy staging --revision HEAD --force   unapproved, and the ledger says so
  mlgitops deploy production --install
  mlgitops deploy production --shadow requests.jsonl --revision HEAD
  mlgitops deploy staging --status --json
  mlgitops deploy staging --stop
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `mlgitops deploy`."""
    parser.epilog = _EPILOG
    add_environment(parser)
    parser.add_argument(
        "--port", type=_parse_port, metavar="N", help="public port (default: model.yaml's)"
    )
    parser.add_argument(
        "--revision",
        metavar="REV",
        help="deploy what another commit wants; needs --force unless the default branch wants the "
        "same, or ENV is `local`",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="deploy what is not merged (HEAD, or --revision) or not published, and write it down "
        "as such",
    )
    parser.add_argument(
        "--no-wait",
        action="store_true",
        help="end when the bake begins; another run, such as the installed timer's, finishes it",
    )
    add_directory(parser)
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--status", action="store_true", help="only say what is in service")
    instead.add_argument("--stop", action="store_true", help="end the environment's processes")
    instead.add_argument(
        "--shadow",
        type=Path,
        metavar="FILE",
        help="only compare: ask the requests of FILE, JSON Lines, of what serves and of what would",
    )
    parser.add_argument(
        "--install",
        action="store_true",
        help="after that, look after it every minute: units of your systemd, or lines for cron",
    )
    add_json(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    """Deploy, or show, or stop."""
    target = _choose_target(args, console)
    if args.stop:
        stopped = target.stop(args.environment)
        console.result(f"{args.environment}: {'stopped' if stopped else 'nothing was running'}")
        return EXIT_PASS
    if args.status:
        status = target.read_status(args.environment)
        console.result(encode_status(status) if args.json else _show_status(status))
        return EXIT_PASS if status.serving else EXIT_FAIL
    authorize(os.environ)
    if args.shadow:
        return _compare(args, target, console)
    try:
        outcome = target.deploy(
            args.environment,
            revision=args.revision,
            force=args.force,
            port=args.port,
            patient=not args.no_wait,
        )
    except CheckFailedError as error:
        console.error(error)
        return EXIT_FAIL
    if args.install:
        console.say(LocalTarget(args.directory, console).install(args.environment, args.port))
    console.result(encode_outcome(outcome) if args.json else _show_outcome(outcome))
    return EXIT_PASS


def _compare(args: argparse.Namespace, target: Target, console: Console) -> int:
    """Replay requests; a difference is a fact for people to judge, a failed request is not."""
    if not isinstance(target, LocalTarget):
        raise MlgitopsError(
            "--shadow is for the target `local`",
            where=f"deploy/{args.environment}/model.yaml",
            hint="deploy the candidate to an environment that is `local`, and compare there",
        )
    try:
        shadow = target.shadow(args.environment, args.shadow, revision=args.revision)
    except CheckFailedError as error:
        console.error(error)
        return EXIT_FAIL
    console.result(encode_shadow(shadow) if args.json else _show_shadow(shadow))
    return EXIT_FAIL if shadow.replay.candidate_failed else EXIT_PASS


def _choose_target(args: argparse.Namespace, console: Console) -> Target:
    """Return the target that the environment's file names where it is wanted."""
    from mlgitops.delivery.desired import find_target_name
    from mlgitops.delivery.kubernetes.target import KubernetesTarget

    name = find_target_name(args.directory.resolve(), args.environment)
    if name != "kubernetes":
        return LocalTarget(args.directory, console)
    if args.install:
        raise MlgitopsError(
            "--install is for the target `local`",
            where=f"deploy/{args.environment}/model.yaml",
            hint="a cluster looks after its servers; Argo CD or Flux follow git there",
        )
    return KubernetesTarget(args.directory, console)


def encode_outcome(outcome: Outcome) -> str:
    """Write what a deployment did as JSON, all in one level."""
    document = {
        "environment": outcome.environment,
        **asdict(outcome.deployed),
        "previous": outcome.previous,
        "changed": outcome.changed,
        "baking": outcome.baking,
        "logs": outcome.logs,
    }
    return json.dumps(document, indent=2)


def encode_status(status: Status) -> str:
    """Write what an environment serves as JSON, all in one level; null where nothing is."""
    names = (field.name for field in fields(Deployed))
    document: dict[str, object] = {
        "environment": status.environment,
        "serving": status.serving,
        **(asdict(status.deployed) if status.deployed else dict.fromkeys(names)),
        "problem": status.problem,
        "requests": status.requests,
    }
    return json.dumps(document, indent=2)


def encode_shadow(shadow: Shadow) -> str:
    """Write what a replay came to as JSON, all in one level."""
    document = asdict(shadow)
    return json.dumps(document | document.pop("replay"), indent=2)


def _parse_port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 2**16:
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is not a port: give 1 to 65535")
    return int(text)


def _name(deployed: Deployed) -> str:
    version = f"{deployed.version} " if deployed.version else ""
    return f"{deployed.model} {version}{deployed.sha256[:12]}"


def _show_outcome(outcome: Outcome) -> str:
    deployed = outcome.deployed
    if not outcome.changed:
        return f"{outcome.environment}: {_name(deployed)} is in service already, at {deployed.url}"
    before = f" (before: {outcome.previous[:12]})" if outcome.previous else ""
    bake = ", and the old one stands behind it until its bake is over" if outcome.baking else ""
    served = f"{_name(deployed)} is in service at {deployed.url}{before}{bake}"
    return f"{outcome.environment}: {served}"


def _show_status(status: Status) -> str:
    deployed = status.deployed
    if deployed is None:
        return f"{status.environment}: {status.problem}"
    state = "in service" if status.serving else "NOT answering"
    forced = ", by force" if deployed.forced else ""
    lines = [
        f"{status.environment}: {_name(deployed)}, {state} at {deployed.url}",
        (
            f"  since {deployed.since}, by commit {deployed.commit[:12]}{forced}; "
            f"its code is of {deployed.revision[:12]}"
        ),
    ]
    if status.requests:
        lines.append(f"  its requests are logged in {status.requests}")
    return "\n".join([*lines, *([status.problem] if status.problem else [])])


def _show_shadow(shadow: Shadow) -> str:
    counted = shadow.replay
    asked = f"{counted.requests:,} requests asked of {shadow.live[:12]}, in service, and of "
    failed = f"{counted.candidate_failed:,} failed by the candidate only, {counted.live_failed:,} "
    lines = [
        f"{shadow.environment}: {asked}{shadow.candidate[:12]} of commit {shadow.revision[:12]}",
        f"  {counted.equal:,} answers equal, {counted.different:,} different",
        f"  {failed}by the one in service only, {counted.refused:,} by both",
    ]
    if counted.live_ms is not None:
        medians = (
            f"{counted.live_ms:.1f} ms in service, {counted.candidate_ms:.1f} ms the candidate"
        )
        lines.append(f"  median of one answer: {medians}")
    return "\n".join([*lines, *([f"  first: {counted.first}"] if counted.first else [])])
