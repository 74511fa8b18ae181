"""`mlgitops validate`: a project to its mistakes, all of them at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlgitops.commands.options import add_directory, add_json
from mlgitops.errors import EXIT_PASS, EXIT_UNDECIDED, MistakesError, MlgitopsError

if TYPE_CHECKING:
    import argparse

    from mlgitops.console import Console
    from mlgitops.git.repository import Folder
    from mlgitops.project.validation import Findings

EXAMPLES = """\
examples:
  mlgitops validate
  mlgitops validate --json
  mlgitops validate --base origin/main

It reads policy.yaml, dvc.yaml, dvc.lock, metrics, .dvc/config, contract.yaml, monitor.yaml,
model.yaml of each environment, the workflows and the model files as they stand on disk, runs
none of them, and lists every mistake. With
--base, a storage that is not at the base's address is one. Where the predictions are here, it
says which true loss of each judged metric their test rows would stop; after a run, how many
rows each check of contract.yaml refused.

exit codes: 0 nothing wrong (there may be warnings), 2 mistakes
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.epilog = EXAMPLES
    add_directory(parser)
    parser.add_argument(
        "--base", metavar="REV", help="the storage must be where this revision says"
    )
    add_json(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    """Validate the project, print what was found, and return the exit code."""
    from mlgitops.commands.compare import find_project
    from mlgitops.git.repository import Folder, Repository
    from mlgitops.project.validation import validate_project

    start = Path(args.directory)
    with Repository(start) as repository:
        folder = Folder(repository, find_project(start, repository.root))
        base = repository.resolve(args.base) if args.base else None
        findings = validate_project(folder, base)
        findings.mistakes += _check_monitoring(folder)
    if args.json:
        console.result(json.dumps(_as_json(findings), indent=2))
    else:
        _print(findings, console)
    return EXIT_UNDECIDED if findings.mistakes else EXIT_PASS


def _check_monitoring(folder: Folder) -> list[MlgitopsError]:
    """Return the mistakes of monitor.yaml, with which no server would start."""
    from mlgitops.monitoring.settings import MONITOR, parse_settings
    from mlgitops.project.validation import is_manifest

    data = folder.read(None, MONITOR) or b""
    if is_manifest(data):
        return []
    try:
        parse_settings(data)
    except MistakesError as error:
        return list(error.errors)
    except MlgitopsError as error:
        return [error]
    return []


def _print(findings: Findings, console: Console) -> None:
    from mlgitops.project.foresight import describe_foresight

    for warning in findings.warnings:
        console.warn(str(warning))
    for mistake in findings.mistakes:
        console.error(mistake)
    text = describe_foresight(findings.foresights)
    if text:
        console.result(text)
    refusals = findings.refusals
    if refusals is not None and refusals.passed:
        console.result(f"The last run's {refusals.rows:,} rows keep contract.yaml.")
    if not findings.mistakes:
        console.result("No mistakes found.")
    else:
        count = len(findings.mistakes)
        console.say(f"{count} mistake{'' if count == 1 else 's'} found.")


def _as_json(findings: Findings) -> dict[str, Any]:
    return {
        "mistakes": [_describe(error) for error in findings.mistakes],
        "warnings": [_describe(error) for error in findings.warnings],
        "foresights": [
            {
                "metric": item.metric,
                "rows": item.rows,
                "margin": item.margin,
                "stopped": [item.alike, item.apart],
            }
            for item in findings.foresights
        ],
        "refused": None
        if findings.refusals is None
        else {"rows": findings.refusals.rows, "checks": findings.refusals.refused},
    }


def _describe(error: MlgitopsError) -> dict[str, str | None]:
    return {"what": error.what, "where": error.where, "hint": error.hint}
