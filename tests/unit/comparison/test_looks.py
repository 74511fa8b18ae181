"""How often the test rows were measured on before: every result in base's history, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from dvc_project import DvcProject
from git_project import git

from mlgitops.comparison.looks import count_looks
from mlgitops.comparison.sides import SideFiles, read_recorded
from mlgitops.git.repository import Folder, Repository
from mlgitops.model import Looks

if TYPE_CHECKING:
    from pathlib import Path

TEST_DATA = "data/test.csv"


def look(root: Path, folder: str = ".", *, head: str | None = None) -> Looks | None:
    """Count the results in HEAD's history that are of the test data of ``head``."""
    with Repository(root) as repository:
        project = Folder(repository, (root / folder).resolve())
        sha = repository.resolve("HEAD")
        sides = [
            SideFiles(name=name, sha=at, folder=project)
            for name, at in (("base", sha), ("head", head or sha))
        ]
        for side in sides:
            read_recorded(side, ["reports/metrics.json"])
        return count_looks(TEST_DATA, *sides)


def record(project: DvcProject, *depths: int, test_data: bytes = b"id\n1\n") -> str:
    """Commit the results of one run for each depth; return the last commit."""
    for depth in depths:
        project.train(accuracy=0.8, depth=depth, test_data=test_data)
        project.commit()
    return project.git("rev-parse", "HEAD")


@pytest.fixture
def project(tmp_path: Path) -> DvcProject:
    """Return a project with three results on its branch."""
    project = DvcProject(tmp_path)
    record(project, 6, 7, 8)
    return project


def test_each_result_counts_once(project: DvcProject) -> None:
    """Commits without a result do not count, nor does a result that comes back."""
    project.put("README.md", "words\n")
    project.commit()
    record(project, 7)
    assert look(project.root) == Looks(results=3)


def test_results_on_merged_branches_count(project: DvcProject) -> None:
    """Each run on the branch was a look; the merge itself is none, and open branches are unseen."""
    main = project.git("symbolic-ref", "--short", "HEAD")
    for name in ("merged", "open"):
        project.git("switch", "--quiet", "--create", name, main)
        record(project, *range(20, 24) if name == "merged" else range(30, 34))
    project.git("switch", "--quiet", main)
    project.put("README.md", "meanwhile\n")
    project.commit()
    project.git("merge", "--quiet", "--no-edit", "merged")
    assert look(project.root) == Looks(results=7)


def test_a_result_of_the_merge_itself_counts(project: DvcProject) -> None:
    """Both sides trained, and what was merged is trained anew."""
    main = project.git("symbolic-ref", "--short", "HEAD")
    project.git("switch", "--quiet", "--create", "other")
    record(project, 20)
    project.git("switch", "--quiet", main)
    record(project, 30)
    project.git("merge", "--quiet", "--no-commit", "--strategy", "ours", "other")
    record(project, 40)
    assert look(project.root) == Looks(results=6)


def test_other_test_rows_begin_anew(project: DvcProject) -> None:
    """New rows were never looked at, and rows that come back were."""
    old = project.git("rev-parse", "HEAD")
    new = record(project, 9, test_data=b"id\n5\n")
    project.git("switch", "--quiet", "--detach", old)
    assert look(project.root, head=new) == Looks(results=0)
    project.git("switch", "--quiet", "--detach", new)
    assert look(project.root, head=new) == Looks(results=1)
    assert look(project.root, head=old) == Looks(results=3)


def test_test_data_in_git_is_known_by_its_content(project: DvcProject) -> None:
    """The lock names the MD5 of a file that git keeps."""
    project.git("rm", "--quiet", "data/test.csv.dvc")
    project.put(TEST_DATA, "id\n1\n")
    project.git("add", "--force", TEST_DATA)
    project.commit()
    assert look(project.root) == Looks(results=3)


def test_a_lock_that_names_no_test_data_tells_nothing(project: DvcProject) -> None:
    """That no result is of these rows must not be said where none can be."""
    project.git("rm", "--quiet", "data/test.csv.dvc")
    project.put(TEST_DATA, "id\nanother\n")
    project.git("add", "--force", TEST_DATA)
    project.commit()
    assert look(project.root) is None


@pytest.mark.parametrize("name", ["models/a", "models[1]/*b"])
def test_only_the_locks_of_the_project_count(project: DvcProject, name: str) -> None:
    """Projects beside it have test rows of their own, be they the same ones."""
    names = [path.name for path in project.root.iterdir() if path.name != ".git"]
    (project.root / name).mkdir(parents=True)
    project.git("mv", "--", *(path for path in names if path != "data"), name)
    (project.root / name / "data").mkdir()
    project.git("mv", "--", "data/test.csv.dvc", f"{name}/data/test.csv.dvc")
    project.commit()
    assert look(project.root, name) == Looks(results=1)  # older ones stood elsewhere


def test_a_history_that_is_cut_is_said(project: DvcProject, tmp_path: Path) -> None:
    """A shallow clone knows some of the results."""
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--depth=2", f"file://{project.root}", str(clone))
    assert look(clone) == Looks(results=2, partial=True)


@pytest.mark.parametrize(("most", "count"), [(1, 1), (2, 2), (3, 3)])
def test_long_histories_are_cut(project: DvcProject, most: int, count: int) -> None:
    """Only so many versions are read, of so many merges; the flag says that older ones exist."""
    with Repository(project.root) as repository:
        contents, partial = repository.list_past_contents(
            repository.resolve("HEAD"), "**/dvc.lock", most=most
        )
    assert len(contents) == count
    assert partial is (most < 3)


def test_a_link_in_the_place_of_a_lock_is_no_result(project: DvcProject) -> None:
    """Its content is a path, and what a submodule is at is no file."""
    (project.root / "dvc.lock").unlink()
    (project.root / "dvc.lock").symlink_to("other.lock")
    project.commit()
    with Repository(project.root) as repository:
        contents, _ = repository.list_past_contents(
            repository.resolve("HEAD"), "**/dvc.lock", most=9
        )
    assert len(contents) == 3
