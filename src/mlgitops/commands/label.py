"""`mlgitops label`: what came true of rows that were answered, matched with the log by id."""

from __future__ import annotations

import datetime as dt
import json
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mlgitops.commands.options import add_directory, add_environment, add_json
from mlgitops.errors import EXIT_PASS, EXIT_UNDECIDED, MlgitopsError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from mlgitops.console import Console
    from mlgitops.model.monitoring import LabelSettings
    from mlgitops.monitoring.labels import Given, Taken
    from mlgitops.monitoring.problems import Problems
    from mlgitops.monitoring.project import Watched

_EPILOG = """\
A label is an id and an outcome. The id is the row's own where the request had a column `id`, else
`<request id>/<row number from 0>`, with the id that the answer says. Labels are kept beside the
log, by the day of the request; giving the same file again changes nothing. A label whose id is
not in the log is counted as unknown and never kept.

A file is CSV, JSON Lines (.jsonl, .jsonl.gz) or Parquet. Without one, the source below `labels:`
in monitor.yaml is asked.

exit codes: 0 read; 2 a file is wrong, or no label fits the log

examples:
  mlgitops label production outcomes.csv
  mlgitops label production week-*.parquet --id flight --outcome late
  mlgitops label production --json | jq '{new, corrected, unknown}'
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `mlgitops label`."""
    parser.epilog = _EPILOG
    add_environment(parser)
    parser.add_argument("files", metavar="FILE", nargs="*", type=Path, help="ids and outcomes")
    parser.add_argument(
        "--id", metavar="COLUMN", help="column of the ids (default: monitor.yaml's)"
    )
    parser.add_argument(
        "--outcome", metavar="COLUMN", help="column of the outcomes (default: monitor.yaml's)"
    )
    add_json(parser)
    add_directory(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    """Match labels with the log, say what became of them, and return the exit code."""
    from mlgitops.monitoring.project import read_watched

    watched = read_watched(args.directory)
    settings = _apply(watched.settings.labels, args)
    matched = take(args.directory, args.environment, watched, settings, args.files, console=console)
    console.result(_encode(matched) if args.json else _describe(matched, settings.late_days))
    return EXIT_PASS if _fits(matched) else EXIT_UNDECIDED


def take(
    project: Path,
    environment: str,
    watched: Watched,
    settings: LabelSettings,
    paths: Sequence[Path],
    *,
    console: Console,
) -> Taken:
    """Match the labels of these files, or of the source that is set, with the log.

    What could not be used is said as a warning.
    """
    from mlgitops.delivery.local.files import EnvironmentFiles
    from mlgitops.monitoring.label_store import LabelStore
    from mlgitops.monitoring.labels import take_labels
    from mlgitops.monitoring.problems import Problems
    from mlgitops.monitoring.project import list_parts, read_salt
    from mlgitops.monitoring.sources import FIRST_DAY, LAST_DAY

    state = EnvironmentFiles(project, environment).folder
    source, now = watched.settings.source, dt.datetime.now(dt.UTC)
    parts = list_parts(source, project, state / "requests", FIRST_DAY, LAST_DAY)
    salt = read_salt(watched.settings, project, state / "requests")
    problems = Problems()
    with console.step("Labels matched with the log"):
        given = _read_given(project, settings, paths, problems)
        store = LabelStore(folder=state / "labels")
        matched = take_labels(
            given, parts, store, watched.plan, now=now, late_days=settings.late_days, salt=salt
        )
    matched.problems.merge(problems)
    for line in matched.problems.render():
        console.warn(line)
    return matched


def _apply(settings: LabelSettings, args: argparse.Namespace) -> LabelSettings:
    """Return the settings with the columns that the options name."""
    chosen = {name: getattr(args, name) for name in ("id", "outcome") if getattr(args, name)}
    return msgspec.structs.replace(settings, **chosen)


def _read_given(
    project: Path, settings: LabelSettings, paths: Sequence[Path], problems: Problems
) -> Iterator[Given]:
    from mlgitops.monitoring.label_tables import read_table

    if paths:
        return chain.from_iterable(read_table(path, settings, problems) for path in paths)
    if settings.source is None:
        hint = "name a file, or a `source:` below `labels:` in monitor.yaml"
        raise MlgitopsError("there is nothing to read labels from", hint=hint)
    from mlgitops.monitoring.adapters import read_label_source

    return read_label_source(settings, project, problems)


def _fits(taken: Taken) -> bool:
    return bool(taken.new or taken.corrected or taken.unchanged)


def _encode(taken: Taken) -> str:
    names = ("new", "corrected", "unchanged", "unknown", "late")
    counts = {name: getattr(taken, name) for name in names}
    left_out = dict(sorted(taken.problems.counts.items()))
    return json.dumps({**counts, "days": taken.days, "left_out": left_out}, indent=2)


def _describe(taken: Taken, late_days: int) -> str:
    lines = [
        f"{taken.new:,} new, {taken.corrected:,} corrected, {taken.unchanged:,} as before",
        f"{taken.unknown:,} unknown: the log has no row of that id" if taken.unknown else "",
        f"{taken.late:,} late: over {late_days} days after the request" if taken.late else "",
        "" if _fits(taken) else "no label fits a row of the log",
    ]
    return "\n".join(line for line in lines if line)
