"""What is new in the sources, and the names of the branches that take it. Asks the sources."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from mlgitops.delivery.proposals.attempts import Series, list_names
from mlgitops.dvc.pointers import name_repository
from mlgitops.errors import MlgitopsError
from mlgitops.updating.imports import group_imports, list_imports
from mlgitops.updating.report import REPORT, Taken
from mlgitops.updating.source import (
    check_settings,
    count_commits,
    fetch_source,
    find_named,
    find_newest,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlgitops.console import Console
    from mlgitops.git.repository import Folder
    from mlgitops.updating.imports import Followed

BRANCHES = "mlgitops/update/"
_SHORT = 12


class Step(NamedTuple):
    """Imports, and the revision of their source that they shall take."""

    followed: Followed
    taken: Taken


class Plan(NamedTuple):
    """All that shall be taken by one pull request; without a step nothing is new."""

    steps: list[Step]
    notes: list[str]  # what was seen and is not taken, in words


def make_plan(
    folder: Folder, tip: str, files: Sequence[str], named: str | None, console: Console
) -> Plan:
    """Ask each source that the project imports from.

    ``files``: the .dvc files that count, none: all of the project. ``named``: the revision that
    somebody wants in the place of the newest. Raises :class:`MlgitopsError` where a source does not
    answer, a tag was moved, or what is named is not there.
    """
    groups = group_imports(list_imports(folder, tip), files)
    if not groups:
        return Plan([], ["no .dvc file of `dvc import` is there"])
    if named is not None and len({name_repository(it.repository) for it in groups}) != 1:
        hint = "name the .dvc files of one: `mlgitops update --to REV FILE.dvc ...`"
        raise MlgitopsError("--to names a revision of one source", hint=hint)
    plan = Plan([], [])
    for followed in groups:
        with console.step(f"Ask {followed.repository}"):
            _add_step(plan, followed, named)
    return plan


def _add_step(plan: Plan, followed: Followed, named: str | None) -> None:
    with fetch_source(followed.repository) as bare:
        newest = (
            find_newest(bare, followed)
            if named is None
            else find_named(bare, named, followed.repository)
        )
        if newest is None:
            files = ", ".join(followed.files)
            plan.notes.append(
                f"{files}: {followed.revision} is a commit, or a tag that is no version such as"
                " v1.0.0: it stays; `--to REV` takes another"
            )
            return
        plan.notes.extend(
            f"the tag {name} is newer, and no branch of the source holds its commit: it is"
            f" left out; `--to {name}` takes it"
            for name in newest.stray
        )
        pinned = [item for item in followed.imports if item.commit != newest.commit]
        if not pinned:
            return
        origins = [item.origin for item in followed.imports]
        check_settings(bare, newest.commit, origins, followed.repository)
        taken = Taken(
            repository=followed.repository,
            old_revision=followed.revision,
            revision=newest.revision,
            old_commit=pinned[0].commit,
            commit=newest.commit,
            commits=count_commits(bare, pinned[0].commit, newest.commit),
            stray=newest.stray,
        )
        plan.steps.append(Step(followed, taken))


def make_series(folder: Folder, base: str, tip: str) -> Series:
    """Describe the branches of this project's updates; the next one is named by what is imported.

    Whoever starts at the same time from the same commits of the sources takes the same name,
    whatever is new there, and only one of them can push it.
    """
    stem = f"{BRANCHES}{folder.prefix}"
    pins = [f"{item.file}\0{item.commit}" for item in list_imports(folder, tip)]
    digest = hashlib.sha256("\n".join(pins).encode()).hexdigest()[:_SHORT]
    return Series(
        base=base,
        tip=tip,
        stem=stem,
        ending=r"[0-9a-f]{12}(-\d{1,3})?",
        report=folder.locate(REPORT),
        names=list_names(f"{stem}{digest}"),
    )
