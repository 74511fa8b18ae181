"""What an environment serves now, and everything it ever served. Reads and writes disk."""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mlgitops.delivery.processes import HOST
from mlgitops.delivery.target import Deployed
from mlgitops.errors import MlgitopsError

if TYPE_CHECKING:
    from pathlib import Path


_NAME = re.compile(r"^[a-z0-9][a-z0-9-]{0,62}$")


@dataclass(frozen=True, kw_only=True)
class Current:
    """The server that answers the public port; the router reads ``port`` of it."""

    deployed: Deployed
    port: int  # where the server itself listens
    public_port: int
    server: str  # name of its lock in servers/


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of the record: a model came into service."""

    seq: int
    environment: str
    model: str
    sha256: str
    commit: str
    previous: str | None  # sha256 of the model before
    at: str  # UTC, ISO 8601; the order is that of ``seq``


def check_environment_name(name: str) -> None:
    """Raise :class:`MlgitopsError` unless ``name`` can be a folder below deploy/."""
    if not _NAME.match(name):
        raise MlgitopsError(
            f"{name[:80]!r} is not the name of an environment",
            hint="use the name of a folder below deploy/, such as `staging`",
        )


class EnvironmentFiles:
    """The files of one environment, below `.mlgitops/deploy/<environment>/`."""

    def __init__(self, project: Path, environment: str) -> None:
        check_environment_name(environment)
        self.environment = environment
        self.folder = project.absolute() / ".mlgitops" / "deploy" / environment
        self.bundles = self.folder / "bundles"
        self.servers = self.folder / "servers"
        self.logs = self.folder / "logs"
        self.lock = self.folder / "lock"
        self.current = self.folder / "current.json"
        self.record = self.folder / "record.jsonl"

    def server_lock(self, name: str) -> Path:
        """Return the lock that the server ``name`` holds while it lives."""
        return self.servers / f"{name}.lock"

    def router_lock(self, port: int) -> Path:
        """Return the lock that the router of a public port holds while it lives."""
        return self.servers / f"router-{port}.lock"

    def read_current(self) -> Current | None:
        """Return what the router forwards to, or None when nothing is deployed."""
        if not self.current.is_file():
            return None
        try:
            return _parse_current(json.loads(self.current.read_bytes()))
        except (ValueError, TypeError) as error:
            raise MlgitopsError(
                "the state of this environment cannot be read",
                where=str(self.current),
                hint=f"`mlgitops deploy {self.environment} --stop`, then deploy again",
            ) from error

    def write_current(self, current: Current | None) -> None:
        """Replace the state in one step: a reader sees the old one or the new one."""
        if current is None:
            self.current.unlink(missing_ok=True)
            return
        temporary = self.current.with_suffix(".new")
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(_flatten_current(current), file, indent=2, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.current)

    def read_record(self) -> list[Entry]:
        """Return the entries in order; a last line cut by a crash is left out."""
        if not self.record.is_file():
            return []
        lines = self.record.read_text(encoding="utf-8").split("\n")
        whole = lines[:-1]  # every whole line ends in a newline
        return [Entry(**json.loads(line)) for line in whole if line]

    def complete_record(self) -> None:
        """Append an entry for what is in service, unless the last one says so already."""
        current, entries = self.read_current(), self.read_record()
        last = entries[-1] if entries else None
        if current is None:
            return
        deployed = current.deployed
        if last and (last.sha256, last.at) == (deployed.sha256, deployed.since):
            return
        entry = Entry(
            seq=last.seq + 1 if last else 1,
            environment=self.environment,
            model=deployed.model,
            sha256=deployed.sha256,
            commit=deployed.commit,
            previous=last.sha256 if last else None,
            at=deployed.since,
        )
        self._append(json.dumps(asdict(entry), sort_keys=True))

    def _append(self, line: str) -> None:
        with self.record.open("ab+") as file:
            _drop_cut_line(file.fileno())
            file.write(f"{line}\n".encode())
            file.flush()
            os.fsync(file.fileno())


def write_url(public_port: int) -> str:
    """Return the address at which an environment answers."""
    return f"http://{HOST}:{public_port}"


def _flatten_current(current: Current) -> dict[str, Any]:
    """Return what the file says: all in one level, without the address, which is its port's."""
    content = {**asdict(current.deployed), **asdict(current)}
    del content["deployed"], content["url"]
    return content


def _parse_current(content: Any) -> Current:  # noqa: ANN401 - raw JSON
    """Read the file's content; raises TypeError when it has not the fields of one."""
    if not isinstance(content, dict):
        raise TypeError(content)
    own = {name: content.pop(name, None) for name in ("port", "public_port", "server")}
    if None in own.values():
        raise TypeError(own)
    url = write_url(own["public_port"])
    return Current(deployed=Deployed(**content, url=url), **own)


def _drop_cut_line(descriptor: int) -> None:
    """Cut the file after its last newline: an append that was killed left the rest."""
    size = os.fstat(descriptor).st_size
    content = os.pread(descriptor, size, 0)
    os.ftruncate(descriptor, content.rfind(b"\n") + 1)


def utc_now() -> str:
    """Return the time as the record writes it, such as 2030-01-31T12:00:00.000000Z."""
    seconds = time.time()
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1e6):06d}Z"
