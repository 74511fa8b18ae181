"""What the report job reads: the event, the report and the base's policy, each from its place.

For a run of the workflow itself they are files. For a fork's run, which another workflow
reports on (`workflow_run`), the API names the pull request, the report is that run's artifact
and the policy stands in git. Disk, git and network in; an event and hostile bytes out.
"""

from __future__ import annotations

import posixpath
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from mlgitops.errors import MlgitopsError
from mlgitops.git.links import LinkError, Trail, refuse_link
from mlgitops.github.event import parse_event
from mlgitops.model.wire import MAX_REPORT_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlgitops.github.client import GitHubClient
    from mlgitops.github.decision import Decision
    from mlgitops.github.event import Event, Run
    from mlgitops.verification.record import Record


def find_payload(path: Path | None, environ: Mapping[str, str]) -> Path:
    """Find the event's file: ``path``, else the one that the runner names."""
    named = path or environ.get("GITHUB_EVENT_PATH")
    if not named:
        raise MlgitopsError(
            "there is no event to report on",
            hint="run this in a workflow, name a payload with `--event`, "
            "or try `mlgitops rehearse` on your machine",
        )
    return Path(named)


def find_event(
    data: bytes, run: Run, environ: Mapping[str, str], client: GitHubClient, *, workflow: str
) -> Event:
    """Find what to report on; ``workflow`` is the file that compared, for a fork's run.

    Raises :class:`~mlgitops.github.fork.StaleRunError` when the pull request shows another
    commit by now, and :class:`MlgitopsError` when the event is not one to report on.
    """
    if environ.get("GITHUB_EVENT_NAME") != "workflow_run":
        return parse_event(data, run)
    from mlgitops.github.fork import fetch_fork_event, parse_fork_run

    return fetch_fork_event(client, parse_fork_run(data, run, workflow=workflow))


def read_report(
    path: Path, event: Event, client: GitHubClient, *, artifact: str, measured: bool = False
) -> bytes | None:
    """Read the report: of this run from the disk, of another run from its artifact.

    ``measured``: a job of this run has measured what another run trained, and left the report.
    """
    if event.compared is None or measured:
        return read_input(path)
    from mlgitops.github.artifacts import fetch_member

    return fetch_member(
        client,
        event.run.repository,
        event.compared.id,
        artifact=artifact,
        member=path.name,
        limit=MAX_REPORT_BYTES,
    )


def read_policy(folder: Path, name: str, event: Event) -> bytes | None:
    """Read the policy: of the checkout, which is the base; for a fork's run, from git.

    `workflow_run` starts on the default branch, and cannot know the base before this program
    asked for it. Links are followed inside of the repository, as `compare` does; raises
    :class:`~mlgitops.git.links.LinkError` for one that leads out.
    """
    if event.compared is None:
        return read_checkout(folder, name)
    from mlgitops.git.repository import Repository

    with Repository(folder) as repository:
        try:
            inside = folder.resolve().relative_to(repository.root.resolve())
            return repository.read(event.base_sha, (inside / name).as_posix())
        except LinkError:
            raise
        except MlgitopsError:
            return None


def read_checkout(folder: Path, name: str) -> bytes | None:
    """Read a file of the project in ``folder``, a checkout; None when it is not there.

    Raises :class:`~mlgitops.git.links.LinkError` when a link leads out of the checkout.
    """
    root, trail = _start_trail(folder, name)
    data = read_input(root / trail.follow())
    if data is None and trail.links:
        raise refuse_link(trail.path, trail.links[-1], "leads to nothing that is there")
    return data


def list_policy_paths(folder: Path, name: str) -> tuple[str, ...]:
    """List where the policy stands in the repository, and every link on the way to it.

    ``folder`` is of a checkout. Raises :class:`~mlgitops.git.links.LinkError` as
    :func:`read_checkout` does.
    """
    _, trail = _start_trail(folder, name)
    return (trail.follow(), *trail.links)


def _start_trail(folder: Path, name: str) -> tuple[Path, Trail]:
    """Return the root of the checkout around ``folder``, and the way from there to ``name``."""
    folder = folder.resolve()
    around = (folder, *folder.parents)
    root = next((place for place in around if (place / ".git").exists()), folder)
    path = posixpath.normpath((folder.relative_to(root) / name).as_posix())
    trail = Trail(path, lambda inside: _read_link(root / inside))
    return root, trail


def _read_link(path: Path) -> str | None:
    return path.readlink().as_posix() if path.is_symlink() else None


def find_policy_path(folder: Path, name: str) -> str:
    """Return where the policy stands in the repository; ``name`` when git cannot tell."""
    from mlgitops.git.repository import Repository

    try:
        with Repository(folder) as repository:
            inside = (folder / name).resolve().relative_to(repository.root.resolve())
    except (MlgitopsError, ValueError):
        return name
    return inside.as_posix()


def find_project_path(folder: Path) -> str:
    """Return where the project in ``folder`` stands in the repository; "" is its root."""
    from mlgitops.git.repository import Folder, Repository

    with Repository(folder) as repository:
        return Folder(repository, folder.resolve()).prefix.rstrip("/")


def read_decided(
    decision: Decision, folder: Path, policy_path: str, *, published: str | None = None
) -> Record:
    """Read what git holds of the commits that were judged; nothing where none were.

    ``published`` is the commit with the run's results, a full sha.
    """
    from mlgitops.github.decision import Judged, Undecided
    from mlgitops.verification.record import Record, read_record

    match decision:
        case Judged(report=report, rules=rules):
            sha = published or None
            return read_record(folder, report, rules, policy_path=policy_path, published=sha)
        case Undecided():
            return Record()
        case _:
            assert_never(decision)


def is_touched(folder: Path, event: Event) -> bool:
    """Tell whether the pull request changes a file of the project in ``folder``, or `.github`.

    What decides how it is judged counts. True when git cannot tell: the clone lacks a commit.
    """
    from mlgitops.git.repository import Folder, Repository

    try:
        with Repository(folder) as repository:
            prefix = Folder(repository, folder.resolve()).prefix
            parted = repository.merge_base(event.base_sha, event.head_sha)
            changed = repository.changed_files(parted, event.head_sha)
    except MlgitopsError:
        return True
    return any(path.startswith((prefix, ".github/")) for path in changed)


def read_input(path: Path) -> bytes | None:
    """Read at most a little more than a report may hold; None when it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_REPORT_BYTES + 1)
    except OSError:
        return None
