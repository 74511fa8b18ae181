"""The desired state of an environment, and whether it may be had. Reads git.

It stands in `deploy/<environment>/model.yaml` at the tip of the default branch, as origin has it.
An environment that is called `local` is one person's: it takes what is checked out.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlgitops.delivery.bundle import read_model_oid, read_model_sha256
from mlgitops.delivery.loop.observed import Desired, ServedModel
from mlgitops.errors import MlgitopsError
from mlgitops.git.program import ask_git, run_git
from mlgitops.git.repository import UNSHALLOW, Folder, Repository
from mlgitops.git.wanted import find_bundle_change, list_sources, read_wanted, refuse_idle
from mlgitops.storage.exchange import has_origin

if TYPE_CHECKING:
    from pathlib import Path

    from mlgitops.console import Console
    from mlgitops.git.wanted import Wanted

#: The environment of one person, which nobody approves anything for.
PERSONAL = "local"
_FETCH_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Request:
    """What somebody asks for: an environment, and how to go about it."""

    project: Path
    prefix: str  # of the project in the repository, empty or ending in a slash
    environment: str
    revision: str | None = None  # instead of the default branch's tip
    force: bool = False  # not merged or not published, and written down as such
    port: int | None = None  # instead of the file's
    target: str = "local"  # that was chosen by what was known of origin before it was asked

    @property
    def is_gated(self) -> bool:
        """Tell whether only what is merged and published is let through."""
        return self.environment != PERSONAL


def read_requested(
    request: Request, repository: Repository, console: Console
) -> tuple[Desired, Wanted]:
    """Return what ``request`` asks for, by what origin has now, and the settings of its file.

    What is forced and not published is marked as forced, too.
    """
    if request.is_gated:
        fetch_default_branch(repository, console)
    desired, wanted = read_desired(
        repository,
        request.prefix,
        request.environment,
        revision=request.revision,
        force=request.force,
    )
    if wanted.target != request.target:
        raise MlgitopsError(
            f"the target is `{wanted.target}` by now, and was `{request.target}` here before",
            where=f"{request.prefix}deploy/{request.environment}/model.yaml",
            hint="run the same command again; what served before still serves",
        )
    gated = request.force and request.is_gated and not desired.served.forced
    if gated and not is_available(
        request.project, repository, request.prefix, desired.served, console
    ):
        desired = mark_forced(desired)
    return desired, wanted


def fetch_default_branch(repository: Repository, console: Console) -> None:
    """Bring the default branch of origin up to date; where it does not answer, say so."""
    branch = repository.find_default_branch() or ""
    if branch == "origin/HEAD":
        named = ask_git(repository.root, "symbolic-ref", f"refs/remotes/{branch}")
        branch = os.fsdecode(named.stdout).strip().removeprefix("refs/remotes/")
    name = branch.removeprefix("origin/")
    if not name or not has_origin(repository.root):
        return
    refs = f"+refs/heads/{name}:refs/remotes/origin/{name}"
    words = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "origin", refs)
    try:
        run_git(repository.root, *words, timeout=_FETCH_SECONDS)
    except MlgitopsError as error:
        reason = error.what.splitlines()[-1:]
        console.warn(f"origin does not answer, so this goes by what it had before: {reason}")


def read_desired(
    repository: Repository,
    prefix: str,
    environment: str,
    *,
    revision: str | None = None,
    force: bool = False,
) -> tuple[Desired, Wanted]:
    """Return what ``environment`` should serve, and the settings of its file.

    ``revision`` other than the default branch's tip needs ``force``, unless the environment is a
    person's own. A forced state names the commit of the approved one that it overrides. Raises
    :class:`MlgitopsError` naming every mistake in the file at once.
    """
    if environment == PERSONAL:
        return _read_at(repository, prefix, environment, repository.resolve(revision or "HEAD"))
    tip = _find_tip(repository)
    asked = repository.resolve(revision or ("HEAD" if force else tip))
    desired, wanted = _read_at(repository, prefix, environment, asked)
    if asked == tip:
        return desired, wanted
    approved = _read_approved(repository, prefix, environment, tip, force=force)
    if approved and approved.served.bundle == desired.served.bundle:
        return approved, wanted
    if not force:
        raise MlgitopsError(
            f"{asked[:12]} wants another model than the default branch",
            where=f"{prefix}deploy/{environment}/model.yaml",
            hint="merge it first, or deploy it unapproved, which the ledger says: --force",
        )
    served = _override(desired.served, approved.served.commit if approved else tip)
    return Desired(served=served, canary=desired.canary, bake=desired.bake), wanted


def mark_forced(desired: Desired) -> Desired:
    """Return the desired state as one that nobody may call approved."""
    return Desired(
        served=_override(desired.served, desired.served.commit),
        canary=desired.canary,
        bake=desired.bake,
    )


def find_target_name(project: Path, environment: str) -> str | None:
    """Find the target that the environment's file names at the default branch's tip.

    None where it cannot be read: whoever deploys it is told why then.
    """
    try:
        with Repository(project) as repository:
            folder = Folder(repository, project)
            tip = repository.resolve("HEAD") if environment == PERSONAL else _find_tip(repository)
            return read_wanted(repository, folder.prefix, environment, tip).target
    except MlgitopsError:
        return None


def is_available(
    project: Path, repository: Repository, prefix: str, served: ServedModel, console: Console
) -> bool:
    """Tell whether the model is in the storage, where all can fetch it, and not only cached."""
    from mlgitops.storage import is_published

    return is_published(project, read_model_oid(repository, prefix, served.revision), console)


def refuse_unmerged(repository: Repository, served: ServedModel) -> None:
    """Raise :class:`MlgitopsError` unless the default branch stood at the commits of ``served``.

    What the ledger says served before is asked as well: whoever may push there merges nothing.
    """
    tip = _find_tip(repository)
    for sha in (served.revision, served.commit):
        if not repository.is_first_parent_ancestor(sha, tip):
            raise MlgitopsError(
                f"the default branch never stood at {sha[:12]}, so nobody merged its model",
                where=f"model {served.sha256[:12]}",
                hint="see who wrote it into the ledger: `git log -p origin/deployments`",
            )


def _read_approved(
    repository: Repository, prefix: str, environment: str, tip: str, *, force: bool
) -> Desired | None:
    """Return the state at the tip; None where it cannot be read and ``force`` goes over it."""
    try:
        return _read_at(repository, prefix, environment, tip)[0]
    except MlgitopsError:
        if force:
            return None
        raise


def _override(served: ServedModel, commit: str) -> ServedModel:
    return ServedModel(
        model=served.model,
        version=served.version,
        sha256=served.sha256,
        revision=served.revision,
        commit=commit,
        forced=True,
    )


def _find_tip(repository: Repository) -> str:
    branch = repository.find_default_branch()
    if branch is None:
        raise MlgitopsError(
            "there is no default branch, main or master, that says what is wanted",
            where=str(repository.root),
            hint="fetch it: `git fetch origin main`",
        )
    if not branch.startswith("origin/") and has_origin(repository.root):
        raise MlgitopsError(
            f"origin's default branch was never fetched here, and anybody can commit to {branch}",
            where=str(repository.root),
            hint="`git fetch origin`, then `git remote set-head origin --auto`",
        )
    return repository.resolve(branch)


def _read_at(
    repository: Repository, prefix: str, environment: str, tip: str
) -> tuple[Desired, Wanted]:
    """Read the state at ``tip``, with the commits at which it, and its bundle, last changed.

    A commit that changes neither asks for nothing new, so it is not a new desired state.
    """
    wanted = read_wanted(repository, prefix, environment, tip)
    file = f"{prefix}deploy/{environment}/model.yaml"
    refuse_idle(wanted, where=f"{file} at {tip[:12]}")
    follows = wanted.commit == tip
    revision = find_bundle_change(repository, prefix, tip) if follows else wanted.commit
    digest = read_model_sha256(repository, prefix, revision)
    if wanted.sha256 and digest != wanted.sha256:
        raise MlgitopsError(
            f"the model {wanted.sha256[:12]} is wanted, and the commit holds {digest[:12]}",
            where=f"deploy/{environment}/model.yaml",
            hint="name the commit of that model as `revision`, or correct `sha256`",
        )
    served = ServedModel(
        model=wanted.model,
        version=wanted.version,
        sha256=digest,
        revision=revision,
        commit=_find_change(repository, tip, file, *(list_sources(prefix) if follows else ())),
    )
    if environment != PERSONAL:
        _refuse_cut_off(repository, served.commit, *([revision] if follows else []), where=file)
    return Desired(served=served, canary=wanted.canary, bake=wanted.bake), wanted


def _refuse_cut_off(repository: Repository, *changes: str, where: str) -> None:
    """Raise :class:`MlgitopsError` where a shallow clone ends, which looks like a change.

    The same state would have another commit in each such clone, and one that failed would be tried
    again by it.
    """
    if repository.is_shallow() and not all(repository.find(f"{sha}^") for sha in changes):
        raise MlgitopsError(
            "this clone has no commit from before, so it cannot be told since when this is wanted",
            where=where,
            hint=UNSHALLOW,
        )


def _find_change(repository: Repository, tip: str, *paths: str) -> str:
    changes = repository.list_changes(tip, *paths, most=1)
    return changes[0] if changes else tip
