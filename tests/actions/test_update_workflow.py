"""The workflow of the page on imported features, run by act: a real source, real DVC."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest
from actions.generated_project import host, run
from actions.learning import find_proposed, run_green
from git_project import git, write_files
from imported_project import FILES, ImportedProject, make_imported, write_table
from several_projects import read_workflow

#: Of a generated project, by its storage: what the job installs to run DVC.
LOCKS = Path(__file__).parents[2] / "{{cookiecutter.project_slug}}/requirements"
UPDATE = ".github/workflows/update.yml"
#: The repository names no app, so its token is not asked for.
STEPS = Counter(
    {
        ("update", "Check out the default branch"): 1,
        ("update", "Set up Python"): 1,
        ("update", "Take what is newer, train, propose"): 1,
    }
)


@pytest.mark.slow
def test_the_workflow_of_the_page_proposes_what_is_newer(tmp_path: Path) -> None:
    """Nothing new, a newer tag, and a run by hand while that is open: one pull request."""
    made = tmp_path / "made"
    make_imported(made)
    project = ImportedProject(made, tmp_path / "copy")
    version = f"{sys.version_info.major}.{sys.version_info.minor}\n"
    workflow = read_workflow("import-features.md", "update")
    lock = (LOCKS / "ci-local.txt").read_text("utf-8")
    files = {UPDATE: workflow, ".python-version": version, "requirements/ci.txt": lock}
    write_files(project.root, files)
    project.commit("Follow the source")
    run(project.root, "setup", "--only", "ci")  # the job of a rehearsal asks no package index
    with host(project.root, tmp_path / "act") as hosted:
        origin = hosted.stage.origin
        _, idle = run_green(hosted, UPDATE, STEPS, "schedule")
        assert (idle["branch"], find_proposed(hosted, "mlgitops/")) == ("", [])
        newest = project.source.release("v1.1.0", write_table(90))
        _, outputs = run_green(hosted, UPDATE, STEPS, "schedule")
        project.source.release("v1.2.0", write_table(120))
        _, again = run_green(hosted, UPDATE, STEPS, inputs={"to": "v1.2.0"})
        (pull,) = find_proposed(hosted, "mlgitops/")
    for name in ("branch", "pull-request", "url"):
        assert outputs[name] == again[name] != idle[name]
    assert (outputs["branch"], outputs["pull-request"]) == (pull.head[0], str(pull.number))
    assert (pull.base[0], pull.state) == ("main", "open")
    assert pull.title == f"Take features v1.1.0 at {newest[:12]}"
    changed = git(origin, "diff", "--name-only", "main", pull.head[0]).split()
    assert set(FILES) < set(changed)
    assert "reports/metrics.json" in changed
    for name in FILES:
        assert f"rev_lock: {newest}" in git(origin, "show", f"{pull.head[0]}:{name}")
