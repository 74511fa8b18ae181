"""A change of files, such as of what an environment wants, as a branch and as a pull request.

Reads and writes git beside every work tree, and asks the API where there is a token. The branch
is pushed without force: whoever comes second finds the same content there, or is refused.
"""

from __future__ import annotations

import os
import re
import shlex
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from msgspec import Struct

from mlgitops.delivery.bundle import read_model_sha256
from mlgitops.errors import MlgitopsError
from mlgitops.git.commits import move_ref, push_commit, write_commit
from mlgitops.git.program import (
    ask_git,
    fetch_commit,
    find_remote_ref,
    find_revision,
    run_git,
)
from mlgitops.git.wanted import read_wanted
from mlgitops.storage.exchange import has_origin
from mlgitops.storage.handover.commit import authorize

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mlgitops.console import Console
    from mlgitops.git.repository import Repository

_HEADS = "refs/heads/"
_SHORT = 12
_GITHUB = "https://github.com"
#: The end of a remote's address: `git@github.com:OWNER/NAME.git`, `https://HOST/OWNER/NAME`.
_REMOTE = re.compile(
    r"(?:://|@)[^/:]+(?::\d+)?[/:](?P<name>[\w.-]+/[\w.-]+?)(?:\.git)?/?$", re.ASCII
)


class Change(Struct, frozen=True, kw_only=True):
    """A change of files that a branch of its own shall hold, and what is said of it."""

    base: str  # the default branch, without a remote's name
    tip: str  # sha of the commit that it was made of
    branch: str
    title: str  # one line, of our own words, names and versions that were checked
    body: str  # Markdown, escaped

    @property
    def files(self) -> dict[str, bytes]:
        """Return all that changes: path from the repository's root → content."""
        raise NotImplementedError

    def check(self, repository: Repository, sha: str) -> None:
        """Raise :class:`MlgitopsError` where the commit ``sha`` must not be pushed."""


class FileChange(Change, frozen=True, kw_only=True):
    """A change that is its files, and nothing that an environment wants."""

    contents: dict[str, bytes]  # path from the repository's root → content

    @property
    def files(self) -> dict[str, bytes]:
        """Return all that changes: path from the repository's root → content."""
        return self.contents


class Proposal(Change, frozen=True, kw_only=True):
    """What an environment shall want, as files, and what is said of that."""

    environment: str
    path: str  # of its model.yaml, from the repository's root
    content: bytes | None  # None: it stays as it is, and the image changes
    image: tuple[str, bytes] | None = None  # path and content of the overlay that pins its image

    @property
    def files(self) -> dict[str, bytes]:
        """Return all that changes: path from the repository's root → content."""
        wanted = {} if self.content is None else {self.path: self.content}
        return wanted | dict([self.image] if self.image else [])

    def check(self, repository: Repository, sha: str) -> None:
        """Raise :class:`MlgitopsError` where nobody could deploy what ``sha`` wants."""
        prefix = self.path.removesuffix(f"deploy/{self.environment}/model.yaml")
        wanted = read_wanted(repository, prefix, self.environment, sha)
        digest = read_model_sha256(repository, prefix, wanted.commit)
        if wanted.sha256 not in (None, digest):
            raise MlgitopsError(
                f"it would want the model {wanted.sha256}, and that commit has {digest}",
                where=f"{self.path} at {wanted.commit[:_SHORT]}",
            )


class Forge(NamedTuple):
    """A repository at GitHub, and the token with which it is asked."""

    name: str  # OWNER/NAME
    token: str
    api: str  # address


class Proposed(Struct, frozen=True, kw_only=True):
    """What became of a proposal."""

    branch: str
    commit: str
    number: int | None  # of the pull request; None: nobody was asked to open one
    url: str | None  # of the pull request, or of the page that opens one
    opener: str | None  # the command that opens it, where it is not open
    merged: bool = False  # it was pushed to the default branch itself


def fetch_newest(root: Path, console: Console) -> None:
    """Fetch branches and tags of origin, if there is one, so that the newest state is judged.

    Raises :class:`MlgitopsError` when it does not answer, or one of its tags is another than here.
    """
    if not has_origin(root):
        return
    authorize(os.environ)
    with console.step("Fetch branches and tags of origin"):
        run_git(
            *(root, "fetch", "--quiet", "--tags", "origin"),
            hint="a tag that is another one here was moved: `git fetch origin --tags --verbose`",
        )


def find_default(repository: Repository) -> tuple[str, str]:
    """Return the default branch's name and its tip, as the remote has it where there is one."""
    name = repository.find_default_branch()
    if name is None:
        hint = "`git remote set-head origin --auto`, or name the branch main"
        raise MlgitopsError("no default branch was found", hint=hint)
    tip = repository.resolve(name)
    asked = ask_git(repository.root, "rev-parse", "--abbrev-ref", name)
    return os.fsdecode(asked.stdout).strip().removeprefix("origin/"), tip


def push_proposal(repository: Repository, proposal: Change) -> str:
    """Bring the branch of ``proposal`` to origin, or make it here where there is no origin.

    Return the sha of its commit; one that is there already with this very content is kept, and
    one that is merged already goes on from there. Raises :class:`MlgitopsError` when the branch
    holds something else, or origin does not take it.
    """
    root, ref = repository.root, f"{_HEADS}{proposal.branch}"
    is_remote = has_origin(root)
    tip = find_remote_ref(root, ref) if is_remote else find_revision(root, ref)
    if tip is not None and not repository.is_ancestor(tip, proposal.tip):
        return _take_over(repository, proposal, tip)
    sha = _commit(repository, proposal)
    if not is_remote:
        move_ref(root, ref, sha, tip)
        return sha
    problem = push_commit(root, sha, ref)
    if problem is None:
        return sha
    before, tip = tip, find_remote_ref(root, ref)  # its answer was lost, or another was quicker
    if tip is None or tip == before:
        hint = "the token needs `contents: write`, and the branch's name must be allowed by rules"
        raise MlgitopsError(problem, where=f"branch {proposal.branch}", hint=hint)
    return _take_over(repository, proposal, tip)


