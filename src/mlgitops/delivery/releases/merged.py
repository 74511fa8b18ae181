"""Which merge brought a model in, and which commits a workflow judged before it. Reads git.

What is judged is a pull request's head, and what is merged may be a squash of it; origin shows
both.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mlgitops.git.program import find_revision, run_git
from mlgitops.github.kept_statement import JudgedCommit
from mlgitops.storage.exchange import has_origin
from mlgitops.storage.handover.commit import write_subject

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from mlgitops.git.repository import Repository
    from mlgitops.github.kept_statement import KeptStatement

    #: Fetches the statement of what was judged, or says why there is none.
    FetchStatement = Callable[[Sequence[JudgedCommit]], KeptStatement | str]

_PULL_REQUEST = re.compile(r"^Merge pull request #([1-9]\d{0,9}) from |\(#([1-9]\d{0,9})\)$")
_HEAD = re.compile(r"refs/pull/([1-9]\d{0,9})/head")
_WORKFLOWS = (".github/workflows/", ".github/actions/")  # what a run goes by
_MAX_RESULTS = 50  # projects of one repository, each of which may record its results


def find_merge(
    repository: Repository,
    project: str,
    tip: str,
    newest: str | None = None,
    changed: Sequence[str] = (),
) -> str:
    """Find the commit on the line to ``tip`` that brought the model in.

    After the release ``newest`` that may be none: then it is the one that brought in the newest
    of the files ``changed`` since, which serve the same model in another way.
    """
    models = repository.list_changes(tip, f"{project}dvc.lock", most=1)
    is_released = newest is not None and all(
        repository.is_first_parent_ancestor(sha, newest) for sha in models
    )
    paths = [f"{project}{path}" for path in changed]
    others = repository.list_changes(tip, *paths, most=1) if is_released and paths else []
    return next(iter([*others, *models]), tip)


def read_pull_request(repository: Repository, merge: str) -> int | None:
    """Read which pull request a merge or a squash names in its subject, as GitHub writes it."""
    subject = run_git(repository.root, "log", "-1", "--format=%s", merge, errors="replace")
    match = _PULL_REQUEST.search(subject.rstrip("\n"))
    return int(match[1] or match[2]) if match else None


def list_judged(repository: Repository, merge: str) -> list[JudgedCommit] | str:
    """List the commits that a run may have judged before ``merge``; the reason where none can be.

    A merge queue judges the very commit; a pull request's run the head that origin still shows,
    also after a squash, or one below it, when commits of results alone were added to that.
    What is needed of it is fetched.

    A run goes by the workflow as the merge of head and base has it. So a commit with another one
    than base's judged itself, and a head that two pull requests show may have been judged by the
    workflow of any base: then nothing counts.
    """
    number = read_pull_request(repository, merge)
    if number is None:
        return f"the subject of {merge[:12]} names no pull request whose run left a statement"
    ref = f"refs/pull/{number}/head"
    root = repository.root
    shown = _list_shown(root)
    tip, base = shown.get(number), repository.find(f"{merge}^1")
    if tip is None or base is None:
        return f"origin has no {ref}" if base else f"{merge[:12]} was merged into nothing"
    if find_revision(root, tip) is None:
        run_git(root, "fetch", "--quiet", "--no-tags", "origin", ref)
    heads = _list_heads(root, tip)
    other = next((key for key, sha in shown.items() if key != number and sha in heads), None)
    if other is not None:
        return f"pull request {other} shows a head of {number}: a run may have judged it for either"
    parted = repository.merge_base(base, tip)
    for before, after in [(base, merge), *((parted, sha) for sha in heads)]:
        edited = _find_edited(repository, before, after)
        if edited is not None:
            return f"{after[:12]} changes {edited!a:.200}, so that it may have judged itself"
    commits = [JudgedCommit(event="pull_request", sha=sha) for sha in heads]
    return [JudgedCommit(event="merge_group", sha=merge), *commits]


def _list_shown(root: Path) -> dict[int, str]:
    """List the head that origin shows for each pull request, by number."""
    if not has_origin(root):
        return {}
    lines = run_git(root, "ls-remote", "origin", "refs/pull/*/head").splitlines()
    listed = ((sha, _HEAD.fullmatch(name)) for sha, _, name in (x.partition("\t") for x in lines))
    return {int(match[1]): sha for sha, match in listed if match}


def _find_edited(repository: Repository, before: str, after: str) -> str | None:
    """Find a file that says how a run judges, and is not the same at both commits."""
    changed = repository.changed_files(before, after)
    return next((path for path in changed if path.startswith(_WORKFLOWS)), None)


def _list_heads(root: Path, tip: str) -> list[str]:
    """List ``tip``, and each commit below it that has nothing above it but its own results."""
    words = ("log", "--first-parent", f"--max-count={_MAX_RESULTS}", "--format=%H %s", tip)
    listed = [line.split(" ", 1) for line in run_git(root, *words, errors="replace").splitlines()]
    return [
        sha
        for at, (sha, _) in enumerate(listed)
        if all(subject == write_subject(sha) for _, subject in listed[:at])
    ]
