"""What a person sees while a workflow runs: each step with its time, and what it reports."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from mlgitops.github.marker import find_marker
from mlgitops.render.terminal import find_width

if TYPE_CHECKING:
    from typing import IO

    from mlgitops.console import Console
    from mlgitops.rehearsal.act import StepResult

_PIN = re.compile(r"@[0-9a-f]{40}$")
_MARKS = {"success": ("✓", "green"), "failure": ("✗", "red")}
#: A line of progress as this helper prints it, inside a step.
_PROGRESS = re.compile(r"\s*[✓✗] .{1,200} [0-9.]+ s")
#: The first line of a block that GitHub draws as a box, of a word that says what it is.
_ALERT = re.compile(r"(?m)^> \[!([A-Z])([A-Z]+)\]$")
_CLEAR = "\r\x1b[K"


class Screen:
    """Shows steps as they end and, on a terminal, the one that is running."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = not console.quiet and console.err.isatty()
        self._running = ""

    def start(self, job: str, title: str) -> None:
        """Show that a step runs, until something else is shown."""
        self._running = f"  … {job}: {_PIN.sub('', title)}"
        if self._live:
            self._console.err.write(_CLEAR + self._running)
            self._console.err.flush()

    def end(self, step: StepResult) -> None:
        """Show how a step went, and its time."""
        mark, style = _MARKS.get(step.result, ("-", "dim"))
        took = self._console.style(f"{step.seconds:.1f} s", "dim")
        title = _PIN.sub("", step.title)
        self._running = ""
        self._say(f"  {self._console.style(mark, style)} {step.job}: {title}  {took}")

    def print(self, line: str) -> None:
        """Pass on a line of progress, such as a pipeline's stage; drop every other."""
        if _PROGRESS.fullmatch(line):
            self._say(f"    {line.strip()}")

    def _say(self, text: str) -> None:
        """Write a line, with the running step below it again."""
        self._console.say(f"{_CLEAR if self._live else ''}{text}")
        if self._live and self._running:
            self._console.err.write(self._running)
            self._console.err.flush()


def show_comment(comment: str, stream: IO[str]) -> None:
    """Write a comment's Markdown to ``stream`` as text for people, its tables as tables.

    As wide as the window; where there is none, as wide as the variable COLUMNS says, else 120.
    """
    from rich.console import Console as Terminal
    from rich.markdown import Markdown

    text = comment.partition("\n")[2] if find_marker(comment) else comment  # it is for machines
    text = _ALERT.sub(lambda alert: f"> **{alert[1]}{alert[2].lower()}:**", text)
    width = None if stream.isatty() else find_width(os.environ)
    Terminal(file=stream, width=width).print(Markdown(text))
