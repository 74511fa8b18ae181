"""A generated project on a real Dask cluster of two nodes; Ray's is in tests/compute."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from compute_nodes import compare_with_here, install_library, start_dask, train_project
from kept_environments import make_locked
from template.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from template.conftest import Generate

pytestmark = pytest.mark.slow

LOCKS = ROOT / "{{cookiecutter.project_slug}}" / "requirements"


def test_dask_gives_the_same_results_and_survives_a_lost_node(
    generate: Generate, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Predictions and importance are equal bit for bit, though a worker is killed half-way."""
    environment = make_locked("pipeline", LOCKS / "pipeline.txt", tmp_path_factory)
    python = environment / "bin" / "python"
    installed = install_library(python, LOCKS / "compute-dask.txt", tmp_path / "dask")
    project = generate(tmp_path, task="multiclass")
    train_project(installed, project)
    with start_dask(installed, tmp_path) as nodes:
        compare_with_here(installed, project, nodes, tmp_path)
