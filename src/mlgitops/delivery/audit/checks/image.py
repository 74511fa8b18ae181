"""The checks of the image that git pins: every byte of it, and the model inside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgitops.delivery.audit.checks.subject import Subject, shorten
from mlgitops.delivery.audit.facts import hash_file_at
from mlgitops.delivery.audit.outcomes import AbsentError, OpenError
from mlgitops.delivery.bundle import (
    MODEL,
)
from mlgitops.delivery.images.layers import UnsupportedError
from mlgitops.delivery.images.layout import read_images
from mlgitops.delivery.images.pinned import locate_overlay, read_pinned
from mlgitops.errors import MlgitopsError

if TYPE_CHECKING:
    from pathlib import Path

    from mlgitops.delivery.images.layout import Image
    from mlgitops.git.repository import Repository
    from mlgitops.model.ledger import LedgerEntry


def look_for_images(
    folder: Path | None, repository: Repository, prefix: str, entry: LedgerEntry
) -> tuple[Image, ...] | MlgitopsError | None:
    """Read the image that ``entry``'s commit pins from an OCI layout; an error if it is another."""
    if folder is None:
        return None
    try:
        digest = read_pinned(repository, prefix, entry.environment, entry.commit)
        if digest is None:
            where = f"{locate_overlay(prefix, entry.environment)} at {entry.commit[:12]}"
            return OpenError("git pins no image", where=where)
        return read_images(folder, digest)
    except UnsupportedError as error:
        return OpenError(error.what, where=error.where, hint=error.hint)
    except MlgitopsError as error:
        return error


def check_image(subject: Subject) -> str:
    """Hold index, manifest, configuration and layers of the image against the digest in git."""
    images = _get_images(subject)
    layers = sum(image.layers for image in images)
    count = "1 image" if len(images) == 1 else f"{len(images)} images"
    return f"{count} of {layers} layers, every byte as the digest in git says"


def check_image_files(subject: Subject) -> str:
    """Hold the model in the image against the ledger, and the code beside it against git."""
    entry = subject.entry
    for image in _get_images(subject):
        where = f"image {image.digest[:19]}"
        files = dict(image.files)
        if files.get(MODEL) != entry.sha256:
            problem = (
                f"its model is {shorten(files.get(MODEL))}, and {entry.sha256[:12]} was served"
            )
            raise MlgitopsError(problem, where=where)
        for path in sorted(files.keys() - {MODEL}):
            kept = hash_file_at(subject.repository, entry.revision, f"{subject.prefix}{path}")
            if kept != files[path]:
                problem = f"{path!a:.200} in it is {files[path]:.80}, and git has {shorten(kept)}"
                raise MlgitopsError(problem, where=where)
    return f"it holds the model that was served, and other files are git's at {entry.revision[:12]}"


def _get_images(subject: Subject) -> tuple[Image, ...]:
    if subject.images is None:
        raise AbsentError("none was given: --image DIR")
    if isinstance(subject.images, MlgitopsError):
        raise subject.images
    return subject.images
