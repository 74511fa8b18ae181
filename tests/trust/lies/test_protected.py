"""Reports that do not say which changed files decide how they are judged: git is asked."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from git_project import commit_files, git
from trust.lie import check_lie
from trust.recorded import FILES, PREFIX, TEST_DATA, Recorded, write_results

if TYPE_CHECKING:
    from collections.abc import Callable

_POLICY, _CODE, _PIPELINE = (f"{PREFIX}{name}" for name in ("policy.yaml", "train.py", "dvc.yaml"))
_EDITED = "This change edits what judges it: "
#: What the change edits beside its parameter, with what the comment must name.
EDITS = {
    "the policy": ({_POLICY: FILES[_POLICY] + "# more\n"}, _POLICY),
    "the evaluation's code": ({_CODE: "print('other trees')\n"}, _CODE),
    "a workflow": ({".github/workflows/other.yml": "on: push\n"}, ".github/workflows/other.yml"),
    "DVC's configuration": ({f"{PREFIX}.dvc/config": "[core]\n"}, f"{PREFIX}.dvc/config"),
    "the measuring stage": (
        {_PIPELINE: FILES[_PIPELINE].replace("python train.py", "python other.py")},
        _PIPELINE,
    ),
    "code that the head's pipeline measures with": (
        {
            _PIPELINE: FILES[_PIPELINE].replace("[train.py]", "[train.py, more.py]"),
            f"{PREFIX}more.py": "print()\n",
        },
        f"{_PIPELINE}`, `{PREFIX}more.py",
    ),
}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """Make the repository once: each test adds a head of its own."""
    return Recorded(tmp_path_factory.mktemp("recorded") / "model")


def _write_head(recorded: Recorded, changes: dict[str, str], onto: str) -> dict[str, Any]:
    """Commit a change, and return a report of it that names no protected file."""
    git(recorded.root, "switch", "--quiet", "--detach", onto)
    head = commit_files(recorded.root, changes, "Change")
    report = recorded.write_report()
    return {**report, "head": {**report["head"], "sha": head}}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_an_edit_that_the_report_keeps_quiet_about_is_said(
    recorded: Recorded,
    edit: tuple[dict[str, str], str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """The comment says it first, whatever the report says."""
    changes, named = edit
    report = _write_head(recorded, changes, recorded.head)
    _, text = recorded.judge(report, monkeypatch, capsys)
    reason = f"{_EDITED}`{named}`"
    check_lie(record_property, json.dumps([changes, report]).encode(), reason=reason, text=text)
    assert ("The policy at base was applied." in text) is (f"{PREFIX}policy.yaml" in changes)


def test_an_edit_that_only_the_report_knows_is_not_said(
    recorded: Recorded,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """A list of other files would hide the one that counts."""
    report = _write_head(recorded, {f"{PREFIX}train.py": "print('other')\n"}, recorded.head)
    report |= {"protected": [f"src/{at}.py" for at in range(40)], "policy_changed": True}
    _, text = recorded.judge(report, monkeypatch, capsys)
    assert "src/1.py" not in text
    assert "The policy at base was applied." not in text
    reason = f"{_EDITED}`{PREFIX}train.py`."
    check_lie(record_property, json.dumps(report).encode(), reason=reason, text=text)


def test_an_address_that_the_report_keeps_quiet_about_is_said(
    recorded: Recorded,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """Tasks, and with them the data, would go there after the merge."""
    edit = "trees: 60\ncompute: {backend: dask, address: 'tcp://their.example:1'}\n"
    report = _write_head(recorded, {f"{PREFIX}params.yaml": edit}, recorded.head)
    change = {"path": "params.yaml", "name": "compute.address", "base": '"a"', "head": "null"}
    report |= {"params": [change]}
    _, text = recorded.judge(report, monkeypatch, capsys)
    reason = 'Tasks go to another address: `compute.address` is `"tcp:'
    check_lie(record_property, json.dumps(report).encode(), reason=reason, text=text)


def test_an_address_that_base_changed_meanwhile_is_none_of_the_change(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A branch that is behind its base, and says what its report says, leaves it as it is."""
    before = "trees: 50\ncompute: {backend: dask, address: 'tcp://before.example:1'}\n"
    git(recorded.root, "switch", "--quiet", "--detach", recorded.base)
    parted = commit_files(recorded.root, {f"{PREFIX}params.yaml": before}, "Before")
    head = commit_files(recorded.root, {f"{PREFIX}notes.md": "fine\n"}, "Change")
    git(recorded.root, "switch", "--quiet", "--detach", parted)
    meanwhile = {f"{PREFIX}params.yaml": before.replace("before", "after")}
    base = commit_files(recorded.root, meanwhile, "Meanwhile")
    report = recorded.write_report()
    report["base"]["sha"], report["head"]["sha"] = base, head
    change = {"path": "params.yaml", "name": "compute.address", "base": '"a"', "head": '"b"'}
    report |= {"params": [change]}
    text = recorded.judge(report, monkeypatch, capsys)[1]
    assert "Tasks go to another address" not in text


