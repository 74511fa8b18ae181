"""One rehearsal from start to end: repository, stand-ins, forge, act, and what was posted.

Everything is made in a scratch folder; of the project only its commits are read, and only
`.mlgitops/rehearsal/` is written, where the stand-in's comments live on, so that a second
rehearsal of the same branch updates the comment that the first one made.
"""

from __future__ import annotations

import compileall
import json
import os
import re
import shutil
import sys
from importlib import resources
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import TYPE_CHECKING, Any

import msgspec
import yaml

from mlgitops.environments import ensure_environment, find_python
from mlgitops.errors import MistakesError, MlgitopsError
from mlgitops.github.marker import find_marker
from mlgitops.process import run_program
from mlgitops.rehearsal.act import Plan, Run, read_tail, run_act
from mlgitops.rehearsal.forge import Forge, Pull, Server, State, load_state
from mlgitops.rehearsal.repository import (
    Change,
    count_uncommitted,
    find_root,
    make_checkout,
    make_origin,
    read_change,
    read_repository_name,
)
from mlgitops.rehearsal.workflow import Use, Workflow, parse_workflow
from mlgitops.storage.remote import read_remote
from mlgitops.toolkit import toolkit_root

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlgitops.console import Console
    from mlgitops.rehearsal.act import StepResult

#: A token that opens nothing, so that steps find the variable they expect.
TOKEN = "rehearsal-token-that-opens-nothing"  # noqa: S105 - not a secret
STATE = Path(".mlgitops") / "rehearsal"
#: Where links in the comment point, and git's address of the repository in a step; git is
#: told to look into the bare clone instead, so nothing is ever fetched from there.
SERVER = "https://github.com"
_VERSION = "import sys; print('{}.{}'.format(*sys.version_info))"
_PIN = re.compile(r"@[0-9a-f]{40}$")
_MARKS = {"success": ("✓", "green"), "failure": ("✗", "red")}


class Rehearsal(msgspec.Struct, frozen=True, kw_only=True):
    """What a rehearsal showed."""

    change: Change
    number: int
    merge_sha: str
    run: Run
    verdict: str  # pass, fail, skip or undecided
    comments: list[str]  # our comments on the pull request, in order
    created: bool  # the comment is new, not an update
    real: list[str]  # actions that were executed as they are
    stood_in: list[str]  # actions that a stand-in took the place of
    log: Path


def rehearse(
    folder: Path,
    *,
    base: str | None,
    head: str | None,
    workflow: str,
    scratch: Path,
    store: Path,
    console: Console,
) -> Rehearsal:
    """Run the workflow for a pull request from ``head`` into ``base``.

    ``store`` holds environments that outlive the rehearsal. Raises :class:`MlgitopsError`
    when the workflow cannot be rehearsed, or a job that should have run did not.
    """
    root = find_root(folder)
    change = read_change(root, base=base, head=head)
    waiting = count_uncommitted(root)
    if waiting and head is None:
        console.warn(f"{waiting} uncommitted files are not part of this: only commits are")
    kept = root / STATE
    state = load_state(kept / "state.json", read_repository_name(root))
    number = _open_pull(state, change)
    before = {one.id for one in state.comments}
    with console.step(f"Pull request #{number}: {change.head[0]} into {change.base[0]}"):
        merge_sha = make_origin(root, change, number, scratch / "origin.git")
        make_checkout(scratch / "origin.git", merge_sha, scratch / "workspace")
    parsed = _read_workflow(scratch / "workspace", workflow)
    actions = _place_actions(parsed, scratch)
    python = _prepare_environments(parsed, scratch, store, console)
    log = kept / "act.jsonl"
    kept.mkdir(parents=True, exist_ok=True)
    (kept / ".gitignore").write_text("*\n", encoding="utf-8")
    forge = Forge(state)
    with Server(forge) as server:
        plan = Plan(
            workspace=scratch / "workspace",
            workflow=workflow,
            event_name="pull_request",
            event=_write_event(scratch, state.repository, change, number),
            scratch=scratch / "act",
            labels=parsed.labels,
            actions=actions,
            variables={
                **_variables(state, server.url, scratch=scratch, store=store),
                "SHA_REF": merge_sha,  # act's name for the commit of the event
                "MLGITOPS_REHEARSAL_STORAGE": _find_local_storage(root, scratch / "workspace"),
            },
            token=TOKEN,
            path=_make_path(scratch / "tools", python),
        )
        run = run_act(plan, log=log, on_step=lambda step: _show_step(step, console))
    state.save(kept / "state.json")
    _check_jobs(parsed, run, log)
    mine = [one for one in state.comments if one.issue == number and find_marker(one.body)]
    return Rehearsal(
        change=change,
        number=number,
        merge_sha=merge_sha,
        run=run,
        verdict=_find_verdict(parsed, run),
        comments=[one.body for one in mine],
        created=any(one.id not in before for one in mine),
        real=sorted({use.action for use in parsed.uses if _find_stand_in(use) is None}),
        stood_in=sorted({use.action for use in parsed.uses if _find_stand_in(use) is not None}),
        log=log,
    )


