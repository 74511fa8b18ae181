"""Weaken one line at a time, and show that a test notices: `make mutants`.

The catalogue is `tests/mutants/<area>.toml`. An entry names what would wrongly pass, the line,
what it becomes, and a few fast tests of which at least one must fail. Each worker has a copy of
the tracked files; nothing is changed here. Every named test first runs on unchanged code.

Exit code 0: every mutant was killed, or survived as its entry explains; 1: one survived, or was
killed although its entry says that it cannot be; 2: the catalogue or a test is at fault.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import itertools
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parents[1]
CATALOGUE = "tests/mutants"
WORKER = Path(__file__).with_name("mutant_worker.py")
REQUIRED_KEYS = {"name", "file", "line", "becomes", "tests"}
OPTIONAL_KEYS = {"survives", "hangs"}
#: Seconds for the tests of one mutant, and for all tests on unchanged code. Far above what they
#: take: a slow machine is not a kill, and a timeout only where the entry says so (`hangs`).
PATIENCE = 240.0
FIRST_PATIENCE = 1_200.0
PASSED, FAILED, TIMEOUT = 0, 1, -1  # exit codes of pytest, and the worker's own
KILLED, SURVIVED, EXPLAINED, INVALID = "killed", "SURVIVED", "survives", "INVALID"


class CatalogueError(Exception):
    """An entry, or a test that one names, is at fault; the message says which and why."""


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One entry of the catalogue."""

    area: str  # the catalogue file's name
    name: str  # what the weakened code would let through
    file: str
    line: str  # as it stands in the file, exactly once
    becomes: str
    tests: tuple[str, ...]
    survives: str = ""  # why no test can see it
    hangs: str = ""  # why reaching the time limit is its failure

    @property
    def title(self) -> str:
        """Return the name with its area."""
        return f"{self.area}: {self.name}"

    def apply(self, text: str) -> str:
        """Return the file's ``text`` with the line changed.

        Raises :class:`CatalogueError` when the line does not stand exactly once, or the result
        is no Python.
        """
        lines = text.split("\n")
        if (count := lines.count(self.line)) != 1:
            raise CatalogueError(
                f"{self.title}: its line stands {count} times in {self.file}, not once: "
                f"{self.line!r}; write the whole line as it is now"
            )
        lines[lines.index(self.line)] = self.becomes
        weakened = "\n".join(lines)
        if self.file.endswith(".py"):
            try:
                ast.parse(weakened)
            except SyntaxError as error:
                raise CatalogueError(f"{self.title}: it becomes no Python: {error}") from error
        return weakened


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How one mutant ended."""

    mutant: Mutant
    outcome: str
    seconds: float
    detail: str = ""  # the test that killed it, or what went wrong


def read_catalogue(root: Path) -> list[Mutant]:
    """Read every area, in order.

    Raises :class:`CatalogueError` with all mistakes together, each with its entry's name.
    """
    mutants: list[Mutant] = []
    mistakes: list[str] = []
    for file in sorted((root / CATALOGUE).glob("*.toml")):
        try:
            entries = read_area(file)
        except CatalogueError as error:
            mistakes.append(str(error))
            continue
        for entry in entries:
            try:
                mutants.append(parse_entry(file.stem, entry))
            except CatalogueError as error:
                mistakes.append(str(error))
    mistakes += check_catalogue(root, mutants)
    if mistakes:
        raise CatalogueError("\n".join(mistakes))
    return mutants


def read_area(file: Path) -> list[dict[str, Any]]:
    """Read the entries of one file; it holds nothing else."""
    try:
        document = tomllib.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise CatalogueError(f"{file.name}: {error}") from error
    entries = document.get("mutant")
    if set(document) != {"mutant"} or not isinstance(entries, list):
        raise CatalogueError(f"{file.name}: it holds other things than [[mutant]]")
    return entries


def parse_entry(area: str, entry: dict[str, Any]) -> Mutant:
    """Return one entry; every key must be there, and of its kind."""
    title = f"{area}: {entry.get('name', '(no name)')}"
    if missing := REQUIRED_KEYS - set(entry):
        raise CatalogueError(f"{title}: it lacks {', '.join(sorted(missing))}")
    if unknown := set(entry) - REQUIRED_KEYS - OPTIONAL_KEYS:
        raise CatalogueError(f"{title}: unknown key {', '.join(sorted(unknown))}")
    tests = entry["tests"]
    texts = [value for key, value in entry.items() if key != "tests"]
    if (
        not isinstance(tests, list)
        or not tests
        or not all(type(x) is str for x in [*tests, *texts])
    ):
        raise CatalogueError(f"{title}: tests is a list of texts, everything else a text")
    blank = [key for key in {*entry} - {"becomes", "tests"} if not entry[key].strip()]
    if blank or entry["line"] == entry["becomes"] or "\n" in entry["line"] + entry["becomes"]:
        raise CatalogueError(f"{title}: one line becomes another one, and no text is empty")
    return Mutant(area=area, **{**entry, "tests": tuple(tests)})


def check_catalogue(root: Path, mutants: Sequence[Mutant]) -> Iterator[str]:
    """Yield what is wrong between the entries and the files that they name."""
    for title, count in Counter(mutant.title for mutant in mutants).items():
        if count > 1:
            yield f"{title}: {count} entries have this name"
    for mutant in mutants:
        try:
            mutant.apply((root / mutant.file).read_text("utf-8"))
        except OSError:
            yield f"{mutant.title}: there is no file {mutant.file}"
        except CatalogueError as error:
            yield str(error)
        for test in mutant.tests:
            if not has_test(root, test):
                yield f"{mutant.title}: there is no test {test}"


def has_test(root: Path, test: str) -> bool:
    """Say whether the file, and the function if one is named, exist; pytest checks parameters."""
    path, *names = test.partition("[")[0].split("::")
    if not (root / path).is_file():
        return False
    try:
        body: Sequence[ast.stmt] = ast.parse((root / path).read_text("utf-8")).body
    except SyntaxError as error:
        raise CatalogueError(f"{path} is no Python: {error}") from error
    for name in names:
        kinds = (ast.FunctionDef, ast.ClassDef)
        match = [node for node in body if isinstance(node, kinds) and node.name == name]
        if not match:
            return False
        body = match[-1].body
    return True


class Worker:
    """A copy of the tracked files, and the process that runs tests in it."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.folder = folder
        self.ages = itertools.count(1_000)  # seconds that a weakened file is newer
        copy_tracked(root, folder)
        environment = {
            # Those of `make test`. What weakens how they are made is tested on others.
            "MLGITOPS_TEST_ENVIRONMENTS": str(root / ".venv" / "environments"),
            **os.environ,
            "PYTHONPATH": str(folder / "src"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "CI": "1",  # the same examples of Hypothesis each time
        }
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process; the folder belongs to the caller."""
        self.process.terminate()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream:
                stream.close()

    def run(self, tests: Sequence[str], seconds: float) -> dict[str, Any]:
        """Run tests: pytest's exit code, the first failure, what was printed."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"tests": [*tests], "seconds": seconds}) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise CatalogueError(f"the worker in {self.folder} ended: see above")
        return dict(json.loads(answer))

    def try_mutant(self, mutant: Mutant) -> Ending:
        """Run a mutant's tests on the weakened code, and put the code back."""
        start = time.monotonic()
        with self.weakened(mutant):
            answer = self.run(mutant.tests, PATIENCE)
        return judge(mutant, answer, time.monotonic() - start)

    @contextlib.contextmanager
    def weakened(self, mutant: Mutant) -> Iterator[None]:
        """Hold the mutant in the copy.

        Its file gets a time that no mutant had before: byte code of another one, of the same
        size, would stand in for it.
        """
        file = self.folder / mutant.file
        content, state = file.read_bytes(), file.stat()
        file.write_bytes(mutant.apply(content.decode()).encode())
        os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns + next(self.ages) * 10**9))
        try:
            yield
        finally:
            file.write_bytes(content)
            os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))


