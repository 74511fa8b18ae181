"""`mlgitops compare` draws: predictions and plots of two revisions, as Mermaid and as a page."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from dvc_project import DVC_YAML, DvcProject, make_predictions

from mlgitops.cli import run
from mlgitops.commands.compare import find_links
from mlgitops.model import Links
from mlgitops.model.wire import parse_report

if TYPE_CHECKING:
    from pathlib import Path

PLOTS = "plots:\n  - plots/loss.csv: {x: step, y: loss}\n  - plots/roc.csv: {x: step, y: loss}\n"
CHARTS = ["roc", "precision_recall", "calibration", "scores", "confusion", "plots/loss.csv"]


def write_curve(project: DvcProject, start: float) -> None:
    """Write a learning curve of 100 steps, once more under the name of a chart of ours."""
    rows = [f"{step},{start * 0.9**step:.5f}" for step in range(100)]
    for name in ("loss", "roc"):
        project.put(f"plots/{name}.csv", "\n".join(["step,loss", *rows]) + "\n")


@pytest.fixture
def project(project: DvcProject) -> DvcProject:
    """Let head predict otherwise than base, and learn faster."""
    project.put("dvc.yaml", DVC_YAML + PLOTS)
    write_curve(project, 2.0)
    project.train(accuracy=0.8, predictions=make_predictions(rows=1_000, errors=200))
    project.fill(project.root / ".dvc" / "cache")
    project.commit("draw")
    project.train(accuracy=0.85, predictions=make_predictions(rows=1_000, errors=150))
    write_curve(project, 1.5)
    return project


def test_the_report_holds_the_charts(project: DvcProject, tmp_path: Path) -> None:
    """Charts from predictions come first; a plot of the same name is not repeated."""
    place = tmp_path / "report.json"
    assert run(["compare", "--directory", str(project.root), "--output", str(place)]) == 0
    report = parse_report(place.read_bytes())
    assert [chart.name for chart in report.charts] == CHARTS
    for chart in report.charts:
        assert [series.side for series in chart.series] == ["base", "head"]
        if chart.name != "scores":  # both say 0.1 or 0.9 to half of the rows
            assert chart.series[0].y != chart.series[1].y


def test_the_comment_folds_the_charts(
    project: DvcProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """The comment names them in a title, draws five with Mermaid, and tables the confusion."""
    run(["compare", "--directory", str(project.root), "--format", "markdown"])
    text = capsys.readouterr().out
    title = "6 charts: ROC, precision and recall, calibration, scores, confusion, a plot of the"
    assert f"<details><summary>{title} project</summary>" in text
    assert text.count("```mermaid\n") == 5
    assert "| Actual ↓ Predicted → | `0` | `1` |" in text


def test_the_page_is_written_whole(project: DvcProject, tmp_path: Path) -> None:
    """--html writes one page with all charts, and leaves nothing half-written beside it."""
    folder = tmp_path / "out"
    folder.mkdir()
    assert run(["compare", "--directory", str(project.root), "--html", f"{folder}/a.html"]) == 0
    assert [path.name for path in folder.iterdir()] == ["a.html"]
    html = (folder / "a.html").read_text(encoding="utf-8")
    assert html.startswith("<!doctype html>")
    assert html.count('<svg class="chart"') == 5
    assert "improved" in html


def test_a_page_that_cannot_be_written_is_said(
    project: DvcProject, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder that cannot be made is a message and exit code 2."""
    (tmp_path / "nowhere").write_text("a file stands here\n")
    place = tmp_path / "nowhere" / "a.html"
    assert run(["compare", "--directory", str(project.root), "--html", str(place)]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_without_jinja_the_page_says_what_to_install(project: DvcProject, tmp_path: Path) -> None:
    """The core works without Jinja2; --html names the extra that brings it."""
    code = (
        "import sys; sys.modules['jinja2'] = None\n"
        "from mlgitops.cli import run; sys.exit(run(sys.argv[1:]))"
    )
    words = ["compare", "--directory", str(project.root)]
    command = [sys.executable, "-c", code, *words]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    done = subprocess.run(
        [*command, "--html", str(tmp_path / "a.html")],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "mlgitops[html]" in done.stderr


ON_GITHUB = {
    "GITHUB_REPOSITORY": "octo-org/flights",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_API_URL": "https://api.github.com",
    "GITHUB_RUN_ID": "42",
    "GITHUB_RUN_NUMBER": "7",
    "GITHUB_RUN_ATTEMPT": "1",
}
PAGE = "https://github.com/octo-org/flights"


@pytest.mark.parametrize(
    ("environ", "links"),
    [
        ({}, Links()),
        (ON_GITHUB, Links(run_url=f"{PAGE}/actions/runs/42/attempts/1", repository_url=PAGE)),
        (ON_GITHUB | {"GITHUB_REPOSITORY": "nonsense"}, Links()),
    ],
    ids=["on a laptop", "on GitHub", "odd"],
)
def test_the_page_links_to_where_it_was_made(environ: dict[str, str], links: Links) -> None:
    """In a workflow the page names the run; elsewhere it links to nothing."""
    assert find_links(environ) == links
