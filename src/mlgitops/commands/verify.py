"""`mlgitops verify`: hold the statement of a verdict against git and the model, offline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from mlgitops.commands.options import add_json

if TYPE_CHECKING:
    import argparse

    from mlgitops.console import Console
    from mlgitops.github.statement_check import Checked

EXAMPLES = """\
examples:
  mlgitops verify statement.json
  mlgitops verify statement.json --model model/model.skops
  mlgitops verify statement.json --model model.skops --repository ../flights --json

The statement is what `mlgitops report --statement` wrote. Its form, the policy, base, head and
the commit with the results are held against git, the model's file against its hashes, and the
facts are judged again by the policy at base. Nothing is fetched and nothing is run.

Who wrote the statement is not checked here: that is what a signature is for. One that the
workflow attested is found by the model's file:
  gh attestation verify model.skops --repo OWNER/NAME \\
    --predicate-type mlgitops:docs/reference/verdict/v1
docs/how-to/keep-evidence.md says what such a signature proves, and what not.

exit codes: 0 it holds, and the model may merge; 1 it does not hold, or its verdict is fail;
2 it could not be checked
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.epilog = EXAMPLES
    parser.add_argument("statement", type=Path, metavar="STATEMENT", help="the file")
    parser.add_argument("--model", type=Path, metavar="FILE", help="the model that it is about")
    parser.add_argument(
        "--repository",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="a clone of the repository, with its whole history (default: around this folder)",
    )
    parser.add_argument(
        "--branch",
        metavar="NAME",
        help="base must stand on it, as what was merged does (default: the default branch)",
    )
    parser.add_argument(
        "--policy",
        default="policy.yaml",
        metavar="FILE",
        help="the policy that must have judged, from the project's folder (default: %(default)s)",
    )
    add_json(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    """Check, print what holds or does not, and return the exit code."""
    from mlgitops.git.repository import Repository
    from mlgitops.github.statement_check import check_statement, read_statement

    statement, _ = read_statement(args.statement)
    with Repository(args.repository) as repository:
        checked = check_statement(
            statement, repository, branch=args.branch, policy_path=args.policy, model=args.model
        )
    console.result(_as_json(checked) if args.json else _describe(checked))
    return checked.exit_code


def _describe(checked: Checked) -> str:
    """Describe what holds, or everything that does not."""
    predicate, (subject,) = checked.statement.predicate, checked.statement.subject
    if checked.problems:
        lines = [f"  - {problem}".replace("\n", "\n    ") for problem in checked.problems]
        return "\n".join(["The statement does not hold:", *lines])
    sides = {"base": predicate.report.base.sha, "head": predicate.report.head.sha}
    commits = {**sides, "results": predicate.results}
    by = "base's code" if predicate.evidence == "independent" else "the pull request's own run"
    lines = [
        f"The statement holds: by the policy at base its facts are {predicate.verdict}.",
        f"  model     {predicate.find_path(subject.name)}, SHA-256 {subject.digest.sha256}",
        f"  policy    {predicate.find_path(predicate.policy.path)}",
        *(f"  {name:<9} {sha}" for name, sha in commits.items() if sha),
        f"  measured  by {by}, as the statement says",
        *(() if checked.has_model else ("Not checked: the model's file (--model FILE).",)),
        *_name_edits(predicate.report.protected),
        *(f"Only claimed by the run that compared: {claim}." for claim in checked.claims),
        "Not checked: who wrote it. `mlgitops verify --help` says how a signature is verified.",
    ]
    return "\n".join(lines)


def _name_edits(protected: tuple[str, ...]) -> tuple[str, ...]:
    """Name what head edits of its own judge: a signature is worth what such a workflow is."""
    if not protected:
        return ()
    return (f"Look at this: head edits what judges it ({', '.join(protected)}).",)


def _as_json(checked: Checked) -> str:
    predicate, (subject,) = checked.statement.predicate, checked.statement.subject
    document = {
        "holds": not checked.problems,
        "verdict": predicate.verdict,
        "evidence": predicate.evidence,
        "project": predicate.project,
        "policy": predicate.policy.path,
        "model": {"name": subject.name, "sha256": subject.digest.sha256},
        "model_checked": checked.has_model,
        "problems": checked.problems,
        "claims": checked.claims,
        "protected": predicate.report.protected,
    }
    return json.dumps(document, indent=2)
