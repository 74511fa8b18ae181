"""Write a data-set folder: the table and the four files that the person edits afterwards.

In: a table and what was inferred of it. Out: `data.csv` or `data.parquet`, `contract.yaml`,
`params.yaml`, `policy.yaml` and `DATA_CARD.md` in an existing folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgitops.project.generate.card import render_card
from mlgitops.project.generate.contract import render_contract
from mlgitops.project.generate.params import render_params
from mlgitops.project.generate.policy import render_policy
from mlgitops.project.generate.table import write_table

if TYPE_CHECKING:
    from pathlib import Path

    from mlgitops.project.generate.column_types import Facts
    from mlgitops.project.generate.table import Table


def write_dataset(folder: Path, table: Table, facts: Facts, *, golden: str = "synthetic") -> None:
    """Write the five files of a data-set folder.

    ``golden``: synthetic or real, the rows by which a deployed model is recognised.
    """
    texts = {
        "contract.yaml": render_contract(facts),
        "params.yaml": render_params(facts, golden=golden),
        "policy.yaml": render_policy(facts, data_format=table.data_format),
        "DATA_CARD.md": render_card(table, facts),
    }
    write_table(table, folder / f"data.{table.data_format}")
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
