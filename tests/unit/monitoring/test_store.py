"""Facts on a branch and in a folder: days are replaced as a whole, races lose nothing."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from git_project import git

from mlgitops.errors import MlgitopsError
from mlgitops.model.monitoring import DayFact, encode_facts, sort_key
from mlgitops.monitoring.store import BranchStore, FactStore, FolderStore

if TYPE_CHECKING:
    from pathlib import Path


def fact(day: str, value: float = 1.0, name: str = "test.brier") -> DayFact:
    """Return a fact of a day."""
    return DayFact(day=day, model="ab" * 32, name=name, rows=1, numerator=value, denominator=1.0)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Return a clone of an origin with one commit."""
    git(tmp_path, "init", "--quiet", "--bare", "origin")
    git(tmp_path, "clone", "--quiet", "origin", "clone")
    folder = tmp_path / "clone"
    git(folder, "commit", "--quiet", "--allow-empty", "-m", "Begin")
    git(folder, "push", "--quiet", "origin", "HEAD:refs/heads/main")
    return folder


def make_store(kind: str, clone: Path) -> FactStore:
    """Return a store on a branch, of a project in a folder, or in a folder."""
    return BranchStore(clone, "models/") if kind == "branch" else FolderStore(clone / "facts")


@pytest.mark.parametrize("kind", ["branch", "folder"])
def test_days_are_replaced_as_a_whole(clone: Path, kind: str) -> None:
    """Facts of other days, months and environments stay; a fact that is gone goes."""
    store = make_store(kind, clone)
    assert store.read("staging") == ()
    old = [fact("2026-05-31"), fact("2026-06-01"), fact("2026-06-01", name="gone")]
    store.replace("staging", ["2026-05-31", "2026-06-01"], old)
    store.replace("production", ["2026-06-01"], [fact("2026-06-01", 7.0)])
    store.replace("staging", ["2026-06-01"], [fact("2026-06-01", 2.0)])
    assert store.read("staging") == (fact("2026-05-31"), fact("2026-06-01", 2.0))
    assert store.read("production") == (fact("2026-06-01", 7.0),)


def test_a_day_in_the_file_of_another_month_is_replaced_too(tmp_path: Path) -> None:
    """A file that somebody named wrongly keeps no second version of a day; others stay."""
    store, folder = FolderStore(tmp_path), tmp_path / "staging"
    folder.mkdir()
    (folder / "2026-05.jsonl").write_bytes(encode_facts([fact("2026-05-31"), fact("2026-06-01")]))
    (folder / "2026-04.jsonl").write_bytes(encode_facts([fact("2026-04-30")]))
    store.replace("staging", ["2026-06-01"], [fact("2026-06-01", 2.0)])
    kept = (fact("2026-04-30"), fact("2026-05-31"), fact("2026-06-01", 2.0))
    assert store.read("staging") == kept


def test_nothing_new_is_no_commit(clone: Path) -> None:
    """The same log twice moves nothing; the branch has no file of the code's."""
    store = BranchStore(clone, "")
    store.replace("staging", ["2026-06-01"], [fact("2026-06-01")])
    origin = clone.parent / "origin"
    tip = git(origin, "rev-parse", "monitoring")
    store.replace("staging", ["2026-06-01"], [fact("2026-06-01")])
    assert git(origin, "rev-parse", "monitoring") == tip
    files = git(origin, "ls-tree", "-r", "--name-only", "monitoring").split()
    assert files == ["README.md", "staging/2026-06.jsonl"]


def test_without_an_origin_the_branch_is_the_clones(clone: Path) -> None:
    """So that one person can try it."""
    git(clone, "remote", "remove", "origin")
    store = BranchStore(clone, "")
    store.replace("staging", ["2026-06-01"], [fact("2026-06-01")])
    store.replace("staging", ["2026-06-02"], [fact("2026-06-02")])
    assert len(store.read("staging")) == 2


