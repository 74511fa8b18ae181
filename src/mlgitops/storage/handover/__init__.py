"""What the compute job hands over, and how the publish job takes it: nothing is believed.

`export_handover` packs the new objects, dvc.lock and the outputs that git keeps into one
folder. `take_handover` holds every byte of it against the pull request's head, stores the
objects, and commits the lock to the pull request's branch.
"""

from mlgitops.storage.handover.export import Exported, export_handover
from mlgitops.storage.handover.take import (
    HandoverRequest,
    Taken,
    commit_handover,
    take_handover,
)

__all__ = [
    "Exported",
    "HandoverRequest",
    "Taken",
    "commit_handover",
    "export_handover",
    "take_handover",
]
