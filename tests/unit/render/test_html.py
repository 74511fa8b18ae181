"""The page: self-contained, safe whatever the names, readable, and below 1 MB."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec
import pytest
from builders import make_change, make_report, steady_changes
from chart_situations import HOSTILE, chart_situations
from comments import LINKS, situations
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgitops.model import (
    Chart,
    ChartKind,
    Links,
    ParamChange,
    Policy,
    Report,
    Rule,
    Series,
)
from mlgitops.render.facts import headline
from mlgitops.render.html import render_html
from mlgitops.render.markdown import render_report
from mlgitops.render.mermaid import render_chart
from mlgitops.render.svg import choose_ticks, draw_chart

if TYPE_CHECKING:
    from collections.abc import Mapping

GOLDEN = Path(__file__).parents[2] / "golden"
SITUATIONS = situations()
#: Everything that the page may hold; an image, script, link or form is not among them.
TAGS = frozenset(
    (
        *("html", "head", "meta", "title", "style", "body", "header", "main", "section"),
        *("h1", "h2", "p", "ul", "li", "b", "a", "code", "span", "small", "wbr", "div"),
        *("table", "caption", "thead", "tbody", "tr", "th", "td", "details", "summary"),
        *("dl", "dt", "dd", "figure", "figcaption"),
        *("svg", "desc", "path", "line", "rect", "circle", "text"),
    )
)
VOID = {"meta", "wbr"}


class Page(HTMLParser):
    """A page taken apart: its tags with their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, Mapping[str, str | None]]] = []
        self.words: list[str] = []
        self.unclosed: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take the beginning of an element."""
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.unclosed.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take an element that is empty."""
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """Take an end, which must be that of the innermost element."""
        assert self.unclosed.pop() == tag

    def handle_data(self, data: str) -> None:
        """Take text."""
        self.words.append(data)

    @property
    def text(self) -> str:
        """Return what a person reads, in one line."""
        style = next(word for word in self.words if "color-scheme" in word)
        return " ".join("".join(word for word in self.words if word != style).split())


def read_page(report: Report, links: Links = LINKS) -> Page:
    """Render and take apart; every tag is closed where it should be."""
    page = Page(render_html(report, links=links))
    assert page.unclosed == []
    return page


def check_safe(page: Page) -> None:
    """Hold a page to the tags, attributes and addresses that we write."""
    for tag, attributes in page.tags:
        assert tag in TAGS
        assert not any(name.startswith("on") or name in ("style", "src") for name in attributes)
        address = attributes.get("href")
        is_ours = address in (None, LINKS.guide_url)
        assert is_ours or str(address).startswith("https://github.com/octo-org/")


@pytest.mark.parametrize(("better", "worse_first"), [(True, False), (False, True)])
def test_an_interval_runs_as_its_drawing_does(*, better: bool, worse_first: bool) -> None:
    """The worse end stands left in both, whichever way the metric counts."""
    change = make_change("loss", 0.45, 0.44, interval=(-0.018, -0.002))
    policy = Policy(metrics={"loss": Rule(greater_is_better=better, max_worsening=0.01)})
    html = str(render_html(make_report(change, policy=policy), links=LINKS))
    ends = ["\u22120.0180", "\u22120.0020"]
    text = " to ".join(reversed(ends) if worse_first else ends)
    assert f"<small>{text}</small>" in html
    drawn = re.findall(r'class="end-label[^>]*>([^<]*)<', html)
    assert " to ".join(drawn) == text


@pytest.mark.parametrize("name", ["data_changed", "many_metrics", "slices_held", "improved"])
def test_each_cell_is_named_where_rows_are_stacked(name: str) -> None:
    """On a narrow screen a table has no head: its cells bring their column's name along."""
    html = str(render_html(SITUATIONS[name], links=LINKS))
    tables = re.findall(r"<table>.*?</table>", html, re.DOTALL)
    assert tables
    for table in tables:
        heads = [head for head in re.findall(r'<th scope="col"[^>]*>([^<]*)</th>', table) if head]
        labels = set(re.findall(r'<td data-label="([^"]*)"|data-label="([^"]*)"', table))
        named = {first or second for first, second in labels}
        assert {head.replace("95% interval", "Interval") for head in heads[1:]} <= named


@pytest.mark.parametrize("name", SITUATIONS)
def test_every_situation_has_a_page(name: str) -> None:
    """Verdict, deciding metric, reasons and notices are the comment's, word for word."""
    report = SITUATIONS[name]
    page = read_page(report)
    check_safe(page)
    assert headline(report) in page.text
    if name == "hostile_names":
        return
    comment = render_report(report, links=LINKS)
    first = comment.splitlines()[0].partition(": ")[2]
    assert first.replace("`", "").replace("\\", "").casefold() in page.text.casefold()
    for failure in report.judgement.failures if report.judgement else ():
        assert failure.replace("`", "") in page.text


