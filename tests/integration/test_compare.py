"""Tests of `mlgitops compare` on real repositories, from git to exit code."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from builders import GitRepository
from dvc_project import DvcProject, make_predictions

from mlgitops.cli import run
from mlgitops.commands.compare import find_announced
from mlgitops.report import parse_report

if TYPE_CHECKING:
    from pathlib import Path


class Outcome:
    """What a command printed and returned."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def report(self) -> dict[str, Any]:
        """The report that was printed as JSON."""
        found: dict[str, Any] = json.loads(self.out)
        return found


@pytest.fixture
def compare(capsys: pytest.CaptureFixture[str]) -> Any:  # noqa: ANN401 - a function
    """Return a function that runs the command in a folder."""

    def call(project: GitRepository, *arguments: str) -> Outcome:
        code = run(["compare", "--directory", str(project.root), *arguments])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call


@pytest.fixture
def project(tmp_path: Path) -> DvcProject:
    """Make a project with one commit on main."""
    made = DvcProject(tmp_path / "project")
    made.commit("start")
    return made


def kinds(report: dict[str, Any]) -> dict[str, str]:
    """Map judged names to kinds."""
    return {metric["name"]: metric["kind"] for metric in report["judgement"]["metrics"]}


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
    assert states["evaluate"][0] == "unchanged"
    assert found.report["head"]["dirty"] is True


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


def test_a_deleted_metrics_file_removes_its_metrics(project: DvcProject, compare: Any) -> None:  # noqa: ANN401
    """A metrics file that is gone at head fails; it is not "unchanged"."""
    (project.root / "reports/metrics.json").unlink()
    found = compare(project, "--json")
    assert (found.code, kinds(found.report)["test.accuracy"]) == (1, "removed")


def test_metrics_that_base_cannot_read_are_incomparable(project: DvcProject, compare: Any) -> None:  # noqa: ANN401
    """A broken file on the base is told; the change that repairs it gets a report."""
    project.put("reports/metrics.json", "{")
    project.commit()
    project.train(accuracy=0.9)
    found = compare(project, "--json")
    assert kinds(found.report)["test.accuracy"] == "incomparable"
    assert "at base cannot be read" in " ".join(found.report["notices"])


MISTAKES: list[tuple[str, str, str]] = [
    ("reports/metrics.json", "{", "not JSON"),
    ("reports/metrics.json", "", "the file is empty"),
    ("reports/metrics.json", '{"a": 1, "a": 2}', "stands there twice"),
    ("dvc.yaml", "stages: [", "not YAML"),
    ("dvc.yaml", "- " * 5_000 + "1", "nested over"),
    ("dvc.lock", "stages: 3", "`stages` must be a mapping"),
    ("dvc.yaml", "stages: {}", ""),
]


@pytest.mark.parametrize(("path", "text", "what"), MISTAKES[:-1])
def test_malformed_files_at_head_are_refused(  # noqa: PLR0917 - a row of the table
    project: DvcProject,
    compare: Any,  # noqa: ANN401
    tmp_path: Path,
    path: str,
    text: str,
    what: str,
) -> None:
    """A broken file is exit code 2 with its name, no traceback, and nothing written."""
    project.put(path, text)
    target = tmp_path / "report.json"
    found = compare(project, "--output", str(target))
    assert found.code == 2
    assert what in found.err
    assert path in found.err
    assert "Traceback" not in found.err
    assert not target.exists()


def test_three_mistakes_in_the_policy_are_all_named(project: DvcProject, compare: Any) -> None:  # noqa: ANN401
    """A broken policy at base is exit code 2, with every mistake."""
    project.put("policy.yaml", "version: 1\nconfidence: 2\nmetric: {}\ncluster: 3\n")
    project.commit()
    found = compare(project)
    assert found.code == 2
    assert "3 mistakes in policy.yaml at base" in found.err


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("--base", "mian"), "did you mean `main`?"),
        (("--base", "zzzzzzz"), "unknown revision 'zzzzzzz'"),
        (("--head", "0" * 40), "unknown revision"),
        (("--base", "--help"), "unknown revision"),
        (("--policy", "other.yaml"), "there is no such policy"),
    ],
)
def test_unknown_names_are_refused(
    project: DvcProject,
    compare: Any,  # noqa: ANN401
    arguments: tuple[str, ...],
    what: str,
) -> None:
    """A name that is nowhere is exit code 2, with the nearest one."""
    joined = [f"{arguments[0]}={arguments[1]}"]
    found = compare(project, *joined)
    assert found.code == 2
    assert what in found.err


def test_a_folder_outside_git_is_refused(tmp_path: Path, compare: Any) -> None:  # noqa: ANN401
    """Not a repository: exit code 2 and what to do."""
    plain = GitRepository(tmp_path / "a")
    plain.root = tmp_path
    found = compare(plain)
    assert found.code == 2
    assert "not a git repository" in found.err
    assert "git init" in found.err


