"""Which files a pull request edits of what measures, or of what makes the rows measured on.

Reads git. Paths are named from the repository's root, as git names them.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from mlgitops.comparison.protected import find_traces
from mlgitops.dvc.params import find_value, parse_values
from mlgitops.environments import COMPUTE_BACKENDS
from mlgitops.errors import MlgitopsError
from mlgitops.git.paths import is_below

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from mlgitops.comparison.sides import SideFiles
    from mlgitops.dvc.pipeline import Stage

#: What the stages' Python has installed.
LOCKS = (
    "requirements/pipeline.txt",
    *(f"requirements/compute-{name}.txt" for name in COMPUTE_BACKENDS),
)


def find_edited(
    stages: Collection[Stage],
    base: SideFiles,
    head: SideFiles,
    *,
    besides: Collection[str] = (),
) -> tuple[str, ...]:
    """List what head edits of that by which base's ``stages`` do what they do.

    Their code, definitions, parameters and environment; ``besides`` are inputs of theirs that do
    not count, such as the raw table.
    """
    changed = base.folder.repository.changed_files(base.sha, head.sha)
    inputs = {dep for stage in stages for dep in stage.deps}
    outs = {out for stage in base.pipeline.stages.values() for out in stage.outs}
    named = {*LOCKS, *(inputs - outs - set(besides) - set(base.pipeline.pointers))}
    code = find_traces((base, head), named)
    others = {base.folder.locate(path) for path in _list_set(stages, base, head)}
    redefined = _list_redefined(stages, base, head, changed)
    edited = {path for path in changed if path in others or is_below(path, code)}
    return tuple(sorted({*edited, *redefined}))


def _list_redefined(
    stages: Iterable[Stage], base: SideFiles, head: SideFiles, changed: Collection[str]
) -> Iterator[str]:
    """Yield the files by which a stage is not what it is at base.

    Its dvc.yaml, or the files of values for `${...}` in one that stays as it is.
    """
    values = {base.folder.locate(path) for path in base.pipeline.params | head.pipeline.params}
    for stage in stages:
        if head.pipeline.stages.get(stage.name) != stage:
            file = base.folder.locate(posixpath.normpath(stage.file))
            yield from {file}.intersection(changed) or values.intersection(changed) or {file}


def _list_set(stages: Iterable[Stage], base: SideFiles, head: SideFiles) -> Iterator[str]:
    """Yield the parameter files in which a stage's values are not those of base."""
    for stage in stages:
        for path, names in stage.params.items():
            before, after = (_read_values(side, path, names) for side in (base, head))
            if before is None or before != after:
                yield path


def _read_values(side: SideFiles, path: str, names: tuple[str, ...]) -> object:
    """Read the values of ``names``, of the whole file where there are none; None if unreadable."""
    try:
        data = side.read_anywhere(path)
        values = {} if data is None else parse_values(data, path)
    except MlgitopsError:
        return None
    return [find_value(values, name) for name in names] if names else values
