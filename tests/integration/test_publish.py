"""`mlgitops publish`: the storage is complete, add-only, and a lost race is no loss."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from git_project import commit, git
from integration.setup_project import (
    clone,
    copy_trained,
    make_origin,
    make_project,
    make_trained,
    quiet,
    shown,
)

from mlgitops.cli import run
from mlgitops.dvc.command import run_dvc
from mlgitops.dvc.stored import hash_file, locate, read_objects
from mlgitops.errors import MlgitopsError
from mlgitops.git.repository import Folder, Repository
from mlgitops.project.training import run_pipeline
from mlgitops.project.validation import validate_project
from mlgitops.storage import (
    is_published,
    prepare_storage,
    publish,
    publish_objects,
    restore_published,
)


def trained(project: Path) -> Path:
    """Prepare and train a project."""
    prepare_storage(project, quiet())
    run_pipeline(project, quiet())
    return project


def stored(repository: Path) -> set[str]:
    """Return the paths of the objects in the storage branch of a repository."""
    listed = git(repository, "ls-tree", "-r", "--name-only", "dvc-storage", "files").splitlines()
    return set(listed)


def test_everything_the_lock_names_arrives(two_stages: Path, tmp_path: Path) -> None:
    """Raw data, stage outputs and the members of a directory are in the branch of origin."""
    origin = make_origin(two_stages, tmp_path / "origin.git")
    published = publish_objects(two_stages, quiet())
    # raw table, double.csv, the manifest of parts/, and its three files
    assert published.objects == 6
    assert (published.added, published.pushed) == (6, True)
    named = {item.location for item in read_objects(two_stages)}
    assert named < stored(origin)
    assert not any("metrics.json" in item.path for item in read_objects(two_stages))


def test_origin_may_have_a_relative_address(two_stages: Path, tmp_path: Path) -> None:
    """It is meant from the repository, as git itself reads it, not from the storage's folder."""
    origin = make_origin(two_stages, tmp_path / "origin.git")
    address = Path("..", *origin.relative_to(two_stages.parent).parts)
    git(two_stages, "remote", "set-url", "origin", str(address))
    assert publish_objects(two_stages, quiet()).pushed
    assert {item.location for item in read_objects(two_stages)} <= stored(origin)


def test_publishing_again_adds_nothing(two_stages: Path) -> None:
    """A second publication finds everything in place and makes no commit."""
    publish_objects(two_stages, quiet())
    before = git(two_stages, "rev-parse", "dvc-storage")
    assert publish_objects(two_stages, quiet()).added == 0
    assert git(two_stages, "rev-parse", "dvc-storage") == before


@pytest.mark.slow
def test_two_racing_publishes_both_land(two_stages: Path, tmp_path: Path) -> None:
    """Two clones publish different models at once; both sets of objects are in origin."""
    origin = make_origin(two_stages, tmp_path / "origin.git")
    clones = [clone(origin, tmp_path / f"clone{number}") for number in (1, 2)]
    for number, other in enumerate(clones):
        git(other, "config", "user.email", "author@example.org")
        git(other, "config", "user.name", "Author")
        (other / "data/raw/table.csv").write_text("1\n2\n3\n")
        (other / "params.yaml").write_text(f"factor: {number + 5}\n")
        trained(other)
    failures: list[BaseException] = []

    def attempt(other: Path) -> None:
        try:
            publish_objects(other, quiet())
        except BaseException as error:  # noqa: BLE001 - handed to the main thread
            failures.append(error)

    threads = [threading.Thread(target=attempt, args=(other,)) for other in clones]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    for other in clones:
        assert {item.location for item in read_objects(other)} <= stored(origin)


def test_changed_object_is_refused(two_stages: Path, tmp_path: Path) -> None:
    """An object edited in the storage folder stops the publication, and origin is as before."""
    origin = make_origin(two_stages, tmp_path / "origin.git")
    publish_objects(two_stages, quiet())
    before = git(origin, "rev-parse", "dvc-storage")
    victim = next(path for path in (two_stages / ".dvc-storage/files").rglob("*") if path.is_file())
    victim.chmod(0o644)
    victim.write_bytes(b"!" * victim.stat().st_size)
    (two_stages / "params.yaml").write_text("factor: 9\n")
    run_pipeline(two_stages, quiet())
    with pytest.raises(MlgitopsError, match="1 stored objects were changed or removed"):
        publish_objects(two_stages, quiet())
    assert git(origin, "rev-parse", "dvc-storage") == before


