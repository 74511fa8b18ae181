"""`.dvc/config` as anybody may have written it: what it may say, and whether the base says so.

DVC reads it with ConfigObj. What passes here lies in the part of that language on which every
reader agrees, so nothing can hide from this check and show to DVC. Pure, but for `use_base`.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mlgitops.errors import MistakesError, MlgitopsError
from mlgitops.writing import replace_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from mlgitops.console import Console

CONFIG = ".dvc/config"
MAX_BYTES = 64 * 1024
#: What a committed configuration may set: nothing that starts a program or reads elsewhere.
ALLOWED_CORE = frozenset({"remote", "analytics", "autostage"})
#: What says where a remote is: a pull request leaves it as the base has it.
ADDRESS = ("url", "endpointurl", "account_name", "projectname", "user", "port")
ALLOWED_REMOTE = frozenset({"verify", "region", "version_aware", *ADDRESS})
#: Of the remotes of a repository that we import from.
ALLOWED_SOURCE = ALLOWED_REMOTE | {"jobs", "profile", "timeout", "connect_timeout", "read_timeout"}

#: Section ("core", or `remote "NAME"`) → key → value.
Configuration = dict[str, dict[str, str]]

_NAME = r"[A-Za-z0-9][A-Za-z0-9 \"._-]*?"
_SECTION = re.compile(rf"\[\s*(?:'({_NAME})'|({_NAME}))\s*\]")
_REMOTE = re.compile(r'remote "([A-Za-z0-9][A-Za-z0-9._-]*)"')
# No quotes, comments, lists or references in a value: readers differ on them.
_SETTING = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\s*=\s*((?:(?!%\()[^'\"#,])*?)")
_MOVE = (
    "add the new address as a remote of its own and merge that, then make it the default: "
    "docs, Choose the storage, Move it"
)
_OWN = "set it in .dvc/config.local, which is yours alone and not committed"


def parse_config(data: bytes) -> Configuration:
    """Read a committed configuration; names in lower case, as DVC takes them.

    Raises :class:`MistakesError` naming every line that is not a plain section, setting,
    comment or blank, and :class:`MlgitopsError` on what is no text of a sensible size.
    """
    if len(data) > MAX_BYTES:
        raise MlgitopsError(f"over {MAX_BYTES:,} bytes", where=CONFIG)
    try:
        lines = data.decode().replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError as error:
        raise MlgitopsError(f"not a DVC configuration: {error}", where=CONFIG) from error
    sections: Configuration = {}
    section: dict[str, str] | None = None
    mistakes = []
    for number, raw in enumerate(lines, 1):
        line = raw.strip(" \t")
        problem = None if line.replace("\t", "").isprintable() else "an invisible character"
        heading, setting = _SECTION.fullmatch(line), _SETTING.fullmatch(line)
        if not line or (line.startswith("#") and problem is None):
            continue
        if problem is None and heading:
            name = (heading.group(1) or heading.group(2)).lower()
            problem = f"[{name}] stands here twice" if name in sections else None
            section = sections.setdefault(name, {})
        elif problem is None and setting and section is not None:
            key = setting.group(1).lower()
            problem = f"`{key}` is set twice" if key in section else None
            section[key] = setting.group(2)
        elif problem is None:
            problem = "not a DVC configuration in its plain form: [section] and `key = value`"
        if problem is not None:
            mistakes.append(MlgitopsError(problem, where=f"{CONFIG}:{number}"))
    if mistakes:
        hint = "no quotes around values, and comments on lines of their own"
        raise MistakesError("not a plain DVC configuration:", mistakes, hint=hint)
    return sections


def check_config(data: bytes | None, base: bytes | None = None) -> list[MlgitopsError]:
    """List what a committed configuration may not say; with ``base``, where it moves the storage.

    A remote that the base does not have is allowed while it is not the default: jobs take the
    base's configuration, so nothing uses it yet.
    """
    try:
        config = parse_config(data or b"")
    except MistakesError as error:
        return list(error.errors)
    except MlgitopsError as error:
        return [error]
    remotes = _find_remotes(config)
    mistakes = [_forbid(section, key) for section, key in _list_forbidden(config)]
    for name, options in remotes.items():
        if options.get("verify", "false").lower() != "true":
            hint = "add `verify = true`: DVC then checks every object that it fetches"
            problem = f"the remote `{name}` does not verify"
            mistakes.append(MlgitopsError(problem, where=CONFIG, hint=hint))
    return mistakes if base is None else [*mistakes, *_compare(config, _read_known(base))]


def check_source(data: bytes, where: str) -> list[MlgitopsError]:
    """List what the remotes of a repository that we import from may not say.

    DVC asks them with the sign-in of whoever imports, so they name an address and no more. Another
    endpoint than Amazon's is for S3 alone: it never sees the secret that signs a request, while
    those of other clouds are handed a token that opens our own storage.
    """
    try:
        remotes = _find_remotes(parse_config(data))
    except MistakesError as error:
        return [MlgitopsError(it.what, where=f"{where}: {it.where}") for it in error.errors]
    except MlgitopsError as error:
        return [MlgitopsError(error.what, where=where)]
    return [
        MlgitopsError(f"`{key}` of the remote `{name}` is more than an address", where=where)
        for name, options in sorted(remotes.items())
        for key in options
        if key not in ALLOWED_SOURCE
        or (key == "endpointurl" and not options.get("url", "").startswith("s3://"))
    ]


def check_tracked(files: Iterable[str]) -> list[MlgitopsError]:
    """Refuse files in git that DVC would take for this machine's own."""
    own = (".dvc/config.local", ".dvc/cache/", ".dvc/tmp/", ".dvc/site_cache/")
    return [
        MlgitopsError("DVC's own files of one machine are not committed", where=path, hint=hint)
        for path in sorted(files)
        if path.casefold().startswith(own)
        for hint in (f"`git rm --cached {path}`, and ignore it in .dvc/.gitignore",)
    ][:20]


