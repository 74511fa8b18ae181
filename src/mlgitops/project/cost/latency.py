"""How long a project's model takes to predict: asked of the project's own scoring module.

Runs `python -m <package>.scoring --time` in the project's pipeline environment, which loads
the model as the project does and times warm calls. A project without one is not measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from mlgitops.environments import FOLDERS
from mlgitops.errors import MlgitopsError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mlgitops.model import Files

_TIMEOUT = 300.0  # seconds

Milliseconds = Annotated[float, Meta(ge=0, lt=1e9)]


class Timing(msgspec.Struct, frozen=True):
    """What the scoring module prints."""

    row_ms: Milliseconds
    thousand_rows_ms: Milliseconds


def find_scoring(project: Path, files: Files) -> str | None:
    """Find the scoring module to ask; None when the project has none, or no model or test data."""
    modules = list((project / "src").glob("*/scoring.py"))
    python = project / FOLDERS["pipeline"] / "bin" / "python"
    needed = [project / path for path in (files.model, files.test_data) if path]
    if len(modules) != 1 or len(needed) != 2 or not python.exists():  # noqa: PLR2004 - both
        return None
    if "--time" not in modules[0].read_text(encoding="utf-8", errors="replace"):
        return None  # a project of an older template
    return f"{modules[0].parent.name}.scoring" if all(map(_is_file, needed)) else None


def measure_latency(
    project: Path, module: str, files: Files, environment: Mapping[str, str]
) -> Timing:
    """Time the model on the test rows; raises :class:`MlgitopsError` when it cannot be.

    ``environment``: the variables of a stage, whose `python` is the pipeline's.
    """
    from mlgitops.process import run_program

    options = ["--model", str(files.model), "--data", str(files.test_data), "--time"]
    printed = run_program(
        ["python", "-m", module, *options], cwd=project, env=environment, timeout=_TIMEOUT
    )
    try:
        return msgspec.json.decode(printed.strip().rpartition("\n")[2], type=Timing)
    except msgspec.MsgspecError as error:
        raise MlgitopsError(f"`python -m {module} --time` printed no times") from error


def _is_file(path: Path) -> bool:
    return path.is_file()
