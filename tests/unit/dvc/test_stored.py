"""Which objects a storage must hold: those that locks and .dvc files record, and git does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from git_project import GitRepository

from mlgitops.dvc.stored import StoredObject, read_objects
from mlgitops.errors import MlgitopsError

if TYPE_CHECKING:
    from pathlib import Path

DEFINITION = """\
vars: [{name: kept}]
stages:
  plain: {cmd: x, outs: [model.bin, {secret.bin: {push: false}}, {far.bin: {remote: own}}]}
  each:
    foreach: [a, b]
    do:
      wdir: deep
      cmd: x
      outs: ["${item}.bin", {"${item}.txt": {cache: false}}]
      metrics: [{"${name}_${item}.json": {cache: false}}]
"""


def record(*paths: str, digit: str = "1") -> str:
    """Write entries of a lock."""
    md5 = digit * 32
    return "".join(f"\n    - {{path: {path}, hash: md5, md5: '{md5}', size: 3}}" for path in paths)


LOCK = f"""\
schema: '2.0'
stages:
  plain:
    cmd: x
    outs:{record("model.bin", "secret.bin", "far.bin")}
  each@a:
    cmd: x
    outs:{record("a.bin", "a.txt", "kept_a.json")}
  each@b:
    cmd: x
    outs:{record("../above.bin", "b.txt", "kept_b.json")}
"""


def test_what_dvc_keeps_is_named(tmp_path: Path) -> None:
    """By `wdir`, groups and templates; not what git or another place keeps, or `push: false`."""
    made = GitRepository(tmp_path / "p")
    made.put("sub/dvc.yaml", DEFINITION)
    made.put("sub/dvc.lock", LOCK)
    made.put("raw.csv.dvc", f"outs:{record('raw.csv', digit='2')}\n")
    made.put("own.dvc", "outs: [{path: own, hash: md5, md5: '3', push: false}]\n")
    made.put("far.dvc", "outs: [{path: far, hash: md5, md5: '5', remote: own}]\n")
    made.put("taken.dvc", "deps: [{path: x, repo: {url: u}}]\nouts: [{path: taken, md5: '6'}]\n")
    made.put("inside.dvc", f"outs:{record('inside')}\n")
    made.put("inside", "git keeps it\n")
    made.put("hidden/x.dvc", f"outs:{record('x')}\n")
    made.put(".dvcignore", "hidden\n")
    made.commit()
    made.put("new.csv.dvc", f"outs:{record('new.csv', digit='4')}\n")  # not yet tracked
    assert read_objects(made.root) == [
        StoredObject(path="new.csv", oid="4" * 32, size=3),
        StoredObject(path="raw.csv", oid="2" * 32, size=3),
        StoredObject(path="sub/above.bin", oid="1" * 32, size=3),
        StoredObject(path="sub/deep/a.bin", oid="1" * 32, size=3),
        StoredObject(path="sub/model.bin", oid="1" * 32, size=3),
    ]


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("{path: x, hash: md5}", "x.dvc: the output x has no md5"),
        ("{path: x, hash: md5, md5: ../../../etc/passwd}", "x.dvc: the output x has no md5"),
        (f"{{path: x, md5: '{'1' * 32}'}}", "x.dvc: the output x was written by DVC 2"),
        ("{hash: md5}", "x.dvc: an output without a path"),
        ("x", "x.dvc: an output without a path"),
    ],
)
def test_what_no_storage_has_is_refused(tmp_path: Path, entry: str, reason: str) -> None:
    """A record that names no object is an error: a storage without it is not complete."""
    made = GitRepository(tmp_path / "p")
    made.put("x.dvc", f"outs: [{entry}]\n")
    with pytest.raises(MlgitopsError, match=f"^{reason}"):
        read_objects(made.root)


def test_an_output_with_a_very_long_path_is_wanted_too(tmp_path: Path) -> None:
    """What no report would show must still be in the storage before it is called complete."""
    project = GitRepository(tmp_path / "p")
    folder = "/".join(["a" * 200] * 3)
    oid = "a" * 32
    project.put(f"{folder}/x.dvc", f"outs:\n- path: x\n  md5: {oid}\n  hash: md5\n  size: 1\n")
    assert [stored.oid for stored in read_objects(project.root)] == [oid]
