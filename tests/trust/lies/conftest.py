"""The statement of an honest verdict, which several files of lies change."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
from trust.recorded import Recorded
from trust.stated import MEASURED, Evidence, Silent


@pytest.fixture(scope="session")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """Make the repository once: no test changes its commits."""
    return Evidence(Recorded(tmp_path_factory.mktemp("evidence") / "model"))


@pytest.fixture(scope="session")
def honest(evidence: Evidence) -> dict[str, Any]:
    """Return the statement that `report` writes of the honest report."""
    with pytest.MonkeyPatch.context() as patch:
        report = evidence.write_report(MEASURED)
        silent = cast("pytest.CaptureFixture[str]", Silent())
        _, text, path = evidence.state(report, patch, silent, published=evidence.results)
    assert path.is_file(), text
    document: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return document
