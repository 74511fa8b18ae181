"""Whose answer comes through the public port."""

from __future__ import annotations

import pytest

from mlgitops.delivery.local.front import _check_origin
from mlgitops.delivery.loop.observed import Slot
from mlgitops.delivery.protocol import CheckFailedError

SHA256 = "ab" * 32


@pytest.mark.parametrize(
    "headers",
    [
        {"mlgitops-slot": "b", "model-sha256": SHA256},
        {"mlgitops-slot": "a", "model-sha256": "cd" * 32},
        {"mlgitops-slot": "a", "model-sha256": ""},
        {"model-sha256": SHA256},
    ],
)
def test_an_answer_of_another_server_confirms_nothing(headers: dict[str, str]) -> None:
    """Neither that of the other slot, nor one of another model in this slot."""
    with pytest.raises(CheckFailedError, match="slot a with the model abababababab should answer"):
        _check_origin(headers, Slot.A, SHA256)


@pytest.mark.parametrize("headers", [{"model-sha256": SHA256}, {}])
def test_a_server_that_names_no_model_is_known_by_its_slot(headers: dict[str, str]) -> None:
    """Releases from before the header came can be brought back."""
    _check_origin({"mlgitops-slot": "a", **headers}, Slot.A, SHA256)
