"""The helper compiled once for all steps of a rehearsal."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mlgitops.rehearsal.local_actions import copy_toolkit
from mlgitops.rehearsal.runner import compile_helper

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
    source = (copy_toolkit(tmp_path / "toolkit") / "src").resolve()
    compile_helper(Path(sys.executable), source)
    before = list_byte_code(source)
    assert len(before) > len(list(source.rglob("*.py")))  # the page's template beside all modules
    for path in source.rglob("*.py"):
        os.utime(path, (1, 1))
    subprocess.run([sys.executable, "-I", "-c", CODE, source], check=True, cwd=tmp_path)
    assert list_byte_code(source) == before


def test_act_copies_the_actions_and_nothing_else(tmp_path: Path) -> None:
    """It copies its folder twice for every step: code and locks stand beside it, once."""
    folder = copy_toolkit(tmp_path / "toolkit")
    copied = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    assert {path.relative_to(folder).parts[0] for path in copied} == {"actions"}
    assert sum(path.stat().st_size for path in copied) < 200_000
    moved = shutil.copytree(folder, tmp_path / "copy-of-act", symlinks=True)
    assert (moved / "src" / "mlgitops" / "cli.py").is_file()
    assert (moved / "requirements" / "helper.txt").is_file()
    assert (moved / "src").resolve() == (folder / "src").resolve()
