"""What a search is of: settings, parameters, rows, code, and one digest of them all.

Read from disk or from a commit, so that what was measured is known to be what the branch holds.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from msgspec import Struct

from mlgitops.dvc.reader import read_pipeline
from mlgitops.dvc.stored import hash_file
from mlgitops.errors import MlgitopsError
from mlgitops.judgement.policy import parse_policy
from mlgitops.tuning.edit import read_values
from mlgitops.tuning.settings import TUNE, parse_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from mlgitops.git.repository import Folder
    from mlgitops.model.tuning import Choice, TuneSettings

    Read = Callable[[str], bytes | None]

PARAMS, POLICY, LOCK = "params.yaml", "policy.yaml", "dvc.lock"
#: The training rows, in the format that the project keeps tables in: all that is read of the data.
TRAIN = ("data/split/train.csv", "data/split/train.parquet")
_PREFIX = "test."  # of the judged metrics that the evaluate stage measures
_OTHER = ("contract.yaml", "requirements/pipeline.txt")
_CODE = re.compile(r"src/[^/]+/(?:[^/]+/)*[^/]+\.py")
_FOLDS = re.compile(r"src/([^/]+)/folds\.py")
_HINTS = {
    TUNE: "`cruft update` brings one into a project of an older template",
    LOCK: "run `mlgitops train` first",
}


class Inputs(Struct, frozen=True, kw_only=True):
    """All that decides what a trial of a search is."""

    settings: TuneSettings
    params: bytes
    current: dict[str, Choice]  # what params.yaml holds where other values are tried
    metric: str  # as the policy names it
    greater_is_better: bool
    package: str  # of the project
    train: str  # the file of the training rows
    rows: str  # DVC's hash of them
    parts: dict[str, str]  # name of what decides → sha256

    @property
    def digest(self) -> str:
        """Return one sha256 of all that decides."""
        lines = "".join(f"{name} {digest}\n" for name, digest in sorted(self.parts.items()))
        return _hash(lines.encode())

    @property
    def measured(self) -> str:
        """Return the metric as the project's code names it."""
        return self.metric.removeprefix(_PREFIX)


def read_disk(project: Path) -> Inputs:
    """Read what a search in ``project`` is of; raises as :func:`read_inputs`."""
    paths = [path.relative_to(project).as_posix() for path in project.glob("src/*/**/*.py")]

    def read(name: str) -> bytes | None:
        path = project / name
        return path.read_bytes() if path.is_file() else None

    return read_inputs(read, paths)


def read_commit(folder: Folder, sha: str) -> Inputs:
    """Read what a search of the commit ``sha`` would be of; raises as :func:`read_inputs`."""
    return read_inputs(lambda name: folder.read(sha, name), list(folder.list_files(sha)))


def read_inputs(read: Read, paths: Sequence[str]) -> Inputs:
    """Read what decides; ``paths`` are those of all files, of which code is picked.

    Raises :class:`MlgitopsError` naming the file that is missing or wrong.
    """
    settings = parse_settings(_need(read, TUNE))
    params = _need(read, PARAMS)
    metric, greater_is_better = _choose_metric(_need(read, POLICY), settings)
    train, rows = _find_rows(_need(read, LOCK))
    names = [TUNE, PARAMS, *_OTHER, *(path for path in paths if _CODE.fullmatch(path))]
    return Inputs(
        settings=settings,
        params=params,
        current=read_values(params, tuple(sorted(settings.space)), where=PARAMS),
        metric=metric,
        greater_is_better=greater_is_better,
        package=_find_package(paths),
        train=train,
        rows=rows,
        parts={
            **{name: _hash(read(name) or b"") for name in names},
            f"metric of {POLICY}": _hash(f"{metric} {greater_is_better}".encode()),
            train: _hash(rows.encode()),
        },
    )


def find_difference(inputs: Inputs, other: Inputs) -> str | None:
    """Find the first thing that decides and is not the same in both; None: all is."""
    names = sorted(inputs.parts.keys() | other.parts.keys())
    differing = (name for name in names if inputs.parts.get(name) != other.parts.get(name))
    return next(differing, None)


def check_rows(project: Path, inputs: Inputs) -> None:
    """Raise :class:`MlgitopsError` unless the training rows on disk are those of dvc.lock."""
    path = project / inputs.train
    if not path.is_file() or f"md5:{hash_file(path)}" != inputs.rows:
        hint = "run `mlgitops train`, then this command again"
        problem = "these are not the rows that dvc.lock names"
        raise MlgitopsError(problem, where=inputs.train, hint=hint)


def _find_rows(lock: bytes) -> tuple[str, str]:
    """Find the file of the training rows, and DVC's hash of it."""
    pipeline = read_pipeline({LOCK: ""}, {LOCK: lock}.get)
    for path in TRAIN:
        version = pipeline.find_version(path)
        if version is not None:
            return path, version.hash
    hint = "run `mlgitops train`, which cuts them"
    raise MlgitopsError(f"it names no training rows, {' or '.join(TRAIN)}", where=LOCK, hint=hint)


def _choose_metric(policy: bytes, settings: TuneSettings) -> tuple[str, bool]:
    metrics = parse_policy(policy, where=POLICY).metrics
    judged = [name for name in metrics if name.startswith(_PREFIX)]
    name = settings.metric or next(iter(judged), None)
    if name is None or name not in judged:
        raise MlgitopsError(
            f"{name or 'no metric'} is not judged",
            where=f"{TUNE}: metric",
            hint=f"{POLICY} judges {', '.join(judged) or f'nothing that begins with {_PREFIX}'}",
        )
    return name, metrics[name].greater_is_better


def _find_package(paths: Sequence[str]) -> str:
    packages = sorted(match[1] for match in map(_FOLDS.fullmatch, paths) if match)
    if len(packages) != 1:
        raise MlgitopsError(
            f"{len(packages)} packages below src/ have a module folds.py, and one is needed",
            where="src",
            hint="`cruft update` brings it into a project of an older template",
        )
    return packages[0]


def _need(read: Read, name: str) -> bytes:
    data = read(name)
    if data is None:
        hint = _HINTS.get(name, "run it in the project's folder, or name that with --directory")
        raise MlgitopsError("there is no such file", where=name, hint=hint)
    return data


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
