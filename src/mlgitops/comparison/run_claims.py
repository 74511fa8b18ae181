"""What only head's own run can tell: time, memory, latency, and what its stages did. Pure.

Where base's code measures head's model in another job, these remain the run's word, and are taken
from its report as the claims they are. Which names there are, and what git says, is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from mlgitops.comparison.cost.changes import COST_NAMES
from mlgitops.comparison.cost.record import COST_FILE

if TYPE_CHECKING:
    from mlgitops.model import MetricChange, StageChange

#: The one cost that dvc.lock knows.
_OF_GIT = "cost.model_size_mb"


def take_cost(
    own: tuple[MetricChange, ...], claimed: tuple[MetricChange, ...]
) -> tuple[MetricChange, ...]:
    """Return the costs by the run's report, but for the size of the model; in order of name."""
    costs = {
        change.name: replace(change, evidence=None)
        for change in claimed
        if change.path == COST_FILE and change.name in COST_NAMES and change.name != _OF_GIT
    }
    merged = {change.name: change for change in own} | costs
    return tuple(merged[name] for name in sorted(merged))


def take_stages(
    own: tuple[StageChange, ...], claimed: tuple[StageChange, ...]
) -> tuple[StageChange, ...]:
    """Return the stages that git knows, each with what the run says that it did and took."""
    stages = {stage.name: stage for stage in claimed}
    return tuple(
        replace(stage, state=stages[stage.name].state, seconds=stages[stage.name].seconds)
        if stage.name in stages
        else stage
        for stage in own
    )
