"""Two tables to what differs between them: rows, columns, missing values, distributions. Pure.

Rows are told apart by a key column. Without one, or where keys repeat, whole rows are compared
as a multiset, and the result says so. The order of rows and columns means nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlgitops.model import SHIFTED, ColumnChange, TableChange
from mlgitops.numeric import count_distinct
from mlgitops.statistics.drift import Drift, measure_drift
from mlgitops.tables.columns import mix, salt
from mlgitops.tables.table import ColumnKind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mlgitops.tables.table import Column, Table

    Bits = NDArray[np.uint64]
    Places = NDArray[np.int64]

#: Columns that one table's change lists; the others are counted.
MAX_LISTED = 60

_NO_VALUE = np.uint64(0x9E3779B97F4A7C15)
#: A PSI or a share below this is not worth a row of the report.
_WORTH_TELLING = 0.01
_SHIFT_WORTH_TELLING = 0.1  # standard deviations


def diff_tables(base: Table, head: Table, *, key: str | None, path: str = "table") -> TableChange:
    """Compare two tables; ``key`` names the column that tells rows apart, None compares rows."""
    remark = _check_key(base, head, key)
    used = None if remark or key is None else key
    shared = [name for name in base.columns if name in head.columns]
    bits = {name: _same_bits(base.columns[name], head.columns[name]) for name in shared}
    if used is None:
        added, removed = _diff_rows(bits, shared, base.rows, head.rows)
        changed, cells = None, dict.fromkeys(shared)
    else:
        added, removed, changed, cells = _diff_keyed(bits, used)
    columns = _diff_columns(base, head, used, cells)
    if used is None and remark is None:
        remark = "no key column is known, so whole rows are compared"
    return TableChange(
        path=path,
        base_rows=base.rows,
        head_rows=head.rows,
        key=used,
        added=added,
        removed=removed,
        changed=changed,
        columns=tuple(columns[:MAX_LISTED]),
        omitted_columns=len(columns[MAX_LISTED:]),
        remark=remark,
    )


def _check_key(base: Table, head: Table, key: str | None) -> str | None:
    """Say why ``key`` cannot tell rows apart; None when it can, or when there is none."""
    if key is None:
        return None
    for side, table in (("base", base), ("head", head)):
        column = table.columns.get(key)
        if column is None:
            return f"the key `{key}` is no column at {side}, so whole rows are compared"
        repeated = _count_repeated(_own_bits(column))
        if repeated:
            rows = "1 row repeats" if repeated == 1 else f"{repeated:,} rows repeat"
            return f"{rows} a key of `{key}` at {side}, so whole rows are compared"
    return None


def _count_repeated(bits: Bits) -> int:
    ordered = np.sort(bits)
    return int((ordered[1:] == ordered[:-1]).sum())


def _same_bits(base: Column, head: Column) -> tuple[Bits, Bits]:
    """Return 64 bits for each cell that are equal where the cells mean the same.

    Numbers are compared as numbers (1 is 1.0), all else as text; missing is missing.
    """
    if base.kind is head.kind is ColumnKind.NUMBER:
        return _own_bits(base), _own_bits(head)
    if ColumnKind.NUMBER in (base.kind, head.kind) and ColumnKind.EMPTY in (base.kind, head.kind):
        return _own_bits(base), _own_bits(head)
    return _text_bits(base), _text_bits(head)


def _own_bits(column: Column) -> Bits:
    if column.kind is ColumnKind.NUMBER and column.values is not None:
        return _mark_missing(column.values.view(np.uint64), column)
    return _text_bits(column)


def _text_bits(column: Column) -> Bits:
    return _mark_missing(column.identity, column)


def _mark_missing(bits: Bits, column: Column) -> Bits:
    return np.where(column.missing, _NO_VALUE, bits) if column.missing.any() else bits


def _diff_rows(
    bits: dict[str, tuple[Bits, Bits]], shared: list[str], base_rows: int, head_rows: int
) -> tuple[int, int]:
    """Count rows that stand only at head and only at base, over the shared columns."""
    if not shared:
        return head_rows, base_rows
    base_hashes = _join_cells([bits[name][0] for name in shared])
    head_hashes = _join_cells([bits[name][1] for name in shared])
    before, before_counts = count_distinct(base_hashes)
    after, after_counts = count_distinct(head_hashes)
    _, left, right = np.intersect1d(before, after, assume_unique=True, return_indices=True)
    kept = int(np.minimum(before_counts[left], after_counts[right]).sum())
    return head_rows - kept, base_rows - kept


def _join_cells(columns: list[Bits]) -> Bits:
    """Return 64 bits for each row, equal for equal cells in the same columns."""
    joined = np.zeros_like(columns[0])
    for at, cells in enumerate(columns):
        joined += mix(mix(cells ^ salt(2 * at + 64)) ^ salt(2 * at + 65))
    return joined


def _diff_keyed(
    bits: dict[str, tuple[Bits, Bits]], key: str
) -> tuple[int, int, int, dict[str, int | None]]:
    """Count rows by key: added, removed, changed; and in which columns they changed."""
    base_keys, head_keys = bits[key]
    beside = _match_beside(base_keys, head_keys)
    left, right = _match_apart(base_keys, head_keys, beside)
    differs, differs_apart = np.zeros(beside.size, np.bool_), np.zeros(left.size, np.bool_)
    cells: dict[str, int | None] = {}
    for name, (base_cells, head_cells) in bits.items():
        different = base_cells[: beside.size] != head_cells[: beside.size]
        different &= beside
        apart = base_cells[left] != head_cells[right]
        cells[name] = int(np.count_nonzero(different)) + int(np.count_nonzero(apart))
        differs |= different
        differs_apart |= apart
    matched = int(np.count_nonzero(beside)) + left.size
    changed = int(np.count_nonzero(differs)) + int(np.count_nonzero(differs_apart))
    return head_keys.size - matched, base_keys.size - matched, changed, cells


def _match_beside(base: Bits, head: Bits) -> NDArray[np.bool_]:
    """Tell where both sides have the same key in the same row, as most rows of an edit do."""
    shorter = min(base.size, head.size)
    return np.asarray(base[:shorter] == head[:shorter])


def _match_apart(base: Bits, head: Bits, beside: NDArray[np.bool_]) -> tuple[Places, Places]:
    """Return the rows of equal keys that stand in different rows; no key repeats on a side."""
    base_rows, head_rows = (
        np.concatenate([np.flatnonzero(~beside), np.arange(beside.size, keys.size)])
        for keys in (base, head)
    )
    _, left, right = np.intersect1d(
        base[base_rows], head[head_rows], assume_unique=True, return_indices=True
    )
    return base_rows[left], head_rows[right]


def _diff_columns(
    base: Table, head: Table, key: str | None, cells: dict[str, int | None]
) -> list[ColumnChange]:
    """List the columns that differ, most telling first; a key's values are names, no levels."""
    changes = []
    for name in sorted({*base.columns, *head.columns}):
        base_column, head_column = base.columns.get(name), head.columns.get(name)
        drift = Drift()
        if base_column is not None and head_column is not None and name != key:
            drift = measure_drift(base_column, head_column)
        changes.append(_diff_column(name, base_column, head_column, drift, cells.get(name)))
    return sorted((change for change in changes if is_telling(change)), key=_rank)


