"""What a part of the coverage study is: tasks that draw and count, and the section they make.

A new design is a module of this package that sets `DESIGN`; nothing else has to name it.
"""

from __future__ import annotations

import importlib
import math
import pkgutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_CHANCE = 0.05  # that a table of rates which keep a limit is said not to


@dataclass(frozen=True, kw_only=True)
class Design:
    """One part of the study.

    A task seeds its own generator, so that it gives the same counts in any order and on any
    number of cores. Results reach `render` in the order of their tasks.
    """

    order: int  # where its section stands on the page
    list_tasks: Callable[[float], list[Any]]  # share: the part of the full number of runs
    run_task: Callable[[Any], Any]  # a function of a module, so that a worker finds it
    render: Callable[[list[Any], list[Any]], str]  # tasks and results to headings and tables


def find_designs() -> dict[str, Design]:
    """Return every design by its module's name, in the order of the page."""
    package = importlib.import_module(__package__ or "benchmarks.coverage")
    designs = {}
    for module in pkgutil.iter_modules(package.__path__):
        design = getattr(importlib.import_module(f"{package.__name__}.{module.name}"), "DESIGN", 0)
        if isinstance(design, Design):
            designs[module.name] = design
    return dict(sorted(designs.items(), key=lambda item: (item[1].order, item[0])))


def scale_runs(runs: int, share: float) -> int:
    """Return the given part of ``runs``, at least 10."""
    return max(10, round(runs * share))


def monte_carlo_error(rate: float, runs: int) -> float:
    """Return the standard error of a rate from 0 to 1 that was counted in ``runs``."""
    return math.sqrt(rate * (1 - rate) / runs)


def find_excess(
    counts: Mapping[str, tuple[int, int]], most: float, chance: float = _CHANCE
) -> list[str]:
    """Return the names whose rates lie above ``most`` by more than the luck of so many draws.

    ``counts``: of how many runs it happened, and how many runs there were. Each has the exact
    binomial chance of so many or more at ``most``; Holm's steps hold them all together, whether
    or not they are of the same draws.
    """
    from scipy import stats

    chances = {
        name: float(stats.binom.sf(count - 1, runs, most)) for name, (count, runs) in counts.items()
    }
    above: list[str] = []
    for name in sorted(chances, key=lambda name: chances[name]):
        if chances[name] > chance / (len(chances) - len(above)):
            break
        above.append(name)
    return above


def tell_excess(counts: Mapping[str, tuple[int, int]], most: float) -> str:
    """Say which of all rates lie above ``most`` by more than chance."""
    above = [
        f"{name} ({100 * counts[name][0] / counts[name][1]:.1f} %)"
        for name in find_excess(counts, most)
    ]
    return (
        f"Of {len(counts):,} rates, those above {100 * most:g} % by more than chance (binomial,"
        f" with Holm's steps over all of them, at 5 %): **{'; '.join(above) or 'none'}**."
    )


def show_rate(count: int, runs: int) -> str:
    """Render a rate in percent with its Monte Carlo error."""
    rate = count / runs
    return f"{100 * rate:.1f} ± {100 * monte_carlo_error(rate, runs):.1f}" if count else "0"


def render_section(
    title: str, text: str | None, head: list[str], rows: list[list[str]], *, texts: int
) -> list[str]:
    """Render a heading, a paragraph, and a table of which the first ``texts`` columns are text."""
    lines = [f"## {title}", "", *([text, ""] if text else [])]
    if not rows:
        return [*lines, "none."]
    rule = ["---"] * texts + ["---:"] * (len(head) - texts)
    return [*lines, *(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows))]
