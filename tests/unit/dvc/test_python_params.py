"""Tests of parameters in a Python file: read as DVC reads them, and never run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgitops.dvc.params import diff_run, find_value, parse_params
from mlgitops.dvc.python_params import parse_python
from mlgitops.errors import MlgitopsError

_LITERALS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)
_TARGETS = st.sampled_from(["a", "b: int", "self.c", "a.b", "a, b", "a = b", "a[0]"])
_VALUES = _LITERALS.map(repr) | st.sampled_from(["f()", "a + 1", "-1", "x", "[x]"])


@st.composite
def modules(draw: st.DrawFn) -> str:
    """Draw a module with assignments, classes and `__init__`."""
    lines = []
    for indent, head in (("", None), ("    ", "class Net:"), ("        ", "def __init__(self):")):
        if head:
            lines.append(f"{indent[4:]}{head}")
        pairs = draw(st.lists(st.tuples(_TARGETS, _VALUES), max_size=3))
        lines += [f"{indent}{target} = {value}" for target, value in pairs] or [f"{indent}pass"]
    return "\n".join(lines)


@given(modules())
def test_the_literals_are_those_that_dvc_reads(text: str) -> None:
    """The same names and values as DVC's own loader, whatever else stands in the file."""
    from dvc.utils.serialize import parse_py

    try:
        theirs = parse_py(text, "params.py")
    except Exception:  # noqa: BLE001 - ours must then refuse as well, whatever theirs raised
        with pytest.raises(MlgitopsError, match="not Python that we read"):
            parse_python(text.encode("utf-8", "surrogatepass"), "params.py")
        return
    ours = parse_python(text.encode(), "params.py")
    assert ours == theirs


def test_nothing_of_it_runs() -> None:
    """A file that would raise, were it run, gives its literals."""
    text = b"raise SystemExit(3)\ndepth = 3\nopen('x', 'w')\nrate = 1 / 0\n"
    assert parse_params(text, "params.py") == {"depth": "3"}


@pytest.mark.parametrize(
    "text", [b"a = (", b"\xff", b"(" * 5_000, b"a = 1\0", b"-" * 100_000 + b"1"]
)
def test_what_is_not_python_is_refused(text: bytes) -> None:
    """Broken files and files that would break the reader are one clear error."""
    with pytest.raises(MlgitopsError, match=r"not Python that we read|not UTF-8 text"):
        parse_python(text, "params.py")


def test_tuples_and_sets_are_as_in_the_lock() -> None:
    """They stand in dvc.lock as lists and as names."""
    assert parse_python(b"a = (1, (2,))\nb = {'y', 'x'}", "p.py") == {
        "a": [1, [2]],
        "b": {"x": None, "y": None},
    }


@pytest.mark.parametrize(
    ("names", "values", "run", "other", "new"),
    [
        (("a",), {"a": 1}, {"a": 1}, [], []),
        (("a",), {"a": 1}, {"a": 1.0}, [], []),
        (("a",), {"a": 1}, {"a": "1"}, ["a"], []),
        (("a",), {}, {"a": None}, ["a"], []),
        (("a",), {"a": None}, {}, [], ["a"]),
        (("a.b",), {"a": {"b": 1, "c": 1}}, {"a.b": 1}, [], []),
        (("a",), {"a": {"b": 1, "c": 1}}, {"a": {"b": 1}}, ["a.c"], []),
        (("l.0.u",), {"l": [{"u": 1}]}, {"l.0.u": 1}, [], []),
        (("l.1.u",), {"l": [{"u": 1}]}, {"l.1.u": 1}, ["l.1.u"], []),
        ((), {"a": 1}, {"a": 1}, [], []),
        ((), {"a": 1, "b": 2}, {"a": 1}, [], ["b"]),
        ((), {}, {"a": 1}, ["a"], []),
        ((), {"a.b": 1}, {"a.b": 2}, ["a.b"], []),
        (("a",), {"a": 1}, {"a": 1, "b": 2}, [], []),
    ],
)
def test_what_a_stage_declares_is_held_against_its_run(
    names: tuple[str, ...], values: dict[str, object], run: dict[str, object], other: list[str],
    new: list[str],
) -> None:  # fmt: skip
    """Another value, a new name, and nothing for what the run had beside."""
    assert diff_run(names, values, run) == (other, new)  # type: ignore[arg-type]


def test_a_step_into_a_list_is_its_position() -> None:
    """Beyond its end there is nothing, and text is no position."""
    assert find_value({"l": [1, 2]}, "l.1") == [2]
    assert find_value({"l": [1, 2]}, "l.2") == find_value({"l": [1]}, "l.x") == []