def refuse_tracked(project: Path) -> None:
    """Raise :class:`MistakesError` for what :func:`check_tracked` finds in git's index."""
    from mlgitops.git.program import run_git

    tracked = check_tracked(run_git(project, "ls-files", "-z", "--", ".dvc").split("\0"))
    if tracked:
        raise MistakesError("files in git would decide for DVC:", tracked)


@contextmanager
def use_base(project: Path, base: str | None, console: Console) -> Iterator[None]:
    """Let the base's `.dvc/config` be the project's while the block runs.

    What a pull request says there is code, and this job may hold an identity of the storage.
    Raises :class:`MlgitopsError` when git holds a `.dvc/config.local`, which would win.
    """
    if base is None:
        yield
        return
    refuse_tracked(project)
    trusted, file = read_base(project, base), project / CONFIG
    own = file.read_bytes() if file.is_file() else None
    if trusted == own:
        yield
        return
    console.warn(f"{CONFIG} is taken from the base: the change to it counts once it is merged")
    _put(file, trusted)
    try:
        yield
    finally:
        _put(file, own)


def read_base(project: Path, base: str) -> bytes | None:
    """Return `.dvc/config` of ``project`` as it stands at a revision; None when it has none."""
    from mlgitops.git.program import find_revision, run_git

    sha = find_revision(project, base)
    if sha is None:
        raise MlgitopsError(
            f"the base {base} is not in this clone",
            where=str(project),
            hint="fetch it, or check out with `fetch-depth: 0`",
        )
    if not run_git(project, "ls-tree", "--name-only", sha, f"./{CONFIG}").strip():
        return None
    return run_git(project, "show", f"{sha}:./{CONFIG}").encode()


def _put(file: Path, data: bytes | None) -> None:
    if data is None:
        file.unlink(missing_ok=True)
        return
    replace_file(file, data, root=file.parents[1])


def _read_known(base: bytes) -> Configuration | None:
    """Read the base's; None when it is not plain: then this change may be the one to mend it."""
    try:
        return parse_config(base)
    except MlgitopsError:
        return None


def _find_remotes(config: Configuration) -> dict[str, dict[str, str]]:
    matches = ((_REMOTE.fullmatch(section), section) for section in config)
    return {match.group(1): config[section] for match, section in matches if match}


def _list_forbidden(config: Configuration) -> Iterator[tuple[str, str]]:
    for section, options in config.items():
        remote = ALLOWED_REMOTE if _REMOTE.fullmatch(section) else frozenset()
        allowed = ALLOWED_CORE if section == "core" else remote
        yield from ((section, key) for key in options if key not in allowed)


def _forbid(section: str, key: str) -> MlgitopsError:
    return MlgitopsError(f"`{key}` in [{section}] is not allowed", where=CONFIG, hint=_OWN)


def _compare(config: Configuration, base: Configuration | None) -> Iterator[MlgitopsError]:
    """Name each known remote that is moved, and a default that the base does not know."""
    if base is None:
        return
    remotes, at_base = _find_remotes(config), _find_remotes(base)
    for name in sorted(remotes.keys() & at_base.keys()):
        yield from _compare_remote(name, remotes[name], at_base[name])
    default = config.get("core", {}).get("remote", "").lower()
    if default and default not in at_base:
        problem = f"the default remote is `{default}`, which the base does not have"
        yield MlgitopsError(problem, where=CONFIG, hint=_MOVE)


def _compare_remote(
    name: str, remote: Mapping[str, str], at_base: Mapping[str, str]
) -> Iterator[MlgitopsError]:
    for key in ADDRESS:
        if remote.get(key) != at_base.get(key):
            head_value, base_value = (
                str(side.get(key, "not set"))[:200] for side in (remote, at_base)
            )
            problem = (
                f"`{key}` of the remote `{name}` is {head_value}, and at the base {base_value}"
            )
            yield MlgitopsError(problem, where=CONFIG, hint=_MOVE)
