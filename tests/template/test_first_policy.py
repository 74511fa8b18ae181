"""The policy that a project begins with: bounds that its own rows can meet."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import yaml
from template.decisions import Case, day, decide, scatter

from mlgitops.project.generate.policy import render_policy
from mlgitops.project.generate.table import read_table

if TYPE_CHECKING:
    from pathlib import Path

    from template.decisions import Columns


POLICIES = {
    "a rare class that came late": (
        {"day": day, "y": lambda at: int(at % 50 == 0 or (at > 450 and at % 9 == 0))},
        (
            "fewer than 20 rows of '1' (",
            "hardly tell a better model from a worse one. More of them help most.",
        ),
    ),
    "a class of a few rows": (
        {"y": lambda at: "abcd"[min(at * 7919 % 1009 // 40, 3)] if at % 60 else "e"},
        (
            "fewer than 5 rows of ",
            "'e' (",
            "With split.test_fraction: 0.5 about 5 of 'e' would be tested. Other seeds",
            "(split.seed: 1, 2, 3) draw other rows",
        ),
    ),
    "a class that went away": (
        {"day": day, "y": lambda at: "abcde"[4 if at % 9 == 0 and at < 300 else at * 7919 % 4]},
        ("fewer than 5 rows of 'e' (0)",),
    ),
    "balanced": ({}, ()),
    "counts": (
        {"y": lambda at: int(scatter(at) * 5 + scatter(at, 6007) * 4)},
        ("If they are counts or ratings, --task regression keeps their order",),
    ),
}


@pytest.mark.parametrize(("columns", "says"), POLICIES.values(), ids=POLICIES)
def test_the_first_policy_can_be_met(
    columns: Columns, says: tuple[str, ...], tmp_path: Path
) -> None:
    """Its bounds are near what a constant reaches on these very test rows."""
    facts = decide(Case(columns), tmp_path)
    cells = read_table(tmp_path / "table.csv").columns["y"]
    sides = [
        [cell for cell, test in zip(cells, facts.split.is_test, strict=True) if test is side]
        for side in (False, True)
    ]
    losses = [-math.log(sides[0].count(cell) / len(sides[0])) for cell in sides[1]]
    constant = sum(losses) / len(losses)
    policy = yaml.safe_load((tmp_path / "set" / "policy.yaml").read_text(encoding="utf-8"))
    limit = policy["metrics"]["test.log_loss"]["max_value"]
    assert 0.97 * constant < limit < 1.03 * constant
    if facts.task == "binary":
        rare = min(sides[1].count(cell) for cell in "01") < 20
        assert (limit > constant) is rare
        assert policy["metrics"]["test.roc_auc"]["min_value"] == (0.5 if rare else 0.55)
    else:
        recall = 1 / len(set(sides[1]))  # of a constant: one class in full, the others not at all
        assert recall < policy["metrics"]["test.balanced_accuracy"]["min_value"] < recall + 0.06
    for part in says:
        assert any(part in note for note in facts.notes), (part, facts.notes)
    rare = any("hardly tell" in note for note in facts.notes)
    assert bool(says) or not rare
    # The latest rows are the same for every seed.
    seeds = any("split.seed" in note for note in facts.notes)
    assert seeds == (rare and facts.split.method != "time")


def test_the_first_policy_asks_for_proof_where_the_rows_can_give_it(tmp_path: Path) -> None:
    """With few test rows it has the default and says why; with very many it asks for proof."""
    facts = decide(Case({}), tmp_path)
    few = yaml.safe_load(render_policy(facts))
    sides = tuple({value: rows * 1_000 for value, rows in side.items()} for side in facts.sides)
    many = replace(facts, rows=facts.rows * 1_000, sides=(sides[0], sides[1]))
    assert few["inconclusive"] == "pass"
    assert "% of changes\n# that lose nothing would pass." in render_policy(facts)
    assert yaml.safe_load(render_policy(many))["inconclusive"] == "fail"
    clustered = replace(many, split=replace(many.split, cluster="day"))
    assert yaml.safe_load(render_policy(clustered))["inconclusive"] == "pass"
