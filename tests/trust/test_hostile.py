"""Hostile input of every kind: refused for the one reason that it must be, nothing written.

What it costs is recorded, and printed by `make trust`: a slow machine is not a failure.
"""

from __future__ import annotations

import functools
import hashlib
import re
from typing import TYPE_CHECKING

import pytest
from trust.corpus import CORPUS
from trust.measured import run_measured
from trust.reasons import REASONS
from trust.ways import WAYS, make_project

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: A metrics file that cannot be read is one incomparable metric: the verdict is fail.
ENDS_WITH = {"metrics": 1}
SIGNS = ("error: ", "Could not decide", "✗ score cannot be compared", "✗ score was removed")
CASES = [(kind, name) for kind, table in CORPUS.items() for name in table]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make one project for all cases; each must leave it as it was."""
    folder = tmp_path_factory.mktemp("hostile") / "project"
    make_project(folder)
    return folder


def take_snapshot(folder: Path) -> dict[str, bytes]:
    """Return every file outside of git's own with its content."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and ".git" not in file.parts
    }


@pytest.mark.parametrize(("kind", "name"), CASES, ids=[f"{kind}: {name}" for kind, name in CASES])
def test_it_is_refused(
    kind: str, name: str, project: Path, record_property: Callable[[str, object], None]
) -> None:
    """No pass, the reason of this case and no traceback, nothing written."""
    before = take_snapshot(project)
    ending = run_measured(WAYS[kind], project, CORPUS[kind][name])
    written = {
        path: data for path, data in take_snapshot(project).items() if before.get(path) != data
    }
    for path in written:
        (project / path).write_bytes(before[path]) if path in before else (project / path).unlink()
    record_property("seconds", round(ending.seconds, 3))
    record_property("megabytes", round(ending.megabytes))
    assert ending.code == ENDS_WITH.get(kind, 2), ending.text[:2000]
    assert "Traceback" not in ending.text
    assert any(sign in ending.text for sign in SIGNS), ending.text[:500]
    text = read_plain(ending.text) if "Could not decide" in ending.text else ending.text
    if kind in ENDS_WITH:
        text = " ".join(text.split())  # a sentence is broken at the window's width
    assert REASONS[kind][name] in text, text[:2000]
    assert list(written.values()) in ([], [CORPUS[kind][name]]) or kind == "policy", list(written)
    record_property("payload", hashlib.sha256(CORPUS[kind][name]).hexdigest())
    record_property("reason", REASONS[kind][name])


def read_plain(text: str) -> str:
    """Return what a reader of the printed Markdown sees: no escapes, no breaks between letters."""
    return re.sub(r"\\(?=[!-/:-@\[-`{-~])", "", text).replace("\u200b", "")


def test_each_case_has_one_reason_and_each_reason_a_case() -> None:
    """The table and the corpus name the same cases."""
    assert {kind: set(table) for kind, table in REASONS.items()} == {
        kind: set(table) for kind, table in CORPUS.items()
    }


def test_the_same_ways_accept_what_is_sound(project: Path) -> None:
    """Nothing is refused for being looked at: the good twin of each kind passes."""
    from trust import archives, corpus, handover, ways

    good: dict[str, bytes] = {
        "report": corpus.GOOD_REPORT,
        "archive": archives.GOOD,
        "lock": handover.make_lock(),
        "manifest": handover.make_manifest("a", "b/c"),
        "policy": ways.POLICY,
        "branch": b"more-trees",
        "path": b"reports/metrics.json",
        "predictions": b"id,target,prediction\n1,0,0\n2,1,1\n",
    }
    run = functools.partial(run_measured, folder=project)
    assert {kind: run(WAYS[kind], data=data).code for kind, data in good.items()} == dict.fromkeys(
        good, 0
    )
