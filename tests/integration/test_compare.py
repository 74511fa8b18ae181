"""Tests of `mlgitops compare` on real repositories, from git to exit code."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from dvc_project import DvcProject
from git_project import GitRepository
from integration.compared import kinds

from mlgitops.commands.compare import find_announced
from mlgitops.model.wire import parse_report

if TYPE_CHECKING:
    from pathlib import Path


def test_an_improvement_passes(project: DvcProject, compare: Any) -> None:  # noqa: ANN401
    """A better model, not yet committed, passes with exit code 0."""
    project.train(accuracy=0.85, depth=8)
    found = compare(project, "--json")
    assert found.code == 0
    assert kinds(found.report) == {"test.accuracy": "improved", "model.size_mb": "unchanged"}
    assert found.report["test_data"] == "same"
    assert found.report["params"] == [
        {"path": "params.yaml", "name": "train.depth", "base": "6", "head": "8"}
    ]
    assert [item["path"] for item in found.report["data"]] == ["model.bin"]
    states = {stage["name"]: (stage["state"], stage["causes"]) for stage in found.report["stages"]}
    assert states["train"] == ("changed", ["parameter `train.depth`"])
    assert states["evaluate"] == ("changed", ["`model.bin`"])
    assert found.report["head"]["dirty"] is True


def test_earlier_looks_at_the_test_rows_are_said(
    project: DvcProject,
    compare: Any,  # noqa: ANN401
) -> None:
    """Each result in base's history was measured on them; head's own is not one of these."""
    for depth, text in ((7, "1 earlier run was"), (8, "2 earlier runs were")):
        project.train(accuracy=0.8, depth=depth)
        assert f"{text} measured on them" in " ".join(compare(project).out.split())
        project.commit()
    project.train(accuracy=0.8, depth=9, test_data=b"id\n7\n")
    found = compare(project, "--json")
    assert found.report["looks"] == {"results": 0, "partial": False}


def test_a_loss_beyond_the_margin_fails(project: DvcProject, compare: Any) -> None:  # noqa: ANN401
    """A worse model fails with exit code 1, and the terminal says why."""
    project.train(accuracy=0.7)
    found = compare(project)
    assert found.code == 1
    assert "Must not merge" in found.out
    assert "test.accuracy lost more than the 0.02 that it may lose" in found.out


def test_two_commits_are_compared(project: DvcProject, compare: Any, tmp_path: Path) -> None:  # noqa: ANN401
    """Base and head may be any revisions; the report is written where asked."""
    project.git("checkout", "--quiet", "-b", "topic")
    project.train(accuracy=0.9)
    head = project.commit()
    target = tmp_path / "report.json"
    found = compare(project, "--base", "main", "--head", "topic", "--output", str(target))
    report = parse_report(target.read_bytes())
    assert found.code == 0
    assert (report.head.sha, report.head.ref, report.base.ref) == (head, "topic", "main")
    assert not list(tmp_path.glob("*.new"))


def test_the_base_is_where_the_branch_left(project: DvcProject, compare: Any) -> None:  # noqa: ANN401
    """Without --base, later commits on main do not count against the branch."""
    start = project.git("rev-parse", "HEAD")
    project.git("checkout", "--quiet", "-b", "topic")
    project.train(accuracy=0.81)
    project.commit()
    project.git("checkout", "--quiet", "main")
    project.train(accuracy=0.99)
    project.commit()
    project.git("checkout", "--quiet", "topic")
    found = compare(project, "--json")
    assert found.report["base"]["sha"] == start
    assert kinds(found.report)["test.accuracy"] == "improved"


def test_the_policy_is_read_at_base(project: DvcProject, compare: Any) -> None:  # noqa: ANN401
    """A change cannot loosen the bar that it is judged by, and the report says that it tried."""
    project.train(accuracy=0.7)
    project.put("policy.yaml", "version: 1\n")
    found = compare(project, "--json")
    assert found.code == 1
    assert found.report["policy_changed"] is True
    assert found.report["protected"] == ["policy.yaml"]


@pytest.mark.parametrize(
    ("path", "protected"),
    [
        ("evaluate.py", True),
        (".github/workflows/x.yml", True),
        (".dvc/config", True),
        ("train.py", False),
        ("README.md", False),
    ],
)
def test_files_that_decide_are_announced(
    project: DvcProject,
    compare: Any,  # noqa: ANN401
    path: str,
    protected: bool,
) -> None:
    """Edits of what measures or runs are listed; edits of the model's own code are not."""
    project.put(path, "# edited\n[core]\n" if path.endswith("config") else "# edited\n")
    found = compare(project, "--json")
    assert found.report["protected"] == ([path] if protected else [])


