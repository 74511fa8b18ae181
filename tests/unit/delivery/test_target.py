"""What a target says of what it serves, as it stands on disk and in `--json`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from mlgitops.commands.deploy import encode_outcome, encode_status
from mlgitops.console import Console
from mlgitops.delivery import Deployed, LocalTarget, Outcome, Status, Target
from mlgitops.delivery.state import Current, EnvironmentFiles
from mlgitops.errors import MlgitopsError

if TYPE_CHECKING:
    from pathlib import Path

DEPLOYED = Deployed(
    bundle="0123-4567",
    model="churn",
    sha256="ab" * 32,
    commit="4ead" * 10,
    since="2030-01-31T12:00:00.000000Z",
    url="http://127.0.0.1:8081",
)
#: What the router, and an older or newer mlgitops, read.
FILE = {
    "bundle": "0123-4567",
    "model": "churn",
    "sha256": "ab" * 32,
    "commit": "4ead" * 10,
    "port": 40_001,
    "public_port": 8081,
    "server": "0123-4567-40001",
    "since": "2030-01-31T12:00:00.000000Z",
}
CURRENT = Current(deployed=DEPLOYED, port=40_001, public_port=8081, server="0123-4567-40001")


@pytest.fixture
def files(tmp_path: Path) -> EnvironmentFiles:
    """Return the files of an environment that has none yet."""
    files = EnvironmentFiles(tmp_path, "staging")
    files.folder.mkdir(parents=True)
    return files


def test_the_state_on_disk_has_one_level(files: EnvironmentFiles) -> None:
    """Whoever reads the file finds each field by its name, and what is read is what was written."""
    files.write_current(CURRENT)
    assert json.loads(files.current.read_text()) == FILE
    assert files.read_current() == CURRENT


@pytest.mark.parametrize(
    "content",
    ["", "[]", "null", "{}", *(json.dumps({**FILE, name: None}) for name in ("port", "server"))]
    + [json.dumps({name: FILE[name] for name in FILE if name != gone}) for gone in FILE]
    + [json.dumps({**FILE, "image": "x"})],
)
def test_a_state_that_is_none_is_an_error_to_act_on(files: EnvironmentFiles, content: str) -> None:
    """It names the file, and what mends it."""
    files.current.write_text(content)
    with pytest.raises(
        MlgitopsError, match="the state of this environment cannot be read"
    ) as error:
        files.read_current()
    assert error.value.where == str(files.current)
    assert "`mlgitops deploy staging --stop`" in str(error.value)


def test_the_record_follows_what_is_in_service(files: EnvironmentFiles) -> None:
    """One entry for each time that a model came into service."""
    files.write_current(CURRENT)
    for _ in range(2):
        files.complete_record()
    (entry,) = files.read_record()
    assert (entry.seq, entry.model, entry.sha256, entry.commit) == (
        *(1, DEPLOYED.model),
        *(DEPLOYED.sha256, DEPLOYED.commit),
    )
    assert (entry.at, entry.previous) == (DEPLOYED.since, None)


def test_nothing_deployed_is_nothing_served(tmp_path: Path) -> None:
    """The local target is a target, and says so of an environment that it does not have."""
    target: Target = LocalTarget(tmp_path, Console(quiet=True))
    assert target.read_status("staging") == Status(environment="staging", serving=False)
    assert not target.stop("staging")


def test_the_outcome_as_json() -> None:
    """Its keys stand in one level, in this order."""
    outcome = Outcome(
        environment="staging", deployed=DEPLOYED, previous=None, changed=True, logs="x.log"
    )
    assert list(json.loads(encode_outcome(outcome)).items()) == [
        ("environment", "staging"),
        ("model", "churn"),
        ("sha256", "ab" * 32),
        ("commit", "4ead" * 10),
        ("previous", None),
        ("changed", True),
        ("url", "http://127.0.0.1:8081"),
        ("logs", "x.log"),
    ]


@pytest.mark.parametrize("deployed", [DEPLOYED, None])
def test_the_status_as_json(deployed: Deployed | None) -> None:
    """Every key is there, null where nothing is deployed."""
    names = ("model", "sha256", "commit", "since", "url")
    status = Status(environment="staging", serving=deployed is not None, deployed=deployed)
    assert json.loads(encode_status(status)) == {
        "environment": "staging",
        "serving": deployed is not None,
        **{name: getattr(deployed, name, None) for name in names},
    }
