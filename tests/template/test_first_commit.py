"""Git as people have it: unknown, missing, already there; and where the toolkit comes from."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from types import ModuleType
from typing import TYPE_CHECKING

import pytest
from git_project import git
from template.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

HOOK = ROOT / "hooks" / "post_gen_project.py"
UNKNOWN = "your-org/mlgitops"


def load_hook() -> ModuleType:
    """Import the hook as it stands."""
    hook = ModuleType("post_gen_project")
    exec(compile(HOOK.read_text(encoding="utf-8"), str(HOOK), "exec"), hook.__dict__)  # noqa: S102
    return hook


def cookiecutter(
    template: Path | str, *words: str, home: Path, cwd: Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run the command line as a person with this home would."""
    env = {"HOME": str(home), "PATH": os.environ["PATH"], "PWD": str(cwd), **variables}
    return subprocess.run(
        [sys.executable, "-m", "cookiecutter", "--no-input", str(template), *words],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


def read_uses(project: Path) -> set[str]:
    """Return what follows our own `uses:`, without the verb."""
    text = (project / ".github" / "workflows" / "pull-request.yml").read_text(encoding="utf-8")
    found = re.findall(r"uses: (\S+)/actions/(?:setup|report)(@.*)", text)
    return {address + rest for address, rest in found}


def test_git_that_does_not_know_the_person(template: Path, tmp_path: Path) -> None:
    """The first commit is made under a name of its own, for this once, and the person is told."""
    home = tmp_path / "home"
    home.mkdir()
    done = cookiecutter(template, home=home, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "git config --global user.email" in done.stdout
    project = tmp_path / "flight-delays"
    assert git(project, "log", "--format=%an") == "mlgitops"
    config = (project / ".git" / "config").read_text(encoding="utf-8")
    assert "[user]" not in config
    assert not (home / ".gitconfig").exists()


def test_git_that_is_missing(template: Path, home: Path, tmp_path: Path) -> None:
    """The project is whole, and the person is told how to make the commit later."""
    done = cookiecutter(template, home=home, cwd=tmp_path, PATH=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "git is not installed" in done.stdout
    assert "Traceback" not in done.stderr
    project = tmp_path / "flight-delays"
    assert not (project / ".git").exists()
    assert (project / "data" / "raw" / "table.csv.dvc").is_file()
    assert read_uses(project) == {f"{UNKNOWN}@{'0' * 40}"}


def test_a_folder_inside_another_repository(template: Path, home: Path, tmp_path: Path) -> None:
    """No repository within a repository: the person decides."""
    git(tmp_path, "init", "--quiet")
    done = cookiecutter(template, home=home, cwd=tmp_path)
    assert "lies inside the git repository" in done.stdout
    assert not (tmp_path / "flight-delays" / ".git").exists()
    assert git(tmp_path, "status", "--porcelain").splitlines()[-1] == "?? flight-delays/"


def test_a_folder_that_another_repository_ignores(
    template: Path, home: Path, tmp_path: Path
) -> None:
    """What the outer repository does not look at gets its own history."""
    git(tmp_path, "init", "--quiet")
    (tmp_path / ".gitignore").write_text("/flight-delays/\n", encoding="utf-8")
    cookiecutter(template, home=home, cwd=tmp_path)
    assert git(tmp_path / "flight-delays", "rev-list", "--count", "HEAD") == "1"


def test_settings_that_would_stop_a_commit(template: Path, tmp_path: Path) -> None:
    """Signing, hooks, another default branch, and a repository in the environment do not."""
    home, hooks = tmp_path / "home", tmp_path / "hooks"
    home.mkdir()
    hooks.mkdir()
    (hooks / "pre-commit").write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    (hooks / "pre-commit").chmod(0o755)
    (home / ".gitconfig").write_text(
        "[user]\n\tname = Tester\n\temail = tester@example.org\n\tsigningkey = none\n"
        f"[commit]\n\tgpgsign = true\n[core]\n\thooksPath = {hooks}\n"
        "[init]\n\tdefaultBranch = trunk\n",
        encoding="utf-8",
    )
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "--quiet")
    done = cookiecutter(template, home=home, cwd=tmp_path, GIT_DIR=str(other / ".git"))
    assert done.returncode == 0, done.stderr
    project = tmp_path / "flight-delays"
    assert git(project, "log", "--format=%an %s") == (
        "Tester Start Flight Delays from the mlgitops template"
    )
    assert git(project, "rev-parse", "--abbrev-ref", "HEAD") == "main"
    assert git(other, "rev-list", "--all", "--count") == "0"


@pytest.mark.parametrize(
    ("url", "repository"),
    [
        ("https://github.com/acme/mlgitops", "acme/mlgitops"),
        ("https://github.com/acme/mlgitops.git", "acme/mlgitops"),
        ("https://github.com/acme/mlgitops/", "acme/mlgitops"),
        ("https://user:secret@github.com/acme/mlgitops.git", "acme/mlgitops"),
        ("https://ghe.example.org:8443/acme/ml.git.ops", "acme/ml.git.ops"),
        ("git@github.com:acme/mlgitops.git", "acme/mlgitops"),
        ("ssh://git@github.com:22/acme/mlgitops.git", "acme/mlgitops"),
        ("gh:acme/mlgitops", ""),
        ("/srv/git/acme/mlgitops.git", ""),
        ("../mlgitops", ""),
        ("file:///srv/git/acme/mlgitops", ""),
        ("C:/acme/mlgitops", ""),
        ("https://github.com/mlgitops", ""),
        ("", ""),
    ],
)
def test_the_repository_in_an_address(url: str, repository: str) -> None:
    """Servers have an owner and a name; folders have none; secrets never get through."""
    assert load_hook().parse_repository(url) == repository


def clone(template: Path, target: Path) -> Path:
    """Return a copy of the template's repository without a remote."""
    shutil.copytree(template, target)
    git(target, "remote", "remove", "origin")
    return target


def test_a_template_without_remote(template: Path, home: Path, tmp_path: Path) -> None:
    """The commit is known, the address is not: the person is told what to replace."""
    done = cookiecutter(clone(template, tmp_path / "t"), home=home, cwd=tmp_path)
    sha = git(template, "rev-parse", "HEAD")
    assert read_uses(tmp_path / "flight-delays") == {f"{UNKNOWN}@{sha} # v1.2.3"}
    assert "Before you push to GitHub: the workflows name the actions as" in done.stdout


def test_a_template_whose_only_remote_has_another_name(
    template: Path, home: Path, tmp_path: Path
) -> None:
    """One remote is enough, whatever it is called; its password stays where it is."""
    copy = clone(template, tmp_path / "t")
    git(copy, "remote", "add", "upstream", "https://me:secret@github.com/acme/fork.git")
    done = cookiecutter("t", home=home, cwd=tmp_path)  # a relative folder is found too
    sha = git(template, "rev-parse", "HEAD")
    assert read_uses(tmp_path / "flight-delays") == {f"acme/fork@{sha} # v1.2.3"}
    assert "secret" not in done.stdout + done.stderr


def test_a_template_between_tags(template: Path, home: Path, tmp_path: Path) -> None:
    """The highest of several version tags is the comment; an untagged commit has none."""
    copy = clone(template, tmp_path / "t")
    git(copy, "remote", "add", "origin", "git@github.com:acme/mlgitops.git")
    git(copy, "tag", "v1.10.0")
    git(copy, "tag", "nightly")
    cookiecutter("t", "project_slug=one", home=home, cwd=tmp_path)
    git(copy, "commit", "--quiet", "--allow-empty", "--message", "Later")
    cookiecutter("t", "project_slug=two", home=home, cwd=tmp_path)
    tagged, later = (git(copy, "rev-parse", rev) for rev in ("HEAD~1", "HEAD"))
    assert read_uses(tmp_path / "one") == {f"acme/mlgitops@{tagged} # v1.10.0"}
    assert read_uses(tmp_path / "two") == {f"acme/mlgitops@{later}"}


def test_a_template_that_is_no_repository(template: Path, home: Path, tmp_path: Path) -> None:
    """A plain copy inside somebody's repository does not take that repository for its own."""
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "remote", "add", "origin", "git@github.com:somebody/else.git")
    shutil.copytree(template, tmp_path / "t", ignore=shutil.ignore_patterns(".git"))
    out = tmp_path / "out"
    cookiecutter(tmp_path / "t", "--output-dir", str(out), home=home, cwd=tmp_path)
    assert read_uses(out / "flight-delays") == {f"{UNKNOWN}@{'0' * 40}"}


def test_an_address_that_was_given(template: Path, home: Path, tmp_path: Path) -> None:
    """Answers go before everything found."""
    words = ("toolkit=octo-org/tools", f"toolkit_ref={'b' * 40}")
    cookiecutter(template, *words, home=home, cwd=tmp_path)
    assert read_uses(tmp_path / "flight-delays") == {f"octo-org/tools@{'b' * 40}"}
