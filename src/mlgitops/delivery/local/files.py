"""What an environment of this host has on disk, below `.mlgitops/deploy/<environment>/`.

Each file is one record, replaced in one step. Those that are read back are strict: a record that
we would not write is refused, and says how to begin anew.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from mlgitops.delivery.loop.observed import ALL, Percent, ServedModel, Slot
from mlgitops.errors import MlgitopsError
from mlgitops.model.fields import Count, Name, Sha, Struct, Text
from mlgitops.parsing import decode_text
from mlgitops.writing import replace_file

if TYPE_CHECKING:
    from collections.abc import Mapping

_Record = TypeVar("_Record", bound=Struct)

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_LIMIT = 64 * 1024  # bytes of one record


class SlotRecord(Struct, frozen=True, kw_only=True):
    """The server of a slot: what it serves, where it listens, and what became of it."""

    served: ServedModel
    bundle: Name  # its folder below bundles/
    port: Count
    boot: Name  # of this machine, in which it was started
    started: bool = False  # False: it was about to be
    restarts: Count = 0  # starts in a row that did not come to a verified server
    verified: bool = False  # gave the golden prediction since this start
    failure: str | None = None  # why it counts as dead, whether or not it still runs


class ActiveRecord(Struct, frozen=True, kw_only=True):
    """Which slot the users are sent to, since when, and how far that was checked."""

    slot: Slot
    served: ServedModel
    previous: str | None = None  # sha256 of the model that was active before
    since: Text  # UTC, ISO 8601: for people, decides nothing
    share: Percent = ALL  # of the requests
    bake: Count = 0  # seconds
    began: float = 0  # seconds of the clock that runs since the machine's start
    boot: Name
    router: str | None = None  # which run of it counts what fails since the bake began
    confirmed: bool = False
    baked: bool = False
    reason: str | None = None  # why a return made it active


class RouterRecord(Struct, frozen=True, kw_only=True):
    """The ports that the router was started with."""

    public: Count
    a: Count
    b: Count


class ReportRecord(Struct, frozen=True, kw_only=True):
    """The failed desired state that people were told of."""

    commit: Sha
    issue: Count | None = None  # its number; None where there was no token to open it with
    sent: bool = False  # False: they were about to be told


class BundleRecord(Struct, frozen=True, kw_only=True):
    """Which folder holds a model and its code."""

    sha256: Name
    revision: Sha
    folder: Name
    published: bool  # False: only whoever forces it may have it


class BundleIndex(Struct, frozen=True, kw_only=True):
    """The bundles on disk that were verified."""

    bundles: tuple[BundleRecord, ...] = ()


class InstallRecord(Struct, frozen=True, kw_only=True):
    """That the environment is brought back by itself, and by which units."""

    units: Name | None = None  # what their names begin with; None: a person's crontab does it


class EnvironmentFiles:
    """The files of one environment."""

    def __init__(self, project: Path, environment: str) -> None:
        check_environment_name(environment)
        self.environment = environment
        self.folder = project.absolute() / ".mlgitops" / "deploy" / environment
        self.bundles = self.folder / "bundles"
        self.logs = self.folder / "logs"
        self.requests = self.folder / "requests"  # that were answered, and with what
        self.lock = self.folder / "lock"
        self.active = self.folder / "active.json"
        self.stopped = self.folder / "stopped.json"  # was active, until the ledger says so
        self.router = self.folder / "router.json"
        self.report = self.folder / "report.json"
        self.index = self.folder / "bundles.json"
        self.router_lock = self.folder / "router.lock"
        self.install = self.folder / "install.json"
        self.runner = self.folder / "run.sh"
        self.variables = self.folder / "variables"  # of the units, such as a token
        self.personal_ledger = self.folder / "ledger"

    def slot_record(self, slot: Slot) -> Path:
        """Return the record of the server in ``slot``."""
        return self.folder / f"slot-{slot}.json"

    def slot_lock(self, slot: Slot) -> Path:
        """Return the lock that the server in ``slot`` holds while it lives."""
        return self.folder / f"slot-{slot}.lock"

    def slot_program(self, slot: Slot) -> Path:
        """Return the script that starts the server in ``slot``."""
        return self.folder / f"slot-{slot}.sh"

    def slot_log(self, slot: Slot) -> Path:
        """Return the log of the server in ``slot``."""
        return self.logs / f"slot-{slot}.log"

    @property
    def router_log(self) -> Path:
        """Return the log of the router: one line for each answer."""
        return self.logs / "router.log"

    @property
    def router_program(self) -> Path:
        """Return the script that starts the router."""
        return self.folder / "router.sh"

    def read(self, path: Path, kind: type[_Record]) -> _Record | None:
        """Return the record at ``path``, None where there is none."""
        if not path.is_file():
            return None
        try:
            text = decode_text(path.read_bytes(), "it", limit=_LIMIT)
            return msgspec.json.decode(text, type=kind)
        except (msgspec.DecodeError, MlgitopsError) as error:
            raise MlgitopsError(
                f"this is not what mlgitops wrote: {error}",
                where=str(path),
                hint=f"`mlgitops deploy {self.environment} --stop`, then deploy again",
            ) from error

    def write(self, path: Path, record: Struct) -> None:
        """Replace the record at ``path`` in one step, on the disk before it counts."""
        data = msgspec.json.format(msgspec.json.encode(record), indent=2)
        replace_file(path, data + b"\n", durable=True)


def check_environment_name(name: str) -> None:
    """Raise :class:`MlgitopsError` unless ``name`` can be a folder below deploy/."""
    if not _NAME.fullmatch(name):
        raise MlgitopsError(
            f"{name[:80]!r} is not the name of an environment",
            hint="use the name of a folder below deploy/, such as `staging`",
        )


def read_boot() -> str:
    """Return what names this run of the machine: processes of another one have ended."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"


def read_uptime() -> float:
    """Return seconds since the machine started, also those asleep; no clock setting changes it."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


def list_ports(record: RouterRecord) -> Mapping[Slot, int]:
    """Return the port of each slot's server."""
    return {Slot.A: record.a, Slot.B: record.b}
