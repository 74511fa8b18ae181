"""Bring a generated project's model into service in a real cluster of kind, then a wrong image.

Rung 6 of docs/how-to/kubernetes.md says what this proves and what it does not. It needs docker,
kind 0.27 or newer and kubectl, as GitHub's ubuntu-24.04 runners have them, and leaves a container
`kind-registry` and a cluster `kind` behind; `--until release` needs none of the three.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mlgitops.console import Console
from mlgitops.delivery.golden import Golden, check_golden, read_golden
from mlgitops.delivery.images.pinned import edit_pinned, parse_digest
from mlgitops.delivery.processes import find_free_port
from mlgitops.errors import EXIT_FAIL, EXIT_PASS
from mlgitops.process import run_program
from mlgitops.rehearsal.demonstration.stage import Stage, edit_file

if TYPE_CHECKING:
    from collections.abc import Iterator

MODEL = "penguins"
IMAGE = f"localhost:5001/{MODEL}"
NAMESPACE = f"{MODEL}-staging"
MOST_SECONDS = 1_200  # for one program
OVERLAY = "deploy/staging/kustomization.yaml"
OTHER_SETTINGS = {"settings: {C: 1.0,": "settings: {C: 0.1,"}
#: https://kind.sigs.k8s.io/docs/user/local-registry/
REGISTRY = ("-p", "127.0.0.1:5001:5000", "--network", "bridge", "--name", "kind-registry")
HOSTS = '[host."http://kind-registry:5000"]'
HOSTS_FOLDER = "/etc/containerd/certs.d/localhost:5001"


def main() -> None:
    """Play the whole, or only what needs no container; any step that fails ends it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="a new folder for all that is made")
    parser.add_argument("--until", choices=["release"], help="end before the first container")
    options = parser.parse_args()
    options.folder.mkdir(parents=True)
    stage = Stage(options.folder.resolve(), Console())
    project = release_model(stage)
    other = train_other(stage)
    if not options.until:
        start_cluster(stage)
        promote(stage, project, push_image(stage, project, "wanted"))
        golden = read_golden(project / "reports/golden.json")
        deploy_and_ask(stage, project, golden, EXIT_PASS)
        pin(stage, project, push_image(stage, other, "other"))
        deploy_and_ask(stage, project, golden, EXIT_FAIL)


def release_model(stage: Stage) -> Path:
    """Generate a project for Kubernetes, train it, publish and release its model."""
    with stage.chapter("A project, its model, a release"):
        words = ("--no-input", "--json", "--task", "multiclass", "--owner", "acme")
        folder = ("--directory", str(stage.folder))
        project = Path(json.loads(stage.run("new", *words, *folder, cwd=stage.folder))["project"])
        stage.git(stage.folder, "init", "--quiet", "--bare", "origin.git")
        stage.git(project, "remote", "add", "origin", str(stage.folder / "origin.git"))
        edit_file(project, OVERLAY, {f"ghcr.io/acme/{MODEL}": IMAGE}, stage.console)
        target = {"\nport: 8081": "\ntarget: kubernetes\nport: 8081"}
        edit_file(project, "deploy/staging/model.yaml", target, stage.console)
        push_main(stage, project, "Run staging on Kubernetes")
        for command in ("setup", "train", "publish"):
            stage.run(command, cwd=project)
        push_main(stage, project, "Train the first model")
        stage.git(project, "remote", "set-head", "origin", "main")
        stage.run("release", "--push", cwd=project)
    return project


def train_other(stage: Stage) -> Path:
    """Train another model in a clone of its own; nobody merges it."""
    with stage.chapter("Another model"):
        stage.git(stage.folder, "clone", "--quiet", "--branch", "main", "origin.git", "other")
        other = stage.folder / "other"
        stage.run("setup", cwd=other)
        edit_file(other, "params.yaml", OTHER_SETTINGS, stage.console)
        stage.run("train", cwd=other)
    assert read_sha256(other) != read_sha256(stage.folder / MODEL)
    return other


def push_main(stage: Stage, project: Path, message: str) -> None:
    """Commit everything on main and push it, as a merge would."""
    stage.git(project, "add", "--all")
    stage.git(project, "commit", "--quiet", "--message", message)
    stage.git(project, "push", "--quiet", "--set-upstream", "origin", "main")


def start_cluster(stage: Stage) -> None:
    """Make a cluster whose nodes find a registry of this machine under the name that we push to."""
    with stage.chapter("A cluster and a registry"):
        call(stage, "docker", "run", "--detach", *REGISTRY, "registry:3")
        call(stage, "kind", "create", "cluster", "--wait", "180s")
        write = f"mkdir -p {HOSTS_FOLDER} && echo '{HOSTS}' > {HOSTS_FOLDER}/hosts.toml"
        for node in call(stage, "kind", "get", "nodes").split():
            call(stage, "docker", "exec", node, "sh", "-c", write)
        call(stage, "docker", "network", "connect", "kind", "kind-registry")


def push_image(stage: Stage, project: Path, tag: str) -> str:
    """Build the image of the model in a work tree and push it; return it as NAME@DIGEST."""
    with stage.chapter(f"The image of the {tag} model"):
        call(stage, "docker", "build", "--tag", f"{IMAGE}:{tag}", str(project))
        call(stage, "docker", "push", f"{IMAGE}:{tag}")
        digests = "{{index .RepoDigests 0}}"
        return call(stage, "docker", "inspect", "--format", digests, f"{IMAGE}:{tag}").strip()


def promote(stage: Stage, project: Path, image: str) -> None:
    """Let staging want the release in this image: propose it, and merge that."""
    words = ("promote", "--to", "staging", "--image", image, "--json")
    branch = json.loads(stage.run(*words, cwd=project))["branch"]
    stage.git(project, "fetch", "--quiet", "origin")
    stage.git(project, "merge", "--quiet", "--no-ff", "--no-edit", f"origin/{branch}")
    stage.git(project, "push", "--quiet", "origin", "main")


def pin(stage: Stage, project: Path, image: str) -> None:
    """Merge another image for the same desired state, which `promote` would refuse."""
    overlay = project / OVERLAY
    overlay.write_bytes(edit_pinned(overlay.read_bytes(), parse_digest(image), where=OVERLAY))
    push_main(stage, project, "Pin another image")


def deploy_and_ask(stage: Stage, project: Path, golden: Golden, code: int) -> None:
    """Deploy, which must end with exactly this code; then the released model must answer."""
    with stage.chapter(f"Deploy: exit code {code}, and the released model answers"):
        stage.run("deploy", "staging", cwd=project, allowed=(code,))
        with forward_port() as port:
            headers = check_golden(port, MODEL, golden)
        assert headers["model-sha256"] == read_sha256(project), headers
        stage.console.say(f"   golden prediction by {headers['model-sha256'][:12]}")


def read_sha256(project: Path) -> str:
    """Return the digest of the model that a work tree holds."""
    return str(json.loads((project / "model/model.json").read_text("utf-8"))["sha256"])


@contextmanager
def forward_port() -> Iterator[int]:
    """Yield a port of this machine behind which a server of the environment answers."""
    port = find_free_port()
    words = ("kubectl", "port-forward", "--namespace", NAMESPACE, "service/server", f"{port}:80")
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            assert process.stdout.readline().startswith("Forwarding from"), "no port was forwarded"
            yield port
        finally:
            process.terminate()


def call(stage: Stage, *words: str) -> str:
    """Show a command and run it; return what it printed."""
    stage.console.say(f"   $ {' '.join(words)}")
    return run_program(words, timeout=MOST_SECONDS)


if __name__ == "__main__":
    main()
