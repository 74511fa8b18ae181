"""What the stand-ins of a rehearsal do, each in place of an action from the marketplace.

Run by a stand-in's `action.yml` inside a workflow step; standard library only. Inputs come
from `INPUT_*` variables, as do the shared folder and the repository from the rehearsal.
A stand-in does what the workflow needs of the action; it proves nothing about the action.
"""

from __future__ import annotations

import glob
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path


def main(name: str) -> None:
    """Run the stand-in called ``name``."""
    {
        "checkout": checkout,
        "setup-python": setup_python,
        "setup-uv": setup_uv,
        "upload-artifact": upload_artifact,
        "download-artifact": download_artifact,
        "attest": attest,
        "app-token": create_app_token,
    }[name]()


def attest() -> None:
    """Fail: a workflow leaves this out where GitHub does not say that the repository is public."""
    _fail("a rehearsal signs nothing: only GitHub's own service can")


def create_app_token() -> None:
    """Fail: a workflow leaves this out where no variable of the repository names an app."""
    _fail("a rehearsal has no GitHub App: its steps go on with the workflow's own token")


def checkout() -> None:
    """Fetch the ref asked for, and check it out as `actions/checkout` leaves it."""
    if _input("REPOSITORY") != os.environ["GITHUB_REPOSITORY"]:
        _fail("a rehearsal knows one repository: its own")
    folder = Path(os.environ["GITHUB_WORKSPACE"], _input("PATH"))
    wanted = _input("REF") or os.environ["GITHUB_REF"]
    depth = int(_input("DEPTH") or 1)
    folder.mkdir(parents=True, exist_ok=True)
    _git(folder, "init", "--quiet", "--initial-branch=main")
    server, repository = os.environ["GITHUB_SERVER_URL"], os.environ["GITHUB_REPOSITORY"]
    _git(folder, "remote", "add", "origin", f"{server}/{repository}")
    branch = _git(folder, "ls-remote", "--heads", "origin", f"refs/heads/{wanted}")
    source = f"refs/heads/{wanted}" if branch else wanted
    refs = [source]
    if depth == 0:
        refs += ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"]
    elif _input("TAGS") == "true":
        refs.append("+refs/tags/*:refs/tags/*")
    limit = [f"--depth={depth}"] if depth else []
    _git(folder, "fetch", "--quiet", "--no-tags", *limit, "origin", *refs)
    sha = _git(folder, "rev-parse", "FETCH_HEAD^{commit}").split()[0]
    if branch:
        _git(folder, "checkout", "--quiet", "--force", "-B", wanted, sha)
    else:
        _git(folder, "checkout", "--quiet", "--force", "--detach", sha)
    _link_storage(folder)
    _output("commit", sha)
    print(f"checked out {sha[:12]} ({wanted})")


def _link_storage(folder: Path) -> None:
    """Let a relative address of a storage folder on this machine lead there from here too."""
    relative, _, target = os.environ.get("MLGITOPS_REHEARSAL_STORAGE", "").partition(":")
    link = Path(os.path.normpath(folder / relative))
    if target and not link.exists():
        link.symlink_to(target)


def setup_python() -> None:
    """Put the Python asked for first on PATH; the one that is there when it is missing."""
    wanted = _input("VERSION")
    if not wanted and _input("FILE"):
        wanted = Path(os.environ["GITHUB_WORKSPACE"], _input("FILE")).read_text().split()[0]
    short = ".".join(wanted.split(".")[:2])
    program = shutil.which(f"python{short}") if short else None
    python = program or shutil.which("python3") or sys.executable
    version = _run([python, "-I", "-c", "import platform; print(platform.python_version())"])
    if short and not version.startswith(f"{short}."):
        _warn(f"the workflow asks for Python {short}; this machine runs it with {version}")
    folder = Path(os.environ["RUNNER_TEMP"], f"python-{version}")
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("python", "python3"):
        link = folder / name
        link.unlink(missing_ok=True)
        link.symlink_to(python)
    with Path(os.environ["GITHUB_PATH"]).open("a") as file:
        file.write(f"{folder}\n")
    _output("python-version", version)
    _output("python-path", str(folder / "python"))
    print(f"Python {version} on {platform.system()}")


def setup_uv() -> None:
    """Say which uv is there."""
    uv = shutil.which("uv")
    version = _run([uv, "--version"]).split()[1] if uv else ""
    if not uv:
        _warn("uv is not on PATH; what needs it falls back to pip")
    elif _input("VERSION") not in ("", "latest", version):
        _warn(f"the workflow asks for uv {_input('VERSION')}; this machine has {version}")
    _output("uv-version", version)


def upload_artifact() -> None:
    """Copy the files into the shared folder, laid out as the action would."""
    target = _artifact(_input("NAME"))
    if target.exists():
        if _input("OVERWRITE") != "true":
            _fail(f"an artifact named {_input('NAME')} exists already")
        shutil.rmtree(target)
    files, root = _find_files(_input("PATH").splitlines(), hidden=_input("HIDDEN") == "true")
    if not files:
        message = f"no files were found at {_input('PATH')}"
        if _input("MISSING") == "error":
            _fail(message)
        if _input("MISSING") == "warn":
            _warn(message)
        return
    for file in files:
        copy = target / file.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    _output("artifact-id", _number_artifact(target))
    print(f"{len(files)} files in artifact {_input('NAME')}")


