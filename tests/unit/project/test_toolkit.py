"""Where the toolkit's own pages are, by how it was installed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlgitops.project.toolkit import find_guide

PAGE = "docs/how-to/read-a-verdict.md"
COMMIT = "c" * 40


def test_a_checkout_has_the_page() -> None:
    """It is a file of this repository."""
    assert find_guide() == str(Path(__file__).resolve().parents[3] / PAGE)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://github.com/o/mlgitops", f"https://github.com/o/mlgitops/blob/{COMMIT}/{PAGE}"),
        ("https://ghe.example/o/m.git", f"https://ghe.example/o/m/blob/{COMMIT}/{PAGE}"),
        ("ssh://git@github.com/o/mlgitops", None),
    ],
)
def test_what_pip_installed_from_git_has_it_there(
    url: str, address: str | None, tmp_path: Path
) -> None:
    """At the very commit, as pip notes it; an address that no browser opens is not shown."""
    note = {"url": url, "vcs_info": {"vcs": "git", "commit_id": COMMIT}}
    assert find_guide(tmp_path, json.dumps(note)) == address


def test_a_wheel_has_no_page(tmp_path: Path) -> None:
    """What was installed from an index or a file names no commit."""
    assert find_guide(tmp_path, "{}") is None
    assert find_guide(tmp_path, json.dumps({"url": "file:///a.whl", "archive_info": {}})) is None
