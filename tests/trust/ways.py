"""The ways in which a pull request's bytes reach us, each as the program meets them.

A way takes the project's folder and the hostile bytes, and returns the exit code.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

from git_project import commit, git

from mlgitops import cli
from mlgitops.errors import EXIT_PASS, EXIT_UNDECIDED, MlgitopsError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BASE, HEAD = "b" * 40, "a" * 40
POLICY = b"version: 1\nmetrics:\n  score: {greater_is_better: true, max_worsening: 0.01}\n"
FILES = {
    "dvc.yaml": (
        "stages:\n  train:\n    cmd: python train.py\n    deps: [raw.csv]\n"
        "    params: [trees]\n    metrics:\n      - metrics.json: {cache: false}\n"
    ),
    "dvc.lock": "schema: '2.0'\nstages: {}\n",
    "raw.csv.dvc": "outs:\n- {md5: 0123456789abcdef0123456789abcdef, size: 3, path: raw.csv}\n",
    "params.yaml": "trees: 10\n",
    "metrics.json": '{"score": 0.5}\n',
    "policy.yaml": POLICY.decode(),
}


def make_project(folder: Path) -> None:
    """Make a committed project whose work tree is the pull request."""
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    pull = {"number": 1, "base": {"sha": BASE}, "head": {"sha": HEAD}}
    (folder / "event.json").write_text(json.dumps({"pull_request": pull}))
    git(folder, "init", "--quiet")
    commit(folder, "Start")


def report(folder: Path, data: bytes) -> int:
    """`mlgitops report` on a report from the other job."""
    (folder / "report.json").write_bytes(data)
    return _run_report()


def policy(folder: Path, data: bytes) -> int:
    """`mlgitops report` with a policy that its base should not have had."""
    metric = {"name": "score", "path": "m.json", "base": 0.5, "head": 0.6, "delta": 0.1}
    (folder / "report.json").write_text(
        json.dumps(
            {
                "schema": 1,
                "key": "default",
                "base": {"sha": BASE},
                "head": {"sha": HEAD},
                "test_data": "unknown",
                "metrics": [{**metric, "delta": 0.6 - 0.5}],
            }
        )
    )
    (folder / "policy.yaml").write_bytes(data)
    return _run_report()


def event(folder: Path, data: bytes) -> int:
    """`mlgitops report` on a payload."""
    (folder / "event.json").write_bytes(data)
    return _run_report()


def metrics(folder: Path, data: bytes) -> int:
    """`mlgitops compare` on metrics."""
    return _compare(folder, "metrics.json", data)


def params(_folder: Path, data: bytes) -> int:
    """Read parameters; `compare` says in the report that it could not read them."""
    from mlgitops.dvc.params import parse_params

    return _refuse(lambda: parse_params(data, "params.yaml"))


def definition(folder: Path, data: bytes) -> int:
    """`mlgitops compare` on a pipeline's definition."""
    return _compare(folder, "dvc.yaml", data)


def lock(_folder: Path, data: bytes) -> int:
    """Check the form of a dvc.lock that another job's run claims."""
    from mlgitops.storage.handover import claims

    return _refuse(lambda: claims._check_form(data))


def manifest(_folder: Path, data: bytes) -> int:
    """Read a directory manifest, before any of its files is looked at."""
    from mlgitops.dvc.manifests import parse_manifest

    return _refuse(lambda: parse_manifest(data, "manifest of data/split"))


def archive(_folder: Path, data: bytes) -> int:
    """Read an artifact of another run."""
    from mlgitops.github.archive import read_members

    return _refuse(lambda: read_members(data, ("report.json",), limit=2**20))


def path(_folder: Path, data: bytes) -> int:
    """Check a path that a run wants to write into the commit."""
    from mlgitops.storage.handover.claims import check_result_path

    return _refuse(lambda: check_result_path(data.decode("utf-8", "surrogateescape")))


def branch(folder: Path, data: bytes) -> int:
    """Check a branch to which results are to be pushed."""
    from mlgitops.storage.handover.commit import check_branch

    return _refuse(lambda: check_branch(folder, data.decode("utf-8", "surrogateescape")))


def predictions(_folder: Path, data: bytes) -> int:
    """Read a table of predictions."""
    from mlgitops.tables.predictions import read_predictions

    return _refuse(lambda: read_predictions(data))


def _refuse(check: Callable[[], object]) -> int:
    """Call ``check`` and end as the command line ends."""
    try:
        check()
    except MlgitopsError as error:
        sys.stderr.write(f"error: {error}\n")
        return EXIT_UNDECIDED
    return EXIT_PASS


def _compare(folder: Path, name: str, data: bytes) -> int:
    (folder / name).write_bytes(data)
    return cli.run(["compare", "--base", "HEAD", "--head", "worktree"])


def _run_report() -> int:
    os.environ.update(
        GITHUB_REPOSITORY="octo/model",
        GITHUB_SERVER_URL="https://github.example",
        GITHUB_API_URL="https://github.example/api/v3",
        GITHUB_RUN_ID="1",
        GITHUB_RUN_NUMBER="1",
        GITHUB_RUN_ATTEMPT="1",
    )
    ended = ["--compute-result", "success", "--publish-result", "success"]
    return cli.run(["report", "--dry-run", "--event", "event.json", "--key", "default", *ended])


WAYS = {
    one.__name__: one
    for one in (
        report, policy, event, metrics, params, definition, lock, manifest, archive, path, branch,
        predictions,
    )
}  # fmt: skip
