"""Symbolic links, followed from text: where a path leads, or why it is refused. Pure.

A link is followed while it stays inside of the repository, as at a revision there is nothing
else: the same rule holds for the work tree, so that base and head are read alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgitops.errors import MlgitopsError

if TYPE_CHECKING:
    from collections.abc import Callable

#: Links on the way of one path, as many as Linux follows.
#: Source: https://man7.org/linux/man-pages/man7/path_resolution.7.html
MAX_HOPS = 40
MAX_TEXT = 4_096  # characters of a link, as on Linux
_HINT = "commit the file itself, or a relative link to one inside of the repository"


class LinkError(MlgitopsError):
    """A link that is not followed."""


class Trail:
    """Where a path leads, and the links that it passes."""

    def __init__(self, path: str, find_target: Callable[[str], str | None]) -> None:
        """Follow ``path`` from the root; ``find_target`` gives a link's text, None of no link."""
        self.path = path
        self.links: list[str] = []
        self._find_target = find_target
        self._passed: list[str] = []

    def follow(self) -> str:
        """Return the path of the file itself; raises :class:`LinkError` when it leads out.

        >>> Trail("latest/m.json", {"latest": "runs/1"}.get).follow()
        'runs/1/m.json'
        """
        waiting = self.path.split("/")[::-1]
        while waiting:
            waiting += self._step(waiting.pop())
        return "/".join(self._passed) if self.links else self.path

    def _step(self, part: str) -> list[str]:
        """Take one segment; for a link, return the segments of its target, the last one first."""
        if part in ("", "."):
            return []
        if part == "..":
            self._climb()
            return []
        if self.links and part.casefold() == ".git":
            raise self._refuse("leads into git's own files")
        self._passed.append(part)
        target = self._find_target("/".join(self._passed))
        if target is None:
            return []
        self.links.append("/".join(self._passed))
        self._passed.pop()
        if len(self.links) > MAX_HOPS:
            raise self._refuse(f"passes over {MAX_HOPS} links: it may go in a circle")
        if len(target) > MAX_TEXT:
            raise self._refuse("is longer than any path")
        if target.startswith("/"):
            raise self._refuse("is absolute: it leads to another place on every machine")
        return target.split("/")[::-1]

    def _climb(self) -> None:
        if self._passed:
            self._passed.pop()
        elif self.links:
            raise self._refuse("leads out of the repository")
        else:
            self._passed.append("..")

    def _refuse(self, problem: str) -> LinkError:
        return refuse_link(self.path, self.links[-1], problem)


def refuse_link(path: str, link: str, problem: str) -> LinkError:
    """Say why the link that ``path`` passes is not followed."""
    subject = "this link" if path == link else f"the link {link[:200]!a} on its way"
    return LinkError(f"{subject} {problem}", where=path[:500], hint=_HINT)
