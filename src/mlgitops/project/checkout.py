"""A commit in a clean folder beside the clone, ready to run its pipeline. Writes disk and git."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mlgitops.dvc.remote import write_local_url
from mlgitops.environments import ensure_environment
from mlgitops.errors import MlgitopsError
from mlgitops.git.program import run_git
from mlgitops.storage import prepare_storage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlgitops.console import Console
    from mlgitops.git.repository import Repository

_ENVIRONMENTS = ("ci", "pipeline")


@contextmanager
def check_out(
    project: Path, repository: Repository, prefix: str, revision: str, *, console: Console
) -> Iterator[Path]:
    """Check a commit out beside the clone, with its environments and the project's storage.

    ``prefix`` is the project's folder in the repository, empty or ending in a slash. The folder is
    removed at the end.
    """
    with tempfile.TemporaryDirectory(prefix="mlgitops-again-") as name:
        root = Path(name) / "clean"
        run_git(repository.root, "worktree", "add", "--quiet", "--detach", root, revision)
        try:
            clean = root / prefix
            _share_storage(project, clean, console)
            _share_environments(project, clean)
            for environment in _ENVIRONMENTS:
                if (clean / "requirements" / f"{environment}.txt").is_file():
                    ensure_environment(clean, environment, console)
            yield clean
        finally:
            with suppress(MlgitopsError):
                run_git(repository.root, "worktree", "remove", "--force", root)


def _share_storage(project: Path, clean: Path, console: Console) -> None:
    """Let the clean folder read the storage that the project reads, signed in as it is."""
    settings = project / ".dvc" / "config.local"
    remote = prepare_storage(project, console)
    if settings.is_file():
        shutil.copyfile(settings, clean / ".dvc" / "config.local")
    if remote is not None and remote.path is not None:
        write_local_url(clean, remote)


def _share_environments(project: Path, clean: Path) -> None:
    """Let the clean folder use environments that are installed: each is named by its lock."""
    store = project / ".mlgitops" / "environments"
    if store.is_dir():
        (clean / ".mlgitops").mkdir(exist_ok=True)
        (clean / ".mlgitops" / "environments").symlink_to(store)