def test_a_redefined_measuring_stage_is_announced(project: DvcProject, compare: Any) -> None:  # noqa: ANN401
    """Pointing the evaluate stage at another program is seen."""
    text = (project.root / "dvc.yaml").read_text()
    project.put("dvc.yaml", text.replace("cmd: python evaluate.py", "cmd: python other.py"))
    assert compare(project, "--json").report["protected"] == ["dvc.yaml"]


def test_a_first_pipeline_has_no_base(tmp_path: Path, compare: Any) -> None:  # noqa: ANN401
    """Where base has nothing, metrics are added, and head's policy applies with a notice."""
    project = GitRepository(tmp_path / "p")
    project.put("README.md", "x")
    project.commit()
    DvcProject(tmp_path / "p")
    found = compare(project, "--json")
    assert found.code == 0
    assert kinds(found.report)["test.accuracy"] == "added"
    assert "The base has no `policy.yaml`" in found.report["notices"][0]


def test_without_a_policy_nothing_is_judged(project: DvcProject, compare: Any) -> None:  # noqa: ANN401
    """No policy on either side: exit 0, verdict skip, and a notice that teaches."""
    (project.root / "policy.yaml").unlink()
    project.commit()
    found = compare(project, "--json", "--base", "HEAD")
    assert found.code == 0
    assert found.report["judgement"]["verdict"] == "skip"
    assert "max_worsening" in found.report["notices"][0]


def test_other_test_data_is_said_and_fails(project: DvcProject, compare: Any) -> None:  # noqa: ANN401
    """Numbers of different test rows are not set side by side."""
    project.train(accuracy=0.9, test_data=b"id\n1\n2\n")
    found = compare(project, "--json")
    assert found.report["test_data"] == "changed"
    assert kinds(found.report)["test.accuracy"] == "incomparable"
    assert found.code == 1


@pytest.mark.parametrize(
    ("metrics", "kind"),
    [
        ('{"test": {"accuracy": NaN}}', "incomparable"),
        ('{"test": {"accuracy": "0.9"}}', "incomparable"),
        ('{"test": {"other": 1}}', "removed"),
    ],
)
def test_a_judged_metric_never_vanishes(
    project: DvcProject,
    compare: Any,  # noqa: ANN401
    metrics: str,
    kind: str,
) -> None:
    """NaN, text and removal of a judged metric each fail."""
    project.put("reports/metrics.json", metrics)
    found = compare(project, "--json")
    assert (found.code, kinds(found.report)["test.accuracy"]) == (1, kind)


def test_a_deleted_metrics_file_fails(project: DvcProject, compare: Any) -> None:  # noqa: ANN401
    """A metrics file that is gone at head fails; it is not "unchanged"."""
    (project.root / "reports/metrics.json").unlink()
    found = compare(project, "--json")
    assert (found.code, kinds(found.report)["test.accuracy"]) == (1, "incomparable")
    text = " ".join(found.report["notices"])
    assert "with another `reports/metrics.json`, which is not there any more" in text


def test_metrics_that_base_cannot_read_are_incomparable(project: DvcProject, compare: Any) -> None:  # noqa: ANN401
    """A broken file on the base is told; the change that repairs it gets a report."""
    project.put("reports/metrics.json", "{")
    project.commit()
    project.train(accuracy=0.9)
    found = compare(project, "--json")
    assert kinds(found.report)["test.accuracy"] == "incomparable"
    assert "at base cannot be read" in " ".join(found.report["notices"])


