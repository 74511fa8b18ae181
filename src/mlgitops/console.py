"""What a person sees while a command works: steps with times, warnings, errors.

Progress goes to standard error, results to standard output, colours only to a terminal.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlgitops.errors import MlgitopsError

_STYLES = {"red": "31", "green": "32", "yellow": "33", "bold": "1", "dim": "2"}


class Console:
    """Writes progress to ``err`` and results to ``out``; quiet drops the progress."""

    def __init__(
        self, *, out: IO[str] | None = None, err: IO[str] | None = None, quiet: bool = False
    ) -> None:
        self.out = out or sys.stdout
        self.err = err or sys.stderr
        self.quiet = quiet

    def style(self, text: str, name: str, *, stream: IO[str] | None = None) -> str:
        """Return ``text`` in a style (red, green, yellow, bold, dim) where colours are shown."""
        stream = stream or self.err
        if os.environ.get("NO_COLOR") or not stream.isatty():
            return text
        return f"\x1b[{_STYLES[name]}m{text}\x1b[0m"

    def result(self, text: str) -> None:
        """Write a result, the thing the command was asked for."""
        self.out.write(text if text.endswith("\n") else text + "\n")
        self.out.flush()

    def say(self, text: str) -> None:
        """Write a line of progress."""
        if not self.quiet:
            self._tell(text + "\n")

    def warn(self, text: str) -> None:
        """Write a warning; shown even when quiet."""
        self._tell(self.style("warning: ", "yellow") + text + "\n")

    def error(self, error: MlgitopsError) -> None:
        """Write an error: what happened, where, what to do next."""
        self._tell(self.style("error: ", "red") + str(error) + "\n")

    def _tell(self, text: str) -> None:
        """Write what accompanies the work; that nobody reads any more does not end the work.

        Source of the way out: https://docs.python.org/3/library/signal.html#note-on-sigpipe
        """
        try:
            self.err.write(text)
            self.err.flush()
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.err.fileno())  # what is started from here writes there, too
            os.close(nowhere)

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Show ``title`` while the block runs, then its outcome and time in seconds."""
        start = time.perf_counter()
        live = not self.quiet and self.err.isatty()
        if live:
            self._tell(f"  … {title}")
        mark, style = "✗", "red"
        try:
            yield
            mark, style = "✓", "green"
        finally:
            seconds = time.perf_counter() - start
            begin = "\r\x1b[K" if live else ""
            if not self.quiet:
                took = self.style(f"{seconds:.1f} s", "dim")
                self._tell(f"{begin}  {self.style(mark, style)} {title}  {took}\n")