@pytest.mark.parametrize(
    "case",
    [
        ("split: {method: hash}", "drawn at random, by id"),
        ("split: {method: group, column: house}", "whole groups of `house`, at random"),
        ("split: {method: none}", "how they were chosen is not said"),
    ],
)
def test_a_split_that_only_the_report_knows_is_not_said(
    recorded: Recorded,
    case: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """Rows that were drawn at random are not called the latest."""
    split, said = case
    path = f"{PREFIX}params.yaml"
    report = _write_head(recorded, {path: f"trees: 60\n{split}\n"}, recorded.head)
    report |= {"sampling": {"method": "time", "column": "date", "cluster": "date"}}
    _, text = recorded.judge(report, monkeypatch, capsys)
    assert "the latest by" not in text
    reason = f"Test rows: {said} · intervals count rows"
    check_lie(record_property, json.dumps(report).encode(), reason=reason, text=text)


@pytest.mark.parametrize("looks", [None, {"results": 0}, {"results": 1, "partial": True}])
def test_how_often_the_rows_were_looked_at_is_counted_again(
    recorded: Recorded,
    looks: dict[str, Any] | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """Rows that two results of base are of are not called new, nor is the number left out."""
    content = hashlib.md5(TEST_DATA.encode(), usedforsecurity=False).hexdigest()
    onto = recorded.base
    for trees in (20, 10):
        written = write_results(trees, 0.5, 1_000_000)
        lock = f"{PREFIX}dvc.lock"
        entry = f"    - {{path: data/test.csv, hash: md5, md5: {content}, size: 13}}\n"
        written[lock] = written[lock].replace("    params:\n", f"{entry}    params:\n")
        git(recorded.root, "switch", "--quiet", "--detach", onto)
        onto = commit_files(recorded.root, written, f"{trees} trees")
    report = _write_head(recorded, {f"{PREFIX}notes.md": "fine\n"}, onto)
    report["base"]["sha"] = onto
    report |= {"looks": looks}
    text = recorded.judge(report, monkeypatch, capsys)[1]
    reason = "is not said · 2 earlier runs were measured on them · intervals"
    check_lie(record_property, json.dumps(report).encode(), reason=reason, text=text)


def test_looks_that_only_the_report_knows_are_not_said(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where no lock names the test data, git does not tell how often it was used."""
    report = recorded.write_report(looks={"results": 0})
    text = recorded.judge(report, monkeypatch, capsys)[1]
    assert "Test rows: how they were chosen is not said · intervals count rows" in text


def test_a_crowd_of_files_hides_no_edit_of_the_evaluation(
    recorded: Recorded,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """What decides stands first, and what no longer fits in is counted."""
    crowd = {f".github/notes/{at:03}.md": "fine\n" for at in range(120)}
    report = _write_head(recorded, {**crowd, _CODE: "print('other')\n"}, recorded.head)
    _, text = recorded.judge(report, monkeypatch, capsys)
    assert f"{_EDITED}`{_CODE}`, " in text
    reason = " and 111 more."
    check_lie(record_property, json.dumps(report).encode(), reason=reason, text=text)


def test_what_base_changed_meanwhile_is_no_edit_of_the_change(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A branch that is behind its base edits what it edits, since they parted."""
    git(recorded.root, "switch", "--quiet", "--detach", recorded.base)
    base = commit_files(recorded.root, {f"{PREFIX}train.py": "print('faster')\n"}, "Meanwhile")
    report = recorded.write_report()
    report["base"]["sha"] = base
    text = recorded.judge(report, monkeypatch, capsys)[1]
    assert _EDITED not in text


def test_a_head_that_git_lacks_leaves_it_open(
    recorded: Recorded,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """Neither the clone nor origin has the commit: the comment says that it is not known."""
    report = recorded.write_report()
    report["head"]["sha"] = "d" * 40
    _, text = recorded.judge(report, monkeypatch, capsys)
    reason = "Whether this change edits what judges it is not known here"
    assert "the commit dddddddddddd is not in this clone" in text
    check_lie(record_property, json.dumps(report).encode(), reason=reason, text=text)