def test_a_repository_without_commits_or_pipeline_is_refused(tmp_path: Path, compare: Any) -> None:  # noqa: ANN401
    """No commit, then no dvc.yaml, then no metrics: each is said."""
    empty = GitRepository(tmp_path / "a")
    assert "there is no commit yet" in compare(empty).err
    empty.put("README.md", "x")
    empty.commit()
    assert "there is no dvc.yaml" in compare(empty).err
    empty.put("dvc.yaml", "stages: {a: {cmd: x}}")
    assert "declares no metrics" in compare(empty).err
    empty.put("dvc.yaml", "metrics: [m.json]\nstages: {a: {cmd: x}}")
    assert "the metrics files are on neither side" in compare(empty).err


def test_a_shallow_clone_without_the_base_is_explained(
    project: DvcProject,
    compare: Any,  # noqa: ANN401
    tmp_path: Path,
) -> None:
    """A clone that was cut off says which option brings the base."""
    old = project.git("rev-parse", "HEAD")
    project.train(accuracy=0.9)
    project.commit()
    clone = GitRepository(tmp_path / "clone")
    clone.git("fetch", "--quiet", "--depth=1", f"file://{project.root}", "main")
    clone.git("checkout", "--quiet", "--detach", "FETCH_HEAD")
    found = compare(clone, "--base", old)
    assert found.code == 2
    assert "fetch-depth: 0" in found.err


def test_only_the_project_below_is_compared(tmp_path: Path, compare: Any) -> None:  # noqa: ANN401
    """In a repository of several projects, --directory picks one; its workflows still count."""
    outer = GitRepository(tmp_path / "mono")
    inner = DvcProject(tmp_path / "mono" / "a")
    shutil.rmtree(inner.root / ".git")
    outer.put("b/dvc.yaml", "stages: [broken")
    outer.git("add", "--force", "a/data/test.csv.dvc")
    outer.commit()
    outer.put("a/reports/metrics.json", '{"test": {"accuracy": 0.9}, "model": {"size_mb": 1}}')
    outer.put(".github/workflows/x.yml", "on: push")
    chosen = GitRepository.__new__(GitRepository)
    chosen.root = inner.root
    found = compare(chosen, "--json")
    assert found.code == 0
    assert found.report["metrics"][0]["path"] == "reports/metrics.json"
    assert found.report["protected"] == [".github/workflows/x.yml"]


def test_predictions_say_how_sure_it_is(project: DvcProject, compare: Any) -> None:  # noqa: ANN401
    """With predictions of both sides, the verdict rests on an interval."""
    project.train(accuracy=0.8, predictions=make_predictions(rows=1_000, errors=200))
    project.fill(project.root / ".dvc" / "cache")
    project.commit()
    project.train(accuracy=0.805, predictions=make_predictions(rows=1_000, errors=195, rotate=7))
    noise = compare(project, "--json")
    assert kinds(noise.report)["test.accuracy"] == "equivalent"
    project.train(accuracy=0.7, predictions=make_predictions(rows=1_000, errors=300))
    worse = compare(project, "--json")
    (metric,) = [m for m in worse.report["metrics"] if m["name"] == "test.accuracy"]
    assert (worse.code, kinds(worse.report)["test.accuracy"]) == (1, "worsened")
    assert metric["evidence"]["rows"] == 1_000
    assert metric["evidence"]["interval"]["high"] < 0


def test_metrics_that_are_not_judged_have_an_interval_too(
    project: DvcProject,
    compare: Any,  # noqa: ANN401
) -> None:
    """Where the predictions give them; at the policy's confidence, outside of the judgement."""
    sides = [(0.8, 200, 0), (0.7, 300, 7)]
    for at, (accuracy, errors, rotate) in enumerate(sides):
        predictions = make_predictions(rows=1_000, errors=errors, rotate=rotate)
        project.train(accuracy=accuracy, predictions=predictions)
        test = {"accuracy": accuracy, "f1_macro": accuracy, "mcc": 2 * accuracy - 1, "gini": 0.1}
        other = {"accuracy": accuracy + 0.1, "f1_macro": 0.91}  # of other rows
        metrics = {"test": test, "train": other, "model": {"size_mb": 1.0}}
        project.put("reports/metrics.json", json.dumps(metrics))
        if not at:
            project.fill(project.root / ".dvc" / "cache")
            project.commit()
    found = compare(project, "--json")
    intervals = {
        metric["name"]: metric["evidence"]["interval"]
        for metric in found.report["metrics"]
        if metric["evidence"]
    }
    assert set(intervals) == {"test.accuracy", "test.f1_macro", "test.mcc"}
    assert {interval["confidence"] for interval in intervals.values()} == {0.95}
    assert intervals["test.mcc"]["high"] < 0
    assert kinds(found.report) == {"test.accuracy": "worsened", "model.size_mb": "unchanged"}
    assert len(found.report["judgement"]["failures"]) == 1


