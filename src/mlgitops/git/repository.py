"""Bytes of files at a revision, or of the work tree; merge base; which files changed.

One `git cat-file` process answers every read of a repository. Reads git and disk.
"""

from __future__ import annotations

import os
import posixpath
from contextlib import suppress
from types import MappingProxyType
from typing import IO, TYPE_CHECKING

from mlgitops.errors import MlgitopsError
from mlgitops.git.links import refuse_link
from mlgitops.git.paths import list_parents
from mlgitops.git.program import ask_git, open_git
from mlgitops.git.tree import Tree

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from typing import Self

#: The largest file we read, in bytes; predictions of millions of rows fit.
MAX_FILE_BYTES = 2 * 2**30
_FILE_MODES = (b"100644", b"100755")  # submodules are not files
_LINK_MODE = b"120000"
_MODULE_MODE = b"160000"
_DEFAULTS = MappingProxyType(  # what people call a branch → the ref that it must be
    {
        "origin/HEAD": "refs/remotes/origin/HEAD",
        "origin/main": "refs/remotes/origin/main",
        "origin/master": "refs/remotes/origin/master",
        "main": "refs/heads/main",
        "master": "refs/heads/master",
    }
)
_SHA256_DIGITS = 64  # of an object id, in repositories made with --object-format=sha256
#: What to do about a commit that a shallow clone may lack.
UNSHALLOW = "fetch the whole history: `git fetch --unshallow`, or `fetch-depth: 0` for checkout"


