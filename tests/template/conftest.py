"""A clean copy of the template with a history of its own, and projects made from it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest
from git_project import git

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Programs that other environments run, with libraries that this one has not.
collect_ignore = ["cluster", "serving_properties.py"]

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE_PARTS = ("cookiecutter.json", "hooks", "{{cookiecutter.project_slug}}")


class Generate(Protocol):
    """Make a project below a folder, with the defaults where nothing is said."""

    def __call__(self, folder: Path, **answers: object) -> Path:
        """Return the project's folder."""


def list_template_files(root: Path) -> Sequence[str]:
    """Return the template's files as git sees them: kept, or new and not ignored."""
    # Not by `git` of git_project: what a person's own settings ignore is not the template's.
    words = ("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--")
    printed = subprocess.check_output(["git", *words, *TEMPLATE_PARTS], cwd=root, text=True)
    names = printed.split("\0")
    return sorted({name for name in names if name and (root / name).is_file()})


def copy_template(target: Path) -> Path:
    """Copy the template as it stands, and make it the tagged commit of a repository."""
    for name in list_template_files(ROOT):
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy)
    git(target, "init", "--quiet")
    git(target, "add", "--all", "--force")
    git(target, "commit", "--quiet", "--message", "Template")
    git(target, "tag", "v1.2.3")
    git(target, "remote", "add", "origin", "git@github.com:acme/mlgitops.git")
    return target


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home for cookiecutter and git: nobody's own settings decide a test."""
    folder = tmp_path_factory.mktemp("home")
    (folder / ".gitconfig").write_text(
        "[user]\n\tname = Tester\n\temail = tester@example.org\n", encoding="utf-8"
    )
    return folder


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository that holds the template alone, tagged, with a remote."""
    return copy_template(tmp_path_factory.mktemp("template"))


@pytest.fixture(scope="session")
def generate(template: Path, home: Path) -> Generate:
    """Return a function that generates as `cookiecutter --no-input` does."""

    def run(folder: Path, **answers: object) -> Path:
        from cookiecutter.main import cookiecutter

        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("HOME", str(home))
            made = cookiecutter(
                str(template), no_input=True, extra_context=answers, output_dir=str(folder)
            )
        return Path(made)

    return run
