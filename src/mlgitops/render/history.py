"""Releases, environments and leaderboards, to a terminal or a page that can be published."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgitops.model.ledger import find_live
from mlgitops.render.numbers import DASH, choose_decimals, render_delta, render_number
from mlgitops.render.sections import Page, Section

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlgitops.model.history import EnvironmentHistory, History, Leaderboard, Place, ReleaseFacts

_MOST_ROWS = 200
_CONFIRMED = "Every tag of a model of this project and every line of the ledger holds."
_RELEASE_HEAD = ("version", "what is new", "verdict", "approved by", "commit", "signature")
_LEDGER_HEAD = ("since", "event", "model", "SHA-256", "asked for by", "why")


def describe_history(history: History) -> Page:
    """Say what there is, what serves now, and who leads."""
    serving = ", ".join(_list_serving(history)) or "nothing"
    count = len(history.releases)
    return Page(
        key=history.project or "the whole repository",
        headline=f"{count} {'release' if count == 1 else 'releases'}; in service: {serving}",
        tone="warn" if history.notices else "pass",
        deciding=" ".join(history.notices) or _CONFIRMED,
        sections=(
            *map(_describe_board, history.leaderboards),
            *_describe_releases(history),
            *map(_describe_environment, history.environments),
            Section(title="Left out", rows=tuple((reason,) for reason in history.left_out)),
        ),
    )


def _list_serving(history: History) -> Iterator[str]:
    for environment in history.environments:
        live = find_live(environment.entries)
        if live:
            version = live.version or live.sha256[:12]
            yield f"{live.model} {version} in {environment.environment}"


def _describe_board(board: Leaderboard) -> Section:
    best = "highest" if board.greater_is_better else "lowest"
    rows = tuple(
        (str(at), place.version, *_describe_place(place))
        for at, place in enumerate(board.places, start=1)
    )
    return Section(
        title=f"{board.model}: {board.metric}, {best} first",
        head=("place", "version", "value", "leader minus this", "test rows"),
        rows=rows,
        note=(
            f"All on the test set {board.test_data[:20]}. An interval that holds 0: the rows do "
            "not tell the two apart."
        ),
    )


def _describe_place(place: Place) -> tuple[str, str, str]:
    interval = place.interval
    half = (interval.high - interval.low) / 2 if interval else None
    decimals = choose_decimals(place.value, place.value + (place.delta or 0.0), half_width=half)
    value = render_number(place.value, decimals)
    if place.delta is None:
        return value, "leads", DASH
    delta = render_delta(place.delta, decimals)
    if interval is None:
        return value, f"{delta}; no interval: {place.reason or 'not known why'}", DASH
    low, high = (render_delta(bound, decimals) for bound in (interval.low, interval.high))
    text = f"{delta} ({low} to {high}, {interval.confidence:.0%})"
    return value, text, f"{place.rows:,}" if place.rows is not None else DASH


def _describe_releases(history: History) -> Iterator[Section]:
    for model in dict.fromkeys(release.lineage.model for release in history.releases):
        releases = [r for r in history.releases if r.lineage.model == model]
        yield Section(
            title=f"Releases of {model}, the newest first",
            head=_RELEASE_HEAD,
            rows=tuple(map(_describe_release, releases[::-1][:_MOST_ROWS])),
        )


def _describe_release(release: ReleaseFacts) -> tuple[str, ...]:
    lineage = release.lineage
    return (
        lineage.version,
        lineage.change.value,
        lineage.verdict or "not known",
        ", ".join(lineage.approvers or ()) or "not known",
        release.revision[:12],
        release.signature,
    )


def _describe_environment(history: EnvironmentHistory) -> Section:
    rows = tuple(
        (
            entry.at,
            entry.event.value + (", forced" if entry.forced else ""),
            f"{entry.model} {entry.version or 'without a release'}",
            entry.sha256[:12],
            entry.commit[:12],
            entry.reason or "",
        )
        for entry in history.entries[::-1][:_MOST_ROWS]
    )
    return Section(title=f"{history.environment}, the newest first", head=_LEDGER_HEAD, rows=rows)
