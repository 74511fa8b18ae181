"""A lock of another job's run, held against the commit that it claims to be of. No DVC, no git."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from trust.handover import LOCKS
from trust.reasons import REASONS

from mlgitops.dvc.reader import read_pipeline
from mlgitops.errors import MlgitopsError
from mlgitops.storage.handover.claims import check_lock

if TYPE_CHECKING:
    from collections.abc import Callable

OID, OTHER = "0123456789abcdef0123456789abcdef", "f" * 32
DVC_YAML = """\
stages:
  split:
    cmd: python split.py
    deps: [split.py, lib, raw.csv]
    outs: [data/test.csv]
  train:
    cmd: python train.py
    deps: [data/test.csv]
    params: [trees]
    outs: [model.bin]
    metrics: [reports/metrics.json: {cache: false}]
"""
FILES = {
    "dvc.yaml": DVC_YAML.encode(),
    "dvc.lock": b"schema: '2.0'\nstages: {}\n",
    "split.py": b"print('split')\n",
    "lib/a.py": b"A = 1\n",
    "lib/b.py": b"B = 2\n",
    "params.yaml": b"trees: 10\n",
    "raw.csv.dvc": f"outs:\n- {{md5: {OID}, size: 3, path: raw.csv, hash: md5}}\n".encode(),
}


def md5(data: bytes) -> str:
    """Return DVC's name of a file."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def make_entry(path: str, oid: str = OID, **changes: object) -> dict[str, object]:
    """Return one input or output of a lock."""
    return {"path": path, "hash": "md5", "md5": oid, "size": 3, **changes}


def make_lock() -> dict[str, Any]:
    """Return the lock that a run of exactly :data:`FILES` leaves."""
    rows = [{"md5": md5(FILES[f"lib/{name}"]), "relpath": name} for name in ("a.py", "b.py")]
    lib = md5(json.dumps(rows).encode()) + ".dir"
    split = {
        "cmd": "python split.py",
        "deps": [
            make_entry("split.py", md5(FILES["split.py"])),
            make_entry("lib", lib),
            make_entry("raw.csv"),
        ],
        "outs": [make_entry("data/test.csv")],
    }
    train = {
        "cmd": "python train.py",
        "deps": [make_entry("data/test.csv")],
        "params": {"params.yaml": {"trees": 10}},
        "outs": [make_entry("model.bin"), make_entry("reports/metrics.json")],
    }
    return {"schema": "2.0", "stages": {"split": split, "train": train}}


def check(lock: dict[str, Any], **files: bytes) -> Any:  # noqa: ANN401
    """Hold a lock against the commit of :data:`FILES`, with other ``files`` in their place."""
    held = {**FILES, **files}
    return check_lock(json.dumps(lock).encode(), dict.fromkeys(held, "blob"), held.get)


def test_the_lock_of_the_commits_own_run_is_accepted() -> None:
    """What git keeps and what the storage keeps are told apart; .dvc files' objects count."""
    claims = check(make_lock())
    assert set(claims.objects) == {"data/test.csv", "model.bin", "raw.csv"}
    assert set(claims.results) == {"reports/metrics.json"}


@pytest.mark.parametrize(
    "option",
    [b", push: false", b", remote: own"],
)
def test_what_another_place_keeps_is_not_demanded(option: bytes) -> None:
    """`push: false` and a remote of its own: the project's storage has neither."""
    pointer = FILES["raw.csv.dvc"].replace(b"size: 3", b"size: 3" + option)
    claims = check(make_lock(), **{"raw.csv.dvc": pointer})
    assert set(claims.objects) == {"data/test.csv", "model.bin"}


def test_imported_data_that_a_stage_reads_is_demanded() -> None:
    """The job that measures reads the project's storage, and not where a table is from."""
    imported = b"deps: [{path: x, repo: {url: u}}]\n"
    claims = check(make_lock(), **{"raw.csv.dvc": FILES["raw.csv.dvc"] + imported})
    assert set(claims.objects) == {"data/test.csv", "model.bin", "raw.csv"}
    besides = FILES["raw.csv.dvc"].replace(b"raw.csv", b"besides.csv") + imported
    claims = check(make_lock(), **{"besides.csv.dvc": besides})
    assert "besides.csv" not in claims.objects


def test_an_imported_folder_of_which_a_stage_reads_a_file_is_demanded() -> None:
    """Of a folder DVC keeps and fetches the whole."""
    pointer = b"deps: [{path: x, repo: {url: u}}]\nouts: [{path: raw, hash: md5, md5: %s.dir}]\n"
    files = {"raw.dvc": pointer % (b"0" * 32)}
    stage = "stages: {read: {cmd: read, deps: [raw/table.csv]}}\n"
    pipeline = read_pipeline(
        dict.fromkeys([*files, "dvc.yaml"], ""), (files | {"dvc.yaml": stage.encode()}).get
    )
    assert [(output.path, output.sent) for output in pipeline.outputs] == [("raw", True)]


def _set(stage: str, key: str, value: object) -> Callable[[dict[str, Any]], None]:
    return lambda lock: lock["stages"][stage].update({key: value})


