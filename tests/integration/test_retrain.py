"""`mlgitops retrain`: from the alert to a pull request, by real git, real DVC, a real training."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import signal
import subprocess
import sys
from csv import DictReader
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from git_project import commit, git
from integration.deploy_project import edit, model_digest
from integration.setup_project import quiet
from pyarrow import csv
from retrained_project import (
    DAYS,
    FIRST,
    LAST,
    REQUESTS,
    ROWS,
    label,
    make_project,
    monitor,
    point,
    serve,
)

from mlgitops.cli import run
from mlgitops.dvc.command import run_dvc
from mlgitops.project.training import run_pipeline
from mlgitops.storage import publish_objects

if TYPE_CHECKING:
    from pathlib import Path

    from mlgitops.rehearsal.forge import Forge

pytestmark = pytest.mark.usefixtures("author")
TABLE, COLUMNAR = "data/raw/table.csv", "data/raw/table.parquet"
#: An ingest stage leaves cells as text.
AS_TEXT = """
import pyarrow as pa
import pyarrow.parquet as pq

rows = pq.read_table("data/raw/table.parquet")
text = pa.schema([(name, pa.string()) for name in rows.column_names])
pq.write_table(rows.cast(text), "data/interim/table.parquet")"""


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a project whose model got worse, with labels and facts; others are copied from it."""
    project = make_project(tmp_path_factory.mktemp("retrained") / "project")
    serve(project)
    label(project)
    assert monitor(project) == 1
    return project


@pytest.fixture
def project(watched: Path, tmp_path: Path) -> Path:
    """Copy the project, with its origin and its storage."""
    shutil.copytree(watched.parent, tmp_path / "copy", symlinks=True)
    folder = tmp_path / "copy" / "project"
    git(folder, "remote", "set-url", "origin", str(tmp_path / "copy" / "origin.git"))
    config = folder / ".dvc/config"
    config.write_text(config.read_text().replace(str(watched.parent), str(tmp_path / "copy")))
    (folder / ".dvc/config.local").unlink(missing_ok=True)
    git(folder, "commit", "--quiet", "--all", "--message", "Move the storage")
    git(folder, "push", "--quiet", "origin", "main")
    return folder


