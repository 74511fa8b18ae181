"""Make the default remote usable on this machine, whatever its kind."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlgitops.dvc.remote import STORAGE_FOLDER, read_remote, write_local_url
from mlgitops.environments import FOLDERS
from mlgitops.errors import MlgitopsError
from mlgitops.storage.branch import ensure_worktree
from mlgitops.storage.exchange import fetch_branch, integrate

if TYPE_CHECKING:
    from mlgitops.console import Console
    from mlgitops.dvc.remote import Remote

#: Kind of a remote to the module that its DVC plugin installs.
_PLUGINS = {"s3": "dvc_s3", "gcs": "dvc_gs", "azure": "dvc_azure", "ssh": "dvc_ssh"}

#: Kind of a remote to the variables and files, any one of which signs a person or a job in.
_SIGN_IN = {
    "s3": (
        ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"),
        ("~/.aws/credentials", "~/.aws/config"),
        "aws configure",
    ),
    "gcs": (
        ("GOOGLE_APPLICATION_CREDENTIALS",),
        ("~/.config/gcloud/application_default_credentials.json",),
        "gcloud auth application-default login",
    ),
    "azure": (
        ("AZURE_CLIENT_ID", "AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_ACCOUNT"),
        ("~/.azure/azureProfile.json",),
        "az login",
    ),
}


def prepare_storage(project: Path, console: Console) -> Remote | None:
    """Make the default remote of ``project`` usable here; return it, or None when there is none.

    `repo`: check out the storage branch, fetched when origin has one, created on first use.
    `local`: create the folder. Both: write the absolute url beside the committed one. Cloud
    kinds: refuse when the plugin is missing, warn when no sign-in is found.
    """
    remote = read_remote(project)
    if remote is None:
        return None
    if remote.kind == "repo":
        return _prepare_repo(project, remote, console)
    if remote.kind == "local":
        return _prepare_local(project, remote)
    _check_plugin(project, remote)
    _check_sign_in(remote, console)
    return remote


def _prepare_repo(project: Path, remote: Remote, console: Console) -> Remote:
    folder = project.absolute() / STORAGE_FOLDER
    fetch_branch(project, console)
    worktree = ensure_worktree(project, folder, console)
    integrate(project, worktree)
    # Another worktree of the same repository may hold the branch: then both share it.
    prepared = replace(remote, path=worktree)
    write_local_url(project, prepared)
    return prepared


def _prepare_local(project: Path, remote: Remote) -> Remote:
    assert remote.path is not None  # noqa: S101 - a remote of this kind has one
    try:
        remote.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MlgitopsError(
            f"the storage folder cannot be made: {error.strerror}",
            where=str(remote.path),
            hint="name another url in .dvc/config, or mount the folder",
        ) from error
    write_local_url(project, remote)
    return remote


def _check_plugin(project: Path, remote: Remote) -> None:
    plugin = _PLUGINS.get(remote.kind)
    environment = project / FOLDERS["ci"]
    if plugin is None or not environment.exists():
        return  # dvc itself is on PATH or missing: it says what it needs when it is run
    if not any(environment.glob(f"lib/python3*/site-packages/{plugin}")):
        package = plugin.replace("_", "-")
        raise MlgitopsError(
            f"the storage is {remote.url}, and DVC's plugin {package} is not installed",
            where=str(environment),
            hint=f"add {package} to requirements/ci.in and its lock; `mlgitops setup --only ci`",
        )


def _check_sign_in(remote: Remote, console: Console) -> None:
    variables, files, command = _SIGN_IN.get(remote.kind, ((), (), ""))
    variable_set = any(os.environ.get(name) for name in variables)
    if command and not variable_set and not any(Path(file).expanduser().exists() for file in files):
        console.warn(f"no sign-in for {remote.url} was found: `{command}`, or set {variables[0]}")
