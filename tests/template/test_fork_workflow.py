"""The second workflow for forks: what it may do, and that the guide shows it as it is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from template.conftest import Generate

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/how-to/report-on-forks.md"


@pytest.fixture(scope="module")
def workflow(generate: Generate, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the workflow of a generated project."""
    project = generate(
        tmp_path_factory.mktemp("forks"),
        fork_reports=True,
        toolkit="acme/mlgitops",
        toolkit_ref="a" * 40,
    )
    return project / ".github/workflows/report-on-forks.yml"


def test_the_guide_shows_the_file_that_is_generated(workflow: Path) -> None:
    """Whoever adds it by hand gets the same, but for the address of the action."""
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    text = text.replace("OWNER/mlgitops", "acme/mlgitops").replace("@SHA # vX.Y.Z", f"@{'a' * 40}")
    assert text == workflow.read_text(encoding="utf-8")


def test_it_runs_nothing_of_the_pull_request(workflow: Path) -> None:
    """No checkout of the head, no script, no secret; each grant is one that posting needs."""
    text = workflow.read_text(encoding="utf-8")
    parsed: Any = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - strings only
    (job,) = parsed["jobs"].values()
    assert parsed["permissions"] == {}
    assert job["permissions"] == {
        "actions": "read",
        "contents": "read",
        "pull-requests": "write",
        "checks": "write",
    }
    checkout, _, report = job["steps"]
    assert checkout["with"] == {"fetch-depth": "0", "persist-credentials": "false"}
    assert not any("run" in step for step in job["steps"])
    assert "secrets." not in text
    action = yaml.safe_load((ROOT / "actions/report/action.yml").read_text(encoding="utf-8"))
    assert set(report.get("with", {})) <= set(action["inputs"])


def test_it_waits_for_the_generated_workflow(workflow: Path) -> None:
    """It names the workflow, the file and the artifact that the template writes."""
    parsed: Any = yaml.load(workflow.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506
    first = ROOT / "{{cookiecutter.project_slug}}/.github/workflows/pull-request.yml"
    text = first.read_text(encoding="utf-8")
    (name,) = parsed["on"]["workflow_run"]["workflows"]
    assert f"\nname: {name}\n" in text
    assert "name: mlgitops-report\n" in text
    action = yaml.safe_load((ROOT / "actions/report/action.yml").read_text(encoding="utf-8"))
    assert action["inputs"]["workflow"]["default"] == ".github/workflows/pull-request.yml"
    assert action["inputs"]["artifact"]["default"] == "mlgitops-report"
