"""How DVC names stages, their inputs and their outputs: from the project's root. Pure."""

from __future__ import annotations

import posixpath

#: Longest path we follow, in characters.
MAX_PATH = 500


def stage_name(name: str, path: str) -> str:
    """Name a stage as DVC does: bare at the root, with its dvc.yaml below it.

    >>> stage_name("train", "dvc.yaml"), stage_name("train", "a/dvc.yaml")
    ('train', 'a/dvc.yaml:train')
    """
    folder = posixpath.dirname(path)
    return f"{folder}/dvc.yaml:{name}" if folder else name


def join_path(folder: str, path: str, *, longest: int = MAX_PATH) -> str | None:
    r"""Join and normalise; None when it leads out of the repository, or is over ``longest``.

    A path that was written on Windows means the same file.

    >>> join_path("a", "b/../c.json"), join_path("a", r"b\c.json"), join_path("a", r"..\..\c")
    ('a/c.json', 'a/b/c.json', None)
    """
    joined = _join(folder, path)
    outside = joined.startswith(("/", "../")) or joined == ".." or "://" in path
    return None if outside or len(joined) > longest else joined


def name_input(folder: str, path: str) -> str:
    """Name a dependency from the project's root, or as it is written where that leads nowhere.

    >>> name_input("a", "b.csv"), name_input("a", "../../c.py"), name_input("a", "s3://d/e")
    ('a/b.csv', '../c.py', 's3://d/e')
    """
    return path if "://" in path else _join(folder, path)


def _join(folder: str, path: str) -> str:
    return posixpath.normpath(posixpath.join(folder, path).replace("\\", "/"))
