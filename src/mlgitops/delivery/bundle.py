"""A bundle: one model with the code and the lock that serve it, verified, in one folder."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlgitops.dvc.reader import read_pipeline
from mlgitops.dvc.remote import find_cache
from mlgitops.dvc.stored import hash_file, locate
from mlgitops.dvc.transport import fetch_stored, list_stored
from mlgitops.errors import MlgitopsError
from mlgitops.git.program import run_git
from mlgitops.git.wanted import IDENTITY
from mlgitops.model import DataVersion
from mlgitops.parsing import parse_json
from mlgitops.storage import prepare_storage
from mlgitops.writing import refuse_links

if TYPE_CHECKING:
    from collections.abc import Collection

    from mlgitops.console import Console
    from mlgitops.delivery.loop.observed import ServedModel
    from mlgitops.git.repository import Repository

MODEL = "model/model.skops"
DESCRIPTION = "model/model.json"
GOLDEN = "reports/golden.json"
SERVING_LOCK = "requirements/serving.txt"

_SHA256 = re.compile(r"[0-9a-f]{64}")
_KEEP = 5  # bundles left on disk


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A folder that holds everything a server of this model needs."""

    folder: Path
    model: str
    sha256: str
    commit: str

    @property
    def name(self) -> str:
        """Return the name of the folder: digest of the model, digest of what serves it."""
        return self.folder.name


def make_bundle(
    project: Path,
    repository: Repository,
    prefix: str,
    served: ServedModel,
    *,
    bundles: Path,
    console: Console,
) -> Bundle:
    """Export the code of ``served.revision`` and its model, found by digest and verified.

    Raises :class:`MlgitopsError` when the model cannot be found, or is not the one that the
    commit names. A half-made bundle is never left.
    """
    revision, digest = served.revision, read_model_sha256(repository, prefix, served.revision)
    if digest != served.sha256:
        raise MlgitopsError(
            f"the model {served.sha256[:12]} is wanted, and the commit holds {digest[:12]}",
            where=f"commit {revision[:12]}",
            hint="see who changed the ledger, on the branch `deployments`",
        )
    folder = bundles / f"{digest[:16]}-{_hash_identity(repository, prefix, revision)[:12]}"
    bundle = Bundle(folder=folder, model=served.model, sha256=digest, commit=revision)
    if folder.is_dir() and hash_sha256(folder / MODEL) == digest:
        os.utime(folder)
        return bundle
    bundles.mkdir(parents=True, exist_ok=True)
    with console.step(f"Model {digest[:12]} and its code from {revision[:12]}"):
        oid = read_model_oid(repository, prefix, revision)
        source = find_model(project, oid, revision, console)
        with tempfile.TemporaryDirectory(dir=bundles, prefix=".making-") as name:
            content = Path(name) / "bundle"
            _export(project, revision, prefix, content, Path(name) / "code.tar")
            copy_verified(source, content, oid, digest)
            shutil.rmtree(folder, ignore_errors=True)
            content.rename(folder)
    return bundle


def prune_bundles(bundles: Path, keep: Collection[str]) -> None:
    """Remove all but the newest few bundles; those of the names ``keep`` stay in any case."""
    folders = sorted(bundles.glob("[0-9a-f]*"), key=lambda folder: folder.stat().st_mtime)
    for folder in folders[:-_KEEP]:
        if folder.name not in keep:
            shutil.rmtree(folder, ignore_errors=True)


def hash_sha256(file: Path) -> str | None:
    """Return the sha256 of a file, or None when there is none."""
    if not file.is_file():
        return None
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def find_package(bundle: Bundle) -> str:
    """Return the name of the package whose module `serve` is the server."""
    packages = sorted(path.parent.name for path in bundle.folder.glob("src/*/serve.py"))
    if len(packages) != 1:
        raise MlgitopsError(
            f"one server was expected, src/<package>/serve.py, and {len(packages)} are there",
            where=f"commit {bundle.commit[:12]}",
        )
    return packages[0]


def read_model_sha256(repository: Repository, prefix: str, commit: str) -> str:
    """Return the sha256 of the model that the model.json of ``commit`` names."""
    path = f"{prefix}{DESCRIPTION}"
    data = repository.read(commit, path)
    if data is None:
        raise MlgitopsError(
            "this commit describes no model",
            where=f"{path} at {commit[:12]}",
            hint="commit what `mlgitops train` makes, or name a commit that has a model",
        )
    content = parse_json(data, path)
    digest = content.get("sha256") if isinstance(content, dict) else None
    if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
        raise MlgitopsError(
            "there is no sha256 of the model, 64 hex digits",
            where=f"{path} at {commit[:12]}",
            hint="commit what `mlgitops train` makes",
        )
    return digest


def _hash_identity(repository: Repository, prefix: str, commit: str) -> str:
    files = repository.list_files(commit)
    listed = sorted(
        f"{blob} {path}"
        for path, blob in files.items()
        if path.removeprefix(prefix).startswith(IDENTITY)
    )
    return hashlib.sha256("\n".join(listed).encode()).hexdigest()


def read_model_oid(repository: Repository, prefix: str, commit: str) -> str:
    """Return the md5 of the model, by which DVC keeps it, that ``commit`` names in dvc.lock."""
    pipeline = read_pipeline(
        repository.list_files(commit), lambda path: repository.read(commit, path)
    )
    version = pipeline.find_version(f"{prefix}{MODEL}")
    kind, _, oid = version.hash.partition(":") if version else ("", "", "")
    if kind != "md5":
        raise MlgitopsError(
            f"dvc.lock names no {MODEL}",
            where=f"commit {commit[:12]}",
            hint="commit dvc.lock with the model: `mlgitops train`, then `git commit`",
        )
    return oid


def find_model(project: Path, oid: str, commit: str, console: Console) -> Path:
    """Return a file that holds the model of ``commit``: in the cache, or in a storage on this disk.

    From a storage on another machine it is fetched into the cache. Raises :class:`MlgitopsError`
    where nobody has it.
    """
    cache = find_cache(project)
    cached = cache / locate(oid)
    if cached.is_file():
        return cached
    remote = prepare_storage(project, console)
    if remote and remote.path is None and oid in list_stored(project, [oid]):
        fetch_stored(project, cache, [DataVersion(hash=f"md5:{oid}")])
    stored = remote.path / locate(oid) if remote and remote.path else cached
    if stored.is_file():
        return stored
    raise MlgitopsError(
        f"the model {oid[:12]} is neither in the cache nor in the storage",
        where=f"{MODEL} at {commit[:12]}",
        hint="whoever trained it must run `mlgitops publish`",
    )


def _export(project: Path, commit: str, prefix: str, folder: Path, archive: Path) -> None:
    """Write the tree of a commit into ``folder``; nothing may land outside of it."""
    tree = f"{commit}:{prefix}" if prefix else commit
    run_git(project, "archive", "--format=tar", f"--output={archive}", tree)
    with tarfile.open(archive) as content:
        content.extractall(folder, filter="data")


def copy_verified(source: Path, root: Path, oid: str, digest: str) -> None:
    """Copy a model to its place below ``root``: bytes of these digests, and nowhere else."""
    target = root / MODEL
    refuse_links(root, target)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    for name, actual, wanted in (
        ("md5", hash_file(target), oid),
        ("sha256", hash_sha256(target), digest),
    ):
        if actual != wanted:
            raise MlgitopsError(
                f"the model's {name} is {actual}, not {wanted}",
                where=str(source),
                hint="the object is damaged, or dvc.lock and model/model.json do not belong "
                "together: train again and commit both",
            )