def test_two_that_write_at_once_lose_nothing(clone: Path) -> None:
    """Each commits on what the other pushed."""
    git(clone.parent, "clone", "--quiet", "origin", "other")
    folders = [clone, clone.parent / "other"]
    errors: list[BaseException] = []

    def write(folder: Path, environment: str) -> None:
        try:
            for day in range(1, 6):
                name = f"2026-06-0{day}"
                BranchStore(folder, "").replace(environment, [name], [fact(name)])
        except BaseException as error:  # noqa: BLE001 - shown by the test itself
            errors.append(error)

    threads = [
        threading.Thread(target=write, args=(folder, environment))
        for folder, environment in zip(folders, ("staging", "production"), strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert not errors
    store = BranchStore(clone, "")
    assert [len(store.read(name)) for name in ("staging", "production")] == [5, 5]


def test_two_that_write_into_a_folder_at_once_lose_nothing(tmp_path: Path) -> None:
    """Days of one month stand in one file: who writes it second has read what the first wrote."""
    days = [f"2026-06-{day:02}" for day in range(1, 16)]

    def write(chosen: list[str]) -> None:
        for day in chosen:
            FolderStore(tmp_path / "facts").replace("staging", [day], [fact(day)])

    threads = [threading.Thread(target=write, args=(days[start::3],)) for start in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert [it.day for it in FolderStore(tmp_path / "facts").read("staging")] == days


def test_an_origin_that_takes_nothing_is_said(clone: Path) -> None:
    """A ruleset or a hook: the branch and what to do are named."""
    hook = clone.parent / "origin" / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(MlgitopsError, match="origin does not take it") as caught:
        BranchStore(clone, "").replace("staging", ["2026-06-01"], [fact("2026-06-01")])
    assert caught.value.where == "branch monitoring"


def test_an_origin_that_does_not_answer_is_no_empty_store(clone: Path) -> None:
    """Else a year of facts would seem to be gone."""
    (clone.parent / "origin").rename(clone.parent / "gone")
    with pytest.raises(MlgitopsError, match="origin"):
        BranchStore(clone, "").read("staging")


@pytest.mark.parametrize("kind", ["branch", "folder"])
def test_what_nobody_wrote_is_refused(clone: Path, kind: str) -> None:
    """Whoever may push can write lines; they are held to the form of facts."""
    store = make_store(kind, clone)
    store.replace("staging", ["2026-06-01"], [fact("2026-06-01")])
    if kind == "folder":
        path = clone / "facts" / "staging" / "2026-06.jsonl"
        path.write_bytes(path.read_bytes() * 2)
    else:
        git(clone, "fetch", "--quiet", "origin", "monitoring")
        git(clone, "checkout", "--quiet", "FETCH_HEAD")
        path = clone / "models" / "staging" / "2026-06.jsonl"
        path.write_bytes(path.read_bytes() * 2)
        git(clone, "commit", "--quiet", "--all", "-m", "Forge")
        git(clone, "push", "--quiet", "origin", "HEAD:refs/heads/monitoring")
    with pytest.raises(MlgitopsError, match="stands there twice"):
        store.read("staging")


@pytest.mark.parametrize("kind", ["branch", "folder"])
@pytest.mark.parametrize(
    ("rows", "repeated", "labels", "stays"),
    [
        (10, 0, 7, True),  # labels that stand on another machine
        (10, 0, 0, True),
        (9, 0, 9, True),  # a file of the log that is damaged
        (10, 1, 8, True),
        (10, 0, 8, False),
        (12, 2, 9, False),  # a copied file is no more rows
    ],
)
def test_fewer_rows_or_labels_replace_nothing(
    clone: Path, kind: str, rows: int, repeated: int, labels: int, *, stays: bool
) -> None:
    """Who lacks a part of a day's log or labels keeps what others measured; other days go on."""

    def count(day: str, rows: int, repeated: int, labels: int) -> list[DayFact]:
        counts = {"rows": rows, "repeated": repeated, "labels": labels}
        return [fact(day, float(value), name) for name, value in sorted(counts.items())]

    store = make_store(kind, clone)
    old = [*count("2026-06-01", 11, 1, 8), fact("2026-06-01")]
    store.replace("staging", ["2026-06-01"], old)
    new, other = count("2026-06-01", rows, repeated, labels), [fact("2026-06-02", 3.0, "rows")]
    store.replace("staging", ["2026-06-01", "2026-06-02"], [*new, *other])
    expected = [*(old if stays else new), *other]
    assert sorted(store.read("staging"), key=sort_key) == sorted(expected, key=sort_key)
