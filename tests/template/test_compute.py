"""A generated project on a real Dask cluster of two nodes; Ray's is in tests/compute."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from compute_nodes import compare_with_here, lose_all, make_project, start_dask

if TYPE_CHECKING:
    from pathlib import Path

    from template.conftest import Generate

pytestmark = pytest.mark.slow


def test_dask_gives_the_same_results_and_survives_a_lost_node(
    generate: Generate, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Predictions and importance are equal bit for bit, though a worker is killed half-way.

    When the last worker is lost, and then the scheduler, the stage ends and says so.
    """
    installed, project = make_project("dask", generate, tmp_path, tmp_path_factory)
    with start_dask(installed, tmp_path) as nodes:
        compare_with_here(installed, project, nodes, tmp_path)
        of_nodes, of_scheduler = lose_all(installed, project, nodes, tmp_path / "lost")
    assert "has lost all its nodes" in of_nodes
    assert f"the scheduler at {nodes.address} was lost" in of_scheduler
