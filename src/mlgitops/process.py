"""Run another program, and turn its failure into an error a person can act on."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from mlgitops.errors import MlgitopsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_TAIL_LINES = 20


def run_program(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
    hint: str | None = None,
    errors: str = "replace",
) -> str:
    """Run ``command`` and return its standard output; nothing is read from the terminal.

    ``timeout`` is in seconds; ``errors`` says what becomes of bytes that are not UTF-8. Raises
    :class:`MlgitopsError` with the last lines the program printed when it cannot be started,
    runs out of time, or exits non-zero.
    """
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            cwd=cwd,
            env=env,
            timeout=timeout,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors=errors,
        )
    except FileNotFoundError as error:
        raise MlgitopsError(f"`{words[0]}` is not installed or not on PATH", hint=hint) from error
    except subprocess.TimeoutExpired as error:
        raise MlgitopsError(f"`{' '.join(words)}` took over {timeout} s", hint=hint) from error
    if done.returncode != 0:
        printed = (done.stderr.strip() or done.stdout.strip()).splitlines()[-_TAIL_LINES:]
        detail = "".join(f"\n    {line}" for line in printed)
        raise MlgitopsError(f"`{' '.join(words)}` ended with {done.returncode}{detail}", hint=hint)
    return done.stdout
