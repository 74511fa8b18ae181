"""Train an audited model again, in a clean folder, and compare bytes and metrics.

The code that runs is that of the model's commit, which must have stood on the default branch:
whoever calls this has checked that. Nothing of an earlier run is used but the data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlgitops.delivery.audit.facts import read_at_revision
from mlgitops.delivery.bundle import MODEL, hash_sha256
from mlgitops.dvc.metrics import parse_metrics
from mlgitops.errors import MlgitopsError
from mlgitops.model.audit import Check, CheckState
from mlgitops.project.checkout import check_out
from mlgitops.project.training import run_pipeline

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlgitops.console import Console
    from mlgitops.git.repository import Repository

BYTES, METRICS = "again: bytes", "again: metrics"
_RELATIVE = 1e-9  # by which a metric may differ: sums in another order, and no more


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """A model that was served, and where what made it can be read."""

    project: Path
    repository: Repository
    prefix: str
    revision: str
    sha256: str


def reproduce_model(model: ServedModel, console: Console) -> tuple[Check, ...]:
    """Train the model again; return what came of its bytes and its metrics."""
    try:
        with check_out(
            model.project, model.repository, model.prefix, model.revision, console=console
        ) as clean:
            run_pipeline(clean, console, force=True, local=True)
            digest = hash_sha256(clean / MODEL)
            trained = _read_values(model, lambda path: _read(clean, path))
    except MlgitopsError as error:
        detail = f"it could not be trained again: {error.what}"
        return (Check(name=BYTES, state=CheckState.OPEN, detail=detail),)
    committed = _read_values(
        model, lambda path: model.repository.read(model.revision, model.prefix + path)
    )
    metrics = _check_metrics(trained, committed)
    return (_check_bytes(digest, model.sha256, metrics), metrics)


def _check_bytes(digest: str | None, sha256: str, metrics: Check) -> Check:
    """Judge the bytes: others are no failure where the metrics are the same, and no proof either.

    Another model can answer the test rows as well and some others differently.
    """
    if digest == sha256:
        detail = "the training gave the same bytes"
        return Check(name=BYTES, state=CheckState.HOLDS, detail=detail)
    detail = f"the training gave a model with SHA-256 {str(digest)[:12]}, not {sha256[:12]}"
    if metrics.state is CheckState.HOLDS:
        detail += ", with the same metrics: it is not the same to the bit on this machine"
        return Check(name=BYTES, state=CheckState.OPEN, detail=detail)
    return Check(name=BYTES, state=CheckState.FAILS, detail=detail)


def _check_metrics(trained: dict[str, float], committed: dict[str, float]) -> Check:
    """Hold the metrics of the new training against those that the commit says."""
    if not committed:
        detail = "the commit has no metrics in git"
        return Check(name=METRICS, state=CheckState.ABSENT, detail=detail)
    for name, value in sorted(committed.items()):
        again = trained.get(name)
        if again is None or not math.isclose(again, value, rel_tol=_RELATIVE):
            detail = f"{name} is {again}, and the commit says {value}"
            return Check(name=METRICS, state=CheckState.FAILS, detail=detail)
    detail = f"{len(committed)} metrics are those of the commit"
    return Check(name=METRICS, state=CheckState.HOLDS, detail=detail)


def _read_values(model: ServedModel, read: Callable[[str], bytes | None]) -> dict[str, float]:
    """Read every metric of the project's own dvc.yaml: path and name → value."""
    values: dict[str, float] = {}
    for path in sorted(read_at_revision(model.repository, model.revision).metrics):
        own = path.removeprefix(model.prefix)
        data = read(own) if path.startswith(model.prefix) else None
        if data is not None:
            metrics = parse_metrics(data, own).values
            values |= {f"{own}: {name}": value for name, value in metrics.items()}
    return values


def _read(folder: Path, path: str) -> bytes | None:
    file = folder / path
    return file.read_bytes() if file.is_file() else None