def test_origin_that_rewrote_an_object_is_refused(two_stages: Path, tmp_path: Path) -> None:
    """A branch whose newer commit changes an object is not taken over."""
    origin = make_origin(two_stages, tmp_path / "origin.git")
    publish_objects(two_stages, quiet())
    before = git(two_stages, "rev-parse", "dvc-storage")
    other = tmp_path / "other"
    git(origin, "clone", "--quiet", "--branch", "dvc-storage", str(origin), str(other))
    victim = next(path for path in (other / "files").rglob("*") if path.is_file())
    victim.write_bytes(b"other content")
    commit(other, "Rewrite")
    git(other, "push", "--quiet", "origin", "dvc-storage")
    with pytest.raises(MlgitopsError, match="1 stored objects were changed or removed"):
        publish_objects(two_stages, quiet())
    assert git(two_stages, "rev-parse", "dvc-storage") == before


def test_half_written_object_of_an_interrupted_push_is_sent_again(two_stages: Path) -> None:
    """A new object with other content than its name is dropped and copied once more."""
    item = read_objects(two_stages)[0]
    half = two_stages / ".dvc-storage" / item.location
    half.parent.mkdir(parents=True)
    half.write_bytes(b"")
    publish_objects(two_stages, quiet())
    assert hash_file(half) == item.oid


def test_damaged_cache_is_never_published(two_stages: Path) -> None:
    """When the cache itself holds wrong bytes, nothing is committed and exit code is 2."""
    before = git(two_stages, "rev-parse", "dvc-storage")
    item = next(item for item in read_objects(two_stages) if item.path == "data/double.csv")
    cached = two_stages / ".dvc/cache" / item.location
    cached.chmod(0o644)
    cached.write_bytes(b"7\n7\n7\n")
    assert run(["publish", "--directory", str(two_stages)]) == 2
    assert git(two_stages, "rev-parse", "dvc-storage") == before
    assert not (two_stages / ".dvc-storage" / item.location).exists()


def test_missing_object_is_never_called_complete(two_stages: Path) -> None:
    """An output that is neither in the cache nor in the storage is named."""
    item = next(item for item in read_objects(two_stages) if item.path == "data/double.csv")
    (two_stages / ".dvc/cache" / item.location).unlink()
    with pytest.raises(MlgitopsError, match=r"data/double\.csv: missing"):
        publish_objects(two_stages, quiet())


@pytest.mark.parametrize(
    ("size", "outcome"),
    [
        (publish.WARN_BYTES, None),
        (publish.WARN_BYTES + 1, "warning"),
        (publish.REFUSE_BYTES, "warning"),
        (publish.REFUSE_BYTES + 1, "refusal"),
    ],
)
def test_large_files_warn_then_are_refused(tmp_path: Path, size: int, outcome: str | None) -> None:
    """Over 50 MB warns; over 95 MB is refused with the command that moves to S3."""
    project = make_project(tmp_path / "project")
    remote = prepare_storage(project, quiet())
    assert remote is not None
    item = read_objects(project)[0]
    cached = project / ".dvc/cache" / item.location
    cached.parent.mkdir(parents=True)
    with cached.open("wb") as file:
        file.truncate(size)  # sparse: no bytes are written
    console = quiet()
    arguments = (project, project / ".dvc-storage", [item], remote, console)
    if outcome == "refusal":
        with pytest.raises(MlgitopsError, match="dvc remote modify storage url s3://"):
            publish._check_sizes(*arguments)
    else:
        publish._check_sizes(*arguments)
        assert ("warning" in shown(console)) == (outcome == "warning")


def test_local_folder_as_storage(tmp_path: Path) -> None:
    """With the storage kind `local` the objects stand in that folder, proved by listing it."""
    project = make_trained(tmp_path / "project", url="../../store")
    published = publish_objects(project, quiet())
    assert published.objects == 6
    for item in read_objects(project):
        assert (tmp_path / "store" / locate(item.oid)).is_file()
    assert str(tmp_path / "store") in (project / ".dvc/config.local").read_text()


