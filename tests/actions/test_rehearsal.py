"""act really runs a workflow, with the real actions, against the stand-in API."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from git_project import commit_files, git
from mini_project import FILES, WORKFLOW, branch, make_project, shared_store

STEPS_OF_A_PASS = {
    ("compute", "0", "success"),
    ("compute", "1", "success"),
    ("compute", "train", "success"),
    ("compute", "compare", "success"),
    ("compute", "upload", "success"),
    ("report", "0", "success"),
    ("report", "1", "success"),
    ("report", "download", "success"),
    ("report", "report", "success"),
}


def rehearse(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run `mlgitops rehearse` as a person would, with things in the environment to leak."""
    environ = {
        **os.environ,
        "MLGITOPS_ENVIRONMENTS": str(shared_store()),
        "CANARY_FROM_OUTSIDE": "it-leaked",
        "PYTHONPATH": str(folder / "nowhere"),
    }
    return subprocess.run(
        [sys.executable, "-m", "mlgitops", "rehearse", "--directory", folder, *options],
        check=False,
        capture_output=True,
        text=True,
        env=environ,
    )


def rehearse_json(folder: Path, *options: str) -> dict[str, Any]:
    """Rehearse and return what `--json` prints, with the exit code added."""
    done = rehearse(folder, "--json", *options)
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return {**found, "exit_code": done.returncode, "stderr": done.stderr}


def step_results(found: dict[str, Any]) -> set[tuple[str, str, str]]:
    """Return (job, step, result) of every step that ran."""
    return {(step["job"], step["step"], step["result"]) for step in found["steps"]}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Make a project whose path has a space and an accent."""
    return make_project(tmp_path / "my projéct")


@pytest.mark.slow
def test_a_better_model_passes_and_the_second_rehearsal_updates_the_comment(
    project: Path,
) -> None:
    """Every step of both jobs runs; one comment is created, then updated."""
    branch(project, "more-trees", {"params.yaml": "trees: 20\n"}, "More trees")
    first = rehearse_json(project)
    assert first["exit_code"] == 0, first["stderr"]
    assert step_results(first) == STEPS_OF_A_PASS
    assert first["jobs"] == {"compute": "success", "report": "success"}
    assert (first["verdict"], first["comments"], first["created"]) == ("pass", 1, True)
    assert re.search(r"0\.10* → 0\.20* ", first["comment"])
    assert first["real_actions"] == ["acme/kit/actions/compare", "acme/kit/actions/report"]
    commit_files(project, {"params.yaml": "trees: 30\n"}, "Even more")
    second = rehearse_json(project)
    assert (second["verdict"], second["comments"], second["created"]) == ("pass", 1, False)
    assert re.search(r"0\.10* → 0\.30* ", second["comment"])
    assert second["pull_request"] == first["pull_request"]
    timed = {step["step"]: step["seconds"] for step in second["steps"]}
    judging = second["compare_and_report_seconds"]
    assert judging == pytest.approx(timed["compare"] + timed["report"], abs=0.002)
    (shown,) = re.findall(r"compare and report: (\S+) s", second["stderr"])
    assert float(shown) == pytest.approx(judging, abs=0.006)  # two decimals of it
    log = (project / ".mlgitops" / "rehearsal" / "act.jsonl").read_text("utf-8")
    assert "it-leaked" not in log
    assert git(project, "status", "--porcelain") == ""


@pytest.mark.slow
def test_a_worse_model_fails_with_the_report_job_red(project: Path) -> None:
    """The comparison itself is green: the job that posts gives the verdict."""
    branch(project, "fewer-trees", {"params.yaml": "trees: 5\n"})
    found = rehearse_json(project)
    assert found["exit_code"] == 1
    expected = STEPS_OF_A_PASS - {("report", "report", "success")}
    assert step_results(found) == expected | {("report", "report", "failure")}
    assert found["verdict"] == "fail"
    assert found["annotations"][0]["level"] == "error"
    assert "lost more than" in found["comment"]


@pytest.mark.slow
def test_a_failing_pipeline_is_reported_as_undecided(project: Path) -> None:
    """Without a report there is a comment all the same, and it is not green."""
    branch(project, "broken", {"train.py": "raise SystemExit('no trees left')\n"})
    found = rehearse_json(project)
    assert found["exit_code"] == 2
    assert found["jobs"] == {"compute": "failure", "report": "failure"}
    assert ("compute", "train", "failure") in step_results(found)
    assert "Could not decide" in found["comment"]
    assert "no trees left" in found["stderr"]


@pytest.mark.slow
def test_a_pull_request_is_judged_by_the_policy_of_its_base(project: Path) -> None:
    """A change that loosens the policy is judged by the old one, and announced."""
    loose = "version: 1\nmetrics:\n  score: {greater_is_better: true}\n"
    branch(project, "loosen", {"params.yaml": "trees: 5\n", "policy.yaml": loose})
    found = rehearse_json(project)
    assert found["verdict"] == "fail"
    assert "policy.yaml" in found["comment"]


@pytest.mark.slow
def test_a_forged_report_is_not_believed(project: Path) -> None:
    """A report of other commits, or with a verdict of its own, decides nothing."""
    forge = (
        "import json, pathlib\n"
        "text = json.loads(pathlib.Path('report.json').read_text())\n"
        "text['head']['sha'] = '0' * 40\n"
        "pathlib.Path('report.json').write_text(json.dumps(text))\n"
    )
    workflow = WORKFLOW.replace(
        "      - id: upload\n", "      - run: python forge.py\n      - id: upload\n"
    )
    branch(project, "forged", {"forge.py": forge, ".github/workflows/pull-request.yml": workflow})
    found = rehearse_json(project)
    assert found["exit_code"] == 2
    assert found["verdict"] == "undecided"
    assert "the report's head is 000000000000" in found["comment"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_rehearsal_leaves_nothing_behind(
    project: Path, number: signal.Signals
) -> None:
    """Neither a step nor act runs on, and the working files are gone."""
    stamp = project / "started"
    train = f"import pathlib, time\npathlib.Path({str(stamp)!r}).touch()\ntime.sleep(600)\n"
    branch(project, "slow", {"train.py": train})
    environ = {**os.environ, "MLGITOPS_ENVIRONMENTS": str(shared_store())}
    scratch = project.parent / "scratch"
    scratch.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "mlgitops", "rehearse", "--directory", project],
        env={**environ, "TMPDIR": str(scratch)},
        stderr=subprocess.PIPE,
        text=True,
    )
    while not stamp.exists() and process.poll() is None:
        time.sleep(0.1)
    assert stamp.exists()
    process.send_signal(number)
    _, errors = process.communicate()
    assert process.returncode == 2
    assert ("interrupted by SIGTERM" if number is signal.SIGTERM else "interrupted\n") in errors
    assert list(scratch.iterdir()) == []
    assert list_processes(str(scratch)) == []


def list_processes(text: str) -> list[str]:
    """Return the command lines of processes that work in, or were told of, ``text``."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            place = str((folder / "cwd").readlink())
        except OSError:  # it ended meanwhile
            continue
        if text in command or place.startswith(text):
            found.append(command)
    return found


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"runs-on: ubuntu-latest": "runs-on: ${{ matrix.os }}"}, "chosen by an expression"),
        ({"actions/compare@": "actions/nothing@"}, "no stand-in for acme/kit/actions/nothing"),
        ({"persist-credentials: false}": "lfs: true}"}, "does not know the input `lfs`"),
        ({"  compute:\n": "  compute:\n    container: debian\n"}, "wants a container"),
        ({"jobs:": "jobs: []\nsteps:"}, "has no jobs"),
        ({"name: Pull request": "name: ["}, "not YAML"),
    ],
)
def test_what_cannot_be_rehearsed_is_an_error_before_the_run(
    tmp_path: Path, changes: dict[str, str], message: str
) -> None:
    """Nothing is skipped in silence: exit code 2, with the reason."""
    text = WORKFLOW
    for old, new in changes.items():
        text = text.replace(old, new)
    project = make_project(tmp_path / "p", {".github/workflows/pull-request.yml": text})
    branch(project, "change", {"params.yaml": "trees: 20\n"})
    done = rehearse(project)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_conflict_with_the_base_is_named(project: Path) -> None:
    """GitHub runs nothing while a pull request conflicts; neither do we."""
    branch(project, "mine", {"params.yaml": "trees: 20\n"})
    git(project, "switch", "--quiet", "main")
    commit_files(project, {"params.yaml": "trees: 30\n"}, "Theirs")
    git(project, "switch", "--quiet", "mine")
    done = rehearse(project)
    assert done.returncode == 2
    assert "mine conflicts with main" in done.stderr
    assert "params.yaml" in done.stderr


