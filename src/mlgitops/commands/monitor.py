"""`mlgitops monitor`: the log and its labels into facts, and one look at production."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import TYPE_CHECKING

from mlgitops.commands.options import add_day, add_directory, add_environment, add_html, add_json
from mlgitops.errors import EXIT_FAIL, EXIT_PASS, EXIT_UNDECIDED, MlgitopsError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection, Mapping, Sequence

    from mlgitops.console import Console
    from mlgitops.delivery.local.files import EnvironmentFiles
    from mlgitops.model.look import Finding, Look
    from mlgitops.model.monitoring import DayFact
    from mlgitops.monitoring.project import Watched

_EPILOG = """\
Reads the log that the server wrote and the labels that `mlgitops label` matched with it, keeps
sums of each day, and looks: figures of labelled rows over the last 28 labelled days against the
policy's limits, once a week however often it is asked; refusals, missing cells, new levels and
silence against what is usual here; lines of the log and labels that nobody can read. Drift of
inputs is shown and never an alert.

With --post it keeps one issue for each kind of alert (model, data, system): GITHUB_TOKEN with
`issues: write`, and GITHUB_REPOSITORY.

exit codes: 0 no alert; 1 an alert; 2 no facts at all, or the log could not be read

examples:
  mlgitops monitor production
  mlgitops monitor production --html monitor.html
  mlgitops monitor production --post               # from a scheduled job
  mlgitops monitor production --json | jq '.findings[] | select(.state == "alert")'
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `mlgitops monitor`."""
    parser.epilog = _EPILOG
    add_environment(parser)
    add_json(parser)
    add_html(parser)
    parser.add_argument("--post", action="store_true", help="keep an issue for each kind of alert")
    add_day(parser)
    parser.add_argument(
        "--facts", type=Path, metavar="DIR",
        help="keep the facts in this folder (default: on the branch `monitoring`)",
    )  # fmt: skip
    parser.add_argument(
        "--no-log", action="store_true", help="look at the facts alone; the log is not here"
    )
    add_directory(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    """Read, keep, look, show, post, and return the exit code."""
    from mlgitops.delivery.local.files import EnvironmentFiles
    from mlgitops.delivery.production import look_at
    from mlgitops.model.look import encode_look
    from mlgitops.monitoring.project import read_watched
    from mlgitops.render.monitor import describe_look
    from mlgitops.render.sections import render_page, render_text
    from mlgitops.writing import replace_file

    day = read_day(args.day)
    watched = read_watched(args.directory)
    files = EnvironmentFiles(args.directory, args.environment)
    facts = _keep_facts(args, watched, files, day, console)
    look = _add_system(
        look_at(args.directory, args.environment, watched, facts, day), args, console
    )
    page = describe_look(look)
    if args.html:
        replace_file(args.html, render_page(page).encode())
        console.say(f"  page: {args.html}")
    if args.post:
        _post(look, os.environ, console)
    console.result(encode_look(look).decode() if args.json else render_text(page))
    if look.alerts():
        return EXIT_FAIL
    return EXIT_UNDECIDED if look.model is None else EXIT_PASS


def read_day(text: str | None) -> str:
    """Return the day to look at; raises :class:`MlgitopsError` for one that is not over yet."""
    yesterday = (dt.datetime.now(dt.UTC) - dt.timedelta(days=1)).date()
    if text is None:
        return yesterday.isoformat()
    try:
        day = dt.date.fromisoformat(text)
    except ValueError as error:
        raise MlgitopsError(f"{text[:40]!r} is no day", hint="such as 2026-11-22") from error
    if day > yesterday:
        hint = f"the last complete one, UTC, is {yesterday}"
        raise MlgitopsError(f"{day} is not over yet", hint=hint)
    return day.isoformat()


def _keep_facts(
    args: argparse.Namespace, watched: Watched, files: EnvironmentFiles, day: str, console: Console
) -> list[DayFact]:
    """Measure the days whose log is there and whose labels may still have come; keep the sums."""
    from mlgitops.delivery.production import open_store
    from mlgitops.monitoring.facts import describe_doubts, measure_log
    from mlgitops.monitoring.history import shift_day
    from mlgitops.monitoring.label_store import LabelStore
    from mlgitops.monitoring.project import list_parts
    from mlgitops.monitoring.store import drop_poorer, find_poorer_days, keep_facts

    store = open_store(args.directory, args.facts)
    kept = store.read(args.environment)
    if args.no_log:
        return list(kept)
    since = _find_first_day(kept, day, watched.settings.requests.keep_days)
    parts = list_parts(
        watched.settings.source, args.directory, files.folder / "requests", since, shift_day(day, 1)
    )
    labels = LabelStore(folder=files.folder / "labels")
    with console.step(f"Log and labels up to {day}"):
        measured = measure_log(parts, labels, watched.plan)
    for line in [*measured.problems.render(), *describe_doubts(measured.facts)]:
        console.warn(line)
    poorer = find_poorer_days(kept, measured.facts)
    if poorer:
        console.warn(_describe_poorer(poorer))
    facts = drop_poorer(measured.facts, poorer)
    days = {fact.day for fact in facts}
    if days:
        store.replace(args.environment, days, facts)
    return [*keep_facts(kept, days - poorer, facts), *facts]


def _find_first_day(kept: Sequence[DayFact], day: str, keep_days: int) -> str:
    """Return the first day to measure: whose labels may still come, or that nobody measured yet."""
    from mlgitops.monitoring.history import shift_day
    from mlgitops.monitoring.sources import FIRST_DAY

    if not kept:
        return FIRST_DAY
    return min(max(fact.day for fact in kept), shift_day(day, -keep_days))


def _describe_poorer(days: Collection[str]) -> str:
    """Say that days were not measured anew, and what to do if that is wrong."""
    count = "1 day" if len(days) == 1 else f"{len(days)} days"
    return (
        f"{count} from {min(days)}: fewer rows or labels are here than the facts rest on, so these "
        "stay (where they are wrong, remove their lines from the facts)"
    )


def _add_system(look: Look, args: argparse.Namespace, console: Console) -> Look:
    """Add what the server on this host counted, and the ages of model and data.

    None of it decides anything: where it cannot be read, that is said and the look stands.
    """
    from msgspec.structs import replace

    findings = list(look.findings)
    try:
        findings += _read_server(args.directory, args.environment, console)
        findings += _read_ages(args.directory, look)
    except MlgitopsError as error:
        console.warn(f"not all figures of the system are here: {error.what}")
    return replace(look, findings=tuple(findings))


def _read_server(project: Path, environment: str, console: Console) -> list[Finding]:
    """Ask the server of this host what it counted; nothing where none serves here."""
    import time

    from mlgitops.delivery import LocalTarget
    from mlgitops.monitoring.counters import parse_counters
    from mlgitops.monitoring.system import show_server

    text = LocalTarget(project, console).read_counters(environment)
    return [] if text is None else list(show_server(parse_counters(text), time.time()))


def _read_ages(project: Path, look: Look) -> list[Finding]:
    """Say how old the model that was asked last is, and its data; nothing without a release."""
    from mlgitops.delivery.releases.ages import read_ages
    from mlgitops.git.repository import Folder, Repository
    from mlgitops.monitoring.system import show_ages

    if look.model is None:
        return []
    with Repository(project.resolve()) as repository:
        ages = read_ages(Folder(repository, project.resolve()), look.model)
    return [] if ages is None else list(show_ages(ages, look.day))


def _post(look: Look, environ: Mapping[str, str], console: Console) -> None:
    """Keep an issue for each kind: open with an alert now or one that is not over, else closed."""
    from mlgitops.github.client import open_client
    from mlgitops.monitoring.posting import post_look

    token, repository = environ.get("GITHUB_TOKEN"), environ.get("GITHUB_REPOSITORY")
    if not token or not repository:
        hint = "set GITHUB_TOKEN, with `issues: write`, and GITHUB_REPOSITORY, as owner/name"
        raise MlgitopsError("nothing can be posted", hint=hint)
    api = environ.get("GITHUB_API_URL") or "https://api.github.com"
    with open_client(api, token=token) as client:
        for kind, number in post_look(client, repository, look).items():
            if number is not None:
                console.say(f"  issue about {kind}: #{number}")
