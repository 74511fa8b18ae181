"""What `mlgitops train` recorded of its last run: which stages ran, and for how long.

Reads `.mlgitops/run.json`; a missing, stale or odd record is no record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mlgitops.errors import MlgitopsError
from mlgitops.model import StageState  # noqa: TC001 - msgspec reads the annotation
from mlgitops.parsing import parse_json

if TYPE_CHECKING:
    from pathlib import Path

RUN_RECORD = ".mlgitops/run.json"
_MAX_BYTES = 2**20


class _StageRun(msgspec.Struct, frozen=True):
    name: str
    state: StageState
    seconds: float | None = None


class _Run(msgspec.Struct, frozen=True):
    stages: tuple[_StageRun, ...]


def read_run(project: Path) -> dict[str, tuple[StageState, float | None]]:
    """Read stage → what happened to it, and its wall time in seconds."""
    record, lock = project / RUN_RECORD, project / "dvc.lock"
    try:
        if lock.stat().st_mtime > record.stat().st_mtime:
            return {}  # the lock has moved on since
        data = record.read_bytes()
        parse_json(data, RUN_RECORD, limit=_MAX_BYTES)
        run = msgspec.json.decode(data, type=_Run)
    except (OSError, MlgitopsError, msgspec.MsgspecError):
        return {}
    return {stage.name: (stage.state, stage.seconds) for stage in run.stages}
