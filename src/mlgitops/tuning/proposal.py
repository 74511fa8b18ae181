"""The best trial as a change of params.yaml, with the table of all trials beside it. Reads git."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgitops.delivery.proposals.proposal import FileChange, find_default
from mlgitops.errors import MlgitopsError
from mlgitops.model.documents import encode_document
from mlgitops.render.tuning import render_tuning, write_title
from mlgitops.tuning.edit import edit_values
from mlgitops.tuning.inputs import PARAMS, find_difference, read_commit

if TYPE_CHECKING:
    from mlgitops.git.repository import Folder
    from mlgitops.model.tuning import Tuning
    from mlgitops.tuning.inputs import Inputs

#: Where the trials are kept, in the project.
REPORT = "reports/tuning.json"
_SHORT = 12


def plan_change(folder: Folder, inputs: Inputs, tuning: Tuning) -> FileChange | None:
    """Plan the change that puts the best trial into params.yaml; None where that changes nothing.

    Raises :class:`MlgitopsError` where the default branch holds other parameters, rows or code
    than were measured: the best of them need not be the best there.
    """
    base, tip = find_default(folder.repository)
    differing = find_difference(inputs, read_commit(folder, tip))
    if differing is not None:
        raise MlgitopsError(
            f"{base} has another {differing} than what was measured",
            where=f"{tip[:_SHORT]}",
            hint=f"bring this work to {base} first, or search in a checkout of {base}",
        )
    if tuning.winner is None:
        return None
    params = edit_values(inputs.params, tuning.winner.values, where=PARAMS)
    if params == inputs.params:
        return None
    return FileChange(
        base=base,
        tip=tip,
        branch=f"tune/{folder.prefix}{tuning.inputs[:_SHORT]}",
        title=write_title(tuning, tuning.winner),
        body=render_tuning(tuning),
        contents={
            folder.locate(PARAMS): params,
            folder.locate(REPORT): write_report(tuning),
        },
    )


def write_report(tuning: Tuning) -> bytes:
    """Write the search as JSON: the same trials give the same bytes, whatever they took."""
    return encode_document(tuning, indent=2)
