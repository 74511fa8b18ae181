"""A repository whose commits name models, and releases of them, without training anything."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from msgspec.structs import replace

from mlgitops.model.lineage import OPTIONAL, Change, Lineage, encode_message

if TYPE_CHECKING:
    from git_project import GitRepository

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
