"""A target of a few lines whose servers are real processes, and a program that reconciles it.

git, its remote and the ledger are real. The active server is a numbered file, so that what was
switched stays to be read. Each step is printed, so that whoever reads along can kill the program
there. Its arguments are a clone and a folder.
"""

from __future__ import annotations

import hashlib
import json
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import structs

from mlgitops.console import Console
from mlgitops.delivery.ledger import Ledger
from mlgitops.delivery.loop.decision import make_entry
from mlgitops.delivery.loop.effects import (
    Append,
    Bake,
    CloseIssue,
    Confirm,
    Fetch,
    Golden,
    OpenIssue,
    Return,
    Route,
    Start,
    Stop,
    Switch,
    Wait,
    Widen,
)
from mlgitops.delivery.loop.observed import (
    UNSURE,
    Active,
    Desired,
    Observed,
    ServedModel,
    Server,
    ServerState,
    Slot,
)
from mlgitops.delivery.loop.reconcile import reconcile
from mlgitops.delivery.processes import HOST, is_running, start_detached, stop_process
from mlgitops.environments import clean_environment, locked
from mlgitops.errors import MlgitopsError
from mlgitops.git.program import run_git
from mlgitops.git.repository import Repository
from mlgitops.git.wanted import read_wanted
from mlgitops.model.fields import Struct
from mlgitops.writing import replace_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlgitops.delivery.loop.effects import Effect

ENVIRONMENT = "production"
DESIRED = f"deploy/{ENVIRONMENT}/model.yaml"
MODEL = "model.txt"
TIP = "refs/remotes/origin/main"
SERVER = Path(__file__).with_name("small_server.py")
GOLDEN = "42"
SECONDS = 60.0  # that a server has to be ready


class SlotFile(Struct, frozen=True, kw_only=True):
    """What is written down of a slot."""

    served: ServedModel
    restarts: int
    started: bool = False
    stopping: bool = False
    verified: bool = False
    reason: str | None = None


