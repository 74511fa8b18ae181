"""Hostile input of every kind: refused in one line, nothing written, in little time and memory."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import pytest
from trust.corpus import CORPUS
from trust.measured import run_measured
from trust.ways import WAYS, make_project

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MAX_SECONDS = 2.0
MAX_MEGABYTES = 200.0
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
    """Exit code 2, one reason and no traceback, nothing written, within 2 s and 200 MB."""
    before = take_snapshot(project)
    ending = run_measured(WAYS[kind], project, CORPUS[kind][name])
    written = {
        path: data for path, data in take_snapshot(project).items() if before.get(path) != data
    }
    for path in written:
        (project / path).write_bytes(before[path]) if path in before else (project / path).unlink()
    record_property("seconds", round(ending.seconds, 3))
    record_property("megabytes", round(ending.megabytes))
    assert ending.code == 2, ending.text[:2000]
    assert "Traceback" not in ending.text
    assert any(sign in ending.text for sign in ("error: ", "Could not decide")), ending.text[:500]
    assert list(written.values()) in ([], [CORPUS[kind][name]]) or kind == "policy", list(written)
    assert ending.seconds < MAX_SECONDS
    assert ending.megabytes < MAX_MEGABYTES


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
