"""What the loop (`reconcile`) sees of an environment on this host, and does to it."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec import structs

from mlgitops.delivery.bundle import make_bundle, prune_bundles
from mlgitops.delivery.desired import read_requested, refuse_unmerged
from mlgitops.delivery.local.files import (
    ActiveRecord,
    BundleIndex,
    BundleRecord,
    ReportRecord,
    read_boot,
    read_uptime,
)
from mlgitops.delivery.loop.decision import find_effective
from mlgitops.delivery.loop.effects import (
    Append,
    Bake,
    CloseIssue,
    Confirm,
    Effect,
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
from mlgitops.delivery.loop.observed import ALL, UNSURE, Active, Observed, ServerState, Slot
from mlgitops.delivery.loop.recording import append_entry, utc_now
from mlgitops.delivery.loop.turns import Turns
from mlgitops.delivery.proposals.promotion import refuse_unpublished
from mlgitops.delivery.protocol import CheckFailedError, read_tail
from mlgitops.errors import MlgitopsError
from mlgitops.git.repository import Folder
from mlgitops.model.ledger import Event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlgitops.console import Console
    from mlgitops.delivery.bundle import Bundle
    from mlgitops.delivery.desired import Request
    from mlgitops.delivery.ledger import Ledger
    from mlgitops.delivery.local.files import EnvironmentFiles, SlotRecord
    from mlgitops.delivery.local.front import Front
    from mlgitops.delivery.local.slots import Slots
    from mlgitops.delivery.loop.observed import Desired, ServedModel, Server
    from mlgitops.delivery.reports import Reporter
    from mlgitops.git.repository import Repository
    from mlgitops.git.wanted import Wanted
    from mlgitops.model.ledger import LedgerEntry

_BAKE_SECONDS = 0.5  # that pass without the lock
_REFRESH_SECONDS = 30.0  # during a bake: how old what is known of origin may be


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a driver works with, each for one environment."""

    repository: Repository
    files: EnvironmentFiles
    slots: Slots
    front: Front
    ledger: Ledger
    reporter: Reporter
    console: Console


