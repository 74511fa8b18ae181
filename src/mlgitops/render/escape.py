"""Untrusted text to Markdown that stays text: no mention, link, image, HTML or broken table.

Every name and sentence of a report may come from a pull request; nothing of it reaches a
comment except through here. GitHub's own rules: https://github.github.com/gfm/
"""

from __future__ import annotations

import re
import unicodedata

#: Longest text shown, in characters.
MAX_SHOWN = 200
_GAP = "\u200b"  # a zero-width space: invisible, and breaks what GitHub would link

_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f"
    "\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff\ud800-\udfff]+"
)
_LIVE = re.compile(
    r"@|#(?=\d)|(?i:gh-)(?=\d)|://|(?i:www\.)|:(?=[\w+-]+:)"
    # In the message of a commit, as a squash takes it from a pull request, workflows do not run.
    r"|\[(?=(?i:skip ci|ci skip|no ci|skip actions|actions skip)\])"
)
_ACTIVE = re.compile(r"^[-+=]|[\\`*_\[\]<>#!|~$&]")
_FENCES = re.compile(r"`+")


def clean_text(text: str, *, limit: int = MAX_SHOWN) -> str:
    """Make ``text`` one visible line: entities decoded, NFC, no control or bidi characters."""
    if text.isascii() and text.isprintable() and "&" not in text and "<" not in text:
        visible = text
    else:
        from html import unescape

        visible = unicodedata.normalize("NFC", unescape(text))
        visible = _INVISIBLE.sub(" ", visible).replace("<!", "(!")  # no second marker
    visible = visible.strip()
    return visible if len(visible) <= limit else visible[: limit - 1] + "…"


def escape_code(text: str, *, limit: int = MAX_SHOWN, cell: bool = False) -> str:
    r"""Put ``text`` in a code span that it cannot leave; ``cell`` makes it safe in a table.

    >>> escape_code("a`b|c"), escape_code("a|b", cell=True)
    ('``a`b|c``', '`a\\|b`')
    """
    shown = _break_links(clean_text(text, limit=limit)) or "(empty)"
    fence = "`" * (1 + max((len(run) for run in _FENCES.findall(shown)), default=0))
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{pad}{_escape_pipes(shown) if cell else shown}{pad}{fence}"


def escape_prose(text: str, *, limit: int = 500, cell: bool = False) -> str:
    r"""Escape a sentence; what stands between single backticks becomes a code span.

    >>> escape_prose("`a` is *not* <b>")
    '`a` is \\*not\\* \\<b\\>'
    """
    parts = clean_text(text, limit=limit).split("`")
    if len(parts) % 2 == 0:  # a backtick without a partner is only a character
        return _escape_plain("'".join(parts))
    return "".join(
        escape_code(part, limit=limit, cell=cell)
        if at % 2 and part.strip()
        else _escape_plain(part)
        for at, part in enumerate(parts)
    )


def escape_line(text: str, *, limit: int = 500) -> str:
    """Make ``text`` one line for a place without Markdown, such as a commit's message.

    Nothing in it mentions a person, closes an issue or tells GitHub to skip a workflow
    (`[skip ci]`).
    """
    return _break_links(clean_text(text, limit=limit)).replace("[", "(").replace("]", ")")


def escape_address(address: str | None) -> str | None:
    """Return an http(s) address fit for a Markdown link, or None when it is not one."""
    if not address or not re.fullmatch(r"https?://[!#-;=?-Z_a-z~]+", address):
        return None
    return address.replace("(", "%28").replace(")", "%29")


def _break_links(text: str) -> str:
    """Make what GitHub would turn into a mention or a link into plain text."""
    return _LIVE.sub(lambda match: match.group()[0] + _GAP + match.group()[1:], text)


def _escape_plain(text: str) -> str:
    return _ACTIVE.sub(r"\\\g<0>", _break_links(text))


def _escape_pipes(text: str) -> str:
    """Escape pipes for a table cell; a backslash before one must not undo that."""
    return text.replace("\\|", f"\\{_GAP}|").replace("|", "\\|")
