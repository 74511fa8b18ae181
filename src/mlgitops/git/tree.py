"""The files and links that git sees at a revision or in the work tree. Pure.

In: path → blob id, and path → a link's text. Out: what a path leads to, what decides its
content, and the listing that readers go through.
"""

from __future__ import annotations

import posixpath
from functools import cached_property

from mlgitops.git.links import LinkError, Trail

_LINK = "link:"  # before a link's text, where a file has its blob's id


class Tree:
    """The entries of one tree; paths are relative to the root of the repository."""

    def __init__(
        self,
        files: dict[str, str],
        links: dict[str, str],
        modules: frozenset[str] = frozenset(),
    ) -> None:
        """Take ``files``, path → blob id, and ``links``, path → the text of the link.

        ``modules`` are the folders of submodules, whose files are another repository's.
        """
        self.files = files
        self.links = links
        self.modules = modules

    @cached_property
    def entries(self) -> dict[str, str]:
        """Return path → blob id, or the marked text of a link: equal when the entry is."""
        return {**self.files, **{path: _LINK + text for path, text in self.links.items()}}

    @cached_property
    def listing(self) -> dict[str, str]:
        """Return the files, with links to files under the id of what they lead to.

        A link that is refused, or leads to nothing, is listed with its text: whoever reads it
        is told. Links to folders are left out.
        """
        links = {path: self._identify(path) for path in self.links}
        return {**self.files, **{path: entry for path, entry in links.items() if entry}}

    def trail(self, path: str) -> Trail:
        """Begin to follow ``path``."""
        return Trail(path, self.links.get)

    def trace(self, path: str) -> set[str]:
        """List what decides the content at ``path``: the links on its way, and the file."""
        trail = self.trail(path)
        try:
            return {path, trail.follow(), *trail.links}
        except LinkError:
            return {path, *trail.links}

    def is_folder(self, path: str) -> bool:
        """Tell whether something stands below ``path``."""
        return path in self._folders

    def _identify(self, path: str) -> str | None:
        try:
            target = self.trail(path).follow()
        except LinkError:
            return self.entries[path]
        return self.files.get(target) or (None if self.is_folder(target) else self.entries[path])

    @cached_property
    def _folders(self) -> set[str]:
        folders = {""}
        for path in self.entries:
            folder = posixpath.dirname(path)
            while folder not in folders:
                folders.add(folder)
                folder = posixpath.dirname(folder)
        return folders