class LocalDriver:
    """One environment on this host, for as long as one command runs."""

    def __init__(self, request: Request, parts: Parts) -> None:
        self._request = request
        self._parts = parts
        self._files = parts.files
        self._turns = Turns(parts.files.lock)
        self._asked = float("-inf")  # when git was read, in seconds since the machine's start
        self._desired: Desired
        self._wanted: Wanted
        self._ledger: tuple[LedgerEntry, ...] = ()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other runs for this environment out while the block runs."""
        with self._turns.hold() as is_undisturbed:
            if not is_undisturbed:
                self._asked = float("-inf")
            yield

    def observe(self) -> tuple[Desired, Observed]:
        """Read what git wants, and how slots, router and ledger are."""
        if read_uptime() - self._asked > _REFRESH_SECONDS:
            self.refresh()
        active = self._observe_active()
        stopped = self._files.read(self._files.stopped, ActiveRecord)
        servers = {slot: self._parts.slots.observe(slot) for slot in Slot}
        servers = self._count_failures(active, servers)
        return self._desired, Observed(
            a=servers[Slot.A],
            b=servers[Slot.B],
            active=active,
            stopped=stopped.served if stopped else None,
            routed=self._parts.front.is_routed(active, self._read_slots(), self.public_port),
            bundles=self._list_bundles(),
            ledger=self._ledger,
            reported=self._read_report(),
        )

    @property
    def public_port(self) -> int:
        """Return where the users ask."""
        return self._request.port or self._wanted.port

    def refresh(self) -> None:
        """Read from origin what is wanted, and what was brought into service."""
        request, parts = self._request, self._parts
        self._desired, self._wanted = read_requested(request, parts.repository, parts.console)
        self._ledger = self._parts.ledger.read(request.environment)
        self._asked = read_uptime()

    def perform(self, effect: Effect) -> None:
        """Do one thing; what fails because of the model becomes the state of its server."""
        match effect:
            case Start() | Wait() | Golden() | Confirm() | Stop():
                self._serve(effect)
            case Switch() | Return() | Route() | Widen():
                self._send(effect)
            case Fetch():
                self._fetch(effect.served)
            case Bake():
                time.sleep(_BAKE_SECONDS)
            case Append():
                self._append(effect)
            case OpenIssue() | CloseIssue():
                self._report(effect)

    def _serve(self, effect: Start | Wait | Golden | Confirm | Stop) -> None:
        """Do what concerns the server of one slot."""
        slots = self._parts.slots
        match effect:
            case Start():
                bundle = self._make_bundle(effect.served)
                slots.start(effect.slot, bundle, effect.served, effect.restarts)
            case Wait():
                slots.wait(effect.slot)
            case Golden():
                self._check(effect.slot)
            case Confirm():
                self._confirm(effect.slot)
            case Stop():
                slots.stop(effect.slot)
                self._prune()

    def _send(self, effect: Switch | Return | Route | Widen) -> None:
        """Do what concerns who is sent where."""
        match effect:
            case Switch():
                self._switch(effect)
            case Return():
                title = f"Send port {self.public_port} back to {effect.served.label}"
                with self._parts.console.step(title):
                    self._activate(effect.slot, effect.served, reason=effect.reason, baked=True)
            case Route():
                self._route()
            case Widen():
                self._change_active(share=ALL)
                self._route()

    def _fetch(self, served: ServedModel) -> None:
        request, parts = self._request, self._parts
        if request.is_gated and not served.forced:
            refuse_unmerged(parts.repository, served)
            folder = Folder(parts.repository, request.project)
            refuse_unpublished(folder, served.revision, served.sha256[:12], parts.console)
        elif request.is_gated and served.request != self._desired.served.request:
            raise MlgitopsError(
                f"the ledger says that {served.sha256[:12]} was forced, and nobody did so here",
                where=f"revision {served.revision[:12]}",
                hint="see who did: `git log -p origin/deployments`; to have it here as well, run "
                "with --force and --revision",
            )
        bundle = self._make_bundle(served)
        record = BundleRecord(
            sha256=served.sha256,
            revision=served.revision,
            folder=bundle.name,
            published=not served.forced,
        )
        kept = [other for other in self._read_index() if _key(other) != _key(record)]
        self._files.write(self._files.index, BundleIndex(bundles=(*kept, record)))

    def _switch(self, effect: Switch) -> None:
        """Make a slot the active one, unless git wants something else by now."""
        self.refresh()
        if find_effective(self._desired, self._ledger).served.request == effect.served.request:
            served, share, bake = effect.served, effect.share, effect.bake
            title = f"Switch port {self.public_port} over to {served.label}"
            with self._parts.console.step(title):
                self._activate(effect.slot, served, share=share, bake=bake)

    def _activate(
        self,
        slot: Slot,
        served: ServedModel,
        *,
        share: int = ALL,
        bake: int = 0,
        baked: bool = False,
        reason: str | None = None,
    ) -> None:
        before = self._files.read(self._files.active, ActiveRecord)
        record = ActiveRecord(
            slot=slot,
            served=served,
            previous=before.served.sha256 if before else None,
            since=utc_now(),
            share=share,
            bake=bake,
            began=read_uptime(),
            boot=read_boot(),
            baked=baked,
            reason=reason,
        )
        self._files.write(self._files.active, record)
        self._route()

    def _check(self, slot: Slot) -> None:
        """Ask for the golden prediction, and count failures of users' requests from then on.

        A server that is started again where users are sent, as after a reboot, was marked down
        while it loaded its model. The router forgets that before the server counts as verified.
        """
        if not self._parts.slots.check(slot):
            return
        active = self._files.read(self._files.active, ActiveRecord)
        if active and active.slot is slot:
            self._route()
        self._parts.slots.mark_verified(slot)

    def _confirm(self, slot: Slot) -> None:
        record = self._parts.slots.read(slot)
        assert record is not None  # noqa: S101 - decided on a server that is there
        try:
            self._parts.front.confirm(slot, record)
        except CheckFailedError as error:
            self._parts.slots.fail(slot, error.what)
            return
        self._change_active(confirmed=True)

    def _append(self, effect: Append) -> None:
        environment = self._request.environment
        if effect.event is Event.CONDEMNED:
            self._show_log(effect.served)
        try:
            append_entry(self._parts.ledger, environment, effect)
        finally:  # an entry that origin did not take waits here, and counts
            self._ledger = self._parts.ledger.read(environment)
        if effect.event is Event.STOPPED:
            self._files.stopped.unlink()

    def _show_log(self, served: ServedModel) -> None:
        """Show how the log of a server that failed ends: the ledger keeps one line of why."""
        for slot, record in self._read_slots().items():
            log = self._files.slot_log(slot)
            if record and record.served.request == served.request and (tail := read_tail(log)):
                self._parts.console.say(f"{served.label} failed; {log} ends:{tail}")

    def _report(self, effect: OpenIssue | CloseIssue) -> None:
        """Tell people; that it begins is written down before, what became of it after."""
        reporter, files = self._parts.reporter, self._files
        before = files.read(files.report, ReportRecord)
        commit = effect.served.commit if isinstance(effect, OpenIssue) else None
        if before and before.commit != commit:
            reporter.close(before.commit)
            files.report.unlink()
        if isinstance(effect, OpenIssue):
            report = ReportRecord(commit=effect.served.commit)
            files.write(files.report, report)
            number = reporter.open(effect.served, effect.reason)
            files.write(files.report, structs.replace(report, issue=number, sent=True))

    def _read_report(self) -> str | None:
        report = self._files.read(self._files.report, ReportRecord)
        if report is None:
            return None
        return report.commit if report.sent else UNSURE

    def _observe_active(self) -> Active | None:
        record = self._files.read(self._files.active, ActiveRecord)
        if record is None:
            return None
        if not record.baked:
            record = self._observe_bake(record)
        return Active(
            slot=record.slot,
            served=record.served,
            share=record.share,
            confirmed=record.confirmed,
            baked=record.baked,
            reason=record.reason,
        )

    def _observe_bake(self, record: ActiveRecord) -> ActiveRecord:
        """Return the record, once the bake is over as one that served well. Doubt is no proof.

        The bake begins anew with the machine and with the router, whose counts do. It stays open
        while what the router counted is not known, and where the server is not in good health:
        whoever looks first after its time cannot say when it failed.
        """
        if not record.bake:
            return self._change_active(baked=True)
        slot, front = record.slot, self._parts.front
        downs, run = front.count_downs(slot), front.read_run()
        if downs is None or run is None:
            return record
        if (record.boot, record.router) != (read_boot(), run):
            return self._change_active(boot=read_boot(), router=run, began=read_uptime())
        is_over = read_uptime() - record.began >= record.bake
        is_well = not downs and _is_well(self._parts.slots.observe(slot))
        return self._change_active(baked=True) if is_over and is_well else record

    def _count_failures(
        self, active: Active | None, servers: dict[Slot, Server | None]
    ) -> dict[Slot, Server | None]:
        """Count a server as dead to which users' requests failed while it bakes.

        One that has yet to give the golden prediction is not blamed: it was started again in the
        place of one that nobody can blame, and users ask before it is ready.
        """
        if active is None or active.is_proven or active.reason is not None:
            return servers
        slot, slots = active.slot, self._parts.slots
        server = servers[slot]
        if server is None or not server.verified or not self._parts.front.count_downs(slot):
            return servers
        if server.reason is None:
            slots.fail(slot, "it failed users' requests, or its health checks, during its bake")
        return {**servers, slot: slots.observe(slot)}

    def _change_active(self, **fields: object) -> ActiveRecord:
        record = self._files.read(self._files.active, ActiveRecord)
        assert record is not None  # noqa: S101 - nothing else asks for a change
        changed = structs.replace(record, **fields)
        self._files.write(self._files.active, changed)
        return changed

    def _route(self) -> None:
        """Have the router send where it shall; a bake begins anew, for what failed is forgotten."""
        active = self._observe_active()
        if active and not active.baked:
            self._change_active(router=None)
        self._parts.front.route(active, self._read_slots(), self.public_port)

    def _read_slots(self) -> dict[Slot, SlotRecord | None]:
        return {slot: self._parts.slots.read(slot) for slot in Slot}

    def _make_bundle(self, served: ServedModel) -> Bundle:
        return make_bundle(
            self._request.project,
            self._parts.repository,
            self._request.prefix,
            served,
            bundles=self._files.bundles,
            console=self._parts.console,
        )

    def _read_index(self) -> tuple[BundleRecord, ...]:
        index = self._files.read(self._files.index, BundleIndex)
        bundles = index.bundles if index else ()
        return tuple(record for record in bundles if (self._files.bundles / record.folder).is_dir())

    def _list_bundles(self) -> frozenset[tuple[str, str]]:
        """Return those that may be served: unpublished ones only to whoever forces them."""
        forced = find_effective(self._desired, self._ledger).served.forced
        return frozenset(
            _key(record) for record in self._read_index() if record.published or forced
        )

    def _prune(self) -> None:
        records = self._read_slots().values()
        prune_bundles(self._files.bundles, [record.bundle for record in records if record])


def _is_well(server: Server | None) -> bool:
    return server is not None and server.state is ServerState.READY and server.verified


def _key(record: BundleRecord) -> tuple[str, str]:
    return record.sha256, record.revision
