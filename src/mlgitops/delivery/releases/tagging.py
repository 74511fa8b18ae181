"""Give the merged model its version: verified as the storage has it, tagged, pushed without force.

The tip of the default branch is released, whatever is checked out, so that a late run of an older
commit changes nothing. A tag is only added: of two that come at once, one wins, and the other
reads again and decides again. Reads and writes git; reads the storage.
"""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from mlgitops.delivery.bundle import (
    GOLDEN,
    MODEL,
    hash_sha256,
    read_model_oid,
    read_model_sha256,
)
from mlgitops.delivery.golden import parse_golden
from mlgitops.delivery.releases.merged import find_merge, list_judged
from mlgitops.delivery.releases.provenance import (
    add_kept_statement,
    add_statement,
    trace_model,
)
from mlgitops.delivery.releases.release import (
    find_model_name,
    find_release,
    list_releases,
    read_tip,
)
from mlgitops.delivery.releases.version import find_change, next_version
from mlgitops.errors import MlgitopsError
from mlgitops.git.program import ask_git, find_remote_ref, identity_options, run_git
from mlgitops.git.tags import read_tag
from mlgitops.model.lineage import Change, Lineage, encode_message
from mlgitops.storage import restore_published
from mlgitops.storage.exchange import has_origin

if TYPE_CHECKING:
    from pathlib import Path

    from mlgitops.console import Console
    from mlgitops.delivery.releases.merged import FetchStatement
    from mlgitops.delivery.releases.release import Release
    from mlgitops.git.repository import Folder, Repository

_ATTEMPTS = 8
_TAGS = "refs/tags/"


class Outcome(Struct, frozen=True, kw_only=True):
    """What a run came to: the newest release, and what this run had to do with it."""

    tag: str
    lineage: Lineage
    signature: str | None  # None: the tag was not made, as with --dry-run
    made: bool  # by this run
    pushed: bool  # origin holds the tag now, by this run or before it


def release_tip(
    folder: Folder,
    console: Console,
    *,
    statement: Path | None,
    push: bool,
    dry_run: bool,
    fetch: FetchStatement | None = None,
) -> Outcome:
    """Release the model at the tip of the default branch, unless it is the newest release.

    ``statement`` is the file of the verdict on it; without one ``fetch`` asks for what the run of
    the merged pull request left. Raises :class:`MlgitopsError` when the model
    was not published or does not verify, or when a tag of that form is no release.
    """
    repository = folder.repository
    for _ in range(_ATTEMPTS):
        tip, releases = _read_origin(folder, console)
        newest = releases[-1] if releases else None
        if newest is not None and _is_released(repository, folder.prefix, newest, tip):
            pushed = push and not dry_run and _push_again(repository, newest)
            return _describe(newest, made=False, pushed=pushed)
        lineage = _trace(folder, tip, newest, console, statement=statement, fetch=fetch)
        if dry_run:
            tag = f"{lineage.model}@{lineage.version}"
            return Outcome(tag=tag, lineage=lineage, signature=None, made=False, pushed=False)
        made = _make(repository, lineage, console, push=push)
        if made is None:
            console.say("another run released at the same moment: reading again")
        elif _is_overtaken(folder, made, console):
            statement = None  # it is of the model that was just released
        else:
            return _describe(made, made=True, pushed=push)
    raise MlgitopsError(f"{_ATTEMPTS} others were quicker", hint="run `mlgitops release` again")


def _describe(release: Release, *, made: bool, pushed: bool) -> Outcome:
    return Outcome(
        tag=release.tag,
        lineage=release.lineage,
        signature=release.signature,
        made=made,
        pushed=pushed,
    )


def _read_origin(folder: Folder, console: Console) -> tuple[str, list[Release]]:
    """Read the default branch's tip, and the releases there are, as origin has them now."""
    repository = folder.repository
    with console.step("Read the releases that there are"):
        if has_origin(repository.root):
            run_git(repository.root, "fetch", "--quiet", "--no-tags", "origin")
        tip = read_tip(repository)
        model = find_model_name(repository, folder.prefix, tip)
        if has_origin(repository.root):
            _fetch_tags(repository.root, f"{_TAGS}{model}@v*")
        releases = list_releases(repository, model)
    _refuse_shared(folder, releases)
    return tip, releases


