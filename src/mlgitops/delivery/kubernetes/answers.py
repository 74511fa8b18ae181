"""What is read of the API's answers: a few fields of objects that have many more. Pure.

So unknown fields are let through here, other than in everything that we write ourselves.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec
from msgspec import Struct, field

from mlgitops.errors import MlgitopsError

_Answer = TypeVar("_Answer", bound=Struct)


class Owner(Struct, frozen=True, rename="camel"):
    """What made an object, as the cluster itself notes it."""

    uid: str = ""
    controller: bool = False


class Metadata(Struct, frozen=True, rename="camel"):
    """What names an object, the notes on it, and what made it."""

    name: str = ""
    uid: str = ""
    owner_references: tuple[Owner, ...] = ()
    generation: int = 0
    annotations: dict[str, str] = field(default_factory=dict)


class Template(Struct, frozen=True, rename="camel"):
    """What the pods of a revision are made from."""

    metadata: Metadata = field(default_factory=Metadata)


class Spec(Struct, frozen=True, rename="camel"):
    """What is asked of a Deployment or a ReplicaSet."""

    template: Template = field(default_factory=Template)
    replicas: int = 1


class Condition(Struct, frozen=True, rename="camel"):
    """One thing that a controller says."""

    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""


class Status(Struct, frozen=True, rename="camel"):
    """How far a Deployment, or a ReplicaSet, is."""

    observed_generation: int = 0
    replicas: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    conditions: tuple[Condition, ...] = ()


class Workload(Struct, frozen=True, rename="camel"):
    """A Deployment, or one of its ReplicaSets."""

    metadata: Metadata = field(default_factory=Metadata)
    spec: Spec = field(default_factory=Spec)
    status: Status = field(default_factory=Status)


class Waiting(Struct, frozen=True, rename="camel"):
    """Why a container does not run."""

    reason: str = ""
    message: str = ""


class Terminated(Struct, frozen=True, rename="camel"):
    """How a container ended."""

    exit_code: int = 0
    reason: str = ""
    message: str = ""


class ContainerState(Struct, frozen=True, rename="camel"):
    """What a container does."""

    waiting: Waiting | None = None
    terminated: Terminated | None = None


class Container(Struct, frozen=True, rename="camel"):
    """A container of a pod."""

    name: str = ""
    ready: bool = False
    restart_count: int = 0
    image_id: str = field(default="", name="imageID")
    state: ContainerState = field(default_factory=ContainerState)
    last_state: ContainerState = field(default_factory=ContainerState)


class PodStatus(Struct, frozen=True, rename="camel"):
    """How a pod is."""

    conditions: tuple[Condition, ...] = ()
    init_container_statuses: tuple[Container, ...] = ()
    container_statuses: tuple[Container, ...] = ()


class Pod(Struct, frozen=True, rename="camel"):
    """A pod of one of the revisions."""

    metadata: Metadata = field(default_factory=Metadata)
    status: PodStatus = field(default_factory=PodStatus)


class Workloads(Struct, frozen=True, rename="camel"):
    """A list of ReplicaSets."""

    items: tuple[Workload, ...] = ()


class Pods(Struct, frozen=True, rename="camel"):
    """A list of pods."""

    items: tuple[Pod, ...] = ()


def parse_answer(data: bytes, kind: type[_Answer], where: str) -> _Answer:
    """Return an answer of the API as ``kind``; ``where`` is the path that was asked."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise MlgitopsError(f"the cluster's answer cannot be read: {error}", where=where) from error
