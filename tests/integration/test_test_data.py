"""Whether the test data is the same: what is not known to be is compared like what is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from integration.compared import kinds

if TYPE_CHECKING:
    from dvc_project import DvcProject

POINTER = "data/test.csv.dvc"
POLICY = """\
version: 1
files: {test_data: data/test.csv}
metrics:
  test.accuracy: {greater_is_better: true, max_worsening: 0.02}
"""


def keep_in_git(project: DvcProject, text: str) -> None:
    """Take the test data from DVC to git."""
    (project.root / POINTER).unlink()
    project.put("data/test.csv", text)
    project.git("add", "--force", "data/test.csv")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("id\n1\n", ("same", 0, "improved")), ("id\n2\n", ("changed", 1, "incomparable"))],
)
def test_data_that_goes_from_dvc_to_git_is_compared_by_content(
    project: DvcProject,
    compare: Any,  # noqa: ANN401
    text: str,
    expected: tuple[str, int, str],
) -> None:
    """The place where test data is kept does not hide that it changed."""
    project.put("policy.yaml", POLICY)
    project.commit()
    project.train(accuracy=0.85, depth=7)
    keep_in_git(project, text)
    found = compare(project, "--json")
    kind = kinds(found.report)["test.accuracy"]
    assert (found.report["test_data"], found.code, kind) == expected


def test_data_that_head_no_longer_names_is_not_taken_for_the_same(
    project: DvcProject,
    compare: Any,  # noqa: ANN401
) -> None:
    """Without its pointer nobody knows what head was measured on: incomparable, and why."""
    project.put("policy.yaml", POLICY)
    project.commit()
    project.train(accuracy=0.85, depth=7)
    (project.root / POINTER).unlink()
    found = compare(project, "--json")
    assert (found.code, kinds(found.report)) == (1, {"test.accuracy": "incomparable"})
    assert "neither git nor DVC has `data/test.csv` at head" in found.report["rescoring"]["reason"]


def test_a_pointer_without_a_hash_identifies_nothing(
    project: DvcProject,
    compare: Any,  # noqa: ANN401
) -> None:
    """Two pointers that say nothing of the content are not said to be of the same."""
    project.put("policy.yaml", POLICY)
    project.put(POINTER, "outs:\n- path: test.csv\n")
    project.git("add", "--force", POINTER)
    project.commit()
    found = compare(project, "--json")
    assert found.report["test_data"] == "unknown"