def _refuse_shared(folder: Folder, releases: list[Release]) -> None:
    """Raise where another project of the repository releases a model of the same name."""
    others = [release for release in releases if release.lineage.project != folder.prefix]
    if others:
        project = others[0].lineage.project or "the root"
        raise MlgitopsError(
            f"it is a release of the project in {project}, which gives its model the same name",
            where=f"tag {others[0].tag}",
            hint="name them apart in each dvc.yaml: `artifacts:`",
        )


def _fetch_tags(root: Path, pattern: str) -> None:
    """Fetch tags of origin that are not here; raises when one that is here is another there."""
    listed = [
        line.split("\t") for line in run_git(root, "ls-remote", "origin", pattern).splitlines()
    ]
    missing = []
    for sha, ref in (entry for entry in listed if not entry[1].endswith("^{}")):
        asked = ask_git(root, "rev-parse", "--verify", "--quiet", ref)
        if asked.returncode != 0:
            missing.append(f"{ref}:{ref}")
        elif asked.stdout.decode().strip() != sha:
            tag = ref.removeprefix(_TAGS)
            raise MlgitopsError(
                "origin has another tag of this name than this clone: one of them was moved",
                where=f"tag {tag[:100]}",
                hint=f"see both, then drop a wrong one of yours: `git tag --delete {tag[:100]}`",
            )
    if missing:
        run_git(root, "fetch", "--quiet", "--no-tags", "origin", *missing)


def _is_released(repository: Repository, project: str, newest: Release, tip: str) -> bool:
    """Tell whether the tip has the model of the newest release, made and served as then.

    Held against the newest alone: after a revert, the old model is a new version of its own, so
    that the newest release is always what the branch has.
    """
    if read_model_sha256(repository, project, tip) != newest.sha256:
        return False
    change, _ = find_change(repository, project, newest.revision, tip)
    return change is Change.DATA


def _trace(
    folder: Folder,
    tip: str,
    newest: Release | None,
    console: Console,
    *,
    statement: Path | None,
    fetch: FetchStatement | None,
) -> Lineage:
    """Verify the tip's model as the storage has it, and write down where it comes from."""
    repository, project = folder.repository, folder.prefix
    change: Change = Change.FIRST
    changed: tuple[str, ...] = ()
    if newest is not None:
        change, changed = find_change(repository, project, newest.revision, tip)
    digest = read_model_sha256(repository, project, tip)
    oid = read_model_oid(repository, project, tip)
    with (
        console.step(f"Verify the model {digest[:12]}, as it was published"),
        restore_published(folder.place, oid, console) as file,
    ):
        _check_files(folder, tip, digest, hash_sha256(file))
        account = trace_model(repository, project, tip)
        since = newest.revision if newest else None
        if statement is not None:
            add_statement(
                *(account, repository), project=project, path=statement, model=file, newest=since
            )
        elif fetch is not None:
            judged = list_judged(repository, find_merge(repository, project, tip, since, changed))
            kept = judged if isinstance(judged, str) else fetch(judged)
            add_kept_statement(
                *(account, repository, kept), project=project, model=file, newest=since
            )
        size = file.stat().st_size
    previous = newest.version if newest else None
    fields = {
        "model": find_model_name(repository, project, tip),
        "version": next_version(previous, change),
        "previous": previous,
        "change": change,
        "changed": changed[:100],
        "project": project,
        "commit": tip,
        "path": MODEL,
        "md5": oid,
        "sha256": digest,
        "size": size,
        "sources": account.sources,
        "absent": account.absent,
    }
    return msgspec.convert({**account.fields, **fields}, Lineage)


