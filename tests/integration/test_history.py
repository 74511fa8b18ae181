"""`mlgitops history`: versions, environments over time, and a leaderboard on the same test rows."""

from __future__ import annotations

import hashlib
import json
import shutil
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from audited_project import ENVIRONMENT, AuditedProject, make_audited
from dvc_project import DvcProject, make_predictions
from git_project import GitRepository, git
from released_project import MergedProject, follow, make_lineage, tag_release

from mlgitops.cli import run
from mlgitops.delivery.releases.release import find_release
from mlgitops.git.repository import Repository
from mlgitops.model.ledger import Event
from mlgitops.model.lineage import ReleasedMetric

if TYPE_CHECKING:
    from pathlib import Path

TEST_ROWS, OTHER_ROWS = b"id\n1\n", b"id\n2\n3\n"


def release(
    project: DvcProject,
    version: str,
    *,
    accuracy: float,
    depth: int,
    previous: str | None = None,
    rows: bytes = TEST_ROWS,
) -> None:
    """Train a model with that many errors of 1,000, commit it and tag its release."""
    errors = round(1000 * (1 - accuracy))
    predictions = make_predictions(rows=1_000, errors=errors, rotate=depth)
    project.train(accuracy=accuracy, depth=depth, predictions=predictions, test_data=rows)
    for path in ("dvc.yaml", "dvc.lock"):
        text = (project.root / path).read_text(encoding="utf-8")
        project.put(path, text.replace("model.bin", "model/model.skops"))
    content = f"model {depth}".encode()
    digest = hashlib.sha256(content).hexdigest()
    project.put("model/model.json", json.dumps({"sha256": digest}))
    project.fill(project.root / ".dvc" / "cache")
    commit = project.commit(f"Train {version}")
    lineage = make_lineage(commit, content, version=version)
    known = {
        "test_data": f"md5:{hashlib.md5(rows, usedforsecurity=False).hexdigest()}",
        "metrics": (
            ReleasedMetric(name="model.size_mb", value=12.5),
            ReleasedMetric(name="test.accuracy", value=accuracy),
        ),
    }
    absent = {name: why for name, why in lineage.absent.items() if name not in known}
    lineage = msgspec.structs.replace(lineage, absent=absent, **known)
    tag_release(project, follow(lineage, previous) if previous else lineage)


@pytest.fixture(scope="module")
def ranked(tmp_path_factory: pytest.TempPathFactory) -> DvcProject:
    """Make four releases: three on the same rows, the first on others; only to be read."""
    project = DvcProject(tmp_path_factory.mktemp("ranked") / "project")
    release(project, "v1.0.0", accuracy=0.9, depth=1, rows=OTHER_ROWS)
    release(project, "v1.1.0", accuracy=0.7, depth=2, previous="v1.0.0")
    release(project, "v1.2.0", accuracy=0.8, depth=3, previous="v1.1.0")
    release(project, "v1.2.1", accuracy=0.795, depth=4, previous="v1.2.0")
    return project


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> AuditedProject:
    """Make a project whose production served two models, and gave one up."""
    project = make_audited(tmp_path_factory.mktemp("served") / "project")
    last = project.make_entry(
        "c" * 40, "d" * 40, b"third", version="v1.2.0", at="2026-03-07T00:00:00Z"
    )
    reason = "the golden prediction is 3.1, not 2.0"
    project.append(msgspec.structs.replace(last, event=Event.CONDEMNED, reason=reason))
    return project


def read(root: Path, capsys: pytest.CaptureFixture[str]) -> Any:  # noqa: ANN401 - JSON
    """Read the history as a script does."""
    assert run(["history", "--json", "--directory", str(root)]) == 0
    return json.loads(capsys.readouterr().out)


