"""A commit of results on top of a pull request's head, made without checking anything out."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mlgitops.errors import MlgitopsError
from mlgitops.git.program import find_remote_ref, run_git
from mlgitops.storage.branch import BRANCH
from mlgitops.storage.handover.results import refuse_foreign

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

#: The account under which a workflow's token acts on GitHub.
_NAME = "github-actions[bot]"
_MAIL = "41898282+github-actions[bot]@users.noreply.github.com"
_LISTED = "refs/heads/"


class MovedError(MlgitopsError):
    """Somebody else moved the branch, so nothing was committed."""

    def __init__(self, branch: str, *, expected: str, actual: str) -> None:
        """Name both commits."""
        super().__init__(
            f"the branch moved on while this ran: origin holds {actual[:12]}, not {expected[:12]}",
            where=f"branch {branch}",
            hint="nothing was committed; the run of the newer commit publishes its own result",
        )


def write_tree(project: Path, head: str, results: Mapping[str, bytes], gone: list[str]) -> str:
    """Write the tree of ``head`` with ``results`` (path → bytes) put in and ``gone`` left out."""
    with tempfile.TemporaryDirectory(prefix="mlgitops-") as name:
        index = {"GIT_INDEX_FILE": str(Path(name) / "index")}
        run_git(project, "read-tree", head, environment=index)
        # `--cacheinfo` is told from the top of the repository, wherever the project stands.
        top = Path(run_git(project, "rev-parse", "--show-toplevel").strip())
        content = Path(name) / "content"
        for path, data in sorted(results.items()):
            content.write_bytes(data)
            blob = run_git(top, "hash-object", "-w", "--no-filters", content).strip()
            entry = f"100644,{blob},{path}"
            run_git(top, "update-index", "--add", "--cacheinfo", entry, environment=index)
        for path in gone:
            run_git(top, "update-index", "--force-remove", "--", path, environment=index)
        return run_git(top, "write-tree", environment=index).strip()


def commit_tree(project: Path, head: str, tree: str, message: str) -> str:
    """Commit ``tree`` with ``head`` as its only parent; return the sha."""
    identity = {
        f"GIT_{role}_{field}": value
        for role in ("AUTHOR", "COMMITTER")
        for field, value in (("NAME", _NAME), ("EMAIL", _MAIL))
    }
    words = ("commit-tree", tree, "-p", head, "-m", message)
    return run_git(project, *words, environment=identity).strip()


def find_waived(project: Path, branch: str, head: str) -> str:
    """Find where earlier runs of ours left ``branch`` while ``head`` was waived; "" if nowhere.

    One of the commits on top of ``head`` records the waiver. Their authors can be forged, and
    what they hold is not looked at: use it only to report a fail. Raises
    :class:`MlgitopsError` when origin does not say: nothing found would leave them green.
    """
    tip = find_recorded(project, branch, head)
    return tip if tip != head and read_waived(project, head, tip) else ""


def read_waived(project: Path, head: str, tip: str) -> list[str]:
    """Read the messages of the commits after ``head``, up to ``tip``, that record its waiver."""
    form = "--format=%(trailers:key=Waived-sha,valueonly,separator=%x20)%x00%B%x00"
    parts = run_git(project, "log", form, f"{head}..{tip}").split("\0")
    return [
        message
        for waived, message in zip(parts[::2], parts[1::2], strict=False)
        if waived.split() == [head]
    ]


def push_commit(project: Path, branch: str, *, head: str, commit: str) -> str:
    """Move ``branch`` of origin from ``head`` to ``commit``, or not at all; return its sha.

    When origin already holds the same content right on top of ``head``, an earlier run of ours
    put it there, and that commit is returned. Raises :class:`MovedError` when it moved on.
    """
    check_branch(project, branch)
    ref = f"{_LISTED}{branch}"
    # A compare-and-swap: `commit` descends from `head`, so nothing can be overwritten, and a
    # branch that was deleted meanwhile is not made again.
    lease = f"--force-with-lease={ref}:{head}"
    failure: MlgitopsError | None = None
    try:
        run_git(project, "push", "--quiet", "--no-verify", lease, "origin", f"{commit}:{ref}")
    except MlgitopsError as error:
        failure = error
    tip = find_remote_ref(project, ref) or "nothing"
    landed = tip if tip == commit else _find_same(project, tip, head, commit)
    if landed:
        return landed
    if tip == head:
        raise MlgitopsError(
            failure.what if failure else "origin did not take the commit",
            where=f"branch {branch}",
            hint="the job needs `contents: write`, and the branch must accept pushes",
        )
    raise MovedError(branch, expected=head, actual=tip)


def find_tip(project: Path, branch: str, head: str) -> str:
    """Find where ``branch`` of origin stands, when only results were added to ``head``; else it.

    Several projects of one repository record their results one after the other. Authors can be
    forged, so such commits may change nothing but what runs write. Raises
    :class:`MlgitopsError` naming a file that they change all the same; what stands in the
    caller's own project is for the caller to check.
    """
    tip = find_recorded(project, branch, head)
    if tip != head:
        refuse_foreign(project, head, tip)
    return tip


def find_recorded(project: Path, branch: str, head: str) -> str:
    """Find where ``branch`` of origin stands, when all commits since ``head`` look like ours.

    Only their author and subject are looked at, and both can be forged: enough to report what
    is no pass. Raises :class:`MlgitopsError` when origin does not say.
    """
    check_branch(project, branch)
    tip = find_remote_ref(project, f"{_LISTED}{branch}") or head
    if tip == head:
        return head
    run_git(project, "fetch", "--quiet", "--no-tags", "origin", tip)
    try:
        run_git(project, "merge-base", "--is-ancestor", head, tip)
        told = run_git(project, "log", "--format=%ae %s", f"{head}..{tip}").splitlines()
    except MlgitopsError:
        return head
    return tip if all(one == f"{_MAIL} {write_subject(head)}" for one in told) else head


def write_subject(head: str) -> str:
    """Write the first line of the message of a commit of results."""
    return f"Record what was trained at {head[:12]}"


def find_tree(project: Path, sha: str, prefix: str = "") -> str | None:
    """Find the tree of the folder ``prefix`` at a commit; None when it has no such folder."""
    try:
        return run_git(project, "rev-parse", "--verify", f"{sha}:{prefix.rstrip('/')}").strip()
    except MlgitopsError:
        return None


def check_branch(project: Path, branch: str) -> None:
    """Raise :class:`MlgitopsError` for a name that is no branch, or is the storage itself."""
    if branch == BRANCH or branch.startswith("-"):
        raise MlgitopsError("results are not committed there", where=f"branch {branch[:100]}")
    try:
        run_git(project, "check-ref-format", f"{_LISTED}{branch}")
    except (MlgitopsError, ValueError) as error:
        raise MlgitopsError(f"not a branch: {branch[:100]!a}") from error


def authorize(environ: MutableMapping[str, str]) -> None:
    """Let git show the workflow's token to the server that runs it, and to no other.

    It goes through variables: a command line can be read by every process of the machine,
    and a configuration file would outlive the step.
    """
    import base64

    token, server = environ.get("GITHUB_TOKEN"), environ.get("GITHUB_SERVER_URL", "")
    if not token or not server.startswith("https://"):
        return
    word = base64.b64encode(f"x-access-token:{token}".encode()).decode()
    number = int(environ.get("GIT_CONFIG_COUNT") or 0)
    environ["GIT_CONFIG_COUNT"] = str(number + 1)
    environ[f"GIT_CONFIG_KEY_{number}"] = f"http.{server.rstrip('/')}/.extraheader"
    environ[f"GIT_CONFIG_VALUE_{number}"] = f"AUTHORIZATION: basic {word}"


def _find_same(project: Path, tip: str, head: str, commit: str) -> str | None:
    """Find what equals ``commit`` on the way from ``head`` to ``tip`` of origin; None if none.

    It has the same parent, content and author; results of other projects may follow it.
    """
    try:
        run_git(project, "fetch", "--quiet", "--no-tags", "origin", tip)
        words = ("rev-list", "--first-parent", "--reverse", f"{head}..{tip}")
        first = next(iter(run_git(project, *words).split()), tip)
        mine, theirs = (
            run_git(project, "show", "--no-patch", "--format=%P %T %ae", sha).strip()
            for sha in (commit, first)
        )
    except MlgitopsError:
        return None
    return first if mine == theirs else None
