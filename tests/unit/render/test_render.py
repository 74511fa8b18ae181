"""Tests of rendering: safe whatever the names, a table that stays one, within the limit."""

from __future__ import annotations

import re
from io import StringIO
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec
import pytest
from builders import make_change, make_report, steady_changes
from comments import LINKS, MARKER, situations
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from mlgitops.console import Console
from mlgitops.errors import MlgitopsError
from mlgitops.model import (
    ColumnChange,
    DataChange,
    Links,
    ParamChange,
    Policy,
    Report,
    Rule,
    StageChange,
    StageState,
    TableChange,
)
from mlgitops.render.blocks import Detail
from mlgitops.render.escape import escape_address, escape_code, escape_prose
from mlgitops.render.html import render_html
from mlgitops.render.markdown import render_comment, render_report
from mlgitops.render.numbers import (
    choose_decimals,
    render_delta,
    render_number,
    render_seconds,
    render_size,
)
from mlgitops.render.terminal import render_terminal

if TYPE_CHECKING:
    from markdown_it.token import Token

GFM = MarkdownIt("gfm-like")
# GitHub links neither bare domains nor addresses with an invisible character in them.
GFM.linkify.set({"fuzzy_link": False, "fuzzy_email": False})  # type: ignore[union-attr]
HOSTILE = st.text(min_size=1, max_size=60) | st.sampled_from(
    [
        "a|b",
        "a\\|b",
        "\\",
        "`",
        "``a|`",
        "@octocat",
        "#1",
        "GH-12",
        "octo/repo#3",
        "<img src=x>",
        "<!-- mlgitops:comment -->",
        "&lt;b&gt; &#64;octocat",
        "[a](https://example.org)",
        "https://example.org",
        "www.example.org",
        "someone@example.org",
        "a\r\n\n| b |",
        "\u202eabc\u200b",
        "</details>",
        "> [!NOTE]",
        "---",
        "x" * 3_000,
    ]
)


def flatten(tokens: list[Token]) -> list[Token]:
    """List tokens and their children."""
    return [each for token in tokens for each in (token, *flatten(token.children or []))]


def parse_gfm(text: str) -> list[Token]:
    """Parse Markdown as GitHub does: tables, strikethrough, bare links, raw HTML."""
    return flatten(GFM.parse(text))


def table_shapes(tokens: list[Token]) -> list[tuple[int, int]]:
    """Count rows and cells of each table."""
    shapes: list[tuple[int, int]] = []
    for token in tokens:
        if token.type == "table_open":
            shapes.append((0, 0))
        elif token.type == "tr_open":
            shapes[-1] = (shapes[-1][0] + 1, shapes[-1][1])
        elif token.type in ("td_open", "th_open"):
            shapes[-1] = (shapes[-1][0], shapes[-1][1] + 1)
    return shapes


def plain_texts(tokens: list[Token]) -> list[str]:
    """List what is read as text, code aside: where GitHub looks for mentions."""
    return [token.content for token in tokens if token.type == "text"]


def table_with(name: str) -> TableChange:
    """Make the change of a table in which ``name`` stands wherever data may stand."""
    column = ColumnChange(
        name=name[:200],
        base_kind="text",
        head_kind="text",
        changed_rows=1,
        new_levels=(name[:500],),
        gone_levels=(name[:500],),
        reason=name[:500],
    )
    return TableChange(
        path=name[:500],
        base_rows=2,
        head_rows=2,
        added=0,
        removed=0,
        changed=1,
        columns=(column,),
        remark=name[:500],
    )


def report_with(name: str) -> Report:
    """Make a report in which ``name`` stands wherever a name or sentence may stand."""
    short = name[:200]
    policy = Policy(metrics={short: Rule(max_worsening=0.01)})
    return make_report(
        make_change(short, 0.5, 0.4, path=name[:500]),
        make_change("other", 0.5, None, reason=f"head {name}"[:500]),
        policy=policy,
        params=(ParamChange(path=name[:500], name=short, base=name[:500], head=None),),
        data=(DataChange(path=name[:500]),),
        stages=(StageChange(name=short, state=StageState.RAN, causes=(name[:500],)),),
        tables=(table_with(name), TableChange(path=name[:500], reason=name[:500])),
        cost=(make_change(short, 1.0, 2.0, path=name[:500]), make_change("cost.x", 1.0, 2.0)),
        notices=(name[:500],),
        protected=(name[:500],),
    )


