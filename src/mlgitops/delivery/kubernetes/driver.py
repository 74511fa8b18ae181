"""What the loop (`reconcile`) sees of an environment on Kubernetes, and does to it.

One Deployment is rolled over, server by server: a pod is in service only after it gave the golden
prediction, and the old ones go only as new ones serve. So the switch of the loop is the moment in
which a rollout is complete and written down. An undo applies what served before, which still has
its pods. Where nothing is served yet, a failed one stays, and is replaced by the next.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar
from urllib.parse import quote

import msgspec
from msgspec import structs

from mlgitops.delivery.kubernetes.answers import Pod, Pods, Workload, Workloads, parse_answer
from mlgitops.delivery.kubernetes.manifests import mark, render_manifests
from mlgitops.delivery.kubernetes.rollout import (
    NOTE,
    REFUSED,
    REPORTED,
    Note,
    Seen,
    find_other_image,
    list_images,
    list_owned,
    look,
)
from mlgitops.delivery.loop.decision import find_effective
from mlgitops.delivery.loop.effects import (
    Append,
    Bake,
    CloseIssue,
    Confirm,
    Fetch,
    OpenIssue,
    Return,
    Route,
    Start,
    Stop,
    Switch,
    Wait,
)
from mlgitops.delivery.loop.observed import UNSURE, Observed, ServerState, Slot
from mlgitops.delivery.loop.recording import append_entry, utc_now
from mlgitops.delivery.loop.turns import Turns
from mlgitops.errors import MlgitopsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mlgitops.console import Console
    from mlgitops.delivery.kubernetes.kubectl import Kubectl
    from mlgitops.delivery.kubernetes.manifests import Manifests
    from mlgitops.delivery.ledger import Ledger
    from mlgitops.delivery.loop.effects import Effect
    from mlgitops.delivery.loop.observed import Desired, ServedModel
    from mlgitops.git.repository import Repository
    from mlgitops.model.ledger import LedgerEntry

_List = TypeVar("_List", Workloads, Pods)
_UNSENT = "unsent "  # before the commit: the request was begun, its answer is not known
_PATIENCE = 1_200.0  # seconds for one rollout, beyond its own deadline in the cluster


class Reporter(Protocol):
    """Tells people that a desired state failed."""

    def open(self, served: ServedModel, reason: str) -> int | None:
        """Open the issue of a desired state; return its number, None without a token."""

    def close(self, commit: str) -> None:
        """Close it."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a driver works with, each for one environment."""

    kubectl: Kubectl
    repository: Repository
    prefix: str  # of the project in the repository, empty or ending in a slash
    environment: str
    read_desired: Callable[[], Desired]  # of the default branch, asked anew
    check_available: Callable[[ServedModel], None]  # raises unless it is published
    ledger: Ledger
    reporter: Reporter
    lock: Path
    console: Console
    poll: float = 1.0  # seconds between two looks at a rollout


