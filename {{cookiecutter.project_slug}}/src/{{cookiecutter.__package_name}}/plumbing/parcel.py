"""One parcel of tasks on a node of a cluster; `compute` sends it, with this package's source."""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
import time
import zipfile
from pathlib import Path

from .errors import StageError


def main(folder: Path) -> None:
    """Run the parcel in ``folder`` and leave the answer beside it, written whole."""
    with zipfile.ZipFile(folder / "archive.zip") as archive:
        refuse_other_libraries(json.loads(archive.read("libraries.json")))
        import joblib

        with archive.open("shared.joblib") as file:
            shared = joblib.load(file)
    module, name, tasks = joblib.load(folder / "parcel.joblib")
    function = getattr(importlib.import_module(module), name)
    (folder / "begun").touch()
    results, mistake = [], None
    try:
        results = [function(task, *shared) for task in tasks]
    except StageError as error:
        mistake = str(error)
    joblib.dump((results, mistake), folder / "answer.part")
    (folder / "answer.part").replace(folder / "answer.joblib")


def refuse_other_libraries(needs: dict[str, dict[str, str | None]]) -> None:
    """End the process when a library here is of another version than where the run began."""
    from .compute import describe_libraries

    present = describe_libraries()
    wanted = needs["must"] | {
        # What is not here cannot give other digits: a task that needs it ends with an error.
        name: version
        for name, version in needs["may"].items()
        if name in present
    }
    other = [
        f"{name} {present.get(name, 'not at all')}, not {version or 'without it'}"
        for name, version in wanted.items()
        if present.get(name) != version
    ]
    if other:
        sys.exit(f"this node has {'; '.join(other)}: install the project's locks there")


def end_with_parent() -> None:
    """End this process when the worker that started it has been killed: its tasks run elsewhere."""
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=end_with_parent, daemon=True).start()
    main(Path(sys.argv[1]))
