"""`mlgitops export`: send what git says to where people look as well."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mlgitops.commands.options import add_directory, add_json
from mlgitops.errors import EXIT_PASS, MlgitopsError

if TYPE_CHECKING:
    import argparse

    from mlgitops.console import Console
    from mlgitops.delivery.releases.tracking import Exported

_SERVER = "MLFLOW_TRACKING_URI"
_EPILOG = """\
Every release (`mlgitops release`) becomes a run with its metrics, the ends of their intervals, its
lineage and its model, and a version of a registered model; every environment becomes an alias of
the version that the default branch wants there. Git stays the truth: run it again and again,
nothing is sent twice, what was cut off is completed, and nothing that is there is changed. Sign in
as MLflow's client does, with MLFLOW_TRACKING_TOKEN or a user's name and password.

It needs MLflow's client: pip install 'mlgitops[mlflow]'

examples:
  mlgitops export mlflow --to http://127.0.0.1:5000
  MLFLOW_TRACKING_URI=http://127.0.0.1:5000 mlgitops export mlflow --json

exit codes: 0 everything is there; 2 it could not be sent, or the server holds something else
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.epilog = _EPILOG
    parser.add_argument("tracker", choices=["mlflow"], help="what the server is")
    parser.add_argument(
        "--to", metavar="URI", dest="server", help=f"address of the server (default: ${_SERVER})"
    )
    parser.add_argument(
        "--experiment", metavar="NAME", help="experiment of the runs (default: the model's name)"
    )
    add_directory(parser)
    add_json(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    """Send the releases, and say what the server holds now."""
    from mlgitops.delivery.releases.tracking import export_releases
    from mlgitops.git.repository import Folder, Repository

    server = args.server or os.environ.get(_SERVER)
    if not server:
        raise MlgitopsError(
            "no address of an MLflow server was given", hint=f"give --to URI, or set {_SERVER}"
        )
    with Repository(args.directory) as repository:
        folder = Folder(repository, args.directory.resolve())
        exported = export_releases(folder, server, console, experiment=args.experiment)
    console.result(_encode(exported) if args.json else _describe(exported))
    return EXIT_PASS


def _encode(exported: Exported) -> str:
    import msgspec

    return msgspec.json.format(msgspec.json.encode(exported, order="sorted"), indent=2).decode()


def _describe(exported: Exported) -> str:
    if not exported.versions:
        return "there is no release yet: `mlgitops release` makes one"
    lines = [f"{exported.server}, experiment {exported.experiment}:"]
    for tag, number in exported.versions.items():
        state = "sent" if tag in exported.sent else "was there"
        lines.append(f"  {tag}: version {number}, {state}")
    lines += [f"  {name}: {version}" for name, version in sorted(exported.aliases.items())]
    return "\n".join(lines)