def test_without_judged_metrics_there_are_intervals_and_no_verdict(
    project: DvcProject,
    compare: Any,  # noqa: ANN401
) -> None:
    """A policy that only names predictions shows what they say, and judges nothing."""
    project.put("policy.yaml", "version: 1\nfiles: {predictions: reports/predictions.csv}\n")
    project.train(accuracy=0.8, predictions=make_predictions(rows=1_000, errors=200))
    project.fill(project.root / ".dvc" / "cache")
    project.commit()
    project.train(accuracy=0.7, predictions=make_predictions(rows=1_000, errors=300))
    found = compare(project, "--json").report
    (metric,) = [m for m in found["metrics"] if m["name"] == "test.accuracy"]
    assert metric["evidence"]["interval"]["high"] < 0
    assert found["charts"]
    assert found["judgement"]["verdict"] == "skip"


def test_predictions_of_another_run_are_not_believed(project: DvcProject, compare: Any) -> None:  # noqa: ANN401
    """An interval that the metric's own change lies outside of is dropped, with the reason."""
    project.train(accuracy=0.8, predictions=make_predictions(rows=1_000, errors=200))
    project.fill(project.root / ".dvc" / "cache")
    project.commit()
    project.train(accuracy=0.9, predictions=make_predictions(rows=1_000, errors=300))
    found = compare(project, "--json")
    (metric,) = [m for m in found.report["metrics"] if m["name"] == "test.accuracy"]
    assert metric["evidence"]["interval"] is None
    assert "not be of the same run" in metric["evidence"]["reason"]


def test_missing_predictions_are_said(project: DvcProject, compare: Any) -> None:  # noqa: ANN401
    """Without base's predictions the numbers decide, and the notice says why."""
    project.train(accuracy=0.85, predictions=make_predictions(rows=100, errors=15))
    found = compare(project, "--json")
    assert kinds(found.report)["test.accuracy"] == "improved"
    assert "`reports/predictions.csv` is not available at base" in found.report["notices"][0]


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
    assert not loaded & set(HEAVY)


def test_the_console_is_quiet_when_all_is_here(project: DvcProject, compare: Any) -> None:  # noqa: ANN401
    """A comparison that needs no fetching writes nothing to standard error."""
    assert compare(project, "--json").err == ""


SLICED = """\
version: 1
files: {test_data: data/test.csv, predictions: reports/predictions.csv}
metrics:
  test.accuracy: {greater_is_better: true, max_worsening: 0.5}
slices:
  - {by: [team], metric: accuracy, statistic: difference, max_value: 0.3, max_worsening: 0.05}
"""


def slice_predictions(*, wrong: int, column: str = "team") -> bytes:
    """Make 1,000 rows of two teams; ``wrong``: errors among the 500 of team b."""
    lines = [f"id,target,prediction,{column}"]
    for at in range(1_000):
        team = "ab"[at // 500]
        missed = (at - 500 * (team == "b")) < (50 if team == "a" else wrong)
        lines.append(f"r{at},{at % 2},{1 - at % 2 if missed else at % 2},{team}")
    return ("\n".join(lines) + "\n").encode()


@pytest.mark.parametrize(
    ("head", "code", "reason"),
    [
        (slice_predictions(wrong=60), 0, ""),
        (slice_predictions(wrong=70), 0, ""),  # a loss, within the margin
        (slice_predictions(wrong=150), 1, "`b` lost more than the 0.05 that a group may lose"),
        (slice_predictions(wrong=60, column="club"), 1, "have no column `team`"),
        (b"id,target\n1,1\n", 1, "cannot be judged"),
        (None, 1, "`reports/predictions.csv` is not available at head"),
    ],
)
def test_slices_are_judged(
    project: DvcProject,
    compare: Any,  # noqa: ANN401
    head: bytes | None,
    code: int,
    reason: str,
) -> None:
    """A slice rule of the base's policy is judged on the predictions; never skipped."""
    project.put("policy.yaml", SLICED)
    project.train(accuracy=0.89, predictions=slice_predictions(wrong=60))
    project.fill(project.root / ".dvc" / "cache")
    project.commit()
    (project.root / "reports" / "predictions.csv").unlink()
    project.train(accuracy=0.89, predictions=head)
    found = compare(project, "--json")
    assert (found.code, len(found.report["slices"])) == (code, 1)
    assert reason in " ".join(found.report["judgement"]["failures"])


def test_an_edit_of_the_storages_address_is_announced(project: DvcProject, compare: Any) -> None:  # noqa: ANN401
    """DVC's configuration says where data comes from: a change of it is said before all else."""
    project.put(".dvc/config", "[core]\n    remote = x\n['remote \"x\"']\n    url = ../other\n")
    found = compare(project, "--format", "markdown")
    assert "This change edits what judges it: `.dvc/config`" in found.out
