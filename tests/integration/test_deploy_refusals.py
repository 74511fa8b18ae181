"""What is not deployed: a file, a model, a port or a golden prediction that is not right."""

from __future__ import annotations

import http.client
import http.server
import os
from typing import TYPE_CHECKING

import pytest
from git_project import git
from integration.deploy_project import (
    edit,
    model_digest,
    predict,
    processes,
)
from integration.setup_project import quiet

from mlgitops.cli import run
from mlgitops.delivery import LocalTarget
from mlgitops.delivery.golden import find_difference, read_golden
from mlgitops.delivery.local.files import EnvironmentFiles
from mlgitops.errors import MlgitopsError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def project(deployable: Path) -> Path:
    """Return a project whose staging wants a free port."""
    return deployable


def test_taken_port_changes_nothing(
    project: Path, port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """A port that another program holds ends with 2, names the program, and starts nothing."""
    with http.server.HTTPServer(("127.0.0.1", port), http.server.BaseHTTPRequestHandler):
        assert run(["deploy", "staging", "--directory", str(project)]) == 2
    said = capsys.readouterr().err
    assert f"port {port} is taken by process {os.getpid()}" in said
    assert "--port" in said
    assert processes(project) == []


@pytest.mark.parametrize("value", ["0", "65536", "-1", "http", "1e3"])
def test_impossible_port_is_refused(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A port that cannot be is refused with the range."""
    with pytest.raises(SystemExit, match=r"^2$") as caught:
        run(["deploy", "staging", f"--port={value}"])
    assert caught.value.code == 2
    assert "give 1 to 65535" in capsys.readouterr().err


def test_wrong_digest_is_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """When the environment wants another digest than the commit holds, nothing is started."""
    edit(project, "deploy/staging/model.yaml", "sha256: null", f'sha256: "{"0" * 64}"')
    assert run(["deploy", "staging", "--directory", str(project)]) == 2
    assert "the model 000000000000 is wanted" in capsys.readouterr().err
    assert processes(project) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("replicas: 2", "`replicas: 2` cannot be done on a host"),
        ("resources: {cpu: 500m}", "`resources` cannot be done on a host"),
        ("replicas: 3\nresources: {memory: 1Gi}", "`replicas: 3` and `resources` cannot be done"),
    ],
)
def test_what_only_kubernetes_does_is_refused(
    project: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    """It would be taken and ignored; nothing is started."""
    edit(project, "deploy/staging/model.yaml", "sha256: null", f"sha256: null\n{text}")
    assert run(["deploy", "staging", "--directory", str(project)]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "remove it, or serve on a cluster: `target: kubernetes`" in said
    assert processes(project) == []


def test_one_server_may_be_written_down(project: Path, port: int) -> None:
    """It is what a host does."""
    edit(project, "deploy/staging/model.yaml", "sha256: null", "sha256: null\nreplicas: 1")
    LocalTarget(project, quiet()).deploy("staging")
    assert predict(port)


def test_model_that_is_not_what_the_commit_says_is_refused(project: Path) -> None:
    """A model.json that does not belong to the model of dvc.lock is found out by hashing."""
    edit(project, "model/model.json", model_digest(project), "1" * 64)
    with pytest.raises(MlgitopsError, match="the model's sha256 is"):
        LocalTarget(project, quiet()).deploy("staging")
    assert list(EnvironmentFiles(project, "staging").bundles.iterdir()) == []


def test_damaged_object_is_refused(project: Path) -> None:
    """Bytes that do not have the hash of the lock are never served."""
    for file in (project / ".dvc/cache/files").rglob("*"):
        if file.is_file():
            file.chmod(0o644)
            file.write_bytes(b'{"factor": 9}')
    with pytest.raises(MlgitopsError, match="the model's md5 is"):
        LocalTarget(project, quiet()).deploy("staging")
    assert processes(project) == []


def test_all_mistakes_of_the_file_are_named(project: Path) -> None:
    """Every mistake in model.yaml is reported in one go."""
    (project / "deploy/staging/model.yaml").write_text(
        "model: No Name\nrevision: 12\nsha256: abc\nport: 0\nimage: x\n"
    )
    git(project, "commit", "--quiet", "--all", "-m", "Break")
    with pytest.raises(MlgitopsError, match="the desired state cannot be read:") as caught:
        LocalTarget(project, quiet()).deploy("staging")
    for key in ("model", "revision", "sha256", "port", "image"):
        assert f"`{key}`" in str(caught.value)


def test_unknown_environment_is_refused(project: Path) -> None:
    """A name that is no environment is refused, with those that exist where it could be one."""
    for name in ("nowhere", "../../etc", "", "-x", "a/b"):
        with pytest.raises(MlgitopsError, match="staging"):
            LocalTarget(project, quiet()).deploy(name)
    assert not LocalTarget(project, quiet()).stop("nowhere")
    assert not (project / ".mlgitops/deploy").exists()


@pytest.mark.parametrize(
    ("found", "difference"),
    [
        ({"y": [1.0, 2.0]}, None),
        ({"y": [1.0, 2.0 + 1e-9], "z": [0]}, None),
        ({"y": [1, 2]}, None),
        ({"y": [1.0, 2.1]}, "y[1] is 2.1, not 2.0"),
        ({"y": [1.0, None]}, "y[1] is None, not 2.0"),
        ({"y": [1.0, float("nan")]}, "y[1] is nan, not 2.0"),
        ({"y": [1.0]}, "y: 1 values, not 2"),
        ({"x": [1.0, 2.0]}, "y: missing"),
    ],
)
def test_golden_difference(found: dict[str, list[float]], difference: str | None) -> None:
    """An answer is the same only when each value is there and within the tolerance."""
    assert find_difference({"y": [1.0, 2.0]}, found, 1e-6) == difference


MALFORMED = "`request` and a list `outputs` were expected"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[]", MALFORMED),
        ("{}", MALFORMED),
        ('{"request": {}, "outputs": []}', "nothing would be checked"),
        ('{"request": {}, "outputs": 3}', MALFORMED),
        ('{"request": {}, "outputs": [{"name": "y", "data": []}]}', "nothing would be checked"),
        (
            '{"request": {}, "outputs": [{"name": "y", "data": [1]}], "tolerance": 1}',
            "`tolerance` must be from 0 to ",
        ),
    ],
)
def test_golden_file_that_checks_nothing_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    """A golden file that is malformed, empty, or so tolerant that it says nothing is refused."""
    (tmp_path / "golden.json").write_text(text)
    with pytest.raises(MlgitopsError, match=reason):
        read_golden(tmp_path / "golden.json")
