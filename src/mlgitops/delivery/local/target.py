"""Target `local`: the order of the steps, on this host.

Resolve and verify the bundle, start it beside the running server, check it, switch with
one rename, confirm through the public port, stop the old one. Killed at any point, a
complete and approved model is in service, and the next run goes on from there.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mlgitops.delivery import router
from mlgitops.delivery.bundle import (
    GOLDEN,
    MODEL,
    SERVING_LOCK,
    Bundle,
    find_package,
    make_bundle,
    prune_bundles,
)
from mlgitops.delivery.golden import check_golden, read_golden
from mlgitops.delivery.processes import (
    HOST,
    find_free_port,
    find_listener,
    is_port_free,
    is_running,
    start_detached,
    stop_process,
    wait_until_drained,
)
from mlgitops.delivery.protocol import (
    CheckFailedError,
    is_ready,
    read_tail,
    wait_until_ready,
)
from mlgitops.delivery.state import Current, EnvironmentFiles, utc_now, write_url
from mlgitops.delivery.target import Deployed, Outcome, Status
from mlgitops.environments import clean_environment, locked, make_environment
from mlgitops.errors import MlgitopsError
from mlgitops.git.repository import Repository
from mlgitops.git.wanted import read_wanted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlgitops.console import Console

READY_SECONDS = 90.0
_ROUTER_SECONDS = 60.0
_DRAIN_SECONDS = 10.0  # for requests on their way; an idle client may stay connected for hours


class LocalTarget:
    """The target `local`: servers of a project on this host, a public port for each environment."""

    def __init__(self, project: Path, console: Console) -> None:
        self._project = project.resolve()
        self._console = console

    def deploy(
        self, environment: str, *, revision: str = "HEAD", port: int | None = None
    ) -> Outcome:
        """Make ``environment`` serve what its file wants at ``revision``: :class:`Target` says how.

        ``port`` replaces the public port that the file names.
        """
        project, console = self._project, self._console
        state = EnvironmentFiles(project, environment)
        with Repository(project) as repository:
            prefix = _find_prefix(project, repository)
            # Read twice: before anything is written, to refuse early, and again once other runs
            # have ended, because the revision may name a newer commit by then.
            read_wanted(repository, prefix, environment, repository.resolve(revision))
            with locked(state.lock):
                wanted = read_wanted(repository, prefix, environment, repository.resolve(revision))
                state.complete_record()
                public_port = port or wanted.port
                _check_port(state, public_port)
                bundle = make_bundle(
                    project, repository, prefix, wanted, bundles=state.bundles, console=console
                )
                return _reconcile(project, state, bundle, public_port, console)

    def read_status(self, environment: str) -> Status:
        """Return what ``environment`` serves, asked through its public port."""
        current = EnvironmentFiles(self._project, environment).read_current()
        if current is None:
            return Status(environment=environment, serving=False)
        serving = _is_serving(EnvironmentFiles(self._project, environment), current)
        return Status(environment=environment, serving=serving, deployed=current.deployed)

    def stop(self, environment: str) -> bool:
        """End every process of ``environment``; return whether there was one."""
        state = EnvironmentFiles(self._project, environment)
        if not state.folder.is_dir():
            return False
        with locked(state.lock):
            running = [lock for lock in sorted(state.servers.glob("*.lock")) if is_running(lock)]
            state.write_current(None)
            for lock in running:
                stop_process(lock)
            return bool(running)


def _reconcile(
    project: Path, state: EnvironmentFiles, bundle: Bundle, public_port: int, console: Console
) -> Outcome:
    """Switch to ``bundle`` unless it is in service, in good health, at that port."""
    current = state.read_current()
    _stop_others(state, current)
    same = current and (current.deployed.bundle, current.public_port) == (
        bundle.name,
        public_port,
    )
    if current and same and _is_serving(state, current):
        return _outcome(state, current, previous=current.deployed.sha256, changed=False)
    candidate = _start_candidate(project, state, bundle, public_port, console)
    with _stopped_on_failure(state, candidate):
        golden = read_golden(bundle.folder / GOLDEN)
        with console.step("Golden prediction"):
            check_golden(candidate.port, candidate.deployed.model, golden)
        with _reverted_on_failure(state, current, candidate):
            with console.step(f"Switch {candidate.deployed.url} over"):
                _switch(state, candidate)
            if current:
                _drain(current, console)
                _check_serving(state, candidate)
    state.complete_record()
    _stop_others(state, candidate)
    prune_bundles(state.bundles, bundle)
    previous = current.deployed.sha256 if current else None
    return _outcome(state, candidate, previous=previous, changed=True)


def _start_candidate(
    project: Path, state: EnvironmentFiles, bundle: Bundle, public_port: int, console: Console
) -> Current:
    """Start a server of ``bundle`` on a port of its own and wait until it is ready."""
    lock = bundle.folder / SERVING_LOCK
    environment = make_environment(project, "serving", lock, console)
    port = find_free_port()
    server = f"{bundle.name}-{port}"
    deployed = Deployed(
        bundle=bundle.name,
        model=bundle.model,
        sha256=bundle.sha256,
        commit=bundle.commit,
        since=utc_now(),
        url=write_url(public_port),
    )
    candidate = Current(deployed=deployed, port=port, public_port=public_port, server=server)
    command: list[str | Path] = [
        environment / "bin" / "python",
        "-m",
        f"{find_package(bundle)}.serve",
    ]
    command += ["--model", MODEL, "--port", str(port), "--name", bundle.model]
    variables = clean_environment() | {"PYTHONPATH": str(bundle.folder / "src")}
    with console.step(f"Start it beside, on port {port}"), _stopped_on_failure(state, candidate):
        start_detached(
            command,
            lock=state.server_lock(server),
            log=_log(state, candidate),
            cwd=bundle.folder,
            env=variables,
        )
        wait_until_ready(
            port,
            bundle.model,
            state.server_lock(server),
            _log(state, candidate),
            seconds=READY_SECONDS,
        )
    return candidate


def _switch(state: EnvironmentFiles, candidate: Current) -> None:
    """Send new connections to ``candidate``, and ask it through the public port."""
    state.write_current(candidate)
    _ensure_router(state, candidate.public_port)
    golden = read_golden(state.bundles / candidate.deployed.bundle / GOLDEN)
    check_golden(candidate.public_port, candidate.deployed.model, golden)


@contextmanager
def _reverted_on_failure(
    state: EnvironmentFiles, current: Current | None, candidate: Current
) -> Iterator[None]:
    """Send new connections to ``current`` again when the block fails; it must still run."""
    try:
        yield
    except BaseException:
        state.write_current(current)
        if current is None or current.public_port != candidate.public_port:
            stop_process(state.router_lock(candidate.public_port))
        raise


def _is_serving(state: EnvironmentFiles, current: Current) -> bool:
    """Tell whether ``current`` lives and answers through the public port.

    Its port alone would not say so: another server may have got it since ``current`` ended.
    """
    alive = is_running(state.server_lock(current.server))
    return alive and is_ready(current.public_port, current.deployed.model)


def _check_serving(state: EnvironmentFiles, candidate: Current) -> None:
    """Refuse a server that ended, or fell silent, while the old one finished."""
    if not _is_serving(state, candidate):
        raise CheckFailedError("the server stopped answering while the old one finished")


def _drain(previous: Current, console: Console) -> None:
    """Let ``previous`` answer who is connected to it; the router sends nobody else there.

    The golden prediction went through the router after the switch, and the router connects in
    the same step in which it reads the state. So whoever it sent to ``previous`` is connected.
    """
    with console.step("Let the old server finish"):
        wait_until_drained(previous.port, _DRAIN_SECONDS)


def _ensure_router(state: EnvironmentFiles, port: int) -> None:
    lock = state.router_lock(port)
    if is_running(lock):
        return
    log = state.logs / f"router-{port}.log"
    command: list[str | Path] = [
        sys.executable,
        "-I",
        Path(router.__file__),
        str(port),
        state.current,
    ]
    start_detached(command, lock=lock, log=log, cwd=state.folder, env=clean_environment())
    current = state.read_current()
    model = current.deployed.model if current else ""
    try:
        wait_until_ready(port, model, lock, log, seconds=_ROUTER_SECONDS)
    except CheckFailedError as error:  # not the model's fault: we could not try it
        raise MlgitopsError(error.what, where=error.where) from error


def _check_port(state: EnvironmentFiles, port: int) -> None:
    """Refuse a public port that something else holds, before anything is started."""
    if is_running(state.router_lock(port)) or is_port_free(port):
        return
    holder = find_listener(port)
    raise MlgitopsError(
        f"port {port} is taken" + (f" by {holder}" if holder else ""),
        where=f"{HOST}:{port}",
        hint="stop what listens there, or choose another one with --port",
    )


def _stop_others(state: EnvironmentFiles, current: Current | None) -> None:
    """End servers and routers that are not ``current``: the old ones, or a killed run's."""
    keep = set()
    if current:
        keep = {state.server_lock(current.server), state.router_lock(current.public_port)}
    for lock in sorted(state.servers.glob("*.lock")):
        if lock not in keep:
            stop_process(lock)


@contextmanager
def _stopped_on_failure(state: EnvironmentFiles, candidate: Current) -> Iterator[None]:
    """End ``candidate`` when the block fails, and say that nothing changed."""
    try:
        yield
    except BaseException as error:
        stop_process(state.server_lock(candidate.server))
        if isinstance(error, CheckFailedError) and error.where is None:
            error.where = str(_log(state, candidate))
            error.what += read_tail(_log(state, candidate), lines=5)
        raise


def _log(state: EnvironmentFiles, current: Current) -> Path:
    return state.logs / f"{current.server}.log"


def _outcome(
    state: EnvironmentFiles, current: Current, *, previous: str | None, changed: bool
) -> Outcome:
    return Outcome(
        environment=state.environment,
        deployed=current.deployed,
        previous=previous,
        changed=changed,
        logs=str(_log(state, current)),
    )


def _find_prefix(project: Path, repository: Repository) -> str:
    folder = project.relative_to(repository.root).as_posix()
    return "" if folder == "." else f"{folder}/"
