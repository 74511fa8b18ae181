"""The target `kubernetes`: the real kubectl against an emulator of the API, which is no cluster.

What becomes of a pod is told to the emulator for each image (tests/template/cluster).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from git_project import git
from integration.setup_project import write_config
from msgspec import structs
from template.test_manifests import cluster

from mlgitops.cli import run
from mlgitops.console import Console
from mlgitops.delivery.kubernetes import Kubectl, KubernetesDriver, Parts
from mlgitops.delivery.kubernetes.rollout import NOTE
from mlgitops.delivery.ledger import Ledger
from mlgitops.delivery.loop.observed import Desired, ServedModel
from mlgitops.delivery.loop.reconcile import Ending, Outcome, reconcile
from mlgitops.dvc.stored import locate
from mlgitops.errors import MlgitopsError
from mlgitops.git.repository import Repository
from mlgitops.git.wanted import read_wanted
from mlgitops.model.ledger import Event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from template.conftest import Generate

pytestmark = pytest.mark.slow

__all__ = ["cluster"]

HERE = Path(__file__).parent / "cluster"
LOCK = "schema: '2.0'\nstages:\n  train:\n    cmd: train\n    outs:\n"
OUT = "    - {{path: model/model.skops, hash: md5, md5: {md5}, size: {size}}}\n"
DEPLOYMENT = "/apis/apps/v1/namespaces/flight-delays-staging/deployments/server"


@dataclass
class Emulator:
    """A running emulator, and the kubectl that talks to it."""

    process: subprocess.Popen[str]
    kubectl: Kubectl

    def tell(self, image: str, outcome: str) -> None:
        """Say what becomes of the pods of an image from now on."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps({hash_text(image): outcome}) + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "noted\n"

    def read(self, path: str) -> dict[str, Any]:
        """Return what the API has at a path."""
        data = self.kubectl.read(path)
        assert data is not None
        content: dict[str, Any] = json.loads(data)
        return content


