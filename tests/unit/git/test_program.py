"""One way to run git: no hook, no prompt, no other repository's variables."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from git_project import GitRepository

import mlgitops
from mlgitops.errors import MlgitopsError
from mlgitops.git.program import ask_git, open_git, run_git

SOURCE = Path(mlgitops.__file__).parent
#: Git is started in the one, and by the workflow steps' stand-ins, which import nothing of ours.
RUN_GIT = {"git/program.py", "rehearsal/stand_ins/stand_in.py"}


def test_one_module_starts_git() -> None:
    """Every room asks it, so that what holds for one call holds for all."""
    call = re.compile(r"""\[["']git["'],""")
    paths = [path for path in SOURCE.rglob("*.py") if call.search(path.read_text("utf-8"))]
    assert {path.relative_to(SOURCE).as_posix() for path in paths} == RUN_GIT


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    """Make a repository with one commit."""
    made = GitRepository(tmp_path / "own")
    made.put("a.txt", "a\n")
    made.commit()
    return made


@pytest.mark.parametrize("variable", ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"])
def test_a_hooks_variables_lead_nowhere(
    repository: GitRepository, monkeypatch: pytest.MonkeyPatch, variable: str, tmp_path: Path
) -> None:
    """Git is asked of the folder that is named, in each of the three ways."""
    head = repository.git("rev-parse", "HEAD")
    monkeypatch.setenv(variable, str(tmp_path / "elsewhere"))
    assert run_git(repository.root, "rev-parse", "HEAD").strip() == head
    assert ask_git(repository.root, "rev-parse", "HEAD").stdout.decode().strip() == head
    with open_git(repository.root, "cat-file", "--batch-check") as reader:
        answer, _ = reader.communicate(b"HEAD\n")
    assert answer.decode().split()[:2] == [head, "commit"]


def test_what_went_wrong_comes_with_its_hint(repository: GitRepository) -> None:
    """The message shows the command as a person would write it."""
    with pytest.raises(MlgitopsError, match=r"`git -C \S+ show nothing` ended with 128") as raised:
        run_git(repository.root, "show", "nothing", hint="name what there is")
    assert raised.value.hint == "name what there is"
    assert ask_git(repository.root, "show", "nothing").returncode == 128


@pytest.mark.parametrize(("hint", "shown"), [(None, "make one: `git init`"), ("go in", "go in")])
def test_outside_of_a_repository(tmp_path: Path, hint: str | None, shown: str) -> None:
    """It says so, and what to do."""
    with pytest.raises(MlgitopsError, match="not a git repository") as raised:
        run_git(tmp_path, "status", hint=hint)
    assert shown in str(raised.value.hint)


@pytest.mark.parametrize(
    ("errors", "text"),
    [("surrogateescape", "caf\udce9\n"), ("replace", "caf\N{REPLACEMENT CHARACTER}\n")],
)
def test_bytes_that_are_not_utf_8(repository: GitRepository, errors: str, text: str) -> None:
    """As a file's name, or as text to show."""
    (repository.root / "latin.txt").write_bytes(b"caf\xe9\n")
    repository.commit()
    assert run_git(repository.root, "show", "HEAD:latin.txt", errors=errors) == text
