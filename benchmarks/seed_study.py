"""How often two sides that differ by the seed alone are called a change: `make seed-study`.

Models of one kind are trained once, on the same rows, with nothing but the seed changed. Then
test sets are drawn from rows that none was trained on, and pairs of sides from the models: one
model each, as without `other_seeds` in params.yaml, and five each. Neither side is better, so every
*improved* or *worsened* is a mistake, and at most 5 % of them are allowed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.coverage.design import render_section, scale_runs, show_rate, tell_excess
from benchmarks.simulation import make_pair
from mlgitops.statistics.estimate import Estimate, Undefined
from mlgitops.statistics.evidence import Comparison
from mlgitops.statistics.seeds import cover_seeds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

OUTPUT = Path(__file__).parent.parent / "docs" / "reference" / "seeds.md"
KINDS = ("forest", "network")
METRICS = ("accuracy", "roc_auc", "log_loss")
ROWS = (500, 2_000, 30_000)
SEEDS = 5
CONFIDENCE = 0.95
MODELS = 100
RUNS = {500: 600, 2_000: 600, 30_000: 200}
_TRAINING = 1_000  # rows
_COLUMNS = 10
_HEAD = """# Two sides that differ by the seed alone

Written by `make seed-study`; do not edit. How several seeds are judged:
[noise of training](../explanation/statistics.md#noise-of-training).
"""


@dataclass(frozen=True, kw_only=True)
class Models:
    """Models of one kind that differ by the seed, and rows that none of them was trained on."""

    target: NDArray[np.int8]
    scores: Floats  # of the positive class: models, then rows


@dataclass
class Tally:
    """What became of one metric; counts of runs, and half-widths to be averaged."""

    single: int = 0  # called with one seed a side
    seeded: int = 0  # called with several
    widths: list[tuple[float, float]] = field(default_factory=list)


def train_models(kind: str, count: int, rows: int) -> Models:
    """Train ``count`` models of a kind and score ``rows`` rows with each. Seeds are fixed."""
    rng = np.random.default_rng(20)
    features, target = _draw_rows(rng, _TRAINING)
    fresh, answers = _draw_rows(rng, rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the network is stopped early, as many are
        scores = [
            _make_model(kind, seed).fit(features, target).predict_proba(fresh)[:, 1]
            for seed in range(count)
        ]
    return Models(target=answers, scores=np.clip(np.array(scores), 1e-3, 1 - 1e-3))


def _draw_rows(rng: np.random.Generator, rows: int) -> tuple[Floats, NDArray[np.int8]]:
    """Draw rows whose class depends on them in a way that no straight line follows."""
    x = rng.standard_normal((rows, _COLUMNS))
    logit = x[:, 0] + x[:, 1] * x[:, 2] + np.sin(2 * x[:, 3]) - 0.5
    return x, (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(np.int8)


def _make_model(kind: str, seed: int) -> Any:  # noqa: ANN401 - scikit-learn is untyped
    if kind == "forest":
        from sklearn.ensemble import RandomForestClassifier

        return RandomForestClassifier(n_estimators=25, min_samples_leaf=5, random_state=seed)
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier((16,), learning_rate_init=0.01, max_iter=40, random_state=seed)


def count_calls(models: Models, rows: int, runs: int, seed: int) -> dict[str, Tally]:
    """Draw test sets of ``rows`` rows and two sides of models; count what is called a change."""
    tallies = {metric: Tally() for metric in METRICS}
    rng = np.random.default_rng([seed, rows])
    for _ in range(runs):
        chosen = rng.choice(len(models.target), rows, replace=False)
        base, head = rng.permutation(len(models.scores))[: 2 * SEEDS].reshape(2, SEEDS)
        pairs = [_compare(models, chosen, sides) for sides in zip(base, head, strict=True)]
        for metric, tally in tallies.items():
            _count(tally, [pair.attempt(metric) for pair in pairs])
    return tallies


def _compare(models: Models, chosen: NDArray[np.intp], sides: tuple[int, int]) -> Comparison:
    scores = [models.scores[at, chosen] for at in sides]
    base, head = ((score > 0.5).astype(np.int8) for score in scores)  # noqa: PLR2004
    pair = make_pair(models.target[chosen], base, head, ({"": scores[0]}, {"": scores[1]}))
    return Comparison(pair)


def _count(tally: Tally, results: Sequence[Estimate | Undefined]) -> None:
    served, *others = results
    if isinstance(served, Undefined):
        raise served
    single = served.interval(CONFIDENCE)
    seeded = cover_seeds(served, others, greater_is_better=True).interval(CONFIDENCE)
    tally.single += _leaves_out_zero(single)
    tally.seeded += _leaves_out_zero(seeded)
    tally.widths.append(((single[1] - single[0]) / 2, (seeded[1] - seeded[0]) / 2))


def _leaves_out_zero(bounds: tuple[float, float]) -> bool:
    return bounds[0] > 0 or bounds[1] < 0


def run_kind(task: tuple[str, float]) -> dict[int, dict[str, Tally]]:
    """Train one kind's models and count at every number of rows."""
    kind, share = task
    models = train_models(kind, max(4 * SEEDS, round(MODELS * share)), 2 * max(ROWS))
    return {
        rows: count_calls(models, rows, scale_runs(RUNS[rows], share), KINDS.index(kind))
        for rows in ROWS
    }


def render_page(results: Sequence[dict[int, dict[str, Tally]]], share: float) -> str:
    """Render the page of the results of each kind."""
    table: list[list[str]] = []
    counts: dict[str, tuple[int, int]] = {}
    for kind, by_rows in zip(KINDS, results, strict=True):
        for rows, tallies in by_rows.items():
            runs = scale_runs(RUNS[rows], share)
            for metric, tally in tallies.items():
                counts[f"{metric}, {kind}, {rows:,} rows"] = tally.seeded, runs
                narrow, wide = np.mean(tally.widths, axis=0)
                table.append([
                    kind, metric, f"{rows:,}", f"{runs:,}", show_rate(tally.single, runs),
                    show_rate(tally.seeded, runs), f"{narrow:.4f}", f"{wide:.4f}",
                ])  # fmt: skip
    text = (
        f"Models of one kind, trained on the same {_TRAINING:,} rows with other seeds: how often"
        " the difference between two sides is called *improved* or *worsened*, in percent with its"
        f" Monte Carlo error, by each metric alone at {CONFIDENCE:.0%}. Neither side is better."
        " At most 5 % is promised with several seeds. The last two columns are the mean"
        " half-widths of the intervals."
    )
    head = ["model", "metric", "test rows", "runs", "one seed a side", f"{SEEDS} seeds a side",
            "half-width, one", f"half-width, {SEEDS}"]  # fmt: skip
    section = render_section("How often it is called a change", text, head, table, texts=2)
    return "\n".join([_HEAD, *section, "", tell_excess(counts, 1 - CONFIDENCE), ""])


def main(arguments: list[str] | None = None) -> int:
    """Run the study, print it and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="part of the full number of runs")
    parser.add_argument("--output", type=Path, default=None, help="write the page here")
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    with multiprocessing.get_context("fork").Pool(2) as pool:
        results = pool.map(run_kind, [(kind, options.share) for kind in KINDS])
    page = render_page(results, options.share)
    print(page)
    print(f"{time.perf_counter() - start:.0f} s", file=sys.stderr)
    if options.output:
        options.output.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
