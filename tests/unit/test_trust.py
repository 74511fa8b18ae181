"""When `make trust` counts what `make test` recorded, rather than run the tests again."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from git_project import commit, git, write_files

from scripts.trust import Case, name_tree, read_record

if TYPE_CHECKING:
    from pathlib import Path

PASSES = (
    "def test_it(record_property):\n    record_property('cases', 7)\n\n\n"
    "def test_elsewhere():\n    import pytest\n    pytest.skip('not here')\n"
)
SETTINGS = '[pytest]\njunit_family = xunit1\naddopts = "--import-mode=importlib"\n'


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a repository with one test, which passes, and one that is left out."""
    files = {".gitignore": "build/\n__pycache__/\n.pytest_cache/\n", "rule.py": "LIMIT = 1\n"}
    write_files(tmp_path, {**files, "pytest.ini": SETTINGS, "tests/test_it.py": PASSES})
    git(tmp_path, "init", "--quiet")
    commit(tmp_path, "Begin")
    return tmp_path


def run_tests(checkout: Path) -> list[Case] | None:
    """Record the tests as `make test` does, whether they pass or not; read them back."""
    tree = name_tree(checkout)
    record = checkout / "build" / f"tested-{tree}.xml"
    words = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:xdist",
        f"--junit-xml={record}",
        "tests",
    ]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    subprocess.run(words, cwd=checkout, env=environ, check=False, capture_output=True)
    return read_record(checkout, tree)


def test_a_record_of_the_same_files_is_counted(checkout: Path) -> None:
    """Each test as it ended, with what it told of itself; a commit changes no file."""
    cases = run_tests(checkout)
    assert cases is not None
    assert [(case.test, case.passed, case.weight) for case in cases] == [
        ("tests/test_it.py::test_it", True, 7),
        ("tests/test_it.py::test_elsewhere", False, 1),
    ]
    before = name_tree(checkout)
    git(checkout, "commit", "--quiet", "--allow-empty", "--message=The same files")
    assert name_tree(checkout) == before


def test_a_record_of_other_files_is_stale(checkout: Path) -> None:
    """A file that was edited, added or removed since; back as it was, the record counts again."""
    assert run_tests(checkout) is not None
    rule, added = checkout / "rule.py", checkout / "tests" / "test_new.py"
    rule.write_text("LIMIT = 2\n")
    assert read_record(checkout, name_tree(checkout)) is None
    commit(checkout, "Edit")
    assert read_record(checkout, name_tree(checkout)) is None
    rule.write_text("LIMIT = 1\n")
    assert read_record(checkout, name_tree(checkout)) is not None
    added.write_text("")
    assert read_record(checkout, name_tree(checkout)) is None
    added.unlink()
    rule.unlink()
    assert read_record(checkout, name_tree(checkout)) is None


def test_a_record_with_a_failure_is_not_believed(checkout: Path) -> None:
    """However it came to be there: the tests are run again."""
    (checkout / "tests" / "test_it.py").write_text("def test_it():\n    assert False\n")
    assert run_tests(checkout) is None
    assert list(checkout.glob("build/tested-*.xml"))


def test_nothing_is_believed_where_git_does_not_name_the_files(tmp_path: Path) -> None:
    """Such as in an archive of the sources: a record of no tree is of none."""
    assert name_tree(tmp_path) is None
    write_files(tmp_path, {"build/tested-None.xml": "<testsuites/>"})
    assert read_record(tmp_path, None) is None
