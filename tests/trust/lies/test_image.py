"""Tamperings with the image that an environment runs: each is refused, by the name of its part.

One honest image as an OCI layout, and a project whose overlay pins it. First the layout is changed
below the digest that git pins; then all digests are made anew, and git pins the new one.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from audited_project import ENVIRONMENT, FILES, FIRST, AuditedProject
from oci_layout import FOLDER, Layout, make_entry, make_layer
from trust.lie import check_lie

from mlgitops.commands.audit import find_exit_code
from mlgitops.console import Console
from mlgitops.delivery.audit import Given, audit_environment
from mlgitops.model.audit import CheckState

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlgitops.model.audit import Audit

MODEL = f"{FOLDER}/model/model.skops"
CODE = f"{FOLDER}/src/demo/train.py"
BASE = make_layer({"usr/bin/python3": b"an interpreter"})
SERVER = make_layer(
    {
        MODEL: FIRST,
        CODE: FILES["src/demo/train.py"].encode(),
        f"{FOLDER}/contract.yaml": FILES["contract.yaml"].encode(),
    },
    [make_entry(name, tarfile.DIRTYPE) for name in ("srv", FOLDER, f"{FOLDER}/src")],
)
POOR = b"another model"
ATTESTATION = {"vnd.docker.reference.type": "attestation-manifest"}
OVERLAY = f"deploy/{ENVIRONMENT}/kustomization.yaml"


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> tuple[AuditedProject, str]:
    """Return a project with one release, and its revision; only to be copied."""
    project = AuditedProject(tmp_path_factory.mktemp("imaged") / "released")
    project.start()
    revision = project.train(FIRST)
    project.release(project.make_lineage(revision, FIRST, "v1.0.0"))
    return project, revision


class Pin(Protocol):
    """Make a project whose production serves the release, in the image of a digest."""

    def __call__(self, digest: str | None) -> AuditedProject:
        """Return it, with a ledger of one entry."""


@pytest.fixture
def pin(released: tuple[AuditedProject, str], tmp_path: Path) -> Pin:
    """Return what pins an image in git, once a test."""

    def pin_image(digest: str | None) -> AuditedProject:
        project = released[0].copy(tmp_path / "project")
        if digest is not None:
            project.repository.put(OVERLAY, write_overlay(digest))
        commit = project.promote("v1.0.0", released[1], FIRST)
        at = "2026-03-01T08:00:00Z"
        project.append(project.make_entry(commit, released[1], FIRST, version="v1.0.0", at=at))
        return project

    return pin_image


def write_overlay(digest: str) -> str:
    """Write the part of an overlay that says which image runs."""
    return f"images:\n  - name: model-server\n    newName: example.org/demo\n    digest: {digest}\n"


def audit(project: AuditedProject, image: Path | None) -> Audit:
    """Audit production as the command does."""
    return audit_environment(
        project.root, ENVIRONMENT, Console(quiet=True), given=Given(image=image)
    )


def name_failure(project: AuditedProject, image: Path) -> str:
    """Return the first check that fails, with its detail."""
    failure = audit(project, image).find_first(CheckState.FAILS)
    assert failure is not None
    return f"{failure.name}: {failure.detail}"


def find_states(done: Audit) -> dict[str, CheckState]:
    """Return the checks of the image, by name."""
    return {check.name: check.state for check in done.list_checks() if "image: " in check.name}


def write_honest(folder: Path) -> tuple[Layout, str]:
    """Write the honest layout; return its digest, too."""
    layout = Layout(folder)
    return layout, layout.write_index(layout.put_image([BASE, SERVER]))


def test_the_honest_image_holds(pin: Pin, tmp_path: Path) -> None:
    """Otherwise every refusal below would prove nothing."""
    layout, digest = write_honest(tmp_path / "layout")
    project = pin(digest)
    assert set(find_states(audit(project, None)).values()) == {CheckState.ABSENT}
    done = audit(project, layout.folder)
    assert find_exit_code(done) == 0
    assert set(find_states(done).values()) == {CheckState.HOLDS}
    assert len(find_states(done)) == 2


def test_an_index_of_several_platforms_holds(pin: Pin, tmp_path: Path) -> None:
    """As buildx pushes one: an image for each platform, and an attestation that is none."""
    layout = Layout(tmp_path / "layout")
    attestation = layout.put_image([make_layer({"statement": b"{}"})], config={})
    attestation["annotations"] = ATTESTATION
    attestation["platform"] = {"architecture": "unknown", "os": "unknown"}
    plain = make_layer({}, packed=False)
    images = [layout.put_image([BASE, SERVER]), layout.put_image([SERVER, plain])]
    index = layout.put_document({"manifests": [*images, attestation]}, "index")
    done = audit(pin(layout.write_index(index)), layout.folder)
    assert set(find_states(done).values()) == {CheckState.HOLDS}


@pytest.mark.parametrize("digest", [None, f"sha256:{'0' * 64}"])
def test_an_image_that_git_does_not_pin_is_not_checked(
    pin: Pin, tmp_path: Path, digest: str | None
) -> None:
    """Nothing says which one it should be."""
    layout, _ = write_honest(tmp_path / "layout")
    assert find_exit_code(audit(pin(digest), layout.folder)) == 2


def test_layers_that_cannot_be_unpacked_here_are_not_checked(pin: Pin, tmp_path: Path) -> None:
    """Nothing is green on doubt: a layer compressed by zstd ends with 2."""
    layout = Layout(tmp_path / "layout")
    digest = layout.write_index(layout.put_image([b"\x28\xb5\x2f\xfd and more"]))
    done = audit(pin(digest), layout.folder)
    assert find_exit_code(done) == 2
    assert set(find_states(done).values()) == {CheckState.OPEN}


# Below the digest that git pins: what was built is not what lies there.


def change_layer(layout: Layout, digest: str) -> None:
    """Put another model into a layer, under the layer's old name."""
    layer = layout.read_manifest(digest)["layers"][1]
    layout.find_blob(layer["digest"]).write_bytes(make_layer({MODEL: POOR}))


