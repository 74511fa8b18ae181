"""`mlgitops publish`: store what the pipeline made where the others can fetch it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from mlgitops.errors import EXIT_PASS
from mlgitops.storage import publish_objects

if TYPE_CHECKING:
    import argparse

    from mlgitops.console import Console

_EPILOG = """\
Sends every object that dvc.lock and the .dvc files name to the default remote, and proves by
listing it that all of them arrived with the right size. Storage in the repository: the new
objects are hashed again, committed to the branch dvc-storage and pushed without force.

example:
  mlgitops train && mlgitops publish && git commit -am "Train on more data" && git push
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `mlgitops publish`."""
    parser.epilog = _EPILOG
    parser.add_argument(
        "--directory", type=Path, default=Path(), metavar="DIR", help="the project (default: .)"
    )
    parser.add_argument("--json", action="store_true", help="write the outcome as JSON")


def run(args: argparse.Namespace, console: Console) -> int:
    """Publish and say how many objects the storage now holds."""
    published = publish_objects(args.directory.absolute(), console)
    if args.json:
        console.result(json.dumps(asdict(published), indent=2))
        return EXIT_PASS
    new = "" if published.added is None else f", {published.added} of them new"
    place = "pushed" if published.pushed else "kept here: the repository has no origin yet"
    console.result(
        f"storage {published.remote}: complete, {published.objects} objects{new}; {place}"
    )
    return EXIT_PASS
