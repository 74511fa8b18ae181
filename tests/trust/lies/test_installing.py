"""Locks and settings that say they only install, in folders that somebody else filled."""

from __future__ import annotations

import hashlib
import io
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest
from actions.test_run import RUN
from trust.lie import check_lie

from mlgitops.cli import run
from mlgitops.environments import ensure_environment

if TYPE_CHECKING:
    from collections.abc import Callable

INSTALLERS = ("uv", "pip")
#: Modules that Python would import from the working folder, were it let to.
MODULES = ("pip", "venv", "ensurepip", "sitecustomize")


Record: TypeAlias = "Callable[[str, object], None]"


@pytest.fixture
def record(record_property: Record) -> Record:
    """Return what counts a lie."""
    return record_property


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project's folder, a store of packages beside it, and nothing else."""
    (tmp_path / "packages").mkdir()
    (tmp_path / "project/requirements").mkdir(parents=True)
    return tmp_path / "project"


def add_wheel(packages: Path, name: str) -> str:
    """Add a wheel of one module; return its sha256."""
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
    files = {
        f"{name}.py": "",
        f"{name}-1.0.dist-info/METADATA": metadata,
        f"{name}-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
        f"{name}-1.0.dist-info/RECORD": "",
    }
    with zipfile.ZipFile(packages / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return hashlib.sha256((packages / f"{name}-1.0-py3-none-any.whl").read_bytes()).hexdigest()


def add_source(packages: Path, name: str, marker: Path) -> str:
    """Add a source archive that leaves ``marker`` behind when it is built; return its sha256."""
    backend = f"from pathlib import Path\nPath({str(marker)!r}).touch()\n"
    files = {
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        "pyproject.toml": "[build-system]\nrequires = []\nbuild-backend = 'backend'\n"
        "backend-path = ['.']\n",
        "backend.py": backend,
        "setup.py": backend,
    }
    file = packages / f"{name}-1.0.tar.gz"
    with tarfile.open(file, "w:gz") as archive:
        for path, text in files.items():
            member = tarfile.TarInfo(f"{name}-1.0/{path}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return hashlib.sha256(file.read_bytes()).hexdigest()


def write_lock(project: Path, *lines: str) -> bytes:
    """Write the lock of the pipeline's environment, which knows the store of packages alone."""
    packages = project.parent / "packages"
    text = "\n".join(["--no-index", f"--find-links {packages.as_posix()}", *lines]) + "\n"
    (project / "requirements/pipeline.txt").write_text(text)
    return text.replace(str(project.parent), "").encode()


@pytest.fixture(params=["uv", pytest.param("pip", marks=pytest.mark.slow)])
def installer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Install with uv, then with the pip of a Python that has no uv beside it."""
    name: str = request.param
    monkeypatch.delenv("MLGITOPS_ENVIRONMENTS", raising=False)
    if name == "pip":
        python = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
        monkeypatch.setattr(sys, "executable", str(python))
        monkeypatch.setenv("PATH", "/usr/bin:/bin")
    else:
        monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    return name


def set_up(project: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Set the pipeline's environment up, expect exit code 2 and return what was said."""
    assert run(["setup", "--only", "pipeline", "--directory", str(project)]) == 2
    assert not (project / ".venv").exists()
    return capsys.readouterr().err


def test_a_pinned_package_that_runs_while_it_is_installed_is_refused(
    project: Path,
    installer: str,
    capsys: pytest.CaptureFixture[str],
    record: Record,
) -> None:
    """A hash proves which bytes they are, and not that they only lie there."""
    digest = add_source(project.parent / "packages", "evil", project / "marker")
    lock = write_lock(project, f"evil==1.0 --hash=sha256:{digest}")
    text = set_up(project, capsys)
    assert not (project / "marker").exists()
    reason = {
        "uv": "has no usable wheels",
        "pip": "No matching distribution found for evil==1.0",
    }[installer]
    check_lie(record, installer.encode() + lock[:40], reason=reason, text=text)


NO_HASH = "all requirements must have a hash, but none were provided for: "
LOCKS = {
    "no hash at all": (["good==1.0"], f"{NO_HASH}good==1.0"),
    "one of two": (["good==1.0 --hash=sha256:{good}", "other==1.0"], f"{NO_HASH}other==1.0"),
    "the other's hash": (["good==1.0 --hash=sha256:{other}"], "Hash mismatch for `good==1.0`"),
    "a path": (["./good", "other==1.0 --hash=sha256:{other}"], f"{NO_HASH}file:///"),
    "a project": (["--editable .", "other==1.0 --hash=sha256:{other}"], f"{NO_HASH}file:///"),
    "any version": (["good>=1.0 --hash=sha256:{good}"], "with `==`, but found: good>=1.0"),
}


def unwrap(text: str) -> str:
    """Return a program's message as one line: uv breaks lines where the terminal ends."""
    return " ".join(text.split())


@pytest.mark.parametrize(("lines", "reason"), list(LOCKS.values()), ids=list(LOCKS))
@pytest.mark.parametrize("installer", ["uv"], indirect=True)
@pytest.mark.usefixtures("installer")
def test_a_lock_that_does_not_pin_bytes_is_refused(
    lines: list[str], reason: str, project: Path, capsys: pytest.CaptureFixture[str], record: Record
) -> None:
    """Nothing is installed of a lock that leaves one of its packages open."""
    digests = {name: add_wheel(project.parent / "packages", name) for name in ("good", "other")}
    lock = write_lock(project, *(line.format(**digests) for line in lines))
    check_lie(record, lock, reason=reason, text=unwrap(set_up(project, capsys)))


def fill_with_settings(folder: Path) -> None:
    """Put settings and modules there that installers and Python might read."""
    folder.mkdir(exist_ok=True)
    nowhere = "http://127.0.0.1:9/simple"
    for name, text in {
        "uv.toml": f"no-binary = true\nindex-url = '{nowhere}'\n[pip]\nindex-url = '{nowhere}'\n"
        "no-deps = true\nrequire-hashes = false\nbroken here\n",
        "pyproject.toml": "[tool.uv]\nrequired-version = '==0.0.1'\n",
        "pip.conf": f"[global]\nindex-url = {nowhere}\nno-binary = :all:\n",
        ".python-version": "2.7\n",
    }.items():
        (folder / name).write_text(text)
    for module in MODULES:
        (folder / f"{module}.py").write_text("raise SystemExit('hijacked')\n")


def test_settings_of_the_working_folder_are_not_read(
    project: Path, installer: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A uv.toml there, unreadable and pointing elsewhere, changes nothing; nor do modules."""
    from integration.setup_project import quiet

    assert installer in INSTALLERS
    digest = add_wheel(tmp_path / "packages", "good")
    write_lock(project, f"good==1.0 --hash=sha256:{digest}")
    fill_with_settings(tmp_path / "checkout")
    monkeypatch.chdir(tmp_path / "checkout")
    environment = ensure_environment(project, "pipeline", quiet())
    assert list(environment.glob("lib/python3*/site-packages/good.py"))


def test_an_action_reads_no_settings_of_the_workspace(
    project: Path, installer: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The helper's environment is made from its lock, whatever the workspace holds."""
    assert installer in INSTALLERS
    digest = add_wheel(tmp_path / "packages", "good")
    write_lock(project, f"good==1.0 --hash=sha256:{digest}")
    fill_with_settings(tmp_path / "workspace")
    monkeypatch.chdir(tmp_path / "workspace")
    folder = tmp_path / "helper"
    RUN.ensure_environment(str(folder), str(project / "requirements/pipeline.txt"))
    assert list(folder.glob("lib/python3*/site-packages/good.py"))


def test_an_action_builds_nothing(
    project: Path,
    installer: str,
    capfd: pytest.CaptureFixture[str],
    record: Record,
) -> None:
    """The helper's lock is of wheels: a source archive in it ends the step."""
    digest = add_source(project.parent / "packages", "evil", project / "marker")
    lock = write_lock(project, f"evil==1.0 --hash=sha256:{digest}")
    with pytest.raises(SystemExit, match=r"^2$"):
        RUN.ensure_environment(str(project / "helper"), str(project / "requirements/pipeline.txt"))
    assert not (project / "marker").exists()
    payload = b"action " + installer.encode() + lock[:40]
    check_lie(
        record,
        payload,
        reason="--only-binary :all:` ended with",
        text=capfd.readouterr().out,
    )


def test_the_exception_is_the_one_package_that_has_no_wheel() -> None:
    """Every lock that is shipped can be installed from wheels, but for that one."""
    from mlgitops.environments import SOURCE_ONLY

    root = Path(__file__).resolve().parents[3]
    for lock in (root / "{{cookiecutter.project_slug}}/requirements").glob("*.txt"):
        text = lock.read_text(encoding="utf-8")
        pinned = f"{SOURCE_ONLY}==" in text
        assert pinned == lock.stem.startswith("ci-"), lock.name
    assert f"{SOURCE_ONLY}==" not in (root / "requirements/helper.txt").read_text("utf-8")


@pytest.mark.parametrize("installer", ["uv"], indirect=True)
@pytest.mark.usefixtures("installer")
def test_an_action_takes_no_package_without_a_hash(
    project: Path, capfd: pytest.CaptureFixture[str], record: Record
) -> None:
    """A lock that names a version and no bytes ends the step."""
    add_wheel(project.parent / "packages", "good")
    lock = write_lock(project, "good==1.0")
    with pytest.raises(SystemExit, match=r"^2$"):
        RUN.ensure_environment(str(project / "helper"), str(project / "requirements/pipeline.txt"))
    said = capfd.readouterr()
    assert "::error title=mlgitops::" in said.out
    check_lie(record, b"action" + lock, reason=f"{NO_HASH}good==1.0", text=unwrap(said.err))
