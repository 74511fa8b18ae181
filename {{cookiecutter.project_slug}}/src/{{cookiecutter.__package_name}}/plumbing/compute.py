"""Many calls of one function, here or on a cluster: `run_tasks`, by `compute:` in params.yaml.

A cluster's node needs the packages of the pipeline's lock and nothing else of this project: each
call brings the package's own source with it, and runs in a process of its own there. So a node
that has served another commit answers as this one, and the same values come back from everywhere.
"""

from __future__ import annotations

import importlib.metadata
import io
import json
import math
import os
import re
import sys
import zipfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import joblib

from . import paths
from .backends import connect_dask, connect_ray
from .errors import ClusterError, StageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..params import Compute
    from .backends import Answer, Cluster

T = TypeVar("T")
R = TypeVar("R")

#: Set it to `local`, and whatever params.yaml says, this run asks no other machine.
VARIABLE = "MLGITOPS_COMPUTE"

#: What decides the digits of every result; a node must have them, whatever the lock says.
LIBRARIES = frozenset(["numpy", "pandas", "python", "scikit-learn", "scipy", "skops"])

#: What pandas computes with wherever it is installed, in sums of another order: a node must not
#: have them alone. Source: pandas, "Installation", performance dependencies.
ACCELERATORS = ("bottleneck", "numexpr")

#: A package that a lock names for every platform, as uv writes it.
_LOCKED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[.*?\])?==(?!.*;.*platform)", re.MULTILINE)

#: What `python -m venv` brings, by the Python and not by a lock.
_INSTALLERS = ("pip", "setuptools")

#: Each process of a cluster gets about so many parcels of tasks: one lost costs little, and few
#: processes start.
_PARCELS = 4

_CONNECT = {"dask": connect_dask, "ray": connect_ray}


def run_tasks(
    function: Callable[..., R],
    tasks: Sequence[T],
    compute: Compute,
    *,
    shared: tuple[object, ...] = (),
) -> list[R]:
    """Return ``function(task, *shared)`` for each task, in their order.

    The function stands at the top level of a module of this package. What it takes and returns
    can be pickled, and is of no class that the stage's own module defines; ``shared``, such as
    the model, is sent to each node once. A node that is lost costs its tasks once more.

    Raises :class:`StageError` as the first task does that fails, and :class:`ClusterError` when
    the cluster cannot be reached, is lost, or has a node with other libraries than this one.
    """
    if not tasks or runs_here(compute):
        return [function(task, *shared) for task in tasks]
    cluster = _reach(compute.backend, compute.address)
    size = math.ceil(len(tasks) / (_PARCELS * cluster.slots))
    groups = [tasks[start : start + size] for start in range(0, len(tasks), size)]
    parcels = [pack_parcel(function, group) for group in groups]
    print(f"{len(tasks)} tasks on {cluster.slots} processes of {compute.backend}")
    answers = cluster.run(pack_archive(shared), parcels)
    return [result for answer in answers for result in open_answer(answer)]


def runs_here(compute: Compute) -> bool:
    """Tell whether tasks run in this process, one after the other."""
    return compute.backend == "local" or os.environ.get(VARIABLE) == "local"


@cache
def describe_libraries() -> dict[str, str]:
    """Return name → version of Python and of all that is installed: estimators may be of any."""
    versions = {
        normalise_name(package.name): package.version
        for package in importlib.metadata.distributions()
        if package.name and package.name not in _INSTALLERS
    }
    return versions | {"python": f"{sys.version_info.major}.{sys.version_info.minor}"}


def normalise_name(name: str) -> str:
    """Return the one spelling of a package's name, as a lock has it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def describe_needs() -> dict[str, dict[str, str | None]]:
    """Return what a node must have, and what it may lack: name → version, None: not at all.

    It must have what the pipeline's lock names, such as the estimator's own library; of the rest
    that is installed here, the cluster's library among it, it may have no other version.
    """
    present = describe_libraries()
    needed = LIBRARIES | read_locked_names(paths.LOCK)
    absent = dict.fromkeys(name for name in ACCELERATORS if name not in present)
    return {
        "must": {name: version for name, version in present.items() if name in needed} | absent,
        "may": {name: version for name, version in present.items() if name not in needed},
    }


def read_locked_names(lock: Path) -> set[str]:
    """Read the names in the pipeline's lock; none where a program runs in another folder."""
    text = lock.read_text(encoding="utf-8") if lock.is_file() else ""
    return {normalise_name(name) for name in _LOCKED.findall(text)}


@cache
def _reach(backend: str, address: str | None) -> Cluster:
    """Connect once in a process: to start a cluster here takes seconds."""
    try:
        return _CONNECT[backend](address)
    except ModuleNotFoundError:
        raise ClusterError(
            f"compute.backend: {backend} is not installed here: run `mlgitops setup`, which adds "
            f"requirements/compute-{backend}.txt while params.yaml asks for it"
        ) from None


def pack_parcel(function: Callable[..., object], tasks: Sequence[object]) -> bytes:
    """Return the name of a function and some tasks of it, for `parcel` on a node."""
    module = function.__module__
    if module == "__main__":  # the stage that is running has this name here alone
        module = str(getattr(sys.modules[module].__spec__, "name", module))
    return _dump((module, function.__qualname__, tasks))


def pack_archive(shared: tuple[object, ...]) -> bytes:
    """Return an archive with this package's source and what all tasks share."""
    package = Path(__file__).parents[1]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(package.rglob("*.py")):
            archive.write(path, path.relative_to(package.parent))
        archive.writestr("libraries.json", json.dumps(describe_needs()))
        archive.writestr("shared.joblib", _dump(shared))
    return packed.getvalue()


def open_answer(answer: Answer) -> Iterator[Any]:
    """Yield the results of one parcel; raise :class:`StageError` for what a node says instead."""
    if not isinstance(answer, bytes):
        has_begun, said = answer
        # What ends a process before its first task is the node's; later, as here, the task's.
        raise (StageError if has_begun else ClusterError)(f"compute: {said}")
    results, mistake = joblib.load(io.BytesIO(answer))
    if mistake is not None:
        raise StageError(mistake)
    yield from results


def _dump(value: object) -> bytes:
    packed = io.BytesIO()
    joblib.dump(value, packed)
    return packed.getvalue()
