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
    read = {"actions": "read", "contents": "read"}
    assert parsed["permissions"] == {}
    assert {name: job["permissions"] for name, job in parsed["jobs"].items()} == {
        "evaluate": {**read, "pull-requests": "read"},
        "report": {**read, "pull-requests": "write", "checks": "write"},
    }
    for job in parsed["jobs"].values():
        (checkout,) = [step for step in job["steps"] if "checkout@" in step["uses"]]
        assert checkout["with"] == {"fetch-depth": "0", "persist-credentials": "false"}
        taken = [step["with"] for step in job["steps"] if "download-artifact@" in step["uses"]]
        assert all(inputs["path"].startswith("${{ runner.temp }}/taken/") for inputs in taken)
        assert not any("run" in step for step in job["steps"])
    assert "secrets." not in text
    for verb, job in parsed["jobs"].items():
        action = yaml.safe_load((ROOT / f"actions/{verb}/action.yml").read_text(encoding="utf-8"))
        (own,) = [step for step in job["steps"] if f"/actions/{verb}@" in step["uses"]]
        assert set(own["with"]) <= set(action["inputs"])


def test_only_what_its_own_job_measured_is_taken_for_measured(workflow: Path) -> None:
    """By that job's number and result; of the fork's run come the report and the handover alone."""
    parsed: Any = yaml.load(workflow.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506
    evaluate, report = (parsed["jobs"][name] for name in ("evaluate", "report"))
    (*_, handing) = evaluate["steps"]
    number = f"${{{{ steps.{handing['id']}.outputs.artifact-id }}}}"
    assert evaluate["outputs"] == {"artifact-id": number}
    inputs = [step.get("with", {}) for step in evaluate["steps"]]
    runs = {given["name"]: given["run-id"] for given in inputs if "run-id" in given}
    assert runs == dict.fromkeys(
        ("mlgitops-report", "mlgitops-handover"), "${{ github.event.workflow_run.id }}"
    )
    assert report["needs"] == "evaluate"
    assert "!cancelled() && " in report["if"]
    taken, judging = (step["with"] for step in report["steps"][-2:])
    assert taken["artifact-ids"] == "${{ needs.evaluate.outputs.artifact-id || '0' }}"
    assert "run-id" not in taken
    assert judging["evaluate-result"] == "${{ needs.evaluate.result }}"


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
