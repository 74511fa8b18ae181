"""What is asked of which source, and how the branch that takes it is called. Real git, no DVC."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from git_project import GitRepository

from mlgitops.console import Console
from mlgitops.errors import MlgitopsError
from mlgitops.git.repository import Folder, Repository
from mlgitops.updating.plan import make_plan, make_series

if TYPE_CHECKING:
    from pathlib import Path

    from mlgitops.updating.plan import Plan


@pytest.fixture
def project(tmp_path: Path) -> GitRepository:
    """Return a project that imports from two sources, each with v1.0.0 and v1.1.0."""
    for name in ("features", "weather"):
        source = GitRepository(tmp_path / name)
        for tag in ("v1.0.0", "v1.1.0"):
            source.commit(f"{name} {tag}")
            source.git("tag", tag)
    made = GitRepository(tmp_path / "project")
    put_import(made, "data/table.csv", tmp_path / "features")
    put_import(made, "data/contract.yaml", tmp_path / "features")
    put_import(made, "data/weather.csv", tmp_path / "weather")
    made.commit("Start")
    return made


def put_import(
    project: GitRepository, path: str, source: Path | str, *, lock: str | None = None
) -> None:
    """Write the .dvc file of an import of v1.0.0."""
    sha = lock or GitRepository(source).git("rev-parse", "v1.0.0")  # type: ignore[arg-type]
    repo = {"url": str(source), "rev": "v1.0.0", "rev_lock": sha}
    name = path.rpartition("/")[2]
    outs = [{"path": name, "hash": "md5", "md5": "0" * 32, "size": 1}]
    document = {"frozen": True, "deps": [{"path": name, "repo": repo}], "outs": outs}
    project.put(f"{path}.dvc", json.dumps(document))


def plan(project: GitRepository, *files: str, named: str | None = None) -> tuple[Plan, list[str]]:
    """Ask the sources; return the plan, and the names that its branch may take."""
    with Repository(project.root) as repository:
        folder, tip = Folder(repository, project.root.resolve()), repository.resolve("main")
        made = make_plan(folder, tip, files, named, Console(quiet=True))
        return made, list(make_series(folder, "main", tip).names)


def test_each_source_is_a_step(project: GitRepository) -> None:
    """Table and contract of one source are one; the branch is named by what is imported."""
    made, names = plan(project)
    files = [step.followed.files for step in made.steps]
    assert files == [["data/contract.yaml.dvc", "data/table.csv.dvc"], ["data/weather.csv.dvc"]]
    assert re.fullmatch(r"mlgitops/update/[0-9a-f]{12}", names[0])
    assert names[1] == f"{names[0]}-2"
    alone, same = plan(project, "data/weather.csv.dvc")
    assert (len(alone.steps), same) == (1, names)
    project.git("rm", "--quiet", "data/weather.csv.dvc")
    project.commit("Another start")
    assert plan(project)[1][0] != names[0]


def test_what_is_not_on_the_default_branch_does_not_count(project: GitRepository) -> None:
    """Nor what stands in the work tree alone."""
    (project.root / "data/weather.csv.dvc").unlink()
    assert len(plan(project)[0].steps) == 2
    project.commit("Without")
    assert len(plan(project)[0].steps) == 1


def test_a_project_without_imports(project: GitRepository) -> None:
    """That is said."""
    project.git("rm", "--quiet", "-r", "data")
    project.commit("None")
    made, _ = plan(project)
    assert (made.steps, made.notes) == ([], ["no .dvc file of `dvc import` is there"])


def test_a_named_revision_is_of_one_source(project: GitRepository) -> None:
    """With two it is said how to name one; and a file that is no import is refused."""
    with pytest.raises(MlgitopsError, match="--to names a revision of one source"):
        plan(project, named="v1.0.0")
    made, _ = plan(project, "data/weather.csv.dvc", named="main")
    assert made.steps[0].taken.revision == "main"
    with pytest.raises(MlgitopsError, match="`dvc import` did not write it"):
        plan(project, "data/none.dvc")


@pytest.mark.parametrize(
    ("address", "lock", "problem"),
    [
        ("https://me:secret@github.example/f", "1" * 40, "holds a password or a token"),
        ("https://github.example/f", "main", "pinned to no commit"),
        ("ext::touch owned", "1" * 40, "no address that everybody has"),
        ("../features", "1" * 40, "no address that everybody has"),
    ],
)
def test_an_import_that_cannot_be_followed(
    project: GitRepository, address: str, lock: str, problem: str
) -> None:
    """No source is asked, and the message shows no secret."""
    put_import(project, "data/table.csv", address, lock=lock)
    project.commit("Bad")
    with pytest.raises(MlgitopsError, match=problem) as raised:
        plan(project, "data/table.csv.dvc")
    assert "secret" not in str(raised.value)


def test_a_version_whose_settings_are_more_than_an_address_is_no_plan(
    project: GitRepository, tmp_path: Path
) -> None:
    """DVC would obey them while it takes the table: it is not started."""
    source = GitRepository(tmp_path / "weather")
    source.put(".dvc/config", '[remote "s"]\n    url = s3://x\n    credentialpath = keys\n')
    source.commit("v1.2.0")
    source.git("tag", "v1.2.0")
    assert len(plan(project, "data/table.csv.dvc")[0].steps) == 1
    with pytest.raises(MlgitopsError, match="may make DVC do more than fetch a table"):
        plan(project)
