"""Whether two sides were measured on the same test rows, by the hashes of their content.

Reads git and disk, and fetches what a folder of DVC's holds where the two sides' folders differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgitops.comparison.sides import fetch_manifests_of
from mlgitops.model import TestData

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlgitops.comparison.sides import SideFiles
    from mlgitops.console import Console


def find_test_data(path: str, base: SideFiles, head: SideFiles, console: Console) -> None:
    """Learn which test data a folder of DVC holds, where the two sides' folders differ."""
    if base.find_hash(path) != head.find_hash(path):
        fetch_manifests_of(base, head, lambda _: {path}, console)


def identify(side: SideFiles, path: str) -> str | None:
    """Find the hash of a file's content; None when the side has no such file, or no hash of it."""
    digest = side.find_hash(path)
    return digest if digest and ":" in digest else None


def align_hashes(path: str, *sides: tuple[SideFiles, str | None]) -> Iterator[str | None]:
    """Yield both sides' hashes of one file; of DVC's kind where only one side has it in git."""
    from hashlib import md5

    kinds = {digest.partition(":")[0] for _, digest in sides if digest}
    for side, digest in sides:
        data = side.read(path) if digest and digest.startswith("git:") and len(kinds) > 1 else None
        yield digest if data is None else f"md5:{md5(data, usedforsecurity=False).hexdigest()}"


def compare_hashes(base: str | None, head: str | None, *, is_hidden: bool = False) -> TestData:
    """Tell from two content hashes whether the test data is the same.

    What base has and head has not, or by another kind of hash, is not known to be the same; nor
    is what base may have where it cannot be read (``is_hidden``).

    >>> compare_hashes("md5:0a", "md5:0b"), compare_hashes("md5:0a", None)
    (<TestData.CHANGED: 'changed'>, <TestData.CHANGED: 'changed'>)
    """
    if base is None:
        return TestData.CHANGED if is_hidden else TestData.UNKNOWN
    return TestData.SAME if base == head else TestData.CHANGED
