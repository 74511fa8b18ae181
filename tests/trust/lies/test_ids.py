"""Predictions that collide: tables whose ids or labels, read loosely, give a better verdict.

Each is a whole project with well-formed predictions and metrics at both sides. What lies is what
the cells would have to be for the better number to hold.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from git_project import GitRepository
from trust.lie import check_lie

from mlgitops.cli import run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HEADER = "id,target,prediction\n"
DVC_YAML = """\
stages:
  evaluate:
    cmd: python evaluate.py
    outs: [{predictions.csv: {cache: false}}]
    metrics: [{m.json: {cache: false}}]
"""
POLICY = """\
version: 1
files: {predictions: predictions.csv}
metrics: {accuracy: {max_worsening: 0.05}}
"""


def write_rows(cells: Callable[[int], tuple[str, str, str]], rows: int = 40) -> str:
    """Write a table by the number of its row."""
    return HEADER + "".join(",".join(cells(at)) + "\n" for at in range(rows))


def pad(at: int) -> str:
    """Write odd numbers with a zero before them."""
    return f"0{at}" if at % 2 else str(at)


BASE = write_rows(lambda at: (str(at + 1), str(at % 2), str(at % 2 if at > 9 else 1 - at % 2)))
#: name → base's table, head's table, what head's metrics file says, the reason.
LIES: dict[str, tuple[str, str, float, str]] = {
    "two classes as one": (
        write_rows(lambda at: (f"r{at}", pad(at), pad(at) if at > 9 else "z")),
        write_rows(lambda at: (f"r{at}", pad(at), str(at))),
        1.0,
        "head's predictions give 0.5 and its metrics file says 1",
    ),
    "a class with a zero before it": (
        write_rows(lambda at: (f"r{at}", "1", "1" if at > 9 else "2")),
        write_rows(lambda at: (f"r{at}", "1", "01" if at < 20 else "1")),
        1.0,
        "head's predictions give 0.5 and its metrics file says 1",
    ),
    "a class with a plus before it": (
        write_rows(lambda at: (f"r{at}", "1", "1" if at > 9 else "2")),
        write_rows(lambda at: (f"r{at}", "1", "+1" if at < 10 else "1")),
        1.0,
        "head's predictions give 0.75 and its metrics file says 1",
    ),
    "a class with two digits behind its dot": (
        write_rows(lambda at: (f"r{at}", "a" if at > 9 else "1", "a")),
        write_rows(lambda at: (f"r{at}", "a" if at > 9 else "1", "a" if at > 9 else "1.00")),
        1.0,
        "head's predictions give 0.75 and its metrics file says 1",
    ),
    "a class that is true beside others": (
        write_rows(lambda at: (f"r{at}", str(at % 3), str(at % 3) if at > 9 else "9")),
        write_rows(lambda at: (f"r{at}", str(at % 3), "True" if at % 3 == 1 else str(at % 3))),
        1.0,
        "head's predictions give 0.675 and its metrics file says 1",
    ),
    "ids with zeros before them": (
        BASE,
        write_rows(lambda at: (f"0{at + 1}", str(at % 2), str(at % 2))),
        1.0,
        "head's predictions do not hold 40 of base's 40 test rows",
    ),
    "ids with a plus before them": (
        BASE,
        write_rows(lambda at: (f"+{at + 1}", str(at % 2), str(at % 2))),
        1.0,
        "head's predictions do not hold 40 of base's 40 test rows",
    ),
    "ids that one zero parts": (
        BASE,
        write_rows(lambda at: ("01" if at == 1 else str(at + 1), str(at % 2), str(at % 2))),
        1.0,
        "head's predictions do not hold 1 of base's 40 test rows",
    ),
    "an id that stands twice, as 3 and 3.0": (
        BASE,
        write_rows(lambda at: ("3.0" if at == 3 else str(at + 1), str(at % 2), str(at % 2))),
        1.0,
        "head's predictions do not hold 2 of base's 40 test rows",
    ),
    "a target that is another with a zero": (
        write_rows(lambda at: (str(at + 1), "1", "1" if at > 9 else "2")),
        write_rows(lambda at: (str(at + 1), "01" if at < 10 else "1", "01" if at < 10 else "1")),
        1.0,
        "head's predictions do not hold 10 of base's 40 test rows",
    ),
    "a loss in true and false": (
        write_rows(lambda at: (str(at), str(at % 2), str(at % 2 == 1))),
        write_rows(lambda at: (str(at), str(at % 2), str(at % 2 == 1 or at < 10))),
        0.875,
        "`accuracy` lost more than the 0.05 that it may lose",
    ),
    "a loss in 0 and 1 beside true and false": (
        write_rows(lambda at: (str(at), str(at % 2 == 1), str(at % 2 == 1))),
        write_rows(lambda at: (str(at), str(at % 2 == 1), str(int(at % 2 == 1 or at < 20)))),
        0.75,
        "lost more than the 0.05 that it may lose",
    ),
    "a loss in ids and labels with .0": (
        BASE,
        write_rows(lambda at: (f"{at + 1}.0", f"{at % 2}.0", "0.0")),
        0.8,
        "head's predictions give 0.5 and its metrics file says 0.8",
    ),
}


@pytest.mark.parametrize("name", LIES)
def test_cells_that_only_look_alike_do_not_pass(
    tmp_path: Path,
    name: str,
    record_property: Callable[[str, object], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The judged metric is incomparable, and fails with the reason."""
    base, head, value, reason = LIES[name]
    project = GitRepository(tmp_path)
    project.put("policy.yaml", POLICY)
    project.put("dvc.yaml", DVC_YAML)
    project.put("predictions.csv", base)
    rows = [line.split(",") for line in base.splitlines()[1:]]
    bits = {"True": "1", "False": "0"}
    right = sum(bits.get(target, target) == bits.get(guess, guess) for _, target, guess in rows)
    project.put("m.json", json.dumps({"accuracy": right / len(rows)}))
    project.commit()
    project.put("predictions.csv", head)
    project.put("m.json", json.dumps({"accuracy": value}))
    code = run(["compare", "--directory", str(tmp_path), "--format", "markdown"])
    text = capsys.readouterr().out
    check_lie(record_property, head.encode(), reason=reason, text=text)
    assert code == 1
