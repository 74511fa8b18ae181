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
import sys
import zipfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import joblib

from .backends import connect_dask, connect_ray
from .errors import StageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..params import Compute
    from .backends import Cluster

T = TypeVar("T")
R = TypeVar("R")

#: Set it to `local`, and whatever params.yaml says, this run asks no other machine.
VARIABLE = "MLGITOPS_COMPUTE"

#: What decides the digits of every result; a node must have them.
LIBRARIES = ("numpy", "pandas", "scikit-learn", "scipy", "skops")

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

    Raises :class:`StageError` as the first task does that fails, when the cluster cannot be
    reached, and when a node has other libraries than this one.
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
        package.name.lower().replace("_", "-"): package.version
        for package in importlib.metadata.distributions()
        if package.name and package.name not in _INSTALLERS
    }
    return versions | {"python": f"{sys.version_info.major}.{sys.version_info.minor}"}


@cache
def _reach(backend: str, address: str | None) -> Cluster:
    """Connect once in a process: to start a cluster here takes seconds."""
    try:
        return _CONNECT[backend](address)
    except ModuleNotFoundError:
        raise StageError(
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
        archive.writestr("libraries.json", json.dumps(describe_libraries()))
        archive.writestr("shared.joblib", _dump(shared))
    return packed.getvalue()


def open_answer(answer: bytes | str) -> Iterator[Any]:
    """Yield the results of one parcel; raise :class:`StageError` for what a node says instead."""
    if isinstance(answer, str):
        raise StageError(f"compute: {answer}")
    results, mistake = joblib.load(io.BytesIO(answer))
    if mistake is not None:
        raise StageError(mistake)
    yield from results


def _dump(value: object) -> bytes:
    packed = io.BytesIO()
    joblib.dump(value, packed)
    return packed.getvalue()