PLAIN = parse_gfm(render_report(report_with("plain"), links=LINKS))


@settings(max_examples=150, deadline=None)
@given(HOSTILE)
def test_no_name_changes_the_shape_of_the_comment(name: str) -> None:
    """Whatever a name is: same tables, no mention, link, image or HTML of its own."""
    text = render_comment(report_with(name), marker=MARKER, links=LINKS)
    tokens = parse_gfm(text.partition("\n")[2])
    assert table_shapes(tokens) == table_shapes(PLAIN)
    links = [token.attrs["href"] for token in tokens if token.type == "link_open"]
    known = [token.attrs["href"] for token in PLAIN if token.type == "link_open"]
    assert links == known
    html = [token.content for token in tokens if token.type in ("html_inline", "html_block")]
    assert html == [t.content for t in PLAIN if t.type in ("html_inline", "html_block")]
    assert not [token for token in tokens if token.type in ("image", "heading_open", "hr", "fence")]
    assert not re.search(r"@\w|#\d|(?i:gh-\d)|(?i:www\.)|://", "\n".join(plain_texts(tokens)))
    assert text.count("<!--") == 1


@settings(max_examples=60, deadline=None)
@given(
    st.integers(min_value=900, max_value=70_000), st.integers(min_value=0, max_value=400), HOSTILE
)
def test_the_comment_always_fits_and_begins_with_its_marker(
    limit: int, count: int, name: str
) -> None:
    """Within any limit that holds the verdict, the comment is whole and has its marker."""
    changes = [make_change(f"{name[:100]} {at}", 0.5, 0.6) for at in range(count)]
    report = make_report(make_change("test.roc_auc", 0.8, 0.7), *steady_changes(), *changes)
    text = render_comment(report, marker=MARKER, links=Links(), limit=limit)
    assert len(text.encode()) <= limit
    assert text.startswith(f"{MARKER}\n**❌ Must not merge**")
    assert text.count("\n<details><summary>") == text.count("\n</details>\n")
    assert "lost more than the 0.005" in text


def test_a_limit_below_the_verdict_is_refused() -> None:
    """A comment is never cut."""
    with pytest.raises(MlgitopsError, match="not even the verdict fits"):
        render_comment(make_report(*steady_changes()), marker=MARKER, links=Links(), limit=50)


@pytest.mark.parametrize("name", situations())
def test_each_level_of_detail_is_shorter_and_keeps_the_verdict(name: str) -> None:
    """Less detail is never longer, and line 1 is the same on all levels."""
    report = situations()[name]
    texts = [render_report(report, links=Links(), detail=detail) for detail in Detail]
    bodies = [text.split("<sub>")[0].strip() for text in texts]
    assert all(len(a) >= len(b) for a, b in pairwise(bodies))
    assert len({text.partition("\n")[0] for text in texts}) == 1


@pytest.mark.parametrize("name", situations())
def test_the_terminal_says_the_same(name: str) -> None:
    """The terminal shows every reason for a fail and every judged metric."""
    report, out = situations()[name], StringIO()
    render_terminal(report, Console(out=out, err=StringIO()))
    shown = re.sub(r"\s+", " ", out.getvalue())
    assert report.judgement is not None
    for failure in report.judgement.failures:
        assert failure.replace("`", "") in shown
    for verdict in report.judgement.metrics:
        assert verdict.name in shown


def test_the_page_that_explains_is_named_on_a_line_of_its_own() -> None:
    """It is not broken, so that a terminal opens it by a click; without one nothing is said."""
    guide = f"https://github.com/o/mlgitops/blob/{'c' * 40}/{'long/' * 20}read-a-verdict.md"
    report = situations()["two_confidences"]
    out = StringIO()
    render_terminal(report, Console(out=out, err=StringIO()), guide)
    assert f"\nHow to read it: {guide}\n" in out.getvalue()
    assert "How to read it" not in _say(report)


