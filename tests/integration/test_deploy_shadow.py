"""`mlgitops deploy ENV --shadow FILE`: what would serve is compared, and nobody notices."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from git_project import git
from integration.deploy_project import (
    edit,
    head,
    kill,
    model_digest,
    predict,
    processes,
    read_ledger,
    read_slot,
    train_factor,
)

from mlgitops.cli import run
from mlgitops.delivery.local.files import EnvironmentFiles
from mlgitops.delivery.loop.observed import Slot
from mlgitops.delivery.processes import is_running, start_detached
from mlgitops.delivery.shadow import MAX_LINE, MAX_REQUESTS, read_requests
from mlgitops.environments import clean_environment
from mlgitops.errors import MlgitopsError


@pytest.fixture
def project(deployable: Path) -> Path:
    """Return a project whose staging serves the factor 2."""
    assert run(["deploy", "staging", "--directory", str(deployable)]) == 0
    return deployable


def write_request(*values: float) -> str:
    """Write one request of the protocol for these values of `x`."""
    shape = [len(values)]
    tensor = {"name": "x", "shape": shape, "datatype": "FP64", "data": list(values)}
    return json.dumps({"inputs": [tensor]})


def write_requests(folder: Path, *lines: str) -> Path:
    """Write a file with these lines."""
    file = folder / "requests.jsonl"
    file.write_text("".join(f"{line}\n" for line in lines))
    return file


def shadow(project: Path, file: Path, *options: str) -> int:
    """Run the command in a project; return its exit code."""
    return run(["deploy", "staging", "--shadow", str(file), *options, "--directory", str(project)])


def compare(
    project: Path, file: Path, capsys: pytest.CaptureFixture[str], *options: str
) -> tuple[int, dict[str, Any]]:
    """Run the command in a project; return its exit code and what it wrote as JSON."""
    capsys.readouterr()
    code = shadow(project, file, "--json", *options)
    return code, json.loads(capsys.readouterr().out)


def test_the_candidate_is_compared_and_nobody_is_sent_there(
    project: Path, port: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Equal and different answers are counted; slots, ledger and users are as before."""
    live = model_digest(project)
    revision = train_factor(project, 3)
    before, ledger = read_slot(project, Slot.A), read_ledger(project)
    file = write_requests(tmp_path, write_request(0), write_request(1), write_request(0, 1))
    code, document = compare(project, file, capsys)
    requests = EnvironmentFiles(project, "staging").requests
    assert [path.name for path in requests.iterdir()] == [str(before.port)]  # no candidate logs
    medians = document.pop("live_ms"), document.pop("candidate_ms")
    assert min(medians) > 0
    assert (code, document) == (
        0,
        {
            "environment": "staging",
            "live": live,
            "candidate": model_digest(project),
            "revision": revision,
            "requests": 3,
            "equal": 1,
            "different": 2,
            "refused": 0,
            "live_failed": 0,
            "candidate_failed": 0,
            "first": "line 2: y[0] is 3.0, not 2.0",
        },
    )
    assert predict(port) == 2
    assert (read_slot(project, Slot.A), read_ledger(project)) == (before, ledger)
    assert processes(project) == ["slot-a", "router"]
    assert not is_running(EnvironmentFiles(project, "staging").folder / "shadow.lock")
    assert shadow(project, file) == 0
    said = capsys.readouterr().out
    assert "1 answers equal, 2 different" in said
    assert "median of one answer: " in said


