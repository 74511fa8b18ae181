"""Tests of the reference in real git: which commit a policy's word names, and head beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from git_project import GitRepository

from mlgitops.comparison.reference.resolve import Target, find_reference
from mlgitops.errors import MistakesError, MlgitopsError
from mlgitops.git.repository import Folder, Repository

if TYPE_CHECKING:
    from pathlib import Path

SERVED = "model: flights\nrevision: {revision}\nsha256: null\nport: 8001\n"


class History:
    """Main with three commits, a merged branch, and a branch beside it that was not merged."""

    def __init__(self, root: Path) -> None:
        self.repository = GitRepository(root)
        git = self.repository.git
        self.repository.put("project/a.txt", "1")
        self.first = self.repository.commit("first")
        git("switch", "--quiet", "--create", "merged")
        self.repository.put("project/b.txt", "1")
        self.inside = self.repository.commit("inside")
        git("switch", "--quiet", "main")
        git("merge", "--quiet", "--no-ff", "--message", "merge", "merged")
        self.merge = git("rev-parse", "HEAD")
        self.repository.put("project/a.txt", "2")
        self.base = self.repository.commit("base")
        git("switch", "--quiet", "--create", "beside", self.first)
        self.repository.put("project/c.txt", "1")
        self.beside = self.repository.commit("beside")
        git("switch", "--quiet", "main")

    def tag(self, name: str, sha: str, *, annotated: bool = False) -> None:
        """Tag a commit."""
        words = ["--annotate", "--message", name] if annotated else []
        self.repository.git("tag", *words, name, sha)

    def serve(self, environment: str, revision: str) -> None:
        """Commit what an environment serves, as the new base."""
        path = f"project/deploy/{environment}/model.yaml"
        self.repository.put(path, SERVED.format(revision=revision))
        self.base = self.repository.commit("serve")

    def find(self, name: str, key: str = "model", release: str | None = None) -> Target:
        """Find what the policy's ``name`` stands for at base; ``release``: the newest one then."""
        with Repository(self.repository.root) as repository:
            folder = Folder(repository, self.repository.root / "project")
            return find_reference(folder, name, base=self.base, key=key, release=release)


@pytest.fixture
def history(tmp_path: Path) -> History:
    """Make the commits."""
    return History(tmp_path / "r")


def test_the_newest_release_is_that_of_the_highest_version(history: History) -> None:
    """By the order of versions, not of time or letters; what is not released is none."""
    history.tag("v1.9.0", history.merge, annotated=True)
    history.tag("v1.10.0", history.first)
    for name in ("v2.0.0-rc1", "v3", "v1.2", "latest", "v01.50.0", "other@v4.0.0"):
        history.tag(name, history.base)
    history.tag("v9.0.0", history.beside)  # never merged
    assert history.find("release") == Target(sha=history.first, label="v1.10.0")
    history.tag("v1.11.0", history.merge, annotated=True)
    assert history.find("release") == Target(sha=history.merge, label="v1.11.0")


def test_releases_of_the_projects_own_model_count(history: History) -> None:
    """By the name that dvc.yaml at base gives it; of another model's name there may be others."""
    history.repository.put(
        "project/dvc.yaml",
        "artifacts:\n  flights: {path: model/model.skops, type: model}\n"
        "  rows: {path: data.csv, type: dataset}\n",
    )
    history.base = history.repository.commit("name the model")
    history.tag("v9.0.0", history.first)
    history.tag("flights@v1.10.0", history.merge, annotated=True)
    history.tag("flights@v1.9.0", history.base, annotated=True)
    for other in ("fraud@v3.0.0", "rows@v4.0.0"):
        history.tag(other, history.base, annotated=True)
    assert history.find("release") == Target(sha=history.merge, label="flights@v1.10.0")


def test_what_was_the_newest_release_is_found_when_it_is_no_longer(history: History) -> None:
    """A verdict of old names it; what is no release, or was never merged, is none then either."""
    history.tag("v1.0.0", history.first)
    history.tag("v1.1.0", history.base)
    history.tag("latest", history.base)
    history.tag("v9.0.0", history.beside)
    assert history.find("release", release="v1.0.0") == Target(sha=history.first, label="v1.0.0")
    for name in ("latest", "v9.0.0", "v0.9.0"):
        with pytest.raises(MlgitopsError, match=f"no release {name} is in the history of base"):
            history.find("release", release=name)


def test_a_project_has_releases_of_its_own(history: History) -> None:
    """Where several share a repository, a tag with the key comes before one of the whole."""
    history.tag("v5.0.0", history.base)
    history.tag("fraud@v1.0.0", history.first)
    assert history.find("release", "fraud") == Target(sha=history.first, label="fraud@v1.0.0")
    assert history.find("release", "churn") == Target(sha=history.base, label="v5.0.0")


def test_a_commit_a_tag_and_an_environment_name_their_commit(history: History) -> None:
    """An annotated tag is followed to its commit; an environment's file is read at base."""
    history.tag("blessed", history.merge, annotated=True)
    history.serve("production", f'"{history.first}"')
    assert history.find(history.inside).sha == history.inside
    assert history.find("blessed") == Target(sha=history.merge, label="blessed")
    assert history.find("deploy/production") == Target(sha=history.first, label="production")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("release", r"no tag vX\.Y\.Z or model@vX\.Y\.Z is in the history of base"),
        ("main", "there is no tag main"),  # a branch slides
        ("0" * 40, "there is no commit 000000000000"),
        ("deploy/nowhere", "the environment nowhere is not described"),
        ("deploy/null", "it has no `revision`, so that it follows base"),
        ("deploy/odd", "the desired state cannot be read"),
        ("unmerged", "is not in the history of base"),
        ("blob", "there is no tag blob"),
    ],
)
def test_what_names_no_reviewed_commit_is_refused(
    history: History, name: str, message: str
) -> None:
    """Nothing, something that slides, or a commit that was never merged: each with its reason."""
    history.serve("null", "null")
    history.serve("odd", "v1")
    history.tag("unmerged", history.beside)
    history.tag("blob", history.repository.git("rev-parse", "HEAD:project/a.txt"))
    with pytest.raises((MlgitopsError, MistakesError), match=message):
        history.find(name)


def test_a_commit_that_was_never_merged_is_refused(history: History) -> None:
    """A sha says nothing of who reviewed it; a merged branch's own commits were."""
    with pytest.raises(MlgitopsError, match="is not in the history of base"):
        history.find(history.beside)


def test_in_a_shallow_clone_the_newest_release_is_not_guessed(
    history: History, tmp_path: Path
) -> None:
    """What was cut off may hold it: an older tag must not stand in silently."""
    history.tag("v1.0.0", history.base)
    url = history.repository.root.as_uri()
    history.repository.git("clone", "--quiet", "--depth", "1", url, str(tmp_path / "shallow"))
    with Repository(tmp_path / "shallow") as repository:
        folder = Folder(repository, repository.root)
        with pytest.raises(MlgitopsError, match="the clone is shallow"):
            find_reference(folder, "release", base=history.base, key="model")
        with pytest.raises(MlgitopsError, match="there is no commit"):
            find_reference(folder, history.first, base=history.base, key="model")
