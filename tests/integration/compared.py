"""What came of `mlgitops compare`."""

from __future__ import annotations

import json
from typing import Any


class Outcome:
    """What a command printed and returned."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def report(self) -> dict[str, Any]:
        """The report that was printed as JSON."""
        found: dict[str, Any] = json.loads(self.out)
        return found


def kinds(report: dict[str, Any]) -> dict[str, str]:
    """Map judged names to kinds."""
    return {metric["name"]: metric["kind"] for metric in report["judgement"]["metrics"]}
