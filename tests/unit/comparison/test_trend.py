"""Tests of the trend: the judged metric over the last merges, as git alone holds it."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest
from git_project import GitRepository

from mlgitops.comparison.sides import SideFiles, read_recorded
from mlgitops.comparison.trend import read_trend
from mlgitops.git.repository import Folder, Repository
from mlgitops.model import MOST_MERGES, Files, Policy, Rule, Trend

if TYPE_CHECKING:
    from pathlib import Path

POLICY = Policy(
    files=Files(test_data="data/test.csv"), metrics={"test.f1": Rule(max_worsening=0.1)}
)
DVC_YAML = "stages:\n  evaluate:\n    cmd: x\n    metrics:\n      - metrics.json: {cache: false}\n"


class Merges:
    """A project whose main goes on by merges, each of a branch with two commits."""

    def __init__(self, root: Path) -> None:
        self.repository = GitRepository(root)
        self.repository.put("project/dvc.yaml", DVC_YAML)
        self.rows = "id\n1\n"
        self.is_kept = False

    def put(self, value: object) -> None:
        """Write the metric, and the test data: into git, or as a pointer of DVC's."""
        self.repository.put("project/metrics.json", json.dumps({"test": {"f1": value}}))
        if not self.is_kept:
            self.repository.put("project/data/test.csv", self.rows)
            return
        digest = hashlib.md5(self.rows.encode(), usedforsecurity=False).hexdigest()
        pointer = {"outs": [{"md5": digest, "size": 5, "hash": "md5", "path": "test.csv"}]}
        self.repository.put("project/data/test.csv.dvc", json.dumps(pointer))

    def merge(self, value: object) -> str:
        """Merge a branch that came to ``value`` by way of another one; return the merge's sha."""
        git = self.repository.git
        git("switch", "--quiet", "--create", "branch")
        self.put(0.0)
        self.repository.commit("on the way")
        self.put(value)
        self.repository.commit("there")
        git("switch", "--quiet", "main")
        git("merge", "--quiet", "--no-ff", "--message", f"merge {value}", "branch")
        git("branch", "--quiet", "--delete", "branch")
        return git("rev-parse", "HEAD")

    def read(self, policy: Policy = POLICY) -> Trend | None:
        """Read the trend at main."""
        with Repository(self.repository.root) as repository:
            folder = Folder(repository, self.repository.root / "project")
            base = SideFiles(name="base", sha=repository.resolve("main"), folder=folder)
            read_recorded(base)
            return read_trend(policy, base)

    def list_values(self) -> list[float]:
        """Return the values alone."""
        trend = self.read()
        return [point.value for point in trend.points] if trend else []


@pytest.fixture
def merges(tmp_path: Path) -> Merges:
    """Make a project with one commit."""
    made = Merges(tmp_path / "r")
    made.put(0.5)
    made.repository.commit("start")
    return made


@pytest.mark.parametrize("is_kept", [False, True])
def test_each_merge_is_one_point_the_oldest_first(merges: Merges, *, is_kept: bool) -> None:
    """What a branch tried on its way is none, nor a commit that leaves the metric alone."""
    if is_kept:
        merges.repository.git("rm", "--quiet", "--cached", "project/data/test.csv")
        merges.repository.put(".gitignore", "test.csv\n")
        merges.is_kept = True
        merges.put(0.5)
        merges.repository.put("project/metrics.json", '{"test": {"f1": 0.51}}')
        merges.repository.commit("keep it by DVC")
    shas = [merges.merge(value) for value in (0.6, 0.7)]
    merges.repository.put("project/other.txt", "x")
    merges.repository.commit("something else")
    trend = merges.read()
    assert trend is not None
    assert (trend.name, trend.path) == ("test.f1", "metrics.json")
    assert [point.value for point in trend.points] == [0.51 if is_kept else 0.5, 0.6, 0.7]
    assert [point.sha for point in trend.points[1:]] == shas


def test_it_goes_back_no_further_than_the_test_data(merges: Merges) -> None:
    """On other rows a value is another number: neither before the change of rows, nor beyond it."""
    merges.merge(0.9)
    rows = merges.rows
    merges.rows = "id\n2\n"
    merges.merge(0.6)
    merges.merge(0.7)
    assert merges.list_values() == [0.6, 0.7]
    merges.rows = rows
    merges.merge(0.8)
    assert merges.list_values() == []  # one point is no trend


def test_it_is_capped(merges: Merges) -> None:
    """A long history costs no more than its last merges."""
    for step in range(MOST_MERGES + 3):
        merges.put(0.5 + step / 100)
        merges.repository.commit(f"step {step}")
    values = merges.list_values()
    assert len(values) == MOST_MERGES
    assert values[-1] == 0.5 + (MOST_MERGES + 2) / 100


@pytest.mark.parametrize("value", ["text", None])
def test_it_ends_where_the_metric_cannot_be_read(merges: Merges, value: object) -> None:
    """A hole is not bridged: what lies beyond may be of another kind."""
    merges.merge(0.55)
    merges.put(value)
    merges.repository.commit("broken")
    for step in (0.6, 0.7):
        merges.merge(step)
    assert merges.list_values() == [0.6, 0.7]


@pytest.mark.parametrize(
    "policy",
    [
        Policy(files=Files(test_data="data/test.csv")),
        Policy(files=Files(test_data="data/test.csv"), metrics={"test.recall": Rule()}),
        Policy(metrics={"test.f1": Rule()}),
        Policy(files=Files(test_data="data/none.csv"), metrics={"test.f1": Rule()}),
    ],
)
def test_without_a_judged_metric_or_known_rows_there_is_none(
    merges: Merges, policy: Policy
) -> None:
    """Nothing is drawn that could be of other rows, or that nobody judges."""
    merges.merge(0.6)
    assert merges.read(policy) is None
