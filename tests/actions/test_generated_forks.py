"""The default project and a fork's pull request: as generated, then with the guide's file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from actions.generated_project import BOOSTING, ESTIMATOR, make_baseline, run
from actions.test_generated import COMPUTE
from git_project import git

PAGE = Path(__file__).parents[2] / "docs/how-to/report-on-forks.md"
PATH = ".github/workflows/report-on-forks.yml"
FIRST = COMPUTE
SECOND = [
    ("evaluate", "Check out the default branch"),
    ("evaluate", "Set up Python"),
    ("evaluate", "Take over the report of the run"),
    ("evaluate", "Take over what was trained"),
    ("evaluate", "Install the locked environment"),
    ("evaluate", "Measure the head's model"),
    ("evaluate", "Hand over what was measured"),
    ("report", "Check out the default branch"),
    ("report", "Set up Python"),
    ("report", "Take over what was measured"),
    ("report", "Judge by the base's policy, and post"),
]


def list_steps(found: dict[str, Any]) -> dict[tuple[str, str], str]:
    """Return (job, title) → result of every step that ran."""
    return {(step["job"], step["title"]): step["result"] for step in found["steps"]}


def add_second_workflow(project: Path) -> None:
    """Save the guide's file on main, with the address from the project's own workflow."""
    first = (project / ".github/workflows/pull-request.yml").read_text(encoding="utf-8")
    own = set(re.findall(r"uses: (\S+)/actions/(?:report|evaluate|setup)@(.*)", first))
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    ((address, pin),) = own
    text = text.replace("OWNER/mlgitops", address).replace("SHA # vX.Y.Z", pin)
    (project / PATH).write_text(text, encoding="utf-8")
    git(project, "add", PATH)
    git(project, "commit", "--quiet", "-m", "Report on forks")


@pytest.mark.slow
def test_a_fork_finds_the_summary_and_with_the_guides_file_the_comment(tmp_path: Path) -> None:
    """Every answer is the default; what may write is skipped, and only the second half posts."""
    project = make_baseline(tmp_path, task="binary", storage="repo", branch="change")
    assert not (project / PATH).exists()
    params = (project / "params.yaml").read_text(encoding="utf-8")
    changed = re.sub(ESTIMATOR, BOOSTING, params)
    assert changed != params
    (project / "params.yaml").write_text(changed, encoding="utf-8")
    git(project, "commit", "--quiet", "--all", "-m", "Boost")

    alone = json.loads(run(project, "rehearse", "--fork", "--json"))
    assert list_steps(alone) == dict.fromkeys(FIRST, "success")
    assert alone["jobs"] == {"compute": "success"}
    assert (alone["report_on_fork"], alone["comments"], alone["checks"]) == (None, 0, [])
    assert "May merge" in alone["summary"]
    assert "test.roc_auc" in alone["summary"]

    git(project, "switch", "--quiet", "main")
    add_second_workflow(project)
    git(project, "switch", "--quiet", "change")
    git(project, "rebase", "--quiet", "main")
    both = json.loads(run(project, "rehearse", "--fork", "--json"))
    assert list_steps(both) == dict.fromkeys(FIRST, "success")
    assert list_steps(both["report_on_fork"]) == dict.fromkeys(SECOND, "success")
    assert both["report_on_fork"]["jobs"] == {"evaluate": "success", "report": "success"}
    assert (both["verdict"], both["comments"], both["checks"]) == ("pass", 1, ["success"])
    assert both["published"] is None
    deciding = alone["summary"].partition("\n")[0]
    assert both["comment"].splitlines()[1] == deciding, "the same verdict, by the same metric"
