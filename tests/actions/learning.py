"""The workflows that search and that train again, run by act: real trials, a real training.

What they are held to: each step's result, one branch, one pull request, and no other by a second
run. Two machines share the search in place of the generated file's four, for the time they take.
"""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import json
import re
import subprocess
from collections import Counter
from typing import TYPE_CHECKING

from actions.generated_project import Hosted, host, run
from git_project import commit_files, git

from mlgitops.dvc.command import project_environment
from mlgitops.git.program import ask_git
from mlgitops.rehearsal.act import read_tail

if TYPE_CHECKING:
    from pathlib import Path

    from mlgitops.rehearsal.forge import Pull
    from mlgitops.rehearsal.workflow_run import Ran

TUNE, RETRAIN = (".github/workflows/tune.yml", ".github/workflows/retrain.yml")
SHARDS, TRIALS, FOLDS = 2, 4, 5
TUNE_STEPS = Counter(
    {
        ("measure", "Check out the default branch"): SHARDS,
        ("measure", "Set up Python"): SHARDS,
        ("measure", "Install the locked environments"): SHARDS,
        ("measure", "Measure this part of the trials"): SHARDS,
        ("measure", "Hand over the journal"): SHARDS,
        ("propose", "Check out the default branch"): 1,
        ("propose", "Set up Python"): 1,
        ("propose", "Take over the journals"): 1,
        ("propose", "Merge, and propose what is better"): 1,
    }
)
#: The runner that serves has its own Python, and the repository names no app.
RETRAIN_STEPS = Counter(
    {("retrain", "Check out the default branch"): 1, ("retrain", "Train, compare, propose"): 1}
)
#: Far too much regularisation: whatever is tried is better.
BAD_ALPHA = "settings: {alpha: 1000000.0}"
#: What the generated file says of four machines, and what it says here.
MACHINES = {
    "shard: [1, 2, 3, 4]": "shard: [1, 2]",
    "shard: ${{ matrix.shard }}/4": "shard: ${{ matrix.shard }}/2",
}
DAYS, ROWS, WINDOW = 42, 12, 14  # of the log, of a day, held out
RUNNER = "${{ vars.MLGITOPS_RETRAIN_RUNNER }}"
MONITOR = """\
version: 1
source: {{folder: {folder}/requests}}
labels: {{source: {{file: {folder}/outcomes.csv}}}}
retrain: {{fewest_rows: 50, window_days: {window}}}
"""


def run_green(
    hosted: Hosted,
    workflow: str,
    steps: Counter[tuple[str, str]],
    event_name: str = "workflow_dispatch",
    inputs: dict[str, str] | None = None,
) -> tuple[Ran, dict[str, str]]:
    """Run a workflow, require exactly these steps, all green; return the last job's outputs too."""
    ran = hosted.run(workflow, event_name, inputs)
    printed = read_tail(ran.log, 200)
    assert Counter((step.job, step.title) for step in ran.run.steps) == steps, printed
    assert {step.result for step in ran.run.steps} == {"success"}, printed
    assert ran.run.jobs == dict.fromkeys((job for job, _ in steps), "success"), printed
    last = list(ran.workflow.jobs)[-1]
    return ran, {name: text for (job, _, name), text in ran.run.outputs.items() if job == last}


def find_proposed(hosted: Hosted, prefix: str) -> list[Pull]:
    """Return the pull requests whose branch begins with ``prefix``, closed ones too."""
    pulls = hosted.stage.state.pulls.values()
    return [pull for pull in pulls if pull.head[0].startswith(prefix)]


def check_tune(project: Path, scratch: Path) -> tuple[Path, str]:
    """Require that the machines share the trials, and that the best is proposed once.

    Returns the clone that stands for GitHub, and the branch there.
    """
    params = re.sub(r"settings: \{alpha: [^}]*\}", BAD_ALPHA, (project / "params.yaml").read_text())
    tune = (project / "tune.yaml").read_text().replace("trials: 20", f"trials: {TRIALS}")
    assert (params.count(BAD_ALPHA), tune.count(f"trials: {TRIALS}")) == (1, 1)
    workflow = (project / TUNE).read_text()
    for old, new in MACHINES.items():
        assert workflow.count(old) == 1
        workflow = workflow.replace(old, new)
    files = {"params.yaml": params, "tune.yaml": tune, TUNE: workflow}
    git(project, "switch", "--quiet", "main")
    commit_files(project, files, "Regularise far too much")
    git(project, "switch", "--quiet", "change")
    with host(project, scratch) as hosted:
        ran, outputs = run_green(hosted, TUNE, TUNE_STEPS, inputs={"force": "false"})
        names = sorted(path.name for path in ran.artifacts.iterdir())
        assert names == [f"mlgitops-tune-{number}" for number in range(1, SHARDS + 1)]
        _, again = run_green(hosted, TUNE, TUNE_STEPS, inputs={"force": "false"})
        (pull,) = find_proposed(hosted, "tune/")
        assert outputs["branch"] == again["branch"] == pull.head[0]
        assert outputs["pull-request"] == again["pull-request"] == str(pull.number)
        assert (pull.base[0], pull.state) == ("main", "open")
        origin = hosted.stage.origin
    changed = git(origin, "diff", "--name-only", "main", pull.head[0]).split()
    assert changed == ["params.yaml", "reports/tuning.json"]
    report = json.loads(git(origin, "show", f"{pull.head[0]}:reports/tuning.json"))
    assert report["missing_shards"] == []
    assert Counter(trial["shard"] for trial in report["trials"]) == {1: 2, 2: 2}
    assert all(len(trial["scores"]) == FOLDS for trial in report["trials"])
    return origin, pull.head[0]