def _say(report: Report) -> str:
    out = StringIO()
    render_terminal(report, Console(out=out, err=StringIO()))
    return " ".join(out.getvalue().split())


def test_the_line_below_the_table_names_no_confidence_that_a_row_does_not_have() -> None:
    """Holm's second step reads at less: the line sends to the rows, and each row says its own."""
    report = situations()["two_confidences"]
    texts = [render_report(report, links=LINKS), _say(report), render_html(report, links=LINKS)]
    for text in texts:
        assert "at the confidence beside it" in text
        assert "of 100 such comparisons" not in text
        assert {"(97.5%)", "(95%)"} <= set(re.findall(r"\(\d[\d.]*%\)", text))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("measured", "Each interval holds the true change in 97.5 of 100 such comparisons: "),
        ("improved", "An interval holds the true change in 95 of 100 such comparisons."),
        ("promotion_worsens", "An interval holds the true change in 95 of 100 such comparisons."),
        ("not_proven_since_release", "and is not shown to lie within what may be lost"),
    ],
)
def test_what_an_interval_is_stands_below_whatever_it_is_held_against(
    name: str, words: str
) -> None:
    """Base, a release or what is served: one that shares the error rate with none says so."""
    report = situations()[name]
    for text in (render_report(report, links=LINKS), _say(report)):
        assert words in text.replace("`", "")


OTHER_WORDS = ("improved", "worsened", "equivalent", "inconclusive")


@pytest.mark.parametrize("confidence", [0.95, 0.9, 0.5, 1e-9, 1 - 1e-12])
def test_a_metric_that_is_not_judged_is_neither_better_nor_worse(confidence: float) -> None:
    """Its interval is shown with its own digits, says that it stands alone, and decides nothing."""
    policy = Policy(metrics={"test.roc_auc": Rule()})
    judged = make_change("test.roc_auc", 0.7, 0.7)
    up = make_change("test.f1", 0.7, 0.791234, interval=(0.081, 0.1015), confidence=confidence)
    down = make_change("test.mcc", 0.5, 0.49, interval=(-0.03, 0.01), confidence=confidence)
    report = make_report(judged, up, down, policy=policy)
    assert report.judgement == make_report(judged, policy=policy).judgement
    markdown = render_report(report, links=LINKS)
    out = StringIO()
    render_terminal(report, Console(out=out, err=StringIO()))
    page = render_html(report, links=LINKS)
    for text in (markdown, out.getvalue(), page[page.index('id="metrics"') :]):
        assert "+0.081 to +0.102" in text.replace("+0.101 ", "+0.102 ")
        assert "beyond noise, taken alone" in text
        assert "may be noise" in text
        assert "stands alone" in " ".join(text.split())
        assert "0.7912" not in text  # no more digits than the interval supports
    for text in (markdown, out.getvalue()):
        assert not [word for word in OTHER_WORDS if word in text]


def test_a_metric_on_little_ground_says_so_when_it_is_not_judged() -> None:
    """A rough method makes a rough word."""
    change = make_change("test.f1", 0.7, 0.8, interval=(0.05, 0.15))
    assert change.evidence is not None
    assert change.evidence.interval is not None
    rough = msgspec.structs.replace(change.evidence.interval, method="paired t, rough")
    evidence = msgspec.structs.replace(change.evidence, interval=rough)
    report = make_report(msgspec.structs.replace(change, evidence=evidence))
    assert "beyond noise, taken alone (rough)" in render_report(report, links=LINKS)


