"""The plots that dvc.yaml declares, read at two revisions of a real repository."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Self

import pytest
from git_project import GitRepository

from mlgitops.comparison.charts.plots import draw_plots, parse_rows, read_plots
from mlgitops.comparison.sides import SideFiles
from mlgitops.dvc.reader import read_pipeline
from mlgitops.errors import MlgitopsError
from mlgitops.git.repository import Folder, Repository

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlgitops.model import Chart


@pytest.fixture
def project(tmp_path: Path) -> GitRepository:
    """Return an empty repository."""
    return GitRepository(tmp_path / "project")


class Sides:
    """Base (the first commit) and head (the work tree) of a repository."""

    def __init__(self, project: GitRepository) -> None:
        self.repository = Repository(project.root)
        folder = Folder(self.repository, self.repository.root)
        sha = self.repository.resolve("HEAD")
        self.base = SideFiles(name="base", sha=sha, folder=folder)
        self.head = SideFiles(name="head", sha=None, folder=folder)
        for side in (self.base, self.head):
            side.pipeline = read_pipeline(folder.list_files(side.sha), side.read)

    def draw(self, *drawn: str) -> tuple[Chart, ...]:
        """Draw all plots."""
        return draw_plots(self.base, self.head, drawn, {})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.repository.close()


def write_curve(project: GitRepository, path: str, losses: list[float]) -> None:
    """Write a learning curve as CSV."""
    rows = [f"{step},{loss},{loss / 2}" for step, loss in enumerate(losses)]
    project.put(path, "\n".join(["step,loss,val_loss", *rows]) + "\n")


DECLARATIONS = {
    "top": "plots:\n  - plots/loss.csv: {x: step, y: loss, title: Learning}\n",
    "top by name": "plots:\n  - learning: {x: step, y: {plots/loss.csv: loss}, title: Learning}\n",
    "x by file": (
        "plots:\n  - learning:\n      x: {plots/loss.csv: step}\n"
        "      y: {plots/loss.csv: [loss]}\n      title: Learning\n"
    ),
    "mapping": "plots:\n  plots/loss.csv: {x: step, y: loss, title: Learning}\n",
    "stage": (
        "stages:\n  train:\n    cmd: train\n    plots:\n"
        "      - plots/loss.csv: {x: step, y: loss, title: Learning, cache: false}\n"
    ),
}


@pytest.mark.parametrize("text", DECLARATIONS.values(), ids=DECLARATIONS)
def test_a_learning_curve_is_overlaid(project: GitRepository, text: str) -> None:
    """However dvc.yaml declares it, the line of base and of head are in one chart."""
    project.put("dvc.yaml", text)
    write_curve(project, "plots/loss.csv", [3.0, 2.0, 1.5])
    project.commit()
    write_curve(project, "plots/loss.csv", [3.0, 1.0, 0.5, 0.4])
    with Sides(project) as sides:
        (chart,) = sides.draw()
    assert (chart.title, chart.x_label, chart.y_label) == ("Learning", "step", "loss")
    base, head = chart.series
    assert (base.side, base.x, base.y) == ("base", (0, 1, 2), (3.0, 2.0, 1.5))
    assert (head.side, head.x, head.y) == ("head", (0, 1, 2, 3), (3.0, 1.0, 0.5, 0.4))


def test_each_y_is_a_chart_of_its_own(project: GitRepository) -> None:
    """Two columns are two charts: one pair of lines each."""
    project.put("dvc.yaml", "plots:\n  - plots/loss.csv: {x: step, y: [loss, val_loss]}\n")
    write_curve(project, "plots/loss.csv", [3.0, 2.0])
    project.commit()
    with Sides(project) as sides:
        charts = sides.draw()
    assert [chart.title for chart in charts] == ["plots/loss.csv: loss", "plots/loss.csv: val_loss"]


def test_without_columns_the_last_one_is_drawn_by_row(project: GitRepository) -> None:
    """DVC's defaults: y is the last column and x the number of the row."""
    project.put("dvc.yaml", "plots:\n  - plots/loss.csv\n")
    write_curve(project, "plots/loss.csv", [3.0, 2.0])
    project.commit()
    with Sides(project) as sides:
        (chart,) = sides.draw()
    assert (chart.x_label, chart.y_label, chart.series[0].y) == ("step", "val_loss", (1.5, 1.0))


def test_long_curves_keep_their_ends(project: GitRepository) -> None:
    """Of 5,000 steps at most 30 points are kept, the first and the last among them."""
    project.put("dvc.yaml", "plots:\n  - plots/loss.csv: {x: step, y: loss}\n")
    write_curve(project, "plots/loss.csv", [1 / (1 + step) for step in range(5_000)])
    project.commit()
    with Sides(project) as sides:
        (chart,) = sides.draw()
    for series in chart.series:
        assert len(series.x) == 30
        assert (series.x[0], series.x[-1]) == (0, 4_999)


