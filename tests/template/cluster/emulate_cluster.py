"""An emulator of a cluster: kmock's API server, with a controller of Deployments of a few lines.

It is no cluster. No container runs: what becomes of a pod is told by the test, for each image, in
JSON lines on standard input (`{"DIGEST": "ready"}`), each answered by a line. It proves what our
client asks for and what it makes of the answers, not what Kubernetes does. The real kubectl talks
to it. The first line printed is its address.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import sys
from typing import Any

import attrs
import kmock

NOT_FOUND = 404
TICK = 0.05  # seconds
Object = dict[str, Any]
DEPLOYMENTS = kmock.resource("apps/v1/deployments")
REPLICA_SETS = kmock.resource("apps/v1/replicasets")
PODS = kmock.resource("v1/pods")

#: Outcome → the state of the container `server`, or of its init container.
STATES: dict[str, Object] = {
    "ready": {"running": {}},
    "slow": {"running": {}},
    "crash": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off restarting"}},
    "unwanted": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off restarting"}},
    "unpullable": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}},
    "late": {"running": {}},
    "swapped": {"running": {}},
}
LAST = {
    "crash": {"exitCode": 1, "message": "the server ended"},
    "unwanted": {"exitCode": 1, "message": "another model is wanted"},
}


class Cluster(kmock.KubernetesEmulator):
    """kmock's server, which takes server-side apply as well."""

    async def _handle(self, request: kmock.Request) -> Any:  # noqa: ANN401 - aiohttp's
        if request.headers.get("Content-Type") == "application/apply-patch+yaml":
            key = (request.resource, request.namespace, request.name)
            self.store(key, json.loads(request.body), merge_metadata=True)
        return await super()._handle(request)

    async def _render_error(self, exc: Exception) -> Any:  # noqa: ANN401 - aiohttp's
        """Name the reason of an error as Kubernetes does."""
        if getattr(exc, "status", None) == NOT_FOUND:
            exc = attrs.evolve(exc, reason="NotFound")
        return await super()._render_error(exc)

    async def _serve_version(self, request: kmock.Request) -> Any:  # noqa: ANN401 - kmock's
        """Describe the resources of a version; kmock calls the core group's version `/v1`."""
        answer: Object = await super()._serve_version(request)
        return answer | {"groupVersion": answer["groupVersion"].removeprefix("/")}

    async def _serve_list(self, request: kmock.Request) -> Any:  # noqa: ANN401 - kmock's
        """List objects; kmock forgets to say that it is a list."""
        return {"apiVersion": "v1", "kind": "List", **await super()._serve_list(request)}

    def store(self, key: Any, content: Object, *, merge_metadata: bool = False) -> None:  # noqa: ANN401
        """Put an object there; a changed spec is another generation, as in Kubernetes."""
        before = self.objects[key].raw if key in self.objects else {}
        metadata = dict(before.get("metadata", {}))
        if merge_metadata:
            notes = {
                **metadata.get("annotations", {}),
                **content["metadata"].get("annotations", {}),
            }
            metadata |= content["metadata"] | {"annotations": notes}
        else:
            metadata = content["metadata"]
        metadata.setdefault("uid", ":".join(str(part) for part in key[1:]))
        changed = before.get("spec") != content.get("spec")
        metadata["generation"] = metadata.get("generation", 0) + changed
        status = content.get("status", before.get("status", {}))
        self.objects[key] = {**content, "metadata": metadata, "status": status}


async def control(cluster: Cluster, outcomes: dict[str, str]) -> None:
    """Do what the controllers of a cluster do, for Deployments, again and again."""
    while True:
        keys = [key for key in cluster.objects if key[0] == DEPLOYMENTS]
        for key in keys:
            roll_out(cluster, key, outcomes)
        await asyncio.sleep(TICK)


