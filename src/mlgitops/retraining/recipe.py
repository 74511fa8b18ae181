"""How a row of the raw table is made of a request and its label: a part for each column. Pure.

In: the table's header, `params.yaml`, `contract.yaml`, `monitor.yaml`. A column that nothing fills
stays empty, and the contract says whether it may.
"""

from __future__ import annotations

import datetime as dt
import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlgitops.errors import MlgitopsError
from mlgitops.model.monitoring import Redaction, RowPart
from mlgitops.monitoring.plan import read_features, spell
from mlgitops.monitoring.settings import MONITOR
from mlgitops.parsing import parse_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlgitops.model.monitoring import MonitorSettings
    from mlgitops.monitoring.records import Line

#: Columns of a labels' source that hold what the model said, and no outcome.
_OWN_ANSWERS = ("answer", "prediction", "score")
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_WHOLE = re.compile(r"u?int(eger)?\d*", re.IGNORECASE)  # a contract's types of whole numbers


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What fills each column of the table."""

    header: tuple[str, ...]  # of the table, as it is written
    inputs: tuple[str, ...]  # of the model, in the order in which the log is read
    parts: tuple[int | RowPart | None, ...]  # of each column: an input, a part, or the outcome
    target: int  # position of the outcome's column
    id_column: str | None  # that the project names; None: rows have none of their own
    client: int | None = None  # the input that says who asked
    spellings: Mapping[int, Mapping[str, str]]  # of a column: one spelling → the contract's
    whole: frozenset[int]  # columns of whole numbers
    signs: Mapping[int, str] = field(default_factory=dict)  # of a column: its decimal sign
    dates: Mapping[int, str] = field(default_factory=dict)  # of a column: how it writes dates

    def fill(self, line: Line[Any], outcome: str | float) -> tuple[str, ...]:
        """Return the cells of a row, in the order of the header."""
        cells: list[object] = []
        for at, part in enumerate(self.parts):
            if at == self.target:
                cells.append(outcome)
            elif isinstance(part, int):
                cells.append(getattr(line.inputs, f"c{part}"))
            else:
                cells.append(_take(line, part))
        return tuple(self._write(at, cell) for at, cell in enumerate(cells))

    def list_id_columns(self) -> list[str]:
        """List the columns that the ids of requests fill, be they the project's id or not."""
        filled = zip(self.header, self.parts, strict=True)
        return [name.strip() for name, part in filled if part is RowPart.ID]

    def pick_inputs(self, cells: Sequence[str]) -> list[str]:
        """Return those cells of a row that inputs filled."""
        return [cells[at] for at, part in enumerate(self.parts) if isinstance(part, int)]

    def _write(self, at: int, cell: object) -> str:
        """Write a cell as the table has it: a class or a level in the contract's spelling."""
        if cell is None:
            return ""
        known = self.spellings.get(at, {}).get(spell(cell))
        if known is not None:
            return known
        if isinstance(cell, float) and cell.is_integer() and at in self.whole:
            return str(int(cell))
        return self._write_raw(at, str(cell))

    def _write_raw(self, at: int, text: str) -> str:
        """Write a number or a date as the ingest stage reads it, by the rules of the contract.

        `1.5` where a point stands between thousands would be read as 15.
        """
        if at in self.signs and _NUMBER.fullmatch(text):
            return text.replace(".", self.signs[at])
        if at in self.dates and _DATE.match(text):  # a plain number is no date
            with suppress(ValueError):
                return dt.datetime.fromisoformat(text).strftime(self.dates[at])
        return text


def _take(line: Line[Any], part: RowPart | None) -> str | None:
    if part is RowPart.ID:
        return line.id
    if part is RowPart.DAY:
        return line.at[:10]
    return f"{line.at[:19]}Z" if part is RowPart.TIME else None


def make_recipe(
    header: Sequence[str], params: bytes, contract: bytes, settings: MonitorSettings
) -> Recipe:
    """Make the recipe; raises :class:`MlgitopsError` where nothing can be learned from the log.

    That is where the log keeps no value of an input, and where what is called a label is what the
    model said.
    """
    document, described = parse_yaml(params, "params.yaml"), _read_columns(contract)
    data, split = _section(document, "data"), _section(document, "split")
    names = [name.strip() for name in header]
    target, inputs = data.get("target"), tuple(read_features(params))
    if names.count(str(target)) != 1:
        where = "data/raw/table.csv"
        raise MlgitopsError(f"it has no column {target!a:.80} that is the target", where=where)
    _refuse_redacted(inputs, settings)
    _refuse_own_answers(settings)
    extra = _list_extra(names, data.get("id"), split, settings)
    parts = tuple(inputs.index(name) if name in inputs else extra.get(name) for name in names)
    return Recipe(
        header=tuple(header),
        inputs=inputs,
        parts=parts,
        target=names.index(str(target)),
        id_column=data.get("id"),
        client=_find_client(inputs, settings),
        spellings={at: _read_spellings(described.get(name)) for at, name in enumerate(names)},
        whole=frozenset(at for at, name in enumerate(names) if _is_whole(described.get(name))),
        signs=_read_forms(names, contract, "decimal"),
        dates=_read_forms(names, contract, "format"),
    )


