"""Second stage: hold data/interim/table.csv against contract.yaml → reports/validation.json."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from .contract import (
    SHOWN,
    count_refused,
    find_gaps,
    find_mistakes,
    find_text_columns,
    read_columns,
    read_missing_limits,
    read_schema,
    render_mistakes,
)
from .plumbing import paths
from .plumbing.documents import write_json
from .plumbing.errors import StageError, run_stage
from .plumbing.tables import read_table

if TYPE_CHECKING:
    import pandas as pd

    from .contract import Mistake

#: Mistakes kept in the report; all are counted.
KEPT = 1000


def main() -> None:
    """Run the stage; fail when a row breaks the contract."""
    table = read_table(paths.INTERIM, find_text_columns(read_columns(paths.CONTRACT)))
    mistakes = find_mistakes(table, read_schema(paths.CONTRACT))
    mistakes += find_gaps(table, read_missing_limits(paths.CONTRACT))
    write_json(summarise(table, mistakes), paths.VALIDATION)
    if mistakes:
        raise StageError(
            f"the data breaks {paths.CONTRACT} in {len(mistakes)} places:\n"
            f"{render_mistakes(mistakes)}\n"
            f"{render_refused(mistakes, len(table))}\n"
            f"Mend the data, or edit {paths.CONTRACT} if it is the contract that is wrong."
        )
    print(f"{len(table)} rows keep the contract")


def render_refused(mistakes: list[Mistake], rows: int) -> str:
    """Return how many rows each check refuses, a line each, the most first."""
    refused = count_refused(mistakes)
    lines = [f"  {check}: {count} of {rows} rows" for check, count in refused.items()]
    return "\n".join(["Refused by each check:", *lines[:SHOWN]])


def summarise(table: pd.DataFrame, mistakes: list[Mistake]) -> dict[str, Any]:
    """Return the stage's report: size, missing values for each column, mistakes by check."""
    missing = table.isna().sum()
    return {
        "passed": not mistakes,
        "rows": len(table),
        "columns": len(table.columns),
        "missing": {name: int(count) for name, count in missing.items() if count},
        "mistakes": len(mistakes),
        "refused": count_refused(mistakes),
        "first_mistakes": [msgspec.structs.asdict(mistake) for mistake in mistakes[:KEPT]],
    }


if __name__ == "__main__":
    run_stage(main)
