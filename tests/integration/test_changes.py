"""`mlgitops compare` opens the tables that changed: real git, real DVC."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from git_project import commit, git
from integration.setup_project import quiet
from real_dvc import add_data, push_data

from mlgitops.cli import run
from mlgitops.project.training import run_pipeline

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TABLE = "data/raw/flights.csv"
HEADER = "id,carrier,distance,late"
ROWS = [f"f{at},{'AA' if at % 3 else 'UA'},{100 + at % 50},{at % 2}" for at in range(600)]

FIT = """
import pathlib, time
data = pathlib.Path("data/raw/flights.csv").read_text()
ballast = b"x" * 60_000_000
time.sleep(2)  # long enough for its memory to be seen, however busy the machine is
pathlib.Path("model.bin").write_text(f"model of {len(data)} characters, {len(ballast)}")
pathlib.Path("metrics.json").write_text('{"rows": %d}' % len(data.splitlines()))
"""
FILES = {
    "dvc.yaml": (
        "stages:\n  fit:\n    cmd: python fit.py\n    deps: [fit.py, data/raw/flights.csv]\n"
        "    outs: [model.bin]\n    metrics:\n      - metrics.json: {cache: false}\n"
    ),
    "fit.py": FIT,
    "policy.yaml": (
        "version: 1\nfiles: {model: model.bin}\nbudgets:\n"
        "  cost.training_seconds: {max_value: 600}\n  cost.peak_memory_mb: {max_value: 2000}\n"
        "  cost.model_size_mb: {max_value: 0.00001}\n"
    ),
    ".gitignore": "/model.bin\n/.mlgitops/\n",
    ".dvc/config": (
        "[core]\n    analytics = false\n    remote = store\n"
        "['remote \"store\"']\n    url = ../../store\n    verify = true\n"
    ),
    ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
    ".dvcignore": "",
}


def put_table(project: Path, rows: Sequence[str], header: str = HEADER) -> None:
    """Replace the raw table and its pointer, as a person would."""
    place = project / TABLE
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    add_data(project, TABLE)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a project whose main branch is trained, with every object in its storage."""
    folder = tmp_path_factory.mktemp("changes") / "project"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    git(folder, "init", "--quiet")
    put_table(folder, ROWS)
    run_pipeline(folder, quiet())
    commit(folder, "Train")
    push_data(folder)
    edited = [*ROWS[5:], "n1,WN,7,0", "n2,WN,8,1"]
    edited[0] = edited[0].replace("AA", "DL").replace("UA", "DL")
    edited[7] = f"{edited[7].rpartition(',')[0]},yes"
    git(folder, "switch", "--quiet", "--create", "change")
    put_table(folder, edited)
    run_pipeline(folder, quiet())
    commit(folder, "Train on other rows")
    push_data(folder)
    return folder


