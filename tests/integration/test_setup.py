"""`mlgitops setup`: environments from locks, and a storage that is ready on this machine."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from git_project import commit, git
from integration.setup_project import clone, make_origin, make_project, quiet, shown

from mlgitops.cli import run
from mlgitops.environments import FOLDERS, ensure_environment, find_python
from mlgitops.errors import MlgitopsError
from mlgitops.project.toolkit import toolkit_root
from mlgitops.storage import prepare_storage, read_remote


def pinned(package: str) -> str:
    """Return the lines of one package, with its hashes, from our own lock."""
    text = (toolkit_root() / "requirements/dev.txt").read_text(encoding="utf-8")
    found = re.search(rf"^{package}==.*?(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, package
    return found[0]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project whose pipeline environment holds one small package."""
    monkeypatch.delenv("MLGITOPS_ENVIRONMENTS", raising=False)
    made = make_project(tmp_path / "project")
    (made / "requirements").mkdir()
    (made / "requirements/pipeline.txt").write_text(pinned("iniconfig"))
    return made


def imports(environment: Path, module: str) -> bool:
    """Tell whether the environment's Python can import a module."""
    command = [str(environment / "bin/python"), "-I", "-c", f"import {module}"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def test_environment_holds_what_the_lock_pins(project: Path) -> None:
    """The environment imports its packages, compiled, and is found again without work."""
    environment = ensure_environment(project, "pipeline", quiet())
    assert environment == project / ".venv"
    assert imports(environment, "iniconfig")
    assert list(environment.glob("lib/python3*/site-packages/iniconfig/__pycache__/*.pyc"))
    console = quiet()
    ensure_environment(project, "pipeline", console)
    assert shown(console) == ""


def test_changed_lock_gives_another_environment(project: Path) -> None:
    """When the lock changes, the next environment has the new packages and not the old ones."""
    first = ensure_environment(project, "pipeline", quiet()).readlink()
    (project / "requirements/pipeline.txt").write_text(pinned("pluggy"))
    second = ensure_environment(project, "pipeline", quiet())
    assert imports(second, "pluggy")
    assert not imports(second, "iniconfig")
    assert imports(first, "iniconfig")  # a process that still runs there is not disturbed


@pytest.mark.parametrize(("backend", "is_added"), [("local", False), ("dask", True), ("ray", True)])
def test_pipeline_has_the_library_of_its_cluster(
    project: Path, backend: str, *, is_added: bool
) -> None:
    """What `compute.backend` asks for is installed beside the pipeline's lock, and only then."""
    (project / "requirements" / f"compute-{backend}.txt").write_text(pinned("pluggy"))
    (project / "params.yaml").write_text(f"compute: {{backend: {backend}, address: null}}\n")
    environment = ensure_environment(project, "pipeline", quiet())
    assert imports(environment, "iniconfig")
    assert imports(environment, "pluggy") is is_added


def test_lock_of_the_cluster_may_not_pin_another_version(project: Path) -> None:
    """Two pins of one package are refused: a cluster changes no result."""
    other = pinned("iniconfig").replace("iniconfig==", "iniconfig==1", 1)
    (project / "requirements/compute-dask.txt").write_text(other)
    (project / "params.yaml").write_text("compute: {backend: dask}\n")
    with pytest.raises(MlgitopsError, match=r"iniconfig==[\s\S]*unsatisfiable") as refused:
        ensure_environment(project, "pipeline", quiet())
    assert refused.value.hint is not None
    assert "compute-dask.txt pin other versions of iniconfig: `make locks`" in refused.value.hint
    assert not (project / ".venv").exists()


def test_lock_of_the_cluster_that_is_missing_is_named(project: Path) -> None:
    """A project that was made before this has no such lock yet."""
    (project / "params.yaml").write_text("compute: {backend: ray}\n")
    with pytest.raises(MlgitopsError, match=r"compute-ray\.txt"):
        ensure_environment(project, "pipeline", quiet())


def test_half_made_environment_is_never_used(project: Path) -> None:
    """Without its ready stamp a folder is made again from nothing."""
    environment = ensure_environment(project, "pipeline", quiet())
    (environment / ".mlgitops-ready").unlink()
    (environment / "leftover").touch()
    ensure_environment(project, "pipeline", quiet())
    assert imports(environment, "iniconfig")
    assert not (environment / "leftover").exists()


def test_copied_environment_is_made_again(project: Path, tmp_path: Path) -> None:
    """A copy of a project does not use scripts that name the place they were made in."""
    ensure_environment(project, "pipeline", quiet())
    copy = tmp_path / "copy"
    shutil.copytree(project, copy, symlinks=True)
    environment = ensure_environment(copy, "pipeline", quiet())
    assert environment.resolve().is_relative_to(copy.resolve())
    assert (environment / ".mlgitops-ready").read_text() == str(environment.resolve())
    assert imports(environment, "iniconfig")


def test_failed_installation_leaves_no_environment(project: Path) -> None:
    """A package whose hash does not match is refused, and no folder counts as ready."""
    lock = project / "requirements/pipeline.txt"
    lock.write_text(re.sub(r"sha256:[0-9a-f]{64}", f"sha256:{'0' * 64}", lock.read_text()))
    with pytest.raises(MlgitopsError, match=r"(?i)hash"):
        ensure_environment(project, "pipeline", quiet())
    assert not (project / ".venv").exists()


def test_concurrent_makers_share_one_environment(project: Path) -> None:
    """Two makers at once end with one environment that works for both."""
    console = quiet()
    work = [
        threading.Thread(target=ensure_environment, args=(project, "pipeline", console))
        for _ in range(3)
    ]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert shown(console).count("Environment pipeline") == 1
    assert imports(project / ".venv", "iniconfig")


def test_shared_store(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Projects with the same lock share one environment in the folder that the variable names."""
    monkeypatch.setenv("MLGITOPS_ENVIRONMENTS", str(tmp_path / "shared"))
    other = make_project(tmp_path / "other")
    (other / "requirements").mkdir()
    (other / "requirements/pipeline.txt").write_text(pinned("iniconfig"))
    first, second = (ensure_environment(p, "pipeline", quiet()) for p in (project, other))
    assert first.resolve() == second.resolve()
    assert first.resolve().parent == (tmp_path / "shared").resolve()


@pytest.mark.slow
def test_pip_makes_the_environment_where_there_is_no_uv(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plain venv and pip install from the same lock."""
    python = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
    monkeypatch.setattr(sys, "executable", str(python))  # no uv beside it
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert imports(ensure_environment(project, "pipeline", quiet()), "iniconfig")


def test_foreign_folder_in_the_way_is_left_alone(project: Path) -> None:
    """A `.venv` that a person made is neither used nor removed."""
    (project / ".venv").mkdir()
    (project / ".venv/precious").touch()
    with pytest.raises(MlgitopsError, match="in the way"):
        ensure_environment(project, "pipeline", quiet())
    assert (project / ".venv/precious").exists()


def test_missing_lock_is_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The message says which lock is missing, and the exit code is 2."""
    assert run(["setup", "--only", "ci", "--directory", str(project)]) == 2
    assert "requirements/ci.txt" in capsys.readouterr().err


@pytest.mark.parametrize("names", ["pipelin", "ci,web", ""])
def test_unknown_environment_is_refused(
    project: Path, names: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A misspelt name is answered with the three that exist."""
    with pytest.raises(SystemExit, match=r"^2$") as caught:
        run(["setup", "--only", names, "--directory", str(project)])
    assert caught.value.code == 2
    assert ", ".join(FOLDERS) in capsys.readouterr().err


def test_serving_takes_a_python_that_kserve_supports(project: Path) -> None:
    """With `.python-version` 3.14 the server's interpreter is an older one."""
    (project / ".python-version").write_text("3.14\n")
    if sys.version_info < (3, 14):
        assert find_python(project, "serving") == Path(sys.executable)


def test_storage_branch_is_made_once_and_is_the_same_everywhere(tmp_path: Path) -> None:
    """Two repositories that start their storage apart begin with the same commit."""
    tips = []
    for name in ("one", "two"):
        project = make_project(tmp_path / name, rows=f"{name!r}\n")
        remote = prepare_storage(project, quiet())
        assert remote is not None
        assert remote.kind == "repo"
        assert f"url = {project / '.dvc-storage'}" in (project / ".dvc/config.local").read_text()
        tips.append(git(project, "rev-parse", "dvc-storage"))
        assert git(project, "status", "--porcelain") == ""
    assert tips[0] == tips[1]


def test_storage_of_a_clone_comes_from_origin(tmp_path: Path) -> None:
    """A clone gets the branch that origin has, and a moved project finds its storage again."""
    project = make_project(tmp_path / "project")
    prepare_storage(project, quiet())
    origin = make_origin(project, tmp_path / "origin.git")
    (project / ".dvc-storage/extra").write_text("x")
    git(project / ".dvc-storage", "add", "extra")
    git(project / ".dvc-storage", "commit", "--quiet", "-m", "Extra")
    git(project, "push", "--quiet", "origin", "dvc-storage")
    other = clone(origin, tmp_path / "clone")
    prepare_storage(other, quiet())
    assert (other / ".dvc-storage/extra").is_file()
    moved = other.rename(tmp_path / "moved")
    prepare_storage(moved, quiet())
    assert f"url = {moved / '.dvc-storage'}" in (moved / ".dvc/config.local").read_text()


def test_copied_project_has_a_storage_of_its_own(tmp_path: Path) -> None:
    """Publishing in a copy of a project does not write into the project it was copied from."""
    project = make_project(tmp_path / "project")
    prepare_storage(project, quiet())
    before = git(project, "rev-parse", "dvc-storage")
    copy = tmp_path / "copy"
    shutil.copytree(project, copy, symlinks=True)
    prepare_storage(copy, quiet())
    commit(copy / ".dvc-storage", "In the copy")
    assert git(project, "rev-parse", "dvc-storage") == before
    assert git(copy, "rev-parse", "dvc-storage") != before


def test_second_worktree_shares_the_storage_of_the_first(tmp_path: Path) -> None:
    """A git worktree of the project uses the storage folder that already holds the branch."""
    project = make_project(tmp_path / "project")
    prepare_storage(project, quiet())
    git(project, "worktree", "add", "--quiet", "-b", "topic", str(tmp_path / "topic"))
    remote = prepare_storage(tmp_path / "topic", quiet())
    assert remote is not None
    assert remote.path == project / ".dvc-storage"


def test_own_settings_in_the_local_configuration_stay(tmp_path: Path) -> None:
    """Writing the absolute url keeps what the person wrote there."""
    project = make_project(tmp_path / "project")
    (project / ".dvc/config.local").write_text("[cache]\n    type = copy\n")
    prepare_storage(project, quiet())
    text = (project / ".dvc/config.local").read_text()
    assert "type = copy" in text
    assert "url = " in text


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("../.dvc-storage", "repo"),
        ("../../elsewhere", "local"),
        ("s3://bucket/prefix", "s3"),
        ("gs://bucket", "gcs"),
        ("azure://container", "azure"),
        ("ssh://host/path", "ssh"),
        ("https://example.org/dvc", "http"),
    ],
)
def test_kind_follows_from_the_url(tmp_path: Path, url: str, kind: str) -> None:
    """The kind of storage is read from the committed url."""
    remote = read_remote(make_project(tmp_path / "project", url=url))
    assert remote is not None
    assert remote.kind == kind


def test_missing_plugin_is_named(tmp_path: Path) -> None:
    """A cloud storage whose plugin is not in the ci environment says which one is missing."""
    project = make_project(tmp_path / "project", url="s3://bucket")
    (project / ".venv-ci/lib/python3.12/site-packages").mkdir(parents=True)
    with pytest.raises(MlgitopsError, match="dvc-s3 is not installed"):
        prepare_storage(project, quiet())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[core\n", "not a DVC configuration"),
        ("[core]\nremote = storage\n", "the default remote `storage` has no url"),
    ],
)
def test_bad_configuration_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """A broken `.dvc/config` ends with a message that names the file."""
    project = make_project(tmp_path / "project")
    (project / ".dvc/config").write_text(text)
    with pytest.raises(MlgitopsError, match=message):
        prepare_storage(project, quiet())
