"""What the API's answers about a rollout come to, and what is sent to a cluster at all."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import structs

from mlgitops.delivery.kubernetes.answers import Pod, Workload, parse_answer
from mlgitops.delivery.kubernetes.manifests import mark, read_manifests, refuse_unfit
from mlgitops.delivery.kubernetes.rollout import (
    NOTE,
    Note,
    Seen,
    find_obstacle,
    find_other_image,
    list_images,
    list_owned,
    look,
)
from mlgitops.delivery.loop.observed import ServedModel, ServerState, Slot
from mlgitops.errors import MlgitopsError
from mlgitops.git.wanted import Wanted

DIGEST = "sha256:" + "ab" * 32
IMAGE = f"ghcr.io/acme/churn@{DIGEST}"
SERVED = ServedModel(model="churn", sha256="ab" * 32, revision="5e" * 20, commit="4e" * 20)
NEWER = structs.replace(SERVED, commit="6e" * 20)
NOW = 1_000_000.0
DONE = {"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
ROLLING = {"updatedReplicas": 1}
LATE = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
QUOTA = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "quota"}


def encode(value: ServedModel) -> str:
    """Return the JSON of what a note holds."""
    return json.dumps(structs.asdict(value))


def make_notes(served: ServedModel, slot: Slot = Slot.A, start: int = 0) -> dict[str, str]:
    """Return what stands on the pods of a revision."""
    return {
        "mlgitops.io/served": encode(served),
        "mlgitops.io/slot": slot.value,
        "mlgitops.io/start": str(start),
    }


def make_note(environment: str = "staging", **changes: object) -> dict[str, str]:
    """Return what stands on a Deployment after a switch to slot a."""
    content = {
        "environment": environment,
        "slot": "a",
        "served": structs.asdict(SERVED),
        "manifests": SERVED.commit,
        "since": "2030-01-31T12:00:00Z",
        "began": NOW,
    }
    return {NOTE: json.dumps(content | changes)}


def make_deployment(
    served: ServedModel = SERVED,
    *,
    annotations: dict[str, str] | None = None,
    asked: int = 2,
    status: dict[str, Any] | None = None,
) -> Workload:
    """Return a Deployment of two servers as the API shows it; ``status`` over a complete one."""
    answer = {
        "metadata": {"name": "server", "generation": 3, "annotations": annotations or {}},
        "spec": {
            "replicas": asked,
            "template": {"metadata": {"annotations": make_notes(served)}},
        },
        "status": DONE | (status or {}),
    }
    return parse_answer(json.dumps(answer).encode(), Workload, "here")


def make_pod(
    served: ServedModel = SERVED,
    *,
    waiting: str = "",
    restarts: int = 0,
    ready: bool = True,
    image: str = IMAGE,
    name: str = "server",
) -> Pod:
    """Return a pod with one container."""
    container = {
        "name": name,
        "ready": ready,
        "restartCount": restarts,
        "imageID": image,
        "state": {"waiting": {"reason": waiting}} if waiting else {},
    }
    answer = {
        "metadata": {"annotations": make_notes(served)},
        "status": {"containerStatuses": [container]},
    }
    return parse_answer(json.dumps(answer).encode(), Pod, "here")


def see(deployment: Workload, *pods: Pod) -> Seen:
    """Return what the answers come to, for staging."""
    return look(deployment, [], pods, environment="staging", now=NOW)


def read_state(deployment: Workload, *pods: Pod) -> ServerState:
    """Return the state of slot a."""
    server = see(deployment, *pods).a
    assert server is not None
    return server.state


CRASHED = make_pod(waiting="CrashLoopBackOff", restarts=2, ready=False)


def test_a_rollout_is_done_when_all_it_wants_serve() -> None:
    """The state that the cases below fall short of, each in one number."""
    assert read_state(make_deployment()) is ServerState.READY
    assert see(make_deployment()).active is None


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (2, {"observedGeneration": 2}),  # the numbers are those of the revision before
        (3, {}),  # as many as were asked for before
        (2, {"availableReplicas": 1}),
        (2, {"updatedReplicas": 1}),
        (2, {"replicas": 3, "availableReplicas": 3}),  # an old one still answers
        (0, {"replicas": 0, "updatedReplicas": 0, "availableReplicas": 0}),  # nobody is answered
    ],
)
def test_a_rollout_that_is_not_done_is_not_reported_as_done(
    asked: int, status: dict[str, Any]
) -> None:
    """Nothing is wrong either, so it is waited for."""
    assert read_state(make_deployment(asked=asked, status=status)) is ServerState.STARTING


def test_a_server_that_ends_again_and_again_is_dead() -> None:
    """And one of the cluster's own troubles beside it leaves that open."""
    rolling = make_deployment(status=ROLLING)
    assert read_state(rolling, CRASHED) is ServerState.DEAD
    assert read_state(rolling, CRASHED, make_pod(waiting="ImagePullBackOff")) is (
        ServerState.STARTING
    )


