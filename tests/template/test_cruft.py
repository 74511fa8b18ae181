"""Template updates with cruft: create, check, diff and update, on real repositories."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from git_project import commit, git
from template.conftest import (
    ROOT,
    TEMPLATE_PARTS,
    copy_template,
    list_template_files,
)

SLUG = "{{cookiecutter.project_slug}}"

#: A module that stood beside those that a person edits, and stands below `plumbing` now.
MOVED = f"{SLUG}/src/{{{{cookiecutter.__package_name}}}}/storing.py"


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


@pytest.mark.slow
def test_a_project_follows_its_template(source: Path, home: Path, tmp_path: Path) -> None:
    """From create to update: the person's edits stay, the template's changes and pins arrive."""
    old = git(source, "rev-parse", "HEAD")
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
    git(project, "init", "--quiet")
    commit(project, "Start")
    same = cruft("diff", "--exit-code", home=home, cwd=project)
    assert (same.returncode, same.stdout) == (0, "")
    assert cruft("check", home=home, cwd=project).returncode == 0

    policy = project / "policy.yaml"
    policy.write_text(policy.read_text("utf-8") + "# ours\n", encoding="utf-8")
    commit(project, "Our own note")

    for name in (".dvcignore", "policy.yaml"):
        path = source / SLUG / ("data/bundled/penguins" if name == "policy.yaml" else ".") / name
        path.write_text("# from the template\n" + path.read_text("utf-8"), encoding="utf-8")
    new = commit(source, "Improve")
    assert cruft("check", home=home, cwd=project).returncode == 1

    updated = cruft("update", "--skip-apply-ask", home=home, cwd=project)
    assert updated.returncode == 0, updated.stderr
    assert (project / ".dvcignore").read_text("utf-8").startswith("# from the template\n")
    text = policy.read_text(encoding="utf-8")
    assert text.startswith("# from the template\n")
    assert text.endswith("# ours\n")
    assert f"acme/mlgitops/actions/setup@{new}\n" in workflow.read_text(encoding="utf-8")
    changed = set(git(project, "diff", "--name-only", "HEAD").splitlines())
    pins = {".devcontainer/devcontainer.json", "README.md"}
    workflows = (
        "pull-request",
        "waiver",
        "release",
        "promote",
        "deploy",
        "rollback",
        "retrain",
        "tune",
    )
    pins |= {f".github/workflows/{name}.yml" for name in workflows}
    assert changed == {".cruft.json", ".dvcignore", "policy.yaml", *pins}
    assert list(project.rglob("*.rej")) == []
    assert git(project, "rev-parse", "--show-toplevel") == str(project)
    assert cruft("check", home=home, cwd=project).returncode == 0

    commit(project, "Update")
    options = ("--skip-apply-ask", "--variables-to-update", '{"fork_reports": true}')
    added = cruft("update", *options, home=home, cwd=project)
    assert added.returncode == 0, added.stderr
    changed = set(git(project, "status", "--porcelain").split()[1::2])
    assert changed == {".cruft.json", "README.md", ".github/workflows/report-on-forks.yml"}


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """Return a template repository that stands at the commit before the lighter project."""
    folder = tmp_path / "source"
    folder.mkdir()
    moved = git(ROOT, "rev-list", "--max-count=1", "HEAD", "--", MOVED).strip()
    if not moved and git(ROOT, "rev-parse", "--is-shallow-repository") == "true":
        pytest.skip("this clone is so shallow that the older template is not in it")
    before = f"{moved}^"
    archive = subprocess.run(
        ["git", "archive", before, *TEMPLATE_PARTS], cwd=ROOT, check=True, capture_output=True
    )
    subprocess.run(["tar", "-x"], cwd=folder, input=archive.stdout, check=True)
    git(folder, "init", "--quiet")
    git(folder, "remote", "add", "origin", "git@github.com:acme/mlgitops.git")
    commit(folder, "Older template")
    return folder


@pytest.mark.slow
def test_an_edited_older_project_is_brought_up_or_told(
    older: Path, home: Path, tmp_path: Path
) -> None:
    """A person's edits of the lines that changed are kept, or stand in a file that tells it."""
    words = ("create", str(older), "--no-input", "--extra-context")
    made = cruft(*words, json.dumps({"task": "multiclass"}), home=home, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    project = tmp_path / "penguins"
    git(project, "init", "--quiet")
    params, pipeline = project / "params.yaml", project / "dvc.yaml"
    edit(params, "estimator: logistic_regression", "estimator: random_forest")
    edit(params, "n_estimators: 100", "n_estimators: 70")
    edit(pipeline, "desc: fit the model", "desc: fit our model")
    own = project / "src" / "penguins" / "train.py"
    edit(own, "Fourth stage:", "Our fourth stage:")
    moved = own.with_name("card.py")
    edit(moved, "Last stage:", "Our last stage:")
    commit(project, "Our own choices")

    for part in TEMPLATE_PARTS:
        shutil.rmtree(older / part, ignore_errors=True)
    for name in list_template_files(ROOT):
        (older / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, older / name)
    commit(older, "Lighter template")
    updated = cruft("update", "--skip-apply-ask", home=home, cwd=project)
    assert updated.returncode == 0, updated.stderr

    plumbing = project / "src" / "penguins" / "plumbing"
    assert (plumbing / "storing.py").is_file()
    assert not (plumbing.parent / "storing.py").exists()
    card = (plumbing / moved.name).read_text(encoding="utf-8")
    assert "Our last" in card, "an edit moves with its file"
    assert "from ..params import" in card
    told = updated.stdout + updated.stderr + git(project, "status", "--porcelain")
    for path, ours in ((params, "n_estimators: 70"), (pipeline, "our model"), (own, "Our fourth")):
        text = path.read_text(encoding="utf-8")
        assert ours in text, "what a person wrote is never lost"
        mixed = "<<<<<<<" in text or path.with_name(f"{path.name}.rej").exists()
        whole = not mixed and "plumbing" in text
        assert whole or (mixed and path.name in told), told


def edit(path: Path, old: str, new: str) -> None:
    """Replace a text that stands once in a file."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")
