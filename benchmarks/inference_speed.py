"""How long paired inference takes, how much memory, and what scipy's bootstrap would take.

Each size runs in a process of its own, which reads both sides' CSV files and compares them;
its peak memory is the operating system's own count. The floors are those that a prototype
reached on two cores with the methods in brackets.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.processes import judge_ratio, run_process
from mlgitops.model import Rule
from mlgitops.statistics import compare_predictions, match_predictions
from mlgitops.tables.predictions import read_predictions

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlgitops.statistics.matching import Pair

SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
GROUPS = {
    "counts": ("accuracy", "balanced_accuracy", "cohen_kappa", "f1", "f1_macro", "mcc",
               "precision", "recall"),
    "roc_auc": ("roc_auc",),
    "average_precision": ("average_precision",),
    "log_loss": ("log_loss",),
}  # fmt: skip
ALL = (*(name for names in GROUPS.values() for name in names), "brier")
#: Seconds of the prototype (multinomial cells, DeLong, presorted or binned bootstrap, delta).
FLOORS: dict[str, tuple[float | None, ...]] = {
    "counts": (0.0034, 0.0032, 0.0058, 0.041),
    "roc_auc": (0.003, 0.036, 0.43, 7.9),
    "average_precision": (0.41, None, 2.8, 3.4),
    "log_loss": (0.001, 0.002, 0.037, 0.87),
}
_MOST_MEMORY = 2_000  # MB at ten million rows
_PREVALENCE = 0.25
_RESAMPLES = 2_000
_LEAST_RATIO = 200


def write_pair(folder: Path, rows: int) -> None:
    """Write base.csv and head.csv with six-digit scores."""
    import pyarrow as pa
    from pyarrow import csv

    rng = np.random.default_rng(0)
    target = (rng.random(rows) < _PREVALENCE).astype(np.int8)
    common = rng.standard_normal(rows)
    for name, distance in (("base", 1.6), ("head", 1.7)):
        x = distance * target + 0.8 * common + 0.6 * rng.standard_normal(rows)
        score = np.round(1 / (1 + np.exp(-(1.7 * x - 2.5))), 6)
        table = pa.table({
            "id": np.arange(rows),
            "target": target,
            "prediction": (score > 0.5).astype(np.int8),  # noqa: PLR2004
            "score": score,
        })  # fmt: skip
        options = csv.WriteOptions(quoting_style="none")
        csv.write_csv(table, str(folder / f"{name}.csv"), options)


def measure_files(folder: Path) -> dict[str, Any]:
    """Read and compare the two files; return seconds by step."""
    start = time.process_time()
    base, head = (read_predictions(folder / f"{name}.csv") for name in ("base", "head"))
    read = time.process_time() - start
    start = time.process_time()
    pair = match_predictions(base, head)
    matched = time.process_time() - start
    rows = pair.rows
    del base, head
    everything = _time(lambda: _compare(pair, ALL), once=True)
    groups = {name: _time(lambda names=names: _compare(pair, names), once=rows > 10**6)  # type: ignore[misc]
              for name, names in GROUPS.items()}  # fmt: skip
    return {"read": read, "match": matched, "all": everything, **groups}


def _compare(pair: Pair, names: tuple[str, ...]) -> None:
    fresh = replace(pair)  # without what a comparison before this one has kept
    evidence_by_name = compare_predictions(
        fresh, metrics={f"test.{name}": Rule() for name in names}
    )
    assert all(evidence.interval for evidence in evidence_by_name.values())


def _time(call: Callable[[], object], *, once: bool = False) -> float:
    """Return processor seconds of one call, the least of five unless ``once``."""
    times = []
    for _ in range(1 if once else 5):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


def compare_with_scipy(rows: int) -> list[tuple[str, float, float]]:
    """Return (metric, our seconds, scipy's) for the same 95 % interval.

    scipy resamples accuracy and RMSE in its vectorised form, its best case; scikit-learn's AUC
    it calls once per resample: 20 of them are run and scaled to 2,000.
    """
    from scipy import stats
    from sklearn.metrics import roc_auc_score

    from mlgitops.tables.predictions import Predictions

    rng = np.random.default_rng(1)
    target = (rng.random(rows) < _PREVALENCE).astype(np.int8)
    scores = [np.clip(0.3 * target + 0.7 * rng.random(rows), 0, 1) for _ in range(2)]
    sides = [
        Predictions(id=np.arange(rows), target=target, scores={"": score},
                    prediction=(score > 0.5).astype(np.int8))  # noqa: PLR2004
        for score in scores
    ]  # fmt: skip

    def differ(base: Any, head: Any, axis: int) -> Any:  # noqa: ANN401
        return head.mean(axis=axis) - base.mean(axis=axis)

    hits = [(side.prediction == target).astype(float) for side in sides]
    briers = [(score - target) ** 2 for score in scores]
    results = []
    for name, columns in (("accuracy", hits), ("brier", briers)):
        start = time.process_time()
        stats.bootstrap(columns, differ, paired=True, vectorized=True, batch=50,
                        n_resamples=_RESAMPLES, method="percentile", rng=rng)  # fmt: skip
        results.append((name, time.process_time() - start))
    start = time.process_time()
    stats.bootstrap((target, *scores), lambda t, b, h: roc_auc_score(t, h) - roc_auc_score(t, b),
                    paired=True, vectorized=False, n_resamples=20, method="percentile",
                    rng=rng)  # fmt: skip
    results.append(("roc_auc", (time.process_time() - start) * _RESAMPLES / 20))
    rules = {name: {name: Rule()} for name, _ in results}
    return [
        (name, _time(lambda name=name: compare_predictions(*sides, metrics=rules[name])), theirs)  # type: ignore[misc]
        for name, theirs in results
    ]


def main() -> bool:
    """Print the times, the floors and the ratios; return whether the requirements hold."""
    print("Paired inference: processor seconds on one core (the prototype's floor in brackets)\n")
    columns = ["read two CSV", "match", f"all {len(ALL)}", *GROUPS]
    print("| rows | " + " | ".join(columns) + " | peak MB |")
    print("| ---: |" + " ---: |" * (len(columns) + 1))
    peaks = [_print_size(position, rows) for position, rows in enumerate(SIZES)]
    print(f"\nThe same interval at 100,000 rows, {_RESAMPLES:,} resamples of scipy's\n")
    print("| metric | mlgitops s | scipy.stats.bootstrap s | ratio |\n| --- | ---: | ---: | ---: |")
    ratios = []
    for name, ours, theirs in compare_with_scipy(100_000):
        ratios.append(theirs / ours)
        print(f"| {name} | {ours:.4f} | {theirs:.2f} | {ratios[-1]:,.0f} |")
    print()
    quick = judge_ratio("times faster than scipy's bootstrap", min(ratios), _LEAST_RATIO)
    small = judge_ratio("megabytes at the peak", peaks[-1], _MOST_MEMORY, at_least=False)
    return quick and small


def _print_size(position: int, rows: int) -> float:
    with tempfile.TemporaryDirectory() as name:
        write_pair(Path(name), rows)
        command = [sys.executable, "-m", "benchmarks.inference_speed", "--child", name]
        child = run_process(command, Path(__file__).parents[1], env={"OMP_NUM_THREADS": "1"})
    figures = json.loads(child.out)
    cells = [f"{figures[key]:.3g}" for key in ("read", "match", "all")]
    for group in GROUPS:
        floor = FLOORS[group][position]
        cells.append(f"{figures[group]:.3g} ({'-' if floor is None else f'{floor:g}'})")
    print(f"| {rows:,} | " + " | ".join(cells) + f" | {child.megabytes:,.0f} |", flush=True)
    return child.megabytes


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(measure_files(Path(sys.argv[2]))))
    else:
        sys.exit(0 if main() else 1)
