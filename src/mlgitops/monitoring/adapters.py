"""Logs and labels that lie elsewhere: a command that prints JSON Lines.

In: a source of monitor.yaml. Out: parts that yield chunks of records, as the server's files do, so
that all of them pass the same reader. Runs programs.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlgitops.errors import MlgitopsError
from mlgitops.model.monitoring import CommandSource, TableSource
from mlgitops.monitoring.outcomes import read_chunk, read_table
from mlgitops.monitoring.sources import cut_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mlgitops.model.monitoring import LabelSettings, LogSource
    from mlgitops.monitoring.labels import Given
    from mlgitops.monitoring.problems import Problems
    from mlgitops.monitoring.records import Chunk
    from mlgitops.monitoring.sources import Part


@dataclass(frozen=True, kw_only=True)
class CommandPart:
    """What a program prints: lines of JSON, of the days that its variables name."""

    words: tuple[str, ...]
    folder: Path  # in which it runs
    since: str
    until: str

    def read(self, problems: Problems) -> Iterator[Chunk]:
        """Run the program and yield its lines; raises :class:`MlgitopsError` when it fails."""
        variables = {"MLGITOPS_SINCE": self.since, "MLGITOPS_UNTIL": self.until}
        where = self.words[0]
        try:
            process = subprocess.Popen(
                self.words,
                cwd=self.folder,
                env={**os.environ, **variables},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
            )
        except OSError as error:
            problem = f"it cannot be started: {error.strerror}"
            raise MlgitopsError(problem, where=where, hint="see monitor.yaml") from error
        with process:
            if process.stdout is not None:
                yield from cut_lines(process.stdout, where, problems)
        if process.returncode != 0:
            problem = f"it ended with exit code {process.returncode}: what it printed is not used"
            raise MlgitopsError(problem, where=where, hint="see monitor.yaml")


def adapt(source: LogSource, project: Path, since: str, until: str) -> Sequence[Part]:
    """Return the parts of a log that is no folder of the server's."""
    if isinstance(source, CommandSource):
        part = CommandPart(words=source.words, folder=project, since=since, until=until)
        return [part]
    raise MlgitopsError("this kind of source is not read yet", where="monitor.yaml: source")


def read_label_source(
    settings: LabelSettings, project: Path, problems: Problems
) -> Iterator[Given]:
    """Yield the labels of the source that monitor.yaml names."""
    source = settings.source
    if isinstance(source, TableSource):
        for path in list_files(project, source.file):
            yield from read_table(path, settings, problems)
    elif isinstance(source, CommandSource):
        part = CommandPart(words=source.words, folder=project, since="", until="")
        for chunk in part.read(problems):
            yield from read_chunk(chunk, settings, problems)
    else:
        raise MlgitopsError("this kind of source is not read yet", where="monitor.yaml: labels")


def list_files(project: Path, pattern: str) -> list[Path]:
    """Return the files that a pattern names, sorted; raises :class:`MlgitopsError` for none."""
    import glob

    paths = sorted(glob.glob(str(project / pattern), recursive=True))  # noqa: PTH207 - may be absolute
    if not paths:
        raise MlgitopsError("no file is named so", where=pattern[:200], hint="see monitor.yaml")
    return [project / path for path in paths]