def test_what_lies_elsewhere_is_not_asked_of_the_storage(tmp_path: Path) -> None:
    """An import stays in the repository that it comes from; an output may have its own remote."""
    source = make_trained(tmp_path / "source", url="../../store")
    publish_objects(source, quiet())
    commit(source, "train")
    project = make_trained(tmp_path / "project", url="../../store-2")
    run_dvc(
        project, ["import", "--quiet", str(source), "data/raw/table.csv", "--out", "imported.csv"]
    )
    run_dvc(project, ["remote", "add", "--quiet", "own", str(tmp_path / "own")])
    (project / "own.csv").write_text("4\n")
    run_dvc(project, ["add", "--quiet", "own.csv"])
    pointer = project / "own.csv.dvc"
    pointer.write_text(f"{pointer.read_text().rstrip()}\n  remote: own\n")
    assert publish_objects(project, quiet()).objects == 6
    own = locate(hash_file(project / "own.csv"))
    assert (tmp_path / "own" / own).is_file()
    assert not (tmp_path / "store-2" / own).exists()


def test_json_says_what_was_done(two_stages: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--json` gives the number of objects and whether they left this machine."""
    assert run(["publish", "--directory", str(two_stages), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == {"added": 6, "objects": 6, "pushed": False, "remote": "storage"}


def test_project_without_a_remote_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where no default remote is named, the message gives the command that adds one."""
    project = make_project(tmp_path / "project")
    (project / ".dvc/config").write_text("[core]\n    analytics = false\n")
    assert run(["publish", "--directory", str(project)]) == 2
    assert "dvc remote add --default" in capsys.readouterr().err


@pytest.mark.slow
def test_a_storage_moves_in_two_steps(tmp_path: Path) -> None:
    """As docs, Choose the storage, Move it: first a second remote, then that as the default."""
    project = make_trained(tmp_path / "project", url=str(tmp_path / "old"))
    origin = make_origin(project, tmp_path / "origin.git")
    publish_objects(project, quiet())
    dvc = Path(sys.executable).parent / "dvc"

    def merge(*commands: str) -> None:
        base = git(project, "rev-parse", "HEAD")
        for words in commands:
            subprocess.run([dvc, *words.split()], cwd=project, check=True)
        assert run(["train", "--directory", str(project), "--base", base]) == 0
        with Repository(project) as repository:
            found = validate_project(Folder(repository, project), base)
        assert not [one for one in found.mistakes if one.where == ".dvc/config"]
        publish_objects(project, quiet())
        commit(project, "Move")
        git(project, "push", "--quiet", "origin", "main")

    merge(f"remote add new {tmp_path / 'new'}", "remote modify new verify true")
    assert not (tmp_path / "new").exists()
    merge("remote default new")
    shutil.rmtree(tmp_path / "old")
    other = clone(origin, tmp_path / "other")
    subprocess.run([dvc, "pull", "--quiet"], cwd=other, check=True)
    assert (other / "data/double.csv").read_text() == "2\n4\n6\n"


@pytest.mark.parametrize("kind", ["repo", "local"])
def test_what_is_only_in_the_cache_is_not_published(
    trained_project: Path, tmp_path: Path, kind: str
) -> None:
    """Nor what a storage branch holds that origin has not got; damage there is named."""
    settings = {"url": str(tmp_path / "storage")} if kind == "local" else {}
    project = copy_trained(trained_project, tmp_path / "project", **settings)
    make_origin(project, tmp_path / "origin.git")
    data = (project / "data/double.csv").read_bytes()
    oid = hash_file(project / "data/double.csv")
    assert not is_published(project, oid, quiet())
    with (
        pytest.raises(MlgitopsError, match="was not published"),
        restore_published(project, oid, quiet()),
    ):
        pass
    publish_objects(project, quiet())
    shutil.rmtree(project / ".dvc/cache")
    assert is_published(project, oid, quiet())
    with restore_published(project, oid, quiet()) as file:
        assert file.read_bytes() == data
    if kind == "local":
        stored_file = tmp_path / "storage" / locate(oid)
        stored_file.chmod(0o644)
        stored_file.write_bytes(b"other")
        with (
            pytest.raises(MlgitopsError, match=f"the stored object {oid} has the content"),
            restore_published(project, oid, quiet()),
        ):
            pass
    else:
        git(project, "push", "--quiet", "origin", ":dvc-storage")
        git(project, "update-ref", "-d", "refs/remotes/origin/dvc-storage")
        assert not is_published(project, oid, quiet())
