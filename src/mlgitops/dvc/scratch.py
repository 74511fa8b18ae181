"""An empty DVC repository that knows the address of a storage, and nothing else of a project.

Commands that read or write a storage run there: no dvc.yaml is read, and of the configuration
only what says where the storage is. Reads and writes disk.
"""

from __future__ import annotations

import configparser
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mlgitops.dvc.configuration import CONFIG, refuse_tracked
from mlgitops.dvc.remote import find_cache
from mlgitops.errors import MlgitopsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mlgitops.model import DataVersion

#: Options of a remote that choose where and how to read, and start no program.
ALLOWED_OPTIONS = frozenset(
    {"url", "region", "endpointurl", "user", "port", "keyfile", "configpath"}
    | {"account_name", "projectname", "profile", "credentialpath", "use_ssl", "version_aware"}
)


@contextmanager
def open_scratch(
    project: Path, *, config: bytes | None = None, cache: Path | None = None
) -> Iterator[Path]:
    """Yield the folder of such a repository, removed at the end.

    ``config``: the bytes to take in place of the work tree's `.dvc/config`, those of the base;
    ``cache``: the folder of its cache, the project's by default. This machine's config.local
    is read too, unless git holds it.
    """
    if config is not None:
        refuse_tracked(project)
    with tempfile.TemporaryDirectory(prefix="mlgitops-") as name:
        folder = Path(name)
        (folder / ".dvc").mkdir()
        text = _write_config(project, config, cache or find_cache(project))
        (folder / ".dvc" / "config").write_text(text, encoding="utf-8")
        yield folder


def write_pointers(folder: Path, versions: Iterable[DataVersion]) -> list[str]:
    """Write a .dvc file for each object, and return their names, the targets for DVC."""
    names = []
    for at, version in enumerate(versions):
        digest = version.hash.removeprefix("md5:")
        size = f"  size: {version.size}\n" if version.size is not None else ""
        text = f"outs:\n- md5: {digest}\n{size}  hash: md5\n  path: '{at}'\n"
        (folder / f"{at}.dvc").write_text(text, encoding="utf-8")
        names.append(f"{at}.dvc")
    return names


def _write_config(project: Path, committed: bytes | None, cache: Path) -> str:
    """Copy where the remote is, and nothing that could start a program."""
    config = configparser.ConfigParser(interpolation=None)
    files = [project / CONFIG, project / ".dvc" / "config.local"]
    try:
        if committed is not None:
            config.read_string(committed.decode(), CONFIG)
        config.read(files if committed is None else files[1:], "utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        raise MlgitopsError("not a DVC configuration", where=CONFIG) from error
    lines = ["[core]", "no_scm = true", "analytics = false"]
    remote = config.get("core", "remote", fallback=None)
    if remote is None or "\n" in remote:
        raise MlgitopsError("no default remote is named", where=CONFIG)
    section = f"'remote \"{remote}\"'"
    lines += [f"remote = {remote}", "[cache]", f"dir = {cache}", f"[{section}]", "verify = true"]
    for key, value in config.items(section) if config.has_section(section) else ():
        if key in ALLOWED_OPTIONS and "\n" not in value:
            lines.append(f"{key} = {_absolute(project, value) if key == 'url' else value}")
    return "\n".join(lines) + "\n"


def _absolute(project: Path, url: str) -> str:
    """Resolve a relative address as DVC does, from the .dvc folder."""
    return url if "://" in url else str((project / ".dvc" / Path(url).expanduser()).resolve())
