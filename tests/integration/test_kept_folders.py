"""Metrics, predictions and plots in a folder that DVC keeps: read, or said to be unavailable."""

from __future__ import annotations

import json
import shutil
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from dvc_project import make_predictions
from integration.compared import kinds
from kept_folder import KeptFolder, digest, metrics

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UNAVAILABLE = "base is not available: DVC keeps it, and neither cache nor storage has it"


@pytest.fixture
def project(tmp_path: Path) -> KeptFolder:
    """Make a project with an accuracy of 0.9 at base."""
    made = KeptFolder(tmp_path / "project")
    made.evaluate({"metrics.json": metrics(0.9), "big.bin": b"x" * 1_000})
    made.commit()
    return made


@pytest.mark.parametrize("revisions", [(), ("--base", "HEAD~1", "--head", "HEAD")])
def test_a_loss_in_a_kept_folder_fails(
    project: KeptFolder,
    compare: Any,  # noqa: ANN401
    revisions: tuple[str, ...],
) -> None:
    """Base is read through the folder's manifest, and so is head between revisions."""
    project.evaluate({"metrics.json": metrics(0.4), "big.bin": b"y" * 1_000})
    if revisions:
        project.commit()
        shutil.rmtree(project.root / "eval")
    found = compare(project, "--json", *revisions)
    assert found.code == 1
    assert kinds(found.report) == {"accuracy": "worsened"}
    (metric,) = found.report["metrics"]
    assert (metric["path"], metric["base"], metric["head"]) == ("eval/metrics.json", 0.9, 0.4)


@pytest.mark.parametrize("gone", ["manifest", "member"])
def test_what_is_not_here_is_not_absent(project: KeptFolder, compare: Any, gone: str) -> None:  # noqa: ANN401
    """Without the manifest, or the file that it names, the judged metric fails and says why."""
    name = project.evaluate({"metrics.json": metrics(0.9), "big.bin": b"x" * 1_000})
    project.place(name if gone == "manifest" else digest(metrics(0.9))).unlink()
    project.evaluate({"metrics.json": metrics(0.95)})
    found = compare(project, "--json")
    assert found.code == 1
    assert kinds(found.report) == {"accuracy": "incomparable"}
    assert UNAVAILABLE in found.report["judgement"]["failures"][0]


def test_a_folder_without_the_file_has_none(project: KeptFolder, compare: Any) -> None:  # noqa: ANN401
    """What head's manifest does not list is gone: the metric was removed."""
    project.evaluate({"other.json": metrics(0.9)})
    project.commit()
    shutil.rmtree(project.root / "eval")
    found = compare(project, "--json", "--base", "HEAD~1", "--head", "HEAD")
    assert (found.code, kinds(found.report)) == (1, {"accuracy": "removed"})


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        (b'[{"md5": "0", "relpath": "metrics.json"}]', "an entry's md5 is not 32 hex digits"),
        (b'[{"md5": "%s", "relpath": "../metrics.json"}]', "is not relative, or leaves its folder"),
        (b'{"metrics.json": "%s"}', "a directory manifest is a list"),
        (b'[{"md5": "%s", "relpath": "a"}, {"md5": "%s", "relpath": "A"}]', "name the same file"),
    ],
)
def test_a_malformed_manifest_is_refused(
    project: KeptFolder,
    compare: Any,  # noqa: ANN401
    manifest: bytes,
    reason: str,
) -> None:
    """Its hash is right and its content is not: at base and at head a reason to fail."""
    data = manifest.replace(b"%s", digest(b"").encode())
    name = f"{digest(data)}.dir"
    project.store(name, data)
    lock = (project.root / "dvc.lock").read_text()
    before = lock.partition("md5: ")[2].partition("}")[0]
    project.put("dvc.lock", lock.replace(before, name))
    shutil.rmtree(project.root / "eval")
    project.commit()
    at_head = compare(project, "--json", "--base", "HEAD~1", "--head", "HEAD")
    assert (at_head.code, kinds(at_head.report)) == (1, {"accuracy": "incomparable"})
    assert reason in at_head.report["judgement"]["failures"][0]
    project.evaluate({"metrics.json": metrics(0.95)})
    at_base = compare(project, "--json", "--base", "HEAD")
    assert (at_base.code, kinds(at_base.report)) == (1, {"accuracy": "incomparable"})
    assert reason in at_base.report["judgement"]["failures"][0]


