"""The tables whose pointers differ between base and head, opened and compared.

Reads git, disk and DVC's cache; runs dvc only for objects that are nowhere here. Which
tables: those that a .dvc file names (the raw data, where people make changes), and the
policy's test data. What stages derive from them is left out: it repeats the same change, and
`data` lists it. Whatever cannot be compared is in the result, with the reason.
"""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from mlgitops.comparison.sides import fetch_missing
from mlgitops.errors import MlgitopsError
from mlgitops.model import TableChange
from mlgitops.numeric import load_numpy

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from mlgitops.comparison.sides import SideFiles
    from mlgitops.console import Console
    from mlgitops.model import Policy
    from mlgitops.tables.table import Table

#: Tables that are opened; the pointers of others are listed all the same.
MAX_TABLES = 10
#: A larger table is neither fetched nor read, in bytes.
MAX_BYTES = 2**30

_SUFFIXES = (".csv", ".tsv")
_OTHER_TABLES = {".parquet": "Parquet", ".feather": "Feather", ".xlsx": "Excel"}
_SLOW = 20_000_000  # bytes that take more than a second or two
_MAX_TEXT = 500


def compare_tables(
    base: SideFiles, head: SideFiles, policy: Policy, console: Console
) -> tuple[TableChange, ...]:
    """Compare every table whose content differs; no table differs, no work is done."""
    paths = find_tables(base, head, policy)
    opened = [path for path in paths if _refuse(path, base, head) is None][:MAX_TABLES]
    if opened:
        fetch_missing(base, head, lambda _: set(opened), console)
    changes = [_compare(path, base, head, console) for path in paths[:MAX_TABLES]]
    if len(paths) > MAX_TABLES:
        head.notices.append(f"{len(paths) - MAX_TABLES} more tables changed and were not opened.")
    return tuple(changes)


def find_tables(base: SideFiles, head: SideFiles, policy: Policy) -> list[str]:
    """List the tables whose content differs: raw ones, then the test data."""
    raw = sorted({*base.pipeline.pointers, *head.pipeline.pointers})
    named = [*raw, policy.files.test_data] if policy.files.test_data else raw
    return [
        path
        for path in dict.fromkeys(named)
        if PurePosixPath(path).suffix.lower() in (*_SUFFIXES, *_OTHER_TABLES)
        and base.find_hash(path) != head.find_hash(path)
    ]


def find_key(base: SideFiles, head: SideFiles, base_table: Table, head_table: Table) -> str | None:
    """Find the column that tells rows apart: `data.id` of the parameters, else `id`."""
    named = [_read_param(side, "data.id") for side in (head, base)]
    both = set(base_table.columns) & set(head_table.columns)
    return next((name for name in (*named, "id") if name in both), None)


def _read_param(side: SideFiles, name: str) -> str | None:
    text = side.params.get("params.yaml", {}).get(name)
    try:
        value = json.loads(text) if text else None
    except ValueError:
        return None
    return value if isinstance(value, str) else None


def _compare(path: str, base: SideFiles, head: SideFiles, console: Console) -> TableChange:
    """Compare one table; whatever is wrong with it becomes the reason."""
    reason = _refuse(path, base, head)
    if reason is not None:
        return TableChange(path=path, reason=reason)
    slow = _find_size(path, base, head) > _SLOW
    step: AbstractContextManager[object] = (
        console.step(f"comparing {path}") if slow else nullcontext()
    )
    try:
        with step:
            return _open_both(path, base, head)
    except MlgitopsError as error:
        prefix = f" ({error.where})" if error.where else ""
        return TableChange(path=path, reason=f"{error.what}{prefix}"[:_MAX_TEXT])
    except MemoryError:
        return TableChange(path=path, reason="the table does not fit into memory")
    except ImportError:
        return TableChange(path=path, reason="numpy is not installed (`mlgitops[statistics]`)")


def _open_both(path: str, base: SideFiles, head: SideFiles) -> TableChange:
    load_numpy()
    from mlgitops.comparison.tables.diff import diff_tables

    base_table, head_table = _read(path, base), _read(path, head)
    if base_table is None or head_table is None:
        only = "head" if base_table is None else "base"
        return TableChange(
            path=path,
            base_rows=base_table.rows if base_table else None,
            head_rows=head_table.rows if head_table else None,
            remark=f"only {only} has this table",
        )
    return diff_tables(
        base_table, head_table, key=find_key(base, head, base_table, head_table), path=path
    )


def _read(path: str, side: SideFiles) -> Table | None:
    """Read one side's table; None when that side has none."""
    source = _find_source(path, side)
    if source is None:
        return None
    from mlgitops.tables.table import read_table

    return read_table(source, where=side.name)


def _find_source(path: str, side: SideFiles) -> Path | bytes | None:
    """Find the content that the side's pointer names; git's own file where DVC has none."""
    version = side.find_version(path)
    if version is None:
        return side.read(path)
    from mlgitops.dvc.objects import find_object
    from mlgitops.dvc.stored import hash_file

    stored = find_object(side.folder.place, version)
    if stored is not None:
        exact = stored.parent.parent.name == "md5"  # DVC before 3.0 changed line ends first
        if exact and f"md5:{hash_file(stored)}" != version.hash:
            raise MlgitopsError(f"the stored file of {side.name} is damaged: run `dvc pull`")
        return stored
    beside = side.folder.place / path
    if side.sha is None and beside.is_file() and f"md5:{hash_file(beside)}" == version.hash:
        return beside
    raise MlgitopsError(f"{side.name}'s table is neither in DVC's cache nor in the storage")


def _refuse(path: str, base: SideFiles, head: SideFiles) -> str | None:
    """Say why a table is not opened at all, from its name and size."""
    form = _OTHER_TABLES.get(PurePosixPath(path).suffix.lower())
    if form is not None:
        return f"{form} tables are not opened: keep the raw table as CSV to see its rows"
    size = _find_size(path, base, head)
    if size > MAX_BYTES:
        return f"{size:,} bytes are too many to compare: at most {MAX_BYTES:,}"
    return None


def _find_size(path: str, *sides: SideFiles) -> int:
    """Return the bytes of the larger side, as the pointers say."""
    versions = [side.find_version(path) for side in sides]
    return max((version.size or 0 for version in versions if version), default=0)
