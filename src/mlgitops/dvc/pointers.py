"""What DVC says of data: the pointers in dvc.lock and .dvc files. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from mlgitops.model import DataVersion, ImportSource

if TYPE_CHECKING:
    from mlgitops.parsing import Value

_HASHES = ("md5", "etag", "checksum")
_MAX_HASH = 90

#: Stands in an address for a user with a password, or with a token for a name.
HIDDEN = "://***@"
_USER = re.compile(r"://(?P<name>[^/?#:]*)(?P<password>:[^/?#]*)?@")
# How tokens begin that GitHub, GitLab, Bitbucket and Hugging Face give; older ones are long.
_TOKEN = re.compile(r"(?:gh[a-z]_|github_pat_|gl[a-z]+-|ATBB|ATCTT|hf_)\w|\w{40}", re.ASCII)

_REMOTE = re.compile(
    r"(?:(?:https?|ssh|git)://(?:[^/]*@)?(?P<host>[^/:@]+)(?::\d+)?/"
    r"|(?:[^/:@]+@)?(?P<scp>[^/:@]+):(?!//))(?P<path>.+)"
)


def parse_pointer(document: dict[str, Value]) -> list[tuple[str, DataVersion]]:
    """List the paths of a .dvc file, relative to it, with their versions.

    >>> parse_pointer({"outs": [{"path": "a.csv", "md5": "0f", "size": 3}]})[0][0]
    'a.csv'
    """
    outs = document.get("outs")
    return [
        (str(item["path"]), read_version(item))
        for item in (outs if isinstance(outs, list) else [])
        if isinstance(item, dict) and "path" in item
    ]


def parse_import(document: dict[str, Value]) -> ImportSource | None:
    """Read where a .dvc file of `dvc import` took its output from; None where that is no commit.

    Whatever else it is: what is not pinned can be other data in the next run. A secret in the
    address is left out here, so that no release, audit or message can show it.
    """
    deps = document.get("deps")
    item = deps[0] if isinstance(deps, list) and len(deps) == 1 else None
    repo = item.get("repo") if isinstance(item, dict) else None
    if not isinstance(item, dict) or not isinstance(repo, dict):
        return None
    url = repo.get("url")
    named = {
        "repository": hide_secret(url) if isinstance(url, str) else url,
        "commit": repo.get("rev_lock"),
        "path": item.get("path"),
    }
    try:
        return msgspec.convert(named, ImportSource)
    except msgspec.ValidationError:
        return None


def parse_followed(document: dict[str, Value]) -> str | None:
    """Read the branch, tag or commit that a .dvc file of `dvc import` follows.

    None: the default branch of its repository.

    >>> parse_followed({"deps": [{"path": "a.csv", "repo": {"url": "/f", "rev": "v1.0.0"}}]})
    'v1.0.0'
    """
    deps = document.get("deps")
    item = deps[0] if isinstance(deps, list) and deps else None
    repo = item.get("repo") if isinstance(item, dict) else None
    revision = repo.get("rev") if isinstance(repo, dict) else None
    return revision if isinstance(revision, str) and revision else None


def hide_secret(address: str) -> str:
    """Put :data:`HIDDEN` in the place of a user with a password, and of a token as the user.

    >>> hide_secret("https://me:secret@github.com/acme/features")
    'https://***@github.com/acme/features'
    >>> hide_secret("ssh://git@github.com/acme/features")
    'ssh://git@github.com/acme/features'
    """
    match = _USER.search(address)
    if match is None or not (match["password"] or _TOKEN.match(match["name"])):
        return address
    return f"{address[: match.start()]}{HIDDEN}{address[match.end() :]}"


def name_repository(address: str) -> str:
    """Return host and path of an address, which are the same for HTTPS and SSH; or a path on disk.

    >>> name_repository("https://me@github.com/Acme/features.git")
    'github.com/acme/features'
    >>> name_repository("git@github.com:acme/features")
    'github.com/acme/features'
    """
    path = address.rstrip("/").removesuffix(".git").rstrip("/")
    match = _REMOTE.fullmatch(path)
    if match is None:
        return path.removeprefix("file://")
    return f"{match['host'] or match['scp']}/{match['path'].lstrip('/')}".lower()


def read_version(item: dict[str, Value]) -> DataVersion:
    """Read hash, size in bytes and number of files from one entry of `outs` or `deps`."""
    kind = next((key for key in _HASHES if isinstance(item.get(key), (str, int))), None)
    digest = f"{kind}:{item[kind]}" if kind else "unknown"
    size, files = _count(item.get("size")), _count(item.get("nfiles"))
    return DataVersion(hash=_shorten(digest), size=size, files=files)


def _shorten(digest: str) -> str:
    """Put a hash in an over-long one's place: cut short, two of them could look the same."""
    if len(digest) <= _MAX_HASH:
        return digest
    from hashlib import sha256

    return f"{digest.partition(':')[0]}:sha256-{sha256(digest.encode()).hexdigest()}"


def _count(value: Value) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
