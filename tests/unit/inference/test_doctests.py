from __future__ import annotations

import doctest
import importlib

import pytest


@pytest.mark.parametrize("name", ["decision", "names", "quantiles"])
def test_the_examples_in_docstrings_hold(name: str) -> None:
    """Each example in a docstring gives what it says."""
    found = doctest.testmod(importlib.import_module(f"mlgitops.inference.{name}"))
    assert found.attempted > 0
    assert found.failed == 0
