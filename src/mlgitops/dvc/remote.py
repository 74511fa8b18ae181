"""The default remote, as the committed `.dvc/config` names it, and its local addition."""

from __future__ import annotations

import configparser
import io
import os
from dataclasses import dataclass
from pathlib import Path

from mlgitops.errors import MlgitopsError
from mlgitops.writing import replace_file

#: Folder of a project in which the storage branch is checked out.
STORAGE_FOLDER = ".dvc-storage"

_KINDS = {
    "s3": "s3",
    "gs": "gcs",
    "gcs": "gcs",
    "azure": "azure",
    "ssh": "ssh",
    "file": "local",
    "http": "http",
    "https": "http",
}


@dataclass(frozen=True, kw_only=True)
class Remote:
    """A DVC remote; ``path`` is set for the kinds `repo` and `local`, and is absolute."""

    name: str
    kind: str  # repo, local, s3, gcs, azure, ssh, http, or the scheme of an unknown kind
    url: str  # as it is written in .dvc/config
    path: Path | None = None


def read_remote(project: Path) -> Remote | None:
    """Return the default remote of ``project``, or None when it names none."""
    file = project / ".dvc" / "config"
    config = _read(file)
    name = config.get("core", "remote", fallback=None)
    if not name:
        return None
    url = config.get(_section(name), "url", fallback=None)
    if not url:
        raise MlgitopsError(
            f"the default remote `{name}` has no url",
            where=str(file),
            hint=f"add a section ['remote \"{name}\"'] with a url",
        )
    return _classify(project.absolute(), name, url)


def list_folders(project: Path) -> list[Path]:
    """List the folders of this machine in which a remote of the kinds `repo` and `local` may be.

    The committed one, and that of `.dvc/config.local`: projects of one repository share a worktree.
    """
    remote = read_remote(project)
    if remote is None or remote.path is None:
        return []
    local = _read(project / ".dvc" / "config.local").get(_section(remote.name), "url", fallback="")
    named = Path(_normal(project.absolute() / ".dvc", local)) if local else remote.path
    return list(dict.fromkeys([remote.path, named]))


def find_cache(project: Path) -> Path:
    """Return the folder of DVC's cache, as the local or the committed configuration names it."""
    folder = project.absolute() / ".dvc"
    for name in ("config.local", "config"):
        named = _read(folder / name).get("cache", "dir", fallback=None)
        if named:
            return Path(_normal(folder, named))
    return folder / "cache"


def write_local_url(project: Path, remote: Remote) -> None:
    """Write the absolute url of a remote on this machine to `.dvc/config.local`.

    DVC resolves a relative one against the wrong folder when it reads another revision.
    """
    file = project / ".dvc" / "config.local"
    config = _read(file)
    section = _section(remote.name)
    if config.get(section, "url", fallback=None) == str(remote.path):
        return
    if not config.has_section(section):
        config.add_section(section)
    config.set(section, "url", str(remote.path))
    text = io.StringIO()
    config.write(text)
    replace_file(file, text.getvalue().encode(), root=project)


def _section(name: str) -> str:
    return f"'remote \"{name}\"'"


def _read(file: Path) -> configparser.ConfigParser:
    config = configparser.ConfigParser(interpolation=None)
    if not file.is_file():
        return config
    try:
        config.read_string(file.read_text(encoding="utf-8"))
    except (configparser.Error, UnicodeDecodeError) as error:
        message = str(error).replace("\n", " ")
        raise MlgitopsError(
            f"this is not a DVC configuration: {message}", where=str(file)
        ) from error
    return config


def _classify(project: Path, name: str, url: str) -> Remote:
    scheme, separator, rest = url.partition("://")
    kind = _KINDS.get(scheme, scheme) if separator else "local"
    if kind != "local":
        return Remote(name=name, kind=kind, url=url)
    # DVC reads a relative url from the folder that holds the configuration.
    path = Path(_normal(project / ".dvc", rest if separator else url))
    kind = "repo" if path == project / STORAGE_FOLDER else "local"
    return Remote(name=name, kind=kind, url=url, path=path)


def _normal(folder: Path, url: str) -> str:
    return os.path.normpath(folder / Path(url).expanduser())
