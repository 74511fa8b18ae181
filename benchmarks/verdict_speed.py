"""The whole `mlgitops compare` with intervals: one process, from two commits to the verdict.

Predictions stand in DVC's cache, as after a run. The time to read both files is measured in a
process of its own and taken off, as the promise is for what comes beyond reading.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sklearn import metrics as sk

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Rows, with average precision or not, processor seconds promised, and of what.
PROMISES = (
    (10_000, True, 0.5, "in all"),
    (1_000_000, False, 1.0, "beyond reading"),
    (1_000_000, True, 4.0, "beyond reading"),
)
_BOUNDARY = 0.5
_AVERAGE_PRECISION = "  test.average_precision: {greater_is_better: true, max_worsening: 0.005}\n"
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
  test.balanced_accuracy: {greater_is_better: true, max_worsening: 0.005}
  test.f1: {greater_is_better: true, max_worsening: 0.005}
  test.mcc: {greater_is_better: true, max_worsening: 0.005}
  test.log_loss: {greater_is_better: false, max_worsening: 0.005}
  test.brier: {greater_is_better: false, max_worsening: 0.005}
"""
_SLICES = """\
slices:
  - {by: [carrier], metric: accuracy, statistic: difference, max_value: 0.9, min_rows: 100}
"""
_READ = "from mlgitops.predictions import read_predictions; import sys; from pathlib import Path\n"
_READ += "for path in sys.argv[1:]: read_predictions(Path(path), where=path)"


def main() -> bool:
    """Print processor seconds by rows; return whether the promises hold."""
    print("| rows | judged metrics | whole command, CPU s | of it reading | promised | peak MB |")
    print("| ---: | --- | ---: | ---: | ---: | ---: |")
    kept = True
    for rows, precision, promise, scope in PROMISES:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            policy = _POLICY + _AVERAGE_PRECISION if precision else _POLICY
            files = make_repository(root, rows, policy + _SLICES)
            reading, _ = time_process([sys.executable, "-c", _READ, *map(str, files)], root)
            words = ["compare", "--base", "HEAD~1", "--head", "HEAD", "--json"]
            whole, peak = time_process([sys.executable, "-m", "mlgitops", *words], root)
        kept &= (whole - reading if scope == "beyond reading" else whole) <= promise
        named = "7 and average precision" if precision else "7"
        print(
            f"| {rows:,} | {named} | {whole:.2f} | {reading:.2f} | "
            f"at most {promise} {scope} | {peak:,.0f} |"
        )
    return kept


def make_repository(root: Path, rows: int, policy: str) -> list[Path]:
    """Make two commits whose predictions differ; return the two cached files."""
    (root / ".dvc").mkdir()
    (root / ".dvc/config").write_text("[core]\n    analytics = false\n")
    (root / ".gitignore").write_text("/predictions.csv\n/.dvc/cache\n")
    (root / "dvc.yaml").write_text(_DVC_YAML)
    (root / "policy.yaml").write_text(policy)
    git(root, "init", "--quiet")
    rng = np.random.default_rng(0)
    truth = rng.normal(size=rows)
    target = (truth + rng.normal(size=rows) > 1).astype(int)
    carrier = rng.integers(0, 20, rows)
    files = []
    for noise in (1.0, 0.9):
        odds = np.exp(truth - 1 + noise * rng.normal(size=rows))
        score = np.round(np.clip(odds / (1 + odds), 0.001, 0.999), 6).astype(np.float64)
        files.append(commit_run(root, target, score, carrier))
    return files


def commit_run(
    root: Path, target: NDArray[np.int64], score: NDArray[np.float64], carrier: NDArray[np.int64]
) -> Path:
    """Commit what one evaluation would leave; return the place of its predictions."""
    guess = (score >= _BOUNDARY).astype(int)
    lines = (
        f"r{at},{t},{g},{s:.6f},C{c}"
        for at, (t, g, s, c) in enumerate(zip(target, guess, score, carrier, strict=True))
    )
    data = ("id,target,prediction,score,carrier\n" + "\n".join(lines) + "\n").encode()
    digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
    place = root / ".dvc/cache/files/md5" / digest[:2] / digest[2:]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
    out = {"path": "predictions.csv", "hash": "md5", "md5": digest, "size": len(data)}
    stages = {"evaluate": {"cmd": "python evaluate.py", "outs": [out]}}
    (root / "dvc.lock").write_text(json.dumps({"schema": "2.0", "stages": stages}))
    (root / "metrics.json").write_text(json.dumps({"test": measure(target, guess, score)}))
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "Run")
    return place


def measure(
    target: NDArray[np.int64], guess: NDArray[np.int64], score: NDArray[np.float64]
) -> dict[str, float]:
    """Return the metrics of the policy, by scikit-learn."""
    return {
        "roc_auc": float(sk.roc_auc_score(target, score)),
        "average_precision": float(sk.average_precision_score(target, score)),
        "accuracy": float(sk.accuracy_score(target, guess)),
        "balanced_accuracy": float(sk.balanced_accuracy_score(target, guess)),
        "f1": float(sk.f1_score(target, guess)),
        "mcc": float(sk.matthews_corrcoef(target, guess)),
        "log_loss": float(sk.log_loss(target, score)),
        "brier": float(sk.brier_score_loss(target, score)),
    }


def git(root: Path, *words: str) -> None:
    """Run git in ``root``."""
    identity = ("-c", "user.name=Bench", "-c", "user.email=bench@example.org")
    subprocess.run(["git", *identity, *words], cwd=root, check=True)


def time_process(command: list[str], root: Path) -> tuple[float, float]:
    """Run ``command`` once to warm up and once counted: processor seconds, peak megabytes."""
    env = {key: text for key, text in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    used = 0.0
    for _ in range(2):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(command, cwd=root, env=env, capture_output=True, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.returncode in (0, 1), done.stderr.decode()
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1_000


if __name__ == "__main__":
    sys.exit(not main())
