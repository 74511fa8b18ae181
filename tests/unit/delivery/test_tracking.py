"""Which release an environment asks for, as its alias on another server says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from released_project import MODEL_NAME, MergedProject, make_lineage, tag_release

from mlgitops.delivery.releases.release import list_releases
from mlgitops.delivery.releases.tracking import find_wanted_release
from mlgitops.git.repository import Folder, Repository

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("model", "version", "of_release", "expected"),
    [
        (MODEL_NAME, "v1.0.0", True, "v1.0.0"),
        (MODEL_NAME, "v1.0.0", False, None),
        (MODEL_NAME, "v1.1.0", True, None),
        (MODEL_NAME, None, True, None),
        ("fraud", "v1.0.0", True, None),
    ],
)
def test_an_environment_asks_for_a_release_by_model_version_and_commit(
    tmp_path: Path, model: str, version: str | None, of_release: bool, expected: str | None
) -> None:
    """Any one of them that differs is another model."""
    project = MergedProject(tmp_path)
    first = project.repository.git("rev-parse", "HEAD")
    tag_release(project.repository, make_lineage(first, b"first"))
    revision = first if of_release else project.train("second")
    named = f"version: {version}\n" if version else ""
    text = f"model: {model}\n{named}revision: '{revision}'\nport: 8080\n"
    tip = project.edit("deploy/production/model.yaml", text)
    with Repository(project.root) as repository:
        releases = list_releases(repository, MODEL_NAME)
        folder = Folder(repository, project.root)
        release = find_wanted_release(folder, "production", tip, releases)
    assert (release and release.version) == expected
