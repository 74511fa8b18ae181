"""The repository that a table is from: its branches and tags, and the newest of them by the rule.

Names, commits and tags are anybody's who may push there. Nothing is checked out: commits alone are
fetched, over the transport that the .dvc file's address has, into a folder that is removed.
"""

from __future__ import annotations

import os
import re
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from mlgitops.dvc.configuration import CONFIG, check_source
from mlgitops.errors import MistakesError, MlgitopsError
from mlgitops.git.program import ask_git, run_git

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mlgitops.updating.imports import Followed

_HEAD = "refs/mlgitops/head"  # the tip of the default branch
_HEADS, _TAGS = "refs/heads/", "refs/tags/"
_SHAPES = (f"+HEAD:{_HEAD}", f"+{_HEADS}*:{_HEADS}*", f"+{_TAGS}*:{_TAGS}*")
_FETCH_SECONDS = 600.0
_MOST_TAGS = 20_000
_MOST_STRAY = 20  # newer tags that no branch holds, of which each is asked about
_SHORT = 12
_TRANSPORTS = ("https", "http", "ssh", "git", "file")
# `user@host:path`; not `helper::address`, by which git would start any program.
_SCP = re.compile(r"(?:[\w.-]+@)?\w[\w.-]*:(?!:)\S+", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}", re.ASCII)
_ABBREVIATED = re.compile(r"[0-9a-f]{7,40}", re.ASCII)
#: A tag of a version: what stands before the numbers, and what is no release behind them.
_VERSION = re.compile(
    r"(?P<stem>(?:.*\D)?)(?P<major>0|[1-9]\d{0,8})\.(?P<minor>0|[1-9]\d{0,8})\.(?P<patch>0|[1-9]\d{0,8})"
    r"(?P<early>-[0-9A-Za-z.-]+)?",
    re.ASCII,
)
_LONGEST_NAME = 200  # characters of a branch's or a tag's name


class Newest(Struct, frozen=True, kw_only=True):
    """The revision of a source that the imports shall take."""

    revision: str | None  # None: the default branch
    commit: str
    stray: tuple[str, ...] = ()  # newer tags whose commits no branch of the source holds


class _Version(NamedTuple):
    stem: str  # what stands before the numbers, such as `v`
    numbers: tuple[int, int, int]
    is_release: bool


@contextmanager
def fetch_source(address: str) -> Iterator[Path]:
    """Fetch the commits of all branches and tags into a bare repository while the block runs.

    Raises :class:`MlgitopsError` where the address is none that everybody has, or does not answer.
    """
    find_transport(address)
    with tempfile.TemporaryDirectory(prefix="mlgitops-source-") as name:
        bare = Path(name)
        run_git(bare, "init", "--quiet", "--bare", ".")
        words: tuple[str, ...] = ("--quiet", "--no-tags", "--no-auto-gc", "--no-recurse-submodules")
        if not address.startswith("/"):  # git gets what is missing from no path
            words += ("--filter=tree:0",)
        run_git(
            bare,
            "fetch",
            *words,
            "--",
            address,
            *_SHAPES,
            environment=_allow_transport(bare, address),
            hint="may this machine read it? git asks its credential helper, as `dvc import` does",
            errors="replace",
            timeout=_FETCH_SECONDS,
        )
        yield bare


def _allow_transport(bare: Path, address: str) -> dict[str, str]:
    """Allow git the one transport of an address, as the settings of whoever runs this write it."""
    rewritten = run_git(bare, "ls-remote", "--get-url", "--", address).strip()
    return {"GIT_ALLOW_PROTOCOL": find_transport(rewritten)}


def find_transport(address: str) -> str:
    """Return the one transport that an address needs; raises for every other form.

    >>> find_transport("git@github.com:acme/features.git")
    'ssh'
    """
    scheme, separator, _ = address.partition("://")
    if separator and scheme in _TRANSPORTS:
        return scheme
    if address.startswith("/"):
        return "file"
    if not separator and _SCP.fullmatch(address):
        return "ssh"
    raise MlgitopsError(
        "it is no address that everybody has: https, ssh, git, or a path from the root",
        where=f"the source {address[:200]!a}",
        hint="`dvc import --force` from an address such as https://github.com/OWNER/NAME",
    )


