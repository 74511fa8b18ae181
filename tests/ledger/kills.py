"""Real processes, killed: a program that reconciles, again and again, while git moves on.

What is expected comes from the test's own side: the commits that it pushed, the numbered files of
switches, and the servers as they answer. The ledger is read by git alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from git_project import GitRepository, git
from ledger.small_target import DESIRED, ENVIRONMENT, GOLDEN, MODEL, SmallTarget

from mlgitops.delivery.loop.observed import Active
from mlgitops.delivery.processes import is_running

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = Path(__file__).with_name("small_target.py")
SECONDS = 120.0
MAX_PASSES = 30


class Promotion(NamedTuple):
    """What a commit of the environment's file asks for."""

    commit: str
    sha256: str
    nature: str  # good, wrong, ends


class Scene:
    """An origin, somebody who merges, and a host with a clone."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - to be the same for the same seed
        self.folder, self.host = folder, folder / "host"
        self.origin, self.clone = folder / "origin.git", folder / "clone"
        self.author = GitRepository(folder / "author")
        self.promotions: list[Promotion] = []
        self.kills: list[str] = []  # the step at which each was
        self._models: dict[str, str] = {}  # revision → file
        self.host.mkdir()
        git(folder, "init", "--quiet", "--bare", str(self.origin))
        self.author.git("remote", "add", "origin", str(self.origin))
        self.promote("good")
        git(folder, "clone", "--quiet", str(self.origin), str(self.clone))
        self.target = SmallTarget(self.clone, self.host)

    def promote(self, nature: str) -> None:
        """Merge a new model of this nature, and the change that asks for it."""
        text = f"{nature} {len(self._models) + 1}\n"
        revision = self._commit(MODEL, text)
        self._models[revision] = text
        self._ask(revision)

    def revert(self) -> None:
        """Merge a change that asks for an older model again."""
        self._ask(self.random.choice(list(self._models)))

    def start(self) -> subprocess.Popen[str]:
        """Start the program that reconciles."""
        words = [sys.executable, str(PROGRAM), str(self.clone), str(self.host)]
        variables = {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDONTWRITEBYTECODE": "1"}
        with (self.folder / "errors.txt").open("a") as errors:
            return subprocess.Popen(
                words,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, **variables},
            )

    def run(self) -> dict[str, Any] | None:
        """Run it to its end; None when it says that it could not decide."""
        process = self.start()
        printed, _ = process.communicate(timeout=SECONDS)
        if process.returncode:
            assert process.returncode == 2
            return None
        outcome: dict[str, Any] = json.loads(printed.splitlines()[-1])
        return outcome

    def run_killed(self) -> None:
        """Run it, and kill it after some of its steps; now and then it ends before.

        Another one runs at the same time now and then, and is not killed.
        """
        process, steps = self.start(), self.random.randint(1, 24)
        rival = self.start() if self.random.random() < 0.2 else None
        assert process.stdout
        step = "start"
        for _ in range(steps):
            line = process.stdout.readline().strip()
            if not line:
                break
            step = line
        process.kill()
        process.stdout.close()
        if process.wait(timeout=SECONDS) == -signal.SIGKILL:
            self.kills.append(step)
        if rival:
            rival.communicate(timeout=SECONDS)
            assert rival.returncode in {0, 2}

    def kill_server(self) -> None:
        """Kill the server that answers, if it is past its bake: nobody is to blame then."""
        active = self.target.read_active()
        if active is None or not active.is_proven:
            return
        lock = self.host / f"{active.slot.value}.lock"
        if is_running(lock):
            os.kill(int(lock.read_text("ascii")), signal.SIGKILL)

    def check(self) -> None:
        """Hold the host, at rest, and the ledger against what was merged and switched."""
        switched = list(self._read_switches())
        assert {self._find(active).nature for active in switched} == {"good"}
        self._check_rest(switched)
        entries = self._read_ledger()
        assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
        assert [
            (entry["sha256"], entry["revision"], entry["commit"])
            for entry in entries
            if entry["event"] == "switched"
        ] == [active.served.request for active in switched]
        condemned = [entry["commit"] for entry in entries if entry["event"] == "condemned"]
        assert len(set(condemned)) == len(condemned)
        bad = {item.commit for item in self.promotions if item.nature != "good"}
        assert set(condemned) <= bad

    def _check_rest(self, switched: list[Active]) -> None:
        newest, active = self.promotions[-1], switched[-1]
        assert self.target.read_active() == active
        assert active.is_proven
        issue = self.host / "issue"
        opened = issue.read_text("ascii") if issue.exists() else ""
        if newest.nature == "good":
            assert (active.served.sha256, opened) == (newest.sha256, "")
        else:
            assert opened == newest.commit
        assert self.target.ask(active.slot) == GOLDEN
        other = self.host / f"{active.slot.other.value}.lock"
        assert not is_running(other)

    def _read_switches(self) -> Iterator[Active]:
        for file in sorted((self.host / "active").glob("[0-9]*")):
            yield msgspec.json.decode(file.read_bytes(), type=Active)

    def _read_ledger(self) -> list[dict[str, Any]]:
        branch = "deployments"
        path = f"{branch}:{ENVIRONMENT}.jsonl"
        entries = [json.loads(line) for line in git(self.origin, "show", path).splitlines()]
        words = ("rev-list", "--count", branch, "--", f"{ENVIRONMENT}.jsonl")
        assert int(git(self.origin, *words)) == len(entries)
        return entries

    def _find(self, active: Active) -> Promotion:
        (match,) = [item for item in self.promotions if item.commit == active.served.commit]
        assert match.sha256 == active.served.sha256
        return match

    def _ask(self, revision: str) -> None:
        text = self._models[revision]
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        number = len(self.promotions) + 1
        content = {
            "model": "flights",
            "revision": revision,
            "sha256": sha256,
            "port": 8000 + number,  # so that each is a change
        }
        commit = self._commit(DESIRED, json.dumps(content))
        self.author.git("push", "--quiet", "origin", "HEAD:main")
        self.promotions.append(Promotion(commit, sha256, text.split()[0]))

    def _commit(self, path: str, text: str) -> str:
        file = self.author.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
        self.author.git("add", path)
        self.author.git("commit", "--quiet", "--message", f"Change {path}")
        return self.author.git("rev-parse", "HEAD")


def play(folder: Path, seed: int, kills: int) -> Scene:
    """Kill the program ``kills`` times while things happen, let it come to rest, and check."""
    scene = Scene(folder, seed)
    try:
        while len(scene.kills) < kills:
            disturb(scene)
            scene.run_killed()
        come_to_rest(scene)
        scene.check()
    finally:
        scene.target.stop_all()
    return scene


def disturb(scene: Scene) -> None:
    """Let something happen between two runs."""
    chance = scene.random.random()
    away = scene.folder / "away.git"
    if away.exists():
        away.rename(scene.origin)
    if chance < 0.25:
        scene.promote(scene.random.choice(("good", "wrong", "ends")))
    elif chance < 0.35:
        scene.revert()
    elif chance < 0.45:
        scene.kill_server()
    elif chance < 0.6:
        scene.origin.rename(away)


def come_to_rest(scene: Scene) -> None:
    """Run the program until it has nothing to do."""
    away = scene.folder / "away.git"
    if away.exists():
        away.rename(scene.origin)
    for _ in range(MAX_PASSES):
        outcome = scene.run()
        if outcome and not outcome["effects"]:
            return
    raise AssertionError("it never comes to rest")
