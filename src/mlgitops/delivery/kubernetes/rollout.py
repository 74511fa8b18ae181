"""How far a Deployment is, from what the API says of it, its revisions and its pods. Pure.

A revision (a ReplicaSet) is a slot's server. Which model it serves, and in which slot, stands in
notes on its pods, which we wrote; what the cluster wrote beside them is read field by field and
has many more of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeVar

import msgspec
from msgspec import Meta, structs

from mlgitops.delivery.kubernetes.manifests import SERVED, SLOT, START
from mlgitops.delivery.loop.observed import Active, ServedModel, Server, ServerState, Slot
from mlgitops.errors import MlgitopsError
from mlgitops.model.fields import Count, Name, Seconds, Sha, Struct, Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mlgitops.delivery.kubernetes.answers import Pod, Workload

#: Notes on the Deployment: what users are answered by, the desired state that an issue is about,
#: and the commit whose manifests did not come up.
NOTE, REPORTED, REFUSED = "mlgitops.io/active", "mlgitops.io/reported", "mlgitops.io/refused"
_HINT = "somebody changed what mlgitops wrote there; remove the annotation and deploy again"
_ENDED = "CrashLoopBackOff"
#: Reasons to wait that are the cluster's or the registry's, and no fault of the model.
_BLAMELESS = frozenset(
    {
        "ErrImageNeverPull",
        "ErrImagePull",
        "ImageInspectError",
        "ImagePullBackOff",
        "InvalidImageName",
        "RegistryUnavailable",
        "SignatureValidationFailed",
        "Unschedulable",
    }
)
_RESTARTS = 2  # after that many, a server that does not come up is given up
_LONGEST = 300  # characters of a reason

_Note = TypeVar("_Note", bound=Struct)
_Object = TypeVar("_Object", "Workload", "Pod")


class Note(Struct, frozen=True, kw_only=True):
    """What we write on the Deployment: which slot users are sent to, and what was seen since."""

    environment: Name  # or a copied folder with the same namespace would take over
    slot: Slot
    served: ServedModel
    manifests: Sha  # the commit whose manifests run; it may be newer than that of the model
    start: Count = 0  # of the revision that was seen to serve
    since: Text  # UTC, ISO 8601: for people
    began: Seconds  # of the epoch, on the host that deployed
    bake: Count = 0  # seconds
    confirmed: bool = False
    baked: bool = False
    reason: Annotated[str, Meta(max_length=1_000)] | None = None  # why a return made it active
    former: ServedModel | None = None  # what served before, by the commit whose manifests it had

    @property
    def revision(self) -> tuple[Slot, ServedModel, int]:
        """Return what is noted on the pods that were seen to serve."""
        return self.slot, structs.replace(self.served, commit=self.manifests), self.start


class Seen(Struct, frozen=True, kw_only=True):
    """What a Deployment comes to: the two slots, and the one the users are sent to."""

    a: Server | None = None
    b: Server | None = None
    active: Active | None = None
    note: Note | None = None
    reported: str | None = None  # the failed desired state that people were told of
    refused: str | None = None  # the commit whose manifests did not come up
    newest: Slot | None = None  # whose revision the Deployment wants now
    restarts: Count = 0  # of that revision
    obstacle: str | None = None  # why it cannot go on, which is no fault of the model


def look(
    deployment: Workload | None,
    revisions: Sequence[Workload],
    pods: Sequence[Pod],
    *,
    environment: str,
    now: float,
) -> Seen:
    """Return what the API's answers come to; ``now`` in seconds of the epoch.

    Raises :class:`MlgitopsError` when it is another environment's, or not as we wrote it.
    """
    if deployment is None:
        return Seen()
    note = _read_note(deployment.metadata.annotations, NOTE, Note)
    if note is not None and note.environment != environment:
        raise MlgitopsError(
            f"this Deployment is that of the environment {note.environment!a:.80}",
            where=f"environment {environment}",
            hint="give each environment a namespace of its own in its kustomization.yaml",
        )
    reported, refused = (deployment.metadata.annotations.get(key) for key in (REPORTED, REFUSED))
    newest = _read_revision(deployment.spec.template.metadata.annotations)
    if newest is None:  # it is not ours: whatever it serves, nobody wrote it down
        return Seen(note=note, active=_read_active(note, now), reported=reported, refused=refused)
    slot, served, restarts = newest
    own = [pod for pod in pods if _read_revision(pod.metadata.annotations) == newest]
    state = _judge(deployment, own, is_active=note is not None and note.revision == newest)
    server = Server(
        served=served,
        state=state,
        verified=state is ServerState.READY or _was_seen(note, slot, restarts),
        restarts=restarts,
        reason=find_blame(own) or _find_deadline(deployment) if state is ServerState.DEAD else None,
    )
    other = None if state is ServerState.READY else _find_older(revisions, slot)
    servers = {slot: server, slot.other: other}
    return Seen(
        a=servers[Slot.A],
        b=servers[Slot.B],
        active=_read_active(note, now),
        note=note,
        reported=reported,
        refused=refused,
        newest=slot,
        restarts=restarts,
        obstacle=None if state is not ServerState.STARTING else _find_hold(deployment, own),
    )


def find_blame(pods: Iterable[Pod]) -> str | None:
    """Return why a server of these pods ended or does not come up, None if none is to blame."""
    for pod in pods:
        for container in (*pod.status.init_container_statuses, *pod.status.container_statuses):
            waiting, ended = container.state.waiting, container.last_state.terminated
            is_stuck = waiting is not None and waiting.reason == _ENDED
            if is_stuck and container.restart_count >= _RESTARTS:
                code = f" with exit code {ended.exit_code}" if ended else ""
                said = f": {ended.message or ended.reason}" if ended else ""
                text = f"`{container.name}` ended{code}, {container.restart_count} times{said}"
                return text[:_LONGEST]
    return None


def find_obstacle(pods: Iterable[Pod]) -> str | None:
    """Return what keeps pods from starting that is the cluster's or the registry's."""
    for pod in pods:
        for condition in pod.status.conditions:
            if condition.type == "PodScheduled" and condition.reason in _BLAMELESS:
                return f"no node takes the pod: {condition.message}"[:_LONGEST]
        for container in (*pod.status.init_container_statuses, *pod.status.container_statuses):
            waiting = container.state.waiting
            if waiting and waiting.reason in _BLAMELESS:
                return f"the image cannot be pulled: {waiting.message or waiting.reason}"[:_LONGEST]
    return None


def find_other_image(images: Iterable[str], image: str) -> str | None:
    """Return what the nodes run that is not ``image``, None when they run it and nothing else."""
    digest = image.rpartition("@")[2]
    running = list(images)
    if not running:
        return "nothing"
    return next((name for name in running if name.rpartition("@")[2] != digest), None)


def list_owned(objects: Iterable[_Object], owners: Iterable[Workload]) -> tuple[_Object, ...]:
    """Return the objects that one of ``owners`` controls.

    Their labels and our notes are not enough: whoever makes a pod can copy both.
    """
    uids = {owner.metadata.uid for owner in owners} - {""}
    return tuple(content for content in objects if not uids.isdisjoint(_list_controllers(content)))


def _list_controllers(content: Workload | Pod) -> list[str]:
    return [owner.uid for owner in content.metadata.owner_references if owner.controller]


def list_images(pods: Iterable[Pod], served: ServedModel, container_name: str) -> list[str]:
    """Return what the ready servers of a model run, as the nodes name it.

    A container that the cluster itself put beside the server, such as a mesh's, is not ours.
    """
    return [
        container.image_id
        for pod in pods
        for container in pod.status.container_statuses
        if container.name == container_name
        and container.ready
        and _is_of(pod.metadata.annotations, served)
    ]


def _judge(deployment: Workload, pods: Sequence[Pod], *, is_active: bool) -> ServerState:
    status = deployment.status
    wanted = max(deployment.spec.replicas, 1)
    is_current = status.observed_generation >= deployment.metadata.generation
    available = min(status.updated_replicas, status.available_replicas)
    if is_current and is_active and available and status.replicas == status.updated_replicas:
        return ServerState.READY  # it scales, or one of several servers is being replaced
    complete = status.replicas == status.updated_replicas and available >= wanted
    if is_current and complete:
        return ServerState.READY
    late = None if is_active else _find_deadline(deployment)  # of a later rollout, undone since
    if is_current and (find_blame(pods) or late) and not _find_hold(deployment, pods):
        return ServerState.DEAD
    return ServerState.STARTING


def _find_hold(deployment: Workload, pods: Sequence[Pod]) -> str | None:
    """Return what keeps a rollout from going on: its pods are not made, or cannot start."""
    for condition in deployment.status.conditions:
        if condition.type == "ReplicaFailure" and condition.status == "True":
            return f"the cluster makes no pod: {condition.message}"[:_LONGEST]
    return find_obstacle(pods)


def _find_deadline(deployment: Workload) -> str | None:
    late = (c for c in deployment.status.conditions if c.reason == "ProgressDeadlineExceeded")
    return next((f"not ready in time: {c.message}"[:_LONGEST] for c in late), None)


def _find_older(revisions: Iterable[Workload], newest: Slot) -> Server | None:
    """Return the server of the revision before, while some of its pods are left."""
    for revision in revisions:
        read = _read_revision(revision.spec.template.metadata.annotations)
        if read is None or read[0] is newest or not revision.status.replicas:
            continue
        is_ready = revision.status.available_replicas > 0
        return Server(
            served=read[1],
            state=ServerState.READY if is_ready else ServerState.DEAD,
            verified=True,
            restarts=read[2],
            reason=None if is_ready else "none of its servers answers",
        )
    return None


def _was_seen(note: Note | None, slot: Slot, restarts: int) -> bool:
    return note is not None and note.slot is slot and note.start == restarts


def _read_active(note: Note | None, now: float) -> Active | None:
    if note is None:
        return None
    return Active(
        slot=note.slot,
        served=note.served,
        confirmed=note.confirmed,
        baked=note.baked or now - note.began >= note.bake,
        reason=note.reason,
    )


def _read_revision(notes: dict[str, str]) -> tuple[Slot, ServedModel, int] | None:
    """Return slot, model and start of a revision; None when it is not one of ours."""
    served = _read_note(notes, SERVED, ServedModel)
    slot, start = notes.get(SLOT), notes.get(START, "")
    if served is None:
        return None
    if slot not in list(Slot) or not start.isascii() or not start.isdigit():
        raise MlgitopsError(f"no slot or start: {slot!a:.40}", where=SLOT, hint=_HINT)
    return Slot(slot), served, int(start)


def _is_of(notes: dict[str, str], served: ServedModel) -> bool:
    read = _read_revision(notes)
    return read is not None and read[1].request == served.request


def _read_note(notes: dict[str, str], name: str, kind: type[_Note]) -> _Note | None:
    text = notes.get(name)
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise MlgitopsError(f"it cannot be read: {error}", where=name, hint=_HINT) from error
