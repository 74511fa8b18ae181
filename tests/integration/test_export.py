"""`mlgitops export mlflow`: releases on a real MLflow server, again and again, once each."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from kept_environments import make_locked
from mlflow_server import serve_mlflow
from msgspec.structs import replace
from released_project import MergedProject, make_lineage, tag_release

from mlgitops.model.facts import Interval
from mlgitops.model.lineage import ReleasedMetric

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
METRICS = (
    ReleasedMetric(
        name="test.roc_auc",
        value=0.75,
        delta=0.02,
        interval=Interval(low=0.01, high=0.03, confidence=0.95, method="paired DeLong"),
    ),
    ReleasedMetric(name="test.log_loss@all", value=0.5),
)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python that has MLflow and the core of the helper."""
    lock = ROOT / "requirements" / "mlflow.txt"
    return make_locked("mlflow", lock, tmp_path_factory) / "bin" / "python"


@pytest.fixture(scope="module")
def server(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run an MLflow server and return its address."""
    with serve_mlflow(python, tmp_path_factory.mktemp("server")) as address:
        yield address


@pytest.fixture
def project(tmp_path: Path) -> MergedProject:
    """Make a project with two releases, of which production wants the first."""
    project = MergedProject(tmp_path)
    first = project.repository.git("rev-parse", "HEAD")
    second = project.train("second")
    for revision, content, version in ((first, b"first", "v1.0.0"), (second, b"second", "v1.1.0")):
        lineage = make_lineage(revision, content, version=version)
        absent = {name: why for name, why in lineage.absent.items() if name != "metrics"}
        tag_release(project.repository, replace(lineage, metrics=METRICS, absent=absent))
    want(project, "production", first, "v1.0.0")
    return project


def want(project: MergedProject, environment: str, revision: str, version: str) -> None:
    """Merge what an environment wants."""
    text = f"model: flights\nversion: {version}\nrevision: '{revision}'\nport: 8080\n"
    project.edit(f"deploy/{environment}/model.yaml", text)


def export(python: Path, project: MergedProject, server: str, *words: str) -> Any:  # noqa: ANN401
    """Run the command; return its JSON, or what it said when it refused."""
    command = [python, "-m", "mlgitops", "export", "mlflow", "--to", server, "--json", *words]
    done = subprocess.run(
        [str(word) for word in command],
        cwd=project.root,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode in (0, 2), done.stderr
    return json.loads(done.stdout) if done.returncode == 0 else done.stderr


def ask(server: str, path: str, **body: object) -> Any:  # noqa: ANN401 - JSON
    """Ask the server by its own protocol, without its library."""
    answer = requests.post(f"{server}/api/2.0/mlflow/{path}", json=body, timeout=60)
    assert answer.ok, answer.text
    return answer.json()


def list_runs(server: str, experiment: str) -> list[Any]:
    """List the runs of an experiment, oldest release first."""
    address = f"{server}/api/2.0/mlflow/experiments/get-by-name"
    named = requests.get(address, {"experiment_name": experiment}, timeout=60).json()
    runs = ask(server, "runs/search", experiment_ids=[named["experiment"]["experiment_id"]])
    return sorted(runs.get("runs", []), key=lambda run: str(run["info"]["run_name"]))


def list_tags(run: Any) -> dict[str, str]:  # noqa: ANN401 - JSON
    """Return the tags of a run."""
    return {tag["key"]: tag["value"] for tag in run["data"]["tags"]}


@pytest.mark.slow
def test_releases_are_on_the_server_once(python: Path, server: str, project: MergedProject) -> None:
    """With metrics and intervals, the model's bytes, and an alias that follows git."""
    sent = export(python, project, server)
    assert sent["versions"] == {"flights@v1.0.0": "1", "flights@v1.1.0": "2"}
    assert sent["sent"] == ["flights@v1.0.0", "flights@v1.1.0"]
    assert sent["aliases"] == {"production": "v1.0.0"}
    first, second = runs = list_runs(server, "flights")
    assert {metric["key"]: metric["value"] for metric in first["data"]["metrics"]} == {
        "test.roc_auc": 0.75,
        "test.roc_auc.delta": 0.02,
        "test.roc_auc.delta.low": 0.01,
        "test.roc_auc.delta.high": 0.03,
        "test.log_loss_all": 0.5,
    }
    assert {param["key"]: param["value"] for param in first["data"]["params"]}["task"] == (
        "regression"
    )
    run_id = second["info"]["run_id"]
    stored = requests.get(
        f"{server}/get-artifact",
        {"path": "model/model.skops", "run_uuid": run_id},
        timeout=60,
    )
    assert stored.content == b"second"
    want(project, "production", second_revision(project), "v1.1.0")
    again = export(python, project, server)
    assert (again["sent"], again["versions"]) == ([], sent["versions"])
    assert again["aliases"] == {"production": "v1.1.0"}
    assert list_runs(server, "flights") == runs
    assert read_aliases(server) == {"production": "2"}
    cut_off(server, run_id)
    completed = export(python, project, server)
    assert completed["sent"] == ["flights@v1.1.0"]
    assert [list_tags(run) for run in list_runs(server, "flights")] == [
        list_tags(run) for run in runs
    ]
    ask(server, "runs/set-tag", run_id=run_id, key="mlgitops.sha256", value="0" * 64)
    assert "a run says that it is flights@v1.1.0, and is of another model" in export(
        python, project, server
    )


def second_revision(project: MergedProject) -> str:
    """Return the commit of the second release."""
    return project.repository.git("rev-parse", "flights@v1.1.0^{commit}")


def read_aliases(server: str) -> dict[str, str]:
    """Return alias → version of the registered model."""
    address = f"{server}/api/2.0/mlflow/registered-models/get"
    answer = requests.get(address, {"name": "flights"}, timeout=60).json()
    aliases = answer["registered_model"]["aliases"]
    return {alias["alias"]: alias["version"] for alias in aliases}


def cut_off(server: str, run_id: str) -> None:
    """Leave a run as a killed export leaves it: begun, and not said to be whole."""
    ask(server, "runs/update", run_id=run_id, status="RUNNING")
    ask(server, "runs/delete-tag", run_id=run_id, key="mlgitops.lineage")


@pytest.mark.slow
def test_a_server_that_does_not_answer_is_said(python: Path, project: MergedProject) -> None:
    """The address and what to do; no lines of code."""
    said = export(python, project, "http://127.0.0.1:9")
    assert "MLflow answered: API request to" in said
    assert "see whether the server is up" in said
    assert "Traceback" not in said
