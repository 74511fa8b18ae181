"""A project with a model in service: pipeline, lock, release, desired state, ledger, storage.

Nothing is trained: the model's bytes are given, and every file says their true hashes. The origin,
the storage and the clone stand below one folder, so that the whole can be copied and tampered with.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from typing import TYPE_CHECKING

import msgspec
from git_project import GitRepository, git
from released_project import follow, make_lineage, tag_release

from mlgitops.delivery.ledger import Ledger
from mlgitops.dvc.stored import locate
from mlgitops.model.ledger import Event, LedgerEntry
from mlgitops.model.lineage import DataHash, Lineage

if TYPE_CHECKING:
    from pathlib import Path

ENVIRONMENT = "production"
MODEL = "model/model.skops"
FIRST, SECOND = b"a first model", b"a second model"
TABLE = b"id,delay\n1,5\n2,7\n"
FILES = {
    ".dvc/config": (
        "[core]\n    remote = storage\n['remote \"storage\"']\n    url = ../../storage\n"
    ),
    ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
    ".gitignore": "/.mlgitops/\n/data/raw/table.csv\n/model/model.skops\n",
    "contract.yaml": "columns: {id: {}, delay: {}}\n",
    "params.yaml": "train: {depth: 3}\n",
    "requirements/pipeline.txt": "scikit-learn==1.9.0\n",
    "requirements/serving.txt": "iniconfig==2.1.0 \\\n    --hash=sha256:00\nnumpy==2.4.1\n",
    "src/demo/train.py": "print('train')\n",
    "dvc.yaml": """\
stages:
  train:
    cmd: train
    deps: [data/raw/table.csv, src/demo/train.py]
    params: [train]
    outs: [model/model.skops, model/model.json: {cache: false}]
""",
}
_LOCK = """\
schema: '2.0'
stages:
  train:
    cmd: train
    deps:
    - {{path: data/raw/table.csv, hash: md5, md5: {table}, size: {size}}}
    - {{path: src/demo/train.py, hash: md5, md5: {code}, size: 15}}
    params:
      params.yaml:
        train: {{depth: 3}}
    outs:
    - {{path: model/model.json, hash: md5, md5: {description}, size: 80}}
    - {{path: model/model.skops, hash: md5, md5: {model}, size: {model_size}}}
"""


def md5(content: bytes) -> str:
    """Return the md5 of ``content``, DVC's name for it."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def sha256(content: bytes) -> str:
    """Return the sha256 of ``content``."""
    return hashlib.sha256(content).hexdigest()


