"""Processes that are started to stay: they get nothing that belongs to a workflow's job."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from mlgitops.delivery.local.launching import Detached
from mlgitops.delivery.processes import is_running

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

_OF_A_JOB = ("GITHUB_TOKEN", "GH_TOKEN", "ACTIONS_RUNTIME_TOKEN", "GIT_CONFIG_VALUE_0")


def test_a_server_gets_neither_token_nor_name_of_the_job_that_starts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By RUNNER_TRACKING_ID a runner ends what its job leaves behind."""
    for name in (*_OF_A_JOB, "RUNNER_TRACKING_ID"):
        monkeypatch.setenv(name, "of-the-job")
    monkeypatch.setenv("MODEL_SETTING", "kept")
    (tmp_path / "logs").mkdir()
    (tmp_path / "router.sh").write_text("env\n", encoding="utf-8")
    Detached().start("router", tmp_path)
    deadline = time.monotonic() + 60
    while is_running(tmp_path / "router.lock") and time.monotonic() < deadline:
        time.sleep(0.02)
    variables = (tmp_path / "logs" / "router.log").read_text("utf-8").splitlines()
    assert "MODEL_SETTING=kept" in variables
    assert not any(line.endswith("=of-the-job") for line in variables)
