"""`mlgitops rejudge`: after a waiver's label, start the judging of a pull request again."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from mlgitops.commands.options import add_event, add_json
from mlgitops.errors import EXIT_PASS, MlgitopsError

if TYPE_CHECKING:
    import argparse

    from mlgitops.console import Console

EXAMPLES = """\
example, in a workflow on `pull_request`, types `[labeled, unlabeled]`:
  mlgitops rejudge

The newest run that judged the pull request is started again from its first job that judges:
nothing trains again. A run that has yet to judge is left alone, because it will see the label
itself; one that is judging is waited for.
exit code: 0 done or nothing to do, 2 the API did not let us.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.epilog = EXAMPLES
    parser.add_argument(
        "--workflow",
        default=".github/workflows/pull-request.yml",
        metavar="FILE",
        help="the workflow that judges (default: %(default)s)",
    )
    parser.add_argument(
        "--jobs",
        default="Publish,Report",
        metavar="NAMES",
        help="its jobs that judge, by the names that GitHub shows, in their order; the first one "
        "that ran is started again (default: %(default)s)",
    )
    add_event(parser)
    add_json(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    """Start the judging again, or say why not."""
    from mlgitops.github.client import open_client
    from mlgitops.github.event import parse_run, read_payload
    from mlgitops.github.inputs import find_payload
    from mlgitops.github.outputs import format_log, write_outputs
    from mlgitops.github.rejudge import Rejudger, parse_trigger

    trigger = parse_trigger(read_payload(find_payload(args.event, os.environ)))
    names = [name.strip() for name in args.jobs.split(",") if name.strip()]
    if not names:
        raise MlgitopsError("no job is named", where="--jobs")
    workflow_run = parse_run(os.environ)
    with open_client(workflow_run.api_url, token=os.environ.get("GITHUB_TOKEN")) as client:
        rejudger = Rejudger(
            client, workflow_run.repository, trigger, workflow=args.workflow, jobs=names
        )
        done = rejudger.start()
    write_outputs(os.environ, {"outcome": done.outcome.value})
    text = f"{done.outcome}: {done.text}"
    shown = json.dumps({"outcome": done.outcome, "text": done.text}) if args.json else text
    console.result(format_log(shown) if os.environ.get("GITHUB_ACTIONS") == "true" else shown)
    return EXIT_PASS
