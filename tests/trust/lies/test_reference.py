"""Reports that lie of the reference: of what was released, of head beside it, or by silence."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
from git_project import commit_files, git
from trust.lie import check_lie
from trust.recorded import POLICY, PREFIX, Recorded, write_results

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Lie = Callable[[dict[str, Any]], dict[str, Any]]

WITH_REFERENCE = POLICY.replace(
    "max_worsening: 0.01", "max_worsening: 0.01, max_worsening_since_reference: 0.01"
).replace("metrics:", "reference: release\nmetrics:", 1)


class Released(Recorded):
    """The repository with an older commit that is released: it had a score of 0.75."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        git(root, "switch", "--quiet", "main")
        policy = {f"{PREFIX}policy.yaml": WITH_REFERENCE}
        self.released = commit_files(root, {**policy, **write_results(30, 0.75)}, "Best")
        git(root, "tag", "v1.0.0", self.released)
        self.base = commit_files(root, write_results(10, 0.5, 1_000_000), "Worse")
        git(root, "switch", "--quiet", "--create", "other")
        self.head = commit_files(root, {f"{PREFIX}params.yaml": "trees: 60\n"}, "More trees")
        self.results = self.record(write_results(60, 0.625))

    def write_report(self, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
        """Return the honest report: 0.625 is more than base's 0.5, and less than 0.75."""
        report = super().write_report()
        test_data = report["base"]["test_data"]
        score = {"name": "score", "path": "metrics.json", "base": 0.75, "head": 0.625}
        report["reference"] = {
            "name": "release",
            "label": "v1.0.0",
            "sha": self.released,
            "test_data": test_data,
            "rows": "same",
            "metrics": [{**score, "delta": -0.125}],
        }
        return {**report, **changes}


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Released:
    """Make the repository once: no test changes its commits."""
    return Released(tmp_path_factory.mktemp("released") / "model")


def _set(report: dict[str, Any], **fields: Any) -> dict[str, Any]:  # noqa: ANN401
    changed = copy.deepcopy(report)
    changed["reference"].update(fields)
    return changed


def _set_score(report: dict[str, Any], **values: float) -> dict[str, Any]:
    """Return the report with other values of the metric against the reference."""
    changed = copy.deepcopy(report)
    metric = changed["reference"]["metrics"][0]
    metric.update(values)
    metric["delta"] = metric["head"] - metric["base"]
    return changed


def _measure_anew(report: dict[str, Any], base: float, stored: float) -> dict[str, Any]:
    """Return the report as if the released model had been measured on other rows of head."""
    changed = _set_score(report, base=base)
    changed["reference"]["metrics"][0]["base_stored"] = stored
    changed["reference"].update(rows="changed", rescoring={"paths": ["metrics.json"]})
    return changed


def _add_interval(report: dict[str, Any], low: float, high: float) -> dict[str, Any]:
    changed = copy.deepcopy(report)
    interval = {"low": low, "high": high, "confidence": 0.95, "method": "paired t"}
    changed["reference"]["metrics"][0]["evidence"] = {"rows": 600, "interval": interval}
    return changed


#: What the trusted half says, and with which exit code.
LIES: list[tuple[str, Lie, int, str]] = [
    (
        "the release was no better than head",
        lambda report: _set_score(report, base=0.625),
        2,
        "`score` at base is 0.625 by the report and 0.75 in git",
    ),
    (
        "head is better, beside the release alone",
        lambda report: _set_score(report, head=0.75),
        2,
        "`score` at head is another one against the reference",
    ),
    (
        "an older commit is the release",
        lambda report: _set(report, sha=report["base"]["sha"]),
        2,
        "the commit of the reference is",
    ),
    (
        "the release is called otherwise",
        lambda report: _set(report, label="v0.9.0"),
        2,
        "the name of the reference is v0.9.0 by the report and v1.0.0 in git",
    ),
    (
        "the policy names another reference",
        lambda report: _set(report, name="v0.1.0"),
        2,
        "it holds head against `v0.1.0`, and the policy names no such",
    ),
    (
        "the policy names no reference",
        lambda report: {key: value for key, value in report.items() if key != "reference"},
        2,
        "the report holds nothing of the reference that the policy names",
    ),
    (
        "the release cannot be read",
        lambda report: _set(report, reason="the storage is away", metrics=[]),
        2,
        "cannot be held against it: the storage is away",
    ),
    (
        "the release cannot be read, and head was held against it",
        lambda report: _set(report, reason="the storage is away"),
        2,
        "head was held against the reference, and the report says why that was not possible",
    ),
    (
        "the judged metric is left out",
        lambda report: _set(report, metrics=[]),
        2,
        "`score` is in `metrics.json` at base, and the report leaves it out",
    ),
    (
        "the release was measured on other test data",
        lambda report: _set(report, test_data="md5:" + "7" * 32, rows="changed"),
        2,
        f"the test data at base is md5:{'7' * 32} by the report and git:",
    ),
    (
        "the release was measured anew, and the rows are the same",
        lambda report: _measure_anew(report, 0.5, 0.75),
        2,
        "it calls the test data changed, and its hashes are equal",
    ),
    (
        "noise explains all that was lost, and leaves it out",
        lambda report: _add_interval(report, -0.1, 0.1),
        2,
        "the interval of `score`, -0.1 to 0.1, leaves out its own change of -0.125",
    ),
    (
        "the metric is of an older run against the release alone",
        lambda report: {
            **report,
            "reference": {
                **report["reference"],
                "metrics": [{**report["reference"]["metrics"][0], "stale": "an older run"}],
            },
        },
        2,
        "`score` is stale against one of base and the reference alone",
    ),
    (
        "the release had no such metric",
        lambda report: _set(
            report, metrics=[{"name": "score", "path": "metrics.json", "head": 0.625}]
        ),
        2,
        "`score` at base is absent by the report and 0.75 in git",
    ),
]


def test_the_honest_report_fails_by_what_was_lost_since_the_release(
    released: Released, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Better than base, worse than what was released: it must not merge, and the reason is that."""
    report = released.write_report()
    code, text = released.judge(report, monkeypatch, capsys, published=released.results)
    assert code == 1, text
    assert "since `v1.0.0`: `score` lost more than the 0.01 that it may lose" in text


def test_what_git_holds_of_the_release_passes_without_a_claim(
    released: Released, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As good as the release by the commit of results: nothing is left unsaid."""
    results = released.record(write_results(60, 0.75))
    report = _set_score(released.write_report(), head=0.75)
    report["metrics"][0].update(head=0.75, delta=0.25)
    code, text = released.judge(report, monkeypatch, capsys, published=results)
    assert code == 0, text
    assert "1 since `v1.0.0`" in text
    assert "only claimed" not in text


@pytest.mark.parametrize("lie", [lie[1:] for lie in LIES], ids=[lie[0] for lie in LIES])
def test_a_lie_of_the_reference_is_never_green(
    released: Released,
    lie: tuple[Lie, int, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """Undecided with the exact reason, whichever way the loss is hidden."""
    change, expected, reason = lie
    report = change(released.write_report())
    code, text = released.judge(report, monkeypatch, capsys, published=released.results)
    assert code == expected, text
    payload = b"reference" + json.dumps(report, sort_keys=True).encode()
    check_lie(record_property, payload, reason=reason, text=text)


def test_a_tag_that_moved_since_the_comparison_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """A newer release, or one whose tag was taken away: what was compared holds no longer."""
    released = Released(tmp_path / "model")
    report = released.write_report()
    git(released.root, "tag", "v1.1.0", released.base)
    code, text = released.judge(report, monkeypatch, capsys, published=released.results)
    assert code == 2, text
    reason = f"the commit of the reference is {released.released} by the report and {released.base}"
    check_lie(record_property, b"newer" + json.dumps(report).encode(), reason=reason, text=text)
    git(released.root, "tag", "--delete", "v1.0.0", "v1.1.0")
    code, text = released.judge(report, monkeypatch, capsys, published=released.results)
    assert code == 2, text
    reason = "the reference could not be read: no tag vX.Y.Z or model@"
    check_lie(record_property, b"taken" + json.dumps(report).encode(), reason=reason, text=text)


def test_the_trend_is_that_of_git_whatever_the_report_draws(
    released: Released, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A chart that only rises, of commits that are none: the trusted half reads its own."""
    points = [{"sha": f"{at:040x}", "value": value} for at, value in enumerate((0.1, 0.2, 0.3))]
    report = released.write_report(
        trend={"name": "score", "path": "metrics.json", "points": points}
    )
    code, text = released.judge(report, monkeypatch, capsys, published=released.results)
    assert code == 1, text
    assert 'line "metric" [0.5, 0.75, 0.5, 0.625]' in text
    assert "0.1, 0.2" not in text
