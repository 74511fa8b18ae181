"""Repositories as they are found: what hides a loss from a reader that is not careful."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from builders import GitRepository
from integration.compared import kinds

if TYPE_CHECKING:
    from pathlib import Path


def test_a_loss_behind_a_thousand_stages_is_seen(tmp_path: Path, compare: Any) -> None:  # noqa: ANN401
    """The case foreach-1001: of 1,200 stages the last ones are compared like the first."""
    made = GitRepository(tmp_path / "p")
    items = [f"i{at}" for at in range(1_200)]
    made.put("params.yaml", f"items: [{', '.join(items)}]\n")
    made.put(
        "dvc.yaml",
        "stages:\n  ev:\n    foreach: ${items}\n    do:\n      cmd: echo ${item}\n"
        "      metrics: [{'r/${item}.json': {cache: false}}]\n",
    )
    for at, item in enumerate(items):
        made.put(f"r/{item}.json", json.dumps({f"acc{at}": 0.9}))
    made.put("policy.yaml", "version: 1\nmetrics: {acc1100: {max_worsening: 0.05}}\n")
    made.commit()
    made.put("r/i1100.json", '{"acc1100": 0.1}')
    found = compare(made, "--json")
    assert found.code == 1
    assert kinds(found.report) == {"acc1100": "worsened"}
    assert len(found.report["metrics"]) == 1_200


def test_too_many_stages_are_an_error(tmp_path: Path, compare: Any) -> None:  # noqa: ANN401
    """Over the limit nothing is judged, at base or at head: exit code 2 and the reason."""
    made = GitRepository(tmp_path / "p")
    text = "stages: {ev: {matrix: {a: %s, b: %s}, cmd: x, metrics: [m.json]}}\n"
    made.put("dvc.yaml", text % (list(range(150)), list(range(150))))
    made.put("m.json", '{"acc": 0.9}')
    made.put("policy.yaml", "version: 1\nmetrics: {acc: {max_worsening: 0.05}}\n")
    made.commit()
    made.put("dvc.yaml", text % ([1], [1]))
    made.commit()
    for sides in (("HEAD~1", "HEAD"), ("HEAD", "HEAD~1")):
        found = compare(made, "--base", sides[0], "--head", sides[1])
        assert found.code == 2
        assert "dvc.yaml: its pipeline has over 20,000 stages" in found.err
