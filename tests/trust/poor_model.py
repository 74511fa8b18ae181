"""A pull request that hides a poor model: what all of them commit, and what each does beside it.

The model is right in 7 of 10 rows, base's in all. What hides it is a change of code, what the run
does, or what is done to its lock and to that which it hands over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from evaluated_project import TRAIN, EvaluatedProject, Run
from trust.lie import check_lie

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    Record = Callable[[str, object], None]
    Change = Callable[[Run], None]

FAIL, CLAIMED, UNDECIDED = "fail", "fail, claimed", "undecided"
LOST = "`test.accuracy` lost more than the 0.02"
_POOR = TRAIN.replace('"thresholds": [best, best]', '"thresholds": [80, 80]')


def train_poorly(run: Run) -> None:
    """Commit what every one of these pull requests hides: a poor model."""
    run.write("train.py", _POOR)


class Lie(NamedTuple):
    """A change of code, what its run does, and what it does to that which it hands over."""

    name: str
    verdict: str
    reason: str
    change: Change = train_poorly
    work: Change = Run.execute
    recorded: Callable[[dict[str, Any]], None] | None = None  # on dvc.lock
    handed: Callable[[Path], None] | None = None
    words: tuple[str, ...] = ()


def judge_lie(
    lie: Lie,
    project: EvaluatedProject,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record_property: Record,
) -> None:
    """Open its pull request, let base's code measure, and assert the verdict and its reason."""
    request = project.open(lie.change, work=lie.work, recorded=lie.recorded, handed=lie.handed)
    ending = request.evaluate(monkeypatch, capsys, *lie.words)
    assert ending.verdict == lie.verdict, ending.words
    check_lie(record_property, lie.name.encode(), reason=lie.reason, text=ending.words)
