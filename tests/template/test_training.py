"""Generated projects at work: their own checks, and models from people's own tables."""

from __future__ import annotations

import csv
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from git_project import git
from mini_project import shared_store
from template.conftest import ROOT
from template.decision_cases import CASES
from template.decisions import decide
from template.tables import EXAMPLES, make_awkward

from mlgitops.cli import run
from mlgitops.console import Console
from mlgitops.dvc.command import project_environment
from mlgitops.environments import make_environment
from mlgitops.judgement.policy import parse_policy
from mlgitops.model.tuning import Choices
from mlgitops.project.cost.latency import Timing, find_scoring, measure_latency
from mlgitops.project.fork_server.launch import start_fork_server
from mlgitops.tuning.scorer import Scorer, TrialError
from mlgitops.tuning.settings import parse_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from template.conftest import Generate
    from template.tables import Example

pytestmark = pytest.mark.slow

#: Every stage of dvc.yaml in its order, in one process: the libraries are loaded once.
RUN_STAGES = """
import importlib, sys
sys.path.insert(0, "src")
for stage in sys.argv[1:]:
    importlib.import_module(stage).main()
"""

#: What a table has to go through; what is written of the model after it does not depend on it.
STAGES = ("ingest", "validate", "split", "train", "evaluate")

#: The same for several folders after each other; prints a JSON object: folder → what went wrong.
RUN_FOLDERS = """
import contextlib, importlib, json, os, sys
sys.path.insert(0, os.path.abspath("src"))
package, stages, *folders = sys.argv[1:]
modules = [importlib.import_module(f"{package}.{stage}") for stage in stages.split(",")]
failed = {}
for folder in folders:
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            for module in modules:
                module.main()
    except BaseException as error:
        failed[folder] = repr(error)
print(json.dumps(failed))
"""


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the pipeline environment of the shipped lock, made once for the whole suite."""
    folder = tmp_path_factory.mktemp("pipeline")
    lock = ROOT / "{{cookiecutter.project_slug}}" / "requirements" / "pipeline.txt"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLGITOPS_ENVIRONMENTS", str(shared_store()))
        return make_environment(folder, "pipeline", lock, Console(quiet=True))


def run_tool(environment: Path, project: Path, *words: str) -> str:
    """Run a program of the pipeline environment in the project; its output when it fails."""
    env = {
        "PATH": f"{environment / 'bin'}:{os.environ['PATH']}",
        "HOME": str(project.parent),
        # What mypy learns of the environment's packages serves every project of this run.
        "MYPY_CACHE_DIR": str(project.parents[1] / "mypy_cache"),
    }
    done = subprocess.run(
        [str(environment / "bin" / words[0]), *words[1:]],
        cwd=project,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def train(environment: Path, project: Path) -> None:
    """Run every stage, in the order of dvc.yaml; those of other seeds, of which there are none."""
    stages = yaml.safe_load((project / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    alone = [stage for stage in stages.values() if "matrix" not in stage]
    modules = [stage["cmd"].removeprefix("python -m ") for stage in alone]
    run_tool(environment, project, "python", "-c", RUN_STAGES, *modules)


def find_golden_rows(project: Path) -> set[tuple[str, ...]]:
    """Return the rows of golden.json that git keeps, columns in the order of their names."""
    text = (project / "reports" / "golden.json").read_text("utf-8")
    inputs = json.loads(text)["request"]["inputs"]
    columns = {tensor["name"]: tensor["data"] for tensor in inputs}
    return set(
        zip(*([str(cell) for cell in columns[name]] for name in sorted(columns)), strict=True)
    )


def read_rows(project: Path) -> set[tuple[str, ...]]:
    """Return the rows of the table, as the model reads them and as golden.json writes them."""
    features = yaml.safe_load((project / "params.yaml").read_text("utf-8"))["features"]
    numeric, names = features["numeric"], features["numeric"] + features["categorical"]
    with (project / "data/split/test.csv").open(encoding="utf-8", newline="") as file:
        return {
            tuple(
                str(float(row[name])) if name in numeric and row[name] else row[name] or "None"
                for name in sorted(names)
            )
            for row in csv.DictReader(file)
        }


@pytest.mark.parametrize("make", EXAMPLES.values(), ids=EXAMPLES)
def test_a_model_from_a_table_of_ones_own(
    make: Callable[[], Example],
    environment: Path,
    home: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The inferred files fit the pipeline: it validates, trains, and beats the first policy."""
    example = make()
    source = tmp_path / "table.csv"
    source.write_text(example.text, encoding="utf-8", newline="")
    words = ["new", "--no-input", "--json", "--data", str(source), "--target", example.target]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        assert run([*words, "--slug", "own-table", "--directory", str(tmp_path)]) == 0
    project = tmp_path / "own-table"
    train(environment, project)
    decided = json.loads(capfd.readouterr().out)["inferred"]["split"]
    with (project / "data/split/test.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.reader(file))) - 1 == decided["test_rows"]
    validation = json.loads((project / "reports" / "validation.json").read_text("utf-8"))
    assert validation["passed"] is True
    measured = json.loads((project / "reports" / "metrics.json").read_text("utf-8"))["test"]
    policy = parse_policy((project / "policy.yaml").read_bytes(), where="policy.yaml")
    for name, rule in policy.metrics.items():
        value = measured[name.removeprefix("test.")]
        assert rule.min_value is None or value >= rule.min_value, name
        assert rule.max_value is None or value <= rule.max_value, name
    if make is make_awkward:  # the project's tests know the table from its files alone
        # Of its six coarse features the contract alone makes rows that people share by chance.
        assert " passed" in run_tool(environment, project, "pytest", "-q")
    else:
        assert not find_golden_rows(project) & read_rows(project)


def test_every_decided_table_trains(environment: Path, generate: Generate, tmp_path: Path) -> None:
    """Whatever `new` decided: the stages read it, choose those test rows, and train on the rest."""
    project = generate(tmp_path, task="binary")
    folders = {}
    for number, (name, case) in enumerate(CASES.items()):
        folder = tmp_path / "tables" / str(number)
        folder.mkdir(parents=True)
        facts = decide(case, folder)
        shutil.copytree(folder / "set", folder, dirs_exist_ok=True)
        (folder / "data" / "raw").mkdir(parents=True)
        (folder / "set" / "data.csv").rename(folder / "data" / "raw" / "table.csv")
        shutil.copy(project / "trusted_types.txt", folder)
        folders[folder] = (name, facts)
    package = project.name.replace("-", "_")
    words = ("-c", RUN_FOLDERS, package, ",".join(STAGES), *map(str, folders))
    failed = json.loads(run_tool(environment, project, "python", *words))
    assert {folders[Path(folder)][0]: error for folder, error in failed.items()} == {}
    for folder, (name, facts) in folders.items():
        with (folder / "reports/predictions.csv").open(encoding="utf-8", newline="") as file:
            assert len(list(csv.reader(file))) - 1 == facts.split.test_rows, name


@pytest.mark.parametrize("task", ["binary", "regression", "multiclass"])
def test_a_project_passes_its_own_checks(
    task: str, environment: Path, generate: Generate, tmp_path: Path
) -> None:
    """Lint, format, types and tests of the generated project, with its own locked tools."""
    project = generate(tmp_path, task=task)
    run_tool(environment, project, "ruff", "check")
    run_tool(environment, project, "ruff", "format", "--check")
    run_tool(environment, project, "mypy")
    train(environment, project)
    printed = run_tool(environment, project, "pytest", "-q")
    assert " passed" in printed
    assert "skipped" not in printed
    timing = time_model(environment, project)
    assert 0 < timing.row_ms < 10_000
    assert 0 < timing.thousand_rows_ms < 10_000
    check_folds(project)


def check_folds(project: Path) -> None:
    """Let the project measure the ends of what its tune.yaml names, where no test rows are.

    A value that the estimator cannot take is answered with a reason, and the next line is measured.
    """
    (project / "data/split/test.csv").unlink()
    (project / "data/split/test.csv").mkdir()  # nobody can read that
    space = parse_settings((project / "tune.yaml").read_bytes()).space
    ends = [
        entry.choices[:2] if isinstance(entry, Choices) else (entry.low, entry.high)
        for entry in space.values()
    ]
    with Scorer(project, find_package(project), 4) as scorer:
        for values in (
            {},
            *(dict(zip(space, end, strict=True)) for end in zip(*ends, strict=True)),
        ):
            scores = scorer.measure(values, find_metric(project), 600)
            assert (len(scores), all(map(math.isfinite, scores))) == (4, True), values
            with pytest.raises(TrialError, match="max_depth"):
                scorer.measure({"train.settings.max_depth": 3}, find_metric(project), 600)
        assert sum(fold.test for fold in scorer.folds) > 100


def find_package(project: Path) -> str:
    """Return the name of the project's package."""
    (module,) = project.glob("src/*/folds.py")
    return module.parent.name


def find_metric(project: Path) -> str:
    """Return the first judged metric, as the project's code names it."""
    policy = parse_policy((project / "policy.yaml").read_bytes(), where="policy.yaml")
    return next(iter(policy.metrics)).removeprefix("test.")


def reproduce(
    environment: Path, project: Path, *words: str, env: dict[str, str] | None = None
) -> None:
    """Let DVC run what is to be run, with the Python of the pipeline environment."""
    path = f"{environment / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        [Path(sys.executable).parent / "dvc", "repro", *words],
        cwd=project,
        env=env or {**os.environ, "PATH": path, "PYTHONPATH": "src"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_other_seeds_train_models_that_the_comparison_counts(
    environment: Path,
    generate: Generate,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Each of `other_seeds` gives a model and predictions, and the served one stays as it was."""
    project = generate(tmp_path, task="multiclass")
    params = project / "params.yaml"
    text = params.read_text("utf-8")
    forest = "sklearn.ensemble.RandomForestClassifier\n  settings: {n_estimators: 5}"
    start = text.index("  estimator: ") + len("  estimator: ")
    end = text.index("  decision_boundary")
    text = f"{text[:start]}{forest}\n{text[end:]}".replace("other_seeds: []", "other_seeds: [3, 4]")
    params.write_text(text, encoding="utf-8")
    reproduce(environment, project, "evaluate", "score_seed")
    served, *others = (
        list(csv.reader((project / path).read_text("utf-8").splitlines()))
        for path in ("reports/predictions.csv", "reports/seeds/3.csv", "reports/seeds/4.csv")
    )
    assert [[row[:2] for row in rows] for rows in others] == [[row[:2] for row in served]] * 2
    assert served != others[0] != others[1]
    lock = (project / "dvc.lock").read_bytes()
    (project / ".venv").symlink_to(environment)
    with start_fork_server(project, project_environment(project)) as server:
        words = ("--force", "evaluate", "score_seed")
        reproduce(environment, project, *words, env=server.environment)
        # The system counts what it ran: every stage, and the imports before them.
        stat = Path(f"/proc/{server.process}/stat").read_text("utf-8").rpartition(")")[2].split()
        assert int(stat[13]) > 0
    assert (project / "dvc.lock").read_bytes() == lock  # each output has the same bytes
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "Three seeds")
    params.write_text(text.replace("seed: 2007", "seed: 2008"), encoding="utf-8")
    reproduce(environment, project, "evaluate", "score_seed")
    capfd.readouterr()
    monkeypatch.chdir(project)
    run(["compare", "--base", "HEAD", "--json"])
    report = json.loads(capfd.readouterr().out)
    states = {stage["name"]: stage["state"] for stage in report["stages"]}
    assert (states["train"], states["train_seed@3"]) == ("changed", "unchanged")
    judged = {metric["name"]: metric["evidence"] for metric in report["metrics"]}
    seeds = judged["test.balanced_accuracy"]["seeds"]
    assert seeds["seeds"] == 3


def time_model(environment: Path, project: Path) -> Timing:
    """Ask the project how long its model takes, as `mlgitops train` does."""
    (project / ".venv").symlink_to(environment)
    files = parse_policy((project / "policy.yaml").read_bytes(), where="policy.yaml").files
    module = find_scoring(project, files)
    assert module == f"{project.name.replace('-', '_')}.scoring"
    return measure_latency(project, module, files, project_environment(project))
