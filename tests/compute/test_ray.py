"""A generated project on a real Ray cluster of two nodes: `make test-compute`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compute_nodes import compare_with_here, install_library, start_ray, train_project
from kept_environments import make_locked
from template.conftest import ROOT, generate, home, template

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from template.conftest import Generate

# The fixtures by which projects are generated, in this folder, too.
__all__ = ["generate", "home", "template"]

LOCKS = ROOT / "{{cookiecutter.project_slug}}" / "requirements"


def test_ray_gives_the_same_results_and_survives_a_lost_node(
    generate: Generate, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Predictions and importance are equal bit for bit, though a node is killed half-way."""
    environment = make_locked("pipeline", LOCKS / "pipeline.txt", tmp_path_factory)
    python = environment / "bin" / "python"
    installed = install_library(python, LOCKS / "compute-ray.txt", tmp_path / "ray")
    project = generate(tmp_path, task="multiclass")
    train_project(installed, project)
    with start_ray(installed, tmp_path) as nodes:
        compare_with_here(installed, project, nodes, tmp_path)
