"""A well-formed lie: valid in form, false in content; and the exact reason with which it ends.

The tests below `tests/trust/lies/` tell them, a module for each place where one is believed or
not. Each calls :func:`check_lie`, by which `make trust` counts distinct payloads and reasons.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def check_lie(
    record_property: Callable[[str, object], None], payload: bytes, *, reason: str, text: str
) -> None:
    """Assert that ``text``, what the decision said, gives ``reason``; and record the lie.

    ``payload`` is what lies: the bytes of a report, a handover, an event or a file.
    """
    assert reason in text, text[:2000]
    record_property("payload", hashlib.sha256(payload).hexdigest())
    record_property("reason", reason)
