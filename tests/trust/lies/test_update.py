"""A source of tables that lies to whoever takes its newer version: each lie is named.

It moves a tag, tags what is no version of its own, or makes the table easier to be right about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from evaluated_project import EvaluatedProject, Run, make_rows
from git_project import GitRepository
from trust.lie import check_lie

from mlgitops.errors import MlgitopsError
from mlgitops.model import Links
from mlgitops.render.markdown import render_report
from mlgitops.updating.imports import Followed, Import
from mlgitops.updating.source import fetch_source, find_named, find_newest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def source(tmp_path: Path) -> GitRepository:
    """Return a source with v1.0.0 and v1.1.0 on main."""
    made = GitRepository(tmp_path / "features")
    for version in ("v1.0.0", "v1.1.0"):
        made.put("table.csv", version)
        made.commit(version)
        made.git("tag", version)
    return made


def follow(source: GitRepository, revision: str) -> Followed:
    """Describe an import of a revision as it is now."""
    item = Import(
        file="table.csv.dvc",
        origin="table.csv",
        path="table.csv",
        repository=str(source.root),
        revision=revision,
        commit=source.git("rev-parse", f"{revision}^{{commit}}"),
    )
    return Followed(repository=item.repository, revision=revision, imports=(item,))


@pytest.mark.parametrize("annotated", [False, True])
def test_a_tag_moved_to_another_commit(
    source: GitRepository, record_property: Callable[[str, object], None], *, annotated: bool
) -> None:
    """What was v1.0.0 is something else now; that there is a v1.1.0 does not hide it."""
    followed = follow(source, "v1.0.0")
    words = ("--annotate", "--message", "v1.0.0") if annotated else ()
    source.git("tag", "--force", *words, "v1.0.0", "v1.1.0")
    reason = "the tag v1.0.0 was moved: it was"
    with (
        pytest.raises(MlgitopsError, match=reason) as raised,
        fetch_source(str(source.root)) as bare,
    ):
        find_newest(bare, followed)
    check_lie(record_property, f"moved {annotated}".encode(), reason=reason, text=raised.value.what)


def put_fork(source: GitRepository) -> str:
    """Give the source a commit of somebody's fork, as GitHub shows one; return it."""
    source.git("switch", "--quiet", "--detach", "v1.0.0")
    source.put("table.csv", "easier")
    sha = source.commit("Better, believe me")
    source.git("update-ref", "refs/pull/7/head", sha)
    source.git("switch", "--quiet", "main")
    return sha


def test_a_tag_of_a_fork(
    source: GitRepository, record_property: Callable[[str, object], None]
) -> None:
    """Highest of all, on no branch of the source: that below it is taken, and it is named."""
    source.git("tag", "v9.0.0", put_fork(source))
    with fetch_source(str(source.root)) as bare:
        newest = find_newest(bare, follow(source, "v1.0.0"))
    assert newest is not None
    assert newest.revision == "v1.1.0"
    check_lie(record_property, b"v9.0.0", reason="v9.0.0", text=" ".join(newest.stray))


def test_a_commit_of_a_fork(
    source: GitRepository, record_property: Callable[[str, object], None]
) -> None:
    """Somebody is told to take it by its sha."""
    fork = put_fork(source)
    reason = "no branch or tag of the source holds this commit"
    with (
        pytest.raises(MlgitopsError, match=reason) as raised,
        fetch_source(str(source.root)) as bare,
    ):
        find_named(bare, fork, str(source.root))
    check_lie(record_property, b"fork", reason=reason, text=raised.value.what)


def make_noisy(*, easy: bool) -> str:
    """Make a table whose rows near the threshold are right half of the time; ``easy``: not them."""
    head, *rows = make_rows().splitlines()
    kept = []
    for number, row in enumerate(rows):
        name, x, target = row.split(",")
        near = 40 <= int(x) < 60
        if near and easy:
            continue
        kept.append(f"{name},{x},{number % 2 if near else target}")
    return "\n".join([head, *kept]) + "\n"


def test_a_table_that_shrinks_to_easy_rows(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """The model looks far better, on other rows: the base is as good there, and that is said."""
    table = make_noisy(easy=False)
    project = EvaluatedProject(tmp_path, files={"data/raw.csv": table})

    def shrink(run: Run) -> None:
        run.write("data/raw.csv", make_noisy(easy=True))
        run.point("data/raw.csv")

    ending = project.open(shrink).evaluate(monkeypatch, capsys)
    assert ending.report is not None
    (change,) = ending.report.metrics
    assert (change.base, change.head) == (1.0, 1.0)
    assert change.base_stored is not None
    assert change.base_stored < 0.95
    reason = "The test data changed, so base's model was measured anew, on head's 320 test rows."
    check_lie(
        record_property,
        b"easy rows",
        reason=reason,
        text=render_report(ending.report, links=Links()),
    )
