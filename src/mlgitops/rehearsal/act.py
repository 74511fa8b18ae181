"""Run one workflow file with act in host mode, and follow what it reports.

In: a plan of what runs where. Out: every step's result and time, and every job's. Nothing
of the caller's environment reaches a step: act starts under an empty one.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from mlgitops.errors import MlgitopsError
from mlgitops.process import stream_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_LOG_LINES = 30


class StepResult(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the workflow file that has ended."""

    job: str
    step: str  # its id, else its position
    title: str
    result: str  # success, failure or skipped
    seconds: float


class Run(msgspec.Struct, kw_only=True):
    """What act reported of one run."""

    steps: list[StepResult] = []
    jobs: dict[str, str] = {}  # job → success or failure; of a matrix, failure if any failed
    outputs: dict[tuple[str, str, str], str] = {}  # (job, step, name) → value
    annotations: list[tuple[str, str]] = []  # (level, message)
    summaries: list[str] = []


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What act needs in order to run one workflow."""

    workspace: Path  # a checkout of the merge commit: where the workflow file is read
    workflow: str
    event_name: str
    event: Path
    scratch: Path  # act's own files, HOME included
    labels: list[str]
    actions: Mapping[str, Path]  # "owner/repo@ref" → folder that takes its place
    variables: Mapping[str, str]
    token: str
    path: list[Path]


def find_act() -> Path:
    """Find act beside this Python or on PATH. Raises :class:`MlgitopsError` when missing."""
    beside = Path(sys.executable).parent / "act"
    program = str(beside) if beside.exists() else shutil.which("act")
    if program is None:
        raise MlgitopsError(
            "act, the program that runs workflows, is not installed",
            hint="install it with `pip install 'mlgitops[rehearse]'`",
        )
    return Path(program)


def build_command(act: Path, plan: Plan) -> list[str]:
    """Build act's command line."""
    scratch = plan.scratch
    words = [
        *(str(act), plan.event_name, "--json", "--no-skip-checkout", "--action-offline-mode"),
        *("--directory", str(plan.workspace), "--workflows", plan.workflow),
        *("--eventpath", str(plan.event), "--action-cache-path", str(scratch / "actions")),
        *("--cache-server-path", str(scratch / "cache"), "--cache-server-addr", "127.0.0.1"),
        *("--secret", f"GITHUB_TOKEN={plan.token}", "--actor", "rehearsal", "--rm"),
    ]
    for label in plan.labels:
        words += ["--platform", f"{label}=-self-hosted"]
    for action, folder in plan.actions.items():
        words += ["--local-repository", f"{action}={folder}"]
    for name, value in plan.variables.items():
        words += ["--env", f"{name}={value}"]
    return words


def build_environment(plan: Plan) -> dict[str, str]:
    """Build the whole environment that act and every step start from."""
    home = plan.scratch / "home"
    return {
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "PATH": os.pathsep.join(str(folder) for folder in plan.path),
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "GIT_PAGER": "cat",
        "GIT_TERMINAL_PROMPT": "0",
        "TMPDIR": str(plan.scratch / "tmp"),
    }


class Watcher(Protocol):
    """Receives each event of a run as it happens."""

    def start(self, job: str, title: str) -> None:
        """Take note that a step of the file has started."""

    def end(self, step: StepResult) -> None:
        """Take note that a step of the file has ended."""

    def print(self, line: str) -> None:
        """Take note of a line that a step printed."""


def run_act(plan: Plan, *, log: Path, watcher: Watcher) -> Run:
    """Run the workflow; ``watcher`` hears of it while it runs.

    Every line that act prints goes to ``log``. Raises :class:`MlgitopsError` when act
    could not run the workflow at all.
    """
    for name in ("home", "tmp"):
        (plan.scratch / name).mkdir(parents=True, exist_ok=True)
    act = find_act()
    run = Run()
    with log.open("w", encoding="utf-8") as sink:
        command, environment = build_command(act, plan), build_environment(plan)
        with stream_program(command, cwd=plan.workspace, env=environment) as program:
            _follow(program.read_lines(), run, sink.write, watcher)
            program.wait()
    if not run.jobs and not run.steps:
        raise MlgitopsError(f"act could not run the workflow:\n{read_tail(log)}", where=str(log))
    return run


def read_tail(log: Path, lines: int = _LOG_LINES) -> str:
    """Return the last lines that steps printed, indented; act's own reports left out."""
    kept = []
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        entry = _parse(line)
        if entry is None:
            kept.append(line)
        elif entry.get("raw_output") or entry.get("level") == "error":
            kept.append(str(entry.get("msg", "")).rstrip("\n"))
    return "\n".join(f"    {line}" for line in kept[-lines:])


def _follow(
    lines: Iterable[str],
    run: Run,
    write: Callable[[str], object],
    watcher: Watcher,
) -> None:
    for line in lines:
        write(line)
        entry = _parse(line)
        if entry is not None:
            _take(entry, run, watcher)


def _take(entry: dict[str, Any], run: Run, watcher: Watcher) -> None:
    """Add one report of act to ``run``. Steps nested in a composite have longer ids."""
    job, path = str(entry.get("jobID", "")), entry.get("stepID") or []
    if "jobResult" in entry:
        worst = run.jobs.get(job) == "failure"
        run.jobs[job] = "failure" if worst else str(entry["jobResult"])
    if entry.get("command") in ("error", "warning", "notice"):
        run.annotations.append((str(entry["command"]), str(entry.get("arg", ""))))
    if entry.get("raw_output"):
        watcher.print(str(entry.get("msg", "")).rstrip("\r\n"))
    if len(path) != 1:
        return
    main = entry.get("stage") == "Main"
    title = str(entry.get("step", "")).strip().partition("\n")[0] or path[0]
    if entry.get("command") == "set-output":
        run.outputs[job, path[0], str(entry.get("name"))] = str(entry.get("arg", ""))
    if entry.get("command") == "summary":
        run.summaries.append(str(entry.get("content", "")))
    if main and str(entry.get("msg", "")).startswith("⭐"):
        watcher.start(job, title)
    if main and "stepResult" in entry:
        step = StepResult(
            job=job,
            step=path[0],
            title=title,
            result=str(entry["stepResult"]),
            seconds=float(entry.get("executionTime", 0)) / 1e9,
        )
        run.steps.append(step)
        watcher.end(step)


def _parse(line: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None
