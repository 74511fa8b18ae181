"""The examples in docstrings are run."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = (
    "comparison",
    "data",
    "diff",
    "metrics",
    "params",
    "parsing",
    "pickles",
    "pipeline",
    "render.escape",
    "render.facts",
    "render.numbers",
    "templating",
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_hold(name: str) -> None:
    """Each module has examples, and they give what they say."""
    found = doctest.testmod(importlib.import_module(f"mlgitops.{name}"))
    assert found.attempted > 0
    assert found.failed == 0