def test_only_the_project_below_is_compared(tmp_path: Path, compare: Any) -> None:  # noqa: ANN401
    """In a repository of several projects, --directory picks one; its workflows still count."""
    outer = GitRepository(tmp_path / "mono")
    inner = DvcProject(tmp_path / "mono" / "a")
    shutil.rmtree(inner.root / ".git")
    outer.put("b/dvc.yaml", "stages: [broken")
    outer.git("add", "--force", "a/data/test.csv.dvc")
    outer.commit()
    inner.put("reports/metrics.json", '{"test": {"accuracy": 0.9}, "model": {"size_mb": 1}}')
    outer.put(".github/workflows/x.yml", "on: push")
    chosen = GitRepository.__new__(GitRepository)
    chosen.root = inner.root
    found = compare(chosen, "--json")
    assert found.code == 0
    assert found.report["metrics"][0]["path"] == "reports/metrics.json"
    assert found.report["protected"] == [".github/workflows/x.yml"]


def test_what_the_last_run_did_is_shown(project: DvcProject, compare: Any) -> None:  # noqa: ANN401
    """The record that `mlgitops train` leaves names the stages that ran, with their times."""
    project.train(accuracy=0.85, depth=8)
    stages = [
        {"name": "train", "state": "ran", "seconds": 4.5},
        {"name": "evaluate", "state": "skipped", "seconds": None},
    ]
    project.put(".mlgitops/run.json", json.dumps({"stages": stages}))
    found = compare(project, "--json").report["stages"]
    assert [(s["name"], s["state"], s["seconds"]) for s in found] == [
        ("train", "ran", 4.5),
        ("evaluate", "skipped", None),
    ]


@pytest.mark.parametrize("where", ["cache", "remote", "nowhere"])
def test_metrics_kept_by_dvc_are_found_or_said_to_be_missing(
    project: DvcProject,
    compare: Any,  # noqa: ANN401
    tmp_path: Path,
    where: str,
) -> None:
    """Cached metrics come from the cache or the storage; else they are incomparable."""
    project.put("dvc.yaml", "stages: {e: {cmd: x, metrics: [m.json]}}")
    project.put("policy.yaml", "version: 1\nmetrics: {a: {max_worsening: 0.1}}\n")
    for value in (0.5, 0.6):
        entry = project._entry("m.json", json.dumps({"a": value}).encode())
        project.put("dvc.lock", json.dumps({"stages": {"e": {"cmd": "x", "outs": [entry]}}}))
        project.commit()
    store = tmp_path / "store"
    project.put(".dvc/config.local", f"[core]\nremote = s\n['remote \"s\"']\nurl = {store}\n")
    if where != "nowhere":
        project.fill(project.root / ".dvc" / "cache" if where == "cache" else store)
    found = compare(project, "--json", "--base", "HEAD~1", "--head", "HEAD")
    if where == "nowhere":
        assert found.code == 1
        assert "not available" in " ".join(found.report["notices"])
    else:
        assert (found.code, kinds(found.report)["a"]) == (0, "improved")


@pytest.mark.parametrize("moved", [False, True])
def test_what_is_fetched_comes_from_the_bases_storage(
    project: DvcProject,
    compare: Any,  # noqa: ANN401
    tmp_path: Path,
    moved: bool,
) -> None:
    """A head that points at another storage is compared from the one that base names."""
    config = "[core]\nremote = s\n['remote \"s\"']\nurl = {}\nverify = true\n"
    store, other = tmp_path / "store", tmp_path / "other"
    project.put("dvc.yaml", "stages: {e: {cmd: x, metrics: [m.json]}}")
    project.put("policy.yaml", "version: 1\nmetrics: {a: {max_worsening: 0.1}}\n")
    for value, place in ((0.5, store), (0.6, other if moved else store)):
        entry = project._entry("m.json", json.dumps({"a": value}).encode())
        project.put("dvc.lock", json.dumps({"stages": {"e": {"cmd": "x", "outs": [entry]}}}))
        project.put(".dvc/config", config.format(place))
        project.commit()
    project.fill(other)
    project.put(".dvc/config", config.format(tmp_path / "nowhere"))  # of no commit
    if not moved:
        other.rename(store)
    found = compare(project, "--json", "--base", "HEAD~1", "--head", "HEAD")
    assert found.code == (1 if moved else 0)
    assert ("could not be read" in " ".join(found.report["notices"])) == moved


