"""Arguments to exit code: find the verb, run it, report errors. The only place that exits."""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import TYPE_CHECKING, Protocol

from mlgitops import __version__
from mlgitops.console import Console
from mlgitops.errors import EXIT_UNDECIDED, MlgitopsError
from mlgitops.hints import find_extra

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Verb to one-line help, by what it is about, in the order a person meets them. The module of a
#: verb is ``mlgitops.commands.<verb>`` and is imported only when that verb is asked for.
GROUPS = {
    "start here": {
        "demo": "show the whole loop on this machine, with a real project",
        "new": "generate a project, from bundled data or from your own table",
    },
    "a project": {
        "setup": "make the project's locked environments and its storage ready",
        "validate": "check the project: policy, pipeline, storage, workflows, model files",
        "train": "run the pipeline: only what changed, only the data it needs",
        "tune": "search better parameters on folds, and propose the best",
        "publish": "send data and models to the storage, where others can fetch them",
    },
    "a pull request": {
        "compare": "compare two revisions and judge the difference against policy.yaml",
        "rehearse": "run the project's own pull-request workflow on this machine",
        "evaluate": "measure a pull request's model by the base's code",
        "report": "judge a report again and post it: one comment, one check",
        "rejudge": "after a waiver's label, start the judging of a pull request again",
        "verify": "check the statement of a verdict against git and the model, offline",
    },
    "releases and environments": {
        "release": "give the merged model its version, as a tag with its lineage",
        "promote": "propose a release for an environment, as a pull request",
        "rollback": "propose the model that an environment had before, as a pull request",
        "deploy": "bring the model of an environment into service, checked",
    },
    "production": {
        "label": "match outcomes with logged predictions, by id",
        "monitor": "alert where production is beyond the policy by more than noise",
        "retrain": "train again on labelled rows of production, as a pull request",
        "update": "take a newer version of imported tables, as a pull request",
    },
    "records": {
        "audit": "prove what an environment served, from what, and who approved it",
        "history": "list releases, what environments served, and a leaderboard",
        "export": "send the releases to an MLflow server, without duplicates",
    },
}
VERBS = {verb: summary for group in GROUPS.values() for verb, summary in group.items()}

EPILOG = """\
`mlgitops COMMAND --help` says more of each, with examples.

exit codes:
  0  passed
  1  the verdict is fail
  2  could not decide: bad input, missing data, network
"""


class Command(Protocol):
    """What a module in :mod:`mlgitops.commands` offers."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's options."""

    def run(self, args: argparse.Namespace, console: Console) -> int:
        """Do the work and return the exit code."""


def load_command(verb: str) -> Command:
    """Import the module behind ``verb``."""
    module: Command = importlib.import_module(f"mlgitops.commands.{verb}")
    return module


def build_parser(verb: str | None, *, alone: bool = False) -> argparse.ArgumentParser:
    """Build the parser; only ``verb`` gets its options, so the others need no import.

    ``alone``: the others are left out, which starts sooner; for a line that begins with the verb.
    """
    parser = argparse.ArgumentParser(
        prog="mlgitops",
        usage="mlgitops [-h] [--version] COMMAND ...",
        description="GitOps for machine-learning models: every pull request gets a verdict.",
        epilog=f"{list_commands()}\n\n{EPILOG}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"mlgitops {__version__}")
    verbs = parser.add_subparsers(
        dest="verb", prog="mlgitops", metavar="COMMAND", help=argparse.SUPPRESS
    )
    for name, summary in VERBS.items():
        if alone and name != verb:
            continue
        command = verbs.add_parser(
            name,
            description=summary[0].upper() + summary[1:] + ".",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name == verb:
            load_command(name).add_arguments(command)
    return parser


def list_commands() -> str:
    """List the commands below what they are about, which argparse cannot do."""
    width = max(map(len, VERBS))
    return "\n\n".join(
        "\n".join([f"{title}:", *(f"  {verb:{width}}  {text}" for verb, text in group.items())])
        for title, group in GROUPS.items()
    )


def run(argv: Sequence[str]) -> int:
    """Run one command line and return its exit code.

    Nothing escapes: Python's own exit code for a traceback, 1, would read as "fail".
    """
    verb = next((word for word in argv if word in VERBS), None)
    console = Console()
    try:
        parser = build_parser(verb, alone=verb is not None and argv[0] == verb)
        args = parser.parse_args(argv)
        if args.verb is None:
            parser.print_help()
            return EXIT_UNDECIDED
        return load_command(args.verb).run(args, console)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - see explain
        explain(error, console)
        return EXIT_UNDECIDED


def explain(error: BaseException, console: Console) -> None:
    """Say what ended the command; lines of code only for a bug of ours."""
    match error:
        case MlgitopsError():
            console.error(error)
        case KeyboardInterrupt():
            sys.stderr.write(f"{' '.join(['interrupted', *map(str, error.args)])}\n")
        case BrokenPipeError():  # nobody reads any more
            pass
        case OSError():  # a full disk, a folder that may not be written
            where = str(error.filename) if error.filename else None
            console.error(MlgitopsError(error.strerror or str(error), where=where))
        case ModuleNotFoundError(name=str(module)) if extra := find_extra(module):
            problem = f"the package {module.partition('.')[0]} is not installed"
            console.error(MlgitopsError(problem, hint=f"`pip install 'mlgitops[{extra}]'`"))
        case _:
            import traceback

            sys.stderr.write("".join(traceback.format_exception(error)))
            hint = "report it, with the lines above"
            console.error(MlgitopsError("a bug in mlgitops: nothing was decided", hint=hint))
