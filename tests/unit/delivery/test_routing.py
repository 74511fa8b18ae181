"""The map that says which slot answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgitops.delivery.local.haproxy import Router, find_haproxy
from mlgitops.delivery.local.routing import Routing, choose_routing, parse_map, render_map
from mlgitops.delivery.loop.observed import Active, ServedModel, Slot
from mlgitops.errors import MlgitopsError

if TYPE_CHECKING:
    from pathlib import Path

slots = st.none() | st.sampled_from(Slot)


@given(slots, st.booleans(), slots, st.integers(0, 50))
def test_what_is_written_is_read(
    live: Slot | None, baking: bool, canary: Slot | None, share: int
) -> None:
    """Every routing survives its map; nothing bakes without a live slot, nor shares without one."""
    routing = Routing(
        live=live,
        baking=baking and live is not None,
        canary=canary,
        share=share if canary else 0,
    )
    text = "\n".join(f"{key} {value}" for key, value in render_map(routing).items())
    assert parse_map(text, "live.map") == routing


@pytest.mark.parametrize(
    "text",
    [
        *("live", "live live-c", "live a", "live live-a x", "other live-a"),
        *(
            "live live-a\ncanary bake-b\nshare 101",
            "live live-a\nshare -1",
            "live live-a\ncanary live-b",
        ),
        *("live live-a\nshare 10", "live  ", "\0", "live baked-a"),
    ],
)
def test_a_map_that_we_would_not_write_is_refused(text: str) -> None:
    """The refusal names the file."""
    with pytest.raises(MlgitopsError, match=r"^live\.map: this does not say which slot is live"):
        parse_map(text, "live.map")


def test_a_program_on_path_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the wheel of the extra `deploy` has one."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_haproxy().parent.name == "bin"
    program = tmp_path / "haproxy"
    program.touch(mode=0o755)
    assert find_haproxy() == program


def test_without_files_nobody_answers(tmp_path: Path) -> None:
    """No router says who is live."""
    assert Router(tmp_path).read_routing() is None
    assert not Router(tmp_path).is_up()


SERVED = ServedModel(model="churn", sha256="ab" * 32, revision="5ead" * 10, commit="4ead" * 10)


@pytest.mark.parametrize(
    ("active", "routing"),
    [
        ({}, Routing(live=Slot.A, baking=True)),
        ({"confirmed": True}, Routing(live=Slot.A, baking=True)),
        ({"baked": True}, Routing(live=Slot.A, baking=True)),
        ({"confirmed": True, "baked": True}, Routing(live=Slot.A)),
        ({"share": 20}, Routing(live=Slot.B, canary=Slot.A, share=20)),
        ({"reason": "it ended"}, Routing(live=Slot.A)),
    ],
)
def test_the_old_server_stands_behind_what_is_not_proven(
    active: dict[str, Any], routing: Routing
) -> None:
    """But nobody behind what came back: the other one is what failed."""
    assert choose_routing(Active(slot=Slot.A, served=SERVED, **active)) == routing