@pytest.mark.parametrize(
    ("path", "text", "inputs"),
    [
        ("train.py", "print('other')\n", "`train.py`"),
        ("params.yaml", "train: {depth: 9}\n", "parameter `train.depth`"),
    ],
)
def test_old_numbers_fail(
    project: DvcProject,
    compare: Any,  # noqa: ANN401
    path: str,
    text: str,
    inputs: str,
) -> None:
    """Code or parameters edited after the last run: the numbers are not theirs, and fail."""
    before = compare(project, "--json")
    assert (before.code, before.report["notices"]) == (0, [])
    project.put(path, text)
    found = compare(project, "--json")
    (notice,) = found.report["notices"]
    assert notice.startswith(f"Stage `train` was last run with another {inputs}: its numbers")
    assert (found.code, set(kinds(found.report).values())) == (1, {"incomparable"})


def test_the_comment_can_be_shown(project: DvcProject, compare: Any) -> None:  # noqa: ANN401
    """--format markdown prints what a pull request would show."""
    project.train(accuracy=0.85)
    found = compare(project, "--format", "markdown")
    assert found.out.startswith("**✅ May merge**: `test.accuracy` 0.8000 → 0.8500 (+0.0500;")


def test_github_names_the_head_of_its_merge_commit(tmp_path: Path) -> None:
    """On GitHub's merge commit the report is of the pull request's head."""
    event = tmp_path / "event.json"
    side = {"sha": "a" * 40, "repo": {"full_name": "o/r"}}
    payload = {"pull_request": {"number": 1, "head": side, "base": {**side, "sha": "b" * 40}}}
    event.write_text(json.dumps(payload))
    environ = {
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_SHA": "c" * 40,
        "GITHUB_REPOSITORY": "o/r",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_API_URL": "https://api.github.com",
        "GITHUB_RUN_ID": "1",
        "GITHUB_RUN_NUMBER": "1",
        "GITHUB_RUN_ATTEMPT": "1",
    }
    assert find_announced("c" * 40, environ) == "a" * 40
    assert find_announced("d" * 40, environ) is None
    assert find_announced("c" * 40, {}) is None


HEAVY = ("dvc", "pandas", "sklearn", "requests", "numpy", "scipy", "rich", "dataclasses")


@pytest.mark.parametrize("code", ["import mlgitops", None])
def test_the_core_stays_light(project: DvcProject, code: str | None) -> None:
    """Importing the package, and comparing metrics that git has, import nothing heavy."""
    project.train(accuracy=0.85)
    program = code or (
        "from mlgitops.cli import run; "
        f"assert run(['compare', '--json', '--directory', {str(project.root)!r}]) == 0"
    )
    probe = f"import sys; {program}; print(sorted(sys.modules), file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{probe}"],
        check=True,
        capture_output=True,
        text=True,
    )
    loaded = set(eval(done.stderr.splitlines()[-1]))  # noqa: S307 - our own list of names
    assert loaded & set(HEAVY) == set()


def test_the_console_is_quiet_when_all_is_here(project: DvcProject, compare: Any) -> None:  # noqa: ANN401
    """A comparison that needs no fetching writes nothing to standard error."""
    assert compare(project, "--json").err == ""


def test_an_edit_of_the_storages_address_is_announced(project: DvcProject, compare: Any) -> None:  # noqa: ANN401
    """DVC's configuration says where data comes from: a change of it is said before all else."""
    project.put(".dvc/config", "[core]\n    remote = x\n['remote \"x\"']\n    url = ../other\n")
    found = compare(project, "--format", "markdown")
    assert "This change edits what judges it: `.dvc/config`" in found.out
