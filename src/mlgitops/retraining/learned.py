"""What is known of the model in service: rows that it learned, how often it was wrong in its test.

It learned the default branch's table, unless that became another one since: longer by new data, or
shorter where a retraining was reverted. Reads git, fetches what its commit names.
"""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from mlgitops.delivery.bundle import read_model_sha256
from mlgitops.dvc.command import run_dvc
from mlgitops.dvc.reader import read_pipeline
from mlgitops.errors import MlgitopsError
from mlgitops.parsing import parse_yaml
from mlgitops.retraining.gathering import Reference, is_answer
from mlgitops.retraining.parquet import open_table
from mlgitops.retraining.table import APPENDED, choose_table, read_pointer, read_taken
from mlgitops.tables.predictions import read_predictions

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from mlgitops.console import Console
    from mlgitops.model import Policy
    from mlgitops.retraining.observing import Scene

_FOLDER = "data/champion"  # in the clean folder, while what is fetched is read


def read_learned(
    scene: Scene, clean: Path, taken: set[str], id_columns: Collection[str], console: Console
) -> set[str]:
    """Return the ids that the model in service learned; ``taken``: those of the branch's table.

    ``id_columns``: those that hold them there; its own commit may name another one. Raises
    :class:`MlgitopsError` where its table cannot be fetched any more: on which rows it can be
    compared is not known then.
    """
    repository, prefix, commit = scene.folder.repository, scene.folder.prefix, scene.wanted.commit
    table = choose_table(lambda path: repository.read(commit, f"{prefix}{path}") is not None)
    if table is None:
        raise MlgitopsError(
            "the table that the model in service learned from has no .dvc file there",
            where=f"data/raw at {commit[:12]}",
            hint="deploy a model whose table DVC keeps: else nobody knows what it learned",
        )
    id_column = find_id_column(scene)
    pointers = {path: f"{prefix}{path}.dvc" for path in (table, APPENDED)}
    if id_column in {None, *id_columns} and all(
        repository.find_blob(commit, path) == repository.find_blob(scene.tip, path)
        for path in pointers.values()
    ):
        return taken
    folder = clean / _FOLDER
    try:
        with console.step("The table of the model in service"):
            for path, pointer in pointers.items():
                data = repository.read(commit, pointer)
                if data is not None:
                    _fetch(clean, folder / path, read_pointer(data, f"{pointer} at {commit[:12]}"))
            learned = open_table(folder, clean)
            named = {name.strip() for name in learned.read_header()}.intersection(id_columns)
            return read_taken(folder, learned, named if id_column is None else named | {id_column})
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def read_reference(scene: Scene, clean: Path, policy: Policy, console: Console) -> Reference | None:
    """Return how often the model in service was wrong on its test rows; None where none are kept.

    Raises :class:`MlgitopsError` where its predictions cannot be fetched any more.
    """
    repository, prefix, commit = scene.folder.repository, scene.folder.prefix, scene.wanted.commit
    path = policy.files.predictions
    if path is None:
        return None
    pipeline = read_pipeline(repository.list_files(commit), partial(repository.read, commit))
    version = pipeline.find_version(f"{prefix}{path}")
    kind, _, oid = version.hash.partition(":") if version else ("", "", "")
    if kind != "md5":
        return None
    folder = clean / _FOLDER
    try:
        with console.step("How often the model in service was wrong on its test rows"):
            file = folder / PurePosixPath(path).name
            _fetch(clean, file, oid)
            predictions = read_predictions(file, where=f"{path} at {commit[:12]}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    pairs = zip(predictions.target.tolist(), predictions.prediction.tolist(), strict=True)
    errors = sum(not is_answer(_decode(target), _decode(said)) for target, said in pairs)
    sha256 = read_model_sha256(repository, prefix, commit)
    return Reference(model=sha256, rows=predictions.rows, errors=errors)


def _decode(cell: object) -> Any:  # noqa: ANN401 - a text or a number
    return cell.decode() if isinstance(cell, bytes) else cell


def find_id_column(scene: Scene) -> str | None:
    """Find the column that the commit of the model in service names as the rows' id."""
    params = f"{scene.folder.prefix}params.yaml"
    document = parse_yaml(scene.folder.repository.read(scene.wanted.commit, params) or b"", params)
    data = document.get("data") if isinstance(document, dict) else None
    name = data.get("id") if isinstance(data, dict) else None
    return None if name is None else str(name)


def _fetch(clean: Path, file: Path, oid: str) -> None:
    """Fetch a file by its md5; of another commit's pointer nothing else is taken over."""
    file.parent.mkdir(parents=True, exist_ok=True)
    pointer = file.with_name(f"{file.name}.dvc")
    pointer.write_text(f"outs:\n- md5: {oid}\n  hash: md5\n  path: {file.name}\n", "utf-8")
    try:
        run_dvc(clean, ["pull", "--quiet", pointer.relative_to(clean)])
    except MlgitopsError as error:
        hint = "deploy a model whose table the storage has, or restore that object"
        problem = (
            f"the table that the model in service learned from cannot be fetched: {error.what}"
        )
        raise MlgitopsError(problem, where=f"md5 {oid}", hint=hint) from error
