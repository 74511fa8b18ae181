"""Settings of the whole suite, and the scenes that all folders and workers share."""

from __future__ import annotations

import functools
import os
import signal
from typing import TYPE_CHECKING

import pytest
from dvc_project import DvcProject
from hypothesis import settings
from integration.handover_scene import Scene, make_scene
from integration.setup_project import copy_trained, make_trained
from shared import make_once

if TYPE_CHECKING:
    from pathlib import Path

# No deadline: a busy machine is not a failure. In CI the same examples each time, so that a
# run can be repeated; here new ones, so that properties go on being tried.
settings.register_profile("suite", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("suite")


def pytest_configure() -> None:
    """Let what tests start be interrupted: a shell's background job ignores it, and all below."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Try what is slow first, so that no worker ends with a long test while the other waits."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
def started_project(tmp_path_factory: pytest.TempPathFactory) -> DvcProject:
    """Return a `DvcProject` with one commit on main; only to be copied."""
    started = DvcProject(tmp_path_factory.mktemp("started") / "project")
    started.commit("start")
    return started


@pytest.fixture
def project(started_project: DvcProject, tmp_path: Path) -> DvcProject:
    """Return a `DvcProject` with one commit on main, below the test's own folder."""
    return started_project.copy(tmp_path / "project")


@pytest.fixture(scope="session")
def trained_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the project of two stages, trained and committed; only to be copied."""
    return make_once(tmp_path_factory, "trained_project", make_trained)


@pytest.fixture
def two_stages(trained_project: Path, tmp_path: Path) -> Path:
    """Return a copy of the trained project of two stages, below the test's own folder."""
    return copy_trained(trained_project, tmp_path / "project")


@pytest.fixture(scope="session")
def handed_over(trained_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Return origin, branch and handover of a run; only to be copied."""
    make = functools.partial(make_scene, trained=trained_project)
    return Scene(make_once(tmp_path_factory, "handed_over", make))
