"""The image of a generated project, built by buildah from its Dockerfile, and run.

In the place of `python:…-slim`, which no registry hands out here, stands Debian with its own Python
3.11, as mmdebstrap makes it. The packages come from a folder of wheels, fetched by the hashes of
the project's lock; the build itself asks no index. It needs root.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from template.conftest import generate, home, template
from template.test_server import STAGES, environments, run_module

from mlgitops.delivery.bundle import MODEL
from mlgitops.delivery.images.layout import read_images
from mlgitops.delivery.processes import find_free_port
from mlgitops.delivery.protocol import fetch_answer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from template.conftest import Generate

__all__ = ["environments", "generate", "home", "template"]

pytestmark = pytest.mark.slow

BASE = "localhost/base"
IMAGE = "localhost/model"
PACKAGES = "python3,python3-venv"
TOPS = ("venv", "srv")  # what the image has beside its base
SECONDS = 1_200  # for one program, on a slow machine


class Builder:
    """buildah, with a storage of its own below ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folders = ("--root", str(folder / "store"), "--runroot", str(folder / "run"))
        self.words = ("buildah", *folders, "--storage-driver", pick_driver(folder))

    def run(self, *words: str) -> str:
        """Run a command of buildah that must succeed; return what it printed."""
        done = subprocess.run(
            [*self.words, *words], capture_output=True, text=True, check=False, timeout=SECONDS
        )
        assert done.returncode == 0, done.stderr[-4_000:]
        return done.stdout.strip()

    def build(self, project: Path, *options: str) -> str:
        """Build a project's image, or a stage of it, with nothing kept of a build before."""
        arguments = {"BASE": BASE, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/wheels"}
        settings = [x for key, text in arguments.items() for x in ("--build-arg", f"{key}={text}")]
        plain = ("--isolation", "chroot", "--pull-never", "--no-cache", "--timestamp", "0")
        wheels = ("--volume", f"{self.folder / 'wheels'}:/wheels:ro")
        return self.run("build", "--quiet", *plain, *settings, *wheels, *options, str(project))

    def mount(self, image: str) -> tuple[str, Path]:
        """Return a container of an image, and the folder with its files."""
        container = self.run("from", "--pull-never", image)
        return container, Path(self.run("mount", container))


def pick_driver(folder: Path) -> str:
    """Return how layers are kept: as overlays, or as copies where the kernel refuses those."""
    probe = ("--root", str(folder / "probe"), "--runroot", str(folder / "probe-run"))
    words = ["buildah", *probe, "--storage-driver", "overlay", "from", "scratch"]
    done = subprocess.run(words, capture_output=True, check=False, timeout=SECONDS)
    return "vfs" if done.returncode else "overlay"


@pytest.fixture(scope="module")
def project(
    environments: dict[str, Path],
    generate: Generate,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Return a generated project with a trained model."""
    project = generate(tmp_path_factory.mktemp("image"), task="multiclass")
    for stage in STAGES:
        run_module(environments["pipeline"], project, stage)
    return project


@pytest.fixture(scope="module")
def builder(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Builder]:
    """Return buildah with the image of the project in its storage."""
    folder = tmp_path_factory.mktemp("buildah")
    builder = Builder(folder)
    make_base(builder)
    fetch_wheels(project / "requirements" / "serving.txt", folder / "wheels")
    builder.build(project, "--tag", IMAGE)
    try:
        yield builder
    finally:
        builder.run("rm", "--all")  # or its mounts stay


def make_base(builder: Builder) -> None:
    """Make the image in the place of `python:…-slim`."""
    archive = str(builder.folder / "base.tar")
    debian = ("mmdebstrap", "--quiet", "--variant=minbase", f"--include={PACKAGES}", "bookworm")
    subprocess.run([*debian, archive], check=True, timeout=SECONDS)
    container = builder.run("from", "scratch")
    builder.run("add", "--quiet", container, archive, "/")
    builder.run("commit", "--quiet", "--rm", "--disable-compression", container, BASE)


def fetch_wheels(lock: Path, folder: Path) -> None:
    """Fetch what the lock pins, for the Python of the base, each file by its hash."""
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes")
    kind = ("--only-binary", ":all:", "--python-version", "3.11", "--implementation", "cp")
    words = [*pip, *kind, "--dest", str(folder), "--requirement", str(lock)]
    subprocess.run(words, check=True, timeout=SECONDS, capture_output=True)


def describe_files(root: Path) -> dict[str, str]:
    """Return path → kind, permissions, owner and digest of everything that the image adds."""
    listed = {}
    for path in sorted(path for top in TOPS for path in (root / top).rglob("*")):
        status = path.lstat()
        content = (
            str(path.readlink())
            if path.is_symlink()
            else hashlib.sha256(path.read_bytes() if path.is_file() else b"").hexdigest()
        )
        owner = f"{status.st_uid}:{status.st_gid}"
        listed[path.relative_to(root).as_posix()] = f"{status.st_mode:o} {owner} {content}"
    return listed


def test_a_second_build_has_the_same_files(builder: Builder, project: Path) -> None:
    """Every file of the environment and of the project: name, permissions, owner and bytes."""
    files = describe_files(builder.mount(IMAGE)[1])
    again = describe_files(builder.mount(builder.build(project, "--target", "build"))[1])
    assert len(files) > 10_000
    assert files.keys() == again.keys()
    assert {path for path in files if files[path] != again[path]} == set()


def test_the_image_holds_one_model_and_what_serves_it(builder: Builder, project: Path) -> None:
    """No training data, no history, no tests, no pip; under 600 MB beside its base."""
    _, root = builder.mount(IMAGE)
    served = {path.name for path in (root / "srv" / "model").iterdir()}
    assert {"contract.yaml", "model", "reports", "src", "trusted_types.txt"} <= served
    assert not served & {".git", ".dvc", "data", "dvc.lock", "tests", "requirements"}
    assert (root / "srv/model" / MODEL).read_bytes() == (project / MODEL).read_bytes()
    names = {path.name for path in (root / "venv/lib/python3.11/site-packages").iterdir()}
    assert {"kserve", "skops"} <= names
    assert not names & {"pip", "mlgitops", "dvc", "pytest"}
    assert not any(path.is_dir() for path in (root / "venv").rglob("tests"))
    size = sum(x.stat().st_size for x in (root / "venv").rglob("*") if x.is_file())
    assert size < 600 * 2**20


def test_nothing_in_the_image_belongs_to_who_serves(builder: Builder) -> None:
    """It runs as 10001, a number that a cluster can check, and may change no file of it."""
    described = json.loads(builder.run("inspect", "--type", "image", IMAGE))["OCIv1"]["config"]
    assert described["User"] == "10001:10001"
    _, root = builder.mount(IMAGE)
    for top in TOPS:
        for path in (root / top, *(root / top).rglob("*")):
            status = path.lstat()
            assert (status.st_uid, status.st_gid) == (0, 0), path
            assert path.is_symlink() or not status.st_mode & 0o022, path


def test_the_layout_that_buildah_writes_holds(
    builder: Builder, project: Path, tmp_path: Path
) -> None:
    """The audit reads in a real layout what the build copied: the model, and the project's code."""
    layout, file = tmp_path / "layout", tmp_path / "digest"
    builder.run(
        "push",
        "--quiet",
        "--disable-compression",
        "--digestfile",
        str(file),
        IMAGE,
        f"oci:{layout}",
    )
    (image,) = read_images(layout, file.read_text("utf-8").strip())
    files = dict(image.files)
    assert {MODEL, "src/penguins/serve.py", "contract.yaml"} <= files.keys()
    for path, digest in files.items():
        assert hashlib.sha256((project / path).read_bytes()).hexdigest() == digest, path


@contextmanager
def run_image(builder: Builder, container: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Run a program in a container until the block ends."""
    command = [*builder.words, "run", "--isolation", "chroot", container, "--", *words]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def admit(builder: Builder, container: str, *words: str, desired: str = "") -> tuple[int, str]:
    """Run the check that a pod runs on itself; return its exit code and what it said."""
    module = ("python", "-m", "penguins.plumbing.admission", *words)
    options = ("--isolation", "chroot", "--env", f"DESIRED_STATE={desired}")
    command = [*builder.words, "run", *options, container, "--", *module]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    return done.returncode, done.stderr


def test_a_container_serves_the_model_that_is_wanted(builder: Builder, project: Path) -> None:
    """It admits its own model and no other, answers as in training, and writes nothing."""
    container, root = builder.mount(IMAGE)
    before = describe_files(root)
    digest = hashlib.sha256((project / MODEL).read_bytes()).hexdigest()
    assert admit(builder, container, "model", desired=f'sha256: "{digest}"') == (0, "")
    code, said = admit(builder, container, "model", desired=f'sha256: "{"0" * 64}"')
    assert code == 1
    assert "the model 000000000000 is wanted, and this image holds" in said
    port = find_free_port()
    serve = ("python", "-m", "penguins.serve", "--port", str(port))
    with run_image(builder, container, *serve) as process:
        wait_until_ready(process, port)
        address = f"http://127.0.0.1:{port}/v2/models/penguins"
        assert admit(builder, container, "golden", address) == (0, "")
    assert describe_files(root) == before


def wait_until_ready(process: subprocess.Popen[str], port: int) -> None:
    """Return when the server in the container is ready; fail with what it said when it ends."""
    while process.poll() is None:
        try:
            if fetch_answer(port, "/v2/models/penguins/ready")[0] == 200:
                return
        except OSError:
            time.sleep(0.2)
    assert process.stderr
    pytest.fail(process.stderr.read()[-4_000:])
