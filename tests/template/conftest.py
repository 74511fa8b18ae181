"""A clean copy of the template with a history of its own, and projects made from it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE_PARTS = ("cookiecutter.json", "hooks", "{{cookiecutter.project_slug}}")


class Generate(Protocol):
    """Make a project below a folder, with the defaults where nothing is said."""

    def __call__(self, folder: Path, **answers: object) -> Path:
        """Return the project's folder."""


def run_git(folder: Path, *words: str) -> str:
    """Run git as someone with a name, and return what it prints."""
    identity = ("-c", "user.name=Tester", "-c", "user.email=tester@example.org")
    done = subprocess.run(
        ["git", *identity, *words], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def list_template_files(root: Path) -> Sequence[str]:
    """Return the template's files as git sees them: kept, or new and not ignored."""
    words = ("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--")
    names = run_git(root, *words, *TEMPLATE_PARTS).split("\0")
    return sorted({name for name in names if name and (root / name).is_file()})


def copy_template(target: Path) -> Path:
    """Copy the template as it stands, and make it the tagged commit of a repository."""
    for name in list_template_files(ROOT):
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy)
    run_git(target, "init", "--quiet", "--initial-branch", "main")
    run_git(target, "add", "--all", "--force")
    run_git(target, "commit", "--quiet", "--message", "Template")
    run_git(target, "tag", "v1.2.3")
    run_git(target, "remote", "add", "origin", "git@github.com:acme/mlgitops.git")
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
