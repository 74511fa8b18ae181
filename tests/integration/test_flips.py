"""`mlgitops compare --flips`: rows that flipped, and where they may be shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from dvc_project import DvcProject, make_predictions

from mlgitops.cli import run
from mlgitops.errors import MlgitopsError
from mlgitops.model.wire import parse_report

PERMISSION = "# Data\n\n| | |\n| --- | --- |\n| may be shown | test rows |\n"
CARDS = list(Path(__file__).parents[2].glob("*cookiecutter*/data/bundled/*/DATA_CARD.md"))


@pytest.fixture
def flipped(project: DvcProject) -> DvcProject:
    """Return a project whose head is wrong on 40 rows more, and right on 10 more."""
    project.train(accuracy=0.8, predictions=make_predictions(rows=200, errors=40))
    project.fill(project.root / ".dvc" / "cache")
    project.commit()
    predictions = make_predictions(rows=200, errors=70, rotate=10)
    project.train(accuracy=0.65, predictions=predictions)
    return project


@pytest.fixture
def at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the workflow that may run this test."""
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)


def permit(project: DvcProject, card: str = PERMISSION, path: str = "data/DATA_CARD.md") -> None:
    """Commit a data card to base, and leave head's results on disk."""
    project.git("stash", "--quiet")
    project.put(path, card)
    project.git("add", "--force", path)
    project.git("commit", "--quiet", "--message", "Card", "--", path)
    project.git("stash", "pop", "--quiet")


@pytest.mark.usefixtures("at_home")
def test_the_terminal_lists_the_rows(flipped: DvcProject, compare: Any) -> None:  # noqa: ANN401
    """On one's own machine no permission is needed; all are counted, N of each are listed."""
    text = compare(flipped, "--flips", "3").out
    assert "40 of 200 test rows: right at base, wrong at head" in text
    assert "10 of 200 test rows: wrong at base, right at head" in text
    assert ["r40", "0", "0", "1", "0.105", "2.3"] in [line.split() for line in text.splitlines()]
    assert [line for line in text.splitlines() if "more; --flips" in line] == [
        "37 more; --flips N lists N of each",
        "7 more; --flips N lists N of each",
    ]


@pytest.mark.usefixtures("at_home")
def test_without_the_option_there_are_none(flipped: DvcProject, compare: Any) -> None:  # noqa: ANN401
    """Nor does a report that is written hold one, with it."""
    assert "r40" not in compare(flipped).out
    compare(flipped, "--flips", "--output", "report.json")
    report = (flipped.root / "report.json").read_bytes()
    assert b"r40" not in report
    assert parse_report(report).base.sha


@pytest.mark.usefixtures("at_home")
def test_json_has_them_beside_the_report(flipped: DvcProject, compare: Any) -> None:  # noqa: ANN401
    """What is printed is no report: the job that posts refuses it."""
    done = compare(flipped, "--json", "--flips", "2")
    printed = json.loads(done.out)
    assert [row["id"] for row in printed["flips"]["worse"]] == ["r40", "r41"]
    assert printed["flips"]["worse_rows"] == 40
    assert printed["report"]["judgement"]["verdict"] == "fail"
    assert done.code == 1
    with pytest.raises(MlgitopsError, match="not a report"):
        parse_report(done.out.encode())


@pytest.mark.usefixtures("at_home")
@pytest.mark.parametrize("path", ["data/DATA_CARD.md", "DATA_CARD.md"])
def test_a_page_has_them_where_the_data_card_says_so(
    flipped: DvcProject,
    compare: Any,  # noqa: ANN401
    path: str,
) -> None:
    """The card of the generated project, or one at its top."""
    permit(flipped, path=path)
    assert compare(flipped, "--html", "page.html", "--flips", "--base", "HEAD").code == 1
    page = (flipped.root / "page.html").read_text(encoding="utf-8")
    assert "Rows that flipped" in page
    assert '<th scope="row">r40</th>' in page
    compare(flipped, "--html", "page.html", "--base", "HEAD")
    assert "Rows that flipped" not in (flipped.root / "page.html").read_text(encoding="utf-8")


REFUSED = {
    "no card": None,
    "nothing": PERMISSION.replace("test rows", "nothing"),
    "a sentence": PERMISSION.replace("| may be shown | test rows |", "test rows may be shown"),
    "more is asked": PERMISSION.replace("test rows", "test rows, if the owner agrees"),
    "two answers": PERMISSION + "| may be shown | nothing: a row is a person |\n",
    "an example": PERMISSION.replace("| may", "```\n| may") + "```\n",
    "a comment": PERMISSION.replace("| may", "<!--\n| may") + "-->\n",
}


@pytest.mark.parametrize("card", REFUSED.values(), ids=REFUSED)
def test_a_page_has_none_without_the_permission(
    flipped: DvcProject,
    compare: Any,  # noqa: ANN401
    card: str | None,
) -> None:
    """Nothing is written, and the error says which line would permit it."""
    if card is not None:
        permit(flipped, card)
    done = compare(flipped, "--html", "page.html", "--flips", "--base", "HEAD")
    assert done.code == 2
    assert "the data card at base does not let a page show test rows" in done.err
    assert "`| may be shown | test rows |`" in done.err
    assert not (flipped.root / "page.html").exists()


def test_head_cannot_give_the_permission(flipped: DvcProject, compare: Any) -> None:  # noqa: ANN401
    """A pull request that edits the card shows no rows by it."""
    flipped.put("data/DATA_CARD.md", PERMISSION)
    flipped.git("add", "--force", "data/DATA_CARD.md")
    done = compare(flipped, "--html", "page.html", "--flips")
    assert (done.code, (flipped.root / "page.html").exists()) == (2, False)
    assert "the data card at base does not let a page show test rows" in done.err


def test_the_log_of_a_workflow_is_as_public_as_a_page(
    flipped: DvcProject,
    compare: Any,  # noqa: ANN401
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Everybody may read the log of a public repository."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    for options in (["--flips"], ["--flips", "--json"]):
        done = compare(flipped, *options)
        assert (done.code, "r40" in done.out) == (2, False)
        assert "does not let the log of a workflow show test rows" in done.err


def test_the_comment_never_has_them(flipped: DvcProject, compare: Any) -> None:  # noqa: ANN401
    """Not even with the permission."""
    permit(flipped)
    done = compare(flipped, "--flips", "--format", "markdown", "--base", "HEAD")
    assert (done.code, done.out) == (2, "")
    assert "a comment shows no test rows" in done.err


@pytest.mark.usefixtures("at_home")
def test_a_policy_without_predictions_has_no_rows(
    project: DvcProject,
    compare: Any,  # noqa: ANN401
) -> None:
    """The error says which line names them."""
    project.put("policy.yaml", "version: 1\n")
    project.commit()
    done = compare(project, "--flips")
    assert done.code == 2
    assert "the policy names no predictions to list rows of" in done.err


@pytest.mark.parametrize("count", ["0", "201", "-1", "many", "1e2"])
def test_how_many_is_a_number_within_limits(capsys: pytest.CaptureFixture[str], count: str) -> None:
    """A page stays small, and a list has a row."""
    with pytest.raises(SystemExit, match="2"):
        run(["compare", f"--flips={count}"])
    assert f"not a whole number from 1 to 200: {count}" in capsys.readouterr().err


def test_the_bundled_cards_say_what_may_be_shown() -> None:
    """Flights and penguins are no people; of the survey about wages no row is shown."""
    said = {
        path.parent.name: "| may be shown | test rows" in path.read_text(encoding="utf-8")
        for path in CARDS
    }
    assert said == {"flights": True, "penguins": True, "wages": False}