def _open_pull(state: State, change: Change) -> int:
    """Return the number of the head branch's pull request, a new one the first time."""
    old = (pull for pull in state.pulls.values() if pull.head[0] == change.head[0])
    number = next((pull.number for pull in old), len(state.pulls) + 1)
    state.pulls[number] = Pull(
        number=number, base=change.base, head=change.head, title=change.title, body=change.body
    )
    state.runs += 1
    return number


def _read_workflow(workspace: Path, name: str) -> Workflow:
    file = workspace / name
    if not file.is_file():
        raise MlgitopsError(
            "the pull request's commits hold no such workflow",
            where=name,
            hint="commit it, or name another with `--workflow`",
        )
    return parse_workflow(file.read_text(encoding="utf-8"), where=name)


def _place_actions(workflow: Workflow, scratch: Path) -> dict[str, Path]:
    """Find a folder for every action the workflow uses: our toolkit, or a stand-in.

    Raises :class:`MistakesError` naming every action, and every input, that has none.
    """
    mistakes: list[MlgitopsError] = []
    placed = {}
    toolkit: Path | None = None
    for use in workflow.uses:
        key = f"{use.repository}@{use.ref}"
        stand_in = _find_stand_in(use)
        if stand_in is not None:
            mistakes += _find_unknown_inputs(use, stand_in)
            placed[key] = _copy_stand_ins(use.repository, scratch / "stand-ins")
        elif (toolkit_root() / use.path / "action.yml").is_file() and use.path:
            toolkit = toolkit or _copy_toolkit(scratch / "toolkit")
            placed[key] = toolkit
        else:
            hint = "a rehearsal runs the toolkit's own actions and a few stand-ins, nothing else"
            mistakes.append(MlgitopsError(f"no stand-in for {use.action}", hint=hint))
    if mistakes:
        raise MistakesError("this workflow uses what a rehearsal does not have:", mistakes)
    return placed


def _stand_ins() -> Path:
    return Path(str(resources.files("mlgitops.rehearsal"))) / "stand_ins"


def _find_stand_in(use: Use) -> Path | None:
    folder = _stand_ins() / use.repository / use.path
    return folder if (folder / "action.yml").is_file() else None


def _find_unknown_inputs(use: Use, stand_in: Path) -> list[MlgitopsError]:
    known = yaml.safe_load((stand_in / "action.yml").read_text(encoding="utf-8"))["inputs"]
    unknown = [name for name in use.inputs if name not in known]
    return [
        MlgitopsError(f"the stand-in for {use.action} does not know the input `{name}`")
        for name in unknown
    ]


def _copy_stand_ins(repository: str, target: Path) -> Path:
    folder = target / repository
    if not folder.exists():
        shutil.copytree(_stand_ins() / repository, folder)
        for action in list(folder.rglob("action.yml")):
            shutil.copy2(_stand_ins() / "stand_in.py", action.parent)
    return folder


def _copy_toolkit(target: Path) -> Path:
    """Copy the actions, their lock and this very helper, compiled for every step at once.

    act copies an action for each job and gives the copies new dates; byte code that is
    checked by date would be made again by every step.
    """
    root = toolkit_root()
    package = Path(str(resources.files("mlgitops")))
    ignore = shutil.ignore_patterns("__pycache__", "toolkit")
    for name in ("actions", "requirements"):
        shutil.copytree(root / name, target / name, ignore=ignore)
    shutil.copytree(package, target / "src" / "mlgitops", ignore=ignore)
    compileall.compile_dir(
        str(target / "src"),
        quiet=2,
        stripdir=str(target),
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
    )
    return target


def _prepare_environments(workflow: Workflow, scratch: Path, store: Path, console: Console) -> Path:
    """Make every environment before the run, which then needs no network.

    Returns the interpreter that the steps find as `python3`: that of `.python-version`.
    """
    workspace = scratch / "workspace"
    python = _real(find_python(workspace, "pipeline"))
    script = scratch / "toolkit" / "actions" / "run.py"
    if script.is_file():
        variables = {**os.environ, "MLGITOPS_ENVIRONMENTS": str(store)}
        with console.step("The helper's environment"):
            run_program([python, "-I", script, "--prepare"], env=variables)
    for use, inputs in _find_steps(workflow, "setup"):
        definition = yaml.safe_load((scratch / "toolkit" / use.path / "action.yml").read_text())
        defaults = {name: one.get("default") for name, one in definition["inputs"].items()}
        wanted = {**defaults, **inputs}
        project = workspace / str(wanted["working-directory"])
        for name in filter(None, str(wanted["only"] or "").split(",")):
            ensure_environment(project, name.strip(), console)
    return python


