"""`mlgitops new`: a project from bundled data, or from the person's own table."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlgitops.commands.options import add_json
from mlgitops.errors import EXIT_PASS, MlgitopsError
from mlgitops.project.generate.answers import (
    ask_yes_no,
    check_answers,
    check_given,
    complete_answers,
    read_questions,
)
from mlgitops.project.generate.project import check_target, find_toolkit_source, generate_project
from mlgitops.project.toolkit import toolkit_root

if TYPE_CHECKING:
    from mlgitops.console import Console
    from mlgitops.project.generate.answers import Answer
    from mlgitops.project.generate.choices import Choices

_EPILOG = """\
Asks what it must know, writes the project, and makes its first commit. The same as
`cookiecutter` with this template. No network and no DVC needed.

With --data the project starts from your own table: Parquet, or CSV with a header line, in UTF-8
or in UTF-16 with a byte order mark. Columns, types, ranges, allowed values, the task and the
parameters are inferred and written to contract.yaml, params.yaml, policy.yaml and
data/DATA_CARD.md, where you edit them.

examples:
  mlgitops new
  mlgitops new --no-input --task regression --owner octocat
  mlgitops new --data churn.csv --target churned --id customer

exit codes: 0 the project is there, 2 it could not be made: nothing is left behind
"""

#: Flag to the question it answers, its placeholder and its help.
_FLAGS = {
    "name": ("project_name", "NAME", "name of the project, for people"),
    "slug": ("project_slug", "SLUG", "name of its folder and model, such as flight-delays"),
    "owner": ("owner", "USER", "GitHub user, or organisation/team, who reviews policy changes"),
    "task": ("task", "TASK", "binary, regression or multiclass"),
    "storage": ("storage", "KIND", "repo, local, s3, gcs, azure or ssh"),
    "storage-url": ("storage_url", "URL", "address of that storage"),
    "python": ("python_version", "X.Y", "Python version of the pipeline"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `mlgitops new`."""
    parser.epilog = _EPILOG
    parser.add_argument(
        "--directory", type=Path, default=Path(), metavar="DIR", help="where to put the project"
    )
    parser.add_argument("--no-input", action="store_true", help="take the defaults, ask nothing")
    for flag, (_, metavar, text) in _FLAGS.items():
        parser.add_argument(f"--{flag}", metavar=metavar, help=text)
    parser.add_argument(
        "--fork-reports",
        action=argparse.BooleanOptionalAction,
        help="post on pull requests from forks too, by a second workflow (default: no)",
    )
    parser.add_argument(
        "--answer",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="answer any question of cookiecutter.json",
    )
    data = parser.add_argument_group("your own table")
    data.add_argument(
        "--data", type=Path, metavar="FILE", help="the table to learn from: CSV, or Parquet"
    )
    data.add_argument("--target", metavar="COLUMN", help="the column to predict")
    data.add_argument("--id", metavar="COLUMN", help="the column that names a row, unique")
    data.add_argument(
        "--golden",
        choices=("synthetic", "real"),
        help="rows in reports/golden.json, which git keeps: made from the contract, or of the "
        "table (default: synthetic)",
    )
    data.add_argument(
        "--split",
        choices=("time", "hash", "group"),
        help="how the test rows are chosen: the latest, at random, or whole groups (default: by "
        "time where a column says when a row was, else by groups where one names them)",
    )
    data.add_argument(
        "--split-column", metavar="COLUMN", help="the column that --split time or group reads"
    )
    data.add_argument(
        "--keep",
        action="append",
        default=[],
        metavar="COLUMN",
        help="a feature, though it says much of the target or may be a protected attribute",
    )
    add_json(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    """Check the table and the answers, then write the project."""
    template = toolkit_root()
    given = check_given(read_questions(template), _read_given(args))
    if args.data is not None:
        return _run_with_data(args, console, template, given)
    flags = {"target": args.target, "id": args.id, "golden": args.golden, "split": args.split}
    flags |= {"split-column": args.split_column, "keep": args.keep}
    if any(flags.values()):
        named = ", ".join(f"--{flag}" for flag, value in flags.items() if value)
        problem = f"{named}: this describes a table of your own"
        raise MlgitopsError(problem, hint="name it with --data")
    answers = _answer(args, console, template, given)
    project = generate_project(template, answers, directory=args.directory, dataset=None)
    return _finish(args, console, project, {"answers": answers, "inferred": None})


def _run_with_data(
    args: argparse.Namespace, console: Console, template: Path, given: dict[str, Answer]
) -> int:
    from mlgitops.project.generate.column_types import infer_table
    from mlgitops.project.generate.dataset import write_dataset
    from mlgitops.project.generate.table import name_project, read_table

    if not args.target:
        raise MlgitopsError("--data needs --target", hint="name the column to predict")
    with console.step(f"Read {args.data.name}"):
        table = read_table(args.data)
        task = str(given["task"]) if "task" in given else None
    choices = _read_choices(args)
    table, facts = infer_table(table, target=args.target, key=args.id, task=task, choices=choices)
    for note in facts.notes:
        console.say(f"  - {note}")
    given = {**given, "task": facts.task}
    answers = _answer(args, console, template, given, project_name=name_project(args.data))
    with tempfile.TemporaryDirectory(prefix="mlgitops-new-") as folder:
        write_dataset(Path(folder), table, facts, golden=args.golden or "synthetic")
        project = generate_project(
            template, answers, directory=args.directory, dataset=Path(folder)
        )
    return _finish(args, console, project, {"answers": answers, "inferred": facts.as_dict()})


def _read_choices(args: argparse.Namespace) -> Choices:
    """Return what the flags decide, with a way to ask for the rest where somebody is there."""
    from mlgitops.project.generate.choices import Choices, take_default

    if args.split_column is not None and args.split not in ("time", "group"):
        raise MlgitopsError("--split-column needs --split time or --split group")
    return Choices(
        split=args.split,
        split_column=args.split_column,
        keep=tuple(args.keep),
        ask=ask_yes_no if _is_asking(args) else take_default,
    )


def _is_asking(args: argparse.Namespace) -> bool:
    return not args.no_input and sys.stdin.isatty()


def _answer(
    args: argparse.Namespace,
    console: Console,
    template: Path,
    given: dict[str, Answer],
    **defaults: Answer,
) -> dict[str, Answer]:
    """Return checked answers to every question, and make sure that the folder is free."""
    ask = _is_asking(args)
    if not ask and not args.no_input:
        console.say("No terminal to ask at: taking the defaults.")
    defaults = {**find_toolkit_source(template), **defaults}
    answers = complete_answers(template, given, ask=ask, defaults=defaults)
    check_answers(template, answers)
    check_target(args.directory, str(answers["project_slug"]))
    return answers


def _finish(
    args: argparse.Namespace, console: Console, project: Path, facts: dict[str, Any]
) -> int:
    if args.json:
        document = {"project": str(project), **facts}
        console.result(json.dumps(document, indent=2, ensure_ascii=False))
    return EXIT_PASS


def _read_given(args: argparse.Namespace) -> dict[str, str]:
    given: dict[str, str] = {}
    for text in args.answer:
        name, sign, value = text.partition("=")
        if not sign:
            raise MlgitopsError(f"{text!r} is not KEY=VALUE", hint="--answer owner=octocat")
        given[name.strip()] = value.strip()
    for flag, (question, _, _) in _FLAGS.items():
        value = getattr(args, flag.replace("-", "_"))
        if value is not None:
            given[question] = value
    if args.fork_reports is not None:
        given["fork_reports"] = "yes" if args.fork_reports else "no"
    return given
