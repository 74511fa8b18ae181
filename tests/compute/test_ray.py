"""A generated project on a real Ray cluster of two nodes: `make test-compute`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compute_nodes import compare_with_here, make_alone, make_project, start_ray
from template.conftest import generate, home, template

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from template.conftest import Generate

# The fixtures by which projects are generated, in this folder, too.
__all__ = ["generate", "home", "template"]


def test_ray_gives_the_same_results_and_survives_a_lost_node(
    generate: Generate, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Predictions and importance are equal bit for bit, though a node is killed half-way.

    Who names no cluster gets one of this machine alone, and does not join the one that is there.
    """
    installed, project = make_project("ray", generate, tmp_path, tmp_path_factory)
    with start_ray(installed, tmp_path) as nodes:
        compare_with_here(installed, project, nodes, tmp_path)
        address = make_alone(installed, project, nodes)
    assert address.startswith("127.0.0.1:")
    assert address != nodes.address
