"""A project whose evaluation is a folder that DVC keeps, as in DVC's own example-get-started."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from git_project import GitRepository

if TYPE_CHECKING:
    from pathlib import Path

DVC_YAML = """\
stages:
  evaluate:
    cmd: python evaluate.py
    outs: [eval]
metrics: [eval/metrics.json]
plots: [{eval/plots/loss.csv: {x: step, y: loss}}]
"""
POLICY = """\
version: 1
files: {predictions: eval/predictions.csv}
metrics:
  accuracy: {greater_is_better: true, max_worsening: 0.02}
"""


def digest(data: bytes) -> str:
    """Return DVC's hash of a file."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


class KeptFolder(GitRepository):
    """A repository whose metrics stand in `eval/`, which git does not see."""

    def __init__(self, root: Path, *, remote: str = "../../store") -> None:
        super().__init__(root)
        self.cache = root / ".dvc" / "cache" / "files" / "md5"
        config = f"[core]\nanalytics = false\nremote = s\n['remote \"s\"']\nurl = {remote}\n"
        self.put(".dvc/config", config)
        self.put(".dvc/.gitignore", "/cache\n/tmp\n/config.local\n")
        self.put(".gitignore", "/eval\n")
        self.put("dvc.yaml", DVC_YAML)
        self.put("policy.yaml", POLICY)

    def evaluate(self, files: dict[str, bytes], *, folder: str = "eval") -> str:
        """Write what a run leaves, in the folder, the cache and dvc.lock; return its hash."""
        listed = []
        for path, data in sorted(files.items()):
            self.put(f"{folder}/{path}", data)
            self.store(digest(data), data)
            listed.append({"md5": digest(data), "relpath": path})
        manifest = json.dumps(listed).encode()
        name = f"{digest(manifest)}.dir"
        self.store(name, manifest)
        out = f"{{path: {folder}, hash: md5, md5: {name}}}"
        lock = f"schema: '2.0'\nstages:\n  evaluate: {{cmd: python evaluate.py, outs: [{out}]}}\n"
        self.put("dvc.lock", lock)
        return name

    def store(self, name: str, data: bytes) -> None:
        """Put an object into the cache."""
        self.place(name).parent.mkdir(parents=True, exist_ok=True)
        self.place(name).write_bytes(data)

    def place(self, name: str) -> Path:
        """Return where the cache has an object."""
        return self.cache / name[:2] / name[2:]


def metrics(accuracy: float) -> bytes:
    """Return a metrics file."""
    return json.dumps({"accuracy": accuracy}).encode()
