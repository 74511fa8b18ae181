"""How the cells of one column are written, and the rule by which the ingest stage reads them.

Pure: cells as text in; a rule for contract.yaml, the cells in one form, and what to say out.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlgitops.project.generate.columns import (
    LEADING_ZERO,
    NUMBER,
    find_date_format,
    find_foreign_format,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: What the ingest stage takes for a missing value unless a rule keeps it (`plumbing/cells.py` of
#: the template has the same list; those of `pandas.read_csv`).
MISSING = frozenset(
    [
        *("#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"),
        *("<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
    ]
)

#: Further texts that people put where there is no number, in lower case.
_NO_NUMBER = frozenset(
    [
        *("?", "??", "-", "--", "---", "\N{EN DASH}", "\N{EM DASH}", ".", "..", "*", "inf", "-inf"),
        *("+inf", "infinity", "-infinity", "na", "n.a.", "k.a.", "none", "nil", "unknown"),
        *("missing", "not available", "not applicable", "undefined", "tbd", "#div/0!", "#value!"),
        *("#ref!", "#num!", "#name?"),
    ]
)
#: Those of them that are no category either.
_NO_TEXT = frozenset({"?", "??", "-", "--", "---"})

#: From this share of numbers on, a few other texts are mistakes in a column of numbers.
_ALMOST_ALL = 0.95
_FEW_TEXTS = 5

#: Signs that stand before or behind a number.
_AFFIXES = "€$£¥%\u00a0\u202f"
_LIKE_NUMBER = re.compile(r"[+-]?[\d.,' ]*\d[\d.,' ]*(?:[eE][+-]?\d+)?")

#: Sign between thousands and decimal sign → what a number so written looks like.
_STYLES = {
    ("", "."): re.compile(NUMBER),
    (",", "."): re.compile(r"[+-]?(?:[1-9]\d{0,2}(?:,\d{3})+|\d+)(?:\.\d+)?"),
    ("", ","): re.compile(r"[+-]?\d+(?:,\d+)?"),
    (".", ","): re.compile(r"[+-]?(?:[1-9]\d{0,2}(?:\.\d{3})+|\d+)(?:,\d+)?"),
    (" ", "."): re.compile(r"[+-]?(?:[1-9]\d{0,2}(?: \d{3})+|\d+)(?:\.\d+)?"),
    (" ", ","): re.compile(r"[+-]?(?:[1-9]\d{0,2}(?: \d{3})+|\d+)(?:,\d+)?"),
    ("'", "."): re.compile(r"[+-]?(?:[1-9]\d{0,2}(?:'\d{3})+|\d+)(?:\.\d+)?"),
}

#: So many different codes of two letters are countries, of which `NA` is Namibia.
_CODES = 5


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A column's cells in one form, the rule that brings them there, and what was seen."""

    cells: list[str]
    rule: dict[str, Any]
    notes: tuple[str, ...]


def read_cells(name: str, cells: Sequence[str], separator: str) -> Reading:
    """Return the cells with missing values empty, and numbers and dates in one form.

    ``separator`` of the file: where it is a semicolon, `1,234` has a decimal comma.
    """
    counts = Counter(cells)
    counts.pop("", None)
    values = {cell: rows for cell, rows in counts.items() if cell not in MISSING}
    kept, notes = _keep_codes(name, counts, values)
    values |= {cell: counts[cell] for cell in kept}
    rule = {"keep": kept} if kept else {}
    marks = sorted(MISSING.intersection(counts) - {*kept})
    if marks:
        notes.append(f"{name!r}: {', '.join(marks)} was taken to mean a missing value.")
    forms = {cell: cell for cell in values}
    if not all(re.fullmatch(NUMBER, cell) for cell in values) and not find_date_format(values):
        more, forms, said = _read_foreign(name, values, separator)
        rule, notes = {**rule, **more}, [*notes, *said]
    return Reading(cells=[forms.get(cell, "") for cell in cells], rule=rule, notes=tuple(notes))


def _keep_codes(
    name: str, counts: Mapping[str, int], values: Mapping[str, int]
) -> tuple[list[str], list[str]]:
    """Return marks of a missing value that are values in this column, and what to say."""
    codes = [cell for cell in values if re.fullmatch(r"[A-Z]{2}", cell)]
    if "NA" in counts and len(codes) >= _CODES and len(codes) == len(values):
        note = f"{name!r} holds codes of two letters, so NA is one of them (as Namibia's is)"
        return ["NA"], [f"{note} and not a missing value: see `keep` in contract.yaml."]
    numbers = any(re.fullmatch(NUMBER, cell) for cell in values)
    if "None" in counts and values and not numbers:
        note = f"{name!r}: None was taken for a value of its own, not for a missing one"
        return ["None"], [f"{note}: see `keep` in contract.yaml."]
    return [], []


