"""The workflow that the guide to several projects shows: as safe as the generated one.

The linters see it together with those of the template, in `test_workflows.py`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from several_projects import PROJECTS, read_workflow

ROOT = Path(__file__).parents[2]
GENERATED = ROOT / "{{cookiecutter.project_slug}}/.github/workflows/pull-request.yml"


@pytest.fixture(scope="module")
def workflow() -> Any:  # noqa: ANN401
    """Return the parsed workflow; every value is text."""
    return yaml.load(read_workflow(), Loader=yaml.BaseLoader)  # noqa: S506


def test_each_job_may_do_what_its_like_in_a_single_project_may(workflow: Any) -> None:  # noqa: ANN401
    """Nothing at the top, reading where code of the pull request runs, and the same grants."""
    assert workflow["permissions"] == {}
    read = {"contents": "read"}
    assert {name: job["permissions"] for name, job in workflow["jobs"].items()} == {
        **dict.fromkeys((*PROJECTS, "evaluate"), read),
        "publish": {"contents": "write", "pull-requests": "read"},
        "report": {**read, "pull-requests": "write", "checks": "write"},
    }


def test_no_job_that_is_believed_sees_the_pull_request(workflow: Any) -> None:  # noqa: ANN401
    """Each checks out the base alone, runs no script, and takes artifacts outside of it."""
    for name in ("evaluate", "publish", "report"):
        steps = workflow["jobs"][name]["steps"]
        (ref,) = [step["with"]["ref"] for step in steps if "checkout@" in step["uses"]]
        assert ref.startswith("${{ github.event.pull_request.base.sha")
        taken = [step["with"]["path"] for step in steps if "download-artifact@" in step["uses"]]
        folders = len(PROJECTS) * (1 if name == "report" else 2)
        assert (len(taken), len(set(taken))) == (len(PROJECTS) * 2, folders)
        assert all(path.startswith("${{ runner.temp }}/taken/") for path in taken)
    assert not any("run" in step for job in workflow["jobs"].values() for step in job["steps"])


def test_every_step_of_ours_names_its_project(workflow: Any) -> None:  # noqa: ANN401
    """Known inputs only; the folder always, and the key wherever there is one, agree."""
    seen = set()
    for job in workflow["jobs"].values():
        for step in job["steps"]:
            match = re.match(r"acme/mlgitops/actions/(\w+)@", step["uses"])
            if not match:
                continue
            inputs = step["with"]
            action = yaml.safe_load((ROOT / f"actions/{match[1]}/action.yml").read_text("utf-8"))
            assert set(inputs) <= set(action["inputs"])
            project = inputs["working-directory"].removeprefix("models/")
            wants_key = "key" in action["inputs"] and "export" not in inputs
            assert inputs.get("key") == (project if wants_key else None)
            seen.add((match[1], project))
    verbs = ("setup", "validate", "train", "compare", "evaluate", "publish", "report")
    assert seen == {(verb, project) for verb in verbs for project in PROJECTS}


def test_artifacts_of_two_projects_have_two_names(workflow: Any) -> None:  # noqa: ANN401
    """What one project hands over, no other does."""
    names = [
        step["with"]["name"]
        for job in workflow["jobs"].values()
        for step in job["steps"]
        if "upload-artifact@" in step["uses"]
    ]
    assert sorted(names) == sorted(
        f"mlgitops-{what}-{project}"
        for what in ("report", "handover", "measured")
        for project in PROJECTS
    )


def test_what_was_measured_is_taken_by_its_number(workflow: Any) -> None:  # noqa: ANN401
    """One number a project, of the job that measures; and its result wherever it is judged."""
    jobs = workflow["jobs"]
    assert jobs["evaluate"]["outputs"] == {
        project: f"${{{{ steps.{project}.outputs.artifact-id }}}}" for project in PROJECTS
    }
    for name in ("publish", "report"):
        steps = jobs[name]["steps"]
        numbers = [step["with"].get("artifact-ids") for step in steps]
        assert [number for number in numbers if number] == [
            f"${{{{ needs.evaluate.outputs.{project} || '0' }}}}" for project in PROJECTS
        ]
        judging = [step["with"] for step in steps if "key" in step["with"]]
        assert [inputs["evaluate-result"] for inputs in judging] == [
            "${{ needs.evaluate.result }}"
        ] * len(PROJECTS)


def test_it_starts_and_is_pinned_as_the_generated_one(workflow: Any) -> None:  # noqa: ANN401
    """Triggers, concurrency and the pins of foreign actions are those of the template."""
    text = re.sub(r"{% raw %}|{% endraw %}", "", GENERATED.read_text(encoding="utf-8"))
    pins = set(re.findall(r"uses: (actions/[\w-]+@[0-9a-f]{40} # v[\d.]+)", text))
    own = set(re.findall(r"uses: (actions/[\w-]+@[0-9a-f]{40} # v[\d.]+)", read_workflow()))
    assert own <= pins
    assert len(own) == 4
    assert set(workflow["on"]) == {"pull_request", "merge_group"}
    assert f"group: {workflow['concurrency']['group']}\n" in text
