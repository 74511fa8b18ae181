"""The manifests below deploy/: built, held against upstream's schemas and types, and our rules.

What each rung proves stands in docs/how-to/kubernetes.md. No cluster runs here.
"""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from kept_environments import make_locked
from npm_packages import install_packages
from template.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from template.conftest import Generate

HERE = Path(__file__).parent / "cluster"
BIN = Path(sys.executable).parent
TEMPLATE = ROOT / "{{cookiecutter.project_slug}}"
VERSIONS = ("1.33", "1.34", "1.35", "1.36", "1.37")
#: Group of a custom resource to the package with its types.
PACKAGES = {
    "argoproj.io": "argo-cd",
    "source.toolkit.fluxcd.io": "flux-cd",
    "kustomize.toolkit.fluxcd.io": "flux-cd",
}
Object = dict[str, Any]


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the environment with kubectl, the schemas and Rego, from requirements/cluster.txt."""
    return make_locked("cluster", ROOT / "requirements" / "cluster.txt", tmp_path_factory)


@pytest.fixture(scope="module")
def project(generate: Generate, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project whose owner is a team, as its address must not show."""
    return generate(tmp_path_factory.mktemp("manifests"), owner="Acme/model-team")


@pytest.fixture(scope="module")
def built(cluster: Path, project: Path) -> dict[str, list[Object]]:
    """Return environment → its objects; `kserve` is staging as an InferenceService."""
    overlay = project / "deploy" / "staging" / "kustomization.yaml"
    text = overlay.read_text("utf-8")
    kserve = project / "deploy" / "kserve-staging"
    kserve.mkdir()
    other, count = re.subn(r"\.\./base\b.*", "../kserve", text[: text.index("patches:")])
    assert count == 1
    (kserve / overlay.name).write_text(other, "utf-8")
    (kserve / "model.yaml").write_bytes((overlay.parent / "model.yaml").read_bytes())
    return {
        "staging": build(cluster, overlay.parent),
        "production": build(cluster, project / "deploy" / "production"),
        "kserve": build(cluster, kserve),
    }


def build(cluster: Path, folder: Path) -> list[Object]:
    """Return the objects that `kubectl kustomize` makes of a folder."""
    command = [str(cluster / "bin" / "kubectl"), "kustomize", str(folder)]
    return list(yaml.safe_load_all(subprocess.check_output(command, text=True)))


