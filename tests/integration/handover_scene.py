"""Origin, a pull request's branch, and the handover of its run: real git, real DVC."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from git_project import commit, git
from integration.setup_project import clone, copy_trained, make_origin, quiet

from mlgitops.project.training import run_pipeline
from mlgitops.storage import prepare_storage, publish_objects
from mlgitops.storage.handover import HandoverRequest, Taken, export_handover, take_handover

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def make_scene(folder: Path, trained: Path, settings: Mapping[str, str] | None = None) -> None:
    """Publish a trained main, change a parameter on a branch, train that, and hand it over.

    ``settings`` of the remote, its url among them; by default it is in the repository.
    """
    project = copy_trained(trained, folder / "project", **(settings or {}))
    origin = make_origin(project, folder / "origin.git")
    publish_objects(project, quiet())
    git(project, "switch", "--quiet", "--create", "change")
    (project / "params.yaml").write_text("factor: 3\n")
    commit(project, "Triple")
    git(project, "push", "--quiet", "origin", "change")
    compute = clone(origin, folder / "compute")
    git(compute, "switch", "--quiet", "change")
    prepare_storage(compute, quiet())
    run_pipeline(compute, quiet(), base=git(origin, "rev-parse", "main"))
    export_handover(compute, folder / "handover")


class Scene:
    """Origin, a pull request's branch `change`, and the handover of its run."""

    def __init__(self, folder: Path) -> None:
        """Find what :func:`make_scene` left in ``folder``."""
        self.folder = folder
        self.origin = folder / "origin.git"
        self.compute = folder / "compute"
        self.handover = folder / "handover"
        self.base = git(self.origin, "rev-parse", "main")
        self.head = git(self.origin, "rev-parse", "change")

    def copy(self, folder: Path) -> Scene:
        """Return a scene with an origin and a handover of its own below ``folder``."""
        other = object.__new__(Scene)
        other.__dict__.update(self.__dict__)
        other.folder = folder
        other.origin = shutil.copytree(self.origin, folder / "origin.git")
        other.handover = shutil.copytree(self.handover, folder / "handover")
        return other

    def open_job(self, name: str = "publish") -> Path:
        """Check out the base as the publish job does."""
        return clone(self.origin, self.folder / name)

    def take(self, job: Path, *, commit: bool = True) -> Taken:
        """Take the handover in ``job``."""
        return take_handover(
            HandoverRequest(
                project=job,
                handover=self.handover,
                base=self.base,
                head=self.head,
                branch="change",
                commit=commit,
            ),
            quiet(),
        )

    def refs(self) -> str:
        """Return every branch of origin with its commit."""
        return git(self.origin, "for-each-ref", "refs/heads")
