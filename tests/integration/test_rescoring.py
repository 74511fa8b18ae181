"""Base's model on head's test data: real repositories, real commands, real measures."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from git_project import GitRepository, write_files
from threshold_project import DVC_YAML, EVALUATE, ThresholdProject, make_table

from mlgitops.cli import run
from mlgitops.comparison.measuring.plan import plan_measuring
from mlgitops.comparison.measuring.run import measure_model
from mlgitops.comparison.sides import SideFiles, read_sides
from mlgitops.console import Console
from mlgitops.errors import MlgitopsError
from mlgitops.git.repository import Folder, Repository
from mlgitops.model import Files
from mlgitops.model.wire import parse_report

if TYPE_CHECKING:
    from collections.abc import Callable

    Spoil = Callable[["ThresholdProject"], None]


@pytest.fixture
def project(tmp_path: Path) -> ThresholdProject:
    """Make a project with one commit on main."""
    made = ThresholdProject(tmp_path / "project")
    made.commit("start")
    return made


def compare(project: GitRepository, capsys: pytest.CaptureFixture[str]) -> tuple[int, Any]:
    """Run the command on the work tree; its exit code, and the report as the posting job reads."""
    code = run(["compare", "--directory", str(project.root), "--json"])
    out = capsys.readouterr().out
    return code, parse_report(out.encode())


def test_base_is_measured_on_the_rows_of_head(
    project: ThresholdProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """The delta is between models on the same rows; what base had stored is kept beside it."""
    project.measure(threshold=60, test=make_table(0, 440))
    code, report = compare(project, capsys)
    (change,) = report.metrics
    # Base is right everywhere; head errs where x is 50 to 59: 40 of 440 rows.
    assert (change.base, change.base_stored, change.head) == (1.0, 1.0, 400 / 440)
    assert change.evidence.rows == 440
    assert change.evidence.interval.low <= change.delta <= change.evidence.interval.high
    assert report.rescoring.paths == ("reports/metrics.json",)
    assert (report.rescoring.rows, report.rescoring.seen) == (440, 0)
    assert report.judgement.metrics[0].kind == "worsened"
    assert code == 1


def test_a_better_model_on_new_rows_may_merge(
    project: ThresholdProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """A change of data is no reason to fail; the stored value alone would mislead here."""
    project.measure(threshold=70, test=make_table(0, 400))
    project.commit("a poor model")
    # On rows below 60 alone the poor model errs more often than on its own: 10 of 60.
    rows = make_table(0, 60) + "".join(make_table(at, at + 60)[12:] for at in range(100, 900, 100))
    project.measure(threshold=52, test=rows)
    code, report = compare(project, capsys)
    (change,) = report.metrics
    assert change.base_stored == 0.8
    assert change.base == pytest.approx(50 / 60)
    assert change.head == pytest.approx(58 / 60)
    assert report.judgement.metrics[0].kind == "improved"
    assert code == 0


def test_the_code_that_measures_base_is_that_of_base(
    project: ThresholdProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """Head's evaluation may fit head's models only; it has no part in base's value."""
    project.measure(threshold=50, test=make_table(0, 440))
    project.put("evaluate.py", "raise SystemExit('this is head')\n")
    project.lock()
    code, report = compare(project, capsys)
    assert report.rescoring.reason is None
    assert report.metrics[0].base == 1.0
    assert "evaluate.py" in report.protected
    assert code == 0


def read_charts(report: Any) -> dict[str, dict[str, list[float]]]:  # noqa: ANN401 - a Report
    """Return what is drawn: chart → side → y."""
    return {
        chart.name: {series.side: list(series.y) for series in chart.series}
        for chart in report.charts
    }


