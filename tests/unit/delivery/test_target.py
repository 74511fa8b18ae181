"""What a target says of what it serves, as it stands on disk and in `--json`."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from mlgitops.commands.deploy import encode_outcome, encode_status
from mlgitops.console import Console
from mlgitops.delivery import Deployed, LocalTarget, Outcome, Status, Target
from mlgitops.delivery.local.files import (
    ActiveRecord,
    BundleIndex,
    EnvironmentFiles,
    ReportRecord,
    RouterRecord,
    SlotRecord,
)
from mlgitops.delivery.loop.observed import ServedModel, Slot
from mlgitops.errors import MlgitopsError

if TYPE_CHECKING:
    from pathlib import Path

    from mlgitops.model.fields import Struct

DEPLOYED = Deployed(
    model="churn",
    version="v1.2.0",
    sha256="ab" * 32,
    commit="4ead" * 10,
    revision="5ead" * 10,
    forced=False,
    since="2030-01-31T12:00:00Z",
    url="http://127.0.0.1:8081",
)
SERVED = ServedModel(
    model="churn", version="v1.2.0", sha256="ab" * 32, revision="5ead" * 10, commit="4ead" * 10
)
RECORDS: list[Struct] = [
    SlotRecord(served=SERVED, bundle="0123-4567", port=40_001, boot="b", failure="it ended"),
    ActiveRecord(slot=Slot.A, served=SERVED, since="2030-01-31T12:00:00Z", boot="b", bake=60),
    RouterRecord(public=8081, a=40_001, b=40_002),
    ReportRecord(commit="4ead" * 10, issue=7),
    BundleIndex(),
]


@pytest.fixture
def files(tmp_path: Path) -> EnvironmentFiles:
    """Return the files of an environment that has none yet."""
    return EnvironmentFiles(tmp_path, "staging")


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_is_read_as_it_was_written(files: EnvironmentFiles, record: Struct) -> None:
    """Nothing else stands beside it, and where there is none, none is read."""
    assert files.read(files.active, type(record)) is None
    files.write(files.active, record)
    assert files.read(files.active, type(record)) == record
    assert [path.name for path in files.folder.iterdir()] == ["active.json"]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
@pytest.mark.parametrize("content", ["", "[]", "null", "{", '{"image": "x"}', "\xff", "9" * 70_000])
def test_a_record_that_is_none_is_an_error_to_act_on(
    files: EnvironmentFiles, record: Struct, content: str
) -> None:
    """It names the file, and what mends it."""
    files.folder.mkdir(parents=True)
    files.active.write_bytes(content.encode("latin-1"))
    with pytest.raises(MlgitopsError, match=r"active\.json: ") as error:
        files.read(files.active, type(record))
    assert "`mlgitops deploy staging --stop`" in str(error.value)


def test_nothing_deployed_is_nothing_served(tmp_path: Path) -> None:
    """The local target is a target, and says so of an environment that it does not have."""
    target: Target = LocalTarget(tmp_path, Console(quiet=True))
    status = target.read_status("staging")
    problem = "nothing is deployed: `mlgitops deploy staging`"
    assert status == Status(environment="staging", serving=False, problem=problem)
    assert not target.stop("staging")


@pytest.mark.parametrize(("slot", "counters"), [("a", b"counts 7\n"), ("b", None), (None, None)])
def test_the_counters_of_another_server_are_not_ours(
    tmp_path: Path, files: EnvironmentFiles, slot: str | None, counters: bytes | None
) -> None:
    """Whoever took the public port, or the slot behind ours, counts something else."""

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            if slot:
                self.send_header("mlgitops-slot", slot)
            self.end_headers()
            self.wfile.write(b"counts 7\n")

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        files.write(files.active, RECORDS[1])
        files.write(files.router, RouterRecord(public=server.server_port, a=1, b=2))
        target = LocalTarget(tmp_path, Console(quiet=True))
        assert target.read_counters("staging") == counters
        server.shutdown()


def test_the_outcome_as_json() -> None:
    """Its keys stand in one level, in this order."""
    outcome = Outcome(
        environment="staging",
        deployed=DEPLOYED,
        previous=None,
        changed=True,
        baking=False,
        logs="x.log",
    )
    assert list(json.loads(encode_outcome(outcome)).items()) == [
        ("environment", "staging"),
        ("model", "churn"),
        ("version", "v1.2.0"),
        ("sha256", "ab" * 32),
        ("commit", "4ead" * 10),
        ("revision", "5ead" * 10),
        ("forced", False),
        ("since", "2030-01-31T12:00:00Z"),
        ("url", "http://127.0.0.1:8081"),
        ("previous", None),
        ("changed", True),
        ("baking", False),
        ("logs", "x.log"),
    ]


@pytest.mark.parametrize("deployed", [DEPLOYED, None])
def test_the_status_as_json(deployed: Deployed | None) -> None:
    """Every key is there, null where nothing is deployed."""
    names = ("model", "version", "sha256", "commit", "revision", "forced", "since", "url")
    problem = None if deployed else "nothing is deployed"
    requests = "x/requests" if deployed else None
    status = Status(
        environment="staging",
        serving=deployed is not None,
        deployed=deployed,
        problem=problem,
        requests=requests,
    )
    assert json.loads(encode_status(status)) == {
        "environment": "staging",
        "serving": deployed is not None,
        "problem": problem,
        "requests": requests,
        **{name: getattr(deployed, name, None) for name in names},
    }
