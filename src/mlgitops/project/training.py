"""Run the pipeline: `dvc repro` with live progress, and a record of what each stage did."""

from __future__ import annotations

import json
import re
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import IO, TYPE_CHECKING

from mlgitops.dvc.command import dvc_command, explain_failure, project_environment, run_dvc
from mlgitops.dvc.reader import read_pipeline
from mlgitops.dvc.stored import read_disk
from mlgitops.environments import NO_CLUSTER, drop_tokens
from mlgitops.errors import MlgitopsError
from mlgitops.git.program import find_revision, run_git
from mlgitops.process import stream_program
from mlgitops.project.cost.measure import record_cost
from mlgitops.project.cost.memory import MemorySampler
from mlgitops.project.fork_server.launch import start_fork_server
from mlgitops.storage.sources import cache_sources, refresh_sources
from mlgitops.writing import refuse_links, replace_file

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mlgitops.console import Console
    from mlgitops.project.fork_server.launch import ForkServer

#: Where a run leaves its record and its log, in the project.
RUN_FILE = ".mlgitops/run.json"
LOG_FILE = ".mlgitops/train.log"

_TAIL_LINES = 30
_LINE_LENGTH = 500
# DVC's run cache is not used: anybody who can write to the storage can put a false entry there.
# For the same reason the pull request's own dvc.lock is not used (see `start_from_base`).
_REPRO = ("repro", "--pull", "--no-run-cache")
# For a pull request: the data of a stage that did not change need not be downloaded.
_REPRO_FROM_BASE = (*_REPRO, "--allow-missing")

_RUNNING = re.compile(r"^Running stage '([^']+)':$")
_FINISHED = re.compile(r"^(Generating|Updating) lock file '")


@dataclass(frozen=True, kw_only=True)
class StageRun:
    """What one stage did in this run."""

    name: str
    state: str  # ran, restored (its outputs came from the cache or the storage), skipped
    seconds: float | None = None  # wall time; None unless it ran
    peak_memory: int | None = None  # resident bytes of all its processes; None: not measured


@dataclass
class _Progress:
    """What was read of DVC's output so far."""

    console: Console
    memory: MemorySampler | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    peaks: dict[str, int | None] = field(default_factory=dict)  # bytes
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=_TAIL_LINES))
    current: str | None = None
    started: float = 0.0

    def start(self, name: str) -> None:
        self.finish()
        self.current, self.started = name, time.perf_counter()
        self.tail.clear()
        if self.memory is not None:
            self.memory.take()  # what DVC itself started in between
        if self.is_live():
            self.console.err.write(f"  … {name}")
            self.console.err.flush()

    def finish(self) -> None:
        if self.current is not None:
            self.seconds[self.current] = time.perf_counter() - self.started
            self.peaks[self.current] = self.memory.take() if self.memory else None
            begin = "\r\x1b[K" if self.is_live() else ""
            self.console.say(f"{begin}  ✓ {self.current}  {self.seconds[self.current]:.1f} s")
            self.current = None

    def is_live(self) -> bool:
        return not self.console.quiet and self.console.err.isatty()


def run_pipeline(
    project: Path,
    console: Console,
    *,
    base: str | None = None,
    force: bool = False,
    local: bool = False,
    tokens: bool = True,
) -> list[StageRun]:
    """Bring the pipeline of ``project`` up to date and write `.mlgitops/run.json`.

    With ``base``, any revision, the run starts from that revision's dvc.lock; with ``force``
    every stage runs; with ``local`` no cluster is asked; without ``tokens`` no stage gets those of
    a workflow's job, and DVC still the sign-in to the storage. What the run took goes to the record
    of costs. Raises :class:`MlgitopsError` with the stage's own last lines when one fails.
    """
    if not (project / "dvc.yaml").is_file():
        raise MlgitopsError(
            "there is no dvc.yaml", where=str(project), hint="run in a project's root folder"
        )
    absent = _absent_outputs(project)
    if base is None:
        cache_sources(project)
        for path in refresh_sources(project):
            console.say(f"  {path}: was of another commit, and is of this one now")
        absent |= _check_out(project)
    else:
        start_from_base(project, base)
    options = (*(_REPRO if base is None else _REPRO_FROM_BASE), *(["--force"] if force else []))
    environment = project_environment(project) | {"PYTHONUNBUFFERED": "1"}
    environment = environment if tokens else drop_tokens(environment)
    environment |= NO_CLUSTER if local else {}
    with start_fork_server(project, environment) as server:
        progress = _repro(project, console, options, server)
        stages = _summarise(project, progress, absent)
        _write_record(project, stages)
        ran = {name: (seconds, progress.peaks[name]) for name, seconds in progress.seconds.items()}
        record_cost(project, ran, console, base=base, environment=server.environment)
    return stages


