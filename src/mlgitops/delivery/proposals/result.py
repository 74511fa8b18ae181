"""What a command hands on and says of a pull request that it proposed, and what that ends with."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlgitops.delivery.proposals.proposal import Proposed


#: What the text of a pull request ends with.
JUDGED = (
    "Nothing is in service by this. It is judged like any other change, by the code of the base."
)
BY_HAND = (
    "Where this was opened with the token of a workflow, its checks wait: press **Approve workflows"
    " to run**, or close it and open it again. With the token of an app they start by themselves."
)


def hand_over(proposed: Proposed | None, **others: str) -> None:
    """Set the outputs of a workflow's step, where there is one; empty where nothing was proposed.

    ``others`` are set beside them.
    """
    from mlgitops.github.outputs import write_outputs

    number = None if proposed is None else proposed.number
    outputs = {
        "branch": proposed.branch if proposed else "",
        "pull-request": "" if number is None else str(number),
        "url": (proposed.url if proposed else None) or "",
    }
    write_outputs(os.environ, outputs | others)


def list_facts(proposed: Proposed | None) -> dict[str, str | int | None]:
    """Return what a command's JSON says of the pull request; all is null where nothing was."""
    return {
        "branch": proposed.branch if proposed else None,
        "commit": proposed.commit if proposed else None,
        "pull_request": proposed.number if proposed else None,
        "url": proposed.url if proposed else None,
    }


def describe_proposed(proposed: Proposed) -> list[str]:
    """Return lines that name the pull request, or the branch and each way to open one."""
    if proposed.number is not None:
        return [f"pull request #{proposed.number}, {proposed.url}"]
    ways = (proposed.opener, proposed.url)
    return [
        f"branch {proposed.branch} is ready. Open the pull request:",
        *(f"  {way}" for way in ways if way),
    ]
