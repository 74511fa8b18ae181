"""Models of other seeds that hide a loss, told to the job in which base's code measures.

Base was trained five times, and its served model is right in all rows. Head's served model is
right in 7 of 10; its other models are whatever head's author likes. None of these is a pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from evaluated_project import make_dvc_yaml
from seeded_project import BASE, SEEDS, make_project, train_as
from trust.lie import check_lie

if TYPE_CHECKING:
    from collections.abc import Callable

    from evaluated_project import EvaluatedProject, Run

_POOR = 80
_LOST = "`test.accuracy` lost more than the 0.02 that it may lose"
#: What head trains beside the served model: seed to threshold.
LIES: dict[str, dict[str, int]] = {
    "the models beside the served one are perfect": dict.fromkeys(SEEDS, 50),
    "the models beside the served one are base's": BASE,
    "one seed beside the served one": {"1": 50},
    "two seeds beside the served one": {"2": 10, "3": 50},
}


def train_only(seeds: dict[str, int]) -> Callable[[Run], None]:
    """Return a change that serves a poor model, and trains with no other seeds than these."""

    def change(run: Run) -> None:
        train_as(_POOR, seeds)(run)
        dropped = {f"{kind}_{seed}" for kind in ("train", "score") for seed in {*SEEDS} - {*seeds}}
        run.stages = {name: stage for name, stage in run.stages.items() if name not in dropped}
        run.write("dvc.yaml", make_dvc_yaml(run.stages))

    return change


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> EvaluatedProject:
    """Make origin once, with five models at base."""
    return make_project(tmp_path_factory.mktemp("seeds"))


@pytest.mark.parametrize("name", LIES)
def test_a_loss_does_not_hide_behind_other_seeds(
    name: str,
    project: EvaluatedProject,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """The served model's loss is told, whatever head's other models answer."""
    ending = project.open(train_only(LIES[name])).evaluate(monkeypatch, capsys)
    assert ending.verdict == "fail", ending.words
    check_lie(record_property, name.encode(), reason=_LOST, text=ending.words)
