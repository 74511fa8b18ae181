"""Repositories as they are found: what hides a loss from a reader that is not careful."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from git_project import GitRepository
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
    """Over the limit nothing is judged at head: exit code 2. At base it is told, and why."""
    made = GitRepository(tmp_path / "p")
    text = "stages: {ev: {matrix: {a: %s, b: %s}, cmd: x, metrics: [m.json]}}\n"
    made.put("dvc.yaml", text % (list(range(150)), list(range(150))))
    made.put("m.json", '{"acc": 0.9}')
    made.put("policy.yaml", "version: 1\nmetrics: {acc: {max_worsening: 0.05}}\n")
    made.commit()
    made.put("dvc.yaml", text % ([1], [1]))
    made.commit()
    at_head = compare(made, "--base", "HEAD", "--head", "HEAD~1")
    assert at_head.code == 2
    assert "dvc.yaml: its pipeline has over 20,000 stages" in at_head.err
    at_base = compare(made, "--json", "--base", "HEAD~1", "--head", "HEAD")
    assert (at_base.code, kinds(at_base.report)) == (0, {"acc": "unchanged"})
    assert "its pipeline has over 20,000 stages" in " ".join(at_base.report["notices"])


POLICY = "version: 1\nmetrics:\n  {name}: {{greater_is_better: true, max_worsening: 0.05}}\n"
STAGE = "stages: {{ev: {{cmd: x, metrics: [{{{path}: {{cache: false}}}}]}}}}\n"


def make(root: Path, *, name: str = "accuracy", base: str | None = '{"accuracy": 0.9}') -> Any:  # noqa: ANN401
    """Make a project that judges ``name``, with ``base`` in m.json where it is given."""
    made = GitRepository(root)
    made.put("policy.yaml", POLICY.format(name=name))
    made.put("dvc.yaml", STAGE.format(path="m.json"))
    if base is not None:
        made.put("m.json", base)
    made.commit()
    return made


@pytest.mark.parametrize(
    ("name", "base", "head", "reason"),
    [
        ("acc", '{"accuracy": 0.9}', {"m.json": '{"acc": 0.4}'}, "`accuracy` is gone, which may"),
        ("acc", '{"loss": 0.1}', {"m.json": '{"acc": 0.4, "loss": 0.1}'}, "base's `m.json` does"),
        ("accuracy", None, {"m.json": '{"accuracy": 0.4}'}, "base declares `m.json` and does not"),
        (
            "new.json:accuracy",
            '{"accuracy": 0.9}',
            {"m.json": None, "new.json": '{"accuracy": 0.4}', "dvc.yaml": "new.json"},
            "lost more than",
        ),
        (
            "accuracy",
            '{"accuracy": 0.9}',
            {"m.json": None, "new.json": '{"accuracy": 0.4}', "dvc.yaml": "new.json"},
            "lost more than",
        ),
        (
            "new.json:acc",
            '{"accuracy": 0.9}',
            {"m.json": None, "new.json": '{"acc": 0.4}', "dvc.yaml": "new.json"},
            "`accuracy` is gone, which may be what base calls it",
        ),
    ],
)
@pytest.mark.parametrize("committed", [False, True])
def test_added_is_no_way_in(
    tmp_path: Path,
    compare: Any,  # noqa: ANN401
    *,
    name: str,
    base: str | None,
    head: dict[str, str | None],
    reason: str,
    committed: bool,
) -> None:
    """A metric that is renamed, moved or was never stored fails, and the reason says which."""
    made = make(tmp_path / "p", name=name, base=base)
    for path, text in head.items():
        if text is None:
            (made.root / path).unlink()
        else:
            made.put(path, STAGE.format(path=text) if path == "dvc.yaml" else text)
    if committed:
        made.commit()
    sides = ("--base", "HEAD~1", "--head", "HEAD") if committed else ()
    found = compare(made, "--json", *sides)
    assert found.code == 1
    assert reason in found.report["judgement"]["failures"][0]


@pytest.mark.parametrize("policy_first", [True, False])
def test_a_new_metric_is_added(tmp_path: Path, compare: Any, *, policy_first: bool) -> None:  # noqa: ANN401
    """What base's pipeline does not declare is new: a first pipeline, or another stage's file."""
    made = GitRepository(tmp_path / "p")
    made.put("policy.yaml", POLICY.format(name="accuracy"))
    if not policy_first:
        made.put("dvc.yaml", STAGE.format(path="loss.json"))
        made.put("loss.json", '{"loss": 0.1}')
    made.commit()
    both = "stages: {a: {cmd: x, metrics: [loss.json]}, b: {cmd: y, metrics: [m.json]}}\n"
    made.put("dvc.yaml", both)
    made.put("loss.json", '{"loss": 0.1}')
    made.put("m.json", '{"accuracy": 0.4}')
    found = compare(made, "--json")
    assert (found.code, kinds(found.report)) == (0, {"accuracy": "added"})


def test_metrics_that_neither_side_has_are_named(tmp_path: Path, compare: Any) -> None:  # noqa: ANN401
    """A name with a typo is not lost behind the metrics that are there."""
    made = GitRepository(tmp_path / "p")
    names = ["m.json", "a.json", "b.json", "c.json", "d.json", "empty.json"]
    made.put("dvc.yaml", json.dumps({"metrics": names}))
    made.put("m.json", '{"accuracy": 0.9}')
    made.put("empty.json", "{}")
    made.commit()
    notices = compare(made, "--json").report["notices"]
    expected = "Neither side has the metrics that dvc.yaml declares in `a.json`, `b.json`, `c.json`"
    assert f"{expected} and 1 more." in notices
