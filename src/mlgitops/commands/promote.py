"""`mlgitops promote`: propose a release for an environment, as a pull request."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from mlgitops.commands.options import add_directory, add_json
from mlgitops.errors import EXIT_PASS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from mlgitops.console import Console
    from mlgitops.delivery.proposals.proposal import Proposal, Proposed
    from mlgitops.git.repository import Folder

_EPILOG = """\
Writes the release's version, commit and sha256 into deploy/ENV/model.yaml, on a branch
promote/ENV/VERSION of its own, pushes that without force, and opens the pull request with
GITHUB_TOKEN (or GH_TOKEN); without a token it prints the command that opens it. Nothing is checked
out or trained, and running it again changes nothing. The verdict on that pull request compares the
release with the model that is wanted there now.

On Kubernetes --image pins the image that holds the model, in the same pull request; without it the
release gets the image that it had there before. A release that is wanted already may get another
image, such as one that was built anew.

Refused: what is no release, what the storage does not hold, what is wanted already in that image,
what is older than that (`mlgitops rollback` is the way back), and, where an image is pinned, a
release whose image nothing names.

examples:
  mlgitops promote --to staging
  mlgitops promote --to production v1.2.0
  mlgitops promote --to production v1.2.0 --image sha256:3f78...   # on Kubernetes

exit codes: 0 proposed, also if it was before; 2 refused, or it could not be
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.epilog = _EPILOG
    parser.add_argument(
        "version", nargs="?", metavar="VERSION", help="such as v1.2.0 (default: the newest release)"
    )
    parser.add_argument(
        "--to",
        required=True,
        metavar="ENV",
        dest="environment",
        help="the environment, a folder below deploy/",
    )
    parser.add_argument(
        "--allow-older", action="store_true", help="take a release older than what is wanted there"
    )
    parser.add_argument(
        "--image",
        metavar="DIGEST",
        help="on Kubernetes: the image that holds it, as sha256:... or NAME@sha256:... "
        "(default: the one that it had there before)",
    )
    add_output_options(parser)


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """Declare what the commands that propose have in common."""
    add_json(parser)
    add_directory(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    """Propose the release."""
    from mlgitops.delivery.proposals.promotion import plan_promotion

    def plan(folder: Folder) -> Proposal:
        return plan_promotion(
            *(folder, args.environment, args.version),
            allow_older=args.allow_older,
            console=console,
            image=args.image,
        )

    return propose(args, console, plan)


def propose(
    args: argparse.Namespace,
    console: Console,
    plan: Callable[[Folder], Proposal],
    *,
    now: bool = False,
) -> int:
    """Carry out what ``plan`` makes of the newest state, and say what came of it.

    With ``now`` on the default branch itself, else as a pull request.
    """
    from mlgitops.delivery.proposals.proposal import (
        fetch_newest,
        open_proposal,
        push_directly,
        push_proposal,
    )
    from mlgitops.delivery.proposals.result import hand_over
    from mlgitops.git.repository import Folder, Repository

    project = args.directory.resolve()
    with Repository(project) as repository:
        fetch_newest(repository.root, console)
        proposal = plan(Folder(repository, project))
        if now:
            proposed = push_directly(repository, proposal)
        else:
            commit = push_proposal(repository, proposal)
            proposed = open_proposal(repository, proposal, commit, os.environ)
    hand_over(proposed)
    console.result(_show_proposed(proposal, proposed, as_json=args.json))
    return EXIT_PASS


def _show_proposed(proposal: Proposal, proposed: Proposed, *, as_json: bool) -> str:
    """Say what was proposed and where it stands."""
    from mlgitops.delivery.proposals.result import describe_proposed, list_facts

    if as_json:
        document = {
            "environment": proposal.environment,
            "title": proposal.title,
            **list_facts(proposed),
            "merged": proposed.merged,
        }
        return json.dumps(document, indent=2)
    if proposed.merged:
        return f"{proposal.title}: {proposed.commit[:12]} is on {proposed.branch}"
    return f"{proposal.title}: " + "\n".join(describe_proposed(proposed))
