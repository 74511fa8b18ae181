"""Commits that call themselves results, and change what no run of the pipeline writes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from git_project import git
from trust.lie import check_lie
from trust.recorded import FILES, PREFIX, Recorded, write_results

from mlgitops.console import Console
from mlgitops.errors import MlgitopsError
from mlgitops.storage.handover import HandoverRequest, take_handover

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_RESULTS = write_results(60, 0.625)
#: Path to text: what a forged commit brings beside the right results.
FOREIGN = {
    "code of the evaluation": (f"{PREFIX}train.py", "print('no trees')\n"),
    "a workflow": (".github/workflows/pull-request.yml", "on: push\n"),
    "a new workflow": (".github/workflows/other.yml", "on: push\n"),
    "the policy": (f"{PREFIX}policy.yaml", "version: 1\n"),
    "parameters": (f"{PREFIX}params.yaml", "trees: 61\n"),
    "the pipeline": (f"{PREFIX}dvc.yaml", FILES[f"{PREFIX}dvc.yaml"] + "# one more\n"),
    "test data": (f"{PREFIX}data/test.csv", "id,target\n1,1\n"),
    "predictions that no run writes": (f"{PREFIX}predictions.csv", "id,target,prediction\n1,0,1\n"),
    "a text": ("README.md", "Another model\n"),
    "a lock where there is no pipeline": ("dvc.lock", "schema: '2.0'\nstages: {}\n"),
    "a file whose name begins as a result's": (f"{PREFIX}metrics.json.py", "print()\n"),
    "a file beside another project's results": ("models/b/train.py", "print()\n"),
    "another project's pipeline": ("models/b/dvc.yaml", "stages: {}\n"),
    "DVC's configuration": (f"{PREFIX}.dvc/config", "[core]\n    remote = other\n"),
}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """Make the repository once: each test adds commits of its own."""
    return Recorded(tmp_path_factory.mktemp("recorded") / "model")


def _take(recorded: Recorded, folder: Path, tip: str) -> str:
    """Take the run's handover where the branch stands at ``tip``; return the refusal."""
    origin, job, handover = folder / "origin.git", folder / "job", folder / "handover"
    git(folder, "clone", "--quiet", "--bare", str(recorded.root), str(origin))
    git(origin, "branch", "--force", "change", tip)
    git(folder, "clone", "--quiet", str(origin), str(job))
    for name, text in _RESULTS.items():
        place = handover / "results" / name.removeprefix(PREFIX)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    with pytest.raises(MlgitopsError, match="what no run writes") as refusal:
        take_handover(
            HandoverRequest(
                project=job / PREFIX,
                handover=handover,
                base=recorded.base,
                head=recorded.head,
                branch="change",
                commit=True,
                trailers=("Waived-by: somebody",),
            ),
            Console(quiet=True),
        )
    assert git(origin, "rev-parse", "change") == tip
    return str(refusal.value)


@pytest.mark.parametrize(("path", "text"), FOREIGN.values(), ids=FOREIGN)
def test_what_no_run_writes_is_refused_when_it_is_judged(
    recorded: Recorded,
    path: str,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The author, the subject and the results are right; the file is named, nothing is green."""
    forged = recorded.record({**_RESULTS, path: text})
    report = recorded.write_report()
    code, said = recorded.judge(report, monkeypatch, capsys, published=forged)
    assert code == 2, said
    assert f"the commit with the results changes `{path}`, which no run writes" in said


@pytest.mark.parametrize(("path", "text"), FOREIGN.values(), ids=FOREIGN)
def test_what_no_run_writes_is_not_built_upon(
    recorded: Recorded,
    path: str,
    text: str,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """Nothing is committed on top of it, and origin stays as it is."""
    forged = recorded.record({path: text})
    said = _take(recorded, tmp_path, forged)
    reason = f"{path} at {forged[:12]}: a commit that calls itself results changes what no run"
    assert reason in said
    check_lie(record_property, f"{path}\n{text}".encode(), reason=f"{path} at ", text=said)


def _link(recorded: Recorded) -> None:
    (recorded.root / PREFIX / "metrics.json").unlink()
    (recorded.root / PREFIX / "metrics.json").symlink_to("train.py")


def _make_program(recorded: Recorded) -> None:
    (recorded.root / PREFIX / "reports/page.md").chmod(0o755)
    git(recorded.root, "config", "core.fileMode", "true")


def _drop_lock(recorded: Recorded) -> None:
    (recorded.root / PREFIX / "dvc.lock").unlink()


def _add_repository(recorded: Recorded) -> None:
    entry = f"160000,{recorded.base},{PREFIX}reports/inner"
    git(recorded.root, "update-index", "--add", "--cacheinfo", entry)


@pytest.mark.parametrize(
    "lie",
    [
        (_link, f"{PREFIX}metrics.json"),
        (_make_program, f"{PREFIX}reports/page.md"),
        (_drop_lock, f"{PREFIX}dvc.lock"),
        (_add_repository, f"{PREFIX}reports/inner"),
    ],
    ids=["a link", "a program", "no lock", "a submodule"],
)
def test_a_result_is_a_plain_file(
    recorded: Recorded,
    lie: tuple[Callable[[Recorded], None], str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """In the place of a result stands what no run commits."""
    change, path = lie
    recorded.record(_RESULTS)
    change(recorded)
    if change is not _add_repository:
        git(recorded.root, "add", "--all")
    git(recorded.root, "commit", "--quiet", "--amend", "--no-edit")
    forged = git(recorded.root, "rev-parse", "HEAD")
    git(recorded.root, "reset", "--quiet", "--hard")
    report = recorded.write_report()
    code, said = recorded.judge(report, monkeypatch, capsys, published=forged)
    assert code == 2, said
    reason = f"the commit with the results changes `{path}`, which no run writes"
    check_lie(record_property, f"{change.__name__}".encode(), reason=reason, text=said)


def test_results_of_several_projects_are_results(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another project's metrics and lock, and a page that a run no longer writes, are allowed."""
    changes = {"models/b/metrics.json": '{"other": 0.5}', "models/b/dvc.lock": "stages: {}\n"}
    renamed = write_results(60, 0.625, page_name="another.md")
    recorded.record({**renamed, **changes})
    git(recorded.root, "rm", "--quiet", f"{PREFIX}reports/page.md")
    git(recorded.root, "commit", "--quiet", "--amend", "--no-edit")
    tip = git(recorded.root, "rev-parse", "HEAD")
    report = recorded.write_report()
    code, said = recorded.judge(report, monkeypatch, capsys, published=tip)
    assert code == 0, said


def test_a_commit_beside_the_head_holds_nobodys_results(
    recorded: Recorded,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """The right files, and not on top of what was judged."""
    beside = recorded.record(
        {f"{PREFIX}params.yaml": "trees: 60\n", **_RESULTS}, onto=recorded.base
    )
    report = recorded.write_report()
    code, said = recorded.judge(report, monkeypatch, capsys, published=beside)
    assert code == 2, said
    reason = f"is not on top of {recorded.head[:12]}"
    assert reason in said
    payload = json.dumps(_RESULTS).encode()
    check_lie(record_property, payload, reason="is not on top of", text=said)


def test_a_commit_that_nobody_can_read_holds_nobodys_results(
    recorded: Recorded,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """Neither the clone nor origin has it, so nothing is known of what would merge."""
    report = recorded.write_report()
    code, said = recorded.judge(report, monkeypatch, capsys, published="c" * 40)
    assert code == 2, said
    reason = "the commit with the results: the commit cccccccccccc is not in this clone"
    check_lie(record_property, b"c" * 40, reason=reason, text=said)
