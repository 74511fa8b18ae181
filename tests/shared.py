"""What costs seconds to make, and is then only read or copied: made once for all workers."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from mlgitops.environments import locked

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest


def make_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return the folder ``name`` of this run, filled by ``make`` in the worker that asks first.

    The others wait for it. Nobody may change what stands in it.
    """
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # each worker has a folder below the run's own
        root = root.parent
    folder, complete = root / "shared" / name, root / "shared" / f"{name}.complete"
    with locked(root / "shared" / f"{name}.lock"):
        if not complete.exists():
            shutil.rmtree(folder, ignore_errors=True)  # what a failed maker left
            make(folder)
            complete.touch()
    return folder
