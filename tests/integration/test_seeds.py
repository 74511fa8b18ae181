"""What `mlgitops compare` makes of models that other seeds made."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from dvc_project import DvcProject, make_predictions
from integration.compared import kinds

POLICY = """\
version: 1
files:
  test_data: data/test.csv
  predictions: reports/predictions.csv
  seeds: reports/seeds
metrics:
  test.accuracy: {greater_is_better: true, max_worsening: 0.01}
"""
ROWS = 2_000
#: Wrong rows of each side's further models: about as many, and spread widely.
BASE, HEAD = (420, 560, 380, 490), (450, 380, 550, 480)


def train(project: DvcProject, errors: int, seeds: tuple[int, ...], *, first: int = 1) -> None:
    """Write what a run would leave: the served model's predictions and those of other seeds."""
    shutil.rmtree(project.root / "reports" / "seeds", ignore_errors=True)
    project.train(
        accuracy=1 - errors / ROWS, predictions=make_predictions(rows=ROWS, errors=errors)
    )
    for name, count in enumerate(seeds, first):
        predictions = make_predictions(rows=ROWS, errors=count)
        project.put(f"reports/seeds/{name}.csv", predictions)


@pytest.fixture
def seeded(project: DvcProject) -> DvcProject:
    """Return a project of which base was trained five times."""
    project.put("policy.yaml", POLICY)
    train(project, 500, BASE)
    project.fill(project.root / ".dvc" / "cache")
    project.commit()
    return project


def read_accuracy(report: dict[str, Any]) -> dict[str, Any]:
    """Return the judged metric of a report."""
    (metric,) = [metric for metric in report["metrics"] if metric["name"] == "test.accuracy"]
    return dict(metric)


def test_a_lucky_seed_is_no_improvement(seeded: DvcProject, compare: Any) -> None:  # noqa: ANN401
    """The served models differ beyond the noise of the rows, and other seeds as much."""
    train(seeded, 400, HEAD)
    report = compare(seeded, "--json").report
    metric = read_accuracy(report)
    noise = metric["evidence"]["seeds"]
    assert kinds(report)["test.accuracy"] == "inconclusive"
    assert noise["seeds"] == 5
    assert noise["delta"] == pytest.approx((470 - 452) / ROWS)
    assert noise["by_rows"] < metric["delta"] < noise["by_seeds"]
    text = compare(seeded).out
    assert "with 5 seeds a side" in text
    assert "intervals count rows, and 5 seeds a side" in " ".join(text.split())


def test_a_change_that_every_seed_shows_is_one(seeded: DvcProject, compare: Any) -> None:  # noqa: ANN401
    """Models of one seed are set side by side, so that what they have in common cancels."""
    train(seeded, 400, tuple(errors - 100 for errors in BASE))
    report = compare(seeded, "--json").report
    assert kinds(report)["test.accuracy"] == "improved"
    assert read_accuracy(report)["evidence"]["seeds"]["by_seeds"] == pytest.approx(0, abs=1e-12)


def test_sides_of_other_seeds_are_set_in_order(seeded: DvcProject, compare: Any) -> None:  # noqa: ANN401
    """Base's models count; of head's, whose seeds have other names, the last one has no partner."""
    train(seeded, 400, (380, 500, 360, 450, 10), first=5)
    noise = read_accuracy(compare(seeded, "--json").report)["evidence"]["seeds"]
    assert noise["seeds"] == 5
    assert noise["delta"] == pytest.approx((100 + 40 + 60 + 20 + 40) / 5 / ROWS)


@pytest.mark.parametrize("seeds", [(700,), (700, 420, 560)])
def test_a_loss_does_not_hide_behind_few_seeds(
    seeded: DvcProject,
    compare: Any,  # noqa: ANN401
    seeds: tuple[int, ...],
) -> None:
    """Head with fewer seeds than base does not get the wide interval that few seeds have."""
    train(seeded, 700, seeds)
    report = compare(seeded, "--json").report
    evidence = read_accuracy(report)["evidence"]
    assert kinds(report)["test.accuracy"] == "worsened"
    assert report["judgement"]["verdict"] == "fail"
    assert evidence["seeds"] is None
    assert evidence["interval"]["method"].endswith(", rough")
    assert f"with 5 seeds, and head with {len(seeds) + 1}" in evidence["reason"]
    text = " ".join(compare(seeded).out.split())
    assert "intervals count rows; other seeds were not counted ·" in text
    assert "another seed was not tried" not in text


