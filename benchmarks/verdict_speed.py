"""The whole `mlgitops compare` with intervals: one process, from two commits to the verdict.

Predictions stand in DVC's cache, as after a run. Every metric of the metrics file is one that
the predictions give, and must come out with an interval; slices and charts are made too.
Beside it runs Python that starts, loads numpy and reads both files, bytes to columns: the least
that anything would do. What `compare` does beyond that are git, matching, intervals, slices,
charts and the report.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from hashlib import file_digest, md5
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.processes import judge_ratio, least, run_by_turns

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Rows, with average precision or not, and the most that `compare` may take of what reading does.
REQUIRED = (
    (10_000, True, 2.5),
    (1_000_000, False, 3.0),
    (1_000_000, True, 3.0),
    (10_000_000, True, 3.0),
)
_MOST_MEMORY = 2_000  # MB, at any of these sizes
_ROUNDS = {10_000: 9, 1_000_000: 3, 10_000_000: 1}
_BOUNDARY = 0.5
_DVC_YAML = """\
stages:
  evaluate:
    cmd: python evaluate.py
    outs: [predictions.csv]
    metrics:
      - metrics.json: {cache: false}
"""
_POLICY = """\
version: 1
files: {predictions: predictions.csv}
metrics:
  test.roc_auc: {greater_is_better: true, max_worsening: 0.005}
  test.accuracy: {greater_is_better: true, max_worsening: 0.005}
  test.f1: {greater_is_better: true, max_worsening: 0.005}
  test.log_loss: {greater_is_better: false, max_worsening: 0.005}
slices:
  - {by: [carrier], metric: accuracy, statistic: difference, max_value: 0.9, min_rows: 100}
  - {by: [carrier], metric: true_positive_rate, statistic: ratio, min_value: 0.1, min_rows: 100}
  - {by: [origin], metric: calibration, statistic: maximum, max_value: 0.5, min_rows: 100}
"""
_READ = """\
import sys
from pathlib import Path
from mlgitops.numeric import load_numpy
load_numpy()
from mlgitops.tables.predictions import read_predictions
for path in sys.argv[1:]:
    read_predictions(Path(path), where=path)
"""
_COMPARE = ["compare", "--base", "HEAD~1", "--head", "HEAD", "--json"]


def main() -> bool:
    """Print processor seconds by rows; return whether the requirements hold."""
    print("Processor seconds of the whole `mlgitops compare`, with 4 judged metrics and 3 slice")
    print("rules, beside Python that starts and reads both files")
    results = [measure_size(*required) for required in REQUIRED]
    return all(results)


def measure_size(rows: int, precision: bool, limit: float) -> bool:
    """Measure one size; print what it took and whether that is within the limit."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make = [sys.executable, "-m", "benchmarks.verdict_speed", "--make", folder, str(rows)]
        subprocess.run([*make, *(["precision"] if precision else [])], check=True)
        files = (root / ".dvc/cache/files/md5").glob("*/*")
        read = [sys.executable, "-c", _READ, *map(str, files)]
        whole = [sys.executable, "-m", "mlgitops", *_COMPARE]
        pairs = run_by_turns(whole, read, root, rounds=_ROUNDS[rows], codes=(0, 1))
    peak = max(run.megabytes for run in pairs.ours)
    metrics = count_intervals(pairs.ours[0].out)
    print(f"{rows:,} rows, {metrics} metrics, average precision {'too' if precision else 'not'}")
    print(f"  mlgitops compare {least(pairs.ours):.2f}, reading {least(pairs.theirs):.2f}")
    quick = judge_ratio("times start and reading", 1 / pairs.times_faster, limit, at_least=False)
    small = judge_ratio("megabytes at the peak", peak, _MOST_MEMORY, at_least=False)
    return quick and small


def count_intervals(out: str) -> int:
    """Return the number of metrics in the report, all of which must have an interval."""
    report = json.loads(out)
    assert all(metric["evidence"]["interval"] for metric in report["metrics"])
    assert report["charts"]
    assert not any(facts["reason"] for facts in report["slices"])
    return len(report["metrics"])