def test_both_curves_of_a_plot_are_on_the_same_rows(
    project: ThresholdProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """A plot of the measuring stage shows base's model on head's rows, not on its own."""
    project.measure(threshold=60, test=make_table(0, 440))
    _, report = compare(project, capsys)
    found = read_charts(report)["reports/right.csv"]
    assert (found["base"][-1], found["head"][-1]) == (440, 400)


def test_a_curve_on_other_rows_is_not_drawn_over_head_s(
    project: ThresholdProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where base cannot be measured anew, head stands alone; other plots keep both sides."""
    path = "reports/loss.csv"
    project.put("dvc.yaml", DVC_YAML + f"plots: [{path}: {{x: step, y: loss}}]\n")
    project.put(path, "step,loss\n1,0.5\n2,0.4\n")
    project.commit("log the loss")
    project.put(path, "step,loss\n1,0.5\n2,0.3\n")
    project.cached("model/model.json").unlink()
    project.measure(threshold=60, test=make_table(0, 440))
    _, report = compare(project, capsys)
    assert report.rescoring.reason is not None
    found = read_charts(report)
    assert set(found["reports/right.csv"]) == {"head"}
    assert set(found[path]) == {"base", "head"}


def test_rows_that_base_was_trained_on_are_counted(
    project: ThresholdProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """A test row of head that was a training row of base is said, with its share."""
    project.measure(threshold=50, test=make_table(900, 1100))
    _, report = compare(project, capsys)
    assert (report.rescoring.rows, report.rescoring.seen) == (200, 100)
    run(["compare", "--directory", str(project.root), "--format", "markdown"])
    assert "It was trained on 100 of these rows (50%)" in capsys.readouterr().out


def drop_the_column(project: ThresholdProject) -> None:
    """Let head's test data lack what base's model needs."""
    project.put("evaluate.py", EVALUATE.replace('row["x"]', 'row["y"]'))
    project.measure(threshold=50, test=make_table(0, 440).replace("id,x,", "id,y,"))


def lose_the_model(project: ThresholdProject) -> None:
    """Let base's model be in no cache and no storage."""
    place = project.cached("model/model.json")
    project.measure(threshold=55, test=make_table(0, 440))
    place.unlink()


def damage_the_model(project: ThresholdProject) -> None:
    """Let base's model hold other bytes than dvc.lock says."""
    place = project.cached("model/model.json")
    project.measure(threshold=55, test=make_table(0, 440))
    place.write_text('{"threshold": 0}', encoding="utf-8")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (drop_the_column, "stage `evaluate` failed: KeyError: 'x'"),
        (lose_the_model, "`model/model.json` of base is not here"),
        (damage_the_model, "the stored file is damaged"),
    ],
)
def test_where_base_cannot_be_measured_it_says_why_and_fails(
    project: ThresholdProject, capsys: pytest.CaptureFixture[str], spoil: Spoil, reason: str
) -> None:
    """Incomparable with the precise reason, never a pass; what was stored stays shown."""
    spoil(project)
    code, report = compare(project, capsys)
    assert reason in report.rescoring.reason
    assert report.rescoring.paths == ()
    assert report.judgement.metrics[0].kind == "incomparable"
    assert report.metrics[0].evidence is None
    assert code == 1
    run(["compare", "--directory", str(project.root), "--format", "markdown"])
    assert "Base's model could not be measured on head's test data" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("evaluate", "reason"),
    [
        ("print('done')\n", "did not write `reports/metrics.json`"),
        (EVALUATE.replace('"accuracy": right / len(rows)', '"other": 1.0'), "has no value for it"),
        (EVALUATE + "open('reports/metrics.json', 'w').write('[[')\n", "reports/metrics.json"),
        (EVALUATE + "open('reports/predictions.csv', 'w').write('id\\n')\n", "predictions.csv"),
        (EVALUATE.replace("right / len(rows)", "float('nan')"), "NaN"),
        (
            EVALUATE + "import os; os.remove('reports/metrics.json')\n"
            "os.symlink('/etc/hostname', 'reports/metrics.json')\n",
            "did not write `reports/metrics.json`",
        ),
    ],
)
def test_odd_results_of_base_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], evaluate: str, reason: str
) -> None:
    """What base's stages leave is read strictly: nothing missing, linked or malformed passes."""
    project = ThresholdProject(tmp_path / "project")
    project.put("evaluate.py", evaluate)
    project.commit("base, whose evaluation is odd when it runs again")
    project.put("evaluate.py", EVALUATE)
    project.measure(threshold=50, test=make_table(0, 440))
    code, report = compare(project, capsys)
    said = [report.rescoring.reason or "", report.metrics[0].reason or ""]
    assert reason in " ".join(said)
    assert code == 1