def test_pods_of_another_revision_condemn_nobody() -> None:
    """Those of the model before may well end while this one comes up."""
    rolling = make_deployment(NEWER, status=ROLLING)
    assert read_state(rolling, CRASHED) is ServerState.STARTING


@pytest.mark.parametrize(
    "reason",
    ["ImagePullBackOff", "ErrImagePull", "RegistryUnavailable", "SignatureValidationFailed"],
)
def test_a_registry_condemns_nobody(reason: str) -> None:
    """Not even when the rollout's deadline has passed over it."""
    rolling = make_deployment(status=ROLLING | {"conditions": [LATE]})
    assert read_state(rolling) is ServerState.DEAD
    pod = make_pod(waiting=reason, ready=False)
    assert read_state(rolling, pod) is ServerState.STARTING
    assert find_obstacle([pod]) == f"the image cannot be pulled: {reason}"


def test_a_cluster_that_makes_no_pod_condemns_nobody() -> None:
    """A quota, or a webhook that refuses: there is no pod that could say so."""
    seen = see(make_deployment(status=ROLLING | {"conditions": [LATE, QUOTA]}))
    assert seen.a is not None
    assert (seen.a.state, seen.obstacle) == (
        ServerState.STARTING,
        "the cluster makes no pod: quota",
    )


def test_the_deadline_of_a_rollout_that_was_undone_is_not_held_against_what_serves() -> None:
    """The condition stands there until the last pod of the failed one is gone."""
    undone = make_deployment(annotations=make_note(), status=ROLLING | {"conditions": [LATE]})
    assert read_state(undone) is ServerState.STARTING


def test_what_serves_may_scale_and_newer_manifests_in_its_slot_may_not() -> None:
    """One server is enough of the revision that was seen to serve, and of no other."""
    for served, state in ((SERVED, ServerState.READY), (NEWER, ServerState.STARTING)):
        deployment = make_deployment(
            served, annotations=make_note(), status={"availableReplicas": 1}
        )
        assert read_state(deployment) is state


def test_the_deployment_of_another_environment_is_not_ours() -> None:
    """A copied folder that kept its namespace would roll over somebody else's servers."""
    deployment = make_deployment(annotations=make_note("production"))
    with pytest.raises(MlgitopsError, match="that of the environment 'production'"):
        see(deployment)


@pytest.mark.parametrize("change", [{"share": 0}, {"began": -1}, {"manifests": "main"}])
def test_a_note_that_we_did_not_write_is_an_error(change: dict[str, Any]) -> None:
    """Fields and ranges are those that we write."""
    with pytest.raises(MlgitopsError, match="it cannot be read"):
        see(make_deployment(annotations=make_note(**change)))


def test_a_note_that_we_wrote_is_read() -> None:
    """What it says is what users are answered by."""
    active = see(make_deployment(annotations=make_note(bake=60))).active
    assert active is not None
    assert (active.served, active.confirmed, active.baked) == (SERVED, False, False)
    assert Note.__struct_config__.forbid_unknown_fields


@pytest.mark.parametrize(
    ("began", "baked"), [(NOW - 60, True), (NOW - 59, False), (NOW, False), (NOW + 900, False)]
)
def test_a_bake_is_over_when_its_time_has_passed(began: float, baked: bool) -> None:
    """And not because the clock was set back, by which it has not even begun."""
    active = see(make_deployment(annotations=make_note(bake=60, began=began))).active
    assert active is not None
    assert active.baked is baked


OTHER = f"ghcr.io/acme/churn@sha256:{'cd' * 32}"


@pytest.mark.parametrize(
    ("images", "other"),
    [
        ([IMAGE], None),
        (["docker-pullable://" + IMAGE, IMAGE], None),
        ([IMAGE, OTHER], OTHER),
        ([f"{OTHER}/{DIGEST}"], f"{OTHER}/{DIGEST}"),
        ([IMAGE + "0"], IMAGE + "0"),
        ([""], ""),
        ([], "nothing"),
    ],
)
def test_another_image_than_the_wanted_one_is_named(images: list[str], other: str | None) -> None:
    """One of several servers is enough, and no server at all is no proof."""
    assert find_other_image(images, IMAGE) == other


def test_the_images_are_those_of_ready_servers_of_this_desired_state() -> None:
    """Not of another commit's pods, not of one that does not serve, not of a mesh's container."""
    pods = [
        make_pod(),
        make_pod(NEWER, image="newer"),
        make_pod(ready=False, image="starting"),
        make_pod(name="mesh", image="mesh"),
    ]
    assert list_images(pods, SERVED, "server") == [IMAGE]


