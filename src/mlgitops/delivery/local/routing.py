"""Which slot answers whom: the map that HAProxy reads for each request. Pure.

The map has three keys. `live` names the backend of the users, `canary` that of the requests that
are drawn for the candidate, and `share` how many of a hundred those are. Each is changed alone and
in an order in which every state between is one that may serve.
"""

from __future__ import annotations

from dataclasses import dataclass

from mlgitops.delivery.loop.observed import ALL, Active, Slot
from mlgitops.errors import MlgitopsError

_NONE = "none"  # the backend that answers 503: nothing is deployed


@dataclass(frozen=True, kw_only=True)
class Routing:
    """Who answers: the live slot, the candidate's share, and whether the old one stands behind.

    While the live slot is ``baking``, the other slot answers what it fails to answer.
    """

    live: Slot | None = None
    baking: bool = False
    canary: Slot | None = None
    share: int = 0  # percent of the requests that ``canary`` answers


def choose_routing(active: Active | None) -> Routing:
    """Return who answers when ``active`` is what the users are sent to.

    >>> choose_routing(None)
    Routing(live=None, baking=False, canary=None, share=0)
    """
    if active is None:
        return Routing()
    if active.share < ALL:
        return Routing(live=active.slot.other, canary=active.slot, share=active.share)
    # What came back stands alone: the other one failed.
    return Routing(live=active.slot, baking=active.reason is None and not active.is_proven)


def render_map(routing: Routing) -> dict[str, str]:
    """Return the entries of HAProxy's map.

    >>> render_map(Routing(live=Slot.A, canary=Slot.B, share=20))
    {'live': 'live-a', 'canary': 'bake-b', 'share': '20'}
    """
    kind = "bake" if routing.baking else "live"
    return {
        "live": f"{kind}-{routing.live}" if routing.live else _NONE,
        "canary": f"bake-{routing.canary}" if routing.canary else _NONE,
        "share": str(routing.share if routing.canary else 0),
    }


def parse_map(text: str, where: str) -> Routing:
    """Read the map's lines, `key value` each; raises :class:`MlgitopsError` on any other.

    >>> parse_map("live bake-b", "live.map")
    Routing(live=<Slot.B: 'b'>, baking=True, canary=None, share=0)
    """
    lines = [line.split() for line in text.splitlines() if line.strip()]
    entries = {words[0]: words[1] for words in lines if len(words) == len(("key", "value"))}
    routing = _parse_entries(entries) if len(entries) == len(lines) else None
    if routing is None:
        raise MlgitopsError(
            "this does not say which slot is live",
            where=where,
            hint="remove it and deploy again: `mlgitops deploy ENV`",
        )
    return routing


def _parse_entries(entries: dict[str, str]) -> Routing | None:
    """Return what the entries say, or None where they say nothing that we would write."""
    kind, _, slot = entries.get("live", _NONE).partition("-")
    _, _, canary = entries.get("canary", _NONE).partition("-")
    share = entries.get("share", "0")
    names = ["", *Slot]
    if slot not in names or canary not in names or not share.isdecimal():
        return None
    routing = Routing(
        live=Slot(slot) if slot else None,
        baking=kind == "bake",
        canary=Slot(canary) if canary else None,
        share=min(int(share), ALL),
    )
    rendered = render_map(routing)
    return routing if rendered.items() >= entries.items() else None
