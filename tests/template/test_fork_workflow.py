"""The second workflow for forks, as docs/how-to/report-on-forks.md gives it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
PAGE = ROOT / "docs/how-to/report-on-forks.md"


@pytest.fixture(scope="module")
def workflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page's workflow as a file, with an address for the action."""
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    text = text.replace("OWNER/mlgitops", "acme/mlgitops").replace("@SHA #", f"@{'a' * 40} #")
    folder = tmp_path_factory.mktemp("fork") / ".github/workflows"
    folder.mkdir(parents=True)
    (folder / "report-fork.yml").write_text(text, encoding="utf-8")
    return folder / "report-fork.yml"


@pytest.mark.parametrize(
    ("options", "found"), [([], []), (["--no-ignores"], ["dangerous-triggers"])]
)
def test_the_auditor_finds_its_trigger_alone(
    workflow: Path, options: list[str], found: list[str]
) -> None:
    """One ignore, with its reason beside it; nothing else to report."""
    command: list[str | Path] = [
        BIN / "zizmor",
        "--offline",
        "--persona=auditor",
        "--format=json",
        *options,
        workflow,
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert [one["ident"] for one in json.loads(done.stdout)] == found, done.stdout[:2000]


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


def test_the_file_fits_its_schema(workflow: Path) -> None:
    """GitHub's own schema accepts it."""
    command: list[str | Path] = [
        BIN / "check-jsonschema",
        "--builtin-schema",
        "vendor.github-workflows",
        workflow,
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
