"""Print how long, how wide and how well named the functions of src/mlgitops are.

The limits stand in CONTRIBUTING.md; exit code 1 when one is broken. Read from the syntax
tree alone: nothing is imported or run.
"""

from __future__ import annotations

import ast
import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SOURCE = Path(__file__).parents[1] / "src" / "mlgitops"
MOST_LINES, MEDIAN_LINES, MOST_ARGUMENTS, MOST_FILLER = 60, 9, 8, 0.01
#: Names that say nothing of the value that they hold. `where` is not among them: it is the
#: keyword of `MlgitopsError` for the file and line that a message begins with, and functions
#: that read a file take that text under the same name to hand it on.
FILLER = frozenset({"found", "place", "one", "two", "known", "what", "told", "made"})

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Measured(NamedTuple):
    """One function: where it stands, its lines with its signature, its arguments."""

    name: str  # file:line name
    lines: int
    arguments: int


def main() -> int:
    """Measure every module, print the table, name what breaks a limit."""
    trees = {path: ast.parse(path.read_text("utf-8")) for path in sorted(SOURCE.rglob("*.py"))}
    functions = [
        function for path, tree in trees.items() for function in measure_functions(path, tree)
    ]
    names = [name for tree in trees.values() for name in bound_names(tree)]
    filler = [name for name in names if name in FILLER]
    lengths = sorted(function.lines for function in functions)
    share = len(filler) / len(names)
    print(f"functions                    {len(functions)}")
    print(f"lines, median                {statistics.median(lengths):g} (at most {MEDIAN_LINES})")
    print(f"lines, 90th, 99th percentile {percentile(lengths, 90)}, {percentile(lengths, 99)}")
    print(f"lines, longest               {lengths[-1]} (at most {MOST_LINES})")
    widest = max(function.arguments for function in functions)
    print(f"arguments, most              {widest} (at most {MOST_ARGUMENTS})")
    print(f"names bound                  {len(names)}")
    print(f"filler among them            {share:.1%} (under {MOST_FILLER:.0%})")
    broken = [*find_broken(functions)]
    print(*broken, sep="\n", end="\n" if broken else "")
    median = statistics.median(lengths)
    return 1 if broken or share >= MOST_FILLER or median > MEDIAN_LINES else 0


def measure_functions(path: Path, tree: ast.Module) -> Iterator[Measured]:
    """Measure each function of a module; `self` and `cls` are no arguments."""
    for node in ast.walk(tree):
        if isinstance(node, Function):
            spec = node.args
            arguments = [*spec.posonlyargs, *spec.args, *spec.kwonlyargs]
            count = sum(argument.arg not in ("self", "cls") for argument in arguments)
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            name = f"{path.relative_to(SOURCE)}:{node.lineno} {node.name}"
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
