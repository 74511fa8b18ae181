"""Reports that lie of an environment's model: of what runs there, what shall, or by silence."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
from git_project import commit_files, git
from trust.lie import check_lie
from trust.recorded import PREFIX, Recorded, write_results

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Lie = Callable[[dict[str, Any]], dict[str, Any]]

PATH = f"{PREFIX}deploy/production/model.yaml"


def want(revision: str, more: str = "") -> dict[str, str]:
    """Return production's file, which names the model of a commit."""
    return {PATH: f'model: a\nrevision: "{revision}"\nport: 80\n{more}'}


class Promoted(Recorded):
    """Production serves a model of 0.75, main has one of 0.5, and the change promotes that."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        git(root, "switch", "--quiet", "main")
        params = f"{PREFIX}params.yaml"
        best = {params: "trees: 30\n", **write_results(30, 0.75)}
        self.good = commit_files(root, best, "Best")
        worse = {params: "trees: 10\n", **write_results(10, 0.5, 1_000_000)}
        self.worse = commit_files(root, worse, "Worse")
        self.base = commit_files(root, want(self.good), "Serve the best")
        self.promote(want(self.worse))

    def promote(self, files: dict[str, str]) -> None:
        """Make the change: files of environments alone."""
        git(self.root, "switch", "--quiet", "--detach", self.base)
        self.head = commit_files(self.root, files, "Promote")

    def write_report(self, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
        """Return the honest report: nothing is trained, and production would lose 0.25."""
        report = super().write_report()
        report["metrics"][0].update(base=0.5, head=0.5, delta=0.0)
        report["cost"][0].update(base=1.0, head=1.0, delta=0.0)
        test_data = report["base"]["test_data"]
        served = {"sha": self.good, "label": self.good[:12], "test_data": test_data}
        promoted = {"sha": self.worse, "label": self.worse[:12], "test_data": test_data}
        score = {"name": "score", "path": "metrics.json", "base": 0.75, "head": 0.5}
        promotion = {
            "environment": "production",
            "base": served,
            "head": promoted,
            "rows": "same",
            "metrics": [{**score, "delta": -0.25}],
        }
        return {**report, "promotions": [promotion], **changes}


@pytest.fixture(scope="module")
def promoted(tmp_path_factory: pytest.TempPathFactory) -> Promoted:
    """Make the repository once: no test changes its commits."""
    return Promoted(tmp_path_factory.mktemp("promoted") / "model")


def _set(report: dict[str, Any], **fields: Any) -> dict[str, Any]:  # noqa: ANN401
    changed = copy.deepcopy(report)
    changed["promotions"][0].update(fields)
    return changed


def _set_score(report: dict[str, Any], **values: Any) -> dict[str, Any]:  # noqa: ANN401
    changed = copy.deepcopy(report)
    metric = changed["promotions"][0]["metrics"][0]
    metric.update(values)
    metric["delta"] = metric["head"] - metric["base"]
    return changed


def _set_side(report: dict[str, Any], side: str, **fields: str) -> dict[str, Any]:
    changed = copy.deepcopy(report)
    changed["promotions"][0][side].update(fields)
    return changed


def _measure_anew(report: dict[str, Any]) -> dict[str, Any]:
    changed = _set_score(report, base=0.5, base_stored=0.75)
    changed["promotions"][0].update(rows="changed", rescoring={"paths": ["metrics.json"]})
    return changed


def _invent(report: dict[str, Any]) -> dict[str, Any]:
    changed = copy.deepcopy(report)
    changed["promotions"].append({**changed["promotions"][0], "environment": "staging"})
    return changed


_NOISE = {"low": -0.4, "high": 0.4, "confidence": 0.95, "method": "paired t"}
#: What the trusted half says, and with which exit code.
LIES: list[tuple[str, Lie, str]] = [
    (
        "no environment wants another model",
        lambda report: {**report, "promotions": []},
        "the report leaves out another model for `production`",
    ),
    (
        "what runs there is no better",
        lambda report: _set_score(report, base=0.5),
        "in `production`: `score` at base is 0.5 by the report and 0.75 in git",
    ),
    (
        "what is promoted is as good",
        lambda report: _set_score(report, head=0.75),
        "in `production`: `score` at head is 0.75 by the report and 0.5 in git",
    ),
    (
        "it is a way back",
        lambda report: _set(report, is_return=True),
        "in `production`: by git it is no way back",
    ),
    (
        "a worse model runs there",
        lambda report: _set_side(report, "base", sha=report["base"]["sha"]),
        "in `production`: the model that is wanted now is",
    ),
    (
        "a better one is promoted",
        lambda report: _set_side(report, "head", label="v9.0.0"),
        "in `production`: the model that is promoted is v9.0.0",
    ),
    (
        "nothing runs there yet",
        lambda report: _set(report, base=None, rows="unknown", metrics=[]),
        "in `production`: the model that is wanted now is absent by the report",
    ),
    (
        "they cannot be compared",
        lambda report: _set(report, reason="the storage is away", metrics=[]),
        "is not compared with what runs there: the storage is away",
    ),
    (
        "they cannot be compared, and were",
        lambda report: _set(report, reason="the storage is away"),
        "was compared, and the report says why that cannot be",
    ),
    (
        "nothing is promoted",
        lambda report: _set(report, head=None),
        "it does not say which model `production` shall serve",
    ),
    (
        "an environment that wants nothing else",
        _invent,
        "the report tells of another model for `staging`",
    ),
    (
        "two answers for one environment",
        lambda report: {**report, "promotions": report["promotions"] * 2},
        "an environment's model is compared twice",
    ),
    (
        "the judged metric is left out",
        lambda report: _set(report, metrics=[]),
        "in `production`: `score` is in `metrics.json` at head, and the report leaves it out",
    ),
    (
        "what runs there was measured anew on the same rows",
        _measure_anew,
        "in `production`: it calls the test data changed, and its hashes are equal",
    ),
    (
        "noise explains all",
        lambda report: _set_score(report, evidence={"rows": 1, "interval": _NOISE}),
        "in `production`: `score` has an interval of 1 test row(s), and noise needs 2",
    ),
    (
        "more answers change than there are",
        lambda report: _set(report, answers=5, changed_answers=6),
        "more answers change for `production` than there are",
    ),
]


def test_the_honest_report_fails_by_what_production_would_lose(
    promoted: Promoted, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing changes between base and head, and production would get the worse model."""
    code, text = promoted.judge(
        promoted.write_report(), monkeypatch, capsys, published=promoted.head
    )
    assert code == 1, text
    assert "in `production`: `score` lost more than the 0.01 that it may lose" in text


