"""What a model costs, as `mlgitops train` measured it: the record and its two places.

Times and memory differ from run to run, so they are no output of a stage: DVC would call
every run a change. They stand in `reports/cost.json`, which git tracks and DVC does not know.
Each entry names the outputs it was measured with, so an entry that no longer fits its stage is
no entry. A run that judges a pull request (`train --base`) starts from the base's record and
writes to `.mlgitops/cost.json` alone: what a pull request claims is not believed, and the
work tree stays clean.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from mlgitops.model import Struct
from mlgitops.model.documents import encode_document, parse_document
from mlgitops.writing import replace_file

if TYPE_CHECKING:
    from mlgitops.dvc.pipeline import LockEntry

#: Where git keeps the record, and where a run leaves it, in the project.
COST_FILE = "reports/cost.json"
RUN_COST_FILE = ".mlgitops/cost.json"

_MAX_BYTES = 2**20
Amount = Annotated[float, Meta(ge=0, lt=1e12)]
Word = Annotated[str, Meta(max_length=200)]


class StageCost(Struct, frozen=True, kw_only=True):
    """What one run of a stage took."""

    seconds: Amount  # wall time
    peak_memory_mb: Amount | None = None  # resident, of all its processes; 10^6 bytes
    machine: Word
    outputs: Word  # see fingerprint_outputs


class Latency(Struct, frozen=True, kw_only=True):
    """How long the model takes to predict, warm, in milliseconds."""

    row_ms: Amount  # one row alone
    thousand_rows_ms: Amount  # a thousand rows at once
    machine: Word
    model: Word  # hash of the model's file, "md5:…"


class CostRecord(Struct, frozen=True, kw_only=True):
    """Everything measured: stage → cost, and the model's latency."""

    stages: dict[str, StageCost] = msgspec.field(default_factory=dict)
    latency: Latency | None = None


def parse_cost(data: bytes, where: str) -> CostRecord:
    """Read a record; raises :class:`MlgitopsError` on anything that `train` would not write."""
    return parse_document(
        *(data, CostRecord, where),
        limit=_MAX_BYTES,
        problem="not a record of costs",
        hint="remove it: `mlgitops train` measures anew what it runs",
    )


def write_cost(record: CostRecord, project: Path, name: str) -> None:
    """Write the record to the file ``name`` of ``project``, with sorted keys, in one step."""
    replace_file(project / name, encode_document(record, indent=2), root=project)


def fingerprint_outputs(lock: LockEntry) -> str:
    """Return a short name for what a stage made: 16 hexadecimal digits of its outputs' hashes."""
    import hashlib

    lines = sorted(f"{path}\0{version.hash}" for path, version in lock.outs.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def name_machine() -> str:
    """Name the kind of machine this is: times of another kind are not compared.

    >>> "CPU" in name_machine()
    True
    """
    import os
    import platform

    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs, {_name_cpu()}"[:200]


def _name_cpu() -> str:
    """Return the processor's name, as Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "unknown"
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "unknown")