def test_a_stage_that_takes_too_long_is_ended_with_all_that_it_started(
    tmp_path: Path,
) -> None:
    """The time limit holds for children too, and for those that keep the output open."""
    project = ThresholdProject(tmp_path / "project")
    seconds = f"600.{os.getpid()}"  # far longer than any machine needs, and nobody else's
    slow = f"sleep {seconds} & sleep {seconds}"
    project.put("dvc.yaml", DVC_YAML.replace(f"'{sys.executable} evaluate.py'", f"'{slow}'"))
    project.commit("slow")
    with Repository(project.root) as repository:
        folder = Folder(repository, project.root.resolve())
        base = SideFiles(name="base", sha=repository.resolve("HEAD"), folder=folder)
        read_sides(base, SideFiles(name="head", sha=None, folder=folder), Console(quiet=True))
        files = Files(test_data="data/test.csv", model="model/model.json")
        plan = plan_measuring(base.pipeline, files, folder.list_files(base.sha))
        with pytest.raises(MlgitopsError, match=r"took over 0\.5 s"):
            measure_model(plan, base, {plan.test_data: b"id,x,target\n"}, None, timeout=0.5)
    for _ in range(600):
        if not find_processes(seconds):
            return
        time.sleep(0.1)
    pytest.fail(f"still running: {find_processes(seconds)}")


def find_processes(word: str) -> list[str]:
    """Return the ids of the processes that were given ``word``."""
    ids = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            if word.encode() in file.read_bytes().split(b"\0"):
                ids.append(file.parent.name)
    return ids


def test_the_project_in_a_folder_of_its_repository(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Base is laid out whole, so a project below the root is measured as well."""
    project = ThresholdProject(tmp_path / "repository" / "models" / "one")
    shutil.rmtree(project.root / ".git")
    outer = GitRepository(tmp_path / "repository")
    outer.commit("start")
    project.measure(threshold=50, test=make_table(0, 440))
    code, report = compare(project, capsys)
    assert report.rescoring.reason is None
    assert code == 0


def test_metrics_that_all_move_are_measured_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No file has a metric on both sides, and base is measured on head's test data all the same."""
    repository = GitRepository(tmp_path / "repository")
    stage = "stages: {ev: {cmd: sh ev.sh, deps: [model, test.csv], metrics: [%s]}}\n"
    policy = "metrics: {acc: {greater_is_better: true, max_worsening: 0.05}}\n"
    files = "files: {test_data: test.csv, model: model}\n"
    write_files(
        repository.root,
        {
            "policy.yaml": f"version: 1\n{policy}{files}",
            "dvc.yaml": stage % "old.json",
            "ev.sh": "cp test.csv old.json\n",
            "model": "a model",
            "test.csv": '{"acc": 0.95}',
            "old.json": '{"acc": 0.95}',
        },
    )
    repository.commit("base")
    (repository.root / "old.json").unlink()
    for value, code in (("0.8", 0), ("0.7", 1)):
        changed = {"dvc.yaml": stage % "new.json", "test.csv": '{"acc": 0.8}'}
        write_files(repository.root, {**changed, "new.json": f'{{"acc": {value}}}'})
        assert run(["compare", "--directory", str(repository.root), "--base", "main"]) == code
    assert "lost more than the 0.05" in capsys.readouterr().out