def download_artifact() -> None:
    """Copy an artifact of this run out of the shared folder, by its name or its number.

    With a pattern, all whose name it fits; that none does is no error, as of the action.
    """
    if _input("RUN"):
        _download_of_run(_input("RUN"))
        return
    if _input("PATTERN"):
        _download_several(_input("PATTERN"), is_merged=_input("MERGE") == "true")
        return
    source = _find_numbered(_input("IDS")) if _input("IDS") else _artifact(_input("NAME"))
    if not source.is_dir():
        _fail(f"this run has no artifact named {source.name}")
    target = Path(os.environ["GITHUB_WORKSPACE"], _input("PATH"))
    shutil.copytree(source, target, dirs_exist_ok=True)
    _output("download-path", str(target))


def _download_several(pattern: str, *, is_merged: bool) -> None:
    """Copy the artifacts whose name fits, each into a folder of its name unless they are merged."""
    import fnmatch

    target = Path(os.environ["GITHUB_WORKSPACE"], _input("PATH"))
    folders = sorted(Path(os.environ["MLGITOPS_REHEARSAL_ARTIFACTS"]).iterdir())
    chosen = [folder for folder in folders if fnmatch.fnmatchcase(folder.name, pattern)]
    for folder in chosen:
        shutil.copytree(folder, target if is_merged else target / folder.name, dirs_exist_ok=True)
    _output("download-path", str(target))
    print(f"{len(chosen)} artifacts")


def _download_of_run(run: str) -> None:
    """Unpack an artifact that another run left, from the API, as the action does."""
    import io
    import json
    import urllib.parse
    import urllib.request
    import zipfile

    def fetch(address: str, *, token: str = "") -> bytes:
        request = urllib.request.Request(address)  # noqa: S310 - of the stand-in API
        if token:  # not sent on to where the API redirects
            request.add_unredirected_header("Authorization", f"Bearer {token}")
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - as above
            data: bytes = answer.read()
        return data

    server, repository = os.environ["GITHUB_API_URL"], os.environ["GITHUB_REPOSITORY"]
    query = urllib.parse.urlencode({"name": _input("NAME")})
    address = f"{server}/repos/{repository}/actions/runs/{run}/artifacts?{query}"
    listed = json.loads(fetch(address, token=_input("TOKEN")))["artifacts"]
    if not listed:
        _fail(f"the run {run} has no artifact named {_input('NAME')}")
    data = fetch(listed[0]["archive_download_url"], token=_input("TOKEN"))
    target = Path(os.environ["GITHUB_WORKSPACE"], _input("PATH"))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        archive.extractall(target)
    _output("download-path", str(target))


def _find_files(patterns: list[str], *, hidden: bool) -> tuple[list[Path], Path]:
    """Return the files that the patterns name, and the deepest folder that holds them all."""
    workspace = Path(os.environ["GITHUB_WORKSPACE"])
    files: set[Path] = set()
    roots: list[Path] = []
    for pattern in filter(None, map(str.strip, patterns)):
        names = glob.glob(str(workspace / pattern), recursive=True, include_hidden=hidden)  # noqa: PTH207
        for path in map(Path, names):
            inside = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
            roots.append(path.parent if path.is_file() else path)
            start = path if path.is_dir() else path.parent
            files.update(p for p in inside if hidden or not _is_hidden(p.relative_to(start)))
    root = Path(os.path.commonpath(roots)) if roots else workspace
    return sorted(files), root


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _number_artifact(folder: Path) -> str:
    """Give the artifact in ``folder`` a number that no other has, nor one before it of its name."""
    numbers = folder.parent.with_name("artifact-numbers")
    numbers.mkdir(exist_ok=True)
    number = str(1 + sum(1 for _ in numbers.iterdir()))
    (numbers / number).write_text(folder.name)
    return number


def _find_numbered(number: str) -> Path:
    """Find the artifact with ``number``; one that was overwritten since is gone, as on GitHub."""
    shared = Path(os.environ["MLGITOPS_REHEARSAL_ARTIFACTS"])
    numbers = shared.with_name("artifact-numbers")
    names = {file.name: file.read_text() for file in numbers.iterdir()} if numbers.is_dir() else {}
    name = names.get(number, "")
    newest = max((int(other) for other in names if names[other] == name), default=0)
    if not name or str(newest) != number:
        _fail(f"this run has no artifact with the number {number}")
    return _artifact(name)


def _artifact(name: str) -> Path:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        _fail(f"not a name for an artifact: {name}")
    return Path(os.environ["MLGITOPS_REHEARSAL_ARTIFACTS"], name)


def _input(name: str) -> str:
    return os.environ.get(f"INPUT_{name}", "").strip()


def _output(name: str, value: str) -> None:
    with Path(os.environ["GITHUB_OUTPUT"]).open("a") as file:
        file.write(f"{name}={value}\n")


def _git(folder: Path, *words: str) -> str:
    return _run(["git", "-C", str(folder), *words])


def _run(command: list[str]) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        _fail(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout.strip()


def _warn(message: str) -> None:
    print(f"::warning::{message}")


def _fail(message: str) -> None:
    print(f"::error::{message}".replace("\n", "%0A"))
    sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1])
