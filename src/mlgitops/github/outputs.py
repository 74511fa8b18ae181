"""What the runner reads back from a step: job summary, outputs, annotations in the log.

Writes the files that the runner names in the environment; where it names none (on a
laptop) nothing is written. No network.
"""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from mlgitops.errors import MlgitopsError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: A larger summary is lost, with an error annotation, while the step stays green:
#: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
MAX_SUMMARY_BYTES = 1024 * 1024
#: Annotations beyond this many of a level in a step are dropped without a word.
MAX_COMMANDS_PER_LEVEL = 10

_NAME = re.compile(r"[a-z][a-z0-9-]*")


def write_summary(environ: Mapping[str, str], markdown: str) -> bool:
    """Append ``markdown`` to the job summary; False where there is none.

    Raises :class:`MlgitopsError` when it would be over the limit and so be lost.
    """
    target = environ.get("GITHUB_STEP_SUMMARY")
    if not target:
        return False
    path, text = Path(target), markdown.rstrip("\n") + "\n"
    size = len(text.encode()) + (path.stat().st_size if path.exists() else 0)
    if size > MAX_SUMMARY_BYTES:
        raise MlgitopsError(f"the job summary would be {size} bytes; {MAX_SUMMARY_BYTES} are kept")
    _append(path, text)
    return True


def write_outputs(environ: Mapping[str, str], values: Mapping[str, str]) -> bool:
    """Set the step's outputs; False where there is no runner. Any text comes back as it was."""
    target = environ.get("GITHUB_OUTPUT")
    if not target:
        return False
    _append(Path(target), "".join(format_output(name, value) for name, value in values.items()))
    return True


def format_output(name: str, value: str, *, delimiter: str | None = None) -> str:
    r"""Write one output between two lines that its value cannot hold.

    >>> format_output("verdict", "pass", delimiter="end")
    'verdict<<end\npass\nend\n'
    """
    delimiter = delimiter or f"mlgitops_{secrets.token_hex(16)}"
    if not _NAME.fullmatch(name):
        raise MlgitopsError(f"not a name for an output: {name!r}")
    if delimiter in value:
        raise MlgitopsError("an output holds its own delimiter", where=name)
    return f"{name}<<{delimiter}\n{value}\n{delimiter}\n"


def format_command(
    kind: str, message: str, *, title: str = "", file: str = "", line: int | None = None
) -> str:
    r"""Write an annotation (error, warning or notice) as the runner's one-line command.

    >>> format_command("error", "50% lost\n::stop", title="a,b")
    '::error title=a%2Cb::50%25 lost%0A::stop'
    """
    given = {"title": title, "file": file, "line": "" if line is None else str(line)}
    properties = ",".join(f"{key}={_property(value)}" for key, value in given.items() if value)
    return f"::{kind}{' ' if properties else ''}{properties}::{_data(message)}"


def format_log(text: str) -> str:
    r"""Indent every line, so that none can start a command of the runner.

    >>> format_log("a\r::set-env::b")
    '| a\n| ::set-env::b'
    """
    return "\n".join(f"| {line}" for line in text.splitlines())


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _append(path: Path, text: str) -> None:
    try:
        with path.open("a", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except OSError as error:
        raise MlgitopsError(f"cannot write: {error.strerror}", where=str(path)) from error
