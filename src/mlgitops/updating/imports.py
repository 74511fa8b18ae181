"""What a project imports, as the default branch has it: from where, at what, by which rule."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from mlgitops.dvc.pointers import name_repository, parse_followed
from mlgitops.dvc.reader import read_pipeline
from mlgitops.errors import MistakesError, MlgitopsError
from mlgitops.parsing import parse_yaml
from mlgitops.project.imports import check_pins

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlgitops.git.repository import Folder

_SHORT = 12


class Import(Struct, frozen=True, kw_only=True):
    """One .dvc file of `dvc import`; paths are from the project's folder."""

    file: str  # the .dvc file
    path: str  # what it brings
    origin: str  # what that is in the repository, from its root
    repository: str  # address
    revision: str | None  # that is followed; None: the default branch
    commit: str


class Followed(Struct, frozen=True, kw_only=True):
    """Imports that follow the same revision of the same repository, and move together."""

    repository: str  # address, as the first of them has it
    revision: str | None
    imports: tuple[Import, ...]

    @property
    def files(self) -> list[str]:
        """Return the .dvc files."""
        return [item.file for item in self.imports]


def list_imports(folder: Folder, tip: str | None) -> list[Import]:
    """List the imports of the project at the commit ``tip``, or on disk, by their .dvc files.

    Raises :class:`MlgitopsError` for one that names no commit, or whose address holds a secret.
    """
    read = partial(folder.read, tip)
    pipeline = read_pipeline(folder.list_files(tip), read)
    mistakes = list(check_pins(pipeline))
    if mistakes:
        raise MistakesError("the imports cannot be followed:", mistakes)
    files = {output.path: output.file for output in pipeline.outputs}
    imports = []
    for path, source in pipeline.imports.items():
        file = files[path]
        document = parse_yaml(read(file) or b"", file)
        if source is not None and isinstance(document, dict):
            imports.append(
                Import(
                    file=file,
                    path=path,
                    origin=source.path,
                    repository=source.repository,
                    revision=parse_followed(document),
                    commit=source.commit,
                )
            )
    return sorted(imports, key=lambda item: item.file)


def group_imports(imports: Sequence[Import], files: Sequence[str]) -> list[Followed]:
    """Group imports by what they follow; ``files``: the .dvc files that count, none: all.

    Raises :class:`MlgitopsError` for a file that is no import.
    """
    imported = {item.file for item in imports}
    for file in files:
        if file not in imported:
            hint = f"imported are: {', '.join(sorted(imported)) or 'none'}"
            raise MlgitopsError("`dvc import` did not write it", where=file[:200], hint=hint)
    groups: dict[tuple[str, str | None], list[Import]] = {}
    for item in imports:
        if not files or item.file in files:
            key = (name_repository(item.repository), item.revision)
            groups.setdefault(key, []).append(item)
    return [
        Followed(
            repository=members[0].repository, revision=members[0].revision, imports=tuple(members)
        )
        for members in groups.values()
    ]
