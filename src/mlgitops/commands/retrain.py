"""`mlgitops retrain`: rows of production that got their label train the next model."""

from __future__ import annotations

import datetime as dt
import json
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlgitops.commands.options import add_day, add_directory, add_environment, add_json
from mlgitops.errors import EXIT_PASS

if TYPE_CHECKING:
    import argparse

    from mlgitops.console import Console
    from mlgitops.monitoring.project import Watched
    from mlgitops.retraining.making import Order, Source
    from mlgitops.retraining.observing import Scene
    from mlgitops.retraining.sending import Retrained
    from mlgitops.retraining.turn import Outcome

_EPILOG = """\
Trains again when there is a reason: a figure of the model is an alert (performance), the default
branch has other data than the model in service learned from (data), the model is older than
monitor.yaml allows (age), or somebody wants it (--reason by-hand). Drift of inputs is no reason.

Rows of the request log that got a label and keep the contract are appended to data/raw/table.csv,
each once; labels are read first where monitor.yaml names a source of them. The newest days with
labels are held out, and champion and challenger compared on them. The pull request comes on a
branch mlgitops/retrain/..., opened with GITHUB_TOKEN (or GH_TOKEN); without a token the command
that opens it is printed. One is open at a time, and after one there is a rest, which --reason
by-hand cuts short. Nothing is checked out here, and running it again goes on where it ended.

exit codes: 0 proposed, also if it was before, or nothing to do; 2 refused, or it could not be

examples:
  mlgitops retrain production
  mlgitops retrain production --reason by-hand
  mlgitops retrain production --dry-run            # what would be learned from; nothing is trained
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `mlgitops retrain`."""
    parser.epilog = _EPILOG
    add_environment(parser)
    parser.add_argument(
        "--reason",
        choices=("performance", "data", "age", "by-hand"),
        help="the only reason that counts (default: any but by-hand)",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be done; train and send nothing"
    )
    parser.add_argument(
        "--labels-checked",
        action="store_true",
        help="the labels are what came true, though all of them are what the model answered",
    )
    add_json(parser)
    add_day(parser)
    parser.add_argument(
        "--facts", type=Path, metavar="DIR",
        help="read the facts in this folder (default: on the branch `monitoring`)",
    )  # fmt: skip
    add_directory(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    """Decide, carry out, say what came of it, and return the exit code."""
    from mlgitops.delivery.local.files import EnvironmentFiles
    from mlgitops.delivery.proposals.proposal import fetch_newest
    from mlgitops.delivery.proposals.result import hand_over
    from mlgitops.environments import locked
    from mlgitops.git.repository import Folder, Repository
    from mlgitops.retraining.observing import read_scene

    project = args.directory.resolve()
    files = EnvironmentFiles(project, args.environment)
    with locked(files.folder / "retrain.lock"), Repository(project) as repository:
        fetch_newest(repository.root, console)
        scene = read_scene(Folder(repository, project), args.environment)
        outcome = _carry_out(args, scene, console)
    hand_over(outcome.proposed)
    console.result(_encode(outcome) if args.json else _describe(outcome))
    return EXIT_PASS


def _carry_out(args: argparse.Namespace, scene: Scene, console: Console) -> Outcome:
    from mlgitops.commands.label import take
    from mlgitops.commands.monitor import read_day
    from mlgitops.delivery.production import open_store
    from mlgitops.monitoring.project import read_watched
    from mlgitops.retraining.decision import Reason
    from mlgitops.retraining.observing import observe
    from mlgitops.retraining.sending import retrain
    from mlgitops.retraining.turn import Asked, take_turn

    project, watched, until = args.directory, read_watched(args.directory), read_day(args.day)
    facts = list(open_store(project, args.facts).read(args.environment))
    today = dt.datetime.now(dt.UTC).date().isoformat()
    observed = observe(scene, watched, facts, day=today, until=until, environ=os.environ)

    def train(order: Order) -> Retrained:
        labels = watched.settings.labels
        if labels.source is not None:
            take(project, args.environment, watched, labels, (), console=console)
        return retrain(order, _find_source(args, watched, until), console)

    asked = Asked(Reason(args.reason) if args.reason else None, args.labels_checked, args.dry_run)
    return take_turn(scene, watched, observed, asked, train, environ=os.environ, console=console)


def _find_source(args: argparse.Namespace, watched: Watched, until: str) -> Source:
    """Return where the log and the labels are, up to the last day whose labels are all here."""
    from mlgitops.delivery.local.files import EnvironmentFiles
    from mlgitops.monitoring.history import shift_day
    from mlgitops.monitoring.label_store import LabelStore
    from mlgitops.monitoring.project import list_parts, read_salt
    from mlgitops.monitoring.sources import FIRST_DAY
    from mlgitops.retraining.making import Source, name_source

    files, settings = EnvironmentFiles(args.directory, args.environment), watched.settings
    end = shift_day(until, 1 - settings.alerts.wait_days)
    parts = list_parts(settings.source, args.directory, files.requests, FIRST_DAY, end)
    labels = LabelStore(folder=files.folder / "labels")
    names = name_source(settings.source), name_source(settings.labels.source)
    read = partial(read_salt, settings, args.directory, files.requests)
    return Source(parts, labels, *names, read_salt=read)


def _encode(outcome: Outcome) -> str:
    import msgspec

    from mlgitops.delivery.proposals.result import list_facts

    action = outcome.action
    document: dict[str, Any] = {
        "step": action.step.value,
        "reason": action.reason.value if action.reason else None,
        "why": action.why,
        "title": outcome.change.title if outcome.change else None,
        "body": outcome.change.body if outcome.change else None,
        **list_facts(outcome.proposed),
        "report": msgspec.to_builtins(outcome.report) if outcome.report else None,
    }
    return json.dumps(document, indent=2)


def _describe(outcome: Outcome) -> str:
    from mlgitops.delivery.proposals.result import describe_proposed
    from mlgitops.retraining.describe import describe_counts

    action, proposed = outcome.action, outcome.proposed
    lines = describe_counts(outcome.report) if outcome.report else []
    if proposed is None or outcome.change is None:
        return "\n".join([f"{action.step}: {action.why}", *lines])
    lines = [f"{outcome.change.title}: {action.why}", *lines]
    return "\n".join([*lines, *describe_proposed(proposed)])
