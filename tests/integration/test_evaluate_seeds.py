"""Models of other seeds in the job that measures: base's code scores them, as the served one."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest
from evaluated_project import EVALUATE, POLICY, STAGES, EvaluatedProject, make_rows

from mlgitops.model import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from evaluated_project import Ending, PullRequest, Run

    from mlgitops.model import Evidence

SEEDS = ("1", "2", "3", "4")
#: The model of a seed is a threshold; 50 makes no mistake, and each step away costs one row in 100.
TRAIN = """\
import json, os
os.makedirs("model/seeds", exist_ok=True)
model = {{"kind": "threshold", "rounds": 1, "thresholds": [{0}, {0}]}}
json.dump(model, open("model/{1}.json", "w"))
"""
BASE = dict(zip(SEEDS, (49, 51, 48, 52), strict=True))
GITIGNORE = "/data/*.csv\n/data/*.pkl\n/model/\n/reports/predictions.csv\n/reports/seeds/\n"


def write_stages(served: int, seeds: dict[str, int]) -> dict[str, str]:
    """Write what trains and scores each model."""
    files = {"train.py": TRAIN.format(served, "model")}
    for seed, threshold in seeds.items():
        files[f"train_{seed}.py"] = TRAIN.format(threshold, f"seeds/{seed}")
        files[f"score_{seed}.py"] = (
            "import os\nos.makedirs('reports/seeds', exist_ok=True)\n"
            + (
                EVALUATE.replace("model/model.json", f"model/seeds/{seed}.json")
                .replace("reports/predictions.csv", f"reports/seeds/{seed}.csv")
                .partition("right = ")[0]
            )
        )
    return files


def list_stages() -> dict[str, object]:
    """Return the stages of a served model and of those that other seeds made."""
    stages: dict[str, object] = dict(STAGES)
    for seed in SEEDS:
        model, file = f"model/seeds/{seed}.json", f"reports/seeds/{seed}.csv"
        stages[f"train_{seed}"] = ((f"train_{seed}.py", "data/train.csv"), (model,), ())
        deps = (f"score_{seed}.py", model, "data/test.csv", "trusted_types.txt")
        stages[f"score_{seed}"] = (deps, (file,), ())
    return stages


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> EvaluatedProject:
    """Make origin once, with five models at base."""
    policy = POLICY.replace("files: {", "files: {seeds: reports/seeds, ")
    return EvaluatedProject(
        tmp_path_factory.mktemp("seeds"),
        policy=policy,
        files={".gitignore": GITIGNORE, **write_stages(50, BASE)},
        stages=list_stages(),
    )


@pytest.fixture
def evaluate(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[PullRequest], Ending]:
    """Return what evaluates a pull request in a job of its own."""
    return lambda request: request.evaluate(monkeypatch, capsys)


def train_as(served: int, seeds: dict[str, int]) -> Callable[[Run], None]:
    """Return a change of what trains."""

    def change(run: Run) -> None:
        for path, text in write_stages(served, seeds).items():
            run.write(path, text)

    return change


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
