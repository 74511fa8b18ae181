"""What is known of the table, to `DATA_CARD.md`; what only its owner knows is left to fill in.

Pure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mlgitops.project.generate.columns import Column, Kind

if TYPE_CHECKING:
    from mlgitops.project.generate.column_types import Facts
    from mlgitops.project.generate.table import Table

BLANK = "**TO FILL IN**"

_TEXT = """\
# Data: {name}

{blank}: one row is one ... The question: {question}

| | |
| --- | --- |
| rows | {rows:,} |
| period | {blank} |
| source | {blank}: who collected it, how and why; the file was {file} |
| licence | {blank}: who may use it, and for what |
| may be shown | nothing |

## How the table was made

{made}

{blank}: what was selected, joined or corrected before that.

## Columns

| column | holds | missing | meaning |
| --- | --- | --- | --- |
{columns}

## Not features

{left_out}

## What git keeps of it

The table is DVC's. Git keeps figures about it, in `reports/`, and the names of columns and
categories, in `contract.yaml`. `reports/golden.json` holds five rows of feature values: made from
the contract while `params.yaml` says `golden: synthetic`, rows of this table with `golden: real`.
With `| may be shown | test rows |` above, a page of `mlgitops compare --flips` lists rows by their
ids; without it, no page and no log of a workflow does.

## Limits

* {blank}: whom or what does the sample not stand for?
* {blank}: which columns are about people, and which of those may not decide?
* {blank}: when is the table too old to be used?
"""


def render_card(table: Table, facts: Facts) -> str:
    """Return the card, its blanks clearly marked."""
    changes = [_plain(note) for note in table.notes] or ["The table is as it was given."]
    left_out = [f"* {code(name)}: {_plain(why)}" for name, why in facts.left_out.items()]
    return _TEXT.format(
        name=_plain(re.sub(r"\.\w+$", "", table.name)),
        file=code(table.name),
        blank=BLANK,
        question=f"what is {code(facts.target.name)}?",
        rows=facts.rows,
        made="\n".join(f"* {line}" for line in changes),
        columns="\n".join(
            _render_row(column, facts) for column in (facts.target, *facts.columns.values())
        ),
        left_out="\n".join(left_out) or "Every column is a feature.",
    )


def _render_row(column: Column, facts: Facts) -> str:
    meaning = f"the target; {BLANK}" if column is facts.target else BLANK
    if column.name == facts.key:
        meaning = "names the row"
    missing = f"{column.missing:,}" if column.missing else ""
    return f"| {code(column.name)} | {describe(column)} | {missing} | {meaning} |"


def describe(column: Column) -> str:
    """Return what a column holds, in a few words."""
    if column.kind is Kind.EMPTY:
        return "nothing"
    if column.kind is Kind.NUMBER:
        return f"{'whole ' if column.whole else ''}numbers, {column.low:g} to {column.high:g}"
    if column.kind is Kind.DATE:
        return f"dates, {min(column.counts)} to {max(column.counts)}"
    shown = ", ".join(code(value[:30]) for value in list(column.counts)[:5])
    more = ", ..." if column.distinct > 5 else ""  # noqa: PLR2004 - as many as are shown
    return f"{column.distinct} values: {shown}{more}"


def code(text: str) -> str:
    r"""Return text from the data as a Markdown code span that no content can leave.

    >>> print(code("a|b`c"))
    ``a\|b`c``
    """
    runs = [len(run) for run in re.findall(r"`+", text)]
    fence = "`" * (max(runs, default=0) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{_line(text).replace('|', chr(92) + '|')}{pad}{fence}"


def _plain(text: str) -> str:
    """Return a sentence that may quote data, with nothing in it that Markdown acts on."""
    return re.sub(r"([\\`*_{}\[\]<>#|@])", r"\\\1", _line(text))


def _line(text: str) -> str:
    return "".join(sign if sign.isprintable() else " " for sign in text)