def push_directly(repository: Repository, proposal: Proposal) -> Proposed:
    """Put the change on the default branch itself, without force.

    Raises :class:`MlgitopsError` when somebody else was quicker, or rules forbid it.
    """
    root, ref = repository.root, f"{_HEADS}{proposal.base}"
    sha = _commit(repository, proposal)
    merged = Proposed(
        branch=proposal.base, commit=sha, number=None, url=None, opener=None, merged=True
    )
    if not has_origin(root):
        if move_ref(root, ref, sha, proposal.tip):
            return merged
        hint = "run the same command again"
        raise MlgitopsError(f"{proposal.base} moved on meanwhile", where=proposal.path, hint=hint)
    problem = push_commit(root, sha, ref)
    if problem is not None and find_remote_ref(root, ref) != sha:
        raise MlgitopsError(
            f"{proposal.base} did not take it: {problem.splitlines()[-1][:200]}",
            where=proposal.path,
            hint="without --now a pull request is opened; if only somebody else was quicker, run "
            "the same command again",
        )
    return merged


def open_proposal(
    repository: Repository,
    proposal: Change,
    commit: str,
    environ: Mapping[str, str],
    *,
    again: bool = True,
) -> Proposed:
    """Open the pull request of a branch that was pushed; without a token, say how to.

    ``environ`` holds GITHUB_TOKEN, and in a workflow the repository and its addresses. Without
    ``again`` one that a person closed stays closed.
    """
    name = environ.get("GITHUB_REPOSITORY") or _read_name(repository.root)
    forge = find_forge(repository, environ)
    server = environ.get("GITHUB_SERVER_URL", _GITHUB).rstrip("/")
    if forge is None:
        page = f"{server}/{name}/compare/{quote(proposal.base)}...{quote(proposal.branch)}?expand=1"
        return Proposed(
            branch=proposal.branch,
            commit=commit,
            number=None,
            url=page if name else None,
            opener=_write_opener(repository.root, proposal, commit),
        )
    from mlgitops.github.client import open_client
    from mlgitops.github.pull_requests import open_pull_request

    with open_client(forge.api, token=forge.token) as client:
        number = open_pull_request(
            *(client, forge.name),
            branch=proposal.branch,
            base=proposal.base,
            title=proposal.title,
            body=proposal.body,
            again=again,
        )
    return Proposed(
        branch=proposal.branch,
        commit=commit,
        number=number,
        url=f"{server}/{forge.name}/pull/{number}",
        opener=None,
    )


def find_forge(repository: Repository, environ: Mapping[str, str]) -> Forge | None:
    """Return where pull requests are kept; None where no token, or no repository, is known."""
    name = environ.get("GITHUB_REPOSITORY") or _read_name(repository.root)
    token = environ.get("GITHUB_TOKEN") or environ.get("GH_TOKEN")
    if not name or not token:
        return None
    api = environ.get("GITHUB_API_URL") or "https://api.github.com"
    return Forge(name=name, token=token, api=api)


def _write_opener(root: Path, proposal: Change, commit: str) -> str:
    """Write the command that opens the pull request of a branch that is not checked out.

    Its text is the commit's message; where somebody else wrote that, the text stands there whole.
    With `--fill` gh reads a local branch of that name, which nobody has:
    https://github.com/cli/cli/issues/12394
    """
    names = {"base": proposal.base, "head": proposal.branch, "title": proposal.title}
    options = " ".join(f"--{option} {shlex.quote(name)}" for option, name in names.items())
    message = f"git log -1 --format=%b {commit[:_SHORT]}"
    is_ours = run_git(root, *message.split()[1:]).strip() == proposal.body.strip()
    body = f'"$({message})"' if is_ours else shlex.quote(proposal.body)
    return f"gh pr create {options} --body {body}"


def _commit(repository: Repository, proposal: Change) -> str:
    """Write the commit; raises :class:`MlgitopsError` where it must not be pushed."""
    message = f"{proposal.title}\n\n{proposal.body}"
    sha = write_commit(repository.root, proposal.tip, proposal.files, message)
    proposal.check(repository, sha)
    return sha


def _take_over(repository: Repository, proposal: Change, tip: str) -> str:
    """Return ``tip``, if it changes those files to their content and nothing else."""
    root = repository.root
    fetch_commit(root, tip)
    parted = repository.merge_base(tip, proposal.tip)
    changed = repository.changed_files(parted, tip)
    is_same = all(repository.read(tip, path) == data for path, data in proposal.files.items())
    if is_same and set(changed) == proposal.files.keys():
        return tip
    raise MlgitopsError(
        "it is there already, and holds another change",
        where=f"branch {proposal.branch}",
        hint=f"look at it; if nobody needs it: `git push origin --delete {proposal.branch}`",
    )


def _read_name(root: Path) -> str | None:
    """Read OWNER/NAME from the address of origin; None where it is a folder, or there is none."""
    asked = ask_git(root, "remote", "get-url", "origin")
    match = _REMOTE.search(os.fsdecode(asked.stdout).strip()) if asked.returncode == 0 else None
    return match["name"] if match else None
