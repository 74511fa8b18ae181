"""A pipeline whose evaluation really runs: models are thresholds, and need nothing but Python.

What a run would leave is made by running it; DVC's lock, pointers and cache are written as it does.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from typing import TYPE_CHECKING

from git_project import GitRepository

if TYPE_CHECKING:
    from pathlib import Path

POLICY = """\
version: 1
files: {test_data: data/test.csv, predictions: reports/predictions.csv, model: model/model.json}
metrics:
  test.accuracy: {greater_is_better: true, min_value: 0.6, max_worsening: 0.02}
"""
#: A model is a threshold: rows at or above it are 1. It needs nothing but Python.
EVALUATE = """\
import csv, json
threshold = json.load(open("model/model.json"))["threshold"]
rows = list(csv.DictReader(open("data/test.csv")))
guesses = [int(float(row["x"]) >= threshold) for row in rows]
with open("reports/predictions.csv", "w") as file:
    file.write("id,target,prediction\\n")
    for row, guess in zip(rows, guesses):
        file.write(f"{row['id']},{row['target']},{guess}\\n")
with open("reports/right.csv", "w") as file:
    file.write("rows,right\\n")
    for last in (len(rows) // 2, len(rows)):
        right = sum(int(row["target"]) == guess for row, guess in zip(rows[:last], guesses))
        file.write(f"{last},{right}\\n")
right = sum(int(row["target"]) == guess for row, guess in zip(rows, guesses))
json.dump({"test": {"accuracy": right / len(rows)}}, open("reports/metrics.json", "w"))
"""
DVC_YAML = f"""\
stages:
  train:
    cmd: python train.py
    deps: [data/train.csv]
    outs: [model/model.json]
  evaluate:
    cmd: '{sys.executable} evaluate.py'
    deps: [evaluate.py, model/model.json, data/test.csv]
    outs: [reports/predictions.csv]
    metrics:
      - reports/metrics.json: {{cache: false}}
    plots:
      - reports/right.csv: {{cache: false, x: rows, y: right}}
"""


def make_table(first: int, last: int) -> str:
    """Make rows of which the target is 1 from x = 50 on, and x goes from 0 to 99 and over."""
    rows = (f"r{at},{at % 100},{int(at % 100 >= 50)}" for at in range(first, last))
    return "\n".join(["id,x,target", *rows]) + "\n"


class ThresholdProject(GitRepository):
    """A pipeline whose evaluation really runs; what a run would leave is made by running it."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        for path, text in {
            "dvc.yaml": DVC_YAML,
            "policy.yaml": POLICY,
            "evaluate.py": EVALUATE,
            ".gitignore": "/reports/predictions.csv\n/model/model.json\n/data/*.csv\n",
            ".dvc/.gitignore": "/cache\n/tmp\n/config.local\n",
            ".dvc/config": "[core]\n    analytics = false\n",
        }.items():
            self.put(path, text)
        self.put("data/train.csv", make_table(1000, 2000))
        self.measure(threshold=50, test=make_table(0, 400))

    def measure(self, *, threshold: float, test: str) -> None:
        """Store a model and its test data, evaluate them, and lock what came out."""
        self.put("model/model.json", json.dumps({"threshold": threshold}))
        self.put("data/test.csv", test)
        (self.root / "reports").mkdir(exist_ok=True)
        subprocess.run([sys.executable, "evaluate.py"], cwd=self.root, check=True)
        self.lock()

    def lock(self) -> None:
        """Write dvc.lock and the pointers for what stands on disk, and fill the cache."""
        entry = self._store
        stages = {
            "train": {
                "cmd": "python train.py",
                "deps": [entry("data/train.csv")],
                "outs": [entry("model/model.json")],
            },
            "evaluate": {
                "cmd": f"{sys.executable} evaluate.py",
                "deps": [
                    entry(path) for path in ("evaluate.py", "model/model.json", "data/test.csv")
                ],
                "outs": [
                    entry(f"reports/{name}")
                    for name in ("predictions.csv", "metrics.json", "right.csv")
                ],
            },
        }
        self.put("dvc.lock", json.dumps({"schema": "2.0", "stages": stages}))
        for name in ("train", "test"):
            pointer = {"outs": [entry(f"data/{name}.csv") | {"path": f"{name}.csv"}]}
            self.put(f"data/{name}.csv.dvc", json.dumps(pointer))

    def _store(self, path: str) -> dict[str, object]:
        data = (self.root / path).read_bytes()
        digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
        target = self.root / ".dvc" / "cache" / "files" / "md5" / digest[:2] / digest[2:]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        return {"path": path, "hash": "md5", "md5": digest, "size": len(data)}

    def cached(self, path: str) -> Path:
        """Find the cached object that stands on disk as ``path``."""
        digest = hashlib.md5((self.root / path).read_bytes(), usedforsecurity=False).hexdigest()
        return self.root / ".dvc" / "cache" / "files" / "md5" / digest[:2] / digest[2:]
