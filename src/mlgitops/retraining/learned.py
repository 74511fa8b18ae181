"""What the model in service learned from: the ids of the table that its commit names.

That is the default branch's table, unless that became another one since: longer by new data, or
shorter where a retraining was reverted. Reads git, fetches the table.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from mlgitops.dvc.command import run_dvc
from mlgitops.errors import MlgitopsError
from mlgitops.parsing import parse_yaml
from mlgitops.retraining.parquet import open_table
from mlgitops.retraining.table import APPENDED, choose_table, read_pointer, read_taken

if TYPE_CHECKING:
    from pathlib import Path

    from mlgitops.console import Console
    from mlgitops.retraining.observing import Scene

_FOLDER = "data/champion"  # in the clean folder, while its table is read


def read_learned(scene: Scene, clean: Path, taken: set[str], console: Console) -> set[str]:
    """Return the ids that the model in service learned; ``taken``: those of the branch's table.

    Raises :class:`MlgitopsError` where its table cannot be fetched any more: on which rows it can
    be compared is not known then.
    """
    repository, prefix, commit = scene.folder.repository, scene.folder.prefix, scene.wanted.commit
    table = choose_table(lambda path: repository.read(commit, f"{prefix}{path}") is not None)
    id_column = _read_id_column(repository.read(commit, f"{prefix}params.yaml") or b"")
    named = [path for path in (table, APPENDED if id_column is None else None) if path]
    pointers = {path: f"{prefix}{path}.dvc" for path in named}
    if all(
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
            return read_taken(folder, open_table(folder), id_column)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _read_id_column(params: bytes) -> str | None:
    document = parse_yaml(params, "params.yaml")
    data = document.get("data") if isinstance(document, dict) else None
    name = data.get("id") if isinstance(data, dict) else None
    return None if name is None else str(name)


def _fetch(clean: Path, file: Path, oid: str) -> None:
    """Fetch a table by its md5; of another commit's pointer nothing else is taken over."""
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
