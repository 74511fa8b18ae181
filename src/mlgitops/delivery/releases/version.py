"""Which version comes next: what changed between two commits of a project. Reads git.

Contract changed → major: what is sent to the model, or what it answers. Behaviour changed → minor:
the code that trains or serves, its parameters or its locked packages. Trained on other data →
patch. YAML files are compared by what they mean, so that a comment is no change.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from mlgitops.delivery.bundle import SERVING_LOCK
from mlgitops.errors import MlgitopsError
from mlgitops.model.lineage import Change
from mlgitops.parsing import parse_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlgitops.git.repository import Repository

FIRST_VERSION = "v1.0.0"
CONTRACT, PARAMETERS, PIPELINE = "contract.yaml", "params.yaml", "dvc.yaml"
TRAINING_LOCK = "requirements/pipeline.txt"

_VERSION = re.compile(r"v(\d+)\.(\d+)\.(\d+)")
#: Compared as bytes: all that trains or serves, beside the YAML files above.
_CODE = ("src/", TRAINING_LOCK, SERVING_LOCK, "trusted_types.txt", ".python-version")
_CODE_SUFFIXES = (".py", ".sh", ".r", ".R", ".ipynb")
#: What dvc.yaml says of how a model is made; the rest of it says what is shown.
_MAKING = ("stages", "vars", "params")
#: What a column's block says to people alone.
_REMARKS = {"title", "description", "metadata"}


def next_version(previous: str | None, change: Change) -> str:
    """Return the version after ``previous``.

    >>> next_version("v1.4.2", Change.CONTRACT), next_version("v1.4.2", Change.BEHAVIOUR)
    ('v2.0.0', 'v1.5.0')
    >>> next_version("v1.4.2", Change.DATA), next_version(None, Change.FIRST)
    ('v1.4.3', 'v1.0.0')
    """
    if previous is None:
        return FIRST_VERSION
    match = _VERSION.fullmatch(previous)
    if match is None:
        raise MlgitopsError(f"{previous[:100]!a} is no version")
    major, minor, patch = map(int, match.groups())
    if change is Change.CONTRACT:
        return f"v{major + 1}.0.0"
    return (
        f"v{major}.{minor + 1}.0" if change is Change.BEHAVIOUR else f"v{major}.{minor}.{patch + 1}"
    )


def find_change(
    repository: Repository, project: str, before: str, after: str
) -> tuple[Change, tuple[str, ...]]:
    """Tell what changed in the folder ``project`` from one commit to another, and in which files.

    :attr:`Change.DATA` where neither contract nor behaviour did, whether or not data did.
    """
    edited = [
        path.removeprefix(project)
        for path in repository.changed_files(before, after)
        if path.startswith(project)
    ]
    interfaces = [_read_interface(repository, project, sha) for sha in (before, after)]
    if interfaces[0] != interfaces[1]:
        return Change.CONTRACT, tuple(path for path in edited if path in (CONTRACT, PARAMETERS))
    changed = tuple(_select_behaviour(repository, project, edited, before, after))
    return (Change.BEHAVIOUR, changed) if changed else (Change.DATA, ())


def _read_interface(repository: Repository, project: str, sha: str) -> dict[str, Any]:
    """Read what clients must send and what they get: inputs by name, task, target and classes."""
    contract = _read_mapping(repository, f"{project}{CONTRACT}", sha)
    params = _read_mapping(repository, f"{project}{PARAMETERS}", sha)
    columns = {name: _strip(block) for name, block in _mapping(contract.get("columns")).items()}
    features, data = _mapping(params.get("features")), _mapping(params.get("data"))
    inputs = [*_names(features.get("numeric")), *_names(features.get("categorical"))]
    target = data.get("target")
    return {
        "inputs": {name: columns.get(name) for name in inputs} if inputs else columns,
        "task": params.get("task"),
        "target": target,
        "positive": data.get("positive"),
        "answer": columns.get(str(target)),
        "rules": {name: contract.get(name) for name in ("strict", "coerce")},
    }


def _select_behaviour(
    repository: Repository, project: str, edited: list[str], before: str, after: str
) -> Iterator[str]:
    """Yield those edited files that train or serve otherwise than before."""
    for path in edited:
        if path in (CONTRACT, PARAMETERS, PIPELINE):
            keys = _MAKING if path == PIPELINE else None
            sides = [
                _read_making(repository, f"{project}{path}", sha, keys) for sha in (before, after)
            ]
            if sides[0] != sides[1]:
                yield path
        elif path.startswith(_CODE) or _is_outside_code(path):
            yield path


def _is_outside_code(path: str) -> bool:
    """Tell whether a file outside of src/ is a program that a stage may run; tests are not."""
    return path.endswith(_CODE_SUFFIXES) and not path.startswith(("tests/", "docs/"))


def _read_making(
    repository: Repository, path: str, sha: str, keys: tuple[str, ...] | None
) -> dict[str, Any]:
    content = _read_mapping(repository, path, sha)
    return content if keys is None else {key: content.get(key) for key in keys}


def _read_mapping(repository: Repository, path: str, sha: str) -> dict[str, Any]:
    """Read a YAML file at a commit; empty where it has none, or one that is no mapping."""
    data = repository.read(sha, path)
    return {} if data is None else _mapping(parse_yaml(data, f"{path} at {sha[:12]}"))


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _names(value: object) -> list[str]:
    return [str(name) for name in value] if isinstance(value, list) else []


def _strip(block: object) -> object:
    """Return the block of a column without what it says to people alone."""
    if not isinstance(block, dict):
        return block
    return {key: value for key, value in block.items() if key not in _REMARKS}