def test_releases_on_the_same_rows_are_ranked_with_intervals(
    ranked: DvcProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """The best first; what cannot be told apart has an interval that holds 0, and says so."""
    (board,) = read(ranked.root, capsys)["leaderboards"]
    assert (board["metric"], board["greater_is_better"]) == ("test.accuracy", True)
    assert [place["version"] for place in board["places"]] == ["v1.2.0", "v1.2.1", "v1.1.0"]
    leader, second, third = board["places"]
    assert leader["interval"] is None
    assert second["interval"]["low"] < 0 < second["interval"]["high"]
    assert second["delta"] == pytest.approx(0.005)
    assert 0 < third["interval"]["low"] < third["delta"] < third["interval"]["high"]
    assert (third["rows"], third["interval"]["confidence"]) == (1_000, 0.95)


def test_a_release_on_other_rows_is_listed_and_not_ranked(
    ranked: DvcProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its 0.9 is of rows that nobody else was asked about."""
    document = read(ranked.root, capsys)
    assert [item["lineage"]["version"] for item in document["releases"]] == [
        *("v1.0.0", "v1.1.0", "v1.2.0", "v1.2.1")
    ]
    ranked_versions = {place["version"] for place in document["leaderboards"][0]["places"]}
    assert "v1.0.0" not in ranked_versions


def test_without_predictions_there_is_a_place_and_no_interval(
    ranked: DvcProject, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The value is the release's word; why there is no interval is said."""
    git(tmp_path, "clone", "--quiet", str(ranked.root), "clone")
    (board,) = read(tmp_path / "clone", capsys)["leaderboards"]
    third = board["places"][2]
    assert third["interval"] is None
    assert third["reason"]
    assert run(["history", "--directory", str(tmp_path / "clone")]) == 0
    assert "no interval: " in capsys.readouterr().out


def test_environments_are_shown_over_time(
    served: AuditedProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """What serves, what did before, and what was given up, with its reason."""
    assert run(["history", "--directory", str(served.root)]) == 0
    text = capsys.readouterr().out
    assert "2 releases; in service: flights v1.1.0 in production" in text
    rows = [line.split() for line in text.splitlines() if line.strip().startswith("2026-03")]
    assert [(row[1], row[3]) for row in rows] == [
        ("condemned", "v1.2.0"),
        ("switched", "v1.1.0"),
        ("switched", "v1.0.0"),
    ]
    assert "the golden prediction is 3.1, not 2.0" in text


class _Links(HTMLParser):
    """Whatever a page would load or run."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [tag] if tag in {"script", "link", "img", "iframe"} else []
        self.loads += [name for name, _ in attrs if name in {"src", "href"} or name[:2] == "on"]


def test_the_page_can_be_published(
    ranked: DvcProject, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One file that loads nothing, runs nothing, and says the same each time."""
    page = tmp_path / "public" / "index.html"
    page.parent.mkdir()
    assert run(["history", "--directory", str(ranked.root), "--html", str(page)]) == 0
    assert f"  page: {page}\n" in capsys.readouterr().err
    first = page.read_bytes()
    links = _Links()
    links.feed(first.decode())
    assert links.loads == []
    assert b"test.accuracy, highest first" in first
    assert run(["history", "--directory", str(ranked.root), "--html", str(page)]) == 0
    assert page.read_bytes() == first


def test_a_tag_of_a_served_model_that_lies_ends_with_2(
    served: AuditedProject, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """And a tag of that form that belongs to something else in the repository does not."""
    copy = served.copy(tmp_path / "copy")
    git(copy.root, "tag", "frontend@v1.0.0")
    assert run(["history", "--directory", str(copy.root)]) == 0
    git(copy.root, "tag", "flights@v3.0.0")
    assert run(["history", "--directory", str(copy.root)]) == 2
    assert "tag flights@v3.0.0: it is a plain name for a commit" in capsys.readouterr().err


def test_a_tag_of_a_model_not_yet_in_service_that_lies_ends_with_2(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Its other releases do not vanish as if there were none; tags of nothing here are named."""
    project = MergedProject(tmp_path)
    assert run(["release", "--push", "--directory", str(project.root)]) == 0
    capsys.readouterr()
    git(project.root, "tag", "frontend@v1.0.0")
    assert len(read(project.root, capsys)["releases"]) == 1
    assert run(["history", "--directory", str(project.root)]) == 0
    assert "frontend, no model of this project: tag frontend@v1.0.0" in capsys.readouterr().out
    git(project.root, "tag", "flights@v3.0.0")
    assert run(["history", "--directory", str(project.root)]) == 2
    assert "tag flights@v3.0.0: it is a plain name for a commit" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (
            {"metrics": (ReleasedMetric(name="test.accuracy", value=0.99),)},
            "its metrics are not those in git, and no statement's",
        ),
        (
            {
                "metrics": (ReleasedMetric(name="test.accuracy", value=0.99),),
                "statement": "a" * 64,
            },
            "its test.accuracy is 0.99, and git has 0.795",
        ),
        ({"test_data": "md5:" + "0" * 32}, "its test_data is md5:00000000, and git has "),
        (
            {"test_data": "md5:" + "0" * 32, "sources": {"test_data": "me"}},
            "its test_data is md5:00000000, and git has ",
        ),
    ],
)
def test_numbers_that_git_contradicts_are_not_ranked(
    ranked: DvcProject,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    fields: dict[str, Any],
    reason: str,
) -> None:
    """Whoever may push tags writes a lineage, and would lead by its word."""
    shutil.copytree(ranked.root, tmp_path / "copy", symlinks=True)
    copy = GitRepository.__new__(GitRepository)
    copy.root = tmp_path / "copy"
    with Repository(copy.root) as repository:
        lineage = find_release(repository, "flights", "v1.2.1").lineage
    absent = {name: why for name, why in lineage.absent.items() if name not in fields}
    git(copy.root, "tag", "--delete", "flights@v1.2.1")
    tag_release(copy, msgspec.structs.replace(lineage, absent=absent, **fields))
    assert run(["history", "--json", "--directory", str(copy.root)]) == 2
    document = json.loads(capsys.readouterr().out)
    (board,) = document["leaderboards"]
    assert [place["version"] for place in board["places"]] == ["v1.2.0", "v1.1.0"]
    (notice,) = document["notices"]
    assert notice.startswith(f"flights@v1.2.1 is not ranked: {reason}")


def test_an_origin_that_is_away_is_no_whole_history(
    served: AuditedProject, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """What is known here is shown, and that there may be more is said."""
    copy = served.copy(tmp_path / "copy")
    assert run(["history", "--directory", str(copy.root)]) == 0
    git(copy.root, "remote", "set-url", "origin", str(tmp_path / "nowhere"))
    capsys.readouterr()
    assert run(["history", "--directory", str(copy.root)]) == 2
    text = capsys.readouterr().out
    assert "origin could not be asked for deployments" in text
    assert ENVIRONMENT in text
