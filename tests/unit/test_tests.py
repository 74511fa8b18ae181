"""The suite's own page and order: what tests/README.md names, where tests stand, who runs git."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

TESTS = Path(__file__).parents[1]
PAGE = (TESTS / "README.md").read_text("utf-8")
#: These run git: the one module for it, and two that read this repository itself, by its settings.
RUN_GIT = {"git_project.py", "template/conftest.py", "template/test_cruft.py"}


def list_modules(pattern: str) -> set[str]:
    """List the modules below tests/ whose name matches, as paths from there."""
    return {path.relative_to(TESTS).as_posix() for path in TESTS.rglob(pattern)}


def test_the_page_names_every_module_that_is_no_test() -> None:
    """Whoever writes a test finds each scene there, and none that is gone."""
    helpers = list_modules("*.py") - list_modules("test_*.py")
    linked = set(re.findall(r"\]\((?!\.\./)([^)#]+\.py)\)", PAGE))  # benchmarks have their own
    assert helpers == linked
    assert len(helpers) > 20


def test_the_page_names_every_folder_of_tests() -> None:
    """A folder below tests/ in which modules stand has its row."""
    folders = {name.partition("/")[0] for name in list_modules("*/**/*.py")}
    rows = set(re.findall(r"^\| \[(\w+)\]\(", PAGE, re.MULTILINE))
    assert folders <= rows


def test_the_folders_of_unit_are_rooms() -> None:
    """Whoever changes a room finds its tests in the folder of its name."""
    folders = {path.parent.name for path in (TESTS / "unit").glob("*/test_*.py")}
    rooms = {path.parent.name for path in (TESTS.parent / "src/mlgitops").glob("*/__init__.py")}
    assert folders <= rooms
    assert len(folders) > 10


def test_slow_cases_are_tried_first(request: pytest.FixtureRequest) -> None:
    """No worker ends with a long test while the other waits."""
    slow = [item.get_closest_marker("slow") is not None for item in request.session.items]
    assert slow == sorted(slow, reverse=True)


def test_one_module_runs_git() -> None:
    """No test has a git helper of its own: one author, nobody's settings."""
    call = re.compile(r"""[\[(]["']git["'],""")
    callers = {
        name for name in list_modules("*.py") if call.search((TESTS / name).read_text("utf-8"))
    }
    assert callers == RUN_GIT
