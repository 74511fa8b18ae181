"""An OCI layout as a build leaves it: index, manifest, configuration, layers, all digests true."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

FOLDER = "srv/model"
_KIND = "application/vnd.oci.image"


def make_layer(
    files: Mapping[str, bytes], entries: Sequence[tarfile.TarInfo] = (), *, packed: bool = True
) -> bytes:
    """Return a layer with plain files, by path from the root, and other entries before them."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for entry in entries:
            archive.addfile(entry)
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(stream.getvalue(), mtime=0) if packed else stream.getvalue()


def make_entry(path: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    """Return an entry that is no plain file: a folder, a link."""
    entry = tarfile.TarInfo(path)
    entry.type, entry.linkname = kind, target
    return entry


class Layout:
    """A layout in a folder; what is put there has its true digest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "blobs" / "sha256").mkdir(parents=True)
        (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')

    def find_blob(self, digest: str) -> Path:
        """Return the file of a blob."""
        return self.folder / "blobs" / "sha256" / digest.removeprefix("sha256:")

    def put(self, content: bytes, kind: str) -> dict[str, Any]:
        """Put a blob there; return its descriptor."""
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.find_blob(digest).write_bytes(content)
        return {"mediaType": f"{_KIND}.{kind}", "digest": digest, "size": len(content)}

    def put_document(self, document: dict[str, Any], kind: str) -> dict[str, Any]:
        """Put a JSON document there; return its descriptor."""
        return self.put(json.dumps(document).encode(), f"{kind}.v1+json")

    def put_image(self, layers: Sequence[bytes], **changes: object) -> dict[str, Any]:
        """Put an image of these layers there; ``changes`` go into its configuration."""
        unpacked = [gzip.decompress(x) if x.startswith(b"\x1f\x8b") else x for x in layers]
        diff_ids = [f"sha256:{hashlib.sha256(content).hexdigest()}" for content in unpacked]
        configuration: dict[str, Any] = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"User": "10001:10001", "WorkingDir": f"/{FOLDER}"},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            **changes,
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": f"{_KIND}.manifest.v1+json",
            "config": self.put_document(configuration, "config"),
            "layers": [self.put(layer, "layer.v1.tar+gzip") for layer in layers],
        }
        return self.put_document(manifest, "manifest")

    def write_index(self, *descriptors: dict[str, Any]) -> str:
        """Write which manifests the layout holds; return the digest of the first."""
        index = {"schemaVersion": 2, "manifests": descriptors}
        (self.folder / "index.json").write_text(json.dumps(index))
        return str(descriptors[0]["digest"])

    def read_manifest(self, digest: str) -> dict[str, Any]:
        """Read the manifest of this digest."""
        document: dict[str, Any] = json.loads(self.find_blob(digest).read_bytes())
        return document
