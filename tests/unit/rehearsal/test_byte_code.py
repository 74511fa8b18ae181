"""The helper compiled once for all steps of a rehearsal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlgitops.rehearsal.places import copy_toolkit
from mlgitops.rehearsal.surroundings import compile_helper

CODE = """\
import sys
sys.path.insert(0, sys.argv[1])
import mlgitops.commands.report, mlgitops.github.posting, mlgitops.comparison.evidence
from mlgitops.render.html import load_template
assert mlgitops.commands.report.__file__.startswith(sys.argv[1])
load_template()
"""


def list_byte_code(folder: Path) -> dict[Path, int]:
    """Return every file of byte code below ``folder``, and when it was written."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("__pycache__/*")}


@pytest.mark.slow
def test_no_step_compiles_what_was_compiled_for_all(tmp_path: Path) -> None:
    """Not even when the sources get new dates, as they do when act copies an action."""
    source = copy_toolkit(tmp_path / "toolkit") / "src"
    compile_helper(Path(sys.executable), source)
    before = list_byte_code(source)
    assert len(before) > len(list(source.rglob("*.py")))  # the page's template beside all modules
    for path in source.rglob("*.py"):
        os.utime(path, (1, 1))
    subprocess.run([sys.executable, "-I", "-c", CODE, source], check=True, cwd=tmp_path)
    assert list_byte_code(source) == before
