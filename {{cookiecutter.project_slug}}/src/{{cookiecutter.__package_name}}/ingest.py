"""First stage: data/raw/table.csv → data/interim/table.csv, with an id in every row.

Values stay text. Names lose blanks around them, missing values become empty, and where contract.yaml
has a rule for a column (`metadata: ingest:`), its cells are read by that.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING

from .params import read_params
from .plumbing import paths
from .plumbing.cells import MISSING, apply_rules, read_rules
from .plumbing.errors import StageError, run_stage
from .plumbing.tables import ID, read_source, write_table

if TYPE_CHECKING:
    import pandas as pd

    from .params import Data
    from .plumbing.cells import Rule

_ID_DIGITS = 16  # hex digits: two different rows collide once in 10^9 tables of 10^5 rows


def main() -> None:
    """Run the stage."""
    rules = read_rules(paths.CONTRACT)
    table = prepare(read_source(paths.RAW), read_params(paths.PARAMS).data, rules)
    write_table(table, paths.INTERIM)
    print(f"{len(table)} rows, {table.shape[1]} columns")


def prepare(table: pd.DataFrame, data: Data, rules: dict[str, Rule] | None = None) -> pd.DataFrame:
    """Return the table with clean column names, an id, and its cells read by the rules.

    An id is made before the rules are applied, so that a new rule gives no row another id.
    Raises :class:`StageError` when it has no rows, or lacks the target or the id.
    """
    table = table.rename(columns=lambda name: str(name).strip())
    if table.empty:
        raise StageError(f"{paths.RAW} has no rows")
    for key, name in (("data.target", data.target), ("data.id", data.id)):
        if name is not None and name not in table.columns:
            columns = ", ".join(table.columns)
            raise StageError(f"{paths.RAW} has no column {name} ({key}); it has {columns}")
    if data.id is None:
        ids = add_id(table.where(~table.isin(MISSING), ""))[ID]
        table = table.assign(**{ID: ids})[[ID, *table.columns]]
    return apply_rules(table, rules or {})


def add_id(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with a first column `id` made from each row's content.

    The id of a row does not depend on where it stands. The second of two equal rows gets
    `-2` appended, the third `-3`.
    """
    if ID in table.columns:
        raise StageError(f"there is a column {ID} already: name it in params.yaml, data.id")
    seen: Counter[str] = Counter()
    ids = []
    for row in table.itertuples(index=False):
        digest = hashlib.sha256("\x1f".join(row).encode()).hexdigest()[:_ID_DIGITS]
        seen[digest] += 1
        ids.append(digest if seen[digest] == 1 else f"{digest}-{seen[digest]}")
    table = table.copy()
    table.insert(0, ID, ids)
    return table


if __name__ == "__main__":
    run_stage(main)
