"""Template updates with cruft: create, check, diff and update, on real repositories."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from template.conftest import copy_template, run_git

SLUG = "{{cookiecutter.project_slug}}"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a template repository that may grow."""
    return copy_template(tmp_path_factory.mktemp("source"))


def cruft(*words: str, home: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run cruft as a person would."""
    env = {"HOME": str(home), "PATH": os.environ["PATH"], "PWD": str(cwd)}
    return subprocess.run(
        [Path(sys.executable).with_name("cruft"), *words],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


def commit_all(folder: Path, message: str) -> str:
    """Commit everything and return the commit."""
    run_git(folder, "add", "--all")
    run_git(folder, "commit", "--quiet", "--message", message)
    return run_git(folder, "rev-parse", "HEAD")


@pytest.mark.slow
def test_a_project_follows_its_template(source: Path, home: Path, tmp_path: Path) -> None:
    """From create to update: the person's edits stay, the template's changes and pins arrive."""
    old = run_git(source, "rev-parse", "HEAD")
    words = ("create", str(source), "--no-input", "--extra-context")
    made = cruft(
        *words, json.dumps({"task": "multiclass", "storage": "s3"}), home=home, cwd=tmp_path
    )
    assert made.returncode == 0, made.stderr
    assert "with .cruft.json in it" in made.stdout
    project = tmp_path / "penguins"
    workflow = project / ".github" / "workflows" / "pull-request.yml"
    assert f"acme/mlgitops/actions/setup@{old} # v1.2.3" in workflow.read_text(encoding="utf-8")

    assert not (project / ".git").exists(), "cruft's own file belongs into the first commit"
    run_git(project, "init", "--quiet", "--initial-branch", "main")
    commit_all(project, "Start")
    same = cruft("diff", "--exit-code", home=home, cwd=project)
    assert (same.returncode, same.stdout) == (0, "")
    assert cruft("check", home=home, cwd=project).returncode == 0

    policy = project / "policy.yaml"
    policy.write_text(policy.read_text("utf-8") + "# ours\n", encoding="utf-8")
    commit_all(project, "Our own note")

    for name in (".dvcignore", "policy.yaml"):
        path = source / SLUG / ("data/bundled/penguins" if name == "policy.yaml" else ".") / name
        path.write_text("# from the template\n" + path.read_text("utf-8"), encoding="utf-8")
    new = commit_all(source, "Improve")
    assert cruft("check", home=home, cwd=project).returncode == 1

    updated = cruft("update", "--skip-apply-ask", home=home, cwd=project)
    assert updated.returncode == 0, updated.stderr
    assert (project / ".dvcignore").read_text("utf-8").startswith("# from the template\n")
    text = policy.read_text(encoding="utf-8")
    assert text.startswith("# from the template\n")
    assert text.endswith("# ours\n")
    assert f"acme/mlgitops/actions/setup@{new}\n" in workflow.read_text(encoding="utf-8")
    changed = set(run_git(project, "diff", "--name-only", "HEAD").splitlines())
    pins = {".devcontainer/devcontainer.json", "README.md"}
    pins |= {f".github/workflows/{name}.yml" for name in ("pull-request", "waiver")}
    assert changed == {".cruft.json", ".dvcignore", "policy.yaml", *pins}
    assert list(project.rglob("*.rej")) == []
    assert run_git(project, "rev-parse", "--show-toplevel") == str(project)
    assert cruft("check", home=home, cwd=project).returncode == 0

    commit_all(project, "Update")
    options = ("--skip-apply-ask", "--variables-to-update", '{"fork_reports": true}')
    added = cruft("update", *options, home=home, cwd=project)
    assert added.returncode == 0, added.stderr
    changed = set(run_git(project, "status", "--porcelain").split()[1::2])
    assert changed == {".cruft.json", "README.md", ".github/workflows/report-on-forks.yml"}