class SmallTarget:
    """The driver: files below ``folder``, servers beside them, git in ``clone``."""

    def __init__(self, clone: Path, folder: Path) -> None:
        self._clone, self._folder = clone, folder
        self._ledger = Ledger(clone, "")

    def lock(self) -> Any:  # noqa: ANN401 - a context manager of another module
        """Keep other programs out."""
        return locked(self._folder / "lock")

    def observe(self) -> tuple[Desired, Observed]:
        """Read git, the ledger, the files and the servers."""
        say("observe")
        active = self.read_active()
        bundles = (self._folder / "bundles").glob("*-*")
        reported = self._folder / "reported"
        return self._read_desired(), Observed(
            a=self._observe_server(Slot.A),
            b=self._observe_server(Slot.B),
            active=active,
            bundles=frozenset((name[:64], name[65:]) for name in (path.name for path in bundles)),
            ledger=self._ledger.read(ENVIRONMENT),
            reported=reported.read_text("ascii") or None if reported.exists() else None,
        )

    def perform(self, effect: Effect) -> None:
        """Do it."""
        say(type(effect).__name__)
        _PERFORM[type(effect)](self, effect)
        say("done")

    def fetch_git(self) -> None:
        """Bring this clone's view of the default branch up to date."""
        words = ("fetch", "--quiet", "--no-tags", "origin", f"+refs/heads/main:{TIP}")
        run_git(self._clone, *words, timeout=SECONDS)

    def read_active(self) -> Active | None:
        """Read the newest of the numbered files."""
        files = sorted((self._folder / "active").glob("[0-9]*"))
        return msgspec.json.decode(files[-1].read_bytes(), type=Active) if files else None

    def ask(self, slot: Slot) -> str | None:
        """Ask a server for its golden prediction; None when it does not answer."""
        with suppress(OSError):
            port = int(self._path(slot, "port").read_text("ascii"))
            with socket.create_connection((HOST, port), timeout=SECONDS) as client:
                return client.recv(100).decode().partition(" ")[2] or None
        return None

    def stop_all(self) -> None:
        """End every server; for whoever cleans up."""
        for slot in Slot:
            stop_process(self._path(slot, "lock"))

    def _read_desired(self) -> Desired:
        tip = run_git(self._clone, "rev-parse", TIP).strip()
        newest = run_git(
            self._clone, "log", "-1", "--first-parent", "--format=%H", tip, "--", DESIRED
        )
        with Repository(self._clone) as repository:
            wanted = read_wanted(repository, "", ENVIRONMENT, newest.strip())
        served = ServedModel(
            model=wanted.model,
            sha256=wanted.sha256 or "",
            revision=wanted.commit,
            commit=newest.strip(),
        )
        return Desired(served=served, bake=wanted.bake)

    def _observe_server(self, slot: Slot) -> Server | None:
        file, is_alive = self._read_slot(slot), is_running(self._path(slot, "lock"))
        if file is None:
            return None
        state = ServerState.DEAD
        if is_alive and file.reason is None:
            state = ServerState.STARTING if self.ask(slot) is None else ServerState.READY
        elif file.reason is None and (file.stopping or not file.started):
            return None
        return Server(
            served=file.served,
            state=state,
            verified=file.verified and not file.stopping,
            restarts=file.restarts,
            reason=file.reason or ("it ended" if state is ServerState.DEAD else None),
        )

    def _fetch(self, effect: Fetch) -> None:
        sha256, revision = effect.served.bundle
        data = run_git(self._clone, "show", f"{revision}:{MODEL}").encode()
        if hashlib.sha256(data).hexdigest() != sha256:
            raise MlgitopsError("another model than the desired state names")
        replace_file(self._folder / "bundles" / f"{sha256}-{revision}", data)

    def _start(self, effect: Start) -> None:
        lock, port = self._path(effect.slot, "lock"), self._path(effect.slot, "port")
        stop_process(lock)
        port.unlink(missing_ok=True)
        file = SlotFile(served=effect.served, restarts=effect.restarts)
        self._write_slot(effect.slot, file)
        say("written")
        bundle = self._folder / "bundles" / "-".join(effect.served.bundle)
        start_detached(
            [sys.executable, "-I", "-S", SERVER, bundle, port],
            lock=lock,
            log=self._path(effect.slot, "log"),
            cwd=self._folder,
            env=clean_environment(),
        )
        say("spawned")
        self._write_slot(effect.slot, structs.replace(file, started=True))

    def _wait(self, effect: Wait) -> None:
        end = time.monotonic() + SECONDS
        while self.ask(effect.slot) is None and is_running(self._path(effect.slot, "lock")):
            if time.monotonic() > end:
                raise MlgitopsError("the server is not ready in time")
            time.sleep(0.01)
        self._change(effect.slot, started=True)

    def _golden(self, effect: Golden | Confirm) -> None:
        answer = self.ask(effect.slot)
        if answer == GOLDEN:
            self._change(effect.slot, started=True, stopping=False, verified=True)
        elif answer:
            self._change(effect.slot, reason=f"it predicts {answer}, not {GOLDEN}")
            say("written")
            stop_process(self._path(effect.slot, "lock"))

    def _switch(self, effect: Switch) -> None:
        self.fetch_git()
        if self._read_desired().served == effect.served:
            say("read")
            self._activate(Active(slot=effect.slot, served=effect.served))

    def _return(self, effect: Return) -> None:
        self._activate(Active(slot=effect.slot, served=effect.served, reason=effect.reason))

    def _activate(self, active: Active) -> None:
        folder = self._folder / "active"
        number = len(list(folder.glob("[0-9]*")))
        replace_file(folder / f"{number:04}", msgspec.json.encode(active))

    def _confirm(self, effect: Confirm) -> None:
        self._golden(effect)
        self._change_active(confirmed=True)

    def _bake(self, _: Bake) -> None:
        self._change_active(baked=True)

    def _change_active(self, **changes: bool) -> None:
        file = max((self._folder / "active").glob("[0-9]*"))
        active = msgspec.json.decode(file.read_bytes(), type=Active)
        replace_file(file, msgspec.json.encode(structs.replace(active, **changes)))

    def _stop(self, effect: Stop) -> None:
        self._change(effect.slot, stopping=True, reason=None)
        say("written")
        stop_process(self._path(effect.slot, "lock"))
        say("stopped")
        self._path(effect.slot, "json").unlink(missing_ok=True)

    def _append(self, effect: Append) -> None:
        self._ledger.append(
            ENVIRONMENT,
            lambda entries: make_entry(
                effect, entries, environment=ENVIRONMENT, actor=None, at="2026-11-28T00:00:00Z"
            ),
        )

    def _open_issue(self, effect: OpenIssue) -> None:
        self._write_issue(effect.served.commit)

    def _close_issue(self, _: CloseIssue) -> None:
        self._write_issue("")

    def _write_issue(self, commit: str) -> None:
        replace_file(self._folder / "reported", UNSURE.encode())
        say("sent")
        replace_file(self._folder / "issue", commit.encode())
        say("answered")
        replace_file(self._folder / "reported", commit.encode())

    def _refuse(self, effect: Route | Widen) -> None:
        raise MlgitopsError(f"there is nothing to {type(effect).__name__} here")

    def _path(self, slot: Slot, kind: str) -> Path:
        return self._folder / f"{slot.value}.{kind}"

    def _read_slot(self, slot: Slot) -> SlotFile | None:
        file = self._path(slot, "json")
        return msgspec.json.decode(file.read_bytes(), type=SlotFile) if file.exists() else None

    def _write_slot(self, slot: Slot, file: SlotFile) -> None:
        replace_file(self._path(slot, "json"), msgspec.json.encode(file))

    def _change(self, slot: Slot, **changes: Any) -> None:  # noqa: ANN401 - fields of a SlotFile
        file = self._read_slot(slot)
        if file:
            self._write_slot(slot, structs.replace(file, **changes))


_PERFORM: dict[type, Callable[[SmallTarget, Any], None]] = {
    Fetch: SmallTarget._fetch,
    Start: SmallTarget._start,
    Wait: SmallTarget._wait,
    Golden: SmallTarget._golden,
    Switch: SmallTarget._switch,
    Return: SmallTarget._return,
    Route: SmallTarget._refuse,
    Confirm: SmallTarget._confirm,
    Bake: SmallTarget._bake,
    Widen: SmallTarget._refuse,
    Stop: SmallTarget._stop,
    Append: SmallTarget._append,
    OpenIssue: SmallTarget._open_issue,
    CloseIssue: SmallTarget._close_issue,
}


def say(step: str) -> None:
    """Print a step: whoever reads along may kill this program now."""
    print(step, flush=True)  # noqa: T201 - the program's output


def main() -> int:
    """Reconcile once, and print how it ended."""
    target = SmallTarget(Path(sys.argv[1]), Path(sys.argv[2]))
    console = Console(quiet=True)
    try:
        with suppress(MlgitopsError):  # as it was last seen, where origin does not answer
            target.fetch_git()
        outcome = reconcile(target, console)
    except MlgitopsError as error:
        console.error(error)
        return 2
    say(json.dumps({"ending": outcome.ending, "effects": len(outcome.effects)}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
