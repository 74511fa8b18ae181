"""The shipped locks: complete, hashed, without an index, and installable with uv and with pip."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from template.conftest import ROOT

LOCKS = ROOT / "{{cookiecutter.project_slug}}" / "requirements"
NAMES = sorted(path.stem for path in LOCKS.glob("*.txt"))
BIN = Path(sys.executable).parent


def run_program(*words: str | Path) -> str:
    """Run a program that must succeed, and return what it printed."""
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_there_is_a_lock_for_every_storage_and_environment() -> None:
    """One `ci` lock a storage, two pipelines, one server, one a cluster; each beside its source."""
    storages = ("azure", "gcs", "local", "repo", "s3", "ssh")
    names = [*(f"ci-{name}" for name in storages), "pipeline", "pipeline-parquet", "serving"]
    assert sorted([*names, "compute-dask", "compute-ray"]) == NAMES
    assert all((LOCKS / f"{name}.in").is_file() for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_requirement_is_pinned_and_hashed(name: str) -> None:
    """Each pin has hashes, and no line names an index or an address."""
    text = (LOCKS / f"{name}.txt").read_text(encoding="utf-8")
    blocks = re.split(r"\n(?=[A-Za-z0-9])", re.sub(r"(?m)^ *#.*\n", "", text).strip())
    assert len(blocks) > 10
    for block in blocks:
        assert re.match(r"[A-Za-z0-9._-]+(?:\[[a-z,0-9-]+\])?==[^ ]+ ", block), block[:80]
        assert "--hash=sha256:" in block, block[:80]
    assert not re.search(r"https?://|--(?:extra-)?index-url|--find-links", text)


@pytest.mark.slow
@pytest.mark.parametrize("version", ["3.11", "3.14"])
@pytest.mark.parametrize("name", NAMES)
def test_uv_installs_every_lock(name: str, version: str, tmp_path: Path) -> None:
    """For the oldest and the newest Python, uv finds every file of the lock by its hash."""
    printed = run_program(
        *(BIN / "uv", "pip", "install", "--dry-run", "--require-hashes", "--no-config"),
        *("--python", sys.executable, "--python-version", version),
        *("--target", tmp_path / "target", "--requirement", LOCKS / f"{name}.txt"),
    )
    found = re.search(r"Would install (\d+) packages", printed)
    assert found, printed
    assert int(found[1]) > 10


@pytest.mark.slow
def test_pip_installs_what_every_pull_request_needs(tmp_path: Path) -> None:
    """Plain pip installs the default project's two locks, and what they hold can be imported."""
    run_program(sys.executable, "-m", "venv", tmp_path / "v")
    pip = (tmp_path / "v" / "bin" / "python", "-m", "pip", "install", "--require-hashes")
    plain = ("--quiet", "--disable-pip-version-check", "--no-compile", "--requirement")
    for name in ("pipeline", "ci-repo"):
        run_program(*pip, *plain, LOCKS / f"{name}.txt")
    modules = "import dvc, fairlearn, pandas, pandera, sklearn, skops"
    run_program(tmp_path / "v" / "bin" / "python", "-I", "-c", modules)


@pytest.mark.slow
def test_pip_would_install_the_server(tmp_path: Path) -> None:
    """Plain pip finds and checks every file of the server's lock."""
    printed = run_program(
        *(sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed"),
        *("--require-hashes", "--disable-pip-version-check", "--target", tmp_path),
        *("--requirement", LOCKS / "serving.txt"),
    )
    assert re.search(r"Would install .*kserve-", printed), printed[-500:]


@pytest.mark.parametrize("name", ["compute-dask", "compute-ray"])
def test_lock_of_a_cluster_agrees_with_the_pipeline(name: str) -> None:
    """Both are installed together: a package that both pin has one version."""
    pins = [
        dict(re.findall(r"(?m)^([A-Za-z0-9._-]+)==([^ ;]+)", (LOCKS / f"{lock}.txt").read_text()))
        for lock in (name, "pipeline")
    ]
    shared = pins[0].keys() & pins[1].keys()
    assert shared
    assert {package: pins[0][package] for package in shared} == {
        package: pins[1][package] for package in shared
    }
