"""The test rows on which a pull request's model is measured: base's own, or made by base's code.

Head's run may have written any rows. Where its test data is not base's, base's stages make it
again from head's raw data, which git vouches for; a stage that trains never runs.
"""

from __future__ import annotations

from contextlib import suppress
from hashlib import md5
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from msgspec import Struct

from mlgitops.comparison.graph import Graph
from mlgitops.comparison.measuring.edited import LOCKS, find_edited
from mlgitops.comparison.measuring.kinds import refuse_code
from mlgitops.comparison.measuring.plan import find_objects, list_needed
from mlgitops.comparison.measuring.run import remake_files
from mlgitops.comparison.sides import fetch_missing
from mlgitops.errors import MlgitopsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlgitops.comparison.measuring.plan import Plan
    from mlgitops.comparison.sides import SideFiles
    from mlgitops.console import Console
    from mlgitops.dvc.pipeline import Pipeline, Stage
    from mlgitops.model import Files

#: Files of data by their names; git may keep a small table itself.
_TABLES = {".csv", ".tsv", ".parquet", ".jsonl", ".ndjson", ".feather", ".arrow"}
_MAX_TEXT = 500
_OTHER_ROWS = (
    "The test rows that the pull request's run wrote are not those that the base's code makes of"
    " its data: {}."
)
_OTHER_MAKERS = (
    "The pull request edits what makes the test rows ({}). They are those of base, and whether its"
    " model was trained on them is not known."
)
_OWN_ROWS = "No stage of the base makes the test rows: those that the pull request names were used."


class Rows(Struct, frozen=True, kw_only=True):
    """What was made with the test data and the measuring needs: path → contents.

    None of them: there are rows, and they are not to be given to base's code.
    """

    contents: dict[str, bytes]
    rebuilt: bool = False  # base's stages made them from head's raw data
    chosen: bool = False  # head names them itself, for all to see

    def describe(self, head: SideFiles) -> tuple[str, ...]:
        """Say what a reader must know of how the rows came about."""
        if self.chosen:
            return (_OWN_ROWS,)
        others = [
            path for path, data in self.contents.items() if _is_other(head.find_hash(path), data)
        ]
        if self.rebuilt and others:
            return (_OTHER_ROWS.format(_join(others))[:_MAX_TEXT],)
        return ()


def _is_other(claimed: str | None, data: bytes) -> bool:
    """Tell whether a hash of DVC's is not that of ``data``."""
    digest = md5(data, usedforsecurity=False).hexdigest()
    return (claimed or "").startswith("md5:") and claimed != f"md5:{digest}"


def has_rows_of(base: SideFiles, head: SideFiles, plan: Plan) -> bool:
    """Tell whether head's test data, and what was made with it, is base's by their hashes."""
    return all(
        base.find_hash(path) is not None and base.find_hash(path) == head.find_hash(path)
        for path in plan.of_rows
    )


def describe_makers(plan: Plan, base: SideFiles, head: SideFiles) -> tuple[str, ...]:
    """Say that head edits what makes the test rows, though these are base's own."""
    stages = _list_makers(base.pipeline, plan.test_data)
    edited = find_edited(stages, base, head, besides=_list_raw(stages, base))
    locks = {base.folder.locate(lock) for lock in LOCKS}
    code = [path for path in edited if path not in locks]
    if not code or not has_rows_of(base, head, plan):
        return ()
    return (_OTHER_MAKERS.format(_join(code))[:_MAX_TEXT],)


