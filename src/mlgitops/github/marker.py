"""The hidden first line that makes a comment ours: value to text and back. No I/O.

It is JSON inside an HTML comment. It stands first because a first line survives e-mail
and any shortening; `v` lets a later release read what this one wrote.
"""

from __future__ import annotations

import re
from typing import Annotated

import msgspec
from msgspec import Meta

from mlgitops.model import Sha  # noqa: TC001 - msgspec reads it while running

_PREFIX = "<!-- mlgitops:report "
_SUFFIX = " -->"
_LINE = re.compile(re.escape(_PREFIX) + r"(\{[^<>]{1,1000}\})" + re.escape(_SUFFIX))
_Whole = Annotated[int, Meta(ge=0, lt=2**53)]


class Marker(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which report a comment shows, for which commit, from which run.

    ``run`` is (run number, attempt): tuples compare, and the greater one is newer. Run
    numbers are comparable within one workflow only, so ``key`` must not be shared by two.
    """

    v: Annotated[int, Meta(ge=1, le=1)] = 1
    key: Annotated[str, Meta(min_length=1, max_length=100)]
    sha: Sha
    run: tuple[_Whole, _Whole]


def render_marker(marker: Marker) -> str:
    r"""Write ``marker`` as one line that nothing in it can close.

    >>> print(render_marker(Marker(key="a-->b", sha="0" * 40, run=(7, 1)))[:56])
    <!-- mlgitops:report {"v":1,"key":"a\u002d\u002d\u003eb"
    """
    return f"{_PREFIX}{_escape(msgspec.json.encode(marker).decode())}{_SUFFIX}"


def _escape(text: str) -> str:
    for char in "-<>":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def render_key_marker(kind: str, key: str) -> str:
    r"""Write the line that makes an issue or a pull request ours: there is one for each ``key``.

    >>> render_key_marker("issue", "a-b")
    '<!-- mlgitops:issue {"v":1,"key":"a\\u002db"} -->'
    """
    text = msgspec.json.encode({"v": 1, "key": key}).decode()
    return f"<!-- mlgitops:{kind} {_escape(text)}{_SUFFIX}"


def has_first_line(body: str, line: str) -> bool:
    """Tell whether ``line`` stands first in ``body``, whatever ends it."""
    return body.split("\n", 1)[0].rstrip("\r") == line


def find_marker(body: str) -> Marker | None:
    """Return the marker on the first line of ``body``; None when there is none we can read.

    >>> find_marker("> <!-- mlgitops:report {} -->") is None
    True
    """
    match = _LINE.fullmatch(body.split("\n", 1)[0].rstrip("\r"))
    if match is None:
        return None
    try:
        return msgspec.json.decode(match[1], type=Marker)
    except (msgspec.MsgspecError, RecursionError):
        return None
