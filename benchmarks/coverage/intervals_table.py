"""The counts of how often intervals hold the truth, to sections of the page. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from benchmarks.coverage.design import find_excess, render_section

if TYPE_CHECKING:
    from benchmarks.coverage.intervals import Cell, Tally

_LOW, _HIGH = 94.0, 96.0


def render_table(cells: list[Cell], confidence: float) -> str:
    """Render all cells, what lies outside 94 to 96 %, and the rate of false calls."""
    runs = min(cell.runs for cell in cells)
    error = 100 * math.sqrt(confidence * (1 - confidence) / runs)
    parts = [
        "## How often the interval holds the truth",
        "",
        (
            f"How often the 95 % interval of a difference holds the true difference, in percent of"
            f" {runs:,} simulated pairs of models per cell. One Monte Carlo standard error is"
            f" {error:.2f} points: a method that covers exactly 95 % shows {95 - 1.96 * error:.1f}"
            f" to {95 + 1.96 * error:.1f} in nineteen cells of twenty. `benchmarks/simulation.py`"
            " says how the pairs are drawn and how the true differences are derived."
        ),
        "",
        (
            "(w): in at least half of the runs the report warns that the rows, the disagreements, a"
            " class or the clusters are too few."
        ),
    ]
    for scenario in dict.fromkeys(cell.scenario for cell in cells):
        parts += ["", *_render_scenario([cell for cell in cells if cell.scenario == scenario])]
    parts += ["", *_render_outside(cells), "", *_render_false_calls(cells)]
    parts += ["", *_render_bootstrap(cells), ""]
    return "\n".join(parts)


def coverage(tally: Tally) -> float:
    """Return the share of the runs with an interval in which it holds the truth, in percent."""
    return 100 * tally.covered / max(tally.runs - tally.missing, 1)


def _render_scenario(cells: list[Cell]) -> list[str]:
    head = ["metric", *(f"{cell.rows:,} rows" for cell in cells)]
    rows = [[name, *(_show(cell.metrics[name]) for cell in cells)] for name in cells[0].metrics]
    title = f"{cells[0].scenario[0].upper()}{cells[0].scenario[1:]}"
    return render_section(title, None, head, rows, texts=1)


def _show(tally: Tally) -> str:
    text = f"{coverage(tally):.1f}"
    if 2 * tally.warned >= tally.runs:
        text += " (w)"
    return text + (f", {tally.missing} without" if tally.missing else "")


def _render_outside(cells: list[Cell]) -> list[str]:
    """List the cells beyond 94 to 96 % by more than the luck of so many draws."""
    every = {
        f"{cell.scenario} {cell.rows} {name}": (cell, name, tally)
        for cell in cells
        for name, tally in cell.metrics.items()
    }
    calm = [tally for _, _, tally in every.values() if 2 * tally.warned < tally.runs]
    counts = {
        key: (tally.covered, tally.runs - tally.missing) for key, (*_, tally) in every.items()
    }
    missed = {key: (runs - covered, runs) for key, (covered, runs) in counts.items()}
    beyond = {*find_excess(missed, 1 - _LOW / 100), *find_excess(counts, _HIGH / 100)}
    outside = [item for key, item in every.items() if key in beyond]
    inside = sum(_LOW <= coverage(tally) <= _HIGH for tally in calm)
    mean = sum(coverage(tally) for tally in calm) / max(len(calm), 1)
    rows = [
        [
            *(cell.scenario, name, f"{cell.rows:,}", f"{coverage(tally):.1f}"),
            _show_sides(tally),
            f"{100 * tally.warned / tally.runs:.0f} %",
        ]
        for cell, name, tally in outside
    ]
    text = (
        f"The {len(calm)} cells without a warning hold the truth in {mean:.2f} % of runs on the"
        f" mean; {inside} of them show 94 to 96 %, and others lie outside by chance. Beyond that by"
        f" more than chance (binomial, with Holm's steps over all {len(every)}, at 5 %) lie:"
    )
    head = ["pairs", "metric", "rows", "coverage", "interval below / above the truth", "warned"]
    return render_section("Outside 94 to 96 %", text, head, rows, texts=2)


def _show_sides(tally: Tally) -> str:
    """Say how often the interval lies below the truth, and how often above, in percent."""
    below = 100 * tally.below / max(tally.runs - tally.missing, 1)
    return f"{below:.1f} / {100 - coverage(tally) - below:.1f}"


def _render_false_calls(cells: list[Cell]) -> list[str]:
    text = (
        "Where the true difference is zero: how often one metric alone is called improved or"
        " worsened (the least and the most of all metrics), and how often any of them is after"
        " Holm's correction. At most 5 % is promised."
    )
    head = ["pairs", "rows", "one metric", "any metric, after Holm"]
    rows = []
    for cell in cells:
        if cell.null:
            rates = [100 * tally.called / tally.runs for tally in cell.metrics.values()]
            alone = f"{min(rates):.1f} to {max(rates):.1f} %"
            together = f"{100 * cell.any_called / cell.runs:.1f} %"
            rows.append([cell.scenario, f"{cell.rows:,}", alone, together])
    return render_section("Under no difference", text, head, rows, texts=1)


def _render_bootstrap(cells: list[Cell]) -> list[str]:
    """Set the jackknife of joint cells beside the percentile bootstrap of the same cells."""
    text = (
        "The same pairs, the same joint cells, resampled 2,000 times from a multinomial"
        " (percentile interval): jackknife / bootstrap."
    )
    rows = [
        [cell.scenario, name, f"{cell.rows:,}"]
        + [f"{coverage(counted):.1f}" for counted in (cell.metrics[name], tally)]
        for cell in cells
        for name, tally in cell.bootstrap.items()
    ]
    head = ["pairs", "metric", "rows", "jackknife", "bootstrap"]
    return render_section("Beside the percentile bootstrap", text, head, rows, texts=2)
