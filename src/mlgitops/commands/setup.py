"""`mlgitops setup`: the project's locked environments and its storage, ready to use."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from mlgitops.commands.options import add_directory
from mlgitops.environments import FOLDERS, ensure_environment
from mlgitops.errors import EXIT_PASS, MlgitopsError
from mlgitops.storage import prepare_storage

if TYPE_CHECKING:
    from mlgitops.console import Console

_EPILOG = """\
Makes up to three environments from the hash-pinned locks in requirements/:
  pipeline  .venv          what the stages and the tests import
  ci        .venv-ci       dvc and the plugin of the storage
  serving   .venv-serving  the server (Python 3.11 to 3.13)
With uv when it is there, else with pip. The variable MLGITOPS_ENVIRONMENTS names a folder
that several projects share.

examples:
  mlgitops setup
  mlgitops setup --only pipeline,ci

exit codes: 0 ready, 2 a lock could not be installed, or the storage could not be reached
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `mlgitops setup`."""
    parser.epilog = _EPILOG
    parser.add_argument(
        "--only",
        type=_parse_names,
        metavar="NAMES",
        help="environments to make, separated by commas: pipeline, ci, serving",
    )
    add_directory(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    """Make what is missing, then print what is ready."""
    project = args.directory.absolute()
    for name in args.only or FOLDERS:
        try:
            ensure_environment(project, name, console)
        except MlgitopsError as error:
            # Nothing but deploying needs the server: the rest of the project works without.
            if args.only or name != "serving":
                raise
            console.warn(str(error))
        else:
            console.result(f"{name:<9} ready in {FOLDERS[name]}")
    remote = prepare_storage(project, console)
    if remote:
        console.result(f"{'storage':<9} ready: {remote.kind}, {remote.path or remote.url}")
    return EXIT_PASS


def _parse_names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = sorted(set(names) - set(FOLDERS))
    if unknown or not names:
        message = f"unknown environment {', '.join(unknown) or text!r}: choose {', '.join(FOLDERS)}"
        raise argparse.ArgumentTypeError(message)
    return names