def make_owned(*owners: tuple[str, bool], uid: str = "") -> Workload:
    """Return a ReplicaSet with these owners: their uid, and whether they control it."""
    references = [{"uid": owner, "controller": controls} for owner, controls in owners]
    answer = {"metadata": {"uid": uid, "ownerReferences": references}}
    return parse_answer(json.dumps(answer).encode(), Workload, "here")


def test_what_another_controller_made_or_none_is_not_of_the_deployment() -> None:
    """A stranger's pod can carry our labels and notes, and must decide nothing."""
    deployment = make_owned(uid="d")
    own = make_owned(("s", False), ("d", True))
    strangers = [make_owned(), make_owned(("s", True)), make_owned(("d", False))]
    assert list_owned([own, *strangers], [deployment]) == (own,)
    assert list_owned([own, make_owned(("", True))], [make_owned()]) == ()
    assert list_owned([own], []) == ()


def make_objects(image: object = IMAGE, **metadata: object) -> list[dict[str, Any]]:
    """Return the Deployment of an environment, as kustomize prints it."""
    containers = [{"name": "server", "image": image}]
    pods = {"containers": containers, "initContainers": [{"name": "first", "image": IMAGE}]}
    return [
        {
            "kind": "Deployment",
            "metadata": {"name": "server", "namespace": "churn-staging"} | metadata,
            "spec": {
                "selector": {"matchLabels": {"app": "server"}},
                "template": {"metadata": {}, "spec": pods},
            },
        }
    ]


@pytest.mark.parametrize(
    "image",
    [
        "ghcr.io/acme/churn",
        "ghcr.io/acme/churn:v1",
        f"ghcr.io/acme/churn@sha256:{'0' * 64}",
        IMAGE + "0",
        IMAGE + "\n",
        "--" + IMAGE,
        None,
        7,
    ],
)
def test_an_image_that_no_digest_names_is_not_sent(image: object) -> None:
    """In the server's container, and in the one that runs before it."""
    objects = make_objects(image)
    with pytest.raises(MlgitopsError, match="no digest names the image"):
        read_manifests(objects, "deploy/staging")
    pods = objects[0]["spec"]["template"]["spec"]
    pods["containers"], pods["initContainers"] = pods["initContainers"], pods["containers"]
    with pytest.raises(MlgitopsError, match="no digest names the image"):
        read_manifests(objects, "deploy/staging")


@pytest.mark.parametrize("name", ["--kubeconfig=theirs", "", 7, "a b", "a\n"])
@pytest.mark.parametrize("key", ["name", "namespace"])
def test_a_name_that_kubectl_would_read_otherwise_is_refused(key: str, name: object) -> None:
    """It stands on kubectl's command line."""
    with pytest.raises(MlgitopsError, match="the Deployment has no such name"):
        read_manifests(make_objects(**{key: name}), "deploy/staging")


def test_one_deployment_is_the_environment() -> None:
    """Of two, nobody could say which serves."""
    with pytest.raises(MlgitopsError, match="one Deployment was expected, and 2 are there"):
        read_manifests([*make_objects(), *make_objects()], "deploy/staging")


def test_the_pods_say_which_model_they_are_and_the_manifests_stay_as_they_were() -> None:
    """The same manifests are marked anew for another slot: what is noted must be read again."""
    manifests = read_manifests(make_objects(), "deploy/staging")
    marked = mark(manifests, SERVED, Slot.B, 1)
    notes = marked.deployment["spec"]["template"]["metadata"]["annotations"]
    assert notes["mlgitops.io/slot"] == "b"
    assert json.loads(notes["mlgitops.io/served"])["commit"] == SERVED.commit
    assert manifests.deployment["spec"]["template"]["metadata"] == {}


def test_what_a_cluster_cannot_hold_to_is_refused() -> None:
    """Another model than model.yaml names, a forced one, a canary."""
    wanted = Wanted(
        environment="staging",
        model="churn",
        sha256=SERVED.sha256,
        commit=SERVED.revision,
        port=80,
        target="kubernetes",
    )
    refuse_unfit(wanted, SERVED, "here")
    cases = [
        (wanted, structs.replace(SERVED, forced=True), "--force cannot be used"),
        (structs.replace(wanted, sha256="cd" * 32), SERVED, "only with the model"),
        (structs.replace(wanted, sha256=None), SERVED, "only with the model"),
        (structs.replace(wanted, canary=10), SERVED, "`canary: 10` cannot be done"),
    ]
    for file, served, problem in cases:
        with pytest.raises(MlgitopsError, match=problem):
            refuse_unfit(file, served, "here")