def roll_out(cluster: Cluster, key: Any, outcomes: dict[str, str]) -> None:  # noqa: ANN401
    """Bring one Deployment a step on: its newest revision, then the ones before it."""
    deployment = cluster.objects[key].raw
    template, namespace = deployment["spec"]["template"], key[1]
    digest = template["spec"]["containers"][0]["image"].rpartition(":")[2]
    name = "server-" + hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:8]
    sets = {k[2]: cluster.objects[k].raw for k in cluster.objects if k[0] == REPLICA_SETS}
    outcome = outcomes.get(digest, "ready")
    ready = int(outcome in {"ready", "swapped"})
    if name not in sets:  # its pods are not ready at once
        ready, outcome = 0, "slow"
    for other, content in sets.items():
        if other != name and ready:
            content["status"] = {"replicas": 0, "readyReplicas": 0, "availableReplicas": 0}
            cluster.store((REPLICA_SETS, namespace, other), content)
    counts = {"replicas": 1, "readyReplicas": ready, "availableReplicas": ready}
    cluster.store(
        (REPLICA_SETS, namespace, name),
        {
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": template["metadata"]["labels"],
                "ownerReferences": [make_owner(deployment)],
            },
            "spec": {"template": template},
            "status": counts,
        },
    )
    others = sum(
        content["status"]["replicas"] for other, content in sets.items() if other != name
    ) * (1 - ready)
    pod = make_pod(namespace, template, outcome, ready)
    pod["metadata"]["ownerReferences"] = [
        make_owner(cluster.objects[REPLICA_SETS, namespace, name].raw)
    ]
    cluster.store((PODS, namespace, "pod"), pod)
    if "stranger" in outcomes.values():  # a bare pod with the labels and notes of this one
        stranger = make_pod(namespace, template, "crash", 1)
        stranger["metadata"]["name"] = "stranger"
        stranger["status"]["containerStatuses"][0]["imageID"] = f"stranger@sha256:{64 * 'e'}"
        cluster.store((PODS, namespace, "stranger"), stranger)
    late = outcome == "late"
    deployment["status"] = {
        "observedGeneration": deployment["metadata"]["generation"],
        "replicas": 1 + others,
        "updatedReplicas": 1,
        "readyReplicas": ready + others,
        "availableReplicas": ready + others,
        "conditions": [
            {
                "type": "Progressing",
                "status": "False" if late else "True",
                "reason": "ProgressDeadlineExceeded" if late else "ReplicaSetUpdated",
                "message": "it has timed out progressing" if late else "",
            }
        ],
    }
    cluster.store(key, deployment)


def make_owner(content: Object) -> Object:
    """Return the reference with which an object names what controls it."""
    return {"uid": content["metadata"]["uid"], "controller": True}


def make_pod(namespace: str, template: Object, outcome: str, ready: int) -> Object:
    """Return the pod of a revision, as a kubelet would report it."""
    image = template["spec"]["containers"][0]["image"]
    status: Object = {"ready": bool(ready), "restartCount": 0, "imageID": image}
    status["state"] = STATES[outcome]
    if outcome == "swapped":  # what an admission webhook, or a node, put in its place
        status["imageID"] = image.rpartition(":")[0] + ":" + 64 * "f"
    if outcome in LAST:
        status |= {"restartCount": 3, "lastState": {"terminated": LAST[outcome]}}
    idle = {"ready": False, "restartCount": 0, "state": {"waiting": {"reason": "PodInitializing"}}}
    statuses = (
        {
            "initContainerStatuses": [status | {"name": "check-model"}],
            "containerStatuses": [idle | {"name": "server"}],
        }
        if outcome == "unwanted"
        else {"containerStatuses": [status | {"name": "server"}]}
    )
    return {
        "metadata": {"name": "pod", "namespace": namespace, **template["metadata"]},
        "spec": template["spec"],
        "status": {"phase": "Running", **statuses},
    }


async def listen(outcomes: dict[str, str]) -> None:
    """Read what becomes of images, until standard input ends."""
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        outcomes.update(json.loads(line))
        sys.stdout.write("noted\n")
        sys.stdout.flush()


async def main() -> None:
    """Serve until standard input ends."""
    outcomes: dict[str, str] = {}
    cluster = Cluster()
    cluster.resources.load_bundled()
    # kmock has no objects of the kind Namespace.
    cluster["patch", re.compile(r"/api/v1/namespaces/[^/]+")] << (
        lambda sent: json.loads(sent.body)
    )
    async with cluster, kmock.Server(cluster) as server:
        controller = asyncio.create_task(control(cluster, outcomes))
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        await listen(outcomes)
        controller.cancel()


asyncio.run(main())
