"""What `mlgitops compare` cannot decide: exit code 2, what is wrong, and what to do next."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from git_project import GitRepository

from mlgitops import cli

if TYPE_CHECKING:
    from dvc_project import DvcProject


MISTAKES: list[tuple[str, str, str]] = [
    ("dvc.yaml", "stages: [", "not YAML"),
    ("dvc.yaml", "- " * 5_000 + "1", "nested over"),
    ("dvc.lock", "stages: 3", "`stages` must be a mapping"),
    ("dvc.yaml", "stages: {}", ""),
]


@pytest.mark.parametrize(("path", "text", "what"), MISTAKES[:-1])
def test_malformed_files_at_head_are_refused(  # noqa: PLR0917 - a row of the table
    project: DvcProject,
    compare: Any,  # noqa: ANN401
    tmp_path: Path,
    path: str,
    text: str,
    what: str,
) -> None:
    """A broken file is exit code 2 with its name, no traceback, and nothing written."""
    project.put(path, text)
    target = tmp_path / "report.json"
    found = compare(project, "--output", str(target))
    assert found.code == 2
    assert what in found.err
    assert path in found.err
    assert "Traceback" not in found.err
    assert not target.exists()


def test_three_mistakes_in_the_policy_are_all_named(project: DvcProject, compare: Any) -> None:  # noqa: ANN401
    """A broken policy at base is exit code 2, with every mistake."""
    project.put("policy.yaml", "version: 1\nconfidence: 2\nmetric: {}\ncluster: 3\n")
    project.commit()
    found = compare(project)
    assert found.code == 2
    assert "3 mistakes in policy.yaml at base" in found.err


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("--base", "mian"), "did you mean `main`?"),
        (("--base", "zzzzzzz"), "unknown revision 'zzzzzzz'"),
        (("--head", "0" * 40), "unknown revision"),
        (("--base", "--help"), "unknown revision"),
        (("--policy", "other.yaml"), "there is no such policy"),
    ],
)
def test_unknown_names_are_refused(
    project: DvcProject,
    compare: Any,  # noqa: ANN401
    arguments: tuple[str, ...],
    what: str,
) -> None:
    """A name that is nowhere is exit code 2, with the nearest one."""
    joined = [f"{arguments[0]}={arguments[1]}"]
    found = compare(project, *joined)
    assert found.code == 2
    assert what in found.err


def test_a_folder_outside_git_is_refused(tmp_path: Path, compare: Any) -> None:  # noqa: ANN401
    """Not a repository: exit code 2 and what to do."""
    plain = GitRepository(tmp_path / "a")
    plain.root = tmp_path
    found = compare(plain)
    assert found.code == 2
    assert "not a git repository" in found.err
    assert "git init" in found.err


def test_a_repository_without_commits_or_pipeline_is_refused(tmp_path: Path, compare: Any) -> None:  # noqa: ANN401
    """No commit, then no dvc.yaml, then no metrics file: each is said."""
    empty = GitRepository(tmp_path / "a")
    assert "there is no commit yet" in compare(empty).err
    empty.put("README.md", "x")
    empty.commit()
    assert "there is no dvc.yaml" in compare(empty).err
    empty.put("dvc.yaml", "metrics: [m.json]\nstages: {a: {cmd: x}}")
    assert "the metrics files are on neither side" in compare(empty).err


def test_a_shallow_clone_without_the_base_is_explained(
    project: DvcProject,
    compare: Any,  # noqa: ANN401
    tmp_path: Path,
) -> None:
    """A clone that was cut off says which option brings the base."""
    old = project.git("rev-parse", "HEAD")
    project.train(accuracy=0.9)
    project.commit()
    clone = GitRepository(tmp_path / "clone")
    clone.git("fetch", "--quiet", "--depth=1", f"file://{project.root}", "main")
    clone.git("checkout", "--quiet", "--detach", "FETCH_HEAD")
    found = compare(clone, "--base", old)
    assert found.code == 2
    assert "fetch-depth: 0" in found.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_result_that_cannot_be_written_is_undecided(project: DvcProject) -> None:
    """A full disk ends with 2 and a line, not with Python's own 1, which would read as "fail"."""
    words = [
        sys.executable,
        "-m",
        "mlgitops",
        "compare",
        "--json",
        "--directory",
        str(project.root),
    ]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "error: No space left on device"
    assert "Traceback" not in done.stderr


def test_a_bug_of_ours_is_undecided(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What nobody foresaw shows where it broke, and ends with 2."""

    class Broken:
        def add_arguments(self, parser: object) -> None:
            del parser

        def run(self, args: object, console: object) -> int:
            raise ZeroDivisionError(f"{args} {console}")

    monkeypatch.setattr(cli, "load_command", lambda _: Broken())
    assert cli.run(["compare"]) == 2
    assert "a bug in mlgitops: nothing was decided" in capsys.readouterr().err
