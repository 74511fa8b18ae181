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
from typing import TYPE_CHECKING

import msgspec
import yaml

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
from mlgitops.toolkit import toolkit_root

if TYPE_CHECKING:
    from mlgitops.console import Console
    from mlgitops.rehearsal.act import StepResult

#: A token that opens nothing, so that steps find the variable they expect.
TOKEN = "rehearsal-token-that-opens-nothing"  # noqa: S105 - not a secret
STATE = Path(".mlgitops") / "rehearsal"
#: Where links in the comment point, and git's address of the repository in a step; git is
#: told to look into the bare clone instead, so nothing is ever fetched from there.
SERVER = "https://github.com"
_PIN = re.compile(r"@[0-9a-f]{40}$")
_MARKS = {"success": ("✓", "green"), "failure": ("✗", "red")}


class Rehearsal(msgspec.Struct, frozen=True, kw_only=True):
    """What a rehearsal showed."""

    change: Change
    number: int
    merge_sha: str
    run: Run
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
    _prepare_environments(scratch, store, console)
    log = kept / "act.jsonl"
    kept.mkdir(parents=True, exist_ok=True)
    (kept / ".gitignore").write_text("*\n", encoding="utf-8")
    forge = Forge(state)
    with Server(forge) as server:
        plan = _plan(scratch, store, state, change, number, server.url)
        plan = msgspec.structs.replace(
            plan,
            labels=parsed.labels,
            actions=actions,
            workflow=workflow,
            variables={**plan.variables, "SHA_REF": merge_sha},
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


def _prepare_environments(scratch: Path, store: Path, console: Console) -> None:
    """Make the helper's environment before the run, which then needs no network."""
    script = scratch / "toolkit" / "actions" / "run.py"
    if not script.is_file():
        return
    variables = {**os.environ, "MLGITOPS_ENVIRONMENTS": str(store)}
    with console.step("The helper's environment"):
        run_program([_python(), "-I", script, "--prepare"], env=variables)


def _python() -> Path:
    """Return the interpreter behind this one's virtual environment."""
    return Path(sys.executable).resolve()


def _plan(  # noqa: PLR0917
    scratch: Path, store: Path, state: State, change: Change, number: int, url: str
) -> Plan:
    artifacts = scratch / "artifacts"
    artifacts.mkdir()
    event = scratch / "event.json"
    event.write_text(json.dumps(_event(state.repository, change, number)), encoding="utf-8")
    _write_git_config(scratch, f"{SERVER}/{state.repository}")
    return Plan(
        workspace=scratch / "workspace",
        workflow="",
        event_name="pull_request",
        event=event,
        scratch=scratch / "act",
        labels=[],
        actions={},
        variables={
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
        },
        token=TOKEN,
        path=_make_path(scratch / "tools"),
    )


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


def _make_path(folder: Path) -> list[Path]:
    """Link the few programs that steps may use beside the system's own."""
    folder.mkdir()
    links = {"python3": _python(), "python": _python()}
    links[f"python{sys.version_info.major}.{sys.version_info.minor}"] = _python()
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