def ask(environment: Path, program: str, content: object, *words: str) -> Any:  # noqa: ANN401 - JSON
    """Run a program of tests/template/cluster in an environment; return what it found."""
    command = [str(environment / "bin" / "python"), str(HERE / program), *words]
    done = subprocess.run(
        command, input=json.dumps(content), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def pick(objects: list[Object], kind: str) -> Object:
    """Return the first object of a kind."""
    return next(x for x in objects if x["kind"] == kind)


def test_an_environment_carries_its_desired_state_and_its_image(
    built: Mapping[str, list[Object]], project: Path
) -> None:
    """Each server is given model.yaml as it stands, and runs an image that a digest names."""
    image = "ghcr.io/acme/flight-delays@sha256:" + 64 * "0"
    for name in ("staging", "production"):
        spec = pick(built[name], "Deployment")["spec"]["template"]["spec"]
        variables = {x["name"]: x["value"] for x in spec["initContainers"][0]["env"]}
        desired = (project / "deploy" / name / "model.yaml").read_text("utf-8")
        assert variables == {"DESIRED_STATE": desired}
        assert {x["image"] for x in spec["containers"] + spec["initContainers"]} == {image}
        namespaces = {x["metadata"].get("namespace") for x in built[name]} - {None}
        assert namespaces == {f"flight-delays-{name}"} == {built[name][0]["metadata"]["name"]}
    assert not any(x["kind"] == "ConfigMap" for objects in built.values() for x in objects)


def test_another_desired_state_is_another_revision_of_the_deployment(
    cluster: Path, project: Path, built: Mapping[str, list[Object]]
) -> None:
    """A changed model.yaml alone changes the pods: a cluster rolls it out, and can undo it."""
    file = project / "deploy" / "staging" / "model.yaml"
    before = file.read_text("utf-8")
    file.write_text(before.replace("sha256: null", f'sha256: "{"a" * 64}"'), "utf-8")
    changed = pick(build(cluster, file.parent), "Deployment")["spec"]["template"]
    file.write_text(before, "utf-8")
    template = pick(built["staging"], "Deployment")["spec"]["template"]
    assert changed != template
    assert changed["spec"]["containers"] == template["spec"]["containers"]


def test_kubernetes_schemas_have_no_finding(
    cluster: Path, built: Mapping[str, list[Object]]
) -> None:
    """Every object of an environment is valid in five versions, with unknown keys forbidden."""
    objects = [x for name in ("staging", "production") for x in built[name]]
    assert ask(cluster, "check_schemas.py", objects, *VERSIONS) == []


def test_kubernetes_schemas_find_what_is_misspelt(
    cluster: Path, built: Mapping[str, list[Object]]
) -> None:
    """A misspelt key, a wrong type and a field too many are each found, in every version."""
    broken = []
    for path, content in (
        (("readinessProbe", "failureTreshold"), 2),
        (("livenessProbe", "periodSeconds"), "10"),
        (("securityContext", "readOnlyRootFileSystem"), True),
    ):
        deployment = copy.deepcopy(pick(built["staging"], "Deployment"))
        get_server(deployment)[path[0]][path[1]] = content
        broken.append(deployment)
    assert len(ask(cluster, "check_schemas.py", broken, *VERSIONS)) == 3 * len(VERSIONS)


@pytest.fixture(scope="module")
def types(tmp_path_factory: pytest.TempPathFactory) -> Callable[[list[Object]], str]:
    """Return a function that holds objects against the types of Argo CD and Flux."""
    modules = install_packages(HERE / "custom-resources")
    folder = tmp_path_factory.mktemp("types")
    (folder / "node_modules").symlink_to(modules)
    (folder / "package.json").write_text('{"type": "module"}', "utf-8")

    def check(objects: list[Object]) -> str:
        lines = []
        for at, content in enumerate(objects):
            group, _, version = content["apiVersion"].partition("/")
            kind = content["kind"]
            path = f"@kubernetes-models/{PACKAGES[group]}/{group}/{version}/{kind}"
            lines += [f"import type {{ I{kind} as Type{at} }} from {json.dumps(path)};"]
            lines += [f"export const object{at}: Type{at} = {json.dumps(content)};"]
        (folder / "objects.ts").write_text("\n".join(lines), "utf-8")
        options = ("--strict", "--noEmit", "--skipLibCheck", "--module", "nodenext")
        compiler = str(folder / "node_modules" / ".bin" / "tsc")
        command = [compiler, *options, "--types", "", "objects.ts"]
        environment = {"PATH": f"{BIN}:/usr/bin:/bin"}
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert bool(done.returncode) == ("error TS" in done.stdout), done.stdout + done.stderr
        return done.stdout

    return check


def read_objects(file: Path) -> list[Object]:
    """Return the objects that a file lists."""
    return list(yaml.safe_load_all(file.read_text("utf-8")))


@pytest.mark.parametrize("tool", ["argo-cd", "flux"])
def test_the_types_of_argo_cd_and_flux_have_no_finding(
    tool: str, project: Path, types: Callable[[list[Object]], str]
) -> None:
    """Every key is one that the tool's own Go types have, with a value of its type."""
    objects = read_objects(project / "deploy" / tool / "environments.yaml")
    assert len(objects) == 3
    assert types(objects) == ""


@pytest.mark.parametrize(
    ("tool", "kind", "path"),
    [
        ("argo-cd", "Application", "syncPolicy.automated.selfheal"),
        ("argo-cd", "Application", "source.targetRevison"),
        ("argo-cd", "AppProject", "sourceRepo"),
        ("flux", "Kustomization", "retryIntervall"),
        ("flux", "GitRepository", "ref.brunch"),
    ],
)
def test_the_types_find_what_is_misspelt(
    tool: str,
    kind: str,
    path: str,
    project: Path,
    types: Callable[[list[Object]], str],
) -> None:
    """A key that the tool would ignore in silence is named."""
    objects = read_objects(project / "deploy" / tool / "environments.yaml")
    put(pick(objects, kind)["spec"], path, "x")
    assert f"{path.rpartition('.')[2]}\"' does not exist" in types(objects)


def test_both_tools_follow_the_folders_that_are_there(project: Path) -> None:
    """Each environment has an Application and a Kustomization, which name its folder."""
    argo = read_objects(project / "deploy" / "argo-cd" / "environments.yaml")
    flux = read_objects(project / "deploy" / "flux" / "environments.yaml")
    paths = {x["spec"]["source"]["path"] for x in argo if x["kind"] == "Application"}
    paths_of_flux = {x["spec"]["path"] for x in flux if x["kind"] == "Kustomization"}
    environments = {f"deploy/{name}" for name in ("staging", "production")}
    assert paths == {path.removeprefix("./") for path in paths_of_flux} == environments
    assert all((project / path / "model.yaml").is_file() for path in paths)
    address = "https://github.com/Acme/flight-delays.git"
    assert {address} == {x["spec"]["source"]["repoURL"] for x in argo if "source" in x["spec"]}
    assert pick(flux, "GitRepository")["spec"]["url"] == address


@pytest.mark.slow
def test_kserve_takes_the_inference_service(
    built: Mapping[str, list[Object]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The types of KServe's own client have every key of it, and none that is misspelt."""
    serving = make_locked("serving", TEMPLATE / "requirements" / "serving.txt", tmp_path_factory)
    service = pick(built["kserve"], "InferenceService")
    lies = [copy.deepcopy(service) for _ in range(3)]
    put(lies[0], "spec.predictor.minReplica", 1)
    lies[1]["spec"]["predictor"]["containers"][0]["readinesProbe"] = {}
    put(lies[2], "spec.predictor.maxReplicas", "4")
    clean, *problems = ask(serving, "check_inference_service.py", [service, *lies])
    assert clean == []
    assert [found[0].split(":")[0] for found in problems] == [
        "InferenceService.spec.predictor.minReplica",
        "InferenceService.spec.predictor.containers[0].readinesProbe",
        "InferenceService.spec.predictor.maxReplicas is no int",
    ]


def put(content: Object, path: str, value: object) -> None:
    """Set what a dotted path names; ``...`` as the value removes it."""
    *parents, name = path.split(".")
    for parent in parents:
        content = content[parent]
    if value is ...:
        del content[name]
    else:
        content[name] = value


def get_server(deployment: Object) -> Object:
    """Return the container that serves."""
    container: Object = deployment["spec"]["template"]["spec"]["containers"][0]
    return container


def set_server(path: str, value: object) -> Callable[[list[Object]], None]:
    """Return what sets a path of the container that serves."""
    return lambda objects: put(get_server(pick(objects, "Deployment")), path, value)


def set_in(kind: str, path: str, value: object) -> Callable[[list[Object]], None]:
    """Return what sets a path of the first object of a kind."""
    return lambda objects: put(pick(objects, kind), path, value)


def drop(kind: str) -> Callable[[list[Object]], None]:
    """Return what removes the first object of a kind."""
    return lambda objects: objects.remove(pick(objects, kind))


POD = "spec.template.spec"
#: Rule of rules.rego → changes that break it and no other rule.
MUTANTS: dict[str, list[Callable[[list[Object]], None]]] = {
    "image-by-digest": [
        set_server("image", "ghcr.io/acme/flight-delays:latest"),
        set_server("image", "ghcr.io/acme/flight-delays@sha256:0000"),
    ],
    "read-only-root": [
        set_server("securityContext.readOnlyRootFilesystem", False),
        set_server("securityContext.readOnlyRootFilesystem", ...),
    ],
    "no-new-privileges": [set_server("securityContext.allowPrivilegeEscalation", ...)],
    "no-capabilities": [
        set_server("securityContext.capabilities", {"drop": ["ALL"], "add": ["NET_RAW"]}),
        set_server("securityContext.capabilities", ...),
    ],
    "not-root": [
        set_in("Deployment", f"{POD}.securityContext.runAsNonRoot", False),
        set_in("Deployment", f"{POD}.securityContext.runAsUser", 0),
    ],
    "seccomp": [set_in("Deployment", f"{POD}.securityContext.seccompProfile", ...)],
    "no-token": [set_in("Deployment", f"{POD}.automountServiceAccountToken", ...)],
    "nothing-of-the-node": [
        set_in("Deployment", f"{POD}.hostNetwork", True),
        set_in("Deployment", f"{POD}.volumes", [{"name": "tmp", "hostPath": {"path": "/"}}]),
    ],
    "resources": [
        set_server("resources.limits.memory", ...),
        set_server("resources.requests.cpu", ...),
    ],
    "probes": [set_server("readinessProbe", ...), set_server("livenessProbe", ...)],
    "golden-before-service": [set_server("startupProbe.exec", ...)],
    "wanted-model-only": [
        set_in("Deployment", f"{POD}.initContainers", []),
        lambda objects: pick(objects, "Deployment")["spec"]["template"]["spec"]["initContainers"][
            0
        ]["env"][0].update(value="filled in by the overlay"),
    ],
    "old-stays-until-new-serves": [
        set_in("Deployment", "spec.strategy.rollingUpdate.maxUnavailable", 1)
    ],
    "fails-in-the-end": [
        set_in("Deployment", "spec.progressDeadlineSeconds", 86400),
        set_in("Deployment", "spec.progressDeadlineSeconds", ...),
    ],
    "scaled": [drop("HorizontalPodAutoscaler"), set_in("Deployment", "spec.replicas", 3)],
    "disruption-budget": [
        drop("PodDisruptionBudget"),
        set_in("PodDisruptionBudget", "spec.selector.matchLabels", {"app": "another"}),
    ],
    "reached-by-service": [
        set_in("Service", "spec.type", "LoadBalancer"),
        set_in("Service", "spec.selector", {"app": "another"}),
    ],
    "closed-network": [
        drop("NetworkPolicy"),
        set_in("NetworkPolicy", "spec.policyTypes", ["Ingress"]),
        set_in("NetworkPolicy", "spec.egress", [{}]),
    ],
    "open-to-all": [
        lambda objects: next(
            x for x in objects if x["kind"] == "NetworkPolicy" and "ingress" in x["spec"]
        )["spec"]["ingress"][0].pop("from")
    ],
    "in-a-namespace": [set_in("Service", "metadata.namespace", ...)],
    "restricted-namespace": [
        lambda objects: objects[0]["metadata"]["labels"].update(
            {"pod-security.kubernetes.io/enforce": "baseline"}
        )
    ],
}


@pytest.fixture(scope="module")
def broken(cluster: Path, built: Mapping[str, list[Object]]) -> dict[str, list[list[str]]]:
    """Return rule → for each of its mutants, the rules that are broken."""
    names = [name for name, changes in MUTANTS.items() for _ in changes]
    mutants = []
    for change in (change for changes in MUTANTS.values() for change in changes):
        objects = copy.deepcopy(built["production"])
        change(objects)
        mutants.append(objects)
    answers: dict[str, list[list[str]]] = {}
    for name, rules in zip(names, ask(cluster, "check_rules.py", mutants), strict=True):
        answers.setdefault(name, []).append(rules)
    return answers


def test_our_manifests_break_no_rule(cluster: Path, built: Mapping[str, list[Object]]) -> None:
    """Both environments, and staging as an InferenceService, keep all rules."""
    assert ask(cluster, "check_rules.py", list(built.values())) == [[], [], []]


@pytest.mark.parametrize("rule", MUTANTS)
def test_a_rule_finds_what_breaks_it(rule: str, broken: Mapping[str, list[list[str]]]) -> None:
    """Each mutant of the manifests breaks the rule it is meant for, and no other."""
    assert broken[rule] == [[rule]] * len(MUTANTS[rule])


def test_every_rule_has_a_mutant() -> None:
    """No rule could be always kept without a test that notices."""
    written = re.findall(r'"rule": "([a-z-]+)"', (HERE / "rules.rego").read_text("utf-8"))
    assert set(written) == set(MUTANTS)


def test_the_rules_hold_for_an_inference_service(
    cluster: Path, built: Mapping[str, list[Object]]
) -> None:
    """What serves is found there too: an image by tag and a missing probe are named."""
    objects = copy.deepcopy(built["kserve"])
    container = pick(objects, "InferenceService")["spec"]["predictor"]["containers"][0]
    container["image"] = "model:latest"
    del container["readinessProbe"]
    assert ask(cluster, "check_rules.py", [objects]) == [["image-by-digest", "probes"]]
