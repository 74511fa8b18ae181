"""A repository whose commits name models, and releases of them, without training anything."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from git_project import GitRepository, git
from msgspec.structs import replace

from mlgitops.dvc.stored import locate
from mlgitops.model.lineage import OPTIONAL, Change, Lineage, encode_message

if TYPE_CHECKING:
    from pathlib import Path

MODEL_NAME = "flights"
_LOCK = """\
schema: '2.0'
stages:
  train:
    cmd: train
    outs:
    - {{path: model/model.skops, hash: md5, md5: {md5}, size: {size}}}
"""


def put_model(repository: GitRepository, content: bytes, *, project: str = "") -> str:
    """Write what names a model of these bytes, without its file, and commit; return the sha."""
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    digest = hashlib.sha256(content).hexdigest()
    repository.put(f"{project}dvc.lock", _LOCK.format(md5=md5, size=len(content)))
    repository.put(f"{project}model/model.json", json.dumps({"sha256": digest}))
    return repository.commit(f"Train {content.decode()}")


def make_lineage(
    commit: str, content: bytes, *, version: str = "v1.0.0", project: str = ""
) -> Lineage:
    """Return the lineage of a first release at ``commit`` of which nothing more is known."""
    return Lineage(
        model=MODEL_NAME,
        version=version,
        previous=None,
        change=Change.FIRST,
        changed=(),
        project=project,
        commit=commit,
        path="model/model.skops",
        md5=hashlib.md5(content, usedforsecurity=False).hexdigest(),
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
        contract=None,
        parameters=None,
        environment=None,
        serving=None,
        data=(),
        test_data=None,
        metrics=(),
        measured_by=None,
        verdict=None,
        statement=None,
        pull_request=None,
        author=None,
        approvers=None,
        cost=None,
        sources={},
        absent=dict.fromkeys(OPTIONAL, "not known here"),
    )


def follow(lineage: Lineage, previous: str, change: Change = Change.DATA) -> Lineage:
    """Return the lineage as that of a release after ``previous``."""
    return replace(lineage, previous=previous, change=change)


def tag_release(
    repository: GitRepository,
    lineage: Lineage,
    *,
    name: str | None = None,
    message: bytes | None = None,
    target: str | None = None,
) -> str:
    """Put the release's tag on its commit, or with one thing in it that lies; return its name."""
    tag = name or f"{lineage.model}@{lineage.version}"
    text = encode_message(lineage) if message is None else message
    file = repository.root / ".git" / "message"
    file.write_bytes(text)
    words = ("--annotate", "--cleanup=verbatim", f"--file={file}")
    repository.git("tag", *words, tag, target or lineage.commit)
    return tag


_PIPELINE = """\
stages:
  split: {cmd: split, deps: [data/raw.csv], outs: [data/train.csv, data/test.csv]}
  train: {cmd: train, deps: [data/train.csv, src/flights/train.py], outs: [model/model.skops]}
  evaluate:
    cmd: evaluate
    deps: [data/test.csv, model/model.skops]
    metrics: [reports/metrics.json: {cache: false}]
artifacts:
  flights: {path: model/model.skops, type: model}
"""
_FULL_LOCK = """\
schema: '2.0'
stages:
  split:
    cmd: split
    deps: [{{path: data/raw.csv, hash: md5, md5: {raw}}}]
    outs:
    - {{path: data/train.csv, hash: md5, md5: {train}}}
    - {{path: data/test.csv, hash: md5, md5: {test}}}
  train:
    cmd: train
    deps:
    - {{path: data/train.csv, hash: md5, md5: {train}}}
    - {{path: src/flights/train.py, hash: md5, md5: {test}}}
    outs: [{{path: model/model.skops, hash: md5, md5: {model}, size: {size}}}]
  evaluate:
    cmd: evaluate
    deps: [{{path: data/test.csv, hash: md5, md5: {test}}}]
    outs: [{{path: reports/metrics.json, hash: md5, md5: {test}}}]
"""
GOLDEN = {
    "request": {"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [1.0]}]},
    "outputs": [{"name": "y", "shape": [1], "datatype": "FP64", "data": [2.0]}],
}


def hash_md5(text: str) -> str:
    """Return the MD5 by which DVC knows a content."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


class MergedProject:
    """A clone of an origin whose main has one model, stored in a folder and not yet released."""

    def __init__(self, folder: Path) -> None:
        self.origin, self.storage = folder / "origin.git", folder / "storage"
        self.repository = GitRepository(folder / "project")
        self.root = self.repository.root
        config = f"[core]\n    remote = s\n['remote \"s\"']\n    url = {self.storage}\n"
        files = {
            ".dvc/config": config,
            ".gitignore": ".dvc/config.local\n*.skops\n",
            "dvc.yaml": _PIPELINE,
            "contract.yaml": "columns:\n  x: {dtype: float64}\n  y: {dtype: float64}\n",
            "params.yaml": "task: regression\nfeatures: {numeric: [x]}\ndata: {target: y}\n",
            "policy.yaml": "version: 1\nfiles: {test_data: data/test.csv}\n",
            "requirements/pipeline.txt": "scikit-learn==1.8.0\n",
            "src/flights/train.py": "TRAIN = 1\n",
            "reports/golden.json": json.dumps(GOLDEN),
            "reports/metrics.json": '{"test": {"r2": 0.9}}',
        }
        for path, text in files.items():
            self.repository.put(path, text)
        git(folder, "init", "--quiet", "--bare", str(self.origin))
        self.repository.git("remote", "add", "origin", str(self.origin))
        self.train("first")

    def train(self, content: str, *, publish: bool = True, message: str = "Train") -> str:
        """Merge a model with this content, and push main; return its commit."""
        lock = _FULL_LOCK.format(
            raw=hash_md5(f"raw of {content}"),
            train=hash_md5(f"rows of {content}"),
            test=hash_md5("test rows"),
            model=hash_md5(content),
            size=len(content),
        )
        digest = hashlib.sha256(content.encode()).hexdigest()
        self.repository.put("dvc.lock", lock)
        self.repository.put("model/model.json", json.dumps({"sha256": digest}))
        if publish:
            self.publish(content)
        return self.merge(message)

    def publish(self, content: str, *, oid: str | None = None) -> None:
        """Put a model into the storage, or other bytes under its name."""
        file = self.storage / locate(oid or hash_md5(content))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)

    def edit(self, path: str, text: str) -> str:
        """Merge an edit of one file; return its commit."""
        self.repository.put(path, text)
        return self.merge(f"Edit {path}")

    def merge(self, message: str) -> str:
        """Commit on main what was written, push it, and return the sha."""
        sha = self.repository.commit(message)
        self.repository.git("push", "--quiet", "origin", "main")
        return sha

    def clone(self, folder: Path) -> Path:
        """Make another clone, as another run has one."""
        git(self.origin, "clone", "--quiet", "--branch", "main", str(self.origin), str(folder))
        return folder

    def list_tags(self) -> list[str]:
        """List the tags that origin has."""
        return git(self.origin, "tag", "--list").split()
