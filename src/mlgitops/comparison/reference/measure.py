"""The reference's model on head's test rows, by base's code: what it has stored is of other rows.

Reads git, disk and DVC's cache; fetches what is missing, with base's storage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgitops.comparison.measuring.plan import plan_measuring
from mlgitops.comparison.measuring.run import TIMEOUT, Measured, measure_model
from mlgitops.comparison.sides import fetch_missing
from mlgitops.errors import MlgitopsError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from mlgitops.comparison.sides import SideFiles
    from mlgitops.console import Console
    from mlgitops.model import Files


def measure_reference(
    files: Files,
    base: SideFiles,
    reference: SideFiles,
    head: SideFiles,
    console: Console,
    *,
    rows: Mapping[str, bytes] | None,
) -> Measured:
    """Measure the reference's model on head's test rows by the stages of base.

    ``rows`` (path → contents) stand in for what head's run wrote. Raises :class:`MlgitopsError`
    with the reason when that is not possible.
    """
    plan = plan_measuring(base.pipeline, files, base.folder.list_files(base.sha))
    wanted = {
        base.name: plan.objects.keys() - plan.of_model - plan.of_rows,
        reference.name: set(plan.of_model),
        head.name: set(plan.of_rows) if rows is None else set(),
    }
    for side in (reference, head):
        fetch_missing(base, side, lambda asked: wanted[asked.name], console)
    contents = _read(head, plan.of_rows) if rows is None else rows
    if plan.test_data not in contents:
        raise MlgitopsError(f"`{plan.test_data}` of head is not given to base's code")
    given = {**_read(reference, plan.of_model), **contents}
    with console.step("measuring the reference's model on head's test data"):
        return measure_model(plan, base, given, files.predictions, timeout=TIMEOUT)


def _read(side: SideFiles, paths: Collection[str]) -> dict[str, bytes]:
    contents = {path: side.read_anywhere(path) for path in sorted(paths)}
    missing = next((path for path, data in contents.items() if data is None), None)
    if missing is not None:
        raise MlgitopsError(
            f"`{missing}` of {side.name} is not here: neither git, cache nor storage has it"
        )
    return {path: data for path, data in contents.items() if data is not None}