def test_what_predictions_gave_is_not_drawn_twice(project: GitRepository) -> None:
    """A plot named like a chart from predictions is left to that chart, and room is kept."""
    names = ["roc", *[f"loss{at}" for at in range(9)]]
    project.put("dvc.yaml", "plots:\n" + "".join(f"  - plots/{name}.csv\n" for name in names))
    for name in names:
        write_curve(project, f"plots/{name}.csv", [3.0, 2.0])
    project.commit()
    with Sides(project) as sides:
        charts = sides.draw("roc", "calibration")
    assert [chart.name for chart in charts] == [f"plots/loss{at}.csv" for at in range(6)]


@pytest.mark.parametrize(
    "text",
    [
        "plots:\n  - plots/loss.csv: {template: scatter, x: step, y: loss}\n",
        "plots:\n  - plots/tree.png\n",
        "plots:\n  - ../outside.csv\n",
        "plots:\n  - /etc/hostname\n",
        "plots:\n  - ${where}/loss.csv\n",
        "plots:\n  - plots/nowhere.csv\n",
        "plots:\n  - plots/loss.csv: {x: nothing, y: loss}\n",
        "plots: nonsense\n",
        "plots: [1, null, [a]]\n",
        "stages: {train: {cmd: x, plots: {a: {b: c}}}}\n",
        "",
    ],
)
def test_what_is_no_line_is_left_out(project: GitRepository, text: str) -> None:
    """Other templates, images, paths that lead outside and missing columns give no chart."""
    project.put("dvc.yaml", text)
    project.put("plots/tree.png", b"\x89PNG")
    write_curve(project, "plots/loss.csv", [3.0, 2.0])
    project.commit()
    with Sides(project) as sides:
        assert sides.draw() == ()


def test_only_head_has_it(project: GitRepository) -> None:
    """A new plot is drawn with one line."""
    project.put("dvc.yaml", "stages: {}\n")
    project.commit()
    project.put("dvc.yaml", "plots:\n  - plots/loss.json: {x: step, y: loss}\n")
    project.put("plots/loss.json", json.dumps([{"step": 0, "loss": 2}, {"step": 1, "loss": 1}]))
    with Sides(project) as sides:
        assert [plot.path for plot in read_plots(sides.head)] == ["plots/loss.json"]
        (chart,) = sides.draw()
    assert [series.side for series in chart.series] == ["head"]


def test_plots_of_a_group_are_drawn(project: GitRepository) -> None:
    """Templates are filled in: a plot of each stage."""
    project.put(
        "dvc.yaml",
        "stages:\n  ev:\n    foreach: [a, b]\n    do:\n      wdir: plots\n      cmd: x\n"
        "      plots: [{'${item}.csv': {x: step, y: loss}}]\n",
    )
    for name in ("a", "b"):
        write_curve(project, f"plots/{name}.csv", [3.0, 2.0])
    project.commit()
    with Sides(project) as sides:
        assert [chart.name for chart in sides.draw()] == ["plots/a.csv", "plots/b.csv"]


def rows_of(text: str, path: str) -> Iterator[object]:
    """Yield the loss of each row that a file holds."""
    return (row["loss"] for row in parse_rows(text.encode(), path))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.csv", "step,loss\n0,2\n1,1\n"),
        ("a.tsv", "step\tloss\n0\t2\n1\t1\n"),
        ("a.json", '[{"step": 0, "loss": 2}, {"step": 1, "loss": 1}]'),
        ("a.json", '{"train": {"rows": [{"loss": 2}, {"loss": 1}]}}'),
        ("a.yaml", "rows:\n- loss: 2\n- loss: 1\n"),
    ],
)
def test_every_form_that_dvc_reads(path: str, text: str) -> None:
    """CSV, TSV, JSON and YAML, with the rows at the top or below it."""
    assert [float(str(loss)) for loss in rows_of(text, path)] == [2, 1]


@pytest.mark.parametrize(
    ("path", "data", "reason"),
    [
        ("a.json", b"[{]", "not JSON: "),
        ("a.json", b"[" * 100 + b"]" * 100, "nested over 32 levels deep"),
        ("a.csv", b"step,loss\n\xff\xfe", "not UTF-8 text"),
        ("a.csv", b"x" * (8 * 2**20 + 1), "more than the 8,388,608 we read"),
        ("a.csv", b'step,loss\n"' + b"y" * 200_000 + b'",1\n', "field larger than field limit"),
    ],
    ids=["broken", "deep", "not text", "large", "long cell"],
)
def test_a_bad_file_is_refused(path: str, data: bytes, reason: str) -> None:
    """What is malformed or over a limit is a message, not a traceback."""
    with pytest.raises(MlgitopsError, match=reason):
        parse_rows(data, path)


def test_numbers_that_are_not_finite_are_skipped(project: GitRepository) -> None:
    """A loss of NaN or infinity leaves its point out."""
    project.put("dvc.yaml", "plots:\n  - plots/loss.csv: {x: step, y: loss}\n")
    project.put("plots/loss.csv", "step,loss\n0,3\n1,nan\n2,inf\n3,1e308\n4,text\n5,\n6,2\n")
    project.commit()
    with Sides(project) as sides:
        (chart,) = sides.draw()
    assert chart.series[0].x == (0, 6)
