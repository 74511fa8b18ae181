"""Committed links before `mlgitops compare`: followed at base as on disk, or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from git_project import GitRepository
from integration.compared import kinds

if TYPE_CHECKING:
    from pathlib import Path

POLICY = "version: 1\nmetrics:\n  accuracy: {greater_is_better: true, max_worsening: 0.05}\n"


def make(root: Path, *, metrics: str = "m.json", policy: str = "policy.yaml") -> GitRepository:
    """Make a project with its metrics and policy at these places, not yet committed."""
    made = GitRepository(root)
    made.put(policy, POLICY)
    made.put("dvc.yaml", "stages: {ev: {cmd: x, metrics: [{m.json: {cache: false}}]}}\n")
    made.put(metrics, '{"accuracy": 0.9}')
    return made


def link(made: GitRepository, path: str, target: str) -> None:
    """Make a link, in the place of what is there."""
    (made.root / path).parent.mkdir(parents=True, exist_ok=True)
    (made.root / path).unlink(missing_ok=True)
    (made.root / path).symlink_to(target)


@pytest.mark.parametrize("revisions", [(), ("--base", "HEAD~1", "--head", "HEAD")])
def test_metrics_behind_a_link_are_read_at_base(
    tmp_path: Path,
    compare: Any,  # noqa: ANN401
    revisions: tuple[str, ...],
) -> None:
    """The case symlink-base-metrics: a linked file and a linked folder hide no loss."""
    made = make(tmp_path / "p", metrics="runs/1/m.json")
    made.put("dvc.yaml", "stages: {ev: {cmd: x, metrics: [{runs/latest/m.json: {cache: false}}]}}")
    link(made, "runs/latest", "1")
    made.commit()
    made.put("runs/2/m.json", '{"accuracy": 0.4}')
    link(made, "runs/latest", "2")
    made.commit()
    found = compare(made, "--json", *(revisions or ("--base", "HEAD~1")))
    assert found.code == 1
    assert kinds(found.report) == {"accuracy": "worsened"}
    assert found.report["metrics"][0]["base"] == 0.9


def test_a_linked_policy_judges_as_it_is_at_base(tmp_path: Path, compare: Any) -> None:  # noqa: ANN401
    """The case symlink-policy: base's bar holds, and an edit of what it links to is announced."""
    made = make(tmp_path / "p", policy="shared/policy.yaml")
    link(made, "policy.yaml", "shared/policy.yaml")
    made.commit()
    made.put("m.json", '{"accuracy": 0.5}')
    made.put("shared/policy.yaml", POLICY.replace("0.05", "0.9"))
    found = compare(made, "--json")
    assert found.code == 1
    assert found.report["policy_changed"] is True
    assert found.report["protected"] == ["shared/policy.yaml"]
    assert "The base has no" not in found.out


def test_a_policy_that_is_linked_elsewhere_is_an_edit(tmp_path: Path, compare: Any) -> None:  # noqa: ANN401
    """Only the link's target changes, and the report says that the policy did."""
    made = make(tmp_path / "p", policy="strict.yaml")
    made.put("lax.yaml", "version: 1\n")
    link(made, "policy.yaml", "strict.yaml")
    made.commit()
    link(made, "policy.yaml", "lax.yaml")
    made.put("m.json", '{"accuracy": 0.5}')
    found = compare(made, "--json")
    assert (found.code, found.report["policy_changed"]) == (1, True)
    assert found.report["protected"] == ["policy.yaml"]


@pytest.mark.parametrize("path", ["dvc.yaml", "dvc.lock", "data.csv.dvc", "params.yaml"])
def test_linked_files_of_dvc_are_read(tmp_path: Path, compare: Any, path: str) -> None:  # noqa: ANN401
    """A pipeline, lock, pointer or parameters behind a link are those of the comparison."""
    made = make(tmp_path / "p")
    made.put("params.yaml", "depth: 3\n")
    made.put("dvc.lock", "schema: '2.0'\nstages:\n  ev: {cmd: x}\n")
    made.put("data.csv.dvc", "outs: [{path: data.csv, md5: 0a, hash: md5}]\n")
    (made.root / "kept").mkdir()
    (made.root / path).rename(made.root / "kept" / path)
    link(made, path, f"kept/{path}")
    made.commit()
    text = (made.root / "kept" / path).read_text()
    edited = text.replace("0a", "0b").replace("3", "4").replace("cmd: x", "cmd: z")
    made.put(f"kept/{path}", edited)
    report = compare(made, "--json").report
    if path == "params.yaml":
        assert [item["head"] for item in report["params"]] == ["4"]
    elif path == "data.csv.dvc":
        assert [item["path"] for item in report["data"]] == ["data.csv", "kept/data.csv"]
    else:
        assert report["metrics"][0]["base"] == 0.9
        assert path == "dvc.yaml" or report["stages"][0]["state"] == "changed"


@pytest.mark.parametrize(
    ("path", "target", "reason"),
    [
        ("policy.yaml", "/etc/hostname", "policy.yaml: this link is absolute"),
        ("policy.yaml", "../policy.yaml", "policy.yaml: this link leads out of the repository"),
        ("dvc.yaml", ".git/config", "dvc.yaml: this link leads into git's own files"),
        ("dvc.lock", "nowhere", "dvc.lock: this link leads to nothing that is there"),
    ],
)
def test_a_link_out_at_head_is_refused(
    tmp_path: Path,
    compare: Any,  # noqa: ANN401
    path: str,
    target: str,
    reason: str,
) -> None:
    """Nothing is judged, with exit code 2 and the reason, on disk and at a revision alike."""
    made = make(tmp_path / "p")
    (tmp_path / "policy.yaml").write_text("version: 1\n")
    if path == "policy.yaml":
        (made.root / path).unlink()
    made.commit()
    link(made, path, target)
    on_disk = compare(made)
    made.commit()
    committed = compare(made, "--base", "HEAD~1", "--head", "HEAD")
    assert (on_disk.code, committed.code) == (2, 2)
    assert reason in on_disk.err
    assert reason in committed.err


@pytest.mark.parametrize("committed", [False, True])
def test_metrics_behind_a_link_out_at_head_fail(
    tmp_path: Path,
    compare: Any,  # noqa: ANN401
    *,
    committed: bool,
) -> None:
    """What stands outside is not read: the judged metric fails, on disk and at a revision."""
    made = make(tmp_path / "p")
    (tmp_path / "m.json").write_text('{"accuracy": 0.95}')
    made.commit()
    link(made, "m.json", "../m.json")
    if committed:
        made.commit()
    found = compare(made, "--json", *(("--base", "HEAD~1", "--head", "HEAD") if committed else ()))
    assert found.code == 1
    (failure,) = found.report["judgement"]["failures"]
    assert "head cannot be read: this link leads out of the repository" in failure


def test_a_link_out_at_base_is_no_absence(tmp_path: Path, compare: Any) -> None:  # noqa: ANN401
    """Base's metrics cannot be read, so the judged metric fails, with the reason."""
    made = make(tmp_path / "p")
    link(made, "m.json", "../m.json")
    made.commit()
    (made.root / "m.json").unlink()
    made.put("m.json", '{"accuracy": 0.95}')
    found = compare(made, "--json")
    assert found.code == 1
    (failure,) = found.report["judgement"]["failures"]
    assert "base cannot be read: this link leads out of the repository" in failure
