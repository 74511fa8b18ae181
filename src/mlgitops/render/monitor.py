"""A look at production to the terminal, a page with charts, or the body of an issue. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from mlgitops.model import Chart, ChartKind, Series
from mlgitops.model.look import AlertKind, FindingState
from mlgitops.render.blocks import render_count
from mlgitops.render.escape import escape_code, escape_prose
from mlgitops.render.numbers import DASH, choose_decimals, render_number, render_plain
from mlgitops.render.sections import Page, Section

if TYPE_CHECKING:
    from mlgitops.model.look import Finding, Look, Trace

_TITLES = {
    AlertKind.MODEL: "The model answers worse than the policy allows",
    AlertKind.DATA: "What the model is asked has changed, or cannot be read",
    AlertKind.SYSTEM: "The server does not answer as it should",
}
_ADVICE = {
    AlertKind.MODEL: (
        "Look at the weeks in the chart of `mlgitops monitor --html`. Where the world has changed, "
        "train on newer labelled rows and let the pull request be judged; where a release brought "
        "it, `mlgitops rollback` proposes the model before."
    ),
    AlertKind.DATA: (
        "Ask who sends the requests. A column that is missing or has new levels is mended there; "
        "a level that is right belongs into contract.yaml, by a pull request. Lines that nobody "
        "can use are named by file and line where `mlgitops monitor` runs: see who writes that "
        "file, its disk, and whether the model and contract.yaml have the same classes."
    ),
    AlertKind.SYSTEM: "`mlgitops deploy ENVIRONMENT --status` and the server's log say more.",
}
_HEAD = ("figure", "of", "value", "interval", "limit", "days, rows", "what it says")
_NAMES = {
    "calibration": "calibration (mean score less the share that came true)",
    "silence": "days in a row without a row",
    "refused.contract": "requests refused by the contract",
    "refused.scoring": "requests that could not be scored",
    "refused.json": "requests refused that were no JSON",
    "refused.protocol": "requests refused by the protocol",
    "refused.too_large": "requests refused for their size",
    "missing": "missing cells",
    "new_level": "levels that the contract does not list",
    "unreadable": "lines of the log that nobody can use",
    "unreadable_labels": "labels that nobody can use",
    "damaged": "files of log and labels not read to their end",
    "system.rows_per_second": "rows a second",
    "system.requests_per_second": "requests a second",
    "system.seconds": "seconds to an answer",
    "system.failed": "share of failed requests",
    "system.dropped": "records dropped",
    "system.memory_mb": "memory, MB",
    "system.model_age_days": "age of the model, days",
    "system.data_age_days": "age of its data, days",
}
_HOLDS = "Nothing is beyond its limit by more than noise explains."
_CLOSES = "This issue closes when what was beyond its limit has held at two looks."
_IS_OVER = "what was beyond its limit has held at two looks, so this is closed."
_MARKS = {
    FindingState.ALERT: "ALERT",
    FindingState.HOLDS: "holds",
    FindingState.NOT_ENOUGH: "not enough",
    FindingState.SHOWN: "shown",
}


def describe_look(look: Look) -> Page:
    """Say what is beyond its limit, then what holds, then what is only shown."""
    alerts, short = look.alerts(), _pick(look, FindingState.NOT_ENOUGH)
    tone: Literal["pass", "fail", "warn"] = "pass"
    headline, deciding = f"{look.environment}: no alert", _HOLDS
    if alerts:
        tone, headline = "fail", f"{look.environment}: {render_count(len(alerts), 'alert')}"
        deciding = " ".join(f"{describe_finding(alert)}." for alert in alerts[:3])
    elif short or look.model is None:
        tone, headline = "warn", f"{look.environment}: not enough to say all"
        deciding = look.notices[0] if look.notices else "Some figures rest on too little yet."
    return Page(
        key=look.project or "the whole repository",
        headline=headline,
        tone=tone,
        deciding=deciding,
        sections=(
            Section(title="Looked at", rows=tuple(_list_facts(look))),
            _describe(look, FindingState.ALERT, "Beyond its limit, and beyond noise"),
            _describe(look, FindingState.HOLDS, "Holds"),
            _describe(look, FindingState.NOT_ENOUGH, "Not enough to say"),
            _describe(look, FindingState.SHOWN, "Shown, never an alert"),
            _describe_system(look),
        ),
        charts=tuple(map(_draw, look.traces)),
        legend="solid: the figure of each week; dashed: its limit. Judged are four weeks together.",
    )


def _pick(look: Look, state: FindingState) -> list[Finding]:
    """Return the findings of a state, but for those of the system that are only shown."""
    return [it for it in look.findings if it.state is state and not _is_of_system(it)]


def _is_of_system(finding: Finding) -> bool:
    return finding.state is FindingState.SHOWN and finding.kind is AlertKind.SYSTEM


def _list_facts(look: Look) -> list[tuple[str, str]]:
    labelled = "labelled rows"
    return [
        ("as of", f"the end of {look.day}, UTC; {labelled} up to Sunday {look.week}"),
        ("model", f"SHA-256 {look.model}" if look.model else "none has answered"),
    ]


def _describe(look: Look, state: FindingState, title: str) -> Section:
    return Section(title=title, head=_HEAD, rows=tuple(map(_write_row, _pick(look, state))))


def _describe_system(look: Look) -> Section:
    """Say how much is asked, how fast answers come, what is lost, and how old all is."""
    rows = tuple(
        (
            _NAMES.get(finding.name, finding.name),
            finding.of or "",
            DASH if finding.figure is None else render_plain(float(f"{finding.figure:.3g}")),
            finding.reason or "",
        )
        for finding in filter(_is_of_system, look.findings)
    )
    return Section(title="The system", head=("figure", "of", "value", "what it says"), rows=rows)


def _write_row(finding: Finding) -> tuple[str, ...]:
    value, interval, limit = _write_numbers(finding)
    says = [_MARKS[finding.state]] if finding.state is not FindingState.SHOWN else []
    says += [f"since {finding.since}"] if finding.since else []
    says += ["was an alert, not over yet"] if finding.lingers else []
    says += [finding.reason] if finding.reason else []
    return (
        _NAMES.get(finding.name, finding.name),
        finding.of or "all rows",
        value,
        interval,
        limit,
        f"{finding.days:,}, {finding.rows:,}",
        "; ".join(says),
    )


def _write_numbers(finding: Finding) -> tuple[str, str, str]:
    """Write figure, interval and limit with as many digits as the interval allows."""
    interval = finding.interval
    half = (interval.high - interval.low) / 2 if interval else None
    limits = () if finding.limit is None else (finding.limit,)
    decimals = choose_decimals(None, finding.figure, half_width=half, apart_from=limits)
    ends = DASH
    if interval is not None:
        low, high = (_write_number(end, decimals) for end in (interval.low, interval.high))
        ends = f"{low} to {high} ({100 * interval.confidence:.4g} %)"
    limit = DASH
    if finding.limit is not None:
        bound = "at most" if finding.upper else "at least"
        limit = f"{bound} {render_plain(float(f'{finding.limit:.4g}'))}, {finding.source}"
    return _write_number(finding.figure, decimals), ends, limit


def _write_number(value: float | None, decimals: int) -> str:
    """Write a whole number, such as of days, or a share of nothing or all, without decimals."""
    if value is not None and value.is_integer():
        return render_plain(value)
    return render_number(value, decimals)


def describe_finding(finding: Finding) -> str:
    """Say in a sentence what a figure is, and of what."""
    value, interval, limit = _write_numbers(finding)
    of = f" of `{finding.of}`" if finding.of else ""
    text = f"`{finding.name}`{of} is {value}, allowed is {limit}"
    return f"{text}; interval {interval}" if finding.interval else text


def _draw(trace: Trace) -> Chart:
    """Draw a figure week by week, with its limit as what it is held to."""
    x = tuple(map(float, trace.weeks))
    limit = (
        [Series(side="base", x=(x[0], x[-1]), y=(trace.limit, trace.limit))]
        if trace.limit is not None
        else []
    )
    return Chart(
        name=trace.name,
        kind=ChartKind.LINE,
        title=f"{trace.name[:70]} by week",
        x_label="weeks before the look",
        y_label=trace.name[:60],
        series=(*limit, Series(side="head", x=x, y=trace.values)),
    )


def write_title(look: Look, kind: AlertKind) -> str:
    """Write the title of an issue: always the same for a project, environment and kind."""
    project = f" ({look.project[:80]})" if look.project else ""
    return f"{look.environment[:60]}{project}: {_TITLES[kind][0].lower()}{_TITLES[kind][1:]}"


def write_issue(look: Look, kind: AlertKind) -> str:
    """Write the body of the issue of one kind, in Markdown."""
    alerts = look.alerts(kind)
    if kind not in look.open_kinds:
        return f"As of {look.day}: {_IS_OVER}\n"
    if not alerts:
        lines = [
            f"As of {look.day}: nothing is beyond its limit any more. {_CLOSES}",
            *_cut([_write_lingering(it) for it in look.findings if it.kind is kind and it.lingers]),
        ]
        return "\n\n".join(lines) + "\n"
    closing = (
        "Updated with each look; it closes by itself once every figure that was beyond its limit "
        "has held at two looks. Close it as not planned and it stays closed."
    )
    lines = [
        f"Model {escape_code((look.model or '')[:12])}, as of the end of {look.day} (UTC):",
        *_cut(list(map(_write_alert, alerts))),
        f"What to do: {_ADVICE[kind]}",
        closing,
    ]
    return "\n\n".join(lines) + "\n"


def _write_alert(alert: Finding) -> str:
    return f"- {escape_prose(describe_finding(alert))}, since {alert.since}{_add_reason(alert)}"


def _write_lingering(finding: Finding) -> str:
    """Say what a figure that was beyond its limit says now."""
    of = f" of `{finding.of}`" if finding.of else ""
    name = escape_prose(f"`{finding.name}`{of}")
    return f"- {name}: {_MARKS[finding.state]}{_add_reason(finding)}"


def _add_reason(finding: Finding) -> str:
    return f" ({escape_prose(finding.reason)})" if finding.reason else ""


def _cut(rows: list[str]) -> list[str]:
    """Return one block of at most 20 lines, and how many there are beside them."""
    if not rows:
        return []
    hidden = len(rows) - 20
    return ["\n".join(rows[:20]), *([f"and {hidden} more"] if hidden > 0 else [])]