def _set_entry(stage: str, kind: str, index: int, **changes: object) -> Any:  # noqa: ANN401
    return lambda lock: lock["stages"][stage][kind][index].update(changes)


CLAIMS: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "other code": (
        _set_entry("split", "deps", 0, md5=OTHER),
        "dvc.lock, stage split: it was run with another split.py than the head's",
    ),
    "other code in a folder": (
        _set_entry("split", "deps", 1, md5=f"{OTHER}.dir"),
        "dvc.lock, stage split: it was run with another lib than the head's",
    ),
    "other raw data than the .dvc file's": (
        _set_entry("split", "deps", 2, md5=OTHER),
        "dvc.lock, stage split: it was run with another raw.csv than the head's",
    ),
    "other data than the stage before made": (
        _set_entry("train", "deps", 0, md5=OTHER),
        "dvc.lock, stage train: it was run with another data/test.csv than the head's",
    ),
    "another command": (
        _set("train", "cmd", "python other.py"),
        "dvc.lock, stage train: its command is not that of dvc.yaml",
    ),
    "another parameter": (
        _set("train", "params", {"params.yaml": {"trees": 11}}),
        "dvc.lock, stage train: it was run with another value of trees",
    ),
    "a parameter of a file that is not there": (
        _set("train", "params", {"other.yaml": {"trees": 10}}),
        "dvc.lock, stage train: it was run with another value of trees",
    ),
    "a parameter left out": (
        _set("train", "params", {}),
        "dvc.lock, stage train: it was run with another value of trees",
    ),
    "a parameter left out of its file": (
        _set("train", "params", {"params.yaml": {}}),
        "dvc.lock, stage train: it was run with another value of trees",
    ),
    "a parameter of a file that is not declared": (
        _set("train", "params", {"params.yaml": {"trees": 10}, "other.yaml": {"depth": 1}}),
        "dvc.lock, stage train: its parameter files are not those of dvc.yaml",
    ),
    "an input left out": (
        _set("train", "deps", []),
        "dvc.lock, stage train: its inputs and outputs are not those of dvc.yaml",
    ),
    "an output left out": (
        _set("train", "outs", [make_entry("model.bin")]),
        "dvc.lock, stage train: its inputs and outputs are not those of dvc.yaml",
    ),
    "an output that is not declared": (
        _set("split", "outs", [make_entry("data/test.csv"), make_entry("more.csv")]),
        "dvc.lock, stage split: its inputs and outputs are not those of dvc.yaml",
    ),
    "a stage left out": (
        lambda lock: lock["stages"].pop("train"),
        "dvc.lock: its stages are not those of dvc.yaml: train",
    ),
    "a stage too many": (
        lambda lock: lock["stages"].update(extra={"cmd": "x"}),
        "dvc.lock: its stages are not those of dvc.yaml: extra",
    ),
}


@pytest.mark.parametrize("case", CLAIMS)
def test_a_lock_of_another_run_is_refused(case: str) -> None:
    """Code, data, parameters, command, stages: each is the head's, or nothing is taken."""
    change, reason = CLAIMS[case]
    lock = make_lock()
    change(lock)
    with pytest.raises(MlgitopsError, match=f"^{reason}"):
        check(lock)


def test_code_that_was_removed_from_a_folder_is_missed() -> None:
    """The hash of a folder is that of all its files at the head."""
    with pytest.raises(MlgitopsError, match="it was run with another lib"):
        check(make_lock(), **{"lib/c.py": b"C = 3\n"})


def test_several_locks_are_not_published() -> None:
    """One project, one lock: nothing may hide in a second one."""
    with pytest.raises(MlgitopsError, match=r"^sub/dvc\.lock: a project with several dvc\.lock"):
        check(make_lock(), **{"sub/dvc.lock": b"schema: '2.0'\nstages: {}\n"})


def test_a_declared_result_that_is_code_is_refused() -> None:
    """`cache: false` on a file of code does not bring it into the commit."""
    lock = make_lock()
    lock["stages"]["train"]["outs"][1]["path"] = "src/metrics.json"
    declared = DVC_YAML.replace("reports/metrics.json", "src/metrics.json").encode()
    with pytest.raises(MlgitopsError, match=r"^src/metrics\.json: code, configuration and rules"):
        check(lock, **{"dvc.yaml": declared})


def test_an_object_of_an_older_dvc_is_refused() -> None:
    """A .dvc file whose hash is of another kind names nothing that could be checked."""
    pointer = f"outs:\n- {{etag: {OID}, size: 3, path: more.csv}}\n".encode()
    with pytest.raises(MlgitopsError, match=r"^more\.csv: its hash is not an md5 of DVC 3"):
        check(make_lock(), **{"more.csv.dvc": pointer})


@pytest.mark.parametrize("case", LOCKS)
def test_a_lock_of_another_form_is_refused(case: str) -> None:
    """The hostile corpus, in this process."""
    with pytest.raises(MlgitopsError, match=re.escape(REASONS["lock"][case])):
        check_lock(LOCKS[case], dict.fromkeys(FILES, "blob"), FILES.get)