def start_from_base(project: Path, base: str) -> None:
    """Replace dvc.lock by that of ``base``, so that no entry of a pull request is believed."""
    sha = find_revision(project, base)
    if sha is None:
        raise MlgitopsError(
            f"the base {base} is not in this clone",
            where=str(project),
            hint="fetch it, or check out with `fetch-depth: 0`",
        )
    lock = project / "dvc.lock"
    if run_git(project, "ls-tree", "--name-only", sha, "./dvc.lock").strip():
        replace_file(lock, run_git(project, "show", f"{sha}:./dvc.lock").encode(), root=project)
    else:
        lock.unlink(missing_ok=True)


def _check_out(project: Path) -> set[str]:
    """Make the pipeline's outputs those of dvc.lock, as after a merge; return what changed.

    Outputs are derived: one that the cache does not hold is removed, and `dvc repro` fetches
    it or makes it again.
    """
    if not (project / "dvc.lock").is_file():
        return set()
    printed = run_dvc(project, ["checkout", "--force", "--allow-missing", "dvc.yaml"])
    moved = (line.split(None, 1) for line in printed.splitlines())
    return {words[1].rstrip("/") for words in moved if len(words) == 2 and words[0] in "AMD"}  # noqa: PLR2004


def quote_line(line: str) -> str:
    """Return a line of another program's output, safe to show in a CI log.

    The prefix keeps it from being read as a workflow command, which may follow blanks.

    >>> quote_line("::error::no")
    '    | ::error::no'
    """
    plain = "".join(c if c.isprintable() or c == "\t" else "?" for c in line[:_LINE_LENGTH])
    return f"    | {plain.replace('##[', '## [')}"


def _repro(
    project: Path, console: Console, arguments: tuple[str, ...], server: ForkServer
) -> _Progress:
    """Run DVC and return what was seen of the stages, in the order they ran."""
    log = project / LOG_FILE
    refuse_links(project, log)
    log.parent.mkdir(exist_ok=True)
    progress = _Progress(console=console)
    command = [*map(str, dvc_command(project)), *arguments]
    with stream_program(command, cwd=project, env=server.environment, own_session=False) as program:
        sampler = MemorySampler(program.pid, server.process)
        with log.open("w", encoding="utf-8") as file, sampler as memory:
            progress.memory = memory
            _follow(program.read_lines(), file, progress)
        code = program.wait()
    if code != 0:
        if progress.is_live():
            console.say("\r\x1b[K")
        raise _failure(progress, log, code)
    progress.finish()
    return progress


def _follow(lines: Iterable[str], log: IO[str], progress: _Progress) -> None:
    for raw in lines:
        log.write(raw)
        line = raw.rstrip("\n").split("\r")[-1]
        running = _RUNNING.match(line)
        if running:
            progress.start(running[1])
        elif _FINISHED.match(line):
            progress.finish()
        elif line.strip():
            progress.tail.append(line)


def _failure(progress: _Progress, log: Path, code: int) -> MlgitopsError:
    printed = "".join(f"\n{quote_line(line)}" for line in progress.tail)
    problem = f"stage {progress.current} failed" if progress.current else f"dvc ended with {code}"
    hint = explain_failure("\n".join(progress.tail)) or f"the whole output: {log}"
    return MlgitopsError(f"{problem}{printed}", where=str(log.parent.parent), hint=hint)


def _outputs(project: Path) -> dict[str, list[str]]:
    """Return stage name to output paths, from dvc.lock."""
    names = dict.fromkeys(("dvc.yaml", "dvc.lock"), "")
    pipeline = read_pipeline(names, partial(read_disk, project), lenient=True)
    return {name: list(lock.outs) for name, lock in pipeline.locks.items()}


def _absent_outputs(project: Path) -> set[str]:
    listed = {path for paths in _outputs(project).values() for path in paths}
    return {path for path in listed if not (project / path).exists()}


def _summarise(project: Path, progress: _Progress, absent: set[str]) -> list[StageRun]:
    stages, seconds = [], progress.seconds
    for name, paths in _outputs(project).items():
        came_back = any(path in absent and (project / path).exists() for path in paths)
        state = "ran" if name in seconds else "restored" if came_back else "skipped"
        peak = progress.peaks.get(name)
        stages.append(StageRun(name=name, state=state, seconds=seconds.get(name), peak_memory=peak))
    return stages


def _write_record(project: Path, stages: list[StageRun]) -> None:
    content = {"stages": [asdict(stage) for stage in stages]}
    text = json.dumps(content, indent=2) + "\n"
    replace_file(project / RUN_FILE, text.encode(), root=project)
