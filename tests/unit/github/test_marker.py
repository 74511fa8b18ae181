"""The hidden first line: it comes back as it was, and nothing can forge or close it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgitops.github.marker import Marker, find_marker, render_marker

SHA = "a" * 40
KEYS = st.text(min_size=1, max_size=100).filter(lambda text: text.isprintable())


@given(KEYS, st.integers(0, 2**53 - 1), st.integers(0, 2**53 - 1), st.text())
def test_a_marker_comes_back_as_it_was(key: str, number: int, attempt: int, rest: str) -> None:
    """Any key, any run, whatever text follows."""
    marker = Marker(key=key, sha=SHA, run=(number, attempt))
    line = render_marker(marker)
    assert find_marker(f"{line}\n{rest}") == marker
    assert find_marker(f"{line}\r\n{rest}") == marker


@given(st.text(max_size=100))
def test_no_key_closes_the_comment_early(key: str) -> None:
    """The only end of an HTML comment in the line is its last three characters."""
    line = render_marker(Marker(key=key, sha=SHA, run=(1, 1)))
    assert line.index("-->") == len(line) - 3
    assert line.count("<") == line.count(">") == 1
    assert "\n" not in line


GOOD = render_marker(Marker(key="model", sha=SHA, run=(1, 1)))


@pytest.mark.parametrize(
    "body",
    [
        "",
        "\n" + GOOD,
        " " + GOOD,
        "> " + GOOD,
        GOOD + " x",
        GOOD.replace('"v":1', '"v":2'),
        GOOD.replace('"v":1', '"v":true'),
        GOOD.replace(SHA, "a" * 39),
        GOOD.replace(SHA, "A" * 40),
        GOOD.replace("[1,1]", "[1]"),
        GOOD.replace("[1,1]", "[1,-1]"),
        GOOD.replace("[1,1]", "[1,1.5]"),
        GOOD.replace("[1,1]", "[NaN,1]"),
        GOOD.replace("[1,1]", f"[{10**20},1]"),
        GOOD.replace('"key":"model"', '"key":""'),
        GOOD.replace('"key":"model"', '"key":"model","x":1'),
        GOOD.replace("mlgitops:report", "other:report"),
        GOOD.replace('{"v"', "{" * 900 + '"v"'),
    ],
)
def test_anything_else_is_no_marker(body: str) -> None:
    """What we did not write, or cannot read, is not ours."""
    assert find_marker(body) is None
