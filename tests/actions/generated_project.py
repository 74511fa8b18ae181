"""A generated project with a trained baseline, and what its own workflow makes of a branch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from git_project import git
from integration.setup_project import quiet
from mini_project import shared_store

from mlgitops.rehearsal.forge import Forge, Server, State, load_state
from mlgitops.rehearsal.repository import Change, make_origin, read_branch
from mlgitops.rehearsal.session import STATE
from mlgitops.rehearsal.workflow_run import Ran, Stage, Start, run_workflow

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The two lines of params.yaml that choose the estimator, and others in their place.
ESTIMATOR = r"(?m)^  estimator: .*\n  settings: .*$"
FOREST = """\
  estimator: sklearn.ensemble.RandomForestClassifier
  settings: {n_estimators: 100, min_samples_leaf: 2, max_features: sqrt}"""
BOOSTING = """\
  estimator: sklearn.ensemble.HistGradientBoostingClassifier
  settings: {learning_rate: 0.05, max_iter: 150, max_leaf_nodes: 15, min_samples_leaf: 50}"""


def _call(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the helper in ``folder``, with the environments that all tests share."""
    return subprocess.run(
        [sys.executable, "-m", "mlgitops", *words],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env={
            **os.environ,
            "MLGITOPS_ENVIRONMENTS": str(shared_store()),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        },
    )


def run(folder: Path, *words: str, code: int = 0) -> str:
    """Run the helper in ``folder`` and return what it prints."""
    done = _call(folder, *words)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def make_baseline(folder: Path, *, task: str, storage: str, branch: str) -> Path:
    """Generate a project, train it, commit and publish that, and start a branch."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    words = ("--no-input", "--task", task, "--storage", storage, "--python", version)
    run(folder, "new", *words, "--slug", "model", "--owner", "octocat")
    project = folder / "model"
    run(project, "setup", "--only", "pipeline,ci")
    train_and_commit(project, "Train the baseline")
    git(project, "switch", "--quiet", "--create", branch)
    return project


def train_and_commit(project: Path, message: str) -> None:
    """Train, commit what came of it, and publish the data and the model."""
    run(project, "train")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "-m", message)
    run(project, "publish")


def read_posted(project: Path) -> dict[str, Any]:
    """Return what stands at the stand-in API after the rehearsals so far."""
    text = (project / ".mlgitops" / "rehearsal" / "state.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def rehearse(project: Path, *options: str) -> dict[str, Any]:
    """Run the project's own workflow on its current branch; what came of it."""
    done = _call(project, "rehearse", "--json", *options)
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return {**found, "stderr": done.stderr}


def merge_change(project: Path, number: int) -> str:
    """Merge the branch that is checked out into main, as GitHub's button does; stay on it."""
    branch = git(project, "branch", "--show-current")
    git(project, "switch", "--quiet", "main")
    message = f"Merge pull request #{number} from local/{branch}"
    git(project, "merge", "--quiet", "--no-ff", "-m", message, branch)
    git(project, "switch", "--quiet", branch)
    return git(project, "rev-parse", "main")


class Hosted(NamedTuple):
    """A project as GitHub holds it: a bare clone, and the API with what it remembers."""

    stage: Stage
    main: str  # sha of its tip

    def run(self, workflow: str, event_name: str, inputs: dict[str, str] | None = None) -> Ran:
        """Run a workflow on main; ``inputs``: what a person put into its form."""
        state, ref = self.stage.state, "refs/heads/main"
        repository = {"full_name": state.repository, "default_branch": "main"}
        event: dict[str, object] = {
            "ref": ref,
            "after": self.main,
            "repository": repository,
            "inputs": inputs,
        }
        folder = self.stage.scratch / f"run-{state.runs + 1}"
        folder.mkdir()
        start = Start(workflow=workflow, event_name=event_name, event=event, sha=self.main, ref=ref)
        return run_workflow(self.stage, start, folder)


@contextmanager
def host(project: Path, scratch: Path) -> Iterator[Hosted]:
    """Hold main and the branch that is checked out; the API remembers the rehearsals."""
    main = git(project, "rev-parse", "main")
    head = (git(project, "branch", "--show-current"), git(project, "rev-parse", "HEAD"))
    change = Change(base=("main", main), head=head, title="", body="")
    scratch.mkdir()
    origin = scratch / "origin.git"
    make_origin(project, change, 1, origin)
    state = load_state(project / STATE / "state.json", "local/model")
    forge = Forge(
        state,
        find_head=lambda branch: read_branch(origin, branch),
        find_change=lambda _rev, _path: None,
    )
    with Server(forge) as server:
        stage = Stage(
            root=project,
            scratch=scratch,
            store=shared_store(),
            logs=scratch,
            url=server.url,
            state=state,
            console=quiet(),
        )
        yield Hosted(stage, main)


def run_on_main(
    project: Path, scratch: Path, workflow: str, inputs: dict[str, str] | None = None
) -> tuple[Ran, Path, State]:
    """Run a workflow as a push to main starts it, or with ``inputs`` a person in its form.

    Returns what ran, the bare clone, and what the API shows then.
    """
    with host(project, scratch) as hosted:
        ran = hosted.run(workflow, "push" if inputs is None else "workflow_dispatch", inputs)
        return ran, hosted.stage.origin, hosted.stage.state
