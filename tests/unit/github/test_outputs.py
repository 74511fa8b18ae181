"""Summary, outputs and annotations: any text arrives as it was, none becomes a command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgitops.errors import MlgitopsError
from mlgitops.github.outputs import (
    MAX_SUMMARY_BYTES,
    format_command,
    format_log,
    format_output,
    write_outputs,
    write_summary,
)

if TYPE_CHECKING:
    from pathlib import Path


def read_outputs(text: str) -> dict[str, str]:
    """Read an output file as the runner does."""
    found = {}
    lines = iter(text.split("\n"))
    for line in lines:
        if not line:
            continue
        name, _, delimiter = line.partition("<<")
        value = []
        for inner in lines:
            if inner == delimiter:
                break
            value.append(inner)
        found[name] = "\n".join(value)
    return found


@given(st.dictionaries(st.from_regex(r"\A[a-z][a-z0-9-]{0,20}\Z"), st.text()))
def test_any_text_comes_back_as_one_output(values: dict[str, str]) -> None:
    """No value can end early, or add an output of its own."""
    text = "".join(format_output(name, value) for name, value in values.items())
    assert read_outputs(text) == values


@pytest.mark.parametrize("name", ["", "a b", "a\nb", "a=b", "a<<b", "A", "ä"])
def test_an_odd_name_of_an_output_is_refused(name: str) -> None:
    """Names are ours, so an odd one is a mistake of ours."""
    with pytest.raises(MlgitopsError, match="not a name for an output: "):
        format_output(name, "x")


def test_a_value_that_holds_the_delimiter_is_refused() -> None:
    """It is random, so this cannot happen by accident."""
    with pytest.raises(MlgitopsError, match="an output holds its own delimiter"):
        format_output("x", "a\nend\nb=c", delimiter="end")


@given(st.text(), st.text(), st.text())
def test_a_command_is_one_line_with_the_properties_it_was_given(
    message: str, title: str, file: str
) -> None:
    """Nothing in a message or a property starts another command or property."""
    line = format_command("error", message, title=title, file=file, line=3)
    assert "\n" not in line
    assert "\r" not in line
    head, _, data = line.removeprefix("::").partition("::")
    properties = dict(part.split("=", 1) for part in head.partition(" ")[2].split(","))
    decoded = {name: decode(value) for name, value in properties.items()}
    expected = {"title": title, "file": file, "line": "3"}
    assert decoded == {name: value for name, value in expected.items() if value}
    assert decode(data) == message


def decode(text: str) -> str:
    """Undo the escapes as the runner does."""
    for code, char in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(code, char)
    return text


@given(st.text())
def test_printed_data_never_starts_a_line(text: str) -> None:
    """Every line in the log begins with our own mark."""
    assert all(line.startswith("| ") for line in format_log(text).splitlines())


def test_files_are_appended_to_and_absent_ones_are_no_error(tmp_path: Path) -> None:
    """On a laptop there is no runner, and nothing is written."""
    environ = {
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
    }
    assert write_outputs(environ, {"a": "1"})
    assert write_outputs(environ, {"b": "2\n3"})
    assert read_outputs((tmp_path / "output").read_text()) == {"a": "1", "b": "2\n3"}
    assert write_summary(environ, "# one")
    assert write_summary(environ, "# two")
    assert (tmp_path / "summary").read_text() == "# one\n# two\n"
    assert not write_outputs({}, {"a": "1"})
    assert not write_summary({}, "x")


def test_a_summary_that_would_be_lost_is_an_error(tmp_path: Path) -> None:
    """The runner drops a summary over its limit; we say so instead."""
    environ = {"GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}
    write_summary(environ, "x" * (MAX_SUMMARY_BYTES - 100))
    with pytest.raises(MlgitopsError, match="summary"):
        write_summary(environ, "é" * 100)
    assert (tmp_path / "summary").stat().st_size < MAX_SUMMARY_BYTES
