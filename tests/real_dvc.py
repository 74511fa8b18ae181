"""The real DVC, called in this process: to start its program costs more than a second."""

from __future__ import annotations

import os
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def open_dvc(root: Path) -> Iterator[Any]:
    """Open DVC's own `Repo` of a project, in its folder; its stages find this `python`."""
    from dvc.repo import Repo

    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of DVC's own libraries
        patch.chdir(root)
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        with Repo(str(root)) as repo:
            yield repo


def add_data(root: Path, *targets: str) -> None:
    """Do as `dvc add` does."""
    with open_dvc(root) as repo:
        repo.add(list(targets))


def push_data(root: Path) -> None:
    """Send what the work tree names to the default remote, as `dvc push` does."""
    with open_dvc(root) as repo:
        repo.push()


def reproduce(root: Path, *targets: str, single: bool = False) -> None:
    """Run stages as `dvc repro` does: all, or ``targets``; ``single`` for these alone."""
    with open_dvc(root) as repo:
        repo.reproduce(list(targets) or None, single_item=single, all_pipelines=not targets)


def freeze_stage(root: Path, name: str) -> None:
    """Do as `dvc freeze` does."""
    with open_dvc(root) as repo:
        repo.freeze(name)


def find_changed(root: Path) -> dict[str, list[Any]]:
    """Return what `dvc status --json` prints: stage or pointer → what changed."""
    with open_dvc(root) as repo:
        changed: dict[str, list[Any]] = repo.status()
    return changed
