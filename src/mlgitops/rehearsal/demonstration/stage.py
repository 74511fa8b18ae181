"""Where the demo plays: its folder, the commands it runs, the time each took."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from mlgitops.delivery import LocalTarget
from mlgitops.delivery.processes import find_free_port, is_port_free
from mlgitops.environments import STORE_VARIABLE
from mlgitops.errors import MlgitopsError
from mlgitops.git.program import identity_options, run_git

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from mlgitops.console import Console

_MARK = "demo.json"  # tells a demo's folder from a person's own


class Stage:
    """Runs commands of the helper in a project, as a person would type them."""

    def __init__(self, folder: Path, console: Console) -> None:
        self.folder = folder
        self.console = console
        self.seconds: dict[str, float] = {}
        store = os.environ.get(STORE_VARIABLE) or str(folder / "environments")
        self.environment = {**os.environ, STORE_VARIABLE: store}

    @contextmanager
    def chapter(self, title: str) -> Iterator[None]:
        """Show a part of the story under its number, and note how many seconds it took."""
        number = len(self.seconds) + 1
        self.console.say(self.console.style(f"\n{number}. {title}", "bold"))
        start = time.perf_counter()
        yield
        self.seconds[title] = round(time.perf_counter() - start, 1)
        self.console.say(f"   {self.seconds[title]:.1f} s")

    def run(
        self,
        *words: str,
        cwd: Path,
        allowed: tuple[int, ...] = (0,),
        variables: Mapping[str, str] | None = None,
    ) -> str:
        """Run `mlgitops WORDS`, show its progress, and return what it printed.

        ``variables`` come beside those of this process. Raises :class:`MlgitopsError` when it ends
        with a code that is not ``allowed``.
        """
        self.console.say(f"   $ mlgitops {' '.join(_quote(word) for word in words)}")
        command = [sys.executable, "-P", "-m", "mlgitops", *words]
        done = subprocess.run(
            command,
            cwd=cwd,
            env={**self.environment, **(variables or {})},
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=_inherited(self.console.err),
            text=True,
            encoding="utf-8",
        )
        if done.returncode not in allowed:
            raise MlgitopsError(
                f"`mlgitops {words[0]}` ended with {done.returncode}",
                where=str(cwd),
                hint="its message stands above; the folder is left as it is for a look",
            )
        return done.stdout

    def git(self, project: Path, *words: str) -> None:
        """Run git in the project and show the command."""
        self.console.say(f"   $ git {' '.join(_quote(word) for word in words)}")
        run_git(project, *identity_options(project), *words)


def claim_folder(folder: Path) -> None:
    """Make ``folder`` the demo's, empty but for the environments of an earlier demo.

    Raises :class:`MlgitopsError` when a person's own files are in it.
    """
    mark = folder / _MARK
    if folder.is_dir() and any(folder.iterdir()) and not mark.is_file():
        raise MlgitopsError(
            "this folder holds something that is not a demo",
            where=str(folder),
            hint="name another folder with --directory",
        )
    folder.mkdir(parents=True, exist_ok=True)
    mark.write_text(json.dumps({"made-by": "mlgitops demo"}) + "\n", encoding="utf-8")
    # So that the repository around it, if there is one, does not see the project's.
    (folder / ".gitignore").write_text("*\n", encoding="utf-8")


def stop_servers(project: Path, console: Console) -> None:
    """End what an earlier demo left serving."""
    for environment in sorted((project / ".mlgitops" / "deploy").glob("*")):
        LocalTarget(project, console).stop(environment.name)


def choose_port(project: Path, environment: str) -> int | None:
    """Return another port when something else listens on the one that the file names."""
    text = (project / "deploy" / environment / "model.yaml").read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if line.startswith("port:"))
    return None if is_port_free(int(line.split()[1])) else find_free_port()


def read_processor_seconds() -> float:
    """Return the processor seconds of this process and of all that it started and has ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in used)


def edit_file(project: Path, path: str, edits: Mapping[str, str], console: Console) -> None:
    """Replace lines of a file, each of which must be there exactly once."""
    file = project / path
    text = file.read_text(encoding="utf-8")
    for old, new in edits.items():
        if text.count(old) != 1:
            raise MlgitopsError(f"the demo expects the line `{old.strip()}` once", where=str(file))
        text = text.replace(old, new)
        console.say(f"   {path}: {old.strip()} → {new.strip()}")
    file.write_text(text, encoding="utf-8")


def _inherited(stream: IO[str]) -> int | None:
    """Return where a child's progress goes: to ours when that is a real stream."""
    try:
        return stream.fileno()
    except (OSError, ValueError, AttributeError):
        return subprocess.DEVNULL


def _quote(word: str) -> str:
    return f'"{word}"' if " " in word else word
