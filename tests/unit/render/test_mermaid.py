"""Charts as Mermaid: what is written parses in every version that GitHub may run."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest
from chart_situations import HOSTILE, chart_situations, learning_curve
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from npm_packages import BIN, install_packages

from mlgitops.model import Chart, ChartKind, Series
from mlgitops.render.mermaid import MOST_BARS, plain_label, render_chart, render_mermaid

SOURCE = Path(__file__).parents[2] / "golden" / "mermaid"
VERSIONS = {"mermaid-10", "mermaid-11-4", "mermaid-11", "mermaid-12"}
CHARTS = [chart for charts in chart_situations().values() for chart in charts]
FLAT = Chart(
    name="flat",
    kind=ChartKind.LINE,
    title="Flat",
    x_label="step",
    y_label="loss",
    series=(Series(side="head", x=(0.0, 1.0), y=(0.0, 0.0)),),
)
TINY = msgspec.structs.replace(
    FLAT, name="tiny", series=(Series(side="head", x=(0.0, 1.0), y=(0.0, 1.1e-308)),)
)


def keep_bundles(modules: Path) -> None:
    """Remove all of each Mermaid but the one file that is used: most of 440 MB."""
    for package in modules.glob("mermaid-*"):
        bundle = (package / "dist" / "mermaid.min.js").read_bytes()
        shutil.rmtree(package)
        (package / "dist").mkdir(parents=True)
        (package / "dist" / "mermaid.min.js").write_bytes(bundle)


def parse(diagrams: list[str]) -> dict[str, list[str | None]]:
    """Return for each version what its parser says of each diagram; None is consent."""
    modules = install_packages(SOURCE, trim=keep_bundles)
    done = subprocess.run(
        [BIN / "node", SOURCE / "parse.mjs", modules],
        input=json.dumps(diagrams),
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, list[str | None]] = json.loads(done.stdout)
    return found


@pytest.mark.slow
def test_every_chart_parses_in_every_version() -> None:
    """Each chart we can emit parses in Mermaid 10.9, 11.4 and the newest 11 and 12."""
    diagrams = [text for chart in (*CHARTS, FLAT, TINY) if (text := render_mermaid(chart))]
    assert len(diagrams) > 20
    found = parse([*diagrams, "xychart-beta\n line [1e-3]\n", "xychart-beta\n line [NaN]\n"])
    assert set(found) == VERSIONS
    for version, errors in found.items():
        assert errors[: len(diagrams)] == [None] * len(diagrams), version
        assert None not in errors[len(diagrams) :], f"{version} takes anything"


@pytest.mark.parametrize("chart", [*CHARTS, TINY], ids=lambda chart: chart.name)
def test_a_diagram_keeps_within_the_limits(chart: Chart) -> None:
    """Numbers have a fixed point, series 2 to 30 points, and as many labels as points."""
    text = render_mermaid(chart)
    if text is None:
        assert chart.kind is ChartKind.MATRIX
        return
    assert len(text) < 5_000
    labels = re.findall(r'"([^"]*)"', re.search(r"x-axis .*? \[(.*)\]", text).group(1))  # type: ignore[union-attr]
    assert len(set(labels)) == len(labels)
    rows = re.findall(r'(?:line|bar) "\w+" \[(.*)\]', text)
    assert len(rows) == len(chart.series) + chart.diagonal
    for row in rows:
        numbers = row.split(", ")
        assert 2 <= len(numbers) == len(labels) <= 30
        assert all(re.fullmatch(r"-?\d+(\.\d+)?", number) for number in numbers)


def test_base_and_head_can_be_told_apart() -> None:
    """Lines differ in colour, bars in form, and a sentence says which is which."""
    line = render_chart(learning_curve())
    assert '"plotColorPalette": "#8c959f, #4493f8"' in line
    assert line.endswith("<sub>Grey: base, blue: head.</sub>")
    bars = next(chart for chart in CHARTS if chart.kind is ChartKind.BARS)
    text = render_chart(bars)
    assert 'bar "base"' in text
    assert 'line "head"' in text
    assert text.endswith("<sub>Grey bars: base, blue line: head.</sub>")


def test_many_bars_become_those_that_moved_most() -> None:
    """Of 30 classes a comment shows twelve, and says so."""
    charts = chart_situations()["many_classes"]
    text = render_mermaid(charts[0]) or ""
    assert f"{MOST_BARS} of 30: those that moved most" in text


def test_a_matrix_is_a_table() -> None:
    """A confusion matrix shows the rows at base and head in one GFM table."""
    chart = chart_situations()["penguins"][0]
    html = MarkdownIt("gfm-like", {"linkify": False}).render(render_chart(chart))
    assert html.count("<tr>") == 4
    assert "→" in html


def test_hostile_labels_stay_text() -> None:
    """No class name ends the diagram, sets an option, or becomes HTML."""
    for chart in chart_situations()["hostile_labels"]:
        text = render_chart(chart)
        if chart.kind is not ChartKind.MATRIX:
            assert text.count("%%") == 2
            assert "<script" not in text
        html = MarkdownIt("gfm-like", {"linkify": False, "html": True}).render(text)
        assert "<script" not in html
        assert html.count("<pre>") == (chart.kind is not ChartKind.MATRIX)


@example("---")
@given(st.text(max_size=100))
def test_a_label_is_plain(text: str) -> None:
    """Whatever the name, a label has nothing that Mermaid could act on."""
    label = plain_label(text + HOSTILE, 40)
    assert len(label) <= 40
    assert not set(label) & set('"%{}[]<>`@#;\n\r')
    assert "--" not in label
