"""Print how long, how wide and how well named the functions of src/mlgitops are.

The limits stand in CONTRIBUTING.md, `make lint` runs this, and the exit code is 1 when one is
broken. Read from the syntax tree alone: nothing is imported or run.
"""

from __future__ import annotations

import ast
import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

SOURCE = Path(__file__).parents[1] / "src" / "mlgitops"
MOST_LINES, MEDIAN_LINES, MOST_ARGUMENTS, MOST_FILLER = 60, 9, 8, 0.01
#: Names that say nothing of the value that they hold. `where` is not among them: it is the
#: keyword of `MlgitopsError` for the file and line that a message begins with, and functions
#: that read a file take that text under the same name to hand it on.
FILLER = frozenset({"found", "place", "one", "two", "known", "what", "told", "made"})

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Measured(NamedTuple):
    """One function: its file and line, its lines with its signature, its arguments."""

    name: str  # file:line name
    lines: int
    arguments: int


class Figure(NamedTuple):
    """One row of the table: a figure of the whole source, and how it has to be."""

    name: str
    today: str
    limit: str  # "" where the figure is only shown
    is_kept: bool = True


def main() -> int:
    """Measure every module below a folder, print the table, name what breaks a limit."""
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else SOURCE
    trees = {path: ast.parse(path.read_text("utf-8")) for path in sorted(source.rglob("*.py"))}
    functions = [
        function
        for path, tree in trees.items()
        for function in measure_functions(str(path.relative_to(source)), tree)
    ]
    figures = list_figures(
        functions, [name for tree in trees.values() for name in bound_names(tree)]
    )
    print("| figure | today | limit |\n| --- | --- | --- |")
    for figure in figures:
        print(f"| {figure.name} | {figure.today} | {figure.limit} |")
    for function in find_broken(functions):
        print(function)
    return 0 if all(figure.is_kept for figure in figures) else 1


def list_figures(functions: Sequence[Measured], names: Sequence[str]) -> list[Figure]:
    """Set the figures of all functions, and of the names that they bind, against the limits."""
    lengths = sorted(function.lines for function in functions)
    median = statistics.median(lengths)
    widest = max(function.arguments for function in functions)
    filler = sum(name in FILLER for name in names) / len(names)
    lines = "lines of a function"
    return [
        Figure("functions", f"{len(functions):,}", ""),
        Figure(
            f"{lines}, signature included: median",
            f"{median:g}",
            f"at most {MEDIAN_LINES}",
            median <= MEDIAN_LINES,
        ),
        Figure(f"{lines}: 90th percentile", str(percentile(lengths, 90)), ""),
        Figure(f"{lines}: 99th percentile", str(percentile(lengths, 99)), ""),
        Figure(
            f"{lines}: longest",
            str(lengths[-1]),
            f"at most {MOST_LINES}",
            lengths[-1] <= MOST_LINES,
        ),
        Figure(
            "arguments of a function, `self` and `cls` not counted: most",
            str(widest),
            f"at most {MOST_ARGUMENTS}",
            widest <= MOST_ARGUMENTS,
        ),
        Figure(
            "filler among the names that are bound",
            f"{filler:.2%}",
            f"under {MOST_FILLER:.0%}",
            filler < MOST_FILLER,
        ),
    ]


def measure_functions(path: str, tree: ast.Module) -> Iterator[Measured]:
    """Measure each function of a module; `self` and `cls` are no arguments."""
    for node in ast.walk(tree):
        if isinstance(node, Function):
            spec = node.args
            arguments = [*spec.posonlyargs, *spec.args, *spec.kwonlyargs]
            count = sum(argument.arg not in ("self", "cls") for argument in arguments)
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            name = f"{path}:{node.lineno} {node.name}"
            yield Measured(name, lines, count)


def bound_names(tree: ast.Module) -> Iterator[str]:
    """List each name that a module binds to a value, once for each place where it does."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg


def percentile(values: list[int], percent: int) -> int:
    """Return the smallest of sorted ``values`` that is not below ``percent`` of them."""
    return values[max(0, -(-len(values) * percent // 100) - 1)]


def find_broken(functions: Iterable[Measured]) -> Iterator[str]:
    """Name the functions that are too long or too wide."""
    for function in functions:
        if function.lines > MOST_LINES:
            yield f"too long: {function.name} has {function.lines} lines"
        if function.arguments > MOST_ARGUMENTS:
            yield f"too wide: {function.name} takes {function.arguments} arguments"


if __name__ == "__main__":
    sys.exit(main())
