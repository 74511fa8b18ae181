"""A generated project whose data grows: base's model is measured on the new test rows, by act."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest
from actions.generated_project import make_baseline, rehearse, train_and_commit
from actions.test_generated import COMPUTE, EVALUATE, KEEP, REPORT, check_steps

if TYPE_CHECKING:
    from pathlib import Path


def grow(project: Path) -> None:
    """Add rows to the raw data, each a little heavier than one that is there; let DVC know."""
    table = project / "data" / "raw" / "table.csv"
    head, *rows = table.read_text("utf-8").splitlines()
    at = head.split(",").index("body_mass_g")
    fresh = []
    for row in rows[::8]:
        cells = row.split(",")
        if cells[at]:
            cells[at] = str(float(cells[at]) + 1.0)
            fresh.append(",".join(cells))
    table.write_text("\n".join([head, *rows, *fresh]) + "\n", encoding="utf-8")
    dvc = project / ".venv-ci" / "bin" / "dvc"
    subprocess.run([dvc, "add", "--quiet", table], cwd=project, check=True)


@pytest.mark.slow
def test_a_pull_request_with_more_data_is_compared_on_the_same_rows(tmp_path: Path) -> None:
    """Both models meet head's test rows; the comment says what base was on its own, and leaks."""
    project = make_baseline(tmp_path, task="multiclass", storage="local", branch="more-data")
    grow(project)
    train_and_commit(project, "Add rows")
    found = rehearse(project)
    check_steps(found, [*COMPUTE, *EVALUATE, *REPORT, *KEEP])
    assert (found["comments"], found["published"]) == (1, None)
    assert len(found["real_actions"]) == 7
    comment = str(found["comment"])
    assert "both on head's test data, which changed" in comment
    assert re.search(r"base's model was measured anew, on head's 1\d\d test rows", comment)
    assert "incomparable" not in comment
    # A row that is added moves no other: base's model was trained on none of head's test rows.
    assert "of these rows (" not in comment