def _diff_column(
    name: str, base: Column | None, head: Column | None, drift: Drift, changed: int | None
) -> ColumnChange:
    return ColumnChange(
        name=name,
        base_kind=base.kind.value if base is not None else None,
        head_kind=head.kind.value if head is not None else None,
        changed_rows=changed,
        base_missing=base.missing_share if base is not None else None,
        head_missing=head.missing_share if head is not None else None,
        psi=drift.psi,
        psi_expected=drift.expected,
        mean_shift=drift.mean_shift,
        reason=drift.reason,
        new_levels=drift.new_levels,
        gone_levels=drift.gone_levels,
        more_levels=drift.more_levels,
    )


def is_telling(change: ColumnChange) -> bool:
    """Tell whether a column differs by anything worth a line."""
    return (
        change.base_kind != change.head_kind
        or bool(change.changed_rows)
        or bool(change.new_levels or change.gone_levels)
        or (change.psi or 0.0) >= _WORTH_TELLING
        or abs((change.head_missing or 0.0) - (change.base_missing or 0.0)) >= _WORTH_TELLING
        or abs(change.mean_shift or 0.0) >= _SHIFT_WORTH_TELLING
    )


def _rank(change: ColumnChange) -> tuple[int, float, int, str]:
    """Sort key: added, removed and retyped columns, then shifts, new levels, changed cells."""
    retyped = change.base_kind != change.head_kind
    levels = bool(change.new_levels or change.gone_levels)
    first = 0 if retyped else 1 if (change.psi or 0.0) >= SHIFTED else 2 if levels else 3
    return (first, -(change.psi or 0.0), -(change.changed_rows or 0), change.name)
