"""`mlgitops rollback`: propose the model that an environment wanted before."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from mlgitops.errors import EXIT_PASS

if TYPE_CHECKING:
    import argparse

    from mlgitops.console import Console
    from mlgitops.delivery.proposal import Proposal, Proposed
    from mlgitops.git.repository import Repository

_EPILOG = """\
Puts the model back into deploy/ENV/model.yaml that was wanted there before the last change of it,
on a branch rollback/ENV/COMMIT of its own, and opens the pull request as `mlgitops promote` does.
The file is the old one byte for byte, unless something else in it was changed since: that stays.
Nothing is trained; once it is merged, the next delivery brings the old model into service. Where
the last change was a way back itself, or going back would bring the very same model, it asks where
to go. What the ledger of deployments has as given up, and not as served since, is refused by name.

--now puts the change on the default branch at once, for whoever the branch's rules allow it.

examples:
  mlgitops rollback production
  mlgitops rollback production --to v1.1.0 --reason "answers took twice as long"
  mlgitops rollback production --now

exit codes: 0 proposed, also if it was before, or done (--now); 2 refused, or it could not be
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.epilog = _EPILOG
    parser.add_argument("environment", metavar="ENV", help="a folder below deploy/")
    parser.add_argument(
        "--to",
        metavar="VERSION",
        dest="version",
        help="a release, such as v1.1.0 (default: before)",
    )
    parser.add_argument("--reason", metavar="TEXT", help="why, for the pull request")
    parser.add_argument(
        "--now", action="store_true", help="push it to the default branch, without a pull request"
    )
    parser.add_argument("--json", action="store_true", help="write what was done as JSON")
    parser.add_argument(
        "--directory", type=Path, default=Path(), metavar="DIR", help="the project (default: .)"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Propose the way back, or take it."""
    from mlgitops.commands.promote import hand_over, show_proposed
    from mlgitops.delivery.proposal import fetch_newest
    from mlgitops.delivery.rollback import plan_rollback
    from mlgitops.git.repository import Folder, Repository

    project = args.directory.resolve()
    with Repository(project) as repository:
        fetch_newest(repository.root, console)
        proposal = plan_rollback(
            Folder(repository, project),
            args.environment,
            args.version,
            reason=args.reason,
            console=console,
        )
        proposed = _carry_out(repository, proposal, now=args.now)
    hand_over(proposed)
    console.result(show_proposed(proposal, proposed, as_json=args.json))
    return EXIT_PASS


def _carry_out(repository: Repository, proposal: Proposal, *, now: bool) -> Proposed:
    from mlgitops.delivery.proposal import Proposed, open_proposal, push_directly, push_proposal

    if not now:
        return open_proposal(repository, proposal, push_proposal(repository, proposal), os.environ)
    commit = push_directly(repository, proposal)
    return Proposed(
        branch=proposal.base, commit=commit, number=None, url=None, opener=None, merged=True
    )
