"""Environments of other programs, from locks of their own, made once a machine for the tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from mini_project import shared_store

from mlgitops.console import Console
from mlgitops.environments import make_environment

if TYPE_CHECKING:
    from pathlib import Path


def make_locked(name: str, lock: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an environment that holds exactly what ``lock`` pins; made once a machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLGITOPS_ENVIRONMENTS", str(shared_store()))
        return make_environment(tmp_path_factory.mktemp(name), name, lock, Console(quiet=True))
