"""First stage: data/raw/table.{{ cookiecutter._data_format }} → data/interim/table.{{ cookiecutter._data_format }}, with an id in every row.

Values stay text. Names lose blanks around them, missing values become empty, and where contract.yaml
has a rule for a column (`metadata: ingest:`), its cells are read by that.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from .params import read_params
from .plumbing import paths
from .plumbing.cells import MISSING, apply_rules, read_rules
from .plumbing.errors import StageError, run_stage
from .plumbing.repeats import Repeats
from .plumbing.tables import ID, open_table, read_text_parts

if TYPE_CHECKING:
    import pandas as pd

    from .params import Data
    from .plumbing.cells import Rule

_ID_BYTES = 8  # of a hash: two different rows collide once in 10^9 tables of 10^5 rows


def main() -> None:
    """Run the stage."""
    data, rules = read_params(paths.PARAMS).data, read_rules(paths.CONTRACT)
    repeats, rows, columns = Repeats(), 0, 0
    with open_table(paths.INTERIM) as append:
        for part in read_text_parts(paths.RAW):
            prepared = prepare(part, data, rules, repeats)
            append(prepared)
            rows, columns = rows + len(prepared), prepared.shape[1]
    print(f"{rows} rows, {columns} columns")


def prepare(
    table: pd.DataFrame,
    data: Data,
    rules: dict[str, Rule] | None = None,
    repeats: Repeats | None = None,
) -> pd.DataFrame:
    """Return the table with clean column names, an id, and its cells read by the rules.

    An id is made before the rules are applied, so that a new rule gives no row another id; a part
    of a table gets the ids that it has in the whole by ``repeats`` of the parts before it.
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
        ids = add_id(table.where(~table.isin(MISSING), ""), repeats)[ID]
        table = table.assign(**{ID: ids})[[ID, *table.columns]]
    return apply_rules(table, rules or {})


def add_id(table: pd.DataFrame, repeats: Repeats | None = None) -> pd.DataFrame:
    """Return the table with a first column `id` made from each row's content.

    The id of a row does not depend on where it stands. The second of two equal rows gets
    `-2` appended, the third `-3`; ``repeats`` has counted the rows that came earlier.
    """
    if ID in table.columns:
        raise StageError(f"there is a column {ID} already: name it in params.yaml, data.id")
    rows = zip(*(table[name].tolist() for name in table.columns), strict=True)
    digests = [hashlib.sha256("\x1f".join(row).encode()).digest()[:_ID_BYTES] for row in rows]
    earlier = (repeats or Repeats()).count(np.frombuffer(b"".join(digests), dtype=">u8"))
    ids = [
        f"{digest.hex()}-{count + 1}" if count else digest.hex()
        for digest, count in zip(digests, earlier.tolist(), strict=True)
    ]
    table = table.copy()
    table.insert(0, ID, ids)
    return table


if __name__ == "__main__":
    run_stage(main)