def check_retrain(project: Path, scratch: Path) -> None:
    """Require that a schedule does nothing until there is an alert, then trains again, once.

    The log and the outcomes are files of the runner; the answers are those of the model in
    production, and the alert is what `mlgitops monitor` made of them.
    """
    git(project, "switch", "--quiet", "main")
    write_production(project, scratch.with_name("production"))
    run(project, "label", "production")
    run(project, "monitor", "production", code=1)
    git(project, "switch", "--quiet", "change")
    with host(project, scratch) as hosted:
        origin = hosted.stage.origin
        _, idle = run_green(hosted, RETRAIN, RETRAIN_STEPS, "schedule")
        assert (idle["branch"], find_proposed(hosted, "mlgitops/")) == ("", [])
        git(origin, "branch", "monitoring", git(project, "rev-parse", "monitoring"))
        _, outputs = run_green(hosted, RETRAIN, RETRAIN_STEPS, "schedule")
        inputs = {"environment": "production", "reason": "by-hand"}
        _, again = run_green(hosted, RETRAIN, RETRAIN_STEPS, inputs=inputs)
        (pull,) = find_proposed(hosted, "mlgitops/retrain/")
        assert outputs["branch"] == again["branch"] == pull.head[0]
        assert outputs["pull-request"] == again["pull-request"] == str(pull.number)
        assert (pull.base[0], pull.state) == ("main", "open")
    report = json.loads(git(origin, "show", f"{pull.head[0]}:reports/retraining.json"))
    appended = sum(day.get("appended", 0) for day in report["days"])
    held_out = sum(day.get("held_out", 0) for day in report["days"])
    assert (appended, held_out) == ((DAYS - WINDOW) * ROWS, WINDOW * ROWS)
    assert (report["rows_before"], report["reason"]) == (3000, "performance")
    check_model(project, origin, pull.head[0])


def check_model(project: Path, origin: Path, branch: str) -> None:
    """Require that the branch names another model than main, and that the storage has it."""
    git(project, "fetch", "--quiet", str(origin), branch)
    files = [git(origin, "show", f"{revision}:model/model.json") for revision in ("main", branch)]
    before, after = (json.loads(text)["sha256"] for text in files)
    assert before != after
    lock = git(origin, "show", f"{branch}:dvc.lock")
    match = re.search(r"path: model/model\.skops\n\s+hash: md5\n\s+md5: ([0-9a-f]{32})", lock)
    assert match is not None
    stored = f"dvc-storage:files/md5/{match[1][:2]}/{match[1][2:]}"
    done = ask_git(origin, "cat-file", "blob", stored)
    assert hashlib.sha256(done.stdout).hexdigest() == after


def write_production(project: Path, folder: Path) -> None:
    """Write a log and outcomes to ``folder`` as production left them, and let monitor.yaml say so.

    The people of the test rows are asked about again a year older, and earn half as much again.
    """
    folder.mkdir()
    rows, answers = score_rows(project, folder, DAYS * ROWS)
    digest = json.loads((project / "model/model.json").read_text())["sha256"]
    today = dt.datetime.now(dt.UTC).date()
    (folder / "requests").mkdir()
    outcomes = ["id,outcome"]
    for number in range(DAYS):
        day, lines = (today - dt.timedelta(days=DAYS - number)).isoformat(), []
        for at in range(number * ROWS, (number + 1) * ROWS):
            inputs = {
                name: cell for name, cell in rows[at].items() if name not in ("id", "race", "wage")
            }
            record = {
                "v": 1,
                "id": f"{day}/{at}",
                "at": f"{day}T08:00:00.000Z",
                "model": digest,
                "inputs": {**inputs, "year": float(inputs["year"]), "age": float(inputs["age"])},
                "score": None,
                "answer": answers[at],
            }
            lines.append(json.dumps(record))
            outcomes.append(f"{day}/{at},{min(500, 1.5 * float(rows[at]['wage'])):.4f}")
        (folder / "requests" / f"{day}-0123abcd.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "outcomes.csv").write_text("\n".join(outcomes) + "\n")
    contract = (project / "contract.yaml").read_text()
    asked = "isin: [White, Black, Asian, Other]"
    assert asked in contract
    files = {
        "monitor.yaml": MONITOR.format(folder=folder, window=WINDOW),
        "contract.yaml": contract.replace(asked, f"nullable: true\n    {asked}"),
        RETRAIN: name_runner((project / RETRAIN).read_text()),
    }
    commit_files(project, files, "Learn from production, which is not told anybody's race")


def name_runner(workflow: str) -> str:
    """Return the generated workflow on a runner that is here, as if the variable named it."""
    workflow = re.sub(r"(?m)^    if: .*MLGITOPS_RETRAIN_RUNNER.*\n", "", workflow)
    assert workflow.count(RUNNER) == 1
    return workflow.replace(RUNNER, "ubuntu-latest")


def score_rows(project: Path, folder: Path, count: int) -> tuple[list[dict[str, str]], list[float]]:
    """Let the model answer for people of the test rows, a year older; return both."""
    with (project / "data/split/test.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if float(row["age"]) < 79][:count]
    assert len(rows) == count
    for row in rows:
        row["age"] = str(float(row["age"]) + 1)
    with (folder / "asked.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    command: list[str | Path] = [
        *(project / ".venv/bin/python", "-m", "model.scoring", "--model", "model/model.skops"),
        *("--data", folder / "asked.csv", "--output", folder / "answers.csv"),
    ]
    environment = project_environment(project)
    subprocess.run(command, check=True, cwd=project, capture_output=True, env=environment)
    with (folder / "answers.csv").open(newline="") as stream:
        return rows, [float(row["prediction"]) for row in csv.DictReader(stream)]
