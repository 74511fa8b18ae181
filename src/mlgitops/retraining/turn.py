"""One turn: what was decided is carried out, up to the open pull request. Writes git, asks the API.

Each step finds what an earlier turn left, so that the next turn goes on wherever one was killed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from msgspec import structs

from mlgitops.delivery.proposals.proposal import open_proposal
from mlgitops.retraining.decision import Step, decide
from mlgitops.retraining.making import Order, TooFewRowsError
from mlgitops.retraining.observing import name_branch
from mlgitops.retraining.sending import read_announced

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mlgitops.console import Console
    from mlgitops.delivery.proposals.proposal import Change, Proposed
    from mlgitops.monitoring.project import Watched
    from mlgitops.retraining.decision import Action, Observed, Reason
    from mlgitops.retraining.observing import Scene
    from mlgitops.retraining.report import RetrainingReport
    from mlgitops.retraining.sending import Retrained


class Asked(NamedTuple):
    """What somebody asks for."""

    reason: Reason | None = None  # the only one that counts; None: any but by hand
    is_checked: bool = False  # somebody made sure that the labels are what came true
    is_trial: bool = False  # nothing is trained or sent


class Outcome(NamedTuple):
    """What was decided, and what came of it."""

    action: Action
    report: RetrainingReport | None = None  # of a training of this turn
    change: Change | None = None
    proposed: Proposed | None = None


def take_turn(
    scene: Scene,
    watched: Watched,
    observed: Observed,
    asked: Asked,
    train: Callable[[Order], Retrained],
    *,
    environ: Mapping[str, str],
    console: Console,
) -> Outcome:
    """Decide, let ``train`` make and push the branch where it is due, and open its pull request."""
    action = decide(observed, watched.settings.retrain, asked.reason)
    console.say(f"  {action.step}: {action.why}")
    if action.step is Step.GO_ON and action.branch and not asked.is_trial:
        change, commit = read_announced(scene, action.branch)
        return Outcome(action, None, change, _open(scene, change, commit, environ, console))
    if action.step is not Step.TRAIN or action.reason is None:
        return Outcome(action)
    order = Order(
        scene=scene,
        watched=watched,
        branch=name_branch(scene, observed.attempts),
        day=observed.day,
        reason=action.reason.value,
        why=action.why,
        is_checked=asked.is_checked,
        is_trial=asked.is_trial,
    )
    try:
        retrained = train(order)
    except TooFewRowsError as error:
        why = f"{action.why}; but {error.what}: {error.where} ({error.hint})"
        return Outcome(structs.replace(action, step=Step.NOTHING, why=why))
    if retrained.change is None or retrained.commit is None:
        return Outcome(action, retrained.report)
    proposed = _open(scene, retrained.change, retrained.commit, environ, console)
    return Outcome(action, retrained.report, retrained.change, proposed)


def _open(
    scene: Scene, change: Change, commit: str, environ: Mapping[str, str], console: Console
) -> Proposed:
    """Open the pull request; one that a person closed stays closed."""
    with console.step("The pull request"):
        return open_proposal(scene.folder.repository, change, commit, environ, again=False)