@pytest.mark.parametrize("lie", [lie[1:] for lie in LIES], ids=[lie[0] for lie in LIES])
def test_a_lie_of_a_promotion_is_never_green(
    promoted: Promoted,
    lie: tuple[Lie, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """Undecided with the exact reason, whichever way the loss is hidden."""
    change, reason = lie
    report = change(promoted.write_report())
    code, text = promoted.judge(report, monkeypatch, capsys, published=promoted.head)
    assert code == 2, text
    payload = b"promotion" + json.dumps(report, sort_keys=True).encode()
    check_lie(record_property, payload, reason=reason, text=text)


def test_a_model_that_nobody_reviewed_is_not_promoted(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """The change names its own commit, or calls a commit a release that is none."""
    scene = Promoted(tmp_path / "model")
    git(scene.root, "switch", "--quiet", "--detach", scene.base)
    mine = commit_files(scene.root, write_results(60, 0.9), "My own")
    desired_states = {
        want(mine)[PATH]: "never stood on the branch",
        want(scene.worse, "version: v2.0.0\n")[PATH]: "it names v2.0.0, and there is no tag",
    }
    for text, reason in desired_states.items():
        scene.promote({PATH: text})
        report = _set_score(scene.write_report(), head=0.75)
        code, said = scene.judge(report, monkeypatch, capsys, published=scene.head)
        assert code == 2, said
        check_lie(record_property, b"unreviewed" + text.encode(), reason=reason, text=said)


@pytest.mark.parametrize("name", ["deploy/other/model.yaml", "predictions.csv"])
def test_a_link_out_of_the_repository_hides_no_promotion(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """Whatever else cannot be read of head: the report is held against the environments in git."""
    scene = Promoted(tmp_path / "model")
    git(scene.root, "switch", "--quiet", "--detach", scene.base)
    link = scene.root / PREFIX / name
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to("../../../../../elsewhere.yaml")
    scene.head = commit_files(scene.root, want(scene.worse), "Promote")
    report = {**scene.write_report(), "promotions": []}
    code, text = scene.judge(report, monkeypatch, capsys)
    assert code == 2, text
    reason = "the report leaves out another model for `production`"
    check_lie(
        record_property, name.encode() + json.dumps(report).encode(), reason=reason, text=text
    )


def test_a_way_back_by_git_is_green_though_it_loses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever goes back has a reason that the test rows do not show."""
    scene = Promoted(tmp_path / "model")
    git(scene.root, "switch", "--quiet", "--detach", scene.base)
    scene.good, scene.worse = scene.worse, scene.good
    for wanted in (scene.worse, scene.good):
        scene.base = commit_files(scene.root, want(wanted, "replicas: 2\n"), "Serve another")
    scene.promote(want(scene.worse))
    report = _set(_set_score(scene.write_report(), base=0.5, head=0.75), is_return=True)
    code, text = scene.judge(report, monkeypatch, capsys, published=scene.head)
    assert code == 0, text
    assert "a way back to a model that was wanted there before" in text
