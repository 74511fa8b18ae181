"""Errors a person can act on: what happened, where, and what to do next.

Core functions raise them; only :func:`mlgitops.cli.run` catches, prints and exits.
"""

from __future__ import annotations

#: The model passed.
EXIT_PASS = 0
#: The verdict is fail.
EXIT_FAIL = 1
#: We could not decide: bad input, missing data, network.
EXIT_UNDECIDED = 2


def show_bytes(text: str) -> str:
    r"""Write the bytes of a file name that is not UTF-8 as `\xe7`; other text stays as it is.

    Python holds such a byte as half a surrogate pair (PEP 383), which no file can be written with.

    >>> show_bytes("fran\udce7ais.csv")
    'fran\\xe7ais.csv'
    """
    if text.isascii():
        return text
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


class MlgitopsError(Exception):
    """A situation that ends the command with exit code 2 and one clear message.

    ``what`` happened, in one sentence; ``where``: file, line, revision or address;
    ``hint``: the next step for the person who reads it.
    """

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(show_bytes(what))
        self.what = show_bytes(what)
        self.where = None if where is None else show_bytes(where)
        self.hint = hint

    def __str__(self) -> str:
        prefix = f"{self.where}: " if self.where else ""
        advice = f"\n  hint: {self.hint}" if self.hint else ""
        return f"{prefix}{self.what}{advice}"


class MistakesError(MlgitopsError):
    """Several mistakes found in one pass, reported together."""

    def __init__(self, what: str, errors: list[MlgitopsError], *, hint: str | None = None) -> None:
        super().__init__(what, hint=hint)
        self.errors = errors

    def __str__(self) -> str:
        lines = [self.what, *(f"  - {error}".replace("\n", "\n  ") for error in self.errors)]
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)