def test_the_page_loads_nothing() -> None:
    """The policy allows our own style by its hash and nothing else; no address is fetched."""
    html = render_html(SITUATIONS["improved"], links=LINKS)
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style.group(1).encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert f'content="{policy}"' in html
    assert html.index("Content-Security-Policy") < html.index("<style>")
    assert "url(" not in style.group(1)
    assert "@import" not in style.group(1)
    assert "<script" not in html


def test_the_page_prints_and_follows_the_reader() -> None:
    """It has a dark form, a narrow one, and one for paper."""
    html = render_html(SITUATIONS["improved"], links=LINKS)
    for query in ("(prefers-color-scheme: dark)", "screen and (max-width: 760px)", "print"):
        assert f"@media {query}" in html


def test_charts_can_be_read_aloud() -> None:
    """Every chart has a title and a description, every table a caption and headed columns."""
    report = msgspec.structs.replace(SITUATIONS["improved"], charts=chart_situations()["binary"])
    page = read_page(report)
    charts = [attributes for tag, attributes in page.tags if attributes.get("class") == "chart"]
    assert len(charts) == 5
    names = {attributes.get("id") for _, attributes in page.tags}
    for attributes in charts:
        assert set(str(attributes["aria-labelledby"]).split()) <= names
    tags = [tag for tag, _ in page.tags]
    assert tags.count("table") == tags.count("caption")
    assert all(attributes.get("scope") for tag, attributes in page.tags if tag == "th")
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_the_forest_plot_puts_better_to_the_right() -> None:
    """A loss that falls is drawn right of the middle, with its interval and its margin."""
    policy = Policy(metrics={"loss": Rule(greater_is_better=False, max_worsening=0.01)})
    change = make_change("loss", 0.45, 0.44, interval=(-0.018, -0.002))
    html = render_html(make_report(change, policy=policy), links=LINKS)
    plot = re.search(r'<svg class="forest".*?</svg>', html, re.DOTALL)
    assert plot
    page = Page(f"<style>color-scheme</style>{plot.group()}")
    (bar,) = [a for tag, a in page.tags if str(a.get("class")).startswith("interval")]
    (dot,) = [a for tag, a in page.tags if tag == "circle"]
    reach = 0.018 * 1.5
    left = float(str(bar["x"]).rstrip("%"))
    assert left == pytest.approx(50 + 50 * 0.002 / reach, abs=0.02)
    assert float(str(bar["width"]).rstrip("%")) == pytest.approx(50 * 0.016 / reach, abs=0.02)
    assert float(str(dot["cx"]).rstrip("%")) == pytest.approx(50 + 50 * 0.01 / reach, abs=0.02)
    (zone,) = [a for tag, a in page.tags if a.get("class") == "forbidden"]
    assert float(str(zone["width"]).rstrip("%")) == pytest.approx(50 - 50 * 0.01 / reach, abs=0.02)
    assert page.words[1:] == ["may lose 0.01", "\u22120.0020", "\u22120.0180"]


def test_without_an_interval_the_dot_is_hollow() -> None:
    """A change whose noise was not estimated has no bar."""
    html = render_html(SITUATIONS["improved_without_noise"], links=LINKS)
    assert 'class="point hollow improved"' in html
    assert 'class="interval' not in html


TEXTS = st.text(max_size=60) | st.sampled_from(
    [
        HOSTILE,
        "</style><script>1</script>",
        '" onload="x',
        "</svg><img src=x>",
        "javascript:x",
        "{{ 7 * 7 }}",
        "<!--",
        "]]>",
    ]
)


@given(name=TEXTS, label=TEXTS, notice=TEXTS)
@settings(max_examples=60, deadline=None)
def test_names_stay_text(name: str, label: str, notice: str) -> None:
    """No name of a metric, parameter, class, file or chart becomes a tag or an attribute."""
    chart = Chart(
        name=name or "x",
        kind=ChartKind.BARS,
        title=label or "x",
        x_label=label,
        y_label=name,
        labels=(name, label),
        series=(Series(side="head", y=(0.5, 0.7)),),
    )
    matrix = Chart(
        name="m",
        kind=ChartKind.MATRIX,
        title=name or "x",
        x_label=name,
        y_label=label,
        labels=(name, label),
        series=(Series(side="head", y=(1.0, 2.0, 3.0, 4.0)),),
    )
    report = make_report(
        make_change("test.roc_auc", 0.7, 0.73),
        *steady_changes(),
        make_change(name or "x", 0.5, None, path=label or "x"),
        params=(ParamChange(path=name or "x", name=label or "x", base=name, head=notice),),
        notices=(notice,),
        protected=(name or "x",),
        charts=(chart, matrix),
    )
    page = read_page(report)
    check_safe(page)
    assert "49" not in page.text or "7 * 7" not in name + label + notice


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", 'https://x"onclick=1', "data:text/html,x", "//x", ""]
)
def test_only_web_addresses_become_links(address: str) -> None:
    """An address that is not plain http(s) is shown nowhere."""
    page = read_page(SITUATIONS["improved"], Links(run_url=address, repository_url=address))
    assert [attributes for tag, attributes in page.tags if tag == "a"] == []