@pytest.fixture
def origin(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the repository that the forge serves; no stage gets its token, nor the storage's."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-the-storage")
    return project.parent / "origin.git"


def retrain(project: Path, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """Retrain as of the last day; return what the command says that it did."""
    capsys.readouterr()
    options = ["--json", "--day", LAST.isoformat(), "--directory", str(project)]
    code = run(["retrain", "production", *words, *options])
    said = capsys.readouterr()
    assert code == 0, said.err
    document: dict[str, Any] = json.loads(said.out)
    return document


def count_rows(project: Path, revision: str) -> int:
    """Count the rows of the table that a revision of origin names, as anybody can fetch it."""
    pointer = git(project.parent / "origin.git", "show", f"{revision}:{TABLE}.dvc")
    oid = pointer.partition("md5: ")[2].split()[0]
    stored = project.parent / "storage" / "files" / "md5" / oid[:2] / oid[2:]
    return len(stored.read_text().splitlines()) - 1


def test_an_alert_becomes_one_pull_request_with_a_longer_table_and_a_better_model(
    project: Path, forge: Forge, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its table has each labelled row before the window once; a second run changes nothing."""
    before = git(project, "status", "--porcelain"), git(project, "rev-parse", "HEAD")
    done = retrain(project, capsys)
    assert (done["step"], done["reason"]) == ("train", "performance")
    appended = (DAYS - 28) * ROWS
    assert done["title"] == f"Retrain on {appended:,} rows of production"
    assert count_rows(project, done["branch"]) == 400 + appended
    (brier,) = done["report"]["metrics"]
    assert brier["high"] < 0
    assert sum(day.get("held_out", 0) for day in done["report"]["days"]) == 28 * ROWS
    again = retrain(project, capsys)
    assert (again["step"], again["pull_request"]) == ("go on", done["pull_request"])
    (pull,) = forge.state.pulls.values()
    assert (pull.title, pull.base[0]) == (done["title"], "main")
    assert "test.brier" in pull.body
    assert "better" in pull.body
    assert (git(project, "status", "--porcelain"), git(project, "rev-parse", "HEAD")) == before
    pull.state = "closed"
    assert retrain(project, capsys)["why"].endswith(f"rests until {rest_after(project, done)}")
    by_hand = retrain(project, capsys, "--reason", "by-hand", "--dry-run")
    assert (by_hand["step"], by_hand["branch"]) == ("train", None)
    assert len(forge.state.pulls) == 1


def test_a_command_that_was_killed_after_its_push_goes_on(
    project: Path, forge: Forge, capsys: pytest.CaptureFixture[str]
) -> None:
    """The branch stands, nobody opened it: the next run does, and trains nothing."""
    words = [sys.executable, "-P", "-m", "mlgitops", "retrain", "production"]
    options = ["--day", LAST.isoformat(), "--directory", str(project)]
    with subprocess.Popen([*words, *options], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        assert any("Push branch" in line for line in lines)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    labels = (project / ".mlgitops/deploy/production/labels").rglob("*.jsonl")
    assert sum(len(path.read_text().splitlines()) for path in labels) == DAYS * ROWS
    done = retrain(project, capsys)
    assert (done["step"], done["report"]) == ("go on", None)
    assert count_rows(project, done["branch"]) == 400 + (DAYS - 28) * ROWS
    assert [pull.head[0] for pull in forge.state.pulls.values()] == [done["branch"]]


def test_a_table_without_ids_keeps_those_of_the_requests_beside_it(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the contract refuses is counted and left out; after the merge nothing is taken twice."""
    edit(project, "params.yaml", ", id: flight", "")
    edit(project, "monitor.yaml", "window_days: 28", "window_days: 28, columns: {flight: id}")
    git(project, "push", "--quiet", "origin", "main")
    first = project / REQUESTS / f"{FIRST}-0123abcd.jsonl"
    hot = json.loads(first.read_text().splitlines()[0]) | {"id": "hot"}
    hot["inputs"]["temp"] = 150
    with first.open("a") as stream:
        stream.write(json.dumps(hot) + "\n")
    (project / ".mlgitops/labels.csv").write_text("id,outcome\nhot,1\n")
    label(project)
    done = retrain(project, capsys, "--reason", "by-hand")
    assert done["report"]["refusals"] == {"temp: in_range(0, 100)": 1}
    origin = project.parent / "origin.git"
    pointer = git(origin, "show", f"{done['branch']}:data/raw/appended.csv.dvc")
    oid = pointer.partition("md5: ")[2].split()[0]
    stored = project.parent / "storage" / "files" / "md5" / oid[:2] / oid[2:]
    ids = stored.read_text().splitlines()
    assert len(ids) == len(set(ids)) == 1 + (DAYS - 28) * ROWS
    assert "hot" not in ids
    git(project, "fetch", "--quiet", "origin", done["branch"])
    git(project, "merge", "--quiet", "--no-ff", "--message", "Merge", "FETCH_HEAD")
    git(project, "push", "--quiet", "origin", "main")
    again = retrain(project, capsys, "--reason", "by-hand")
    assert (again["step"], again["branch"]) == ("nothing", None)
    assert "; but 1 new rows with a label, and 50 are wanted" in again["why"]  # the hot one


def test_a_table_in_parquet_becomes_longer_in_its_own_types(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each row once, the old ones first; what a column's type cannot hold is refused by name."""
    keep_in_parquet(project)
    first = project / REQUESTS / f"{FIRST}-0123abcd.jsonl"
    warm = json.loads(first.read_text().splitlines()[0]) | {"id": "warm"}
    warm["inputs"]["temp"] = "warm"
    with first.open("a") as stream:
        stream.write(json.dumps(warm) + "\n")
    (project / ".mlgitops/labels.csv").write_text("id,outcome\nwarm,1\n")
    label(project)
    done = retrain(project, capsys)
    assert done["report"]["refusals"] == {"temp: double cannot hold it": 1}
    (brier,) = done["report"]["metrics"]
    assert brier["high"] < 0
    pointer = git(project.parent / "origin.git", "show", f"{done['branch']}:{COLUMNAR}.dvc")
    oid = pointer.partition("md5: ")[2].split()[0]
    stored = pq.read_table(project.parent / "storage" / "files" / "md5" / oid[:2] / oid[2:])
    before = pq.read_table(project / COLUMNAR)
    assert stored.schema.equals(before.schema)
    assert stored.slice(0, 400).equals(before)
    assert len(set(stored["flight"].to_pylist())) == len(stored) == 400 + (DAYS - 28) * ROWS


def keep_in_parquet(project: Path) -> None:
    """Let the project keep its table in Parquet; its model stays."""
    rows = csv.read_csv(project / TABLE)
    git(project, "rm", "--quiet", "--cached", f"{TABLE}.dvc")
    for name in (TABLE, f"{TABLE}.dvc"):
        (project / name).unlink()
    for name in ("dvc.yaml", ".gitignore"):
        edit(project, name, "table.csv", "table.parquet")
    loop = 'csv.DictReader(Path("data/{}/table.csv").open())'
    parquet = 'pyarrow.parquet.read_table("data/{}/table.parquet").to_pylist()'
    for name, folder in (("train", "raw"), ("validate", "interim")):
        path = f"src/demo/{name}.py"
        edit(project, path, loop.format(folder), parquet.format(folder))
        edit(project, path, "from pathlib", "import pyarrow.parquet\nfrom pathlib")
    edit(
        project,
        "src/demo/ingest.py",
        'shutil.copyfile("data/raw/table.csv", "data/interim/table.csv")',
        AS_TEXT,
    )
    pq.write_table(rows, project / COLUMNAR)
    run_dvc(project, ["add", "--quiet", COLUMNAR])
    publish_objects(project, quiet())
    run_pipeline(project, quiet())
    git(project, "add", ".")
    git(project, "commit", "--quiet", "--message", "Keep the table in Parquet")
    git(project, "push", "--quiet", "origin", "main")


def test_a_model_that_holds_and_labels_that_are_its_own_answers_train_nothing(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No reason is no error; labels made from answers are one, which says what to do."""
    branches = git(project.parent / "origin.git", "for-each-ref")
    assert retrain(project, capsys, "--reason", "data")["step"] == "nothing"
    answers = []
    for path in sorted((project / REQUESTS).glob("*.jsonl")):
        records = map(json.loads, path.read_text().splitlines())
        answers += [f"{record['id']},{record['answer']}" for record in records]
    words = ["--reason", "by-hand", "--day", LAST.isoformat(), "--directory", str(project)]
    for count in (28 * ROWS, DAYS * ROWS):  # those before the window came true at first
        lines = ["id,outcome", *answers[-count:]]
        (project / ".mlgitops/labels.csv").write_text("\n".join(lines) + "\n")
        label(project)
        assert run(["retrain", "production", *words]) == 2
        said = capsys.readouterr().err
        assert f"all {count:,} labels are what the model answered" in said
        assert "--labels-checked" in said
    assert git(project.parent / "origin.git", "for-each-ref") == branches


def test_labels_that_are_nearly_all_the_models_answers_train_nothing(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The model was wrong for one of five test rows; that it now is for one of 200 is no chance."""
    keep_predictions(project)
    lines = ["id,outcome"]
    for path in sorted((project / REQUESTS).glob("*.jsonl")):
        for record in map(json.loads, path.read_text().splitlines()):
            answer = record["answer"] if len(lines) % 200 else 1 - record["answer"]
            lines.append(f"{record['id']},{answer}")
    (project / ".mlgitops/labels.csv").write_text("\n".join(lines) + "\n")
    label(project)
    words = ["retrain", "production", "--reason", "by-hand", "--dry-run", "--day", LAST.isoformat()]
    assert run([*words, "--directory", str(project)]) == 2
    said = capsys.readouterr().err
    assert "1,672 of 1,680 labels are what the model answered, which was right for 8" in said
    assert run([*words, "--labels-checked", "--directory", str(project)]) == 0


def keep_predictions(project: Path) -> None:
    """Keep what the model says of the rows that it learned, as an evaluate stage would."""
    shares = json.loads((project / "model/model.skops").read_bytes())
    lines = ["id,target,prediction,score"]
    for row in DictReader((project / TABLE).read_text().splitlines()):
        score = shares[min(9, int(float(row["temp"]) // 10))]
        lines.append(f"{row['flight']},{row['late']},{int(score >= 0.5)},{score}")
    (project / "reports").mkdir(exist_ok=True)
    (project / "reports/predictions.csv").write_text("\n".join(lines) + "\n")
    run_dvc(project, ["add", "--quiet", "reports/predictions.csv"])
    publish_objects(project, quiet())
    named = "version: 1\nfiles: {predictions: reports/predictions.csv}\n"
    edit(project, "policy.yaml", "version: 1\n", named)
    git(project, "push", "--quiet", "origin", "main")


def test_rows_of_a_retraining_that_was_reverted_are_not_compared_on(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The model in service learned them; the branch's table is the one before."""
    table, before = project / TABLE, git(project, "rev-parse", "HEAD")
    with table.open("a") as stream:
        stream.writelines(f"{LAST}/{number},{LAST},20,JFK,1\n" for number in range(ROWS - 1))
    point(project)
    publish_objects(project, quiet())
    longer = commit(project, "Retrain")
    git(project, "checkout", "--quiet", before, "--", f"{TABLE}.dvc")
    commit(project, "Revert it")
    edit(project, "deploy/production/model.yaml", "revision: null", f"revision: {longer}")
    edit(
        project, "deploy/production/model.yaml", "sha256: null", f"sha256: {model_digest(project)}"
    )
    git(project, "push", "--quiet", "origin", "main")
    done = retrain(project, capsys, "--reason", "by-hand", "--dry-run")
    assert done["report"]["rows_before"] == 400
    newest = done["report"]["days"][-1]
    assert newest == {"day": LAST.isoformat(), "held_out": 1, "taken": ROWS - 1}
    assert sum(day.get("appended", 0) for day in done["report"]["days"]) == (DAYS - 28) * ROWS


@pytest.mark.parametrize("is_filled", [False, True])
def test_rows_are_known_by_their_ids_though_the_project_names_none_any_more(
    project: Path, capsys: pytest.CaptureFixture[str], *, is_filled: bool
) -> None:
    """The model in service learned them by its own id; a column that requests fill holds ids."""
    with (project / TABLE).open("a") as stream:
        stream.writelines(f"{LAST}/{number},{LAST},20,JFK,1\n" for number in range(ROWS - 1))
        stream.writelines(f"{FIRST}/{number},{FIRST},20,JFK,1\n" for number in range(3))
    point(project)
    publish_objects(project, quiet())
    longer = commit(project, "Retrain")
    edit(project, "params.yaml", ", id: flight", "")
    if is_filled:
        edit(project, "monitor.yaml", "window_days: 28", "window_days: 28, columns: {flight: id}")
    edit(project, "deploy/production/model.yaml", "revision: null", f"revision: {longer}")
    edit(
        project, "deploy/production/model.yaml", "sha256: null", f"sha256: {model_digest(project)}"
    )
    git(project, "push", "--quiet", "origin", "main")
    done = retrain(project, capsys, "--reason", "by-hand", "--dry-run")
    days = done["report"]["days"]
    assert days[-1] == {"day": LAST.isoformat(), "held_out": 1, "taken": ROWS - 1}
    assert days[0].get("taken", 0) == (3 if is_filled else 0)


def test_a_model_whose_table_dvc_did_not_keep_is_compared_with_nothing(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it learned is not known: the branch's table says nothing of that."""
    pointer = (project / f"{TABLE}.dvc").read_text()
    (project / f"{TABLE}.dvc").unlink()
    bare = commit(project, "Keep the table elsewhere")
    (project / f"{TABLE}.dvc").write_text(pointer)
    commit(project, "Keep the table by DVC")
    edit(project, "deploy/production/model.yaml", "revision: null", f"revision: {bare}")
    edit(
        project, "deploy/production/model.yaml", "sha256: null", f"sha256: {model_digest(project)}"
    )
    git(project, "push", "--quiet", "origin", "main")
    options = ["--reason", "by-hand", "--dry-run", "--directory", str(project)]
    assert run(["retrain", "production", "--day", LAST.isoformat(), *options]) == 2
    assert "learned from has no .dvc file there" in capsys.readouterr().err


def test_an_alert_of_a_model_that_was_replaced_is_no_reason(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody looked since the promotion: what is known is of the model before."""
    assert retrain(project, capsys, "--dry-run")["reason"] == "performance"
    digest = json.loads((project / "model/model.json").read_text())["sha256"]
    edit(project, "model/model.json", digest, "0" * 64)
    git(project, "push", "--quiet", "origin", "main")
    done = retrain(project, capsys)
    assert (done["step"], done["reason"]) == ("nothing", None)
    assert "no figure of the model in service is an alert" in done["why"]


def rest_after(project: Path, done: dict[str, Any]) -> str:
    """Return the first day on which another retraining may come."""
    made = git(project, "show", "--no-patch", "--date=short", "--format=%cd", done["commit"])
    return (dt.date.fromisoformat(made) + dt.timedelta(days=28)).isoformat()