def test_no_control_character_reaches_the_terminal() -> None:
    """A name cannot steer the terminal."""
    out = StringIO()
    report = report_with("a\x1b[31mb\x07c\u202ed")
    render_terminal(report, Console(out=out, err=StringIO()))
    assert not set(out.getvalue()) & {"\x1b", "\x07", "\u202e"}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("plain", "`plain`"),
        ("a`b", "``a`b``"),
        ("`a", "`` `a ``"),
        ("", "`(empty)`"),
        ("a\nb", "`a b`"),
        ("&lt;b&gt;", "`<b>`"),
        ("x" * 300, f"`{'x' * 199}…`"),
    ],
)
def test_code_spans_hold_any_text(text: str, code: str) -> None:
    """A code span is longer than any run of backticks inside."""
    assert escape_code(text) == code


def test_prose_keeps_names_in_code_and_nothing_else() -> None:
    """Backticks in pairs are names; one alone is a character."""
    assert escape_prose("`a|b` *x*", cell=True) == "`a\\|b` \\*x\\*"
    assert escape_prose("a ` b") == "a ' b"


@pytest.mark.parametrize(
    ("address", "safe"),
    [
        ("https://example.org/a(b)", "https://example.org/a%28b%29"),
        ("http://example.org", "http://example.org"),
        ("javascript:alert(1)", None),
        ("https://example.org/ x", None),
        ('https://example.org/">', None),
        (None, None),
    ],
)
def test_only_web_addresses_become_links(address: str | None, safe: str | None) -> None:
    """An address that could leave its link is dropped."""
    assert escape_address(address) == safe


@pytest.mark.parametrize(
    ("base", "head", "half_width", "apart", "shown"),
    [
        (0.70123, 0.73112, None, (), ("0.7012", "0.7311", "+0.0299")),
        (0.70123, 0.73112, 0.0089, (), ("0.7012", "0.7311", "+0.0299")),
        (0.70123, 0.73112, 0.05, (), ("0.701", "0.731", "+0.030")),
        (9267.6, 10157.66, None, (), ("9,268", "10,158", "+890")),
        (9267.6, 10157.66, 300.0, (), ("9,268", "10,158", "+890")),
        (0.65, 0.649996, None, (0.65,), ("0.6500000", "0.6499960", "\u22120.0000040")),
        (None, 0.5, None, (), ("\u2013", "0.5000", "\u2013")),
        (0.0, 0.0, None, (), ("0.00", "0.00", "0.00")),
        (1e-12, 2e-12, None, (), ("1e\u221212", "2e\u221212", "+1e\u221212")),
        (1.5e12, 1.5e12, None, (), ("1.5e+12", "1.5e+12", "0")),
        (-0.5, -0.25, None, (), ("\u22120.5000", "\u22120.2500", "+0.2500")),
    ],
)
def test_numbers_have_no_more_digits_than_they_deserve(
    base: float | None,
    head: float | None,
    half_width: float | None,
    apart: tuple[float, ...],
    shown: tuple[str, str, str],
) -> None:
    """Digits follow the interval, else the difference; a limit is never made to look met."""
    decimals = choose_decimals(base, head, half_width=half_width, apart_from=apart)
    delta = head - base if base is not None and head is not None else None
    found = (
        render_number(base, decimals),
        render_number(head, decimals),
        render_delta(delta, decimals),
    )
    assert found == shown


@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(allow_nan=False, allow_infinity=False),
)
def test_any_numbers_can_be_shown(base: float, head: float) -> None:
    """Every finite pair is shown in a bounded number of characters."""
    decimals = choose_decimals(base, head, apart_from=(base,))
    assert len(render_number(head, decimals)) < 30


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1_000, "1 kB"), (2_345_678, "2.35 MB"), (5e9, "5 GB")],
)
def test_sizes_are_short(size: int, text: str) -> None:
    """Bytes are shown with three digits."""
    assert render_size(int(size)) == text


def test_times_are_short() -> None:
    """Seconds are shown as a person would say them."""
    assert [render_seconds(4.21), render_seconds(63)] == ["4.2 s", "1 min 3 s"]


def test_rendering_is_a_function_of_the_report() -> None:
    """The same report, encoded and read again, gives the same comment."""
    report = situations()["improved"]
    again = msgspec.json.decode(msgspec.json.encode(report), type=Report)
    assert render_report(report, links=LINKS) == render_report(again, links=LINKS)