def test_a_request_that_only_the_candidate_fails_is_exit_1(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also of a commit that nobody merged; the other way round it is no failure."""
    git(project, "switch", "--quiet", "--create", "try")
    edit(project, "src/demo/serve.py", "UNLUCKY = None", "UNLUCKY = 7.0")
    tried = head(project)
    file = write_requests(tmp_path, write_request(1), write_request(7))
    code, document = compare(project, file, capsys, "--revision", "HEAD")
    counts = [document[name] for name in ("equal", "candidate_failed", "live_failed", "refused")]
    assert (code, counts, document["revision"]) == (1, [1, 1, 0, 0], tried)
    assert document["first"] == "line 2: the candidate: status 500"
    words = ["deploy", "staging", "--force", "--directory", str(project)]
    assert run(words) == 0  # the unlucky one serves now, and the approved one is the candidate
    git(project, "switch", "--quiet", "main")
    code, document = compare(project, file, capsys, "--revision", "main")
    counts = [document[name] for name in ("equal", "candidate_failed", "live_failed", "refused")]
    assert (code, counts) == (0, [1, 0, 1, 0])
    code, document = compare(project, file, capsys, "--revision", "try")
    counts = [document[name] for name in ("equal", "candidate_failed", "live_failed", "refused")]
    assert (code, counts) == (0, [1, 0, 0, 1])


def test_an_unfit_candidate_is_asked_nothing(
    project: Path, port: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another golden prediction ends it with 1, and so does a server that does not start."""
    file = write_requests(tmp_path, write_request(1))
    edit(project, "src/demo/serve.py", "BIAS = 0.0", "BIAS = 0.5")
    assert shadow(project, file) == 1
    assert "the golden prediction differs: y[0] is 2.5" in capsys.readouterr().err
    edit(project, "src/demo/serve.py", "BIAS = 0.5", 'raise SystemExit("no weights")')
    assert shadow(project, file) == 1
    assert "no weights" in capsys.readouterr().err
    assert processes(project) == ["slot-a", "router"]
    assert (predict(port), len(read_ledger(project))) == (2, 1)  # and nothing is condemned


def test_during_a_canary_the_one_that_most_users_reach_is_asked(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The canary is what git wants, and so the candidate."""
    live = model_digest(project)
    train_factor(project, 3)
    edit(project, "deploy/staging/model.yaml", "port:", "bake: 600\ncanary: 10\nport:")
    assert run(["deploy", "staging", "--no-wait", "--directory", str(project)]) == 0
    code, document = compare(project, write_requests(tmp_path, write_request(1)), capsys)
    assert (code, document["live"], document["different"]) == (0, live, 1)
    assert document["candidate"] == model_digest(project)


def test_a_candidate_of_a_killed_command_is_ended(project: Path, tmp_path: Path) -> None:
    """The next replay ends it, and so does --stop."""
    files = EnvironmentFiles(project, "staging")
    lock = files.folder / "shadow.lock"

    def leave_behind() -> None:
        start_detached(
            ["sleep", "600"],
            lock=lock,
            log=tmp_path / "log",
            cwd=tmp_path,
            env=clean_environment(),
        )

    leave_behind()
    assert shadow(project, write_requests(tmp_path, write_request(1))) == 0
    assert not is_running(lock)
    leave_behind()
    assert run(["deploy", "staging", "--stop", "--directory", str(project)]) == 0
    assert not is_running(lock)


def test_without_a_server_there_is_nothing_to_compare_with(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that was killed counts as none, and so does an environment that was stopped."""
    file = write_requests(tmp_path, write_request(1))
    kill(project, "slot-a")
    assert shadow(project, file) == 2
    assert "compare with: the server ended" in capsys.readouterr().err
    run(["deploy", "staging", "--stop", "--directory", str(project)])
    assert shadow(project, file) == 2
    assert "compare with: nothing is deployed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "it is empty"),
        ("\n", "requests.jsonl:1:1: not JSON"),
        (f"{write_request(1)}\n\n{write_request(1)}\n", "requests.jsonl:2:1: not JSON"),
        ("[1]\n", "no request: Expected `object`"),
        ("{}\n", "no request: Object missing required field `inputs`"),
        ('{"inputs": []}\n', "no request: `inputs` is empty"),
        ('{"inputs": [{"name": "x"}]}\n', "no request: Object missing required field"),
        ('{"inputs": [], "inputs": []}\n', "stands there twice"),
        ('{"inputs": [], "url": "http://example.org"}\n', "no request: .* unknown field `url`"),
        ('{"inputs": [], "\\u001b[2J": 1}\n', r"unknown field `\?\[2J`"),
        ('{"inputs": ' + "[" * 40 + "]" * 40 + "}\n", "nested over 32 levels deep"),
        (f'{{"id": "{"a" * MAX_LINE}"}}\n', "are more than the 1,048,576 we read"),
        ("{}\n" * (MAX_REQUESTS + 1), "more than 16,777,216 bytes, or 10,000 requests"),
        ("a" * (16 * 2**20 + 1), "more than 16,777,216 bytes"),
        ("\ud800", "not UTF-8 text"),
    ],
)
def test_a_file_of_anything_else_is_refused(tmp_path: Path, content: str, reason: str) -> None:
    """Before anything is started, and with the line that is to blame."""
    file = tmp_path / "requests.jsonl"
    file.write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(MlgitopsError, match=reason):
        read_requests(file)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    """A missing one, a folder, and a device that never ends."""
    for name in (tmp_path / "none", tmp_path, Path("/dev/zero")):
        with pytest.raises(MlgitopsError, match="there is no such file"):
            read_requests(name)