def _find_steps(workflow: Workflow, verb: str) -> list[tuple[Use, Mapping[str, Any]]]:
    """Find the steps that use one of the toolkit's actions, with the inputs they give."""
    steps = [step for job in workflow.jobs.values() for step in job.steps]
    return [
        (step.use, step.inputs)
        for step in steps
        if step.use is not None and step.use.path.endswith(f"actions/{verb}")
    ]


def _find_verdict(workflow: Workflow, run: Run) -> str:
    """Return the verdict of the step that reports; "undecided" when it gave none."""
    reporting = {
        (name, step.id)
        for name, job in workflow.jobs.items()
        for step in job.steps
        if step.use is not None and step.use.path.endswith("actions/report")
    }
    found = [
        value
        for (job, step, name), value in run.outputs.items()
        if name == "verdict" and (job, step) in reporting
    ]
    return found[-1] if found else "undecided"


def _find_local_storage(root: Path, workspace: Path) -> str:
    """Name a storage folder of this machine that the project reaches by a relative path.

    Returns "RELATIVE:ABSOLUTE" for the stand-in of checkout, which links it; "" otherwise.
    """
    remote = read_remote(workspace) if (workspace / ".dvc" / "config").is_file() else None
    if remote is None or remote.kind != "local" or Path(remote.url).is_absolute():
        return ""
    relative = os.path.relpath(remote.path or root, workspace)
    return f"{relative}:{os.path.normpath(root / relative)}"


def _real(python: Path) -> Path:
    """Return the interpreter behind a virtual environment's."""
    return python.resolve()


def _write_event(scratch: Path, repository: str, change: Change, number: int) -> Path:
    event = scratch / "event.json"
    event.write_text(json.dumps(_event(repository, change, number)), encoding="utf-8")
    return event


def _variables(state: State, url: str, *, scratch: Path, store: Path) -> dict[str, str]:
    """Build what every step finds in its environment, beside what act itself sets."""
    artifacts = scratch / "artifacts"
    artifacts.mkdir()
    _write_git_config(scratch, f"{SERVER}/{state.repository}")
    return {
        "GITHUB_REPOSITORY": state.repository,
        "GITHUB_SERVER_URL": SERVER,
        "GITHUB_API_URL": url,
        "GITHUB_GRAPHQL_URL": f"{url}/graphql",
        "GITHUB_RUN_ID": str(state.runs),
        "GITHUB_RUN_NUMBER": str(state.runs),
        "MLGITOPS_ENVIRONMENTS": str(store),
        "MLGITOPS_REHEARSAL_ARTIFACTS": str(artifacts),
        "UV_OFFLINE": "1",
        "NO_COLOR": "1",
    }


def _event(repository: str, change: Change, number: int) -> dict[str, object]:
    """Build the part of a `pull_request` payload that a workflow reads."""
    sides = {
        name: {"ref": branch, "sha": sha, "repo": {"full_name": repository}}
        for name, (branch, sha) in {"base": change.base, "head": change.head}.items()
    }
    return {
        "action": "synchronize",
        "number": number,
        "repository": {"full_name": repository, "default_branch": change.base[0]},
        "pull_request": {
            "number": number,
            "title": change.title,
            "body": change.body,
            "state": "open",
            "draft": False,
            "merged": False,
            "user": {"login": "rehearsal"},
            **sides,
        },
    }


def _write_git_config(scratch: Path, address: str) -> None:
    """Let git reach the bare clone under the repository's address, and nothing else."""
    home = scratch / "act" / "home"
    home.mkdir(parents=True)
    origin = (scratch / "origin.git").as_uri()
    text = f'[url "{origin}"]\n' + "".join(
        f"\tinsteadOf = {one}\n" for one in (f"{address}.git", address)
    )
    (home / ".gitconfig").write_text(text, encoding="utf-8")


def _make_path(folder: Path, python: Path) -> list[Path]:
    """Link the few programs that steps may use beside the system's own."""
    folder.mkdir()
    version = run_program([python, "-I", "-c", _VERSION]).strip()
    links = dict.fromkeys(("python", "python3", f"python{version}"), python)
    for name in ("uv", "git", "bash"):
        beside = Path(sys.executable).parent / name
        found = str(beside) if beside.exists() else shutil.which(name)
        if found:
            links[name] = Path(found)
    for name, target in links.items():
        (folder / name).symlink_to(target)
    return [folder, *map(Path, ("/usr/local/bin", "/usr/bin", "/bin"))]


def _show_step(step: StepResult, console: Console) -> None:
    mark, style = _MARKS.get(step.result, ("-", "dim"))
    took = console.style(f"{step.seconds:.1f} s", "dim")
    title = _PIN.sub("", step.title)
    console.say(f"  {console.style(mark, style)} {step.job}: {title}  {took}")


def _check_jobs(workflow: Workflow, run: Run, log: Path) -> None:
    """Refuse a run in which a job that should have run did not."""
    missing = workflow.find_missing(run.jobs)
    if missing:
        raise MlgitopsError(
            f"did not run: {', '.join(missing)}\n{read_tail(log)}",
            where=str(log),
            hint="look into the log; a job that does not run proves nothing",
        )