class Repository:
    """A git repository with a work tree.

    Revisions are given as shas from :meth:`resolve`; None means the work tree. Paths are
    relative to the root, with forward slashes. Use it as a context manager, or call
    :meth:`close`, to end the git process behind it.
    """

    def __init__(self, start: Path) -> None:
        """Find the repository around ``start``; raises MlgitopsError when there is none."""
        self.root = _find_root(start)
        self._reader: subprocess.Popen[bytes] | None = None
        self._trees: dict[str | None, Tree] = {}
        self._blobs: dict[str, bytes] = {}
        self._status: dict[str, bool] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def close(self) -> None:
        """End the git process, if one was started."""
        if self._reader is None:
            return
        for pipe in (self._reader.stdin, self._reader.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        self._reader.wait()
        self._reader = None

    def find(self, rev: str) -> str | None:
        """Find the sha of the commit that ``rev`` names; None when there is none."""
        if not rev or "\n" in rev or "\0" in rev:
            return None
        obj = self._read_object(f"{rev}^{{commit}}")
        return obj[0] if obj else None

    def resolve(self, rev: str) -> str:
        """Return the sha of the commit that ``rev`` names; raises MlgitopsError if none."""
        sha = self.find(rev)
        if sha is None:
            raise MlgitopsError(f"unknown revision {rev[:200]!r}", hint=self._hint_for(rev))
        return sha

    def merge_base(self, a: str, b: str) -> str:
        """Return the sha where ``a`` and ``b`` parted; raises MlgitopsError if they never met."""
        done = self._run("merge-base", self.resolve(a), self.resolve(b))
        if done.returncode == 0:
            return done.stdout.decode().strip()
        hint = UNSHALLOW if self.is_shallow() else "name the base: `--base REV`"
        raise MlgitopsError(f"{a[:100]} and {b[:100]} have no common commit", hint=hint)

    def is_first_parent_ancestor(self, sha: str, tip: str) -> bool:
        """Tell whether the line of first parents that ends at ``tip`` goes through ``sha``.

        Commits that a merge brought in as its second parent never stood on that branch.
        """
        done = self._run("rev-list", "--first-parent", tip, "--")
        return sha.encode() in done.stdout.split()

    def is_ancestor(self, sha: str, tip: str) -> bool:
        """Tell whether the history of ``tip`` holds ``sha``; each commit holds itself."""
        return self._run("merge-base", "--is-ancestor", sha, tip).returncode == 0

    def list_tags(self, tip: str) -> dict[str, str]:
        """List the tags of commits in the history of ``tip``: name → sha of the commit."""
        form = "--format=%(objecttype) %(objectname) %(*objecttype) %(*objectname) %(refname)"
        done = self._run("for-each-ref", f"--merged={tip}", form, "refs/tags/")
        tags = {}
        for line in os.fsdecode(done.stdout).split("\n")[:-1]:  # a name may hold other line ends
            kind, own, peeled_kind, peeled, ref = line.split(" ", 4)
            if "commit" in (kind, peeled_kind):
                tags[ref.removeprefix("refs/tags/")] = own if kind == "commit" else peeled
        return tags

    def find_default_branch(self) -> str | None:
        """Find the name of the branch that changes are merged into.

        Raises :class:`MlgitopsError` when a tag or a branch of this name hides it: git would take
        that for it, and whoever may push a tag would say what is merged.
        """
        name = next((name for name, ref in _DEFAULTS.items() if self.find(ref)), None)
        refs = {f"refs/tags/{name}", f"refs/heads/{name}"} - {_DEFAULTS.get(name or "")}
        hiding = sorted(ref for ref in refs if name and self.find(ref))
        if hiding:
            raise MlgitopsError(
                f"{hiding[0]} hides the default branch, {name}",
                where=str(self.root),
                hint=f"see who made it, then remove it, here and at origin: `git update-ref -d "
                f"{hiding[0]}`",
            )
        return name

    def is_shallow(self) -> bool:
        """Tell whether older commits were left out when it was cloned."""
        return self._run("rev-parse", "--is-shallow-repository").stdout.strip() == b"true"

    def list_files(self, sha: str | None) -> dict[str, str]:
        """List the files at ``sha``: path → blob id, of equal content when equal.

        Links to files are among them, see :class:`~mlgitops.git.tree.Tree`. For the work tree:
        tracked files and untracked ones that are not ignored.
        """
        return self.tree(sha).listing

    def tree(self, sha: str | None) -> Tree:
        """Return what git sees at ``sha``, or in the work tree."""
        if sha not in self._trees:
            self._trees[sha] = self._read_tree(sha) if sha else self._work_tree()
        return self._trees[sha]

    def follow(self, sha: str | None, path: str) -> str:
        """Return the path of the file that ``path`` leads to; itself where no link is passed.

        Raises :class:`~mlgitops.git.links.LinkError` when a link leads out of the repository.
        """
        return self.tree(sha).trail(path).follow()

    def find_blob(self, sha: str | None, path: str) -> str | None:
        """Find the id of the content at ``path``, links followed; None where git sees no file."""
        return self.tree(sha).files.get(self.follow(sha, path))

    def read(self, sha: str | None, path: str) -> bytes | None:
        """Read one file, links followed; None when it is not there or not a plain file.

        Raises :class:`~mlgitops.git.links.LinkError` when a link leads out, or to nothing.
        """
        trail = self.tree(sha).trail(path)
        target = trail.follow()
        data = self.read_disk(target) if sha is None else None
        if data is None:  # in a sparse checkout what git calls unchanged may not be on disk
            data = self._read_file(sha, target)
        if data is None and trail.links and not self._is_folder(sha, target):
            raise refuse_link(path, trail.links[-1], "leads to nothing that is there")
        return data

    def read_many(self, sha: str | None, paths: Iterable[str]) -> dict[str, bytes]:
        """Read several files; those that are not there are left out."""
        contents = {path: self.read(sha, path) for path in paths}
        return {path: data for path, data in contents.items() if data is not None}

    def read_at(self, sha: str, path: str) -> tuple[str, bytes] | None:
        """Read one file of a commit without listing it all: id and content; a link's is its text.

        None where there is no such file, and for a name that cannot be asked for.
        """
        return None if "\n" in path else self._read_object(f"{sha}:{path}")

    def list_changes(self, tip: str, *paths: str, most: int) -> list[str]:
        """List the commits on the line of first parents to ``tip`` that changed one of ``paths``.

        The newest first; a merge is one, and what it brought in is not. A path is from the root,
        and may be a folder's.
        """
        words = ("log", "--first-parent", f"--max-count={most}", "--format=%H", tip, "--")
        named = (f":(top,literal){path}" for path in paths)
        return self._run(*words, *named).stdout.decode().split()

    def read_day(self, sha: str) -> str:
        """Return the day, UTC, on which a commit was made."""
        words = ("show", "--no-patch", "--format=%cd", "--date=format-local:%Y-%m-%d", sha)
        return self._run(*words, env={"TZ": "UTC"}).stdout.decode().strip()

    def read_disk(self, path: str) -> bytes | None:
        """Read a file of the work tree, ignored ones too.

        None for git's own files, and behind a link out of it: one that git does not see, as
        DVC makes them to its cache.
        """
        file = self.root / path
        if not file.is_file() or not self._holds(file):
            return None
        if file.stat().st_size > MAX_FILE_BYTES:
            raise MlgitopsError(f"over {MAX_FILE_BYTES:,} bytes", where=path)
        return file.read_bytes()

    def changed_files(self, a: str | None, b: str | None) -> list[str]:
        """List the paths that are not the same at ``a`` and ``b``, sorted."""
        before, after = self.tree(a).entries, self.tree(b).entries
        return sorted(path for path in {*before, *after} if before.get(path) != after.get(path))

    def list_past_contents(self, sha: str, pattern: str, *, most: int) -> tuple[list[bytes], bool]:
        """Return each content that files of a glob ``pattern`` had in the history of ``sha``.

        Each once, the newest first, on branches that were merged too; at most so many, and of
        commits that the line of first parents reached in its last ``most``. The flag tells
        whether there may be older ones.
        """
        floor = self.find(f"{sha}~{most}")
        done = self._run(
            *("log", "--full-history", "--diff-merges=combined", "--raw", "--no-abbrev"),
            *("--no-renames", "--format=", sha, *([f"^{floor}"] if floor else [])),
            *("--", f":(top,glob){pattern}"),
        )
        blobs = dict.fromkeys(filter(None, map(_find_written, done.stdout.splitlines())))
        contents = [self._read_blob(blob) for blob in list(blobs)[:most]]
        return contents, floor is not None or len(blobs) > most or self.is_shallow()

    def export(self, sha: str, target: Path) -> None:
        """Write every file of the commit ``sha`` below ``target``, as a checkout would."""
        target.mkdir(parents=True)
        index = {"GIT_INDEX_FILE": str(target.with_name("index"))}
        for words in (["read-tree", sha], ["checkout-index", "--all", f"--prefix={target}/"]):
            done = self._run(*words, env=index)
            if done.returncode != 0:
                said = done.stderr.decode(errors="replace").strip().partition("\n")[0]
                raise MlgitopsError(f"the files of {sha[:12]} could not be written: {said}")

    def is_dirty(self) -> bool:
        """Tell whether tracked files of the work tree differ from HEAD."""
        return any(self._read_status().values())

    def _read_file(self, sha: str | None, path: str) -> bytes | None:
        blob = self.tree(sha).files.get(path)
        return self._read_blob(blob) if blob else None

    def _is_folder(self, sha: str | None, path: str) -> bool:
        return self.tree(sha).is_folder(path) or (sha is None and (self.root / path).is_dir())

    def _holds(self, path: Path) -> bool:
        """Tell whether ``path`` is in the work tree and not one of git's own files."""
        inside = path.resolve()
        if not inside.is_relative_to(self.root):
            return False
        return ".git" not in (part.casefold() for part in inside.relative_to(self.root).parts)

    def _read_tree(self, sha: str) -> Tree:
        done = self._run("ls-tree", "-r", "-z", "--full-tree", sha)
        if done.returncode != 0 and self.find(sha):  # git lists what it could read of it
            hint = "`git fsck` says what is damaged; a new clone has it whole"
            raise MlgitopsError(f"not all files of {sha[:12]} can be listed", hint=hint)
        files, links, modules = {}, {}, set()
        for entry in done.stdout.split(b"\0"):
            if entry:
                fields, _, path = entry.partition(b"\t")
                mode, _, blob = fields.split(b" ")
                if mode in _FILE_MODES:
                    files[os.fsdecode(path)] = blob.decode()
                elif mode == _LINK_MODE:
                    links[os.fsdecode(path)] = os.fsdecode(self._read_blob(blob.decode()))
                elif mode == _MODULE_MODE:
                    modules.add(os.fsdecode(path))
        return Tree(files, links, frozenset(modules))

    def _work_tree(self) -> Tree:
        """Take HEAD's entries and correct what `git status` says is different."""
        head = self.find("HEAD")
        tree = self.tree(head) if head else Tree({}, {})
        files, links = dict(tree.files), dict(tree.links)
        for path in self._read_status():
            file = self.root / path
            files.pop(path, None)
            links.pop(path, None)
            if file.is_symlink():
                links[path] = os.fspath(file.readlink())
            elif file.is_file():
                files[path] = _blob_id(file.read_bytes(), sha256=len(head or "") == _SHA256_DIGITS)
        return Tree(files, links, tree.modules)

    def _read_status(self) -> dict[str, bool]:
        """List paths that differ from HEAD → whether git tracks them."""
        if self._status is None:
            done = self._run("status", "--porcelain=v1", "-z", "--no-renames", "-uall")
            entries = [entry for entry in done.stdout.split(b"\0") if entry]
            self._status = {os.fsdecode(entry[3:]): entry[:2] != b"??" for entry in entries}
        return self._status

    def _read_blob(self, blob: str) -> bytes:
        if blob not in self._blobs:
            entry = self._read_object(blob)
            if entry is None:
                hint = "the clone is partial: fetch the whole repository"
                raise MlgitopsError(f"git object {blob} is missing", hint=hint)
            self._blobs[blob] = entry[1]
        return self._blobs[blob]

    def _read_object(self, name: str) -> tuple[str, bytes] | None:
        """Ask git for an object: its id and content, or None when there is none."""
        source, sink = self._pipes()
        sink.write(os.fsencode(name) + b"\n")
        sink.flush()
        header = source.readline().split()
        if len(header) != 3 or not header[2].isdigit():  # noqa: PLR2004 - id, type, size
            return None
        size = int(header[2])
        content = source.read(size + 1)[:size]
        return header[0].decode(), content

    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        """Return the ends of git's object reader, which is started when first needed."""
        if self._reader is None:
            self._reader = open_git(self.root, "cat-file", "--batch")
        source, sink = self._reader.stdout, self._reader.stdin
        if source is None or sink is None:  # both were asked for above
            raise MlgitopsError("git gives no output")
        return source, sink

    def _run(
        self, *arguments: str, env: Mapping[str, str] = MappingProxyType({})
    ) -> subprocess.CompletedProcess[bytes]:
        return ask_git(self.root, *arguments, environment=env)

    def _hint_for(self, rev: str) -> str:
        """Say what to do about an unknown revision."""
        if self.is_shallow():
            return UNSHALLOW
        from mlgitops.hints import nearest_name

        listed = self._run("for-each-ref", "--count=1000", "--format=%(refname:short)")
        near = nearest_name(rev, listed.stdout.decode(errors="replace").split())
        return f"did you mean `{near}`?" if near else "`git branch --all` lists what there is"


class Folder:
    """One project's part of a repository: the files below one folder, named from there."""

    def __init__(self, repository: Repository, folder: Path) -> None:
        """Take ``folder``, which stands in the work tree of ``repository``."""
        self.repository = repository
        self.place = folder
        inside = folder.relative_to(repository.root).as_posix()
        self.prefix = "" if inside == "." else f"{inside}/"

    def list_files(self, sha: str | None) -> dict[str, str]:
        """List the folder's files at ``sha``: path → blob id."""
        files = self.repository.list_files(sha)
        if not self.prefix:
            return files
        begin = len(self.prefix)
        return {path[begin:]: blob for path, blob in files.items() if path.startswith(self.prefix)}

    def read(self, sha: str | None, path: str) -> bytes | None:
        """Read one file of the folder, links followed; None when it is not there."""
        return self.repository.read(sha, self.locate(path))

    def has_folder(self, sha: str | None, path: str) -> bool:
        """Tell whether git sees something below ``path``, named from the folder."""
        return self.repository.tree(sha).is_folder(self.locate(path))

    def find_blob(self, sha: str | None, path: str) -> str | None:
        """Find the id of the content at ``path``, links followed."""
        return self.repository.find_blob(sha, self.locate(path))

    def find_module(self, sha: str | None, path: str) -> str | None:
        """Find the submodule that holds ``path`` or is it, named from the repository's root."""
        modules, located = self.repository.tree(sha).modules, self.locate(path)
        return next((name for name in (located, *list_parents(located)) if name in modules), None)

    def follow(self, sha: str | None, path: str) -> str:
        """Return the path of the file itself, named from the folder, which it may leave."""
        target = self.repository.follow(sha, self.locate(path))
        return (
            posixpath.relpath(target, self.prefix or ".") if target != self.locate(path) else path
        )

    def trace(self, sha: str | None, path: str) -> set[str]:
        """List what decides the content at ``path``, named from the repository's root."""
        return self.repository.tree(sha).trace(self.locate(path))

    def locate(self, path: str) -> str:
        """Name a path of the folder from the repository's root."""
        return posixpath.normpath(self.prefix + path) if "../" in path else self.prefix + path


def _find_written(line: bytes) -> str | None:
    """Find the blob that a line of `git log --raw` says was written: one colon for each parent."""
    fields = line.partition(b"\t")[0].split()
    parents = len(line) - len(line.lstrip(b":"))
    is_file = parents < len(fields) and fields[parents] in _FILE_MODES
    return fields[-2].decode() if is_file else None


def _find_root(start: Path) -> Path:
    """Find the top of the work tree around ``start``."""
    try:
        done = ask_git(start, "rev-parse", "--show-toplevel")
    except FileNotFoundError as error:
        problem = "no such folder" if not start.is_dir() else "git is not installed or not on PATH"
        raise MlgitopsError(problem, where=str(start)) from error
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().removeprefix("fatal: ")
        if "not a git repository" in said:
            hint = "run it inside one, or make one: `git init`"
            raise MlgitopsError("not a git repository", where=str(start), hint=hint)
        raise MlgitopsError(f"git: {said.splitlines()[0] if said else 'failed'}", where=str(start))
    return type(start)(os.fsdecode(done.stdout.rstrip(b"\n"))).resolve()


def _blob_id(data: bytes, *, sha256: bool) -> str:
    """Compute the id that git gives these bytes.

    Source: https://git-scm.com/book/en/v2/Git-Internals-Git-Objects
    """
    import hashlib

    digest = hashlib.sha256() if sha256 else hashlib.sha1(usedforsecurity=False)
    digest.update(b"blob %d\0" % len(data) + data)
    return digest.hexdigest()
