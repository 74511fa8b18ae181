"""The generated project's rules and dashboard, held by a real Prometheus beside a real server.

`make test-prometheus` runs them: Prometheus comes from the distribution, not from a wheel.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import subprocess
import time
import urllib.parse
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import yaml
from cookiecutter.main import cookiecutter
from mini_project import shared_store

from mlgitops.console import Console
from mlgitops.delivery.processes import find_free_port
from mlgitops.environments import clean_environment, make_environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parents[2]
STAGES = ("ingest", "validate", "split", "train", "evaluate")
_SECONDS = 300.0
#: What Prometheus itself adds to a target, and the server's client library.
OTHERS = {"up", "process_resident_memory_bytes"}


class Grid(msgspec.Struct, forbid_unknown_fields=True):
    """Where a panel stands, of 24 columns."""

    x: int
    y: int
    w: int
    h: int


class Source(msgspec.Struct, forbid_unknown_fields=True):
    """Which Prometheus is asked: the one that is chosen on the page."""

    type: str
    uid: str


class Target(msgspec.Struct, forbid_unknown_fields=True):
    """One expression of a panel."""

    refId: str  # noqa: N815 - Grafana's name
    expr: str
    legendFormat: str  # noqa: N815 - the same
    format: str = "time_series"


class Panel(msgspec.Struct, forbid_unknown_fields=True):
    """One chart."""

    id: int
    type: str
    title: str
    gridPos: Grid  # noqa: N815 - Grafana's name
    datasource: Source
    fieldConfig: dict[str, Any]  # noqa: N815 - the same
    options: dict[str, Any]
    targets: list[Target]
    description: str = ""


class Dashboard(msgspec.Struct, forbid_unknown_fields=True):
    """The members of Grafana's dashboard, schema 39, that ours has."""

    uid: str
    title: str
    tags: list[str]
    timezone: str
    schemaVersion: int  # noqa: N815 - Grafana's name
    version: int
    editable: bool
    refresh: str
    time: dict[str, str]
    templating: dict[str, list[dict[str, Any]]]
    panels: list[Panel]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a generated project."""
    folder = tmp_path_factory.mktemp("generated")
    answers = {"task": "multiclass"}
    return Path(
        cookiecutter(str(ROOT), no_input=True, extra_context=answers, output_dir=str(folder))
    )


@pytest.fixture(scope="module")
def dashboard(project: Path) -> Dashboard:
    """Return the project's dashboard, which has no member that we do not know."""
    data = (project / "deploy/monitoring/dashboard.json").read_bytes()
    return msgspec.json.decode(data, type=Dashboard)


def run_promtool(folder: Path, *words: str) -> str:
    """Run promtool, which must be content; return what it printed."""
    command = [shutil.which("promtool") or "promtool", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def list_expressions(dashboard: Dashboard) -> list[str]:
    """Return every expression of the dashboard, for one environment."""
    expressions = [target.expr for panel in dashboard.panels for target in panel.targets]
    return [expression.replace("$environment", "production") for expression in expressions]


def test_rules_and_settings_are_valid(project: Path) -> None:
    """Promtool accepts the rules and the configuration, and plays every alert."""
    folder = project / "deploy/monitoring"
    assert "12 rules found" in run_promtool(folder, "check", "rules", "rules.yaml")
    assert "SUCCESS" in run_promtool(folder, "test", "rules", "rules.test.yaml")
    run_promtool(folder, "check", "config", "prometheus.yaml")
    rules = yaml.safe_load((folder / "rules.yaml").read_text("utf-8"))
    played = (folder / "rules.test.yaml").read_text("utf-8")
    alerts = [
        rule["alert"] for group in rules["groups"] for rule in group["rules"] if "alert" in rule
    ]
    assert len(alerts) == 7
    for alert in alerts:  # each is seen to fire, and to be silent
        assert len(re.findall(rf"alertname: {alert}\b", played)) >= 2, alert


def test_a_rule_that_is_weakened_is_noticed(project: Path, tmp_path: Path) -> None:
    """What promtool plays can fail: with other limits it does."""
    shutil.copytree(project / "deploy/monitoring", tmp_path / "rules")
    path = tmp_path / "rules/rules.yaml"
    text = path.read_text("utf-8")
    scenes = path.with_name("rules.test.yaml")
    every = scenes.read_text("utf-8")
    short, week, _ = every.partition("  - name: silence for days")  # most of the time is that one's
    assert week
    for limit, other in (
        ("share5m > 0.01", "share5m > 0.9"),
        ("[1h])) > 3", "[1h])) > 30"),
        ("[1h])) > 50", "[1h])) > 5"),
        ("[1d])) > 50", "[1d])) > 5000"),
        ('{route!="other"}', ""),
        ("[30m]) < 0.8", "[30m]) < 0"),
        ("offset 1d", "offset 2d"),
        ("offset 1w", "offset 1d"),
    ):
        assert limit in text
        path.write_text(text.replace(limit, other), "utf-8")
        scenes.write_text(every if "1w" in limit else short, "utf-8")
        words = [shutil.which("promtool") or "promtool", "test", "rules", "rules.test.yaml"]
        done = subprocess.run(words, cwd=path.parent, capture_output=True, check=False)
        assert done.returncode != 0, limit


def test_the_dashboard_is_one_of_grafana(dashboard: Dashboard, tmp_path: Path) -> None:
    """Panels have ids of their own, do not overlap, and ask what promtool accepts."""
    panels = dashboard.panels
    assert len({panel.id for panel in panels}) == len(panels) > 8
    assert {panel.type for panel in panels} <= {"timeseries", "heatmap", "stat"}
    assert {panel.datasource.uid for panel in panels} == {"${datasource}"}
    cells = [
        (x, y)
        for grid in (panel.gridPos for panel in panels)
        for x in range(grid.x, grid.x + grid.w)
        for y in range(grid.y, grid.y + grid.h)
    ]
    assert len({*cells}) == len(cells)
    assert max(x for x, _ in cells) == 23
    rules = [
        {"record": f"panel:{number}", "expr": expression}
        for number, expression in enumerate(list_expressions(dashboard))
    ]
    (tmp_path / "panels.yaml").write_text(
        yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}), "utf-8"
    )
    assert f"{len(rules)} rules found" in run_promtool(tmp_path, "check", "rules", "panels.yaml")