def hash_text(text: str) -> str:
    """Return 64 hex digits for a name."""
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def emulator(
    cluster: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Emulator]:
    """Return an emulator without an object, which kubectl's current context names."""
    program = [str(cluster / "bin" / "python"), str(HERE / "emulate_cluster.py")]
    with subprocess.Popen(
        program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        address = process.stdout.readline().strip()
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "emulated",
            "contexts": [{"name": "emulated", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": address}}],
            "users": [{"name": "u", "user": {}}],
        }
        (tmp_path / "kubeconfig").write_text(json.dumps(config), "utf-8")
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        monkeypatch.setenv("HOME", str(tmp_path))  # where kubectl keeps what it discovered
        yield Emulator(process, Kubectl(program=str(cluster / "bin" / "kubectl")))
        assert process.stdin
        process.stdin.close()
        assert process.wait(60) == 0


class CutOff(Kubectl):
    """A kubectl whose nth request to the cluster is its last: odd ones are sent before that."""

    def __init__(self, kubectl: Kubectl, left: int) -> None:
        super().__init__(program=kubectl.program)
        self.__dict__["left"] = left

    def _run(self, *words: str) -> str:
        if words[0] == "kustomize":
            return super()._run(*words)
        self.__dict__["left"] -= 1
        if self.__dict__["left"] == 0:
            with contextlib.suppress(MlgitopsError):
                super()._run(*words)
            raise KeyboardInterrupt("cut off")
        return super()._run(*words)


@dataclass
class Scene:
    """A project whose main branch says what staging should serve, and the cluster it goes to."""

    project: Path
    emulator: Emulator
    opened: list[str] = field(default_factory=list)  # reasons
    checked: list[ServedModel] = field(default_factory=list)  # whether they are published
    closed: list[str] = field(default_factory=list)  # commits
    environment: str = "staging"

    def want(self, model: str, **settings: object) -> str:
        """Merge a model, then the state that wants it with its image; return that one's commit."""
        data = model.encode()
        digest = hashlib.sha256(data).hexdigest()
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        (self.project / "model").mkdir(exist_ok=True)
        (self.project / "model" / "model.json").write_text(json.dumps({"sha256": digest}))
        (self.project / "dvc.lock").write_text(LOCK + OUT.format(md5=md5, size=len(data)))
        git(self.project, "add", "--all", "--force")
        git(self.project, "commit", "--quiet", "--message", f"Train {model}")
        revision = git(self.project, "rev-parse", "HEAD").strip()
        folder = self.project / "deploy" / self.environment
        lines = {"model": "flight-delays", "revision": revision, "sha256": digest, "port": 8081}
        text = "".join(f"{key}: {json.dumps(value)}\n" for key, value in (lines | settings).items())
        (folder / "model.yaml").write_text(text, "utf-8")
        overlay = (folder / "kustomization.yaml").read_text("utf-8")
        before = next(line for line in overlay.splitlines() if "digest:" in line)
        after = f"    digest: sha256:{hash_text(model)}"
        (folder / "kustomization.yaml").write_text(overlay.replace(before, after), "utf-8")
        git(self.project, "add", "--all")
        git(self.project, "commit", "--quiet", "--message", f"Want {model}")
        return git(self.project, "rev-parse", "HEAD").strip()

    def read_desired(self) -> Desired:
        """Return what the tip of main wants."""
        with Repository(self.project) as repository:
            tip = repository.resolve("HEAD")
            file = f"deploy/{self.environment}"
            wanted = read_wanted(repository, "", self.environment, tip)
            assert wanted.sha256
            served = ServedModel(
                model=wanted.model,
                sha256=wanted.sha256,
                revision=wanted.commit,
                commit=repository.list_changes(tip, file, most=1)[0],
            )
            return Desired(served=served, bake=wanted.bake)

    def open(self, served: ServedModel, reason: str) -> int | None:  # noqa: ARG002
        """Take note of an issue."""
        self.opened.append(reason)
        return None

    def close(self, commit: str) -> None:
        """Take note that it was closed."""
        self.closed.append(commit)

    def deploy(self, *, patient: bool = True, cut: int = 0) -> Outcome:
        """Run the loop as a command of its own would; ``cut`` it off at that request."""
        console = Console(quiet=True)
        with Repository(self.project) as repository:
            parts = Parts(
                kubectl=CutOff(self.emulator.kubectl, cut) if cut else self.emulator.kubectl,
                repository=repository,
                prefix="",
                environment=self.environment,
                read_desired=self.read_desired,
                check_available=self.checked.append,
                ledger=Ledger(self.project, "", console),
                reporter=self,
                lock=self.project.parent / "lock",
                console=console,
                poll=0.1,
            )
            return reconcile(KubernetesDriver(parts), console, patient=patient)

    def read_events(self) -> list[tuple[str, str]]:
        """Return the ledger: event and commit of each entry."""
        entries = Ledger(self.project, "").read("staging")
        return [(entry.event.value, entry.commit) for entry in entries]

    def find_image(self) -> str:
        """Return the digest of the image that the Deployment wants."""
        spec = self.emulator.read(DEPLOYMENT)["spec"]["template"]["spec"]
        image: str = spec["containers"][0]["image"]
        return image.rpartition(":")[2]


@pytest.fixture(scope="module")
def generated(generate: Generate, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a generated project; only to be copied."""
    return generate(tmp_path_factory.mktemp("target"))


@pytest.fixture
def scene(generated: Path, emulator: Emulator, tmp_path: Path) -> Scene:
    """Return a project with nothing deployed."""
    shutil.copytree(generated, tmp_path / "project")
    return Scene(tmp_path / "project", emulator)


def merge(scene: Scene, file: str, before: str, after: str) -> None:
    """Replace a text of a file below deploy/staging, once, and commit."""
    path = scene.project / "deploy" / "staging" / file
    text = path.read_text("utf-8")
    assert text.count(before) == 1, text
    path.write_text(text.replace(before, after), "utf-8")
    git(scene.project, "commit", "--quiet", "--all", "--message", "Change")


def list_names(outcome: Outcome) -> list[str]:
    """Return the names of the effects of a run, without those of waiting."""
    names = [type(effect).__name__ for effect in outcome.effects]
    return [name for name in names if name != "Wait"]


def test_a_desired_state_is_rolled_out_and_a_second_run_finds_nothing_to_do(scene: Scene) -> None:
    """The Deployment runs the image and carries its model; the ledger has one entry."""
    commit = scene.want("first")
    outcome = scene.deploy()
    assert outcome.ending is Ending.SERVING
    assert list_names(outcome) == ["Fetch", "Start", "Switch", "Append", "Confirm"]
    assert scene.find_image() == hash_text("first")
    assert scene.read_events() == [("switched", commit)]
    assert scene.deploy().effects == ()
    assert scene.read_events() == [("switched", commit)]


def test_the_command_rolls_out_where_the_file_names_the_target(
    scene: Scene, cluster: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Through the gate of publication; what only the target `local` has is refused."""
    monkeypatch.setenv("PATH", f"{cluster / 'bin'}:{os.environ['PATH']}")
    (scene.project / ".dvc" / "config").write_text(write_config("../../store"), "utf-8")
    commit = scene.want("first", target="kubernetes")
    words = ["deploy", "staging", "--directory", str(scene.project)]
    assert run(words) == 2
    assert "is not in the storage" in capsys.readouterr().err
    for option, problem in (("--port=80", "--port is for"), ("--install", "--install is for")):
        assert run([*words, option]) == 2
        assert problem in capsys.readouterr().err
    publish(scene, "first")
    assert run([*words, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["commit"], document["changed"]) == (commit, True)
    assert scene.find_image() == hash_text("first")
    scene.emulator.tell("second", "crash")
    scene.want("second", target="kubernetes")
    publish(scene, "second")
    assert run(words) == 1
    assert "serves on" in capsys.readouterr().err
    assert scene.find_image() == hash_text("first")
    assert run([*words, "--status"]) == 2
    assert "kubectl get deployments,pods" in capsys.readouterr().err


def publish(scene: Scene, model: str) -> None:
    """Put a model into the storage beside the project."""
    data = model.encode()
    oid = hashlib.md5(data, usedforsecurity=False).hexdigest()
    file = scene.project.parent / "store" / locate(oid)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)


def test_a_model_that_ends_is_undone_and_not_tried_again(scene: Scene) -> None:
    """The old one goes on serving, the new is condemned by its commit, and one issue says so."""
    first = scene.want("first")
    scene.deploy()
    scene.emulator.tell("second", "crash")
    second = scene.want("second")
    outcome = scene.deploy()
    assert outcome.ending is Ending.RETURNED
    assert outcome.reason == "`server` ended with exit code 1, 3 times: the server ended"
    assert "Stop" in list_names(outcome)
    assert scene.find_image() == hash_text("first")
    assert scene.read_events() == [("switched", first), ("condemned", second)]
    assert scene.opened == [outcome.reason]
    again = scene.deploy()
    assert (again.ending, again.effects) == (Ending.RETURNED, ())
    third = scene.want("third")
    assert scene.deploy().ending is Ending.SERVING
    assert scene.read_events()[2:] == [("switched", third)]
    assert (len(scene.opened), scene.closed) == (1, [second])


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        ("unwanted", "`check-model` ended with exit code 1, 3 times: another model is wanted"),
        ("late", "not ready in time: it has timed out progressing"),
    ],
)
def test_a_first_model_that_fails_is_condemned(scene: Scene, outcome: str, reason: str) -> None:
    """There is nothing to return to: the run fails and says why."""
    scene.emulator.tell("first", outcome)
    commit = scene.want("first")
    result = scene.deploy()
    assert (result.ending, result.reason) == (Ending.FAILED, reason)
    assert scene.read_events() == [("condemned", commit)]
    assert scene.deploy().effects == ()


def test_a_registry_that_fails_condemns_nobody(scene: Scene) -> None:
    """An image that cannot be pulled is no verdict: exit code 2, and later it goes on."""
    scene.want("first")
    scene.deploy()
    scene.emulator.tell("second", "unpullable")
    second = scene.want("second")
    with pytest.raises(MlgitopsError, match="the image cannot be pulled: no such image"):
        scene.deploy()
    assert len(scene.read_events()) == 1
    scene.emulator.tell("second", "ready")
    assert scene.deploy().ending is Ending.SERVING
    assert scene.read_events()[1] == ("switched", second)


def test_a_model_that_dies_in_its_bake_is_taken_back(scene: Scene) -> None:
    """What served before is rolled out again, and the ledger says that it returned, and why."""
    first = scene.want("first")
    scene.deploy()
    second = scene.want("second", bake=3600)
    assert scene.deploy(patient=False).ending is Ending.BAKING
    scene.emulator.tell("second", "crash")
    outcome = scene.deploy()
    assert outcome.ending is Ending.RETURNED
    assert scene.find_image() == hash_text("first")
    assert scene.read_events() == [
        ("switched", first),
        ("switched", second),
        ("condemned", second),
        ("switched", first),
    ]
    assert Ledger(scene.project, "").read("staging")[-1].event is Event.SWITCHED


def test_a_model_comes_back_with_the_manifests_that_it_had_at_last(scene: Scene) -> None:
    """An image that was rebuilt after its switch is not undone, nor is anything else since."""
    first = scene.want("first")
    scene.deploy()
    merge(scene, "kustomization.yaml", hash_text("first"), hash_text("rebuilt"))
    assert scene.deploy().ending is Ending.SERVING
    scene.want("second", bake=3600)
    assert scene.deploy(patient=False).ending is Ending.BAKING
    scene.emulator.tell("second", "crash")
    assert scene.deploy().ending is Ending.RETURNED
    assert scene.find_image() == hash_text("rebuilt")
    assert scene.read_events()[-1] == ("switched", first)
    assert scene.deploy().effects == ()


def test_a_bake_that_begins_in_the_future_begins_now(scene: Scene) -> None:
    """A clock that was set back neither ends a bake nor makes it last for years."""
    scene.want("first", bake=3600)
    assert scene.deploy(patient=False).ending is Ending.BAKING
    note = json.loads(scene.emulator.read(DEPLOYMENT)["metadata"]["annotations"][NOTE])
    later = json.dumps(note | {"began": note["began"] + 1e9})
    scene.emulator.kubectl.annotate("flight-delays-staging", "server", {NOTE: later})
    assert scene.deploy(patient=False).ending is Ending.BAKING
    after = json.loads(scene.emulator.read(DEPLOYMENT)["metadata"]["annotations"][NOTE])
    assert note["began"] <= after["began"] <= time.time()


def test_a_pod_of_a_stranger_decides_nothing(scene: Scene) -> None:
    """It has the labels and notes of ours, ends again and again, and runs another image."""
    scene.emulator.tell("any", "stranger")
    commit = scene.want("first")
    assert scene.deploy().ending is Ending.SERVING
    assert scene.read_events() == [("switched", commit)]
    path = "/api/v1/namespaces/flight-delays-staging/pods"
    names = [pod["metadata"]["name"] for pod in scene.emulator.read(path)["items"]]
    assert sorted(names) == ["pod", "stranger"]


def test_other_images_on_the_nodes_are_not_confirmed(scene: Scene) -> None:
    """What runs must be what git names: another digest there ends the run, and is no success."""
    scene.emulator.tell("first", "swapped")
    scene.want("first")
    with pytest.raises(MlgitopsError, match=r"the nodes run 'ghcr.io/.*fff', not sha256:"):
        scene.deploy()


def test_other_images_on_the_nodes_are_not_confirmed_for_newer_manifests(scene: Scene) -> None:
    """The model was confirmed with its first image, which says nothing of the next."""
    scene.want("first")
    scene.deploy()
    scene.emulator.tell("rebuilt", "swapped")
    merge(scene, "kustomization.yaml", hash_text("first"), hash_text("rebuilt"))
    with pytest.raises(MlgitopsError, match=r"the nodes run 'ghcr.io/.*fff', not sha256:"):
        scene.deploy()
    scene.emulator.tell("rebuilt", "ready")
    assert list_names(scene.deploy()) == ["Route"]


def wait_for_image(scene: Scene, digest: str) -> None:
    """Wait until the cluster's pods run an image and are ready."""
    path = "/api/v1/namespaces/flight-delays-staging/pods"
    ending = time.monotonic() + 60
    while time.monotonic() < ending:
        for pod in scene.emulator.read(path)["items"]:
            (status,) = pod["status"]["containerStatuses"]
            if status["ready"] and status["imageID"].endswith(digest):
                return
        time.sleep(0.05)
    raise AssertionError(f"no pod runs {digest}")


def test_an_image_that_the_nodes_changed_later_is_no_success(scene: Scene) -> None:
    """Whatever put it there, a run that has nothing else to do notices it."""
    scene.want("first")
    scene.deploy()
    scene.emulator.tell("first", "swapped")
    wait_for_image(scene, "f" * 64)
    with pytest.raises(MlgitopsError, match=r"the nodes run 'ghcr.io/.*fff', not sha256:"):
        scene.deploy()
    scene.emulator.tell("first", "ready")
    wait_for_image(scene, hash_text("first"))
    assert scene.deploy().effects == ()


def test_an_image_that_somebody_changed_in_the_deployment_is_changed_back(scene: Scene) -> None:
    """As with `kubectl set image`; also where git's newest manifests are refused ones."""
    first = scene.want("first")
    scene.deploy()
    change_image(scene, "theirs")
    assert list_names(scene.deploy()) == ["Route"]
    assert scene.find_image() == hash_text("first")
    scene.emulator.tell("broken", "crash")
    merge(scene, "kustomization.yaml", hash_text("first"), hash_text("broken"))
    with pytest.raises(MlgitopsError, match="do not come up"):
        scene.deploy()
    change_image(scene, "theirs")
    assert list_names(scene.deploy()) == ["Route"]
    assert scene.find_image() == hash_text("first")
    assert scene.read_events() == [("switched", first)]


def change_image(scene: Scene, image: str) -> None:
    """Put another image into the Deployment past git, and wait until it serves."""
    content = scene.emulator.read(DEPLOYMENT)
    server = content["spec"]["template"]["spec"]["containers"][0]
    server["image"] = server["image"].replace(hash_text("first"), hash_text(image))
    metadata = {key: content["metadata"][key] for key in ("name", "namespace")}
    scene.emulator.kubectl.apply(
        [{key: content[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": metadata}]
    )
    wait_for_image(scene, hash_text(image))


def test_manifests_that_are_merged_during_a_rollout_are_followed(scene: Scene) -> None:
    """What is noted is what runs, which is not yet what the newest commit says."""
    scene.want("first")
    with pytest.raises(KeyboardInterrupt, match="cut off"):
        scene.deploy(cut=4)
    merge(scene, "kustomization.yaml", hash_text("first"), hash_text("rebuilt"))
    outcome = scene.deploy()
    assert outcome.ending is Ending.SERVING
    assert "Route" in list_names(outcome)
    assert scene.find_image() == hash_text("rebuilt")


def test_a_run_stays_in_the_context_that_it_began_in(emulator: Emulator, tmp_path: Path) -> None:
    """Somebody switches to another cluster while a rollout is waited for."""
    pinned = emulator.kubectl.pin()
    assert pinned.context == "emulated"
    file = tmp_path / "kubeconfig"
    config = json.loads(file.read_text("utf-8"))
    config["clusters"].append({"name": "d", "cluster": {"server": "http://127.0.0.1:9"}})
    config["contexts"].append({"name": "other", "context": {"cluster": "d", "user": "u"}})
    file.write_text(json.dumps(config | {"current-context": "other"}), "utf-8")
    assert pinned.read(DEPLOYMENT) is None
    with pytest.raises(MlgitopsError, match="refused"):
        emulator.kubectl.read(DEPLOYMENT)
    file.write_text(json.dumps(config | {"current-context": ""}), "utf-8")
    assert emulator.kubectl.pin() == emulator.kubectl
    with pytest.raises(MlgitopsError, match="not installed"):
        Kubectl(program=str(tmp_path / "kubectl")).pin()


def test_an_environment_in_the_namespace_of_another_is_refused(scene: Scene) -> None:
    """A copied folder that kept its namespace changes nothing of what runs there."""
    scene.want("first")
    scene.deploy()
    shutil.copytree(scene.project / "deploy" / "staging", scene.project / "deploy" / "copy")
    scene.environment = "copy"
    scene.want("second")
    with pytest.raises(MlgitopsError, match="that of the environment 'staging'"):
        scene.deploy()
    assert scene.find_image() == hash_text("first")


@pytest.mark.parametrize(
    ("file", "before", "after", "problem"),
    [
        ("kustomization.yaml", hash_text("first"), "0" * 64, "no digest names the image"),
        ("kustomization.yaml", "digest: sha256:", "newTag: v", "no digest names the image"),
        ("kustomization.yaml", "../base # or ../kserve", "../kserve", "and 0 are there"),
        (
            "model.yaml",
            "port: 8081",
            "port: 8081\ntarget: kubernetes\ncanary: 20",
            "cannot be done on Kubernetes",
        ),
    ],
)
def test_what_cannot_run_is_not_sent(
    file: str, before: str, after: str, problem: str, scene: Scene
) -> None:
    """It is refused before the cluster is asked for anything, by name."""
    scene.want("first")
    if "kserve" in after:
        overlay = scene.project / "deploy" / "staging" / file
        overlay.write_text(overlay.read_text("utf-8").partition("patches:")[0], "utf-8")
    merge(scene, file, before, after)
    with pytest.raises(MlgitopsError, match=problem):
        scene.deploy()
    assert scene.emulator.kubectl.read(DEPLOYMENT) is None
    assert scene.read_events() == []


def test_another_model_than_the_desired_state_names_is_not_sent(scene: Scene) -> None:
    """model.yaml without a sha256 would admit no server: it is refused here already."""
    scene.want("first")
    desired = scene.read_desired()
    merge(scene, "model.yaml", f'"{desired.served.sha256}"', "null")
    commit = git(scene.project, "rev-parse", "HEAD").strip()
    served = structs.replace(desired.served, commit=commit)
    scene.read_desired = lambda: Desired(served=served)  # type: ignore[method-assign]
    with pytest.raises(MlgitopsError, match="a server starts only with the model"):
        scene.deploy()


@pytest.mark.parametrize(
    ("note", "problem"),
    [
        ("{", "it cannot be read"),
        ('{"slot": "c"}', "it cannot be read: Invalid enum value 'c'"),
        ('{"slot": "a", "now": 1}', "it cannot be read: Object contains unknown field `now`"),
    ],
)
def test_a_foreign_note_in_the_cluster_is_refused(note: str, problem: str, scene: Scene) -> None:
    """What we wrote there is read strictly: anything else ends the run and changes nothing."""
    scene.want("first")
    scene.deploy()
    namespace = "flight-delays-staging"
    scene.emulator.kubectl.annotate(namespace, "server", {"mlgitops.io/active": note})
    scene.want("second")
    with pytest.raises(MlgitopsError, match=problem):
        scene.deploy()
    assert scene.find_image() == hash_text("first")


def test_newer_manifests_for_the_same_model_are_followed_or_taken_back(scene: Scene) -> None:
    """A changed overlay rolls the same model over; one that does not come up is not kept."""
    commit = scene.want("first")
    scene.deploy()
    merge(scene, "kustomization.yaml", hash_text("first"), hash_text("rebuilt"))
    assert list_names(scene.deploy()) == ["Route"]
    assert scene.find_image() == hash_text("rebuilt")
    assert scene.deploy().effects == ()
    scene.emulator.tell("broken", "crash")
    merge(scene, "kustomization.yaml", hash_text("rebuilt"), hash_text("broken"))
    with pytest.raises(MlgitopsError, match="do not come up: `server` ended with exit code 1"):
        scene.deploy()
    assert scene.find_image() == hash_text("rebuilt")
    assert scene.deploy().effects == ()
    assert scene.read_events() == [("switched", commit)]
    second = scene.want("second")
    assert scene.deploy().ending is Ending.SERVING
    assert scene.read_events()[1:] == [("switched", second)]


@pytest.mark.parametrize("call", [4, 9, 12])
def test_a_run_that_is_cut_off_is_finished_by_the_next(call: int, scene: Scene) -> None:
    """Whatever kubectl was asked for last, done or not: the next run ends as if nothing was."""
    first = scene.want("first")
    with pytest.raises(KeyboardInterrupt, match="cut off"):
        scene.deploy(cut=call)
    assert scene.deploy().ending is Ending.SERVING
    assert scene.find_image() == hash_text("first")
    assert scene.read_events() == [("switched", first)]
    assert scene.deploy().effects == ()
