"""Hold features/flights.csv against contract.yaml; a row that breaks it stops the pipeline."""

import json
import sys
from pathlib import Path

import pandas as pd
from pandera.errors import SchemaErrors
from pandera.pandas import DataFrameSchema

FEATURES, CONTRACT = Path("features/flights.csv"), Path("contract.yaml")
REPORT = Path("reports/check.json")


def main() -> None:
    """Check the table, and write how many rows it has."""
    schema = DataFrameSchema.from_yaml(CONTRACT.read_text(encoding="utf-8"))
    text = [name for name, column in schema.columns.items() if str(column.dtype).startswith("str")]
    table = pd.read_csv(FEATURES, dtype=dict.fromkeys(text, "str"))
    try:
        schema.validate(table, lazy=True)
    except SchemaErrors as error:
        sys.exit(f"{FEATURES} breaks {CONTRACT}:\n{error.failure_cases.head(20).to_string()}")
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps({"rows": len(table)}) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
