"""Run one command of the helper from this very checkout, in an environment of its own.

Every action beside this file is one call of it: `run.py VERB --option VALUE ...`. Standard
library only. The environment holds the helper's locked requirements and is made once for
each lock, below $MLGITOPS_ENVIRONMENTS or $RUNNER_TEMP; the helper itself is read from
`../src`, so the version of an action and of the helper cannot differ. An option with an
empty value is left out: an action's input that was not given.
"""

from __future__ import annotations

import hashlib
import os
import sys

# Every step pays for what is imported here: pathlib alone would take longer than the rest.
ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
LOCK = os.path.join(ROOT, "requirements", "helper.txt")
#: Verbs that need more than the others: an environment of their own, from another lock.
LOCKS = {"tune": os.path.join(ROOT, "requirements", "tune.txt")}
OLDEST = (3, 11)
UNDECIDED = 2  # the helper's exit code for "could not decide"
_START = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); from mlgitops.__main__ import main; main()"
)
_STAMP = ".mlgitops-ready"


def main(words: list[str]) -> None:
    """Make the environment when it is missing, then become the helper.

    `--prepare VERB ...` only makes it, and those of other locks that a verb needs; prints its
    interpreter on the last line.
    """
    if sys.version_info < OLDEST:
        fail(f"mlgitops needs Python {OLDEST[0]}.{OLDEST[1]} or newer, this is {sys.version}")
    if words[:1] == ["--prepare"]:
        for lock in (*{LOCKS[verb] for verb in words[1:] if verb in LOCKS}, LOCK):
            python = ensure_environment(environment_folder(lock), lock)
        print(python)
        return
    lock = LOCKS.get(words[0], LOCK) if words else LOCK
    python = ensure_environment(environment_folder(lock), lock)
    sys.stdout.flush()
    arguments = [python, "-I", "-c", _START, os.path.join(ROOT, "src"), *drop_empty(words)]
    os.execve(python, arguments, clean(dict(os.environ)))  # noqa: S606 - no shell by design


def environment_folder(lock: str) -> str:
    """Return where the environment of a lock and this Python stands."""
    base = os.environ.get("MLGITOPS_ENVIRONMENTS") or os.environ.get("RUNNER_TEMP")
    if not base:
        import tempfile

        base = os.path.join(tempfile.gettempdir(), f"mlgitops-{os.getuid()}")
    with open(lock, "rb") as file:
        identity = f"{sys.version}\n{sys.base_prefix}\n".encode() + file.read()
    return os.path.join(base, f"helper-{hashlib.sha256(identity).hexdigest()[:16]}")


def ensure_environment(folder: str, lock: str) -> str:
    """Return the interpreter of the environment at ``folder``, made from ``lock`` if needed."""
    python, stamp = os.path.join(folder, "bin", "python"), os.path.join(folder, _STAMP)
    if os.path.isfile(stamp) and os.path.exists(python):
        return python
    import fcntl

    store, name = os.path.split(folder)
    os.makedirs(store, exist_ok=True)
    with open(os.path.join(store, f".{name}.lock"), "a") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not os.path.isfile(stamp):
            install(folder, lock)
    return python


def install(folder: str, lock: str) -> None:
    """Make the environment: with uv when it is there, else with venv and pip."""
    import shutil
    import time

    start = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    inside = os.path.join(folder, "bin", "python")
    uv = shutil.which("uv")
    if uv:
        run([uv, "--no-config", "venv", "--quiet", "--python", sys.executable, folder])
        command = [uv, "--no-config", "pip", "sync", "--quiet", "--compile-bytecode"]
        command += ["--python", inside]
    else:  # -I: with -m alone, a `venv.py` or `pip.py` of the workspace would be run instead
        run([sys.executable, "-I", "-m", "venv", folder])
        command = [inside, "-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        command += ["--requirement"]
    run([*command, lock, "--require-hashes", "--only-binary", ":all:"])
    with open(os.path.join(folder, _STAMP), "w") as stamp:
        stamp.write("ready\n")
    print(f"mlgitops: environment made in {time.monotonic() - start:.1f} s", flush=True)


def drop_empty(words: list[str]) -> list[str]:
    """Leave out what is empty, with its option, and `--flag=false`; `--flag=true` is the flag.

    A flag is written `--name=VALUE`, an option as two words. What stands before the verb, or
    at the end, has no value: it is handed on as it is.
    """
    kept: list[str] = []
    rest = iter(words)
    verb = False
    for word in rest:
        name, equals, value = word.partition("=")
        if word == "--":
            return [*kept, word, *filter(None, rest)]
        if word.startswith("--") and equals and value in ("true", "false", ""):
            kept += [name] if value == "true" else []
        elif word.startswith("--") and not equals and verb:  # its value is the next word
            following = next(rest, None)
            kept += [word] if following is None else [f"{word}={following}"] if following else []
        elif word:
            kept.append(word)
            verb = verb or not word.startswith("-")
    return kept


def clean(environ: dict[str, str]) -> dict[str, str]:
    """Drop what could make another Python, or another program, of the helper."""
    drop = {"PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV", "BASH_ENV", "ENV"}
    return {name: value for name, value in environ.items() if name not in drop}


def run(command: list[str]) -> None:
    """Run ``command``, which reads no file of settings; end with exit code 2 when it fails."""
    import subprocess

    variables = {"PIP_CONFIG_FILE": os.devnull, **trust_machine(), **clean(dict(os.environ))}
    done = subprocess.run(command, check=False, env=variables)
    if done.returncode:
        fail(f"`{' '.join(command)}` ended with {done.returncode}")


def trust_machine() -> dict[str, str]:
    """Let uv trust the machine's certificates, where it has any: a company's own is among them."""
    import ssl

    paths = ssl.get_default_verify_paths()
    is_filled = paths.capath is not None and bool(os.listdir(paths.capath))
    if paths.cafile is None and not is_filled:
        return {}
    return {"UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1"}  # older versions know the second name


def fail(message: str) -> None:
    """Say why the helper cannot run, as an annotation, and exit with 2."""
    print("::error title=mlgitops::" + message.replace("%", "%25").replace("\n", "%0A"))
    sys.exit(UNDECIDED)


if __name__ == "__main__":
    main(sys.argv[1:])
