"""An update in words: the pull request's title and text, and what the terminal says. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mlgitops.delivery.proposals.result import BY_HAND, JUDGED
from mlgitops.dvc.pointers import name_repository
from mlgitops.render.blocks import render_count
from mlgitops.render.escape import escape_code, escape_line, escape_prose

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlgitops.updating.report import Taken, TakenFile, UpdateReport

_TEST_ROWS = (
    "Where the test rows changed with the table, the verdict's comment says what was done about it."
)
_GITHUB = re.compile(r"github\.com/(?P<name>[\w.-]+/[\w.-]+)", re.ASCII)
_MAJOR = re.compile(r"(?P<major>\d+)\.\d+\.\d+$", re.ASCII)
_MOST_NAMES = 20  # columns that are listed
_MOST_RULES = 20
_MOST_BYTES = 50_000  # of what is said of the update itself
_LONGEST = 60  # characters of a revision in a title
_SHORT = 12


def write_title(report: UpdateReport) -> str:
    """Write the title of the pull request."""
    if len(report.sources) > 1:
        return f"Take newer versions of {len(report.sources)} sources of data"
    taken = report.sources[0]
    name = escape_line(_name(taken), limit=_LONGEST)
    revision = escape_line(taken.revision or "", limit=_LONGEST)
    return f"Take {name} {revision} at {taken.commit[:_SHORT]}".replace("  ", " ")


def _name(taken: Taken) -> str:
    return name_repository(taken.repository).rpartition("/")[2]


def write_body(report: UpdateReport) -> str:
    """Write the text of the pull request, in Markdown."""
    parts = [
        *map(_describe_source, report.sources),
        _describe_files(report.files),
        *_describe_columns(report.files),
        *_describe_contract(report),
    ]
    return "\n\n".join([*_shorten(parts), f"{JUDGED} {_TEST_ROWS}", BY_HAND])


def _shorten(parts: list[str]) -> Iterator[str]:
    """Yield the first parts that fit into a pull request; its branch is pushed by then."""
    left = _MOST_BYTES
    for part in parts:
        left -= len(part.encode()) + 2
        if left < 0:
            yield "There is more than a pull request can say: it stands in reports/update.json."
            return
        yield part


def _describe_source(taken: Taken) -> str:
    before = _describe_revision(taken.old_revision, taken.old_commit)
    now = _describe_revision(taken.revision, taken.commit)
    lines = [f"{escape_code(taken.repository)}: from {before} to {now}"]
    if taken.commits is not None:
        lines[0] += f", {render_count(taken.commits, 'commit')}"
    match = _GITHUB.fullmatch(name_repository(taken.repository))
    if match is not None:
        page = f"https://github.com/{match['name']}/compare/{taken.old_commit}...{taken.commit}"
        lines[0] += f" ([compare]({page}))"
    lines[0] += "."
    if _find_major(taken.old_revision) != _find_major(taken.revision):
        lines.append("**A new major version: it promises less, or means something else.**")
    if taken.commits is None:
        lines.append("**The version that was imported is not in the history of the new one.**")
    lines += [
        f"The tag {escape_code(name)} is newer; no branch of the source holds its commit, so it"
        " was left out."
        for name in taken.stray
    ]
    return "\n\n".join(lines)


def _find_major(revision: str | None) -> str | None:
    """Return the first number of a version's tag; None for what is none."""
    match = _MAJOR.search(revision or "")
    return match["major"] if match else None


def _describe_revision(revision: str | None, commit: str) -> str:
    name = "the default branch" if revision is None else escape_code(revision)
    return f"{name} ({escape_code(commit[:_SHORT])})"


def _describe_files(files: tuple[TakenFile, ...]) -> str:
    lines = ["| file | rows before | now | columns before | now |", "|---|--:|--:|--:|--:|"]
    for file in files:
        shapes = (file.before, file.now)
        rows = ("" if shape is None else f"{shape.rows:,}" for shape in shapes)
        columns = ("" if shape is None else f"{len(shape.columns):,}" for shape in shapes)
        name = escape_code(file.path, cell=True)
        note = "" if file.changed else ", the same bytes"
        lines.append(f"| {name}{note} | {' | '.join([*rows, *columns])} |")
    return "\n".join(lines)


def _describe_columns(files: tuple[TakenFile, ...]) -> Iterator[str]:
    """Say which columns came and went, and that a table became shorter."""
    for file in files:
        if file.before is None or file.now is None:
            continue
        name, before, now = escape_code(file.path), file.before.columns, file.now.columns
        for word, names in (
            ("New in", [column for column in now if column not in before]),
            ("Gone from", [column for column in before if column not in now]),
        ):
            if names:
                listed = ", ".join(escape_code(column) for column in names[:_MOST_NAMES])
                more = f" and {len(names) - _MOST_NAMES:,} more" * (len(names) > _MOST_NAMES)
                yield f"{word} {name}: {listed}{more}."
        if file.now.rows < file.before.rows:
            fewer = file.before.rows - file.now.rows
            yield f"**{name} has {fewer:,} fewer rows than before.**"


def _describe_contract(report: UpdateReport) -> Iterator[str]:
    """List which rules of contract.yaml the imported contract does not promise, new ones first."""
    before = set(report.stricter_before or ())
    new = [rule for rule in report.stricter if rule not in before]
    old = [rule for rule in report.stricter if rule in before]
    gone = before - set(report.stricter)
    if new:
        word = "does not promise" if report.stricter_before is None else "no longer promises"
        yield f"The imported contract {word} what these rules of `contract.yaml` demand:"
        yield "\n".join(f"* {escape_prose(rule)}" for rule in new[:_MOST_RULES])
    if len(new) > _MOST_RULES:
        yield f"{len(new) - _MOST_RULES:,} more stand in reports/update.json."
    if old:
        yield f"As before, {render_count(len(old), 'rule')} of ours it does not promise to keep."
    if gone:
        yield f"It promises to keep {render_count(len(gone), 'rule')} more of ours than before."


def describe_taken(taken: Taken) -> str:
    """Say in a plain line what is taken."""
    old = f"{taken.old_revision or 'its default branch'} ({taken.old_commit[:_SHORT]})"
    new = f"{taken.revision or 'its default branch'} ({taken.commit[:_SHORT]})"
    return f"{taken.repository}: {old} → {new}"


def describe_counts(report: UpdateReport) -> list[str]:
    """Say in plain lines how the tables changed."""
    return [
        f"{file.path}: {file.before.rows:,} → {file.now.rows:,} rows,"
        f" {len(file.before.columns):,} → {len(file.now.columns):,} columns"
        for file in report.files
        if file.before is not None and file.now is not None
    ]
