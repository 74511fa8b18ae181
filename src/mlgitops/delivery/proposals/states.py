"""What an environment wanted, newest first, and the image that held that. Reads git."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from mlgitops.delivery.images.pinned import edit_pinned, locate_overlay, read_pinned
from mlgitops.errors import MlgitopsError
from mlgitops.git.wanted_edit import MODEL_KEYS
from mlgitops.parsing import parse_yaml

if TYPE_CHECKING:
    from mlgitops.git.repository import Folder

#: Changes of model.yaml and the overlay that are looked at, newest first.
MOST_CHANGES = 200
_SHORT = 12


class State(Struct, frozen=True, kw_only=True):
    """What the file said after one commit of the default branch, which may only pin an image."""

    commit: str
    data: bytes
    content: dict[str, Any]  # of the file

    @property
    def model(self) -> tuple[object, ...]:
        """Return version, revision and sha256."""
        return tuple(self.content.get(key) for key in MODEL_KEYS)


def locate_wanted(folder: Folder, environment: str) -> str:
    """Name the environment's file from the root of the repository."""
    return f"{folder.prefix}deploy/{environment}/model.yaml"


def read_states(folder: Folder, environment: str, tip: str) -> list[State]:
    """Read what the environment wanted on the line to ``tip``, after each change of it."""
    repository = folder.repository
    path, overlay = locate_wanted(folder, environment), locate_overlay(folder.prefix, environment)
    states = []
    for commit in repository.list_changes(tip, path, overlay, most=MOST_CHANGES):
        data = repository.read(commit, path)
        if data is None:
            break
        content = parse_yaml(data, f"{path} at {commit[:_SHORT]}")
        mapping = content if isinstance(content, dict) else {}
        states.append(State(commit=commit, data=data, content=mapping))
    return states


def find_desired(folder: Folder, environment: str, version: str, tip: str) -> str | None:
    """Find the newest commit with which the release was wanted there; None where it never was."""
    states = read_states(folder, environment, tip)
    return next((state.commit for state in states if state.model[0] == version), None)


def pin_image(folder: Folder, environment: str, tip: str, digest: str) -> tuple[str, bytes] | None:
    """Return the overlay as it is at ``tip``, with ``digest`` in it; None where it has that.

    Raises :class:`MlgitopsError` where there is none, or it cannot be edited.
    """
    path = locate_overlay(folder.prefix, environment)
    where = f"{path} at {tip[:_SHORT]}"
    data = folder.repository.read(tip, path)
    if data is None:
        hint = "an image is for environments on Kubernetes: `mlgitops new` writes the file"
        raise MlgitopsError("nothing there pins an image", where=where, hint=hint)
    edited = edit_pinned(data, digest, where=where)
    return None if edited == data else (path, edited)


def restore_image(
    folder: Folder, environment: str, tip: str, commit: str | None
) -> tuple[str, bytes] | None:
    """Return the overlay with the image that it pinned at ``commit``; None where it pins none now.

    Raises :class:`MlgitopsError` where an image is pinned now, and none was at ``commit``: a server
    would start in an image that holds another model, and refuse.
    """
    repository, prefix = folder.repository, folder.prefix
    if read_pinned(repository, prefix, environment, tip) is None:
        return None
    digest = commit and read_pinned(repository, prefix, environment, commit)
    if not digest:
        raise MlgitopsError(
            f"{environment} pins an image now, and git does not say which one holds that model",
            where=f"{locate_overlay(prefix, environment)} at {tip[:_SHORT]}",
            hint="say which: `mlgitops promote --image DIGEST`, with --allow-older for a way back",
        )
    return pin_image(folder, environment, tip, digest)
