"""Target `local`: a router and two slots on this host, for each environment of a project."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.client import HTTPException
from typing import TYPE_CHECKING

from mlgitops.delivery.bundle import GOLDEN, make_bundle
from mlgitops.delivery.desired import PERSONAL, Request, read_requested
from mlgitops.delivery.golden import read_golden
from mlgitops.delivery.ledger import Ledger
from mlgitops.delivery.local.candidate import end_candidate, start_candidate
from mlgitops.delivery.local.driver import LocalDriver, Parts
from mlgitops.delivery.local.files import ActiveRecord, EnvironmentFiles
from mlgitops.delivery.local.front import Front
from mlgitops.delivery.local.haproxy import CANARY_HEADER, SLOT_HEADER
from mlgitops.delivery.local.logs import rotate_logs
from mlgitops.delivery.local.slots import Slots
from mlgitops.delivery.local.units import choose_launcher, install, uninstall
from mlgitops.delivery.loop.decision import read_served
from mlgitops.delivery.loop.effects import Append
from mlgitops.delivery.loop.observed import ALL, Slot
from mlgitops.delivery.loop.outcomes import describe_served, refuse_failed
from mlgitops.delivery.loop.reconcile import Ending, reconcile
from mlgitops.delivery.loop.recording import append_entry
from mlgitops.delivery.loop.turns import Turns
from mlgitops.delivery.processes import HOST
from mlgitops.delivery.protocol import fetch
from mlgitops.delivery.reports import Reporter
from mlgitops.delivery.shadow import Shadow, read_requests, replay
from mlgitops.delivery.target import Outcome, Status
from mlgitops.environments import locked
from mlgitops.errors import MlgitopsError
from mlgitops.git.program import run_git
from mlgitops.git.repository import Folder, Repository
from mlgitops.model.ledger import Event, find_live

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlgitops.console import Console
    from mlgitops.delivery.bundle import Bundle
    from mlgitops.delivery.local.files import SlotRecord
    from mlgitops.delivery.loop.observed import ServedModel
    from mlgitops.delivery.target import Deployed


class LocalTarget:
    """The target `local`: servers of a project on this host, a public port for each environment."""

    def __init__(self, project: Path, console: Console) -> None:
        self._project = project.resolve()
        self._console = console

    def deploy(
        self,
        environment: str,
        *,
        revision: str | None = None,
        force: bool = False,
        port: int | None = None,
        patient: bool = True,
    ) -> Outcome:
        """Make ``environment`` serve what its file wants: :class:`Target` says how.

        ``port`` replaces the public port that the file names.
        """
        files = EnvironmentFiles(self._project, environment)
        with self._open_driver(files, revision=revision, force=force, port=port) as driver:
            driver.refresh()
            self._front(files).check_port(driver.public_port)
            before = files.read(files.active, ActiveRecord)
            reconciled = reconcile(driver, self._console, patient=patient)
            rotate_logs(files.logs)
        refuse_failed(reconciled, str(files.logs))
        active = files.read(files.active, ActiveRecord)
        assert active is not None  # noqa: S101 - it serves
        previous = before.served.sha256 if before else None
        return Outcome(
            environment=environment,
            deployed=_describe(active, driver.public_port),
            previous=previous,
            changed=bool(reconciled.effects),
            baking=reconciled.ending is Ending.BAKING,
            logs=str(files.slot_log(active.slot)),
        )

    def read_status(self, environment: str) -> Status:
        """Return what ``environment`` serves, asked through its public port."""
        files = EnvironmentFiles(self._project, environment)
        active = files.read(files.active, ActiveRecord)
        if active is None:
            problem = f"nothing is deployed: `mlgitops deploy {environment}`"
            return Status(environment=environment, serving=False, problem=problem)
        front = self._front(files)
        trouble = self._find_trouble(files, active)
        advice = f"`mlgitops deploy {environment}` mends it: what git wants is started again"
        return Status(
            environment=environment,
            serving=trouble is None,
            deployed=_describe(active, front.read_port()),
            problem=f"{trouble}\n{advice}" if trouble else None,
            requests=str(files.requests) if files.requests.is_dir() else None,
        )

    def read_counters(self, environment: str) -> bytes | None:
        """Return what the server of ``environment`` says that it counted, as Prometheus reads it.

        Asked through the public port; during a canary, of the candidate. None: nothing is deployed
        here, it does not answer, or another server does, such as one that took the port.
        """
        files = EnvironmentFiles(self._project, environment)
        active = files.read(files.active, ActiveRecord)
        if active is None:
            return None
        port, headers = self._front(files).read_port(), {CANARY_HEADER: "yes"}
        try:
            status, content, answered = fetch(port, "/metrics", headers=headers)
        except (OSError, HTTPException):
            return None
        is_ours = answered.get(SLOT_HEADER) == active.slot
        return content if status == HTTPStatus.OK and is_ours else None

    def _find_trouble(self, files: EnvironmentFiles, active: ActiveRecord) -> str | None:
        """Say what keeps users from an answer; during a canary both slots have users."""
        front, slots = self._front(files), self._slots(files)
        asked = [active.slot] if active.share == ALL else [active.slot, active.slot.other]
        for slot in asked:
            problem: str | None = front.find_problem(slot) or slots.find_problem(slot)
            if problem:
                return problem
        if not front.is_answering(active.slot, active.served.model):
            return f"the public port does not answer; its log is {files.router_log}"
        return None

    def stop(self, environment: str) -> bool:
        """End every process of ``environment``; return whether there was one.

        The ledger says so afterwards. Where it cannot be read this raises, with all ended.
        """
        files = EnvironmentFiles(self._project, environment)
        if not files.folder.is_dir():
            return False
        with Turns(files.lock).hold():
            uninstall(files)
            end_candidate(files)
            running = self._front(files).stop()
            for slot in Slot:
                running = self._slots(files).end(slot) or running
            self._record_stop(files)
            return running

    def _record_stop(self, files: EnvironmentFiles) -> None:
        """Write down that nothing serves any more, once that is so.

        A run that was killed may have left a switch that is to be written down before.
        """
        if not files.active.is_file() and not files.stopped.is_file():
            return
        with Repository(self._project) as repository:
            prefix = Folder(repository, self._project).prefix
            ledger = _open_ledger(files, repository, prefix, self._console)
            if (active := _read_readable(files, files.active)) is not None:
                switch = Append(event=Event.SWITCHED, served=active.served, reason=active.reason)
                append_entry(ledger, files.environment, switch)
            if files.active.is_file():
                files.active.replace(files.stopped)
            stopped = _read_readable(files, files.stopped)
            served = stopped.served if stopped else _find_served(ledger, files.environment)
            if served is not None:
                stop = Append(event=Event.STOPPED, served=served)
                append_entry(ledger, files.environment, stop)
            files.stopped.unlink()

    def install(self, environment: str, port: int | None = None) -> str:
        """Have ``environment`` brought back by itself after a crash and a reboot; say how."""
        files = EnvironmentFiles(self._project, environment)
        with locked(files.lock):
            return install(self._project, files, port)

    def shadow(self, environment: str, file: Path, *, revision: str | None = None) -> Shadow:
        """Ask the requests in ``file`` of what serves, and of what git wants; nothing is switched.

        ``revision`` names another commit, merged or not. Raises :class:`CheckFailedError` when its
        server is not fit for service, and :class:`MlgitopsError` when nothing serves, or what
        serves changed meanwhile.
        """
        files = EnvironmentFiles(self._project, environment)
        requests = read_requests(file)
        before = self._require_serving(files)
        served, bundle = self._fetch_candidate(files, revision)
        tolerance = read_golden(bundle.folder / GOLDEN).tolerance
        candidate = start_candidate(self._project, files, bundle, served, self._console)
        with candidate as port, self._console.step(f"Ask {len(requests):,} requests of both"):
            result = replay(requests, served.model, tolerance, live=before.port, candidate=port)
        if self._require_serving(files) != before:
            raise MlgitopsError(
                "what serves changed while it was asked", where=environment, hint="run it again"
            )
        return Shadow(
            environment=environment,
            live=before.served.sha256,
            candidate=served.sha256,
            revision=served.revision,
            replay=result,
        )

    def _require_serving(self, files: EnvironmentFiles) -> SlotRecord:
        """Return the record of the server that most users reach, which must be in good health."""
        active = files.read(files.active, ActiveRecord)
        slots = self._slots(files)
        record, problem = None, "nothing is deployed"
        if active:
            slot = active.slot if active.share == ALL else active.slot.other  # not the canary
            record, problem = slots.read(slot), slots.find_problem(slot) or ""
        if record is None or problem:
            raise MlgitopsError(
                f"there is no server in service to compare with: {problem}",
                where=f"deploy/{files.environment}",
                hint=f"`mlgitops deploy {files.environment}`",
            )
        return record

    def _fetch_candidate(
        self, files: EnvironmentFiles, revision: str | None
    ) -> tuple[ServedModel, Bundle]:
        with Repository(self._project) as repository, locked(files.lock):
            prefix = Folder(repository, self._project).prefix
            request = Request(
                project=self._project,
                prefix=prefix,
                environment=files.environment,
                revision=revision,
                force=revision is not None,  # users never reach it
            )
            served = read_requested(request, repository, self._console)[0].served
            bundle = make_bundle(
                self._project,
                repository,
                prefix,
                served,
                bundles=files.bundles,
                console=self._console,
            )
        return served, bundle

    @contextmanager
    def _open_driver(
        self, files: EnvironmentFiles, *, revision: str | None, force: bool, port: int | None
    ) -> Iterator[LocalDriver]:
        with Repository(self._project) as repository:
            prefix = Folder(repository, self._project).prefix
            request = Request(
                project=self._project,
                prefix=prefix,
                environment=files.environment,
                revision=revision,
                force=force,
                port=port,
            )
            yield LocalDriver(
                request,
                Parts(
                    repository=repository,
                    files=files,
                    slots=self._slots(files),
                    front=self._front(files),
                    ledger=_open_ledger(files, repository, prefix, self._console),
                    reporter=Reporter(
                        environment=files.environment,
                        folder=Folder(repository, self._project),
                        environ=os.environ,
                        console=self._console,
                    ),
                    console=self._console,
                ),
            )

    def _slots(self, files: EnvironmentFiles) -> Slots:
        return Slots(self._project, files, choose_launcher(files), self._console)

    def _front(self, files: EnvironmentFiles) -> Front:
        return Front(files, choose_launcher(files))


def _open_ledger(
    files: EnvironmentFiles, repository: Repository, prefix: str, console: Console
) -> Ledger:
    """Return the ledger of an environment; a person's own is kept beside its servers."""
    if files.environment != PERSONAL:
        return Ledger(repository.root, prefix, console)
    if not files.personal_ledger.is_dir():
        files.folder.mkdir(parents=True, exist_ok=True)
        run_git(files.folder, "init", "--quiet", files.personal_ledger.name)
    return Ledger(files.personal_ledger, prefix, console)


def _read_readable(files: EnvironmentFiles, path: Path) -> ActiveRecord | None:
    """Read a record; one that was damaged says nothing, and keeps nobody from stopping."""
    with suppress(MlgitopsError):
        return files.read(path, ActiveRecord)
    return None


def _find_served(ledger: Ledger, environment: str) -> ServedModel | None:
    """Return what the ledger says is in service: what was stopped, where no record tells."""
    live = find_live(ledger.read(environment))
    return read_served(live) if live else None


def _describe(active: ActiveRecord, port: int) -> Deployed:
    return describe_served(active.served, since=active.since, url=f"http://{HOST}:{port}")