def exchange_layers(layout: Layout, digest: str) -> None:
    """Let two layers change their names."""
    first, second = (layout.find_blob(x["digest"]) for x in layout.read_manifest(digest)["layers"])
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)


def remove_layer(layout: Layout, digest: str) -> None:
    """Leave a layer out."""
    layout.find_blob(layout.read_manifest(digest)["layers"][0]["digest"]).unlink()


def change_configuration(layout: Layout, digest: str) -> None:
    """Have the image run as root."""
    file = layout.find_blob(layout.read_manifest(digest)["config"]["digest"])
    file.write_bytes(file.read_bytes().replace(b"10001:10001", b"0:0"))


def change_manifest(layout: Layout, digest: str) -> None:
    """Name a layer of one's own in the manifest."""
    manifest = layout.read_manifest(digest)
    manifest["layers"].append(layout.put(make_layer({MODEL: POOR}), "layer.v1.tar+gzip"))
    layout.find_blob(digest).write_text(json.dumps(manifest))


def change_index(layout: Layout, _: str) -> None:
    """Let the index name an image of one's own."""
    layout.write_index(layout.put_image([BASE, make_layer({MODEL: POOR})]))


def change_size(layout: Layout, _: str) -> None:
    """Let the index say another size of the honest manifest."""
    file = layout.folder / "index.json"
    index = json.loads(file.read_bytes())
    index["manifests"][0]["size"] += 1
    file.write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("tamper", "reason"),
    [
        (change_layer, "image: digest: layer sha256:"),
        (exchange_layers, "its bytes are sha256:"),
        (remove_layer, "it is not in "),
        (change_configuration, "image: digest: configuration sha256:"),
        (change_manifest, "image: digest: manifest sha256:"),
        (change_index, ", and not sha256:"),
        (change_size, "as is said of it"),
    ],
)
def test_another_image_below_the_digest_in_git(
    pin: Pin,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
    tamper: Callable[[Layout, str], None],
    reason: str,
) -> None:
    """Layer, configuration, manifest, index: the first that is another one is named."""
    layout, digest = write_honest(tmp_path / "layout")
    tamper(layout, digest)
    text = name_failure(pin(digest), layout.folder)
    assert text.startswith("image: digest: ")
    check_lie(record_property, tamper.__name__.encode(), reason=reason, text=text)


# All digests made anew, and pinned in git: what was built serves another model or other code.

LINK = tarfile.SYMTYPE


def make_renamed() -> bytes:
    """Return a layer whose global header renames all in it; container runtimes ignore that."""
    stream = io.BytesIO()
    headers = {"path": "usr/share/nothing"}
    with tarfile.open(
        fileobj=stream, mode="w", format=tarfile.PAX_FORMAT, pax_headers=headers
    ) as archive:
        entry = tarfile.TarInfo(MODEL)
        entry.size = len(POOR)
        archive.addfile(entry, io.BytesIO(POOR))
    return stream.getvalue()


def make_stopped() -> bytes:
    """Return a layer with another model behind a mode that Go reads, and Python does not."""
    archive = bytearray(make_layer({"usr/x": b"", MODEL: POOR}, packed=False))
    header = archive[:512]
    header[100:108] = b"\x81" + bytes(5) + b"\x01\xa4"
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    return bytes(make_layer({"usr/a": b""}, packed=False)[:512] + header + archive[512:])


