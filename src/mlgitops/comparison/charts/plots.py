"""The plots that dvc.yaml declares, base over head: declarations and files to charts.

In: both sides, whose files are read from git, the work tree or DVC's cache. Out: charts.
What cannot be drawn as a line (images, scatter plots, templates of the project's own) is
left out. The files may come from a pull request: sizes and counts are capped.
Format: https://dvc.org/doc/user-guide/project-structure/dvcyaml-files#top-level-plot-definitions
"""

from __future__ import annotations

import csv
import io
import posixpath
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

from mlgitops.errors import MlgitopsError
from mlgitops.model import MAX_DRAWN, Chart, ChartKind, Series
from mlgitops.parsing import Value, decode_text, parse_json, parse_yaml

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from mlgitops.comparison.sides import SideFiles

#: Bytes and rows of one plot file.
MAX_BYTES = 8 * 2**20
MAX_ROWS = 200_000
#: Charts of one project; those made from predictions count too (see :class:`Report`).
MOST_CHARTS = 8
_LINES = ("linear", "simple", "smooth")  # DVC's templates that draw a line
_TITLE, _LABEL = 100, 60
_MAX_PATH = 200

Rows: TypeAlias = "list[dict[str, Value]]"
#: Plot files of base that are not those of its run: path → what its model gives on head's test
#: data, or None where that is not known.
Renewed: TypeAlias = "Mapping[str, bytes | None]"


class Plot(Struct, frozen=True, kw_only=True):
    """One declared line: which file, which columns."""

    path: str
    x: str | None  # None: the number of the row
    y: str | None  # None: the last column
    title: str | None = None
    x_label: str | None = None
    y_label: str | None = None


def draw_plots(
    base: SideFiles, head: SideFiles, drawn: Collection[str], renewed: Renewed
) -> tuple[Chart, ...]:
    """Draw the declared plots of head, else of base, over each other.

    ``drawn`` names the charts that predictions gave: a plot of the same name is not repeated.
    ``renewed`` stands in for base's own files.
    """
    declared = list(read_plots(head)) or list(read_plots(base))
    charts: list[Chart] = []
    for plot in declared:
        stem = posixpath.splitext(posixpath.basename(plot.path))[0]
        if stem in drawn or len(charts) >= MOST_CHARTS - len(drawn):
            continue
        chart = _draw(plot, base, head, renewed)
        if chart is not None:
            charts.append(chart)
    return tuple(charts)


def read_plots(side: SideFiles) -> Iterator[Plot]:
    """Yield the lines that every dvc.yaml of a side declares, at its top and in its stages."""
    for folder, entries in side.pipeline.drawn:
        yield from _read_entries(entries, folder)


def _read_entries(entries: Value, folder: str) -> Iterator[Plot]:
    """Yield the lines of one `plots:` list or mapping."""
    items = entries if isinstance(entries, list) else [entries]
    for item in items:
        if isinstance(item, str):
            yield from _read_entry(item, {}, folder)
        elif isinstance(item, dict):
            for name, options in item.items():
                yield from _read_entry(name, options if isinstance(options, dict) else {}, folder)


def _read_entry(name: str, options: dict[str, Value], folder: str) -> Iterator[Plot]:
    """Yield a line for each y of an entry; x and y may name their file."""
    if str(options.get("template", "linear")) not in _LINES:
        return
    for file, y in _read_columns(options.get("y"), name):
        path = posixpath.normpath(posixpath.join(folder, file))
        if "${" in path or path.startswith(("../", "/")) or len(path) > _MAX_PATH:
            continue
        xs = [column for source, column in _read_columns(options.get("x"), name) if source == file]
        yield Plot(
            path=path,
            x=xs[0] if xs else None,
            y=y,
            title=_as_text(options.get("title"), _TITLE),
            x_label=_as_text(options.get("x_label"), _LABEL),
            y_label=_as_text(options.get("y_label"), _LABEL),
        )


