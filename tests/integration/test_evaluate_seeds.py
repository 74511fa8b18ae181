"""Models of other seeds in the job that measures: base's code scores them, as the served one."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest
from evaluated_project import EvaluatedProject, make_rows
from seeded_project import BASE, SEEDS, make_project, train_as

from mlgitops.model import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from evaluated_project import Ending, PullRequest, Run

    from mlgitops.model import Evidence


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> EvaluatedProject:
    """Make origin once, with five models at base."""
    return make_project(tmp_path_factory.mktemp("seeds"))


@pytest.fixture
def evaluate(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[PullRequest], Ending]:
    """Return what evaluates a pull request in a job of its own."""
    return lambda request: request.evaluate(monkeypatch, capsys)


def find_evidence(ending: Ending) -> tuple[Evidence, Kind]:
    """Return what the report says of the judged metric."""
    assert ending.report is not None
    assert ending.report.judgement is not None
    (change,) = ending.report.metrics
    assert change.evidence is not None
    return change.evidence, ending.report.judgement.metrics[0].kind


def test_seeds_are_scored_by_the_base(
    project: EvaluatedProject, evaluate: Callable[[PullRequest], Ending]
) -> None:
    """What the run writes of its other models is not read: a loss does not hide behind them."""

    def boast(run: Run) -> None:
        run.execute()
        perfect = run.read("reports/seeds/1.csv").splitlines()
        rows = [line.split(",") for line in perfect[1:]]
        text = "\n".join([perfect[0], *(f"{key},{target},{target}" for key, target, _ in rows)])
        for seed in SEEDS:
            run.write(f"reports/seeds/{seed}.csv", f"{text}\n")

    poor = {seed: threshold - 6 for seed, threshold in BASE.items()}
    ending = evaluate(project.open(train_as(44, poor), work=boast))
    evidence, kind = find_evidence(ending)
    assert evidence.seeds is not None
    assert evidence.seeds.seeds == 5
    assert evidence.seeds.delta == pytest.approx(-0.048)  # of 6, 6, 4, 6 and 2 rows in 100
    assert (kind, ending.verdict) == (Kind.WORSENED, "fail")


def test_seeds_of_both_sides_are_scored_on_new_rows(
    project: EvaluatedProject, evaluate: Callable[[PullRequest], Ending]
) -> None:
    """Where the raw data changed, base's other models answer the new rows, too."""

    def grow(run: Run) -> None:
        run.write("data/raw.csv", make_rows(1500))
        run.point("data/raw.csv")

    ending = evaluate(project.open(grow))
    evidence, _ = find_evidence(ending)
    assert ending.report is not None
    assert ending.report.measurement is not None
    assert ending.report.measurement.rebuilt
    assert evidence.rows == 500
    assert evidence.seeds is not None
    assert (evidence.seeds.seeds, evidence.seeds.delta) == (5, 0)


def test_no_model_of_another_seed_runs_code(
    project: EvaluatedProject, evaluate: Callable[[PullRequest], Ending]
) -> None:
    """A pickle by an honest name is not loaded; the interval is rough then, and says why."""

    def smuggle(run: Run) -> None:
        run.execute()
        run.write("model/seeds/2.json", pickle.dumps({"kind": "threshold"}))

    evidence, _ = find_evidence(evaluate(project.open(train_as(49, BASE), work=smuggle)))
    assert evidence.seeds is None
    assert evidence.interval is not None
    assert evidence.interval.method.endswith(", rough")
    assert "`model/seeds/2.json` of the pull request is a pickle" in (evidence.reason or "")