def test_a_loss_does_not_hide_behind_better_models(seeded: DvcProject, compare: Any) -> None:  # noqa: ANN401
    """Head's other models make no served model better that is far worse than they are."""
    train(seeded, 1_500, (10, 10, 10, 10))
    report = compare(seeded, "--json").report
    assert kinds(report)["test.accuracy"] == "worsened"
    assert report["judgement"]["verdict"] == "fail"


def test_leaving_the_seeds_out_proves_nothing(seeded: DvcProject, compare: Any) -> None:  # noqa: ANN401
    """An interval that base's seeds would widen is rough where head has none."""
    train(seeded, 498, ())
    evidence = read_accuracy(compare(seeded, "--json").report)["evidence"]
    assert evidence["seeds"] is None
    assert evidence["interval"]["method"].endswith(", rough")
    assert "base was trained with 5 seeds, and head with one" in evidence["reason"]


def test_seeds_of_head_alone_are_not_counted(seeded: DvcProject, compare: Any) -> None:  # noqa: ANN401
    """Where base was trained once, head does not choose how wide the interval is."""
    train(seeded, 500, ())
    seeded.fill(seeded.root / ".dvc" / "cache")
    seeded.commit("Train once")
    train(seeded, 400, HEAD)
    report = compare(seeded, "--json").report
    assert kinds(report)["test.accuracy"] == "improved"
    assert read_accuracy(report)["evidence"]["seeds"] is None
    assert "another seed was not tried" in " ".join(compare(seeded).out.split())


def test_the_served_model_is_no_other_seed(seeded: DvcProject, compare: Any) -> None:  # noqa: ANN401
    """Where its predictions stand in the folder of the others, they count once."""
    seeded.put("policy.yaml", POLICY.replace("seeds: reports/seeds", "seeds: reports"))
    seeded.commit("One folder for all predictions")
    train(seeded, 400, HEAD)
    noise = read_accuracy(compare(seeded, "--json").report)["evidence"]["seeds"]
    assert noise["seeds"] == 5
    assert noise["delta"] == pytest.approx((470 - 452) / ROWS)


def test_seeds_may_answer_the_rows_in_another_order(seeded: DvcProject, compare: Any) -> None:  # noqa: ANN401
    """Rows are known by their ids, in the files of other seeds, too."""
    train(seeded, 500, BASE)
    _turn_round(seeded)
    seeded.fill(seeded.root / ".dvc" / "cache")
    seeded.commit("Write the rows of other seeds from the last to the first")
    train(seeded, 400, HEAD)
    noise = read_accuracy(compare(seeded, "--json").report)["evidence"]["seeds"]
    assert noise["seeds"] == 5
    assert noise["delta"] == pytest.approx((470 - 452) / ROWS)


def _turn_round(project: DvcProject) -> None:
    for name in range(1, len(BASE) + 1):
        path = f"reports/seeds/{name}.csv"
        head, *rows = (project.root / path).read_text().splitlines()
        project.put(path, "\n".join([head, *rows[::-1]]) + "\n")


def test_predictions_of_other_rows_are_not_counted(seeded: DvcProject, compare: Any) -> None:  # noqa: ANN401
    """A seed that answers fewer rows is no seed, and the reason says so."""
    train(seeded, 400, HEAD)
    seeded.put("reports/seeds/2.csv", make_predictions(rows=ROWS - 1, errors=200))
    evidence = read_accuracy(compare(seeded, "--json").report)["evidence"]
    assert evidence["seeds"] is None
    assert "not of the test rows that the served models answer" in evidence["reason"]


def test_a_damaged_file_is_named(seeded: DvcProject, compare: Any) -> None:  # noqa: ANN401
    """What cannot be read makes the interval rough, and does not end the comparison."""
    train(seeded, 400, HEAD)
    seeded.put("reports/seeds/3.csv", "id,target\n1,0\n")
    evidence = read_accuracy(compare(seeded, "--json").report)["evidence"]
    assert evidence["interval"]["method"].endswith(", rough")
    assert "lack the column prediction" in evidence["reason"]
