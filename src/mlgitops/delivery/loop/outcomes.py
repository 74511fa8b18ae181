"""What a run of the loop came to, as every target says it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgitops.delivery.loop.reconcile import Ending
from mlgitops.delivery.protocol import CheckFailedError
from mlgitops.delivery.target import Deployed

if TYPE_CHECKING:
    from mlgitops.delivery.loop.observed import ServedModel
    from mlgitops.delivery.loop.reconcile import Outcome


def refuse_failed(reconciled: Outcome, where: str) -> None:
    """Raise :class:`CheckFailedError` unless what git wants is in service."""
    if reconciled.ending in {Ending.SERVING, Ending.BAKING}:
        return
    served = reconciled.served
    kept = f"{served.model} {served.sha256[:12]} serves on" if served else "nothing serves"
    raise CheckFailedError(
        f"{reconciled.reason}\n{kept}",
        where=where,
        hint=f"what commit {reconciled.desired.served.commit[:12]} asks for is not tried again: "
        "take it back, or merge a better model",
    )


def describe_served(served: ServedModel, *, since: str, url: str) -> Deployed:
    """Return what serves as people and `--json` are told."""
    return Deployed(
        model=served.model,
        version=served.version,
        sha256=served.sha256,
        commit=served.commit,
        revision=served.revision,
        forced=served.forced,
        since=since,
        url=url,
    )