def test_a_page_of_very_many_metrics_stays_small() -> None:
    """200 judged metrics and 5,000 others: below 1 MB, what is left out is counted."""
    rules = {f"test.class_{at:03}.f1": Rule(max_worsening=0.01) for at in range(200)}
    judged = [make_change(name, 0.5, 0.51, interval=(-0.01, 0.03)) for name in rules]
    others = [make_change(f"other.{'name' * 12}.{at:04}", 0.5, 0.6) for at in range(5_000)]
    report = make_report(*judged, *others, policy=Policy(metrics=rules))
    html = render_html(report, links=LINKS)
    assert len(html.encode()) < 1_000_000
    assert html.count('<svg class="forest"') == 200
    assert "4,000 metrics not shown." in html


numbers = st.floats(-9e99, 9e99) | st.sampled_from([0.0, 5e-324, 1.0, 1.0 + 2**-52, -1e-99])


@st.composite
def charts(draw: st.DrawFn) -> Chart:
    """Make any chart that a report may hold."""
    kind = draw(st.sampled_from(ChartKind))
    count = draw(st.integers(1 if kind is ChartKind.BARS else 2, 10))
    size = count**2 if kind is ChartKind.MATRIX else count
    by_label = kind in (ChartKind.BARS, ChartKind.MATRIX)
    x = tuple(sorted(draw(st.lists(numbers, min_size=count, max_size=count))))
    if kind is ChartKind.STEPS:
        start, width = draw(st.floats(-1e6, 1e6)), draw(st.floats(1e-3, 1e6))
        x = tuple(start + at * width for at in range(count))
    sides: tuple[Literal["base", "head"], ...] = draw(
        st.sampled_from([("base",), ("head",), ("base", "head")])
    )
    series = []
    for side in sides:
        y = tuple(draw(st.lists(numbers, min_size=size, max_size=size)))
        series.append(Series(side=side, x=() if by_label else x, y=y))
    return Chart(
        name="any",
        kind=kind,
        title="any",
        x_label="x",
        y_label="y",
        labels=tuple(str(at) for at in range(count)) if by_label else (),
        diagonal=draw(st.booleans()),
        series=tuple(series),
    )


@given(charts())
@settings(max_examples=300, deadline=None)
def test_any_chart_of_a_report_can_be_drawn(chart: Chart) -> None:
    """Whatever numbers a report holds, both voices draw it, and write only finite numbers."""
    text = render_chart(chart)
    assert not re.search(r"\b(nan|inf)\b", text)
    if chart.kind is not ChartKind.MATRIX:
        svg = draw_chart(chart, "c")
        assert not re.search(r'[ "ML](nan|-?inf)', svg)


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9))
def test_ticks_are_round_and_inside(low: float, span: float) -> None:
    """Between 3 and 10 ticks, all within the axis, at equal distances."""
    high = low + span
    if high - low < abs(low) * 1e-9:
        return
    ticks = choose_ticks(low, high)
    assert 3 <= len(ticks) <= 10
    assert low - span * 1e-6 <= ticks[0]
    assert ticks[-1] <= high + span * 1e-6


@pytest.mark.parametrize("name", ["improved", "several_fail"])
def test_the_page_is_the_accepted_one(name: str) -> None:
    """The page, its style aside, equals the one that was looked at (MLGITOPS_GOLDEN=write)."""
    report = msgspec.structs.replace(SITUATIONS[name], charts=chart_situations()["penguins"])
    html = render_html(report, links=LINKS)
    html = re.sub(r"<style>.*?</style>|sha256-[^']*|mlgitops [0-9.]+", "…", html, flags=re.DOTALL)
    place = GOLDEN / f"page_{name}.html"
    if os.environ.get("MLGITOPS_GOLDEN") == "write":
        place.write_text(html, encoding="utf-8")
    assert html == place.read_text(encoding="utf-8")
