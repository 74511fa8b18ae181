"""An image as an OCI layout, held byte by byte against the digest that git pins. Reads files.

`docker buildx build --output type=oci,tar=false`, `buildah push` and `skopeo copy` write one:
https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md
The documents in it have fields that are of no use here, and those are let through: all of their
bytes are held by a digest.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec import Struct, field

from mlgitops.delivery.bundle import hash_sha256
from mlgitops.delivery.images.layers import Files
from mlgitops.errors import MlgitopsError
from mlgitops.parsing import parse_json

if TYPE_CHECKING:
    from pathlib import Path

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_MOST_BYTES = 4 * 2**20  # of one document
_MOST = 256  # layers of an image, and images of an index
_ATTESTATION = "attestation-manifest"
_TYPE = "vnd.docker.reference.type"
_HINT = "copy it as it is: `skopeo copy --all --preserve-digests docker://NAME@DIGEST oci:DIR`"

_Document = TypeVar("_Document", bound=Struct)


class _Platform(Struct, frozen=True):
    architecture: str = ""
    os: str = ""


class Descriptor(Struct, frozen=True, rename="camel"):
    """What names a blob."""

    digest: str
    size: int
    annotations: dict[str, str] = field(default_factory=dict)
    platform: _Platform | None = None

    def is_attestation(self) -> bool:
        """Tell whether no machine runs it: BuildKit says so twice, and runtimes read the platform.

        https://docs.docker.com/build/metadata/attestations/attestation-storage/
        """
        is_said = self.annotations.get(_TYPE) == _ATTESTATION
        return is_said and self.platform == _Platform("unknown", "unknown")


class Manifest(Struct, frozen=True, rename="camel"):
    """A manifest, with a configuration and layers; or an index, with manifests."""

    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] = ()
    manifests: tuple[Descriptor, ...] = ()


class _Settings(Struct, frozen=True):
    working_dir: str = field(default="", name="WorkingDir")


class _RootFilesystem(Struct, frozen=True):
    diff_ids: tuple[str, ...]


class _Configuration(Struct, frozen=True):
    rootfs: _RootFilesystem
    config: _Settings = field(default_factory=_Settings)


class Image(Struct, frozen=True, kw_only=True):
    """An image whose every byte has the digest that was asked for, or is named by one that has."""

    digest: str
    layers: int
    files: tuple[tuple[str, str], ...]  # path from its working folder → sha256, or what it is


def read_images(folder: Path, digest: str) -> tuple[Image, ...]:
    """Read the image of ``digest``; where that names an index, the image of each platform.

    Raises :class:`MlgitopsError` for the first of index, manifest, configuration and layers that
    is another one, :class:`~.layers.UnsupportedError` for layers that cannot be unpacked here.
    """
    index = _parse(_read(folder / "index.json"), Manifest, str(folder / "index.json"))
    root = next((item for item in index.manifests if item.digest == digest), None)
    if root is None:
        listed = ", ".join(item.digest[:19] for item in index.manifests[:3]) or "nothing"
        problem = f"it holds {listed!a}, and not {digest[:19]}, which git pins"
        raise MlgitopsError(problem, where=str(folder / "index.json"), hint=_HINT)
    content, where = _read_document(folder, root, Manifest, "manifest")
    if content.manifests and (content.config or content.layers):
        raise MlgitopsError("it is an index and an image at once", where=where)
    if not content.manifests:
        return (_read_image(folder, root.digest, content, where),)
    if len(content.manifests) > _MOST:
        raise MlgitopsError(f"{len(content.manifests):,} images are too many", where=where)
    images = []
    for item in content.manifests:
        manifest, name = _read_document(folder, item, Manifest, "manifest")
        if not item.is_attestation():
            images.append(_read_image(folder, item.digest, manifest, name))
    if not images:
        raise MlgitopsError("it names attestations alone, and no image", where=where)
    return tuple(images)


def _read_image(folder: Path, digest: str, manifest: Manifest, where: str) -> Image:
    count = len(manifest.layers)
    if manifest.config is None or manifest.manifests or not 1 <= count <= _MOST:
        problem = f"it names no image of 1 to {_MOST} layers"
        raise MlgitopsError(problem, where=where)
    configuration, name = _read_document(folder, manifest.config, _Configuration, "configuration")
    unpacked = configuration.rootfs.diff_ids
    if len(unpacked) != count:
        problem = f"it names {len(unpacked)} layers, and the manifest {count}"
        raise MlgitopsError(problem, where=name)
    files = Files(_find_working_folder(configuration, name))
    blobs = [_check_blob(folder, layer, "layer") for layer in manifest.layers]
    for (file, layer), wanted in zip(blobs, unpacked, strict=True):
        actual = files.add_layer(file, layer)
        if actual != wanted:
            problem = f"unpacked it is {actual[:19]}, not {wanted[:19]!a}, as its image says"
            raise MlgitopsError(problem, where=layer)
    return Image(digest=digest, layers=len(blobs), files=tuple(files))


def _find_working_folder(configuration: _Configuration, where: str) -> str:
    folder = configuration.config.working_dir
    if not folder.startswith("/") or folder.startswith("//") or posixpath.normpath(folder) == "/":
        problem = f"its working folder is {folder!a:.80}: nothing says where its model is"
        raise MlgitopsError(problem, where=where, hint="the Dockerfile needs a WORKDIR")
    return posixpath.normpath(folder)


def _read_document(
    folder: Path, item: Descriptor, kind: type[_Document], name: str
) -> tuple[_Document, str]:
    file, where = _check_blob(folder, item, name)
    return _parse(_read(file), kind, where), where


def _check_blob(folder: Path, item: Descriptor, name: str) -> tuple[Path, str]:
    """Return the blob's file and how it is called in messages, once its bytes are right."""
    if not _DIGEST.fullmatch(item.digest):
        raise MlgitopsError(f"{item.digest!a:.80} is no sha256", where=str(folder))
    file = folder / "blobs" / "sha256" / item.digest.removeprefix("sha256:")
    where = f"{name} {item.digest[:19]}"
    sha256 = hash_sha256(file)
    if sha256 is None:
        raise MlgitopsError(f"it is not in {folder}", where=where, hint=_HINT)
    size, actual = file.stat().st_size, f"sha256:{sha256}"
    if actual != item.digest:
        raise MlgitopsError(f"its bytes are {actual[:19]}", where=where, hint=_HINT)
    if size != item.size:
        problem = f"it has {size:,} bytes, not {item.size:,}, as is said of it"
        raise MlgitopsError(problem, where=where)
    return file, where


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(_MOST_BYTES + 1)
    except OSError as error:
        problem = f"no OCI layout: {error.strerror}"
        raise MlgitopsError(problem, where=str(file), hint=_HINT) from error


def _parse(data: bytes, kind: type[_Document], where: str) -> _Document:
    content = parse_json(data, where, limit=_MOST_BYTES)
    try:
        return msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        raise MlgitopsError(f"it is none: {error}", where=where) from error