def _read_columns(value: Value, file: str) -> Iterator[tuple[str, str | None]]:
    """Yield file and column of `column`, `[column, ...]` or `{file: column or columns}`."""
    if isinstance(value, dict):
        for source, columns in value.items():
            for column in columns if isinstance(columns, list) else [columns]:
                yield source, str(column)
    elif isinstance(value, list):
        yield from ((file, str(column)) for column in value)
    else:
        yield file, str(value) if value is not None else None


def _as_text(value: Value, limit: int) -> str | None:
    return str(value)[:limit] if isinstance(value, str) and value.strip() else None


def _draw(plot: Plot, base: SideFiles, head: SideFiles, renewed: Renewed) -> Chart | None:
    """Draw one plot; None when no side has two points of it."""
    points_of = {}
    y_name = plot.y
    for side in (base, head):
        rows = _read_rows(side, plot.path, renewed if side is base else {})
        y_name = y_name or _last_column(rows)
        points = _find_points(rows, plot.x, y_name)
        if len(points) > 1:
            points_of[side.name] = points
    if not points_of or y_name is None:
        return None
    return Chart(
        name=plot.path,
        kind=ChartKind.LINE,
        title=(plot.title or f"{plot.path}: {y_name}")[-_TITLE:],
        x_label=(plot.x_label or plot.x or "step")[:_LABEL],
        y_label=(plot.y_label or y_name)[:_LABEL],
        series=tuple(_make_series(name, points) for name, points in points_of.items()),
    )


def _read_rows(side: SideFiles, path: str, renewed: Renewed) -> Rows:
    """Read a plot file of a side; none when it is absent or cannot be read."""
    try:
        data = renewed[path] if path in renewed else side.read_anywhere(path)
        return parse_rows(data, path) if data is not None else []
    except MlgitopsError:
        return []


def parse_rows(data: bytes, path: str) -> Rows:
    """Parse a plot file by its suffix: CSV, TSV, JSON or YAML, as a list of rows.

    In JSON and YAML the rows are the top level, or the first list found below it, as DVC
    reads them. Raises :class:`MlgitopsError` when it is malformed or too large.
    """
    suffix = posixpath.splitext(path)[1].lower()
    if suffix in (".csv", ".tsv"):
        text = decode_text(data, path, limit=MAX_BYTES)
        reader = csv.DictReader(io.StringIO(text), delimiter="\t" if suffix == ".tsv" else ",")
        try:
            return [
                {name: value for name, value in row.items() if isinstance(name, str)}
                for _, row in zip(range(MAX_ROWS), reader, strict=False)
            ]
        except csv.Error as error:
            raise MlgitopsError(f"not CSV: {error}", where=path) from error
    if suffix in (".json", ".yaml", ".yml"):
        parse = parse_json if suffix == ".json" else parse_yaml
        return _find_rows(parse(data, path, limit=MAX_BYTES))[:MAX_ROWS]
    return []


def _find_rows(value: Value) -> Rows:
    """Return the first list of mappings."""
    if isinstance(value, list):
        return [row for row in value if isinstance(row, dict)]
    for item in value.values() if isinstance(value, dict) else []:
        rows = _find_rows(item)
        if rows:
            return rows
    return []


def _last_column(rows: Rows) -> str | None:
    return next(reversed(rows[0]), None) if rows else None


def _find_points(rows: Rows, x: str | None, y: str | None) -> list[tuple[float, float]]:
    """Return the finite points, by x; of several at one x the last, as when training resumes."""
    points = {}
    for number, row in enumerate(rows):
        pair = _as_number(row.get(x) if x else number), _as_number(row.get(y) if y else None)
        if pair[0] is not None and pair[1] is not None:
            points[pair[0]] = pair[1]
    return sorted(points.items())


def _as_number(value: Value) -> float | None:
    """Return a finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < MAX_DRAWN else None


def _make_series(side: str, points: list[tuple[float, float]]) -> Series:
    from mlgitops.comparison.charts.curves import MOST_POINTS, round_numbers, simplify

    x, y = zip(*points, strict=True)
    kept = simplify(x, y, MOST_POINTS)
    return Series(
        side="base" if side == "base" else "head",
        x=round_numbers(x[at] for at in kept),
        y=round_numbers(y[at] for at in kept),
    )