def make_repository(root: Path, rows: int, *, precision: bool) -> None:
    """Make two commits whose predictions differ, both of them in the cache."""
    (root / ".dvc").mkdir()
    (root / ".dvc/config").write_text("[core]\n    analytics = false\n")
    (root / ".gitignore").write_text("/predictions.csv\n/.dvc/cache\n")
    (root / "dvc.yaml").write_text(_DVC_YAML)
    (root / "policy.yaml").write_text(_POLICY)
    git(root, "init", "--quiet")
    rng = np.random.default_rng(0)
    truth = rng.normal(size=rows)
    columns: dict[str, NDArray[Any]] = {
        "target": (truth + rng.normal(size=rows) > 1).astype(np.int8),
        "carrier": rng.integers(0, 20, rows),
        "origin": rng.integers(0, 3, rows),
    }
    for noise in (1.0, 0.9):
        odds = np.exp(truth - 1 + noise * rng.normal(size=rows))
        score = np.round(np.clip(odds / (1 + odds), 0.001, 0.999), 6).astype(np.float64)
        commit_run(root, columns, score, precision=precision)


def commit_run(
    root: Path, columns: dict[str, NDArray[Any]], score: NDArray[np.float64], *, precision: bool
) -> None:
    """Commit what one evaluation would leave."""
    import pyarrow as pa
    from pyarrow import csv

    guess = (score >= _BOUNDARY).astype(np.int8)
    names = [pa.array([f"{letter}{at}" for at in range(20)]) for letter in "CO"]
    table = pa.table({
        "id": pa.compute.binary_join_element_wise(
            "r", pa.array(np.arange(len(score))).cast(pa.string()), ""
        ),
        "target": columns["target"],
        "prediction": guess,
        "score": score,
        "carrier": names[0].take(pa.array(columns["carrier"])),
        "origin": names[1].take(pa.array(columns["origin"])),
    })  # fmt: skip
    written = root / ".dvc/written.csv"
    csv.write_csv(table, str(written), csv.WriteOptions(quoting_style="none"))
    with written.open("rb") as stream:
        digest = file_digest(stream, "md5").hexdigest()
    stored = root / ".dvc/cache/files/md5" / digest[:2] / digest[2:]
    stored.parent.mkdir(parents=True, exist_ok=True)
    size = written.rename(stored).stat().st_size
    values = measure(columns["target"], guess, score, precision=precision)
    numbers = json.dumps({"test": values}).encode()
    (root / "metrics.json").write_bytes(numbers)
    stated = md5(numbers, usedforsecurity=False).hexdigest()
    outs = [
        {"path": "metrics.json", "hash": "md5", "md5": stated, "size": len(numbers)},
        {"path": "predictions.csv", "hash": "md5", "md5": digest, "size": size},
    ]  # fmt: skip
    stages = {"evaluate": {"cmd": "python evaluate.py", "outs": outs}}
    (root / "dvc.lock").write_text(json.dumps({"schema": "2.0", "stages": stages}))
    (root / ".gitignore").write_text("/predictions.csv\n/.dvc/cache\n/.dvc/written.csv\n")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "Run")


def measure(
    target: NDArray[np.int8],
    guess: NDArray[np.int8],
    score: NDArray[np.float64],
    *,
    precision: bool,
) -> dict[str, float]:
    """Return the metrics by scikit-learn; those of counts from the four cells that there are."""
    from sklearn import metrics as sk

    rows = np.bincount(2 * target + guess, minlength=4)
    cells = {"y_true": [0, 0, 1, 1], "y_pred": [0, 1, 0, 1], "sample_weight": rows}
    averages = ("macro", "micro", "weighted")
    values = {
        "accuracy": sk.accuracy_score(**cells),
        "balanced_accuracy": sk.balanced_accuracy_score(**cells),
        "cohen_kappa": sk.cohen_kappa_score([0, 0, 1, 1], [0, 1, 0, 1], sample_weight=rows),
        "mcc": sk.matthews_corrcoef(**cells),
        "f1": sk.f1_score(**cells),
        "precision": sk.precision_score(**cells),
        "recall": sk.recall_score(**cells),
        **{f"f1_{average}": sk.f1_score(**cells, average=average) for average in averages},
        "roc_auc": sk.roc_auc_score(target, score),
        "log_loss": sk.log_loss(target, score),
        "brier": sk.brier_score_loss(target, score),
    }
    if precision:
        values["average_precision"] = sk.average_precision_score(target, score)
    return {name: float(value) for name, value in values.items()}


def git(root: Path, *words: str) -> None:
    """Run git in ``root``."""
    identity = ("-c", "user.name=Bench", "-c", "user.email=bench@example.org")
    subprocess.run(["git", *identity, *words], cwd=root, check=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--make"]:
        make_repository(Path(sys.argv[2]), int(sys.argv[3]), precision="precision" in sys.argv)
    else:
        sys.exit(not main())
