"""Files in odd places: names that are not UTF-8, what .dvcignore hides, sparse checkouts, hooks."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from git_project import GitRepository, git
from integration.compared import kinds

from mlgitops.cli import run
from mlgitops.dvc.stored import read_objects
from mlgitops.judgement.policy import parse_policy
from mlgitops.model.wire import parse_report
from mlgitops.storage.handover.results import list_foreign
from mlgitops.verification.contradictions import contradict_base, contradict_results
from mlgitops.verification.record import read_record

POLICY = "version: 1\nmetrics:\n  accuracy: {greater_is_better: true, max_worsening: 0.05}\n"
DVC_YAML = "stages: {ev: {cmd: x, deps: [data], metrics: [{m.json: {cache: false}}]}}\n"
LATIN = os.fsdecode(b"fran\xe7ais")
SHOWN = r"fran\xe7ais"


def make(root: Path, **files: str) -> GitRepository:
    """Make a project with one commit, and ``files`` in it."""
    made = GitRepository(root)
    made.put("policy.yaml", POLICY)
    made.put("dvc.yaml", DVC_YAML)
    made.put("m.json", '{"accuracy": 0.9}')
    for path, text in files.items():
        made.put(path, text)
    made.commit()
    return made


def pointer(digit: str) -> str:
    """Write a .dvc file."""
    return f"outs:\n- md5: {digit * 32}\n  hash: md5\n  path: x.csv\n"


def test_a_dependency_whose_name_is_not_utf_8_is_shown(tmp_path: Path, compare: Any) -> None:  # noqa: ANN401
    """The case non-utf8-name: the file is read, and its name stands escaped in every report."""
    made = make(tmp_path / "p", **{f"data/{LATIN}.csv": "1\n"})
    made.put(f"data/{LATIN}.csv", "2\n")
    outcome = compare(made, "--json", "--output", "r.json", "--html", "r.html")
    assert outcome.code == 0
    assert outcome.report["protected"] == [rf"data/{SHOWN}.csv"]
    assert parse_report((made.root / "r.json").read_bytes()).protected == (rf"data/{SHOWN}.csv",)
    assert compare(made, "--format", "markdown").code == 0


def test_a_workflow_whose_name_is_not_utf_8_is_shown(tmp_path: Path, compare: Any) -> None:  # noqa: ANN401
    """A file of the same kind in .github is named to the reviewer."""
    made = make(tmp_path / "p")
    made.put(f".github/workflows/{LATIN}.yml", "on: push\n")
    outcome = compare(made, "--json")
    assert outcome.code == 0
    assert outcome.report["protected"] == [rf".github/workflows/{SHOWN}.yml"]


def test_data_in_a_folder_whose_name_is_not_utf_8_is_shown(tmp_path: Path, compare: Any) -> None:  # noqa: ANN401
    """A .dvc file there is read, and its data named."""
    made = make(tmp_path / "p", **{f"{LATIN}/x.csv.dvc": pointer("1")})
    made.put(f"{LATIN}/x.csv.dvc", pointer("2"))
    outcome = compare(made, "--json")
    assert outcome.code == 0
    (change,) = outcome.report["data"]
    assert change["path"] == rf"{SHOWN}/x.csv"
    assert [stored.path for stored in read_objects(made.root)] == [f"{LATIN}/x.csv"]


def test_metrics_in_a_folder_whose_name_is_not_utf_8_are_judged(
    tmp_path: Path,
    compare: Any,  # noqa: ANN401
) -> None:
    """A dvc.yaml there is read like any other, and what is wrong is said without a trace."""
    made = make(tmp_path / "p")
    stages = "stages: {other: {cmd: x, metrics: [{n.json: {cache: false}}]}}\n"
    made.put(f"{LATIN}/dvc.yaml", stages)
    made.put(f"{LATIN}/n.json", '{"loss": 0.5}')
    made.commit()
    made.put(f"{LATIN}/n.json", '{"loss": 0.75}')
    outcome = compare(made, "--json")
    assert outcome.code == 0
    assert (rf"{SHOWN}/n.json", 0.25) in [
        (m["path"], m["delta"]) for m in outcome.report["metrics"]
    ]
    made.put(f"{LATIN}/n.json", "{")
    outcome = compare(made, "--json")
    assert any(rf"{SHOWN}/n.json" in notice for notice in outcome.report["notices"])
    made.put(f"{LATIN}/dvc.yaml", "- no mapping")
    outcome = compare(made)
    assert outcome.code == 2
    assert rf"{SHOWN}/dvc.yaml: the top level must be a mapping" in outcome.err
    assert "Traceback" not in outcome.err


def test_git_agrees_with_a_report_of_such_names(tmp_path: Path, compare: Any) -> None:  # noqa: ANN401
    """The job that posts reads the same commits, and finds nothing that contradicts the report."""
    made = make(tmp_path / "p")
    stages = "stages: {other: {cmd: x, deps: [code], metrics: [{n.json: {cache: false}}]}}\n"
    made.put(f"{LATIN}/dvc.yaml", stages)
    made.put(f"{LATIN}/n.json", '{"loss": 0.5}')
    made.commit()
    made.put(f"{LATIN}/n.json", '{"loss": 0.75}')
    made.put(f"{LATIN}/code/a.py", "1\n")
    head = made.commit()
    assert compare(made, "--base", "HEAD~1", "--head", head, "--output", "r.json").code == 0
    report, policy = (
        parse_report((made.root / "r.json").read_bytes()),
        parse_policy(POLICY.encode(), where="policy.yaml"),
    )
    record = read_record(made.root, report, policy, policy_path="policy.yaml", published=head)
    assert record.base is not None
    assert record.results is not None
    assert contradict_base(report, policy, record.base) == []
    assert contradict_results(report, policy, record.results) == []
    assert record.protected == report.protected == (rf"{SHOWN}/code/a.py",)


def test_a_damaged_commit_is_not_one_that_is_not_there(tmp_path: Path, compare: Any) -> None:  # noqa: ANN401
    """Only what the clone lacks may be left unread: base is here, whatever else went wrong."""
    made = make(tmp_path / "p")
    made.put("deploy/staging/model.yaml", "model: m\nport: 8080\n")
    head = made.commit()
    assert compare(made, "--base", "HEAD~1", "--head", head, "--output", "r.json").code == 0
    report = parse_report((made.root / "r.json").read_bytes())
    policy = parse_policy(POLICY.encode(), where="policy.yaml")
    tree = made.git("rev-parse", f"{head}:deploy")
    (made.root / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
    record = read_record(made.root, report, policy, policy_path="policy.yaml")
    assert set(record.problems) == {"base", "head"}
    assert record.missing == frozenset()
    (made.root / ".git").rename(made.root / "git")
    record = read_record(made.root, report, policy, policy_path="policy.yaml")
    assert record.missing == {"base", "head"}


def test_results_whose_name_is_not_utf_8_are_told(tmp_path: Path) -> None:
    """A commit that calls itself results and changes such a file is foreign, by its real name."""
    made = make(tmp_path / "p")
    head = made.commit()
    made.put(f"{LATIN}.py", "print()\n")
    assert list_foreign(made.root, head, made.commit()) == [f"{LATIN}.py"]


TEMPLATE = "stages:\n  {{ name }}:\n    cmd: x {{ y }}\n"


@pytest.mark.parametrize("rules", [{".dvcignore": "/shape/\n"}, {"shape/.dvcignore": "dvc.yaml\n"}])
def test_what_dvc_ignores_is_not_read(
    tmp_path: Path,
    compare: Any,  # noqa: ANN401
    capsys: pytest.CaptureFixture[str],
    rules: dict[str, str],
) -> None:
    """A template of a dvc.yaml, hidden by .dvcignore, is no mistake."""
    made = make(tmp_path / "p", **{"shape/dvc.yaml": TEMPLATE, "data/a.csv": "1\n"})
    assert compare(made).code == 2
    for path, text in rules.items():
        made.put(path, text)
    made.commit()
    made.put("m.json", '{"accuracy": 0.92}')
    outcome = compare(made, "--json")
    assert outcome.code == 0
    assert kinds(outcome.report) == {"accuracy": "improved"}
    run(["validate", "--directory", str(made.root)])
    assert "shape" not in "".join(capsys.readouterr())


@pytest.mark.parametrize("is_committed", [False, True])
def test_metrics_that_dvcignore_hides_count_no_more(
    tmp_path: Path,
    compare: Any,  # noqa: ANN401
    is_committed: bool,
) -> None:
    """To hide a dvc.yaml is to take its metrics away: what was judged fails."""
    made = make(tmp_path / "p")
    made.put("sub/dvc.yaml", "stages: {ev: {cmd: x, metrics: [{m.json: {cache: false}}]}}\n")
    made.put("sub/m.json", '{"recall": 0.9}')
    made.put("policy.yaml", POLICY.replace("accuracy", "recall"))
    base = made.commit()
    made.put(".dvcignore", "sub\n")
    if is_committed:
        made.commit()
    outcome = compare(made, "--json", "--base", base)
    assert outcome.code == 1
    assert kinds(outcome.report) == {"recall": "incomparable"}
    assert "no stage makes it any more" in outcome.out


@pytest.mark.parametrize("folder", ["", "sub/"])
def test_a_template_of_no_known_name_is_named(tmp_path: Path, compare: Any, folder: str) -> None:  # noqa: ANN401
    """A typo is no empty project: the stage and its file are said."""
    made = GitRepository(tmp_path / "p")
    made.put(f"{folder}dvc.yaml", 'stages: {ev: {cmd: x, metrics: ["${nosuch}.json"]}}\n')
    made.commit()
    outcome = compare(made)
    assert outcome.code == 2
    where = f"{folder}dvc.yaml at head: stage `ev` was not read: `${{nosuch}}` is not known"
    assert where in outcome.err


def test_a_sparse_checkout_is_compared_whole(tmp_path: Path, compare: Any) -> None:  # noqa: ANN401
    """What is not on disk has the content that HEAD has: nothing is removed."""
    made = make(tmp_path / "p")
    made.put("dvc.yaml", DVC_YAML.replace("m.json", "out/m.json"))
    made.put("out/m.json", '{"accuracy": 0.9}')
    made.put("other/file", "x\n")
    made.commit()
    made.git("sparse-checkout", "set", "other")
    assert not (made.root / "out").exists()
    outcome = compare(made, "--json", "--base", "HEAD")
    assert outcome.code == 0
    assert kinds(outcome.report) == {"accuracy": "unchanged"}


def run_hook(made: GitRepository, folder: Path) -> str:
    """Commit in ``folder`` with a hook that compares in a folder below; return what it printed."""
    hook, printed = made.root / ".git/hooks/pre-commit", made.root.parent / "printed"
    program = Path(sys.executable).parent / "mlgitops"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ncd sub && exec {program} compare --json >{printed} 2>&1\n")
    hook.chmod(0o755)
    (folder / "sub").mkdir()
    (folder / "sub/file").write_text("x\n")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "x")
    return printed.read_text()


@pytest.mark.parametrize("linked", [False, True])
def test_a_hook_sees_its_own_work_tree(tmp_path: Path, *, linked: bool) -> None:
    """The case hook-worktree: git exports GIT_DIR to a hook; the metrics are there all the same."""
    made = make(tmp_path / "p")
    folder = made.root
    if linked:
        folder = tmp_path / "linked"
        made.git("worktree", "add", "--quiet", "-b", "topic", str(folder))
    printed = run_hook(made, folder)
    assert kinds(json.loads(printed[printed.index("{") :])) == {"accuracy": "unchanged"}


def test_git_dir_of_the_caller_is_not_followed(
    tmp_path: Path,
    compare: Any,  # noqa: ANN401
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An exported GIT_DIR leads to another repository, and is left aside."""
    made, other = make(tmp_path / "p"), GitRepository(tmp_path / "other")
    made.put("m.json", '{"accuracy": 0.7}')
    monkeypatch.setenv("GIT_DIR", str(other.root / ".git"))
    outcome = compare(made, "--json")
    assert outcome.code == 1
    assert kinds(outcome.report) == {"accuracy": "worsened"}
