"""A small DVC project in a real repository, as an owner who adopts the helper would have it."""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
from typing import TYPE_CHECKING, Self

from git_project import GitRepository

if TYPE_CHECKING:
    from pathlib import Path

POLICY = """\
version: 1
files: {test_data: data/test.csv, predictions: reports/predictions.csv}
metrics:
  test.accuracy: {greater_is_better: true, min_value: 0.6, max_worsening: 0.02}
budgets:
  model.size_mb: {max_value: 50}
"""
DVC_YAML = """\
stages:
  train:
    cmd: python train.py
    deps: [train.py, data/train.csv]
    params: [train]
    outs: [model.bin]
  evaluate:
    cmd: python evaluate.py
    deps: [evaluate.py, model.bin, data/test.csv]
    outs: [reports/predictions.csv]
    metrics:
      - reports/metrics.json: {cache: false}
"""
RESULTS = ("reports/metrics.json", "reports/predictions.csv")
WITHOUT_PREDICTIONS = DVC_YAML.replace("    outs: [reports/predictions.csv]\n", "")


class DvcProject(GitRepository):
    """A repository with a pipeline, its lock, metrics, parameters and a policy."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.objects: dict[str, bytes] = {}
        self.put("dvc.yaml", DVC_YAML)
        self.put("policy.yaml", POLICY)
        self.put("train.py", "print('train')\n")
        self.put("evaluate.py", "print('evaluate')\n")
        self.put(".gitignore", "/reports/predictions.csv\n/model.bin\n/data\n")
        self.put(".dvc/.gitignore", "/cache\n/tmp\n/config.local\n")
        self.put(".dvc/config", "[core]\n    analytics = false\n")
        self.train(accuracy=0.8)

    def copy(self, root: Path) -> Self:
        """Return a project of the same files and commits at ``root``."""
        shutil.copytree(self.root, root, symlinks=True)
        other = copy.copy(self)
        other.root, other.objects = root, dict(self.objects)
        return other

    def train(
        self,
        *,
        accuracy: float,
        depth: int = 6,
        size_mb: float = 12.5,
        test_data: bytes = b"id\n1\n",
        predictions: bytes | None = None,
    ) -> None:
        """Write what a run of the pipeline would leave."""
        self.put("params.yaml", f"train: {{depth: {depth}}}\n")
        metrics = {"test": {"accuracy": accuracy}, "model": {"size_mb": size_mb}}
        self.put("reports/metrics.json", json.dumps(metrics))
        outs = {
            "model.bin": f"model {depth}".encode(),
            "reports/metrics.json": json.dumps(metrics).encode(),
        }
        if predictions is not None:
            outs["reports/predictions.csv"] = predictions
            self.put("reports/predictions.csv", predictions)
        declared = (self.root / "dvc.yaml").read_text()
        if declared in (DVC_YAML, WITHOUT_PREDICTIONS):
            self.put("dvc.yaml", DVC_YAML if predictions is not None else WITHOUT_PREDICTIONS)
        self._lock(depth, test_data, outs)

    def _lock(self, depth: int, test_data: bytes, outs: dict[str, bytes]) -> None:
        model = self._entry("model.bin", outs.pop("model.bin"))
        stages = {
            "train": {
                "cmd": "python train.py",
                "deps": [self._read_entry("train.py"), self._entry("data/train.csv", b"id\n2\n")],
                "params": {"params.yaml": {"train": {"depth": depth}}},
                "outs": [model],
            },
            "evaluate": {
                "cmd": "python evaluate.py",
                "deps": [
                    self._read_entry("evaluate.py"),
                    model,
                    self._entry("data/test.csv", test_data),
                ],
                "outs": [self._entry(path, data) for path, data in outs.items()],
            },
        }
        self.put("dvc.lock", json.dumps({"schema": "2.0", "stages": stages}))
        pointer = {"outs": [self._entry("test.csv", test_data)]}
        self.put("data/test.csv.dvc", json.dumps(pointer))
        self.git("add", "--force", "data/test.csv.dvc")

    def _read_entry(self, path: str) -> dict[str, object]:
        return self._entry(path, (self.root / path).read_bytes())

    def _entry(self, path: str, data: bytes) -> dict[str, object]:
        """Make an entry of outs or deps, and remember its object."""
        digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
        self.objects[digest] = data
        return {"path": path, "hash": "md5", "md5": digest, "size": len(data)}

    def put(self, path: str, text: str | bytes) -> None:
        """Write one file; a result is written as its stage would, with its hash in dvc.lock."""
        super().put(path, text)
        place = self.root / "dvc.lock"
        if path not in RESULTS or not place.exists():
            return
        lock = json.loads(place.read_text())
        for stage in lock["stages"].values():
            for entry in stage["outs"]:
                if entry["path"] == path:
                    entry.update(self._entry(path, (self.root / path).read_bytes()))
        super().put("dvc.lock", json.dumps(lock))

    def fill(self, store: Path) -> None:
        """Put every object that was ever made into a cache or remote at ``store``."""
        for digest, data in self.objects.items():
            place = store / "files" / "md5" / digest[:2] / digest[2:]
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)


def make_predictions(*, rows: int, errors: int, rotate: int = 0) -> bytes:
    """Make binary predictions of which ``errors`` are wrong, from row ``rotate`` on."""
    lines = ["id,target,prediction,score"]
    for at in range(rows):
        target = at % 2
        wrong = (at - rotate) % rows < errors
        guess = 1 - target if wrong else target
        lines.append(f"r{at},{target},{guess},{0.9 if guess else 0.1}")
    return ("\n".join(lines) + "\n").encode()
