"""`mlgitops rollback`: propose the model that an environment wanted before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgitops.commands.options import add_environment
from mlgitops.commands.promote import add_output_options, propose

if TYPE_CHECKING:
    import argparse

    from mlgitops.console import Console
    from mlgitops.delivery.proposals.proposal import Proposal
    from mlgitops.git.repository import Folder

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
    add_environment(parser)
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
    add_output_options(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    """Propose the way back, or take it."""
    from mlgitops.delivery.proposals.rollback import plan_rollback

    def plan(folder: Folder) -> Proposal:
        return plan_rollback(
            *(folder, args.environment, args.version), reason=args.reason, console=console
        )

    return propose(args, console, plan, now=args.now)