def copy_tracked(root: Path, folder: Path) -> None:
    """Copy what git tracks, as it stands in the work tree, with its times; compile it."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=root, check=True, capture_output=True)
    for name in sorted({*listing.stdout.decode().split("\0")} - {""}):
        source, target = root / name, folder / name
        if source.is_symlink() or source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    words = [sys.executable, "-m", "compileall", "-qq", str(folder / "src")]
    subprocess.run(words, check=False, stdout=subprocess.DEVNULL)


def judge(mutant: Mutant, answer: dict[str, Any], seconds: float) -> Ending:
    """Say how a mutant ended; only a failed test kills it."""
    code = answer["code"]
    killed = code == FAILED or (code == TIMEOUT and mutant.hangs)
    if killed and not mutant.survives:
        return Ending(mutant=mutant, outcome=KILLED, seconds=seconds, detail=answer["failed"])
    if killed:
        detail = f"{answer['failed']} kills it: take `survives` out of its entry"
        return Ending(mutant=mutant, outcome=INVALID, seconds=seconds, detail=detail)
    if code == PASSED:
        outcome = EXPLAINED if mutant.survives else SURVIVED
        return Ending(mutant=mutant, outcome=outcome, seconds=seconds, detail=mutant.survives)
    detail = "it reached the time limit" if code == TIMEOUT else f"pytest ended with {code}"
    detail += f", which is no failed test:\n{answer.get('printed', '')}"
    return Ending(mutant=mutant, outcome=INVALID, seconds=seconds, detail=detail)


@dataclass(kw_only=True)
class Hunt:
    """All mutants that are to be tried, by workers side by side."""

    mutants: Sequence[Mutant]
    workers: Sequence[Worker]
    endings: list[Ending] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def check_unchanged(self) -> None:
        """Run every named test once on unchanged code.

        Raises :class:`CatalogueError` when one does not pass: then it proves nothing.
        """
        shares: list[list[str]] = [[] for _ in self.workers]
        files: dict[str, set[str]] = {}
        for test in {test for mutant in self.mutants for test in mutant.tests}:
            files.setdefault(test.partition("::")[0], set()).add(test)
        for tests in sorted(files.values(), key=len, reverse=True):
            min(shares, key=len).extend(sorted(tests))
        self._run_beside(self._check_share, shares)

    def _check_share(self, worker: Worker, tests: list[str]) -> None:
        answer = worker.run(tests, FIRST_PATIENCE) if tests else {"code": PASSED}
        if answer["code"] != PASSED:
            self.faults.append(
                f"the named tests do not pass on unchanged code (pytest ended with "
                f"{answer['code']}):\n{answer['printed']}"
            )

    def try_all(self) -> list[Ending]:
        """Try every mutant; print each as it ends."""
        waiting: queue.SimpleQueue[Mutant] = queue.SimpleQueue()
        for mutant in self.mutants:
            waiting.put(mutant)
        self._run_beside(self._try_waiting, [waiting] * len(self.workers))
        return sorted(self.endings, key=lambda ending: ending.mutant.title)

    def _try_waiting(self, worker: Worker, waiting: queue.SimpleQueue[Mutant]) -> None:
        with contextlib.suppress(queue.Empty):
            while not self.faults:
                ending = worker.try_mutant(waiting.get_nowait())
                self.endings.append(ending)
                show_progress(ending, len(self.endings), len(self.mutants))

    def _run_beside(self, work: Any, shares: Sequence[Any]) -> None:  # noqa: ANN401
        def run(worker: Worker, share: Any) -> None:  # noqa: ANN401
            try:
                work(worker, share)
            except (CatalogueError, OSError, ValueError) as error:
                self.faults.append(str(error))

        threads = [
            threading.Thread(target=run, args=pair)
            for pair in zip(self.workers, shares, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.faults:
            raise CatalogueError("\n".join(self.faults))


def show_progress(ending: Ending, count: int, total: int) -> None:
    """Print one line to the standard error stream."""
    line = f"[{count}/{total}] {ending.outcome:<8} {ending.seconds:5.1f} s  {ending.mutant.title}"
    print(line, file=sys.stderr, flush=True)
    if ending.outcome == INVALID:
        print(ending.detail, file=sys.stderr, flush=True)


def select_mutants(mutants: Sequence[Mutant], only: Sequence[str]) -> list[Mutant]:
    """Return the mutants of the named areas, and those whose names hold a given text.

    Raises :class:`CatalogueError` when a word selects nothing.
    """
    areas = {mutant.area for mutant in mutants}
    chosen: set[str] = set()
    for word in only:
        match = {
            mutant.title
            for mutant in mutants
            if (mutant.area == word if word in areas else word in mutant.name)
        }
        if not match:
            raise CatalogueError(f"no area and no mutant is named {word!r}; see --list")
        chosen |= match
    if not mutants:
        raise CatalogueError(f"{CATALOGUE} holds no mutants")
    return [mutant for mutant in mutants if not only or mutant.title in chosen]


def show_table(endings: Sequence[Ending], seconds: float) -> None:
    """Print the areas, then every mutant that was not simply killed."""
    print(f"{'area':<20} {'mutants':>7} {'killed':>7} {'seconds':>8}")
    for area in sorted({ending.mutant.area for ending in endings}):
        show_row(area, [ending for ending in endings if ending.mutant.area == area])
    show_row("all", endings)
    for ending in endings:
        if ending.outcome != KILLED:
            mutant = ending.mutant
            print(f"{ending.outcome}: {mutant.title} ({mutant.file}: {mutant.line.strip()})")
            print(f"  {ending.detail}" if ending.detail else "  no test that it names fails")
    print(f"{seconds:.0f} s on the clock")


def show_row(name: str, endings: Sequence[Ending]) -> None:
    """Print one line of the table."""
    killed = sum(ending.outcome == KILLED for ending in endings)
    seconds = sum(ending.seconds for ending in endings)
    print(f"{name:<20} {len(endings):>7} {killed:>7} {seconds:>8.1f}")


def write_json(endings: Sequence[Ending], seconds: float) -> None:
    """Print everything for a program."""
    mutants = [
        {
            **{key: getattr(ending.mutant, key) for key in ("area", "name", "file", "line")},
            "becomes": ending.mutant.becomes,
            "outcome": ending.outcome.lower(),
            "seconds": round(ending.seconds, 3),
            "detail": ending.detail,
        }
        for ending in endings
    ]
    print(json.dumps({"mutants": mutants, "seconds": round(seconds, 1)}, indent=2))


def hunt(root: Path, mutants: Sequence[Mutant], workers: int) -> list[Ending]:
    """Copy, check, try."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder, contextlib.ExitStack() as stack:
        copies = [
            stack.enter_context(Worker(root, Path(folder).resolve() / f"copy{number}"))
            for number in range(min(workers, len(mutants)))
        ]
        work = Hunt(mutants=mutants, workers=copies)
        work.check_unchanged()
        return work.try_all()


def decide(endings: Sequence[Ending]) -> int:
    """Return the exit code."""
    outcomes = {ending.outcome for ending in endings}
    if INVALID in outcomes:
        return 2
    return 1 if SURVIVED in outcomes else 0


def parse_arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Weaken one line at a time; a test must notice.")
    parser.add_argument("only", nargs="*", help="areas, or parts of names (all)")
    parser.add_argument("--list", action="store_true", help="list the mutants, run nothing")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--workers", type=int, default=2, help="copies side by side (2)")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None, *, root: Path = ROOT) -> int:
    """Read the catalogue, try the mutants, print; return the exit code."""
    arguments = parse_arguments(words)
    start = time.monotonic()
    try:
        mutants = select_mutants(read_catalogue(root), arguments.only)
        if arguments.list:
            print("\n".join(f"{mutant.title} ({mutant.file})" for mutant in mutants))
            return 0
        endings = hunt(root, mutants, arguments.workers)
    except CatalogueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    show = write_json if arguments.json else show_table
    show(endings, time.monotonic() - start)
    return decide(endings)


if __name__ == "__main__":
    raise SystemExit(main())