def find_newest(bare: Path, followed: Followed) -> Newest | None:
    """Find the newest version by the rule that the imports follow; None: no rule names one.

    So it is for a commit, and for a tag that is no version. A tag of a version: the highest release
    above it, of the same form, that a branch holds. A branch: its tip.
    Raises :class:`MlgitopsError` where a tag was moved since it was imported, or the revision is
    gone.
    """
    revision = followed.revision
    if revision is None:
        return Newest(revision=None, commit=_find_commit(bare, _HEAD) or "")
    if _is_pinned(followed, revision):
        return None
    kind = _find_kind(bare, revision, followed.repository)
    if kind == "commit":
        return None
    commit = _find_commit(bare, f"{_HEADS if kind == 'branch' else _TAGS}{revision}") or ""
    if kind == "branch":
        return Newest(revision=revision, commit=commit)
    _refuse_moved(followed, revision, commit)
    return _find_release(bare, revision, commit)


def find_named(bare: Path, name: str, address: str) -> Newest:
    """Find the branch, tag or whole commit that somebody names.

    Raises :class:`MlgitopsError` where the source has none of that name, or two, and for a commit
    that none of its branches and tags holds, as one of a fork.
    """
    if not _COMMIT.fullmatch(name):
        kind = _find_kind(bare, name, address)
        if kind == "commit":
            raise _refuse_unknown(name, address)
        ref = f"{_HEADS if kind == 'branch' else _TAGS}{name}"
        return Newest(revision=name, commit=_find_commit(bare, ref) or "")
    if _find_commit(bare, name) is None or not _is_held(bare, name, _HEADS, _TAGS):
        raise MlgitopsError(
            "no branch or tag of the source holds this commit: it may be of a fork",
            where=f"{name[:_SHORT]} of {address[:200]}",
        )
    return Newest(revision=name, commit=name)


def count_commits(bare: Path, before: str, now: str) -> int | None:
    """Count the commits from one to another; None where the first is not before the second."""
    asked = ask_git(bare, "merge-base", "--is-ancestor", before, now)
    if asked.returncode != 0:
        return None
    return int(ask_git(bare, "rev-list", "--count", f"{before}..{now}").stdout)


def check_settings(bare: Path, commit: str, paths: Iterable[str], address: str) -> None:
    """Raise where DVC, which reads the source's own settings, would do more there than fetch.

    ``paths``: what is imported, from the source's root; each folder above may have settings.
    """
    folders = {"", *(f"{it}/" for path in paths for it in _list_parents(path))}
    mistakes: list[MlgitopsError] = []
    transport = _allow_transport(bare, address)  # what is read is fetched by then
    for folder in sorted(folders):
        name = f"{folder}{CONFIG}"
        listed = run_git(bare, "ls-tree", commit, "--", name, environment=transport)
        if listed:
            blob = listed.split()[2]
            text = run_git(bare, "cat-file", "blob", blob, environment=transport)
            data = text.encode(errors="surrogateescape")
            mistakes += check_source(data, f"{name} at {commit[:_SHORT]}")
    if mistakes:
        raise MistakesError(
            f"the settings of {address[:200]} may make DVC do more than fetch a table:",
            mistakes,
            hint="whoever owns the source moves them to .dvc/config.local",
        )


def _list_parents(path: str) -> list[str]:
    """List the folders above a path, without the root.

    >>> _list_parents("a/b/table.csv")
    ['a', 'a/b']
    """
    parts = path.split("/")[:-1]
    return ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]


def _is_pinned(followed: Followed, revision: str) -> bool:
    """Tell whether a revision is the commit that was imported, however a branch is named now."""
    is_sha = _ABBREVIATED.fullmatch(revision) is not None
    return is_sha and all(item.commit.startswith(revision) for item in followed.imports)


