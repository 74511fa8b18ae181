"""A project's locked environments: made once from a lock, found again by its hash.

An environment lives in a store under `<name>-<hash of lock and interpreter>`, and `.venv…`
in the project is a link to it. So a changed lock gives another folder, an environment in use
never changes under its processes, and several projects can share one store. A folder counts
only once its last file, the ready stamp, is written.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mlgitops.errors import MlgitopsError
from mlgitops.parsing import parse_yaml
from mlgitops.process import run_program

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mlgitops.console import Console

#: Name of an environment to its folder in the project, in the order they are made.
FOLDERS = {"pipeline": ".venv", "ci": ".venv-ci", "serving": ".venv-serving"}

#: Values of `compute.backend` that need a lock beside that of the pipeline.
COMPUTE_BACKENDS = ("dask", "ray")

#: Variable and value by which the pipeline asks no cluster, whatever params.yaml says.
NO_CLUSTER = {"MLGITOPS_COMPUTE": "local"}

#: Names a folder that several projects share; default: `.mlgitops/environments` of the project.
STORE_VARIABLE = "MLGITOPS_ENVIRONMENTS"

#: KServe's SDK declares Python below this (its metadata on PyPI, release 0.21).
SERVING_BELOW = (3, 14)

#: How variables begin that a workflow's job hands to its own steps: tokens, inputs, and files
#: through which a step speaks.
_OF_A_JOB = ("ACTIONS_", "GH_TOKEN", "GITHUB_", "GIT_CONFIG_", "INPUT_")
#: The same of what signs in to a storage or to another machine.
_SIGN_INS = ("AWS_", "AZURE_", "GIT_", "GOOGLE_", "SSH_")

_STAMP = ".mlgitops-ready"
_INSTALL_TIMEOUT = 1800.0  # seconds
#: The one package of our locks that PyPI has as source only, and whose build is run: hydra, which
#: dvc needs, asks for exactly this old version of it.
SOURCE_ONLY = "antlr4-python3-runtime"
#: What is installed is what the lock pins, and nothing of it is code that runs while installing.
_LOCKED = ("--require-hashes", "--only-binary", ":all:", "--no-binary", SOURCE_ONLY)
_PIN = re.compile(r"^([\w.-]+)(?:\[[^\]\n]*\])?==([^\s;\\]+)", re.MULTILINE)
_PROBE = "import platform, sys; print(sys.version, platform.platform(), sys.base_prefix)"


def ensure_environment(project: Path, name: str, console: Console) -> Path:
    """Return the folder of an environment of ``project``, made from its lock when needed.

    ``name`` is a key of :data:`FOLDERS`; that of the pipeline also has what `compute:` in
    params.yaml asks for. Raises :class:`MlgitopsError` when the lock is
    missing, no interpreter fits, or the installation fails; a half-made environment is
    never used.
    """
    lock = project / "requirements" / f"{name}.txt"
    added = find_compute_locks(project) if name == "pipeline" else []
    made = make_environment(project, name, lock, console, added=added)
    return _link(project / FOLDERS[name], made)


def find_compute_locks(project: Path) -> list[Path]:
    """Find the lock of the cluster's library that params.yaml asks for; of `local` there is none.

    Raises :class:`MlgitopsError` when params.yaml is not YAML.
    """
    file = project / "params.yaml"
    params = parse_yaml(file.read_bytes(), str(file)) if file.is_file() else None
    compute = params.get("compute") if isinstance(params, dict) else None
    backend = compute.get("backend") if isinstance(compute, dict) else None
    if backend not in COMPUTE_BACKENDS:  # local; or a mistake, which the pipeline names
        return []
    return [project / "requirements" / f"compute-{backend}.txt"]


def make_environment(
    project: Path, name: str, lock: Path, console: Console, *, added: Sequence[Path] = ()
) -> Path:
    """Return the folder in the store that holds exactly what the locks pin, made when needed.

    What ``added`` pins beside ``lock`` may not differ from it. Raises as
    :func:`ensure_environment`; no link in the project is made or changed.
    """
    locks = [lock, *added]
    for path in locks:
        if not path.is_file():
            raise MlgitopsError(
                f"a lock of the {name} environment is missing",
                where=str(path),
                hint=f"pin requirements/{path.stem}.in with `uv pip compile --universal "
                "--generate-hashes`",
            )
    python = find_python(project, name)
    folder = _store(project) / f"{name}-{_key(locks, python)}"
    if not _is_ready(folder):
        with locked(folder.with_name(f".{folder.name}.lock")):
            if not _is_ready(folder):  # another maker may have finished while we waited
                _make(folder, locks, python, console, name)
    return folder


def find_python(project: Path, name: str) -> Path:
    """Return the interpreter for an environment: that of `.python-version`, else the running one.

    Raises :class:`MlgitopsError` when the serving environment finds none that KServe supports.
    """
    wanted = _wanted_version(project)
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    versions = [version for version in (wanted, running) if version]
    if name == "serving":
        versions = [v for v in (*versions, "3.13", "3.12", "3.11") if _serves(v)]
    for version in dict.fromkeys(versions):
        interpreter = Path(sys.executable) if version == running else _search_python(version)
        if interpreter:
            return interpreter
    raise MlgitopsError(
        f"the serving environment needs Python 3.11 to 3.13, and only {running} was found: "
        "KServe's SDK does not support it yet",
        hint="install Python 3.13 beside it, or serve from the project's Dockerfile",
    )


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on ``path`` while the block runs; others wait their turn."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def clean_environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return variables for a program of the project: nothing of our own Python, no telemetry.

    OpenMP threads sleep while they wait unless the caller says otherwise: on a busy machine
    their spinning makes boosted trees ten times slower, and on an idle one nothing quicker.
    """
    drop = {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
    source = os.environ if environ is None else environ
    kept = {name: value for name, value in source.items() if name not in drop}
    return (
        {"OMP_WAIT_POLICY": "PASSIVE"}
        | kept
        | {
            "DVC_NO_ANALYTICS": "1",
            "DO_NOT_TRACK": "1",
            "RAY_USAGE_STATS_ENABLED": "0",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
    )


def drop_tokens(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables without those that may push or post, for programs that do neither."""
    return {name: value for name, value in environ.items() if not name.startswith(_OF_A_JOB)}


def drop_credentials(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables for a program that asks no other machine: without sign-ins, too."""
    kept = drop_tokens(environ)
    return {name: value for name, value in kept.items() if not name.startswith(_SIGN_INS)}


def install_variables() -> dict[str, str]:
    """Return variables for uv and pip: no file of settings counts, unless a variable names it.

    uv trusts the machine's certificates, where it has any, and not only those it brings: a
    company's own authority is among them. Older versions of uv know the second name.
    """
    trusted = {"UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1"} if has_certificates() else {}
    return {"PIP_CONFIG_FILE": os.devnull} | trusted | clean_environment()


def has_certificates() -> bool:
    """Tell whether this machine keeps certificates that its programs trust."""
    import ssl

    paths = ssl.get_default_verify_paths()
    is_filled = paths.capath is not None and any(Path(paths.capath).iterdir())
    return paths.cafile is not None or is_filled


def _store(project: Path) -> Path:
    named = os.environ.get(STORE_VARIABLE)
    return (Path(named) if named else project / ".mlgitops" / "environments").resolve()


def _key(locks: Sequence[Path], python: Path) -> str:
    identity = run_program([python, "-I", "-c", _PROBE])
    pinned = b"".join(lock.read_bytes() for lock in locks)
    return hashlib.sha256(pinned + identity.encode()).hexdigest()[:16]


def _is_ready(folder: Path) -> bool:
    """Tell whether ``folder`` was made to the end, and here: its scripts name their place."""
    stamp = folder / _STAMP
    complete = stamp.is_file() and stamp.read_text(encoding="utf-8") == str(folder)
    return complete and (folder / "bin" / "python").exists()


def _make(folder: Path, locks: Sequence[Path], python: Path, console: Console, name: str) -> None:
    packages = sum(
        "==" in line for lock in locks for line in lock.read_text(encoding="utf-8").splitlines()
    )
    with console.step(f"Environment {name}: {packages} pinned packages"):
        shutil.rmtree(folder, ignore_errors=True)  # what an interrupted maker left
        uv = _find_uv()
        commands = (
            _uv_commands(uv, folder, locks, python) if uv else _pip_commands(folder, locks, python)
        )
        for command in commands:
            run_program(
                command,
                env=install_variables(),
                timeout=_INSTALL_TIMEOUT,
                hint=_hint(command, locks),
            )
        (folder / _STAMP).write_text(str(folder), encoding="utf-8")


def _uv_commands(
    uv: Path, folder: Path, locks: Sequence[Path], python: Path
) -> list[list[str | Path]]:
    # Compiled once here, every later process starts two to four times faster.
    options = ["--quiet", "--compile-bytecode", *_LOCKED, "--python"]
    return [
        [uv, "--no-config", "venv", "--quiet", "--python", python, folder],
        [uv, "--no-config", "pip", "sync", *options, folder / "bin" / "python", *locks],
    ]


def _pip_commands(folder: Path, locks: Sequence[Path], python: Path) -> list[list[str | Path]]:
    # -I: with -m alone, a `venv.py` or `pip.py` of the working folder would be run instead.
    options = ["--quiet", "--disable-pip-version-check", *_LOCKED]
    named = [word for lock in locks for word in ("--requirement", lock)]
    return [
        [python, "-I", "-m", "venv", folder],
        [folder / "bin" / "python", "-I", "-m", "pip", "install", *options, *named],
    ]


def _hint(command: list[str | Path], locks: Sequence[Path]) -> str:
    if "venv" in command:
        return "on Debian and Ubuntu, `apt install python3-venv` gives Python its venv module"
    if packages := _find_other_pins(locks):
        names = " and ".join(lock.name for lock in locks)
        return (
            f"{names} pin other versions of {', '.join(packages)}: `make locks` pins all again, "
            f"the later ones under what {locks[0].name} has"
        )
    return (
        "check the network and the package index, then run the same command again; a package "
        "that has no wheel needs `--no-binary NAME` in requirements/*.in and its lock"
    )


def _find_other_pins(locks: Sequence[Path]) -> list[str]:
    """Return the packages that two locks pin, and in no version that both have."""
    versions: dict[str, list[set[str]]] = {}
    for lock in locks:
        pins = {*_PIN.findall(lock.read_text(encoding="utf-8"))}
        for package in {name for name, _ in pins}:
            versions.setdefault(package, []).append({pin[1] for pin in pins if pin[0] == package})
    return sorted(name for name, pinned in versions.items() if not set.intersection(*pinned))


def _find_uv() -> Path | None:
    beside = Path(sys.executable).parent / "uv"
    program = shutil.which("uv") or (str(beside) if beside.exists() else None)
    return Path(program) if program else None


def _wanted_version(project: Path) -> str | None:
    file = project / ".python-version"
    words = file.read_text(encoding="utf-8").split() if file.is_file() else []
    return words[0] if words else None


def _serves(version: str) -> bool:
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    return numbers < SERVING_BELOW


def _search_python(version: str) -> Path | None:
    """Look on PATH, then among uv's interpreters; a shim that does not start is passed over."""
    named = shutil.which(f"python{version}")
    uv = _find_uv()
    probes: list[list[str | Path]] = (
        [[named, "-I", "-c", "import sys; print(sys.executable)"]] if named else []
    )
    if uv:
        probes.append(
            [uv, "--no-config", "python", "find", "--no-python-downloads", "--system", version]
        )
    for probe in probes:
        try:
            return Path(run_program(probe, env=clean_environment()).strip())
        except MlgitopsError:
            continue
    return None


def _link(link: Path, folder: Path) -> Path:
    if link.is_symlink() and link.readlink() == folder:
        return link
    if link.exists() and not link.is_symlink():
        raise MlgitopsError(
            "this folder is in the way: mlgitops did not make it",
            where=str(link),
            hint=f"`mv {link.name} {link.name}.old`, then run the same command again",
        )
    temporary = link.with_name(f"{link.name}.{os.getpid()}-{threading.get_native_id()}")
    temporary.symlink_to(folder)
    temporary.replace(link)
    return link
