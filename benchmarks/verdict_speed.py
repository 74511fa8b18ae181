"""The whole `mlgitops compare` with intervals: one process, from two commits to the verdict.

Predictions stand in DVC's cache, as after a run. Every metric of the metrics file is one that
the predictions give, and must come out with an interval; slices and charts are made too.
*Reading* is what `read_predictions` takes of the processor for both files, bytes to columns,
in a process of its own. *Beyond* is all the rest of the command: Python's start, imports, git,
matching, intervals, slices, charts, the report.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Rows, with average precision or not, processor seconds promised (None: none), and of what.
PROMISES = (
    (10_000, True, 0.5, "in all"),
    (1_000_000, False, 1.0, "beyond reading"),
    (1_000_000, True, 4.0, "beyond reading"),
    (10_000_000, True, None, "beyond reading"),
)
_MOST_MEMORY = 2_000  # MB, at any of these sizes
_RUNS = 3  # the quickest counts: other work on the machine only adds
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
import sys, time
from pathlib import Path
import numpy
from mlgitops.tables.predictions import read_predictions
start = time.process_time()
for path in sys.argv[1:]:
    read_predictions(Path(path), where=path)
print(time.process_time() - start)
"""
_COMPARE = ["compare", "--base", "HEAD~1", "--head", "HEAD", "--json"]


class Run(NamedTuple):
    """What one process used and printed."""

    seconds: float  # of the processor
    megabytes: float  # at the peak
    out: str


def main() -> bool:
    """Print processor seconds by rows; return whether the promises hold."""
    print("Processor seconds of the whole `mlgitops compare`, with 4 judged metrics and 3 slice")
    print("rules. Reading: both files to columns; beyond: all else, Python's start included.\n")
    print("| rows | metrics with an interval | whole | reading | beyond | promised | peak MB |")
    print("| ---: | --- | ---: | ---: | ---: | ---: | ---: |")
    kept = True
    for rows, precision, promise, scope in PROMISES:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            # In a process of its own: what a parent holds counts for the peak of its children.
            make = [sys.executable, "-m", "benchmarks.verdict_speed", "--make", folder, str(rows)]
            subprocess.run([*make, *(["precision"] if precision else [])], check=True)
            files = (root / ".dvc/cache/files/md5").glob("*/*")
            read = [sys.executable, "-c", _READ, *map(str, files)]
            reading = min(float(run_process(read, root).out) for _ in range(_RUNS))
            whole = [sys.executable, "-m", "mlgitops", *_COMPARE]
            runs = [run_process(whole, root) for _ in range(_RUNS)]
        seconds, peak = min(run.seconds for run in runs), max(run.megabytes for run in runs)
        beyond = seconds - reading
        kept &= promise is None or (beyond if scope == "beyond reading" else seconds) <= promise
        kept &= peak <= _MOST_MEMORY
        named = f"{count_intervals(runs[0].out)}, average precision {'too' if precision else 'not'}"
        limit = f"at most {promise} {scope}" if promise else f"at most {_MOST_MEMORY:,} MB"
        print(
            f"| {rows:,} | {named} | {seconds:.2f} | {reading:.2f} | {beyond:.2f} | {limit} | "
            f"{peak:,.0f} |"
        )
    return kept


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
        digest = hashlib.file_digest(stream, "md5").hexdigest()
    stored = root / ".dvc/cache/files/md5" / digest[:2] / digest[2:]
    stored.parent.mkdir(parents=True, exist_ok=True)
    size = written.rename(stored).stat().st_size
    out = {"path": "predictions.csv", "hash": "md5", "md5": digest, "size": size}
    stages = {"evaluate": {"cmd": "python evaluate.py", "outs": [out]}}
    (root / "dvc.lock").write_text(json.dumps({"schema": "2.0", "stages": stages}))
    values = measure(columns["target"], guess, score, precision=precision)
    (root / "metrics.json").write_text(json.dumps({"test": values}))
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


def run_process(command: list[str], root: Path) -> Run:
    """Run ``command`` to its end, and return what it used, by the operating system's count."""
    env = {key: text for key, text in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    with (
        tempfile.TemporaryFile("w+") as out,
        subprocess.Popen(command, cwd=root, env=env, stdout=out, stderr=subprocess.PIPE) as child,
    ):
        assert child.stderr is not None
        messages = child.stderr.read()
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        assert child.returncode in (0, 1), messages.decode()
        out.seek(0)
        return Run(used.ru_utime + used.ru_stime, used.ru_maxrss / 1_000, out.read())


if __name__ == "__main__":
    if sys.argv[1:2] == ["--make"]:
        make_repository(Path(sys.argv[2]), int(sys.argv[3]), precision="precision" in sys.argv)
    else:
        sys.exit(not main())
