"""An update's report, and its words: whatever a source says of itself stays text."""

from __future__ import annotations

import json

import msgspec
import pytest

from mlgitops.delivery.proposals.result import BY_HAND
from mlgitops.errors import MlgitopsError
from mlgitops.github.comment import MAX_BODY_BYTES
from mlgitops.model.documents import encode_document
from mlgitops.updating.describe import write_body, write_title
from mlgitops.updating.report import (
    Shape,
    Taken,
    TakenFile,
    UpdateReport,
    fit_report,
    parse_update,
)

TAKEN = Taken(
    repository="https://github.com/acme/features.git",
    old_revision="v1.0.0",
    revision="v1.1.0",
    old_commit="1" * 40,
    commit="2" * 40,
    commits=1,
)
TABLE = TakenFile(
    path="data/raw/table.csv",
    before=Shape(rows=2000, columns=("id", "hour")),
    now=Shape(rows=900, columns=("id", "wind")),
)
REPORT = UpdateReport(toolkit="1", sources=(TAKEN,), files=(TABLE,))


def change(**fields: object) -> UpdateReport:
    """Return the report with other fields."""
    return msgspec.structs.replace(REPORT, **fields)


def test_the_body_says_what_changed() -> None:
    """Both versions, the comparison at GitHub, rows and columns."""
    body = write_body(REPORT)
    assert "from `v1.0.0` (`111111111111`) to `v1.1.0` (`222222222222`), 1 commit" in body
    page = f"https://github.com/acme/features/compare/{'1' * 40}...{'2' * 40}"
    assert f"([compare]({page}))" in body
    assert "| `data/raw/table.csv` | 2,000 | 900 | 2 | 2 |" in body
    assert "New in `data/raw/table.csv`: `wind`." in body
    assert "Gone from `data/raw/table.csv`: `hour`." in body
    assert "**`data/raw/table.csv` has 1,100 fewer rows than before.**" in body


def test_history_that_was_rewritten_is_said() -> None:
    """And tags that were left out."""
    taken = msgspec.structs.replace(TAKEN, commits=None, stray=("v9.0.0",))
    body = write_body(change(sources=(taken,)))
    assert "**The version that was imported is not in the history of the new one.**" in body
    assert "The tag `v9.0.0` is newer; no branch of the source holds its commit" in body


@pytest.mark.parametrize(
    ("old", "new", "is_said"),
    [
        ("v1.9.0", "v2.0.0", True),
        ("flights@v1.9.0", "flights@v10.0.0", True),
        ("v1.0.0", "v1.10.0", False),
        ("main", "main", False),
        (None, None, False),
    ],
)
def test_a_new_major_version_is_said(old: str | None, new: str | None, *, is_said: bool) -> None:
    """It promises less, or means something else: whoever reviews it should know."""
    taken = msgspec.structs.replace(TAKEN, old_revision=old, revision=new)
    body = write_body(change(sources=(taken,)))
    assert ("**A new major version: it promises less" in body) is is_said


def test_rules_that_are_new_come_first() -> None:
    """Those that were there before are counted."""
    body = write_body(change(stricter=("`a` is new", "old"), stricter_before=("old", "gone")))
    assert "no longer promises what these rules of `contract.yaml` demand:\n\n* `a`" in body
    assert "As before, 1 rule of ours it does not promise to keep." in body
    assert "It promises to keep 1 rule more of ours than before." in body


def test_a_very_wide_table_leaves_a_report_that_can_be_read() -> None:
    """Else every later run would end with an error at the branch that this one pushed."""
    assert fit_report(REPORT) == REPORT
    for columns in (tuple(map(str, range(20_001))), ("x" * 1001,)):
        wide = msgspec.structs.replace(TABLE, now=Shape(rows=1, columns=columns))
        fitting = fit_report(change(files=(wide,)))
        assert parse_update(encode_document(fitting), "here") == fitting
        assert [it.path for it in fitting.files] == [TABLE.path]


def test_many_wide_tables_fit_into_a_pull_request() -> None:
    """Else its branch would be pushed, and stand in the way of all others without one."""
    before, now = (
        Shape(rows=1, columns=tuple(f"{word}{number:0150}" for number in range(40)))
        for word in ("old", "new")
    )
    wide = msgspec.structs.replace(TABLE, before=before, now=now)
    for count in (12, 1000):
        body = write_body(change(files=(wide,) * count))
        assert len(body.encode()) < MAX_BODY_BYTES
        assert "from `v1.0.0`" in body
        assert "There is more than a pull request can say" in body
        assert body.endswith(BY_HAND)


HOSTILE = "x`](https://evil.example) @octocat [skip ci] <img src=x> | #1 -->"


def test_what_a_source_says_stays_text() -> None:
    """In a name of a branch or a column, and in a rule: no link, mention, markup or skipped run."""
    shape = Shape(rows=1, columns=(HOSTILE, HOSTILE.upper()))
    files = (msgspec.structs.replace(TABLE, before=shape, now=Shape(rows=1, columns=())),)
    taken = msgspec.structs.replace(TAKEN, revision=HOSTILE, stray=(HOSTILE,))
    report = change(sources=(taken,), files=files, stricter=(HOSTILE,))
    title, body = write_title(report), write_body(report)
    for text in (title, body):
        assert "@octocat" not in text
        assert "[skip ci]" not in text.lower()
        assert "https://evil" not in text
        assert " #1" not in text
    outside = "".join(body.split("``")[::2])  # of spans with a backtick in them
    assert "<img" not in outside.replace("\\<img", "")
    assert "\n" not in title


@pytest.mark.parametrize("address", ["https://github.com/acme/f)(x", "https://gitlab.com/a/b"])
def test_no_link_to_another_address(address: str) -> None:
    """Nor with brackets in it."""
    body = write_body(change(sources=(msgspec.structs.replace(TAKEN, repository=address),)))
    assert "[compare]" not in body


def test_a_report_that_a_branch_holds() -> None:
    """It is read as it was written; and what is none says so."""
    assert parse_update(encode_document(REPORT), "here") == REPORT
    document = json.loads(encode_document(REPORT))
    lies: list[dict[str, object]] = [
        {"more": 1},
        {"sources": []},
        {"sources": [document["sources"][0] | {"commit": "main"}]},
        {"sources": [document["sources"][0] | {"revision": "two\nlines"}]},
        {"files": [document["files"][0] | {"now": {"rows": -1, "columns": []}}]},
    ]
    for lie in lies:
        with pytest.raises(MlgitopsError, match="no report of an update"):
            parse_update(json.dumps(document | lie).encode(), "here")
    with pytest.raises(MlgitopsError, match="more than the 4,194,304 we read"):
        parse_update(b" " * (4 * 2**20 + 1), "here")
