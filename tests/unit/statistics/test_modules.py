from __future__ import annotations

import doctest
import importlib
import subprocess
import sys

import pytest


@pytest.mark.parametrize("name", ["judgement.kinds", "statistics.names", "statistics.quantiles"])
def test_the_examples_in_docstrings_hold(name: str) -> None:
    """Each example in a docstring gives what it says."""
    found = doctest.testmod(importlib.import_module(f"mlgitops.{name}"))
    assert found.attempted > 0
    assert found.failed == 0


@pytest.mark.parametrize(
    ("module", "loaded"),
    [
        ("mlgitops.judgement.kinds", []),
        ("mlgitops.tables.predictions", []),
        ("mlgitops.statistics.compare", ["numpy"]),
    ],
)
def test_only_numpy_is_imported_and_only_to_compare(module: str, loaded: list[str]) -> None:
    """Judging a report needs no numpy; comparing predictions needs nothing else."""
    heavy = ("numpy", "pandas", "pyarrow", "scipy", "sklearn")
    code = f"import sys, {module}; print([name for name in {heavy!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert found.stdout.strip() == str(loaded)
