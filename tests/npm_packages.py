"""Install the npm packages that a test needs, once, from its lock into the repository's .venv."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

BIN = Path(sys.executable).parent


def install_packages(source: Path, *, trim: Callable[[Path], None] | None = None) -> Path:
    """Install what the package-lock.json in ``source`` names; return its `node_modules`.

    No script of a package runs. ``trim`` may remove what is not needed afterwards. A second
    call, or another worker, finds it done.
    """
    lock = (source / "package-lock.json").read_bytes()
    place = BIN.parent / "cache" / f"{source.name}-{hashlib.sha256(lock).hexdigest()[:12]}"
    place.mkdir(parents=True, exist_ok=True)
    modules, done = place / "node_modules", place / ".done"
    with (place / ".lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)  # two workers must not install at once
        if not done.exists():
            for name in ("package.json", "package-lock.json"):
                shutil.copy(source / name, place)
            words = ("ci", "--ignore-scripts", "--no-audit", "--no-fund")
            ran = subprocess.run(
                [BIN / "npm", *words], cwd=place, capture_output=True, text=True, check=False
            )
            if ran.returncode:
                raise RuntimeError(f"npm {' '.join(words)} failed: {ran.stderr[-2_000:]}")
            if trim is not None:
                trim(modules)
            done.touch()
    return modules
