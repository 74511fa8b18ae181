from __future__ import annotations

import doctest

from mlgitops.comparison import seed_files
from mlgitops.comparison.protected import find_measuring
from mlgitops.dvc.pipeline import Pipeline, Stage
from mlgitops.model import Files, Policy


def test_the_examples_hold() -> None:
    """Each example in a docstring gives what it says."""
    result = doctest.testmod(seed_files)
    assert (result.attempted, result.failed) == (1, 0)


def test_what_scores_another_seed_is_measuring_code() -> None:
    """An edit of it is announced, as one of the stage that scores the served model."""
    outs = ("reports/seeds/3.csv", "model/seeds/3.skops")
    stages = {
        out: Stage(
            name=out, file="dvc.yaml", folder="", command="x", deps=(), outs=(out,), metrics=()
        )
        for out in outs
    }
    policy = Policy(files=Files(predictions="reports/predictions.csv", seeds="reports/seeds"))
    assert list(find_measuring(Pipeline(stages=stages), policy)) == ["reports/seeds/3.csv"]
