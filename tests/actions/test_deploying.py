"""The generated deploy.yml, run by act: a real server is in service when the job has ended.

act's host mode stands for a runner that is hosted on the machine that serves. The server is the one
of a few lines, and the environment `staging`: the file with that name in place of `production`.
"""

from __future__ import annotations

import os
import re
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from actions.generated_project import run, run_on_main
from git_project import commit_files, git
from integration.deploy_project import edit, make_deployable, model_digest, predict
from template.test_workflows import DEPLOY, render_github

from mlgitops.delivery.local.haproxy import find_haproxy

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNNER = "${{ vars.MLGITOPS_DEPLOY_RUNNER }}"
HOST = """\
      - name: Stand for the HAProxy of the host
        run: echo "{folder}" >> "$GITHUB_PATH"
      - name: Bring it"""


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """Make the folder of the run, and end what goes on in it: no runner ends a deployed server."""
    folder = tmp_path / "run"
    yield folder
    for process in list_processes(folder):
        os.kill(process, signal.SIGKILL)


def list_processes(folder: Path) -> list[int]:
    """List the processes that stand in ``folder``, whether or not it is there any more."""
    processes = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            place = (entry / "cwd").readlink()
        except OSError:
            continue
        if str(place).startswith(f"{folder}/"):
            processes.append(int(entry.name))
    return processes


def find_port() -> int:
    """Find a port that is free now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def write_workflow() -> str:
    """Return the generated workflow for `staging`, on a runner that is here."""
    text = render_github({"storage": "repo"})[DEPLOY].replace("production", "staging")
    text = re.sub(r"(?m)^    if: .*MLGITOPS_DEPLOY_RUNNER.*\n", "", text)
    assert RUNNER in text
    haproxy = find_haproxy()
    assert haproxy.name == "haproxy"
    text = text.replace("      - name: Bring it", HOST.format(folder=haproxy.parent))
    return text.replace(RUNNER, "ubuntu-latest")


@pytest.mark.slow
def test_what_is_wanted_serves_when_the_job_has_ended(tmp_path: Path, scratch: Path) -> None:
    """Each step runs, the ledger says so, and what serves knows nothing of the job's token."""
    project = make_deployable(tmp_path / "project")
    port = find_port()
    edit(project, "deploy/staging/model.yaml", "port: 8081", f"port: {port}")
    commit_files(project, {DEPLOY: write_workflow()}, "Deploy by a workflow")
    run(project, "setup", "--only", "serving")  # a rehearsal installs nothing while act runs
    ran, origin, _ = run_on_main(project, scratch, DEPLOY)
    assert [(step.job, step.title, step.result) for step in ran.run.steps] == [
        ("deploy", "Check out the default branch", "success"),
        ("deploy", "Stand for the HAProxy of the host", "success"),
        ("deploy", "Bring it into service, or keep the old model", "success"),
    ]
    assert predict(port) == 2.0
    subject = git(origin, "log", "-1", "--format=%s", "deployments")
    assert subject == f"staging: demo {model_digest(project)[:12]} switched, entry 1"
    serving = list_processes(scratch)
    assert len(serving) >= 2
    for process in serving:
        variables = Path(f"/proc/{process}/environ").read_bytes()
        assert not re.search(rb"(?:^|\0)(?:GITHUB_TOKEN|RUNNER_|ACTIONS_|GIT_CONFIG_)", variables)