class KubernetesDriver:
    """One environment in the cluster of kubectl's context, for as long as one command runs."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._turns = Turns(parts.lock)
        self._kubectl = parts.kubectl
        self._desired: Desired | None = None
        self._ledger: tuple[LedgerEntry, ...] = ()
        self._rendered: dict[str, Manifests] = {}  # by commit
        self._checked: set[tuple[str, str]] = set()  # bundles that are published
        self._seen = Seen()
        self._pods: tuple[Pod, ...] = ()
        self._waited = 0.0

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other runs for this environment out, on this host, while the block runs."""
        with self._turns.hold() as is_undisturbed:
            if not is_undisturbed:
                self._desired = None
            yield

    def observe(self) -> tuple[Desired, Observed]:
        """Read what git wants, and how the Deployment is."""
        desired = self._desired or self._refresh()
        self._look()
        self._begin_bake_anew()
        self._refuse_obstacle()
        return desired, Observed(
            a=self._seen.a,
            b=self._seen.b,
            active=self._seen.active,
            routed=self._is_followed(desired),
            bundles=frozenset(self._checked),
            ledger=self._ledger,
            reported=self._read_reported(),
        )

    def perform(self, effect: Effect) -> None:
        """Do one thing; what fails because of the model is seen in the cluster."""
        match effect:
            case Append():
                self._append(effect)
            case OpenIssue() | CloseIssue():
                self._report(effect)
            case Switch():
                if find_effective(self._refresh(), self._ledger).served == effect.served:
                    self._activate(effect.slot, effect.served, bake=effect.bake)
            case Return():
                self._activate(effect.slot, effect.served, reason=effect.reason)
            case _:
                self._roll(effect)

    def _roll(self, effect: Effect) -> None:
        """Have the cluster roll over to a model, or see how far it is."""
        match effect:
            case Fetch():
                self._parts.check_available(effect.served)
                self._render(effect.served)
                self._checked.add(effect.served.bundle)
            case Start():
                self._apply(self._find_manifests(effect.served), effect.slot, effect.restarts)
            case Wait():
                self._wait()
            case Stop():
                self._undo(effect.slot)
            case Route():
                self._follow()
            case Confirm():
                self._confirm()
            case Bake():
                time.sleep(self._parts.poll)
            case _:
                raise MlgitopsError(f"Kubernetes has no {type(effect).__name__.lower()}")

    @property
    def namespace(self) -> str:
        """Return the namespace of the environment."""
        return self._manifests.namespace

    @property
    def name(self) -> str:
        """Return the name of its Deployment."""
        return self._manifests.name

    @property
    def address(self) -> str:
        """Return where the Service of the Deployment answers, within the cluster."""
        return f"http://{self.name}.{self.namespace}.svc"

    def _refresh(self) -> Desired:
        self._desired = self._parts.read_desired()
        self._ledger = self._parts.ledger.read(self._parts.environment)
        return self._desired

    def _look(self) -> None:
        manifests = self._manifests
        base = f"/apis/apps/v1/namespaces/{quote(manifests.namespace, safe='')}"
        path = f"{base}/deployments/{quote(manifests.name, safe='')}"
        answer = self._kubectl.read(path)
        deployment = None if answer is None else parse_answer(answer, Workload, path)
        revisions: tuple[Workload, ...] = ()
        self._pods = ()
        if deployment is not None:
            labels = manifests.deployment["spec"]["selector"]["matchLabels"]
            selector = quote(",".join(f"{name}={value}" for name, value in labels.items()))
            path = f"{base}/replicasets?labelSelector={selector}"
            revisions = list_owned(self._list(path, Workloads).items, [deployment])
            pods = f"/api/v1/namespaces/{quote(manifests.namespace, safe='')}/pods"
            path = f"{pods}?labelSelector={selector}"
            self._pods = list_owned(self._list(path, Pods).items, revisions)
        self._seen = look(
            deployment,
            revisions,
            self._pods,
            environment=self._parts.environment,
            now=time.time(),
        )

    def _list(self, path: str, kind: type[_List]) -> _List:
        return parse_answer(self._kubectl.read(path) or b"{}", kind, path)

    def _begin_bake_anew(self) -> None:
        """Let a bake begin now if it begins later by this host's clock, which was set back."""
        note, now = self._seen.note, time.time()
        if note is not None and not note.baked and note.began > now:
            self._change_note(began=now)

    def _refuse_obstacle(self) -> None:
        """End a run that waits for what the model cannot change; the cluster goes on by itself."""
        if self._seen.obstacle and self._waited > self._parts.poll:
            raise MlgitopsError(
                self._seen.obstacle,
                where=f"environment {self._parts.environment}",
                hint="mend it in the cluster or the registry, and the rollout goes on by itself; "
                "what served before still serves",
            )

    def _render(self, served: ServedModel) -> Manifests:
        parts = self._parts
        if served.commit not in self._rendered:
            self._rendered[served.commit] = render_manifests(
                parts.kubectl, parts.repository, parts.prefix, parts.environment, served
            )
        return self._rendered[served.commit]

    def _apply(self, served: ServedModel, slot: Slot, restarts: int) -> None:
        self._waited = 0.0
        self._kubectl.apply(mark(self._render(served), served, slot, restarts).objects)

    def _find_manifests(self, served: ServedModel) -> ServedModel:
        """Return what is to be started by the commit of its manifests.

        Those of a model that comes back are the ones it ran with at last, not at its switch.
        """
        former = self._seen.note.former if self._seen.note else None
        is_wanted = self._desired is not None and self._desired.served.request == served.request
        if former is None or is_wanted or former.bundle != served.bundle:
            return served
        return former

    def _wait(self) -> None:
        """Let the cluster go on; its own deadline ends a rollout that gets nowhere."""
        time.sleep(self._parts.poll)
        self._waited += self._parts.poll
        if self._waited > _PATIENCE:
            raise MlgitopsError(
                f"the cluster has not said for {_PATIENCE:.0f} s how the rollout goes",
                where=f"environment {self._parts.environment}",
                hint="`kubectl describe deployment` shows what it waits for",
            )

    def _undo(self, slot: Slot) -> None:
        """Have the Deployment want again what serves; its pods are still there."""
        note = self._seen.note
        if note is None or self._seen.newest is not slot:
            return
        server = self._seen.a if note.slot is Slot.A else self._seen.b
        served = structs.replace(note.served, commit=note.manifests)
        self._apply(served, note.slot, server.restarts if server else note.start)

    def _is_followed(self, desired: Desired) -> bool:
        """Tell whether the model that serves runs as the newest manifests for it say."""
        note = self._seen.note
        if note is None or note.served.bundle != desired.served.bundle:
            return True  # what is brought up next comes with its own manifests
        if desired.served.commit not in {note.manifests, self._seen.refused}:
            return False
        served = structs.replace(note.served, commit=note.manifests)
        manifests, images = self._find_running(served)
        return not images or find_other_image(images, manifests.image) is None

    def _follow(self) -> None:
        """Roll the same model over to what git says, and back where it does not come up.

        That is newer manifests, or the same where somebody else changed the image.
        The model is not to blame, so nothing is condemned; the commit is noted as refused.
        """
        note, desired = self._seen.note, self._desired
        if note is None or desired is None:
            return
        is_refused = desired.served.commit == self._seen.refused
        commit = note.manifests if is_refused else desired.served.commit
        newer = structs.replace(note.served, commit=commit)
        running = self._render(structs.replace(note.served, commit=note.manifests))
        self._waited = 0.0
        self._kubectl.apply(mark(self._render(newer), newer, note.slot, note.start).objects)
        while (state := self._read_state(note.slot)) is ServerState.STARTING:
            self._refuse_obstacle()
            self._wait()
        if state is ServerState.READY:
            self._refuse_other_images(newer)
            self._change_note(manifests=commit)
            return
        server = self._seen.a if note.slot is Slot.A else self._seen.b
        served = structs.replace(note.served, commit=note.manifests)
        self._kubectl.apply(mark(running, served, note.slot, note.start).objects)
        self._annotate(REFUSED, commit)
        raise MlgitopsError(
            f"the manifests of {commit[:12]} do not come up: {server and server.reason}",
            where=f"deploy/{self._parts.environment}",
            hint=f"those of {note.manifests[:12]} are back; they are not tried again until git "
            "changes",
        )

    def _read_state(self, slot: Slot) -> ServerState:
        self._look()
        server = self._seen.a if slot is Slot.A else self._seen.b
        return server.state if server else ServerState.STARTING

    def _activate(
        self, slot: Slot, served: ServedModel, *, bake: int = 0, reason: str | None = None
    ) -> None:
        server = self._seen.a if slot is Slot.A else self._seen.b
        before = self._seen.note
        note = Note(
            environment=self._parts.environment,
            slot=slot,
            served=served,
            manifests=server.served.commit if server else served.commit,
            start=server.restarts if server else self._seen.restarts,
            since=utc_now(),
            began=time.time(),
            bake=bake,
            baked=reason is not None,
            reason=reason,
            former=structs.replace(before.served, commit=before.manifests) if before else None,
        )
        self._write_note(note)

    def _confirm(self) -> None:
        """Hold what the nodes run against the digest that git names."""
        note = self._seen.note
        if note is None:
            return
        self._refuse_other_images(structs.replace(note.served, commit=note.manifests))
        self._change_note(confirmed=True)

    def _find_running(self, served: ServedModel) -> tuple[Manifests, list[str]]:
        """Return what git says for a model, and the images of its ready servers."""
        manifests = self._render(served)
        return manifests, list_images(self._pods, served, manifests.container)

    def _refuse_other_images(self, served: ServedModel) -> None:
        manifests, images = self._find_running(served)
        other = find_other_image(images, manifests.image)
        if other is not None:
            raise MlgitopsError(
                f"the nodes run {other!a:.200}, not {manifests.image.rpartition('@')[2][:19]}",
                where=f"environment {self._parts.environment}",
                hint="`kubectl get pods --output wide` says where; what changes images there?",
            )

    def _append(self, effect: Append) -> None:
        parts = self._parts
        try:
            append_entry(parts.ledger, parts.environment, effect)
        finally:  # an entry that origin did not take waits here, and counts
            self._ledger = parts.ledger.read(parts.environment)

    def _report(self, effect: OpenIssue | CloseIssue) -> None:
        """Tell people; that it begins is written down before, what became of it after."""
        reporter = self._parts.reporter
        before = (self._seen.reported or "").removeprefix(_UNSENT)
        commit = effect.served.commit if isinstance(effect, OpenIssue) else None
        if before and before != commit:
            reporter.close(before)
            self._annotate(REPORTED, None)
        if isinstance(effect, OpenIssue):
            self._annotate(REPORTED, f"{_UNSENT}{commit}")
            reporter.open(effect.served, effect.reason)
            self._annotate(REPORTED, commit)

    def _read_reported(self) -> str | None:
        reported = self._seen.reported
        return UNSURE if reported and reported.startswith(_UNSENT) else reported

    def _change_note(self, **changes: object) -> None:
        if self._seen.note is not None:
            self._write_note(structs.replace(self._seen.note, **changes))

    def _write_note(self, note: Note) -> None:
        self._annotate(NOTE, msgspec.json.encode(note).decode())

    def _annotate(self, name: str, text: str | None) -> None:
        manifests = self._manifests
        self._kubectl.annotate(manifests.namespace, manifests.name, {name: text})

    @property
    def _manifests(self) -> Manifests:
        """Return those of the desired state, which name the namespace and the Deployment."""
        return self._render((self._desired or self._refresh()).served)
