"""What is merged, said by a ref or by a line of the ledger that anybody may push."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest
from git_project import GitRepository, git
from msgspec import structs
from trust.lie import check_lie

from mlgitops.console import Console
from mlgitops.delivery.desired import Request, read_desired, read_requested, refuse_unmerged
from mlgitops.delivery.loop.observed import ServedModel
from mlgitops.errors import MlgitopsError
from mlgitops.git.repository import Repository

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WANTED = "model: demo\nrevision: null\nsha256: null\nport: 8099\n"


def put_model(repository: GitRepository, name: str) -> str:
    """Commit a model that staging follows, without its bytes; return the sha."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    repository.put("model/model.json", json.dumps({"sha256": digest}))
    repository.put("deploy/staging/model.yaml", WANTED)
    return repository.commit(name)


@pytest.fixture
def origin(tmp_path: Path) -> GitRepository:
    """Return an origin with a merged model on main, and another one on a branch."""
    repository = GitRepository(tmp_path / "origin")
    put_model(repository, "merged")
    repository.git("switch", "--quiet", "--create", "beside")
    put_model(repository, "beside")
    repository.git("switch", "--quiet", "main")
    return repository


def clone(origin: GitRepository) -> Path:
    """Clone it with all its tags, as `git clone` does."""
    folder = origin.root.with_name("clone")
    git(origin.root, "clone", "--quiet", str(origin.root), str(folder))
    return folder


@pytest.mark.parametrize("name", ["origin/HEAD", "origin/main"])
def test_a_tag_in_the_name_of_the_default_branch_merges_nothing(
    name: str, origin: GitRepository, record_property: Callable[[str, object], None]
) -> None:
    """Git takes a tag first, so the name alone would say that a branch was merged."""
    origin.git("tag", name, "beside")
    folder = clone(origin)
    if name == "origin/main":  # as checkouts of workflows are
        git(folder, "remote", "set-head", "origin", "--delete")
    assert git(folder, "rev-parse", name) == git(folder, "rev-parse", "origin/beside")
    reason = f"refs/tags/{name} hides the default branch, {name}"
    with Repository(folder) as repository:
        with pytest.raises(MlgitopsError, match="hides the default branch") as raised:
            read_desired(repository, "", "staging")
        check_lie(record_property, name.encode(), reason=reason, text=str(raised.value))
        git(folder, "tag", "--delete", name)
        assert read_desired(repository, "", "staging")[0].served.revision == origin.git(
            "rev-parse", "main"
        )


def test_a_tag_beside_the_default_branch_keeps_no_clone_from_fetching(
    origin: GitRepository,
) -> None:
    """What origin merged since is wanted, whatever else is called origin/main."""
    folder = clone(origin)
    git(folder, "tag", "origin/main", "HEAD")
    newest = put_model(origin, "newer")
    request = Request(project=folder, prefix="", environment="staging")
    with Repository(folder) as repository:
        desired, _ = read_requested(request, repository, Console(quiet=True))
    assert desired.served.commit == newest


def test_a_branch_of_this_clone_alone_is_not_what_origin_merged(
    origin: GitRepository, record_property: Callable[[str, object], None]
) -> None:
    """Where origin's branch was never fetched it is fetched, and without it nothing is wanted."""
    merged, folder = origin.git("rev-parse", "main"), clone(origin)
    git(folder, "merge", "--quiet", "--ff-only", "origin/beside")
    request = Request(project=folder, prefix="", environment="staging")
    for ref in ("refs/remotes/origin/HEAD", "refs/remotes/origin/main"):
        git(folder, "update-ref", "--no-deref", "-d", ref)
    reason = "origin's default branch was never fetched here"
    with Repository(folder) as repository:
        with pytest.raises(MlgitopsError, match=reason) as raised:
            read_desired(repository, "", "staging")
        check_lie(record_property, b"a local main", reason=reason, text=str(raised.value))
        desired, _ = read_requested(request, repository, Console(quiet=True))
    assert desired.served.revision == merged


def test_a_shallow_clone_makes_no_new_desired_state_of_an_old_one(
    origin: GitRepository, record_property: Callable[[str, object], None]
) -> None:
    """Its last commit looks as if it brought everything: a state that failed would be a new one."""
    merged = origin.git("rev-parse", "main")
    origin.put("NOTES.md", "Nothing of the model\n")
    origin.commit("Note")
    folder = origin.root.with_name("clone")
    words = ("--quiet", "--depth", "1", f"file://{origin.root}", str(folder))
    git(origin.root, "clone", *words)
    reason = "this clone has no commit from before"
    with Repository(folder) as repository:
        with pytest.raises(MlgitopsError, match=reason) as raised:
            read_desired(repository, "", "staging")
        check_lie(record_property, b"a shallow clone", reason=reason, text=str(raised.value))
    git(folder, "fetch", "--quiet", "--unshallow")
    with Repository(folder) as repository:
        assert read_desired(repository, "", "staging")[0].served.commit == merged


@pytest.mark.parametrize("part", ["revision", "commit"])
def test_a_model_that_the_ledger_alone_knows_is_refused(
    part: str, origin: GitRepository, record_property: Callable[[str, object], None]
) -> None:
    """An entry on `deployments` needs no review, so it approves nothing."""
    merged, beside = (origin.git("rev-parse", name) for name in ("main", "beside"))
    served = ServedModel(model="demo", sha256="0" * 64, revision=merged, commit=merged)
    unmerged = structs.replace(served, **{part: beside})
    reason = f"the default branch never stood at {beside[:12]}, so nobody merged its model"
    with Repository(clone(origin)) as repository:
        with pytest.raises(MlgitopsError, match="nobody merged its model") as raised:
            refuse_unmerged(repository, unmerged)
        check_lie(record_property, part.encode(), reason=reason, text=str(raised.value))
        refuse_unmerged(repository, served)


def test_another_target_than_was_chosen_deploys_nothing(origin: GitRepository) -> None:
    """The target is chosen before origin is asked; a model is not served where git left."""
    folder = clone(origin)
    origin.put("deploy/staging/model.yaml", WANTED + "target: kubernetes\n")
    origin.commit("Move to the cluster")
    request = Request(project=folder, prefix="", environment="staging")
    with (
        Repository(folder) as repository,
        pytest.raises(MlgitopsError, match="the target is `kubernetes` by now, and was `local`"),
    ):
        read_requested(request, repository, Console(quiet=True))