def _list_extra(
    names: Sequence[str], id_column: object, split: Mapping[str, Any], settings: MonitorSettings
) -> dict[str, RowPart]:
    """Return what fills the columns that are no inputs: the id, the day, and what is set."""
    extra = {str(id_column): RowPart.ID} if id_column is not None else {}
    if split.get("method") == "time":
        extra[str(split.get("column"))] = RowPart.DAY
    extra |= settings.retrain.columns
    odd = sorted(settings.retrain.columns.keys() - set(names))
    if odd:
        problem = f"retrain: columns: the raw table has no column {odd[0][:80]}"
        raise MlgitopsError(problem, where=MONITOR)
    if id_column is not None and extra[str(id_column)] is not RowPart.ID:
        problem = f"retrain: columns: {str(id_column)[:80]} holds the ids (`data: id:`)"
        hint = "leave it out: without the id of its request a row would be appended again and again"
        raise MlgitopsError(problem, where=MONITOR, hint=hint)
    return extra


def _find_client(inputs: Sequence[str], settings: MonitorSettings) -> int | None:
    client = settings.retrain.client
    if client is None:
        return None
    if client not in inputs:
        hint = f"the inputs are {', '.join(inputs)}"[:300]
        raise MlgitopsError(f"retrain: client: {client[:80]} is no input", where=MONITOR, hint=hint)
    return inputs.index(client)


def _refuse_redacted(inputs: Sequence[str], settings: MonitorSettings) -> None:
    rules = settings.requests.columns
    hidden = [name for name in inputs if rules.get(name, Redaction.KEEP) is not Redaction.KEEP]
    if hidden:
        raise MlgitopsError(
            f"the log keeps no value of {', '.join(hidden)[:200]}: nothing can be learned from it",
            where=MONITOR,
            hint="keep these columns, or add rows to the table by a pull request of your own",
        )


def _refuse_own_answers(settings: MonitorSettings) -> None:
    """Refuse labels that are the model's own answers by the name of their column."""
    outcome = settings.labels.outcome
    if settings.labels.source is not None and (
        outcome in _OWN_ANSWERS or outcome.startswith("score_")
    ):
        raise MlgitopsError(
            f"labels: outcome: `{outcome[:80]}` is what the model said, not what came true",
            where=MONITOR,
            hint="name a column of what happened: a model that learns its own answers learns "
            "nothing, and no metric shows it",
        )


def _section(document: object, name: str) -> dict[str, Any]:
    content = document.get(name) if isinstance(document, dict) else None
    return content if isinstance(content, dict) else {}


def _read_columns(contract: bytes) -> dict[str, Any]:
    return _section(parse_yaml(contract, "contract.yaml"), "columns")


def _read_forms(names: Sequence[str], contract: bytes, key: str) -> dict[int, str]:
    """Return column → what its ingest rule says of ``key``: `metadata: ingest:`."""
    metadata = _section(parse_yaml(contract, "contract.yaml"), "metadata")
    rules = _section(metadata, "ingest")
    forms = {at: _section(rules, name).get(key) for at, name in enumerate(names)}
    return {at: form for at, form in forms.items() if isinstance(form, str) and form}


def _is_whole(described: object) -> bool:
    """Tell whether the contract asks a column for whole numbers."""
    dtype = described.get("dtype") if isinstance(described, dict) else None
    return _WHOLE.fullmatch(str(dtype)) is not None


def _read_spellings(described: object) -> dict[str, str]:
    """Return the one spelling of each value that the contract lists → how the contract writes it.

    Empty where two values share one spelling.
    """
    if not isinstance(described, dict):
        return {}
    checks = described.get("checks")
    rule = described.get("isin", checks.get("isin") if isinstance(checks, dict) else None)
    allowed = rule.get("value", rule.get("allowed_values")) if isinstance(rule, dict) else rule
    values = allowed if isinstance(allowed, list) else []
    spelled = {spell(value): str(value) for value in values}
    return spelled if len(spelled) == len(values) else {}
