"""`mlgitops update`: a newer version of imported tables, trained on, as a pull request."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlgitops.commands.options import add_directory, add_json
from mlgitops.errors import EXIT_PASS

if TYPE_CHECKING:
    import argparse

    from mlgitops.console import Console
    from mlgitops.updating.report import Taken
    from mlgitops.updating.turn import Outcome

_EPILOG = """\
For each .dvc file that `dvc import` wrote, as the default branch has it, the source is asked for
what is newest by the rule that the file follows: a tag, the highest version above it that a branch
of the source holds; a branch, its tip. A file that is pinned to a commit stays, unless --to names
another. Table and contract of one source move together, to one commit.

What is new is taken beside the clone, held against the project as `mlgitops validate` does, trained
as `mlgitops train` does, and pushed as branch mlgitops/update/...; the pull request is opened with
GITHUB_TOKEN (or GH_TOKEN), and without a token the command that opens it is printed. One is open at
a time: while one is, its pull request is opened where it is not, and no source is asked. One that
was closed is proposed again only with --to. Nothing is checked out here, and running it again goes
on where it ended.

exit codes: 0 proposed, also if it was before, or nothing new; 2 refused, or it could not be

examples:
  mlgitops update
  mlgitops update --dry-run                        # what is new; nothing is taken
  mlgitops update --to v2.0.0 data/raw/table.csv.dvc data/raw/contract.yaml.dvc
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `mlgitops update`."""
    parser.epilog = _EPILOG
    parser.add_argument(
        "files", nargs="*", metavar="FILE.dvc", help="the imports that count (default: all)"
    )
    parser.add_argument(
        "--to", metavar="REV", help="take this tag, branch or whole commit of the source"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="say what is new; take and send nothing"
    )
    add_json(parser)
    add_directory(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    """Look what is new, propose it, say what came of it, and return the exit code."""
    from mlgitops.delivery.proposals.proposal import fetch_newest
    from mlgitops.delivery.proposals.result import hand_over
    from mlgitops.environments import locked
    from mlgitops.git.repository import Folder, Repository
    from mlgitops.updating.turn import Asked, take_turn

    project = args.directory.resolve()
    with locked(project / ".mlgitops" / "update.lock"), Repository(project) as repository:
        fetch_newest(repository.root, console)
        asked = Asked([Path(file).as_posix() for file in args.files], args.to, args.dry_run)
        folder = Folder(repository, project)
        outcome = take_turn(folder, asked, environ=os.environ, console=console)
    hand_over(outcome.proposed)
    console.result(_encode(outcome) if args.json else _describe(outcome))
    return EXIT_PASS


def _encode(outcome: Outcome) -> str:
    import msgspec

    from mlgitops.delivery.proposals.result import list_facts

    document: dict[str, Any] = {
        "step": outcome.step.value,
        "why": outcome.why,
        "notes": outcome.plan.notes,
        "taken": msgspec.to_builtins(_list_taken(outcome)),
        "title": outcome.change.title if outcome.change else None,
        "body": outcome.change.body if outcome.change else None,
        **list_facts(outcome.proposed),
        "report": msgspec.to_builtins(outcome.report) if outcome.report else None,
    }
    return json.dumps(document, indent=2)


def _list_taken(outcome: Outcome) -> list[Taken]:
    """List what the open one takes, or what would be taken."""
    if outcome.report is not None:
        return list(outcome.report.sources)
    return [step.taken for step in outcome.plan.steps]


def _describe(outcome: Outcome) -> str:
    from mlgitops.delivery.proposals.result import describe_proposed
    from mlgitops.render.escape import clean_text
    from mlgitops.updating.describe import describe_counts

    proposed = outcome.proposed
    lines = [f"{outcome.step}: {outcome.why}", *outcome.plan.notes]
    lines += describe_counts(outcome.report) if outcome.report else []
    lines = [clean_text(line, limit=2000) for line in lines]
    if proposed is None or outcome.change is None:
        return "\n".join(lines)
    return "\n".join([*lines, *describe_proposed(proposed)])