def _check_files(folder: Folder, tip: str, named: str, stored: str | None) -> None:
    """Raise unless the stored model is the named one, and the golden prediction can be asked."""
    if stored != named:
        raise MlgitopsError(
            f"the published model's sha256 is {stored}, and model.json names {named}",
            where=f"{MODEL} at {tip[:12]}",
            hint="dvc.lock and model/model.json do not belong together: train again, commit both",
        )
    golden = folder.read(tip, GOLDEN)
    if golden is None:
        raise MlgitopsError(
            "there is no golden prediction to check a server with",
            where=f"{GOLDEN} at {tip[:12]}",
            hint=f"commit {GOLDEN}, which the stage evaluate writes",
        )
    parse_golden(golden, f"{GOLDEN} at {tip[:12]}")


def _make(
    repository: Repository, lineage: Lineage, console: Console, *, push: bool
) -> Release | None:
    """Make the tag, and push it; None when another run's tag of that name is there already."""
    tag, root = f"{lineage.model}@{lineage.version}", repository.root
    with console.step(f"Tag {tag}"):
        if not _write_tag(root, tag, lineage):
            return None
    try:
        release = find_release(repository, lineage.model, lineage.version)
    except MlgitopsError:  # such as one that main's allowed signers did not sign
        _drop_tag(repository, tag)
        raise
    if push:
        with console.step(f"Push {tag} to origin"):
            if not _push(root, tag):
                _drop_tag(repository, tag)
                return None
    return release


def _drop_tag(repository: Repository, tag: str) -> None:
    """Delete the tag that this run made, if it is still that one."""
    own = read_tag(repository, tag).sha
    run_git(repository.root, "update-ref", "-d", f"{_TAGS}{tag}", own)


def _write_tag(root: Path, tag: str, lineage: Lineage) -> bool:
    """Write the annotated tag, signed where git knows an SSH key; False when there is one."""
    sign = "--sign" if _has_key(root) else "--no-sign"
    with tempfile.NamedTemporaryFile(prefix="mlgitops-") as message:
        message.write(encode_message(lineage))
        message.flush()
        words = ("tag", "--annotate", sign, "--cleanup=verbatim", f"--file={message.name}")
        try:
            run_git(root, *identity_options(root), *words, tag, lineage.commit)
        except MlgitopsError as error:
            if "already exists" in error.what or "cannot lock ref" in error.what:
                return False
            raise
    return True


def _has_key(root: Path) -> bool:
    """Tell whether git is set up to sign with an SSH key: `gpg.format` and `user.signingKey`."""
    form = ask_git(root, "config", "gpg.format").stdout.strip()
    return form == b"ssh" and bool(ask_git(root, "config", "user.signingKey").stdout.strip())


def _push(root: Path, tag: str) -> bool:
    """Push the tag without force; False when origin has another of that name.

    Asked of origin afterwards: an answer that was lost is no failure, and none that came is proof.
    """
    ref, failure = f"{_TAGS}{tag}", None
    try:
        run_git(root, "push", "--quiet", "--no-verify", "origin", f"{ref}:{ref}")
    except MlgitopsError as error:
        failure = error
    own = run_git(root, "rev-parse", "--verify", ref).strip()
    held = find_remote_ref(root, ref)
    if held is None:
        raise MlgitopsError(
            failure.what if failure else "origin did not take the tag",
            where=f"tag {tag}",
            hint="it is made here; `mlgitops release --push` again sends it",
        )
    return held == own


def _push_again(repository: Repository, release: Release) -> bool:
    """Push a tag that an earlier run made; true when origin has it."""
    if not _push(repository.root, release.tag):
        raise MlgitopsError("origin has another tag of this name", where=f"tag {release.tag}")
    return True


def _is_overtaken(folder: Folder, made: Release, console: Console) -> bool:
    """Tell whether a newer commit was released meanwhile, under a lower version than ``made``.

    Two runs that read at the same moment count on from the same release, each by its own change.
    """
    _, releases = _read_origin(folder, console)
    others = releases[: releases.index(made)]
    is_ancestor = folder.repository.is_first_parent_ancestor
    return any(
        other.revision != made.revision and is_ancestor(made.revision, other.revision)
        for other in others
    )