def test_a_damaged_manifest_is_refused(project: KeptFolder, compare: Any) -> None:  # noqa: ANN401
    """A cache that holds other bytes than the lock names gives no base to pass by."""
    name = project.evaluate({"metrics.json": metrics(0.9)})
    project.commit()
    listed = [{"md5": digest(metrics(0.3)), "relpath": "metrics.json"}]
    project.store(name, json.dumps(listed).encode())
    project.evaluate({"metrics.json": metrics(0.4)})
    found = compare(project, "--json", "--base", "HEAD")
    assert (found.code, kinds(found.report)) == (1, {"accuracy": "incomparable"})
    assert "the stored list of a folder is damaged" in found.report["judgement"]["failures"][0]


def test_predictions_and_plots_in_a_kept_folder_are_read(tmp_path: Path, compare: Any) -> None:  # noqa: ANN401
    """Noise is estimated from them between two revisions, and the plot is drawn over base's."""
    project = KeptFolder(tmp_path / "project")
    for errors in (200, 190):
        project.evaluate(
            {
                "metrics.json": metrics(1 - errors / 2_000),
                "predictions.csv": make_predictions(rows=2_000, errors=errors),
                "plots/loss.csv": b"step,loss\n1,0.9\n2,0.%d\n" % errors,
            }
        )
        project.commit()
    shutil.rmtree(project.root / "eval")
    found = compare(project, "--json", "--base", "HEAD~1", "--head", "HEAD")
    assert found.code == 0, found.out
    assert found.report["metrics"][0]["evidence"]["rows"] == 2_000
    charts = {chart["name"]: chart for chart in found.report["charts"]}
    assert [line["side"] for line in charts["eval/plots/loss.csv"]["series"]] == ["base", "head"]


def test_parameters_in_a_kept_folder_are_read(project: KeptFolder, compare: Any) -> None:  # noqa: ANN401
    """A parameters file that a stage wrote is compared like one in git."""
    text = (project.root / "dvc.yaml").read_text()
    project.put("dvc.yaml", text + "params: [eval/best.yaml]\n")
    project.evaluate({"metrics.json": metrics(0.9), "best.yaml": b"depth: 3\n"})
    project.commit()
    project.evaluate({"metrics.json": metrics(0.9), "best.yaml": b"depth: 4\n"})
    (change,) = compare(project, "--json", "--base", "HEAD").report["params"]
    assert (change["path"], change["base"], change["head"]) == ("eval/best.yaml", "3", "4")


@pytest.mark.parametrize(("row", "same"), [(b"id\n1\n", "same"), (b"id\n2\n", "changed")])
def test_test_data_in_a_kept_folder_is_told_apart(
    tmp_path: Path,
    compare: Any,  # noqa: ANN401
    row: bytes,
    same: str,
) -> None:
    """Of a folder that changed, the one file decides whether the test data did."""
    project = KeptFolder(tmp_path / "project")
    policy = "version: 1\nfiles: {test_data: eval/test.csv}\nmetrics: {accuracy: {}}\n"
    project.put("policy.yaml", policy)
    project.evaluate({"metrics.json": metrics(0.9), "test.csv": b"id\n1\n"})
    project.commit()
    project.evaluate({"metrics.json": metrics(0.91), "test.csv": row})
    assert compare(project, "--json").report["test_data"] == same


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """Serve an empty folder over HTTP, as a storage that is not on this disk."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    (tmp_path / "served").mkdir()
    handler = partial(Handler, directory=str(tmp_path / "served"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


@pytest.mark.slow
def test_manifest_and_file_are_fetched(tmp_path: Path, server: str, compare: Any) -> None:  # noqa: ANN401
    """From a storage over the network come the manifest and that file, and nothing else."""
    project = KeptFolder(tmp_path / "project", remote=server)
    project.evaluate({"metrics.json": metrics(0.9), "big.bin": b"x" * 1_000})
    project.commit()
    project.cache.rename(tmp_path / "served" / "files")
    (tmp_path / "served" / "files").rename(tmp_path / "served" / "md5")
    (tmp_path / "served" / "files").mkdir()
    (tmp_path / "served" / "md5").rename(tmp_path / "served" / "files" / "md5")
    project.put("eval/metrics.json", metrics(0.4))
    found = compare(project, "--json")
    assert found.code == 1, found.err
    assert found.report["metrics"][0]["base"] == 0.9
    assert project.place(digest(metrics(0.9))).is_file()
    assert not project.place(digest(b"x" * 1_000)).exists()
