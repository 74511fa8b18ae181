"""Slice rules over more groups than a report lists: those that decide are among the listed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from mlgitops.judgement.judge import judge_report
from mlgitops.judgement.policy import parse_policy
from mlgitops.model import MAX_SLICES, ParamChange
from mlgitops.model.wire import fit_report, parse_report

if TYPE_CHECKING:
    from dvc_project import DvcProject

POLICY = """\
version: 1
inconclusive: {inconclusive}
files: {{predictions: reports/predictions.csv}}
slices:
  - {{by: [team], metric: accuracy, max_worsening: 0.05}}
"""
LARGE, SMALL = 50, 10  # teams


def write_table(wrong: dict[int, set[int]]) -> bytes:
    """Write 50 teams of 60 rows, of which ten are wrong, and 10 teams of 40 rows.

    ``wrong``: of a team, the rows that are not right.
    """
    lines = ["id,target,prediction,team"]
    for team in range(LARGE + SMALL):
        for row in range(60 if team < LARGE else 40):
            missed = row in wrong.get(team, set(range(10)))
            lines.append(f"{team}-{row},{row % 2},{(row + missed) % 2},t{team}")
    return "\n".join(lines).encode() + b"\n"


@pytest.mark.parametrize(
    ("inconclusive", "wrong", "reason"),
    [
        ("fail", set(range(4, 14)), "may have lost more than 0.05: noise hides it"),
        ("pass", set(range(28)), "lost more than the 0.05 that a group may lose"),
    ],
)
def test_groups_that_decide_are_never_left_out(
    project: DvcProject,
    compare: Any,  # noqa: ANN401
    inconclusive: str,
    wrong: set[int],
    reason: str,
) -> None:
    """Neither the longest list of groups nor a report that is cut to its size hides a loss."""
    policy = POLICY.format(inconclusive=inconclusive)
    project.put("policy.yaml", policy)
    extremes = {0: set(range(50)), 1: set[int]()}  # not the ones that change
    heads = dict.fromkeys(range(LARGE, LARGE + SMALL), wrong)
    for at, change in enumerate((extremes, extremes | heads)):
        project.train(accuracy=0.8, predictions=write_table(change))
        if not at:
            project.fill(project.root / ".dvc" / "cache")
            project.commit()
    found = compare(project, "--json")
    whole = parse_report(found.out.encode())
    long = [ParamChange(path="p", name=f"n{at}", base=500 * "b", head="h") for at in range(6_000)]
    cut = fit_report(msgspec.structs.replace(whole, params=tuple(long)))
    again = judge_report(cut, parse_policy(policy.encode(), where="policy.yaml"))
    assert found.code == 1
    assert [len(one.slices[0].slices) for one in (whole, cut)] == [MAX_SLICES, 20]
    for one in (whole, again):
        assert one.judgement is not None
        assert reason in one.judgement.failures[0]