def find_rows(
    plan: Plan, base: SideFiles, head: SideFiles, console: Console, *, timeout: float
) -> Rows:
    """Return the rows on which head's model is to be measured.

    Raises :class:`MlgitopsError` with the reason when base's code cannot make them.
    """
    if has_rows_of(base, head, plan):
        return Rows(contents=_read_files(base, {plan.test_data}, head, console))
    stages = _list_makers(base.pipeline, plan.test_data)
    if not stages:  # head's own choice of rows, for all to see: git or a .dvc file names them
        contents = _read_files(head, {plan.test_data}, base, console)
        _refuse_code(contents)
        return Rows(contents=contents, chosen=True)
    if any(plan.model in stage.outs for stage in stages):
        raise MlgitopsError(f"the stages that make `{plan.test_data}` at base train as well")
    raw = _list_raw(stages, base)
    edited = find_edited(stages, base, head, besides=raw)
    if edited:
        raise MlgitopsError(
            f"the pull request edits what makes the test rows ({_join(edited)}), so its model may"
            " have been trained on those of base"
        )
    return _remake(plan, stages, raw, base=base, head=head, console=console, timeout=timeout)


def read_claimed(files: Files, base: SideFiles, head: SideFiles, console: Console) -> Rows:
    """Read the test rows that head's run wrote, for base's model, where head's is not measured."""
    path = files.test_data or ""
    contents: dict[str, bytes] = {}
    with suppress(MlgitopsError):  # then no rows are given to base's code, either
        contents = _read_files(head, {path} - {""}, base, console)
        if base.find_hash(path) != head.find_hash(path):
            _refuse_code(contents)
        return Rows(contents=contents)
    return Rows(contents={})


def _refuse_code(contents: Mapping[str, bytes]) -> None:
    for path, data in contents.items():
        refuse_code(path, data)


def _remake(
    plan: Plan,
    stages: Sequence[Stage],
    raw: set[str],
    *,
    base: SideFiles,
    head: SideFiles,
    console: Console,
    timeout: float,
) -> Rows:
    """Let base's stages make the rows from head's raw data."""
    other = {path for path in raw if base.find_hash(path) != head.find_hash(path)}
    given = _read_files(head, other, base, console)
    _refuse_code(given)
    objects = find_objects(
        list_needed(stages) - other, base.pipeline, base.folder.list_files(base.sha)
    )
    fetch_missing(
        base, head, lambda side: set(objects) if side.name == base.name else set(), console
    )
    with console.step("making the test rows anew by base's code"):
        contents = remake_files(stages, objects, base, given, plan.of_rows, timeout=timeout)
    return Rows(contents=contents, rebuilt=True)


def _list_makers(pipeline: Pipeline, test_data: str) -> list[Stage]:
    """List the stages that make the test data, each after those that it builds on."""
    graph = Graph(pipeline)
    waiting = set(graph.walk_back(*graph.list_makers(test_data)))
    ordered: list[Stage] = []
    while waiting:
        ready = [
            name
            for name in sorted(waiting)
            if not waiting.intersection(graph.walk_back(name)) - {name}
        ]
        for name in ready or sorted(waiting):  # a circle: DVC runs none of it either
            ordered.append(pipeline.stages[name])
            waiting.remove(name)
    return ordered


def _list_raw(stages: Sequence[Stage], base: SideFiles) -> set[str]:
    """List the data that the stages start from: what DVC keeps, and tables in git."""
    return {
        path
        for path in list_needed(stages)
        if base.pipeline.find_version(path) or PurePosixPath(path).suffix.lower() in _TABLES
    }


def _read_files(
    side: SideFiles, paths: set[str], other: SideFiles, console: Console
) -> dict[str, bytes]:
    """Read files of one side by their hashes, from git, DVC's cache or the storage."""
    base, head = (side, other) if side.name == "base" else (other, side)
    fetch_missing(base, head, lambda at: paths if at.name == side.name else set(), console)
    contents: Mapping[str, bytes | None] = {
        path: side.read_anywhere(path) for path in sorted(paths)
    }
    for path, data in contents.items():
        if data is None:
            raise MlgitopsError(f"`{path}` of {side.name} is not here")
    return {path: data for path, data in contents.items() if data is not None}


def _join(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return f"`{paths[0]}`{more}"