def _read_foreign(
    name: str, values: Mapping[str, int], separator: str
) -> tuple[dict[str, Any], dict[str, str], list[str]]:
    """Return rule, cell → its form, and what to say, of what is neither number nor ISO date."""
    written = find_foreign_format(values)
    if written:
        return _read_dates(name, values, written)
    rule, numbers = _read_numbers(values, separator)
    others = {cell: rows for cell, rows in values.items() if cell not in numbers}
    total, right = sum(values.values()), sum(values[cell] for cell in numbers)
    named = all(cell.lower() in _NO_NUMBER for cell in others)
    is_code = any(LEADING_ZERO.match(cell) for cell in values)  # 136A beside 001 is one of them
    few = len(others) <= _FEW_TEXTS and right >= _ALMOST_ALL * total and not is_code
    if not numbers or 2 * right < total or not (named or few):
        return _read_texts(name, values)
    notes = _say_signs(name, rule)
    if others:
        rule["missing"] = sorted(others)
        listed = ", ".join(f"{cell!r} in {rows}" for cell, rows in sorted(others.items()))
        notes.append(f"{name!r}: {right} of {total} are numbers; {listed}: taken as missing.")
    return rule, numbers, notes


def _read_dates(
    name: str, values: Mapping[str, int], written: str
) -> tuple[dict[str, Any], dict[str, str], list[str]]:
    import pandas as pd

    moments = pd.to_datetime(list(values), format=written)
    timed = "%H" in written or "%I" in written
    texts = moments.strftime("%Y-%m-%d %H:%M:%S" if timed else "%Y-%m-%d")
    notes = [f"{name!r} holds dates written as {next(iter(values))!r}: {written} in contract.yaml."]
    swapped = written.replace("%d", "%_").replace("%m", "%d").replace("%_", "%m")
    if (
        "%b" not in written
        and pd.to_datetime(list(values), format=swapped, errors="coerce").notna().all()
        and not written.startswith("%Y")
    ):
        notes.append(f"{name!r} could be {swapped} just as well: correct it there if it is.")
    return {"format": written}, dict(zip(values, texts, strict=True)), notes


def _read_numbers(
    values: Mapping[str, int], separator: str
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the rule by which most cells are numbers, and each such cell as a number."""
    signs = "".join(sign for sign in _AFFIXES if any(sign in cell for cell in values))
    bare = {cell: cell.translate(dict.fromkeys(map(ord, signs))).strip() for cell in values}
    like = {cell: text for cell, text in bare.items() if _LIKE_NUMBER.fullmatch(text)}
    order = list(_STYLES)
    if separator == ";":  # "1,234" is read as its country does
        order.insert(1, order.pop(2))
    style = next(
        (key for key in order if like and all(_STYLES[key].fullmatch(t) for t in like.values())),
        None,
    )
    if style is None:
        return {}, {}
    thousands, decimal = style
    rule: dict[str, Any] = {"remove": signs} if any(bare[c] != c for c in like) else {}
    rule |= {"thousands": thousands} if thousands else {}
    rule |= {"decimal": decimal} if decimal != "." else {}
    plain = str.maketrans({thousands: None, decimal: "."} if thousands else {decimal: "."})
    return rule, {cell: text.translate(plain) for cell, text in like.items()}


def _say_signs(name: str, rule: Mapping[str, Any]) -> list[str]:
    """Return how the numbers are written, where that is not as everywhere."""
    notes = []
    signs = rule.get("remove", "").translate({0xA0: None, 0x202F: None})
    if signs:
        example = ": 12.3% is 12.3" if "%" in signs else ""
        notes.append(f"{name!r}: {' and '.join(signs)} beside numbers is left out{example}.")
    if "thousands" in rule:
        sign = {",": "commas", ".": "points", " ": "blanks", "'": "apostrophes"}[rule["thousands"]]
        notes.append(f"{name!r}: {sign} between thousands are left out.")
    if "decimal" in rule:
        notes.append(f"{name!r}: decimal commas are read as points.")
    return notes


def _read_texts(
    name: str, values: Mapping[str, int]
) -> tuple[dict[str, Any], dict[str, str], list[str]]:
    """Return the rule for categories: a question mark or a dash among several is none."""
    marks = sorted(_NO_TEXT.intersection(values))
    if not marks or len(values) - len(marks) < 2 or "+" in values:  # noqa: PLR2004 - a category
        return {}, {cell: cell for cell in values}, []
    listed = ", ".join(f"{mark!r} in {values[mark]} rows" for mark in marks)
    forms = {cell: cell for cell in values if cell not in marks}
    return {"missing": marks}, forms, [f"{name!r}: {listed} was taken to mean a missing value."]
