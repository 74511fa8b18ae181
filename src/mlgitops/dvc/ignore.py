"""Which files DVC leaves out of a folder: the patterns of .dvcignore, as those of git. Pure.

Sources: https://doc.dvc.org/user-guide/project-structure/dvcignore-files and
https://git-scm.com/docs/gitignore#_pattern_format
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

NAME = ".dvcignore"
_ALWAYS = (".hg/", ".git/", ".git", ".dvc/")  # as DVC's own list
_MAX_BYTES = 2**20
_MAX_PATTERN = 500  # characters; a longer one would make a slow expression


class _Rule(NamedTuple):
    base: str  # the folder of its file, with a slash at the end, or ""
    expression: re.Pattern[str]
    leaves_out: bool  # False: `!`, which takes in again
    folders: bool  # only folders are meant


class IgnoreRules:
    """The rules of every .dvcignore of one side."""

    def __init__(self, files: Iterable[str], read: Callable[[str], bytes | None]) -> None:
        """Read the .dvcignore files among ``files``, the outermost first."""
        self._rules = [rule for line in _ALWAYS if (rule := _parse_line(line, ""))]
        ignores = [path for path in files if posixpath.basename(path) == NAME]
        for path in sorted(ignores, key=lambda path: (path.count("/"), path)):
            if self.leaves_out(path):
                continue
            base = path.removesuffix(NAME)
            lines = (read(path) or b"")[:_MAX_BYTES].decode(errors="replace").splitlines()
            rules = (_parse_line(line.strip(), base) for line in lines)
            self._rules += [rule for rule in rules if rule]

    def leaves_out(self, path: str) -> bool:
        """Tell whether DVC does not see the file ``path``, or a folder that holds it."""
        parts = path.split("/")
        return any(
            self._matches("/".join(parts[:end]), folder=end < len(parts))
            for end in range(1, len(parts) + 1)
        )

    def _matches(self, path: str, *, folder: bool) -> bool:
        """Take the last rule that fits, as git does."""
        for rule in reversed(self._rules):
            if (rule.folders and not folder) or not path.startswith(rule.base):
                continue
            if rule.expression.fullmatch(path, len(rule.base)):
                return rule.leaves_out
        return False


def _parse_line(line: str, base: str) -> _Rule | None:
    if not line or line.startswith("#") or len(line) > _MAX_PATTERN:
        return None
    leaves_out = not line.startswith("!")
    pattern = line.removeprefix("!")
    folders = pattern.endswith("/")
    pattern = pattern.removesuffix("/")
    if (not pattern.strip("*/") and folders) or "//" in pattern or not pattern:
        return None
    if "/" not in pattern:
        pattern = f"**/{pattern}"
    below = "(?:/.*)?"  # what is in a folder that fits: `!folder` takes all of it in again
    expression = re.compile(_translate(pattern.removeprefix("/")) + below, re.DOTALL)
    return _Rule(base, expression, leaves_out, folders)


def _translate(pattern: str) -> str:
    """Turn one pattern into a regular expression for a whole path.

    Each wildcard but the last takes the shortest text and never gives it back, which changes
    no answer and keeps the time linear (as in Python's own `fnmatch`).
    """
    runs: list[list[str]] = [[]]  # the parts between one `**` and the next
    parts = pattern.split("/")
    for part in parts:
        if part != "**":
            runs[-1].append(_translate_part(part))
        elif runs[-1] or len(runs) == 1:
            runs.append([])
    if parts[-1] == "**":
        runs[-1] = [".+"]
    first, *middle = ["/".join(run) for run in runs]
    text = f"{first}/" if first and middle else first
    if not middle:
        return text
    taken = "".join(f"(?>(?:[^/]+/)*?{run}/)" for run in middle[:-1])
    return f"{text}{taken}(?:[^/]+/)*{middle[-1]}"


_TOKEN = re.compile(r"\\(.)|(\?)|\[([!^]?)(\]?[^\]]*)\]|(.)", re.DOTALL)


def _translate_part(part: str) -> str:
    first, *rest = [_translate_fixed(text) for text in re.split(r"(?<!\\)\*+", part)]
    if not rest:
        return first
    taken = "".join(f"(?>[^/]*?{text})" for text in rest[:-1])
    return f"{first}{taken}[^/]*{rest[-1]}"


def _translate_fixed(text: str) -> str:
    return "".join(map(_translate_token, _TOKEN.finditer(text)))


def _translate_token(token: re.Match[str]) -> str:
    escaped, mark, negated, members, plain = token.groups()
    if mark:
        return "[^/]"
    if members:
        inside = members.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")
        return f"[{'^' if negated else ''}{inside}]"
    return re.escape(escaped or plain or token.group())