ANEW: list[tuple[list[bytes], dict[str, Any], str]] = [
    ([BASE, make_layer({MODEL: POOR})], {}, "image: files: image sha256:"),
    ([BASE, SERVER, make_layer({MODEL: POOR})], {}, f"is {hashlib.sha256(POOR).hexdigest()[:12]}"),
    ([BASE, SERVER, make_layer({f"{FOLDER}/model/.wh.model.skops": b""})], {}, "its model is None"),
    ([SERVER, make_layer({f"{FOLDER}/.wh..wh..opq": b""})], {}, "its model is None"),
    ([SERVER, make_layer({f"{FOLDER}/model": b""})], {}, "its model is None"),
    ([SERVER, make_layer({}, [make_entry(MODEL, LINK, "/tmp/x")])], {}, "is a link to"),  # noqa: S108 - a name in an archive
    ([SERVER, make_layer({}, [make_entry("srv", LINK, "opt")])], {}, "above the server's files"),
    ([SERVER, make_layer({"../x": b""})], {}, "an entry leads out of it"),
    ([SERVER, make_layer({CODE: b"print('other')"})], {}, "train.py' in it is"),
    ([SERVER, make_layer({f"{CODE}c": b"byte code"})], {}, "and git has None"),
    ([SERVER, gzip.compress(b"no archive" * 99)], {}, "it cannot be unpacked"),
    ([BASE, SERVER], {"rootfs": {"diff_ids": ["sha256:0"] * 2}}, "not 'sha256:0'"),
    ([BASE, SERVER], {"rootfs": {"diff_ids": ["sha256:0"]}}, "and the manifest 2"),
    ([BASE, SERVER], {"config": {"WorkingDir": "/srv"}}, "its model is None"),
    ([BASE, SERVER], {"config": {"WorkingDir": "srv/../model"}}, "nothing says where its model"),
    ([BASE, SERVER], {"config": []}, "it is none: Expected `object`"),
    (
        [
            SERVER,
            make_layer({}, [make_entry("a", LINK, "usr/b"), make_entry("usr/b", LINK, "../srv")]),
            make_layer({"a/model/model/model.skops": POOR}),
        ],
        {},
        "by a link: it hides what it changes",
    ),
    (
        [SERVER, make_layer({"a/x": b""}, [make_entry("a", LINK, "a")])],
        {},
        "its links lead in a circle",
    ),
    ([SERVER, make_renamed()], {}, "a global header renames its entries"),
    ([SERVER, make_stopped()], {}, "it cannot be unpacked"),
]


@pytest.mark.parametrize("lie", ANEW, ids=range(len(ANEW)))
def test_another_model_with_all_digests_made_anew(
    pin: Pin,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
    lie: tuple[list[bytes], dict[str, Any], str],
) -> None:
    """The digests hold, and the model or the code in the image is not the one of the ledger."""
    layers, changes, reason = lie
    layout = Layout(tmp_path / "layout")
    digest = layout.write_index(layout.put_image(layers, **changes))
    text = name_failure(pin(digest), layout.folder)
    check_lie(record_property, b"".join(layers) + repr(changes).encode(), reason=reason, text=text)


def call_it_attestation(layout: Layout, poor: dict[str, Any]) -> dict[str, Any]:
    """Call the image that a machine would run an attestation, beside an honest one."""
    honest = layout.put_image([BASE, SERVER])
    index = {"manifests": [honest, {**poor, "annotations": ATTESTATION}]}
    return layout.put_document(index, "index")


def name_attestations_alone(layout: Layout, poor: dict[str, Any]) -> dict[str, Any]:
    """Leave no image at all to be looked at."""
    platform = {"architecture": "unknown", "os": "unknown"}
    only = {**poor, "annotations": ATTESTATION, "platform": platform}
    return layout.put_document({"manifests": [only]}, "index")


def be_index_and_image(layout: Layout, poor: dict[str, Any]) -> dict[str, Any]:
    """Write a document that is an honest index to one reader, and an image to another."""
    image = layout.read_manifest(poor["digest"])
    manifests = [layout.put_image([BASE, SERVER])]
    return layout.put_document({**image, "manifests": manifests}, "manifest")


@pytest.mark.parametrize(
    ("hide", "reason"),
    [
        (call_it_attestation, "its model is "),
        (name_attestations_alone, "attestations alone, and no image"),
        (be_index_and_image, "an index and an image at once"),
    ],
)
def test_an_image_that_the_index_hides(
    pin: Pin,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
    hide: Callable[[Layout, dict[str, Any]], dict[str, Any]],
    reason: str,
) -> None:
    """What a machine would run is looked at, whatever the index calls it."""
    layout = Layout(tmp_path / "layout")
    poor = layout.put_image([BASE, make_layer({MODEL: POOR})])
    digest = layout.write_index(hide(layout, poor))
    text = name_failure(pin(digest), layout.folder)
    check_lie(record_property, hide.__name__.encode(), reason=reason, text=text)
