"""What a command hands on and says of a pull request that it proposed. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlgitops.delivery.proposals.proposal import Proposed


def list_outputs(proposed: Proposed | None) -> dict[str, str]:
    """Return the outputs of a workflow's step; all are empty where nothing was proposed."""
    if proposed is None:
        return {"branch": "", "pull-request": "", "url": ""}
    number = "" if proposed.number is None else str(proposed.number)
    return {"branch": proposed.branch, "pull-request": number, "url": proposed.url or ""}


def describe_proposed(proposed: Proposed) -> list[str]:
    """Return lines that name the pull request, or the branch and each way to open one."""
    if proposed.number is not None:
        return [f"pull request #{proposed.number}, {proposed.url}"]
    ways = (proposed.opener, proposed.url)
    return [
        f"branch {proposed.branch} is ready. Open the pull request:",
        *(f"  {way}" for way in ways if way),
    ]
