"""A repository that nobody generated, with the how-to page's files and its workflow, by act."""

from __future__ import annotations

import json
import re
from pathlib import Path

from actions.generated_project import read_posted, rehearse, run
from git_project import commit_files, git
from several_projects import read_workflow

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "existing-repository.md"
WORKFLOW = ".github/workflows/pull-request.yml"


def read_files() -> dict[str, str]:
    """Return the files that the page shows, by the path in each one's first line."""
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"(?ms)^```yaml\n# (\S+)\n(.*?)^```$", text)
    return {**dict(blocks), WORKFLOW: read_workflow(PAGE.name)}


def make_reports(skill: float) -> dict[str, str]:
    """Return predictions of 2,000 rows, better with more ``skill``, and the metrics of them."""
    lines, right = ["id,target,prediction,score"], 0
    for row in range(2000):
        target = row * 7919 % 10_007 % 2
        luck = row * 6007 % 10_007 / 10_007
        score = luck * (1 - skill) + target * skill
        prediction = int(score > 0.5)
        right += prediction == target
        lines.append(f"{row},{target},{prediction},{score:.6f}")
    return {
        "reports/predictions.csv": "\n".join([*lines, ""]),
        "reports/metrics.json": json.dumps({"accuracy": right / 2000}),
    }


def test_two_files_give_a_verdict_and_a_workflow_posts_it(tmp_path: Path) -> None:
    """The page's files in a repository without DVC: a verdict here, and the comment as it says."""
    files = read_files()
    assert set(files) == {"dvc.yaml", "policy.yaml", WORKFLOW}
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    commit_files(tmp_path, {**files, **make_reports(0.3)}, "Judge pull requests")
    git(tmp_path, "switch", "--quiet", "--create", "better")
    commit_files(tmp_path, make_reports(0.4), "Learn more")
    assert "No mistakes found" in run(tmp_path, "validate")
    assert "✅ May merge" in run(tmp_path, "compare", "--base", "main", "--head", "HEAD")
    rehearsed = rehearse(tmp_path)
    assert rehearsed["verdict"] == "pass", rehearsed["stderr"]
    (comment,) = read_posted(tmp_path)["comments"]
    assert "**⚠️ May merge, on self-reported numbers**: `accuracy`" in comment["body"]
    git(tmp_path, "switch", "--quiet", "--create", "worse", "main")
    commit_files(tmp_path, make_reports(0.2), "Learn less")
    assert "✗" in run(tmp_path, "compare", "--base", "main", "--head", "HEAD", code=1)