class AuditedProject:
    """A clone, its origin and its storage, below ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "clone"
        self.origin = folder / "origin.git"

    def start(self) -> None:
        """Make the origin and the clone, with a pipeline and no model."""
        self.folder.mkdir(parents=True, exist_ok=True)
        git(self.folder, "init", "--quiet", "--bare", "--template=", str(self.origin))
        repository = GitRepository(self.root)
        for path, text in FILES.items():
            repository.put(path, text)
        repository.put("data/raw/table.csv.dvc", _write_pointer())
        repository.commit("Start")
        git(self.root, "remote", "add", "origin", "../origin.git")
        self.push()

    def copy(self, folder: Path) -> AuditedProject:
        """Copy all of it, to be tampered with."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return AuditedProject(folder)

    @property
    def repository(self) -> GitRepository:
        """Return the clone, as something to write into."""
        repository = GitRepository.__new__(GitRepository)
        repository.root = self.root
        return repository

    def push(self) -> None:
        """Send main to origin."""
        git(self.root, "push", "--quiet", "origin", "main")

    def train(self, content: bytes, *, lock_more: str = "") -> str:
        """Commit what a run that gives a model of these bytes would, and store it.

        ``lock_more`` is what somebody wrote into dvc.lock besides.
        """
        description = json.dumps({"sha256": sha256(content)})
        lock = _LOCK.format(
            table=md5(TABLE),
            size=len(TABLE),
            code=md5(FILES["src/demo/train.py"].encode()),
            description=md5(description.encode()),
            model=md5(content),
            model_size=len(content),
        )
        self.repository.put("dvc.lock", lock + lock_more)
        self.repository.put("model/model.json", description)
        for folder in (self.root / ".dvc/cache", self.folder / "storage"):
            file = folder / locate(md5(content))
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        commit = self.repository.commit(f"Train {content.decode()} (#{len(content)})")
        self.push()
        return commit

    def make_lineage(self, commit: str, content: bytes, version: str) -> Lineage:
        """Return the lineage of a release, with the hashes of every file that is there."""
        lineage = make_lineage(commit, content, version=version)
        written = {
            "contract": sha256(FILES["contract.yaml"].encode()),
            "parameters": sha256(FILES["params.yaml"].encode()),
            "environment": sha256(FILES["requirements/pipeline.txt"].encode()),
            "serving": sha256(FILES["requirements/serving.txt"].encode()),
            "data": (DataHash(path="data/raw/table.csv", hash=f"md5:{md5(TABLE)}"),),
            "approvers": ("mira", "otto"),
            "pull_request": 12,
            "author": "rosa",
            "verdict": "pass",
            "statement": sha256(b"the statement of the verdict"),
        }
        absent = {name: why for name, why in lineage.absent.items() if name not in written}
        return msgspec.structs.replace(lineage, absent=absent, **written)

    def release(self, lineage: Lineage, previous: str | None = None) -> str:
        """Tag the release and push the tag; return the tag."""
        named = follow(lineage, previous) if previous else lineage
        tag = tag_release(self.repository, named)
        git(self.root, "push", "--quiet", "origin", f"refs/tags/{tag}")
        return tag

    def promote(self, version: str, revision: str, content: bytes) -> str:
        """Ask for a release in the environment; return the commit that asks."""
        self.repository.put(
            f"deploy/{ENVIRONMENT}/model.yaml",
            f'model: flights\nversion: {version}\nrevision: "{revision}"\n'
            f'sha256: "{sha256(content)}"\nport: 8080\n',
        )
        commit = self.repository.commit(
            f"Promote flights {version} to {ENVIRONMENT} (#{len(version)})"
        )
        self.push()
        return commit

    def make_entry(
        self, commit: str, revision: str, content: bytes, *, version: str, at: str
    ) -> LedgerEntry:
        """Return the entry of a switch to the model of these bytes."""
        return LedgerEntry(
            seq=1,
            environment=ENVIRONMENT,
            event=Event.SWITCHED,
            model="flights",
            version=version,
            sha256=sha256(content),
            commit=commit,
            revision=revision,
            previous=None,
            actor="deploy on host-1",
            at=at,
        )

    def append(self, entry: LedgerEntry) -> None:
        """Append an entry to the ledger, as a delivery does."""
        Ledger(self.root, "").append(ENVIRONMENT, lambda _: entry)

    def bring(self, content: bytes, version: str, at: str, previous: str | None = None) -> str:
        """Train, release, ask for and switch to a model; return its revision."""
        revision = self.train(content)
        self.release(self.make_lineage(revision, content, version), previous)
        desired = self.promote(version, revision, content)
        self.append(self.make_entry(desired, revision, content, version=version, at=at))
        return revision


def make_audited(folder: Path) -> AuditedProject:
    """Make a project whose production served one model from 1 March, and another from 5 March."""
    project = AuditedProject(folder)
    project.start()
    project.bring(FIRST, "v1.0.0", "2026-03-01T08:00:00Z")
    project.bring(SECOND, "v1.1.0", "2026-03-05T08:00:00Z", "v1.0.0")
    return project


def _write_pointer() -> str:
    return f"outs:\n- md5: {md5(TABLE)}\n  size: {len(TABLE)}\n  hash: md5\n  path: table.csv\n"