def _find_kind(bare: Path, revision: str, address: str) -> str:
    """Tell whether the source has a revision as a branch or a tag; else it may be a commit."""
    is_named = len(revision) <= _LONGEST_NAME and not revision.startswith("-")
    is_valid = is_named and _is_ref_name(bare, revision)
    kinds = [
        kind
        for kind, begin in (("branch", _HEADS), ("tag", _TAGS))
        if is_valid and _find_commit(bare, f"{begin}{revision}") is not None
    ]
    if len(kinds) > 1:
        raise MlgitopsError(
            "it is a branch and a tag there: which of them counts is anybody's guess",
            where=f"{revision} of {address[:200]}",
            hint="whoever owns the source deletes one of them",
        )
    if kinds:
        return kinds[0]
    if _ABBREVIATED.fullmatch(revision):
        return "commit"
    raise _refuse_unknown(revision, address)


def _is_ref_name(bare: Path, name: str) -> bool:
    """Tell whether git takes ``name`` for that of a branch or a tag."""
    return ask_git(bare, "check-ref-format", f"{_HEADS}{name}").returncode == 0


def _refuse_unknown(name: str, address: str) -> MlgitopsError:
    hint = "`mlgitops update --to REV` names another; its tags: `git ls-remote --tags ADDRESS`"
    problem = "the source has no branch or tag of this name"
    return MlgitopsError(problem, where=f"{name[:100]!a} of {address[:200]}", hint=hint)


def _refuse_moved(followed: Followed, tag: str, commit: str) -> None:
    """Raise where the tag names another commit than it did when it was imported."""
    for item in followed.imports:
        if item.commit != commit:
            raise MlgitopsError(
                f"the tag {tag} was moved: it was {item.commit[:_SHORT]} when it was imported, and"
                f" is {commit[:_SHORT]} now",
                where=item.file,
                hint="ask whoever makes the table why; then `mlgitops update --to REV` takes it, or"
                " another",
            )


def _find_release(bare: Path, tag: str, commit: str) -> Newest | None:
    """Find the highest release above ``tag`` that a branch holds, else the tag itself.

    None for a tag that is no version.
    """
    current = _parse_version(tag)
    if current is None:
        return None
    higher = []
    for name in _list_tags(bare):
        version = _parse_version(name)
        if version is None or version.stem != current.stem or not version.is_release:
            continue
        if version.numbers > current.numbers or (
            version.numbers == current.numbers and not current.is_release
        ):
            higher.append((version.numbers, name))
    stray: list[str] = []
    for _, name in sorted(higher, reverse=True)[:_MOST_STRAY]:
        target = _find_commit(bare, f"{_TAGS}{name}")
        if target is not None and _is_held(bare, target, _HEADS):
            return Newest(revision=name, commit=target, stray=tuple(stray))
        stray.append(name)
    return Newest(revision=tag, commit=commit, stray=tuple(stray))


def _list_tags(bare: Path) -> list[str]:
    listed = os.fsdecode(ask_git(bare, "for-each-ref", "--format=%(refname)", _TAGS).stdout)
    names = [ref.removeprefix(_TAGS) for ref in listed.split("\n") if ref]
    if len(names) > _MOST_TAGS:
        hint = "`mlgitops update --to REV` names one"
        raise MlgitopsError(f"the source has more than {_MOST_TAGS:,} tags", hint=hint)
    return [name for name in names if len(name) <= _LONGEST_NAME]


def _parse_version(tag: str) -> _Version | None:
    match = _VERSION.fullmatch(tag)
    if match is None:
        return None
    major, minor, patch = (int(match[name]) for name in ("major", "minor", "patch"))
    return _Version(match["stem"], (major, minor, patch), match["early"] is None)


def _find_commit(bare: Path, name: str) -> str | None:
    """Return the commit that a whole name of a ref, or a sha, leads to."""
    asked = ask_git(
        *(bare, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"),
        environment={"GIT_NO_LAZY_FETCH": "1"},
    )
    return asked.stdout.decode().strip() if asked.returncode == 0 else None


def _is_held(bare: Path, commit: str, *begins: str) -> bool:
    """Tell whether a ref below one of ``begins`` holds the commit."""
    asked = ask_git(bare, "for-each-ref", "--count=1", f"--contains={commit}", *begins)
    return asked.returncode == 0 and bool(asked.stdout.strip())