@contextmanager
def run_program(words: Sequence[str | Path], folder: Path, port: int, path: str) -> Iterator[None]:
    """Run a program until the block ends; it must answer at ``path`` first."""
    env = {**clean_environment(os.environ), "PYTHONPATH": "src"}
    log = folder / f"{port}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(words, cwd=folder, env=env, stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + _SECONDS
        while not is_ready(port, path):
            assert process.poll() is None, log.read_text("utf-8")
            assert time.monotonic() < deadline
            time.sleep(0.2)
        yield
    finally:
        process.terminate()
        process.wait()


def is_ready(port: int, path: str) -> bool:
    """Tell whether a program answers."""
    try:
        return fetch(port, path)[0] == http.client.OK
    except OSError:
        return False


def fetch(port: int, path: str, body: bytes | None = None) -> tuple[int, str]:
    """Return status and text of an answer."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=_SECONDS)) as connection:
        connection.request("POST" if body else "GET", path, body)
        response = connection.getresponse()
        return response.status, response.read().decode()


def train(project: Path) -> Path:
    """Train the project, and return the Python that serves it."""
    pythons = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLGITOPS_ENVIRONMENTS", str(shared_store()))
        for name in ("pipeline", "serving"):
            lock = project / "requirements" / f"{name}.txt"
            made = make_environment(project, name, lock, Console(quiet=True))
            pythons[name] = made / "bin/python"
    env = {**clean_environment(os.environ), "PYTHONPATH": "src"}
    for stage in STAGES:
        words = [str(pythons["pipeline"]), "-m", f"penguins.{stage}"]
        subprocess.run(words, cwd=project, env=env, check=True, capture_output=True)
    return pythons["serving"]


def ask_prometheus(port: int, expression: str) -> list[Any]:
    """Return the series that an expression has now."""
    status, text = fetch(port, f"/api/v1/query?{urllib.parse.urlencode({'query': expression})}")
    assert status == http.client.OK, text
    series: list[Any] = json.loads(text)["data"]["result"]
    return series


def write_settings(project: Path, port: int, folder: Path) -> Path:
    """Write the project's own settings, for a server at a port and in fast motion."""
    settings = yaml.safe_load((project / "deploy/monitoring/prometheus.yaml").read_text("utf-8"))
    settings["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    settings["rule_files"] = [str(project / "deploy/monitoring/rules.yaml")]
    (job,) = settings["scrape_configs"]
    (production,) = [
        target
        for target in job["static_configs"]
        if target["labels"] == {"environment": "production"}
    ]
    job["static_configs"] = [{**production, "targets": [f"127.0.0.1:{port}"]}]
    path = folder / "prometheus.yaml"
    path.write_text(yaml.safe_dump(settings), "utf-8")
    return path


def test_a_real_prometheus_reads_the_real_server(
    project: Path, dashboard: Dashboard, tmp_path: Path
) -> None:
    """It scrapes, loads every rule, and each metric that rules and panels name is there."""
    python = train(project)
    golden = json.loads((project / "reports/golden.json").read_text("utf-8"))["request"]
    for tensor in golden["inputs"]:
        tensor.update(shape=[2], data=tensor["data"][:2])
    body = json.dumps(golden).encode()
    port, own = find_free_port(), find_free_port()
    serve: list[str | Path] = [
        python,
        "-m",
        "penguins.serve",
        "--port",
        str(port),
        "--name",
        "birds",
    ]
    serve += ["--requests", str(tmp_path / "requests")]
    settings = write_settings(project, port, tmp_path)
    words: list[str | Path] = [
        "prometheus",
        f"--config.file={settings}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
    ]
    words += [f"--web.listen-address=127.0.0.1:{own}"]
    with ExitStack() as stack:
        stack.enter_context(run_program(serve, project, port, "/v2/health/ready"))
        stack.enter_context(run_program(words, tmp_path, own, "/-/ready"))
        deadline = time.monotonic() + _SECONDS
        while not any(
            float(series["value"][1]) > 0
            for series in ask_prometheus(own, "mlgitops:requests:rate5m")
        ):
            assert fetch(port, "/v2/models/birds/infer", body)[0] == http.client.OK
            assert fetch(port, "/v2/models/birds/infer", b"{")[0] == http.client.BAD_REQUEST
            assert time.monotonic() < deadline
            time.sleep(0.5)
        (rows,) = ask_prometheus(own, "mlgitops_rows_total")
        assert rows["metric"]["environment"] == "production"
        assert rows["metric"]["model_sha256"]
        assert int(rows["value"][1]) % 2 == 0
        groups = json.loads(fetch(own, "/api/v1/rules")[1])["data"]["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        assert [rule["health"] for rule in rules] == 12 * ["ok"]
        expressions = [*(rule["query"] for rule in rules), *list_expressions(dashboard)]
        for expression in expressions:
            ask_prometheus(own, expression)
        served = set(re.findall(r"^(\w+)[{ ]", fetch(port, "/metrics")[1], re.MULTILINE))
        named = {
            name
            for expression in expressions
            for name in re.findall(r"\b(?:mlgitops_|process_)\w+", expression)
        }
        assert named <= served | OTHERS
        assert len(named) > 8
