"""`mlgitops release`: give the merged model its version, as a tag that says where it comes from."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mlgitops.commands.options import add_directory, add_json
from mlgitops.errors import EXIT_PASS, MlgitopsError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from mlgitops.console import Console
    from mlgitops.delivery.releases.merged import FetchStatement
    from mlgitops.delivery.releases.tagging import Outcome
    from mlgitops.model.lineage import Lineage

_EPILOG = """\
Takes the model at the tip of the default branch, reads it back from the storage, and holds it
against dvc.lock and model/model.json; nothing is trained. When it is not the newest release, it
gets the next version: an annotated tag MODEL@vX.Y.Z whose message is a line for people and its
lineage as JSON. The first is v1.0.0; then inputs or outputs changed: major; code, parameters or
locked packages: minor; only the data: patch. MODEL is the name in dvc.yaml's `artifacts:`.

Git signs the tag where `gpg.format` is ssh and `user.signingKey` is set. What git does not know,
such as the verdict, comes from --statement, or with --workflow from what the run of the merged
pull request left; without either those fields are null, with the reason.
A tag is never moved: of two runs at once one wins, and the other finds nothing new.

exit codes:
  0  released, or nothing was new
  2  not released: not published, damaged, the statement does not hold, a tag that is no release

examples:
  mlgitops release --dry-run
  mlgitops release --statement statement.json --push
  mlgitops release --workflow .github/workflows/pull-request.yml --push
  git show flights@v1.2.0
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `mlgitops release`."""
    parser.epilog = _EPILOG
    add_directory(parser)
    parser.add_argument(
        "--statement", type=Path, metavar="FILE", help="of the verdict, as `report` wrote it"
    )
    parser.add_argument(
        "--workflow",
        metavar="FILE",
        help="take the statement that this workflow's run of the merged pull request left; "
        "$GITHUB_TOKEN may read actions",
    )
    parser.add_argument(
        "--artifact",
        default="mlgitops-statement",
        metavar="NAME",
        help="under which it left it (default: %(default)s)",
    )
    parser.add_argument(
        "--job",
        default="Report",
        metavar="NAME",
        help="its job that judges and left it, by the name that GitHub shows "
        "(default: %(default)s)",
    )
    parser.add_argument("--push", action="store_true", help="send the tag to origin")
    parser.add_argument("--dry-run", action="store_true", help="say what would be tagged")
    add_json(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    """Release, and say which version there is now."""
    from mlgitops.delivery.releases.tagging import release_tip
    from mlgitops.git.repository import Folder, Repository
    from mlgitops.github.outputs import write_outputs
    from mlgitops.storage.handover.commit import authorize

    if args.statement and args.workflow:
        problem = "--statement is a statement, and --workflow asks for one: give one of them"
        raise MlgitopsError(problem, where="--workflow")
    authorize(os.environ)
    with Repository(args.directory) as repository, _open_runs(args) as fetch:
        outcome = release_tip(
            Folder(repository, args.directory.resolve()),
            console,
            statement=args.statement,
            push=args.push,
            dry_run=args.dry_run,
            fetch=fetch,
        )
    made, sha256 = str(outcome.made).lower(), outcome.lineage.sha256
    write_outputs(os.environ, {"tag": outcome.tag, "made": made, "sha256": sha256})
    console.result(encode_outcome(outcome) if args.json else _describe(outcome))
    return EXIT_PASS


@contextmanager
def _open_runs(args: argparse.Namespace) -> Iterator[FetchStatement | None]:
    """Hand out what fetches a statement from a run, where a workflow is named."""
    if not args.workflow:
        yield None
        return
    from mlgitops.github.client import open_repository
    from mlgitops.github.kept_statement import StatementPlace, fetch_statement

    place = StatementPlace(workflow=args.workflow, artifact=args.artifact, job=args.job)
    with open_repository(os.environ, purpose="read actions") as (client, repository):
        yield lambda commits: fetch_statement(client, repository, place, commits)


def encode_outcome(outcome: Outcome) -> str:
    """Write the outcome as JSON: the tag, what this run did, and the lineage."""
    import msgspec

    return msgspec.json.format(msgspec.json.encode(outcome, order="sorted"), indent=2).decode()


def _describe(outcome: Outcome) -> str:
    from mlgitops.model.lineage import write_title

    lineage = outcome.lineage
    where = f"{lineage.commit[:12]}, model {lineage.sha256[:12]}"
    if outcome.signature is None:
        lines = [f"would be released: {outcome.tag} at {where}"]
    elif outcome.made:
        lines = [f"released: {outcome.tag} at {where}, {outcome.signature}"]
    else:
        sent = "; origin has the tag" if outcome.pushed else ""
        return f"nothing is new: {outcome.tag} has this model, {lineage.sha256[:12]}{sent}"
    lines.append(f"  {write_title(lineage)}")
    if lineage.changed:
        lines.append(f"  changed: {', '.join(lineage.changed[:10])}")
    lines += _explain_absent(lineage)
    if outcome.made and not outcome.pushed:
        lines.append(f"It is here alone; to send it: git push origin {outcome.tag}")
    return "\n".join(lines)


def _explain_absent(lineage: Lineage) -> list[str]:
    """Say what is not known, fields with the same reason on one line."""
    fields: dict[str, list[str]] = {}
    for name, reason in sorted(lineage.absent.items()):
        fields.setdefault(reason, []).append(name.replace("_", " "))
    return [f"  no {', '.join(names)}: {reason}" for reason, names in fields.items()]