def compare(project: Path, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """Run compare and return its report."""
    code = run(["compare", "--base", "main", "--json", "--directory", str(project), *words])
    found = json.loads(capsys.readouterr().out)
    assert code == (1 if found["judgement"]["verdict"] == "fail" else 0)
    return dict(found)


def test_rows_columns_and_levels(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Added, removed and edited rows, a retyped column and new levels are all told."""
    (table,) = compare(project, capsys)["tables"]
    assert {key: table[key] for key in ("path", "key", "base_rows", "head_rows")} == {
        "path": TABLE,
        "key": "id",
        "base_rows": 600,
        "head_rows": 597,
    }
    assert (table["added"], table["removed"], table["changed"]) == (2, 5, 2)
    columns = {column["name"]: column for column in table["columns"]}
    assert (columns["late"]["base_kind"], columns["late"]["head_kind"]) == ("number", "text")
    assert columns["late"]["changed_rows"] == 1
    assert columns["carrier"]["new_levels"] == ["WN", "DL"]


def test_comment_says_it_in_a_line(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The comment's first screen holds the sentence; the terminal says the same."""
    options = ["compare", "--base", "main", "--directory", str(project)]
    run([*options, "--format", "markdown"])
    assert (
        "`data/raw/flights.csv`: 600 → 597 rows (+2, \u22125, 2 changed in `carrier` and `late`); "
        "`late` holds text, was number; `carrier` gained `WN` and `DL`."
    ) in capsys.readouterr().out
    run(options)
    assert "600 → 597 rows (+2, \u22125, 2 changed in carrier and late)" in capsys.readouterr().out


def test_two_revisions_say_the_same(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What git and DVC hold of head is compared as what stands on disk is."""
    on_disk = compare(project, capsys)
    committed = compare(project, capsys, "--head", "change")
    assert committed["tables"] == on_disk["tables"]
    assert committed["cost"] == on_disk["cost"]


def test_cost_is_judged_like_a_metric(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Budgets on time and memory hold, the one on size does not, and base's values are known."""
    found = compare(project, capsys, "--head", "change")
    cost = {change["name"]: change for change in found["cost"]}
    assert set(cost) == {"cost.training_seconds", "cost.peak_memory_mb", "cost.model_size_mb"}
    assert all(change["base"] > 0 and change["head"] > 0 for change in cost.values())
    assert 60 < cost["cost.peak_memory_mb"]["head"] < 600
    verdicts = {item["name"]: item["verdict"] for item in found["judgement"]["metrics"]}
    assert verdicts == {
        "cost.training_seconds": "pass",
        "cost.peak_memory_mb": "pass",
        "cost.model_size_mb": "fail",
    }


def test_judging_run_leaves_the_tree_clean(project: Path, tmp_path: Path) -> None:
    """A run from the base's lock measures head's stages and touches nothing that git tracks."""
    other = tmp_path / "copy"
    shutil.copytree(project, other, symlinks=True)
    run_pipeline(other, quiet(), base="main")
    assert git(other, "status", "--porcelain") == ""
    fresh = json.loads((other / ".mlgitops/cost.json").read_text())
    claimed = json.loads((other / "reports/cost.json").read_text())
    assert fresh["stages"]["fit"]["outputs"] == claimed["stages"]["fit"]["outputs"]
    assert fresh["stages"]["fit"]["seconds"] > 0


def test_missing_objects_are_fetched(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With an empty cache both tables come from the storage; with no storage the reason is said."""
    place = tmp_path / "folder"
    place.mkdir()
    shutil.copytree(project, place / "project", symlinks=True)
    shutil.copytree(project.parent / "store", place / "store")
    other = place / "project"
    shutil.rmtree(other / ".dvc/cache")
    (table,) = compare(other, capsys, "--head", "change")["tables"]
    assert table["added"] == 2
    shutil.rmtree(other / ".dvc/cache", ignore_errors=True)
    shutil.rmtree(place / "store")
    (table,) = compare(other, capsys, "--head", "change")["tables"]
    assert "neither in DVC's cache nor in the storage" in table["reason"]
    run(["compare", "--base", "main", "--head", "change", "--directory", str(other)])
    assert "was not compared" in capsys.readouterr().out


def test_damaged_object_is_refused(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A stored table with other bytes than its hash says is not compared."""
    other = tmp_path / "copy"
    shutil.copytree(project, other, symlinks=True)
    pointer = git(other, "show", f"main:{TABLE}.dvc")
    digest = next(line.split()[-1] for line in pointer.splitlines() if "md5:" in line)
    stored = other / f".dvc/cache/files/md5/{digest[:2]}/{digest[2:]}"
    stored.chmod(0o644)
    stored.write_text("id\n1\n")
    (table,) = compare(other, capsys)["tables"]
    assert "the stored file of base is damaged" in table["reason"]
    assert "added" not in table or table["added"] is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("id,late\n1\n", "row 1 has 1 cells"),
        ("id,id\n1,2\n", "several columns"),
        ('id,late\n"1,2\n', "no end"),
        ("", "empty"),
    ],
)
def test_broken_table_is_a_reason(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, reason: str
) -> None:
    """A head table that is none is said with side and reason; the comparison goes on."""
    other = tmp_path / "copy"
    shutil.copytree(project, other, symlinks=True)
    (other / TABLE).unlink()
    (other / TABLE).write_text(text)
    add_data(other, TABLE)
    (table,) = compare(other, capsys)["tables"]
    assert reason in table["reason"]
    assert "(head)" in table["reason"]


def test_nothing_changed_opens_nothing(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Equal pointers are enough: no table is read, so it need not even be there."""
    other = tmp_path / "copy"
    shutil.copytree(project, other, symlinks=True)
    shutil.rmtree(other / ".dvc/cache")
    git(other, "switch", "--quiet", "main")
    assert compare(other, capsys, "--head", "main")["tables"] == []