def test_a_branch_without_a_commit_of_its_own_has_nothing_to_rehearse(project: Path) -> None:
    """The message says how to make a change."""
    done = rehearse(project)
    assert done.returncode == 2
    assert "nothing to rehearse" in done.stderr
    assert "git switch -c" in done.stderr


@pytest.mark.parametrize("options", [("--base", "nowhere"), ("--head", "--all")])
def test_an_unknown_revision_is_named(project: Path, options: tuple[str, str]) -> None:
    """A revision that git does not know ends with exit code 2."""
    done = rehearse(project, f"{options[0]}={options[1]}")
    assert done.returncode == 2
    assert f"unknown revision: {options[1]}" in done.stderr


@pytest.mark.parametrize("other", ["--fork", "--keep-result"])
def test_a_queue_has_neither_a_fork_nor_a_result(project: Path, other: str) -> None:
    """What a merge queue never does is refused before anything runs."""
    branch(project, "more-trees", {"params.yaml": "trees: 20\n"})
    done = rehearse(project, "--queue", other)
    assert done.returncode == 2
    assert "publishes nothing" in done.stderr
    assert not (project / ".mlgitops").exists()


def test_outside_of_a_repository_there_is_nothing_to_rehearse(tmp_path: Path) -> None:
    """Not a git repository: exit code 2, nothing written."""
    done = rehearse(tmp_path)
    assert done.returncode == 2
    assert "not a git repository" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_files_of_the_project_are_as_small_as_they_look() -> None:
    """The mini project judges one metric, so the tests above mean what they say."""
    assert FILES["policy.yaml"].count("greater_is_better") == 1
