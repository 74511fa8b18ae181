"""The manifests of an environment at a commit, as they are sent to a cluster.

`deploy/<environment>/` is built by kustomize; what only we know is added: which model it is, by
which commit, in which slot. The same commit, slot and start give the same bytes, so that applying
what served before is an undo.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mlgitops.errors import MlgitopsError
from mlgitops.git.wanted import read_wanted, refuse_idle

if TYPE_CHECKING:
    from mlgitops.delivery.kubernetes.kubectl import Kubectl, Object
    from mlgitops.delivery.loop.observed import ServedModel, Slot
    from mlgitops.git.repository import Repository
    from mlgitops.git.wanted import Wanted

#: Notes on the pods of a revision.
SERVED, SLOT, START = "mlgitops.io/served", "mlgitops.io/slot", "mlgitops.io/start"
_IMAGE = re.compile(r"[a-z0-9][a-z0-9._:/-]*@sha256:(?P<digest>[0-9a-f]{64})")
_NAME = re.compile(r"[a-z0-9][A-Za-z0-9._/-]*")
_MOST_FILES = 1_000


@dataclass(frozen=True, kw_only=True)
class Manifests:
    """All objects of an environment, and what names its Deployment."""

    objects: list[Object]
    namespace: str
    name: str
    container: str  # in which the server runs
    image: str  # of the server, by digest

    @property
    def deployment(self) -> Object:
        """Return the Deployment that serves."""
        return next(content for content in self.objects if content["kind"] == "Deployment")


def render_manifests(
    kubectl: Kubectl, repository: Repository, prefix: str, environment: str, served: ServedModel
) -> Manifests:
    """Build what ``served.commit`` wants for ``environment``.

    Raises :class:`MlgitopsError` when that cannot run: no sha256, an image without its digest,
    not one Deployment, a canary.
    """
    wanted = read_wanted(repository, prefix, environment, served.commit)
    where = f"{prefix}deploy/{environment} at {served.commit[:12]}"
    refuse_unfit(wanted, served, where)
    with tempfile.TemporaryDirectory(prefix="mlgitops-") as name:
        _export(repository, f"{prefix}deploy/", served.commit, Path(name))
        objects = kubectl.build(Path(name) / environment)
    manifests = read_manifests(objects, where)
    _set_sizes(manifests, wanted)
    return manifests


def mark(manifests: Manifests, served: ServedModel, slot: Slot, restarts: int) -> Manifests:
    """Return the manifests with notes on the pods, by which they are recognised again."""
    marked = msgspec.json.decode(msgspec.json.encode(manifests.objects))
    result = Manifests(
        objects=marked,
        namespace=manifests.namespace,
        name=manifests.name,
        container=manifests.container,
        image=manifests.image,
    )
    metadata = result.deployment["spec"]["template"]["metadata"]
    notes = {SERVED: msgspec.json.encode(served).decode(), SLOT: slot, START: str(restarts)}
    metadata["annotations"] = (metadata.get("annotations") or {}) | notes
    return result


def refuse_unfit(wanted: Wanted, served: ServedModel, where: str) -> None:
    """Raise :class:`MlgitopsError` when model.yaml asks for what cannot be done in a cluster."""
    if served.forced:
        raise MlgitopsError(
            "--force cannot be used on Kubernetes: an image belongs to what a commit wants",
            where=where,
            hint="merge it to the default branch",
        )
    if wanted.sha256 != served.sha256:
        raise MlgitopsError(
            f"`sha256` is {wanted.sha256 or 'null'}: on Kubernetes a server starts only with the "
            "model that model.yaml names",
            where=where,
            hint="`mlgitops promote` writes it",
        )
    refuse_idle(wanted, where=where)


def _export(repository: Repository, folder: str, commit: str, target: Path) -> None:
    paths = [path for path in repository.list_files(commit) if path.startswith(folder)]
    if len(paths) > _MOST_FILES:
        raise MlgitopsError(f"{len(paths):,} files are too many", where=folder)
    for path in paths:
        file = target / path.removeprefix(folder)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(repository.read(commit, path) or b"")


def read_manifests(objects: list[Object], where: str) -> Manifests:
    """Return the objects of an environment; raises :class:`MlgitopsError` unless all can run."""
    deployments = [content for content in objects if content.get("kind") == "Deployment"]
    if len(deployments) != 1:
        raise MlgitopsError(
            f"one Deployment was expected, and {len(deployments)} are there",
            where=where,
            hint="`mlgitops deploy` brings `deploy/base` into a cluster; leave an InferenceService "
            "to Argo CD or Flux",
        )
    try:
        metadata, pods = deployments[0]["metadata"], deployments[0]["spec"]["template"]["spec"]
        images = [content["image"] for content in _list_containers(pods)]
        namespace, name = metadata["namespace"], metadata["name"]
        server = pods["containers"][0]
        named = [
            namespace,
            name,
            server["name"],
            *deployments[0]["spec"]["selector"]["matchLabels"],
        ]
    except (KeyError, TypeError, IndexError) as error:
        raise MlgitopsError(f"the Deployment lacks {error}", where=where) from error
    for text in named:  # kubectl would read one with a dash in front as an option
        if not isinstance(text, str) or not _NAME.fullmatch(text):
            raise MlgitopsError(f"the Deployment has no such name: {text!a:.80}", where=where)
    for image in images:
        _refuse_movable(image, where)
    return Manifests(
        objects=objects,
        namespace=namespace,
        name=name,
        container=server["name"],
        image=server["image"],
    )


def _list_containers(pods: Any) -> list[Any]:  # noqa: ANN401 - of the user's YAML
    return [*pods["containers"], *pods.get("initContainers", [])]


def _refuse_movable(image: object, where: str) -> None:
    """Raise :class:`MlgitopsError` unless a digest names what runs."""
    named = _IMAGE.fullmatch(image) if isinstance(image, str) else None
    if named is None or not named["digest"].strip("0"):
        raise MlgitopsError(
            f"no digest names the image: {image!a:.200}",
            where=where,
            hint="put the digest that pushing the image printed into kustomization.yaml",
        )


def _set_sizes(manifests: Manifests, wanted: Wanted) -> None:
    """Let model.yaml's `replicas` and `resources` go over those of the manifests."""
    if wanted.resources:
        server = manifests.deployment["spec"]["template"]["spec"]["containers"][0]
        resources = server.setdefault("resources", {})
        for kind in ("requests", "limits"):
            resources[kind] = {**resources.get(kind, {}), **wanted.resources}
    for content in manifests.objects:
        if content.get("kind") == "HorizontalPodAutoscaler":
            spec = content["spec"]
            spec["minReplicas"] = max(spec.get("minReplicas", 1), wanted.replicas)
            spec["maxReplicas"] = max(spec["maxReplicas"], wanted.replicas)
