"""`mlgitops train` on a project of two stages, with real DVC."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from git_project import commit, git
from integration.setup_project import clone, make_origin, make_project, quiet, shown

from mlgitops.cli import run
from mlgitops.errors import MlgitopsError
from mlgitops.project.training import RUN_FILE, quote_line, run_pipeline
from mlgitops.storage import prepare_storage, publish_objects


def train(project: Path, *, base: str | None = None) -> dict[str, str]:
    """Train and return stage name to state."""
    prepare_storage(project, quiet())
    return {stage.name: stage.state for stage in run_pipeline(project, quiet(), base=base)}


@pytest.fixture
def fresh_clone(two_stages: Path, tmp_path: Path) -> Path:
    """Return a clone of a trained and published project, without data and cache."""
    origin = make_origin(two_stages, tmp_path / "origin.git")
    publish_objects(two_stages, quiet())
    return clone(origin, tmp_path / "clone")


def test_stages_run_once_then_only_what_changed(tmp_path: Path) -> None:
    """Every stage runs the first time, none the second, and after an edit only what it reaches."""
    project = make_project(tmp_path / "project")
    assert train(project) == {"double": "ran", "total": "ran"}
    assert train(project) == {"double": "skipped", "total": "skipped"}
    source = project / "src/demo/total.py"
    source.write_text(source.read_text() + "# a comment\n")
    assert train(project) == {"double": "skipped", "total": "ran"}


def test_outputs_come_back_after_a_checkout(two_stages: Path) -> None:
    """Another revision's outputs are restored, not made again, and hold that revision's data."""
    first = git(two_stages, "rev-parse", "HEAD")
    (two_stages / "params.yaml").write_text("factor: 3\n")
    train(two_stages)
    commit(two_stages, "Train with 3")
    git(two_stages, "checkout", "--quiet", first)
    assert train(two_stages) == {"double": "restored", "total": "restored"}
    assert (two_stages / "data/double.csv").read_text() == "2\n4\n6\n"


def test_the_table_of_another_commit_is_no_edit(two_stages: Path) -> None:
    """After a merge or a switch of branches the pointer decides; a file nobody committed is new."""
    table, pointer = two_stages / "data/raw/table.csv", two_stages / "data/raw/table.csv.dvc"
    git(two_stages, "switch", "--quiet", "--create", "more")
    table.write_text("1\n2\n3\n4\n")
    assert train(two_stages) == {"double": "ran", "total": "ran"}  # an edit, which DVC takes
    commit(two_stages, "Train on more rows")
    git(two_stages, "switch", "--quiet", "main")
    assert train(two_stages) == {"double": "restored", "total": "restored"}
    assert table.read_text() == "1\n2\n3\n"
    git(two_stages, "merge", "--quiet", "more")
    assert train(two_stages) == {"double": "restored", "total": "restored"}
    assert table.read_text() == "1\n2\n3\n4\n"
    assert git(two_stages, "status", "--porcelain", "--", str(pointer)) == ""
    table.write_text("5\n")
    assert train(two_stages) == {"double": "ran", "total": "ran"}


def test_fresh_clone_fetches_from_the_storage(fresh_clone: Path) -> None:
    """A clone with no data and no cache restores every output from the storage branch."""
    assert train(fresh_clone) == {"double": "restored", "total": "restored"}
    parts = sorted(path.name for path in (fresh_clone / "parts").iterdir())
    assert parts == ["2.txt", "4.txt", "6.txt"]


def test_from_base_a_claimed_lock_entry_is_not_believed(two_stages: Path) -> None:
    """With --base an edited stage runs although the pull request's lock says it is up to date."""
    base = git(two_stages, "rev-parse", "HEAD")
    (two_stages / "params.yaml").write_text("factor: 3\n")
    train(two_stages)
    commit(two_stages, "Train with 3")
    assert train(two_stages) == {"double": "skipped", "total": "skipped"}
    assert train(two_stages, base=base) == {"double": "ran", "total": "ran"}


def test_from_base_unchanged_stages_need_no_data(fresh_clone: Path) -> None:
    """With --base a clone without data skips what did not change and fetches only inputs."""
    source = fresh_clone / "src/demo/total.py"
    source.write_text(source.read_text() + "# a comment\n")
    assert train(fresh_clone, base="HEAD") == {"double": "restored", "total": "ran"}
    assert not (fresh_clone / "data/raw/table.csv").exists()


def test_base_without_a_lock_runs_everything(two_stages: Path) -> None:
    """A base that has no dvc.lock vouches for nothing."""
    base = git(two_stages, "rev-parse", "HEAD^")
    assert train(two_stages, base=base) == {"double": "ran", "total": "ran"}


def test_the_storage_is_the_bases(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --base a pull request that points at another storage reads the reviewed one."""
    project = make_project(tmp_path / "project", url=str(tmp_path / "store"))
    train(project)
    base = commit(project, "Train")
    origin = make_origin(project, tmp_path / "origin.git")
    publish_objects(project, quiet())
    other = clone(origin, tmp_path / "clone")
    config = other / ".dvc/config"
    config.write_text(config.read_text().replace("/store", "/elsewhere"))
    (other / "src/demo/total.py").write_text((other / "src/demo/total.py").read_text() + "# x\n")
    head = commit(other, "Point elsewhere")
    assert run(["train", "--directory", str(other), "--base", base]) == 0
    printed = capsys.readouterr()
    assert "double               restored" in printed.out
    assert ".dvc/config is taken from the base" in printed.err
    assert not (tmp_path / "elsewhere").exists()
    assert "/elsewhere" in config.read_text()
    assert git(other, "diff", "--name-only", head) == "dvc.lock"


def test_a_local_configuration_in_git_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would win over the base's, so nothing is fetched and nothing runs."""
    project = make_project(tmp_path / "project")
    base = git(project, "rev-parse", "HEAD")
    (project / ".dvc/config.local").write_text("[core]\n    remote = other\n")
    git(project, "add", "--force", ".dvc/config.local")
    commit(project, "Decide for DVC")
    assert run(["train", "--directory", str(project), "--base", base]) == 2
    assert ".dvc/config.local: DVC's own files" in capsys.readouterr().err
    assert not (project / "data/double.csv").exists()


def test_record_and_json_agree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--json` prints what `.mlgitops/run.json` holds: name, state and seconds of each stage."""
    project = make_project(tmp_path / "project")
    assert run(["train", "--directory", str(project), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((project / RUN_FILE).read_text())
    assert [stage["name"] for stage in printed["stages"]] == ["double", "total"]
    assert all(stage["seconds"] > 0 for stage in printed["stages"])


def _type(steps: str, project: Path) -> None:
    """Type the commands that were printed, as they were printed."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run(
        ["bash", "-euc", steps], cwd=project, env=environment, check=True, capture_output=True
    )


def _make_judged(place: Path) -> Path:
    """Return a project that was never trained, whose policy asks for something, on main."""
    project = make_project(place)
    (project / "policy.yaml").write_text(
        "version: 1\nmetrics: {total: {greater_is_better: true, min_value: 12, max_worsening: 1}}\n"
    )
    commit(project, "Ask for something")
    git(project, "branch", "--move", "main")
    return project


def _read_ending(printed: str) -> tuple[str, list[str]]:
    """Return the policy's word, and the lines that were said after `Next:`."""
    word = next(line for line in printed.splitlines() if line.startswith("policy: "))
    return word, [line.strip() for line in printed.partition("Next:\n")[2].splitlines()]


def test_a_training_ends_with_the_policys_word_and_steps_that_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first model is held to bounds, the next to main's model; each step works as printed."""
    project = _make_judged(tmp_path / "project")
    git(project, "config", "user.name", "A Tester")  # who types the steps, on any machine
    git(project, "config", "user.email", "tester@example.org")
    monkeypatch.chdir(project)
    assert run(["train"]) == 0
    word, steps = _read_ending("".join(capsys.readouterr()))
    assert word == "policy: would pass (its bounds: there is no model before it)"
    assert steps[0] == 'git add -A && git commit -m "Train the first model"'
    assert [step.split("  ")[0] for step in steps[1:]] == [
        "mlgitops publish",
        "git switch -c try-something",
    ]
    _type("\n".join(steps), project)
    assert run(["train", "--no-compare"]) == 0
    assert "policy: " not in "".join(capsys.readouterr())
    base = git(project, "rev-parse", "--short", "main")
    (project / "params.yaml").write_text("factor: 1\n")
    assert run(["train"]) == 0
    printed = "".join(capsys.readouterr())
    word, steps = _read_ending(printed)
    assert word == f"policy: would fail (against {base})"
    assert "\n  ✗ `total`" in printed
    assert [step.split("  ")[0] for step in steps] == [
        'git add -A && git commit -m "Train the model"',
        "mlgitops rehearse",
    ]
    assert run(["train", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["policy"]["verdict"] == "fail"
    assert document["next"] == steps
    assert run(["train", "--base", "main"]) == 0
    assert "policy:" not in capsys.readouterr().out


def test_a_first_model_on_a_branch_is_judged_as_its_pull_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Main has no model to compare with: the pull request fails, and the training says so."""
    project = _make_judged(tmp_path / "project")
    git(project, "switch", "--quiet", "--create", "first")
    monkeypatch.chdir(project)
    assert run(["train"]) == 0
    printed = "".join(capsys.readouterr())
    word, steps = _read_ending(printed)
    assert word.startswith("policy: would fail (against ")
    assert "its pipeline never ran" in " ".join(printed.split())
    assert [step.split("  ")[0] for step in steps] == [
        'git add -A && git commit -m "Train the first model"',
        "git switch main",
        "mlgitops train",
    ]
    commit(project, "Train the first model")
    assert run(["compare"]) == 1
    git(project, "config", "user.name", "A Tester")
    git(project, "config", "user.email", "tester@example.org")
    _type("\n".join(steps[1:2]), project)
    assert run(["train"]) == 0
    word, steps = _read_ending("".join(capsys.readouterr()))
    assert word == "policy: would pass (its bounds: there is no model before it)"
    _type(steps[0], project)
    git(project, "switch", "--quiet", "first")
    assert run(["train"]) == 0
    steps = _read_ending("".join(capsys.readouterr()))[1]
    assert steps[-1].split("  ")[0] == "mlgitops rehearse"


def test_the_judging_policy_is_shown_and_the_branch_is_new(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A branch that relaxes policy.yaml is shown base's limits; a taken name is not proposed."""
    project = _make_judged(tmp_path / "project")
    strict = (
        "version: 1\nfiles: {predictions: predictions.csv}\n"
        "metrics: {test.accuracy: {greater_is_better: true, min_value: 0.875}}\n"
    )
    (project / "policy.yaml").write_text(strict)
    rows = [f"{row},{row % 2},{row % 2}" for row in range(40)]
    (project / "predictions.csv").write_text("\n".join(["id,target,prediction", *rows, ""]))
    commit(project, "Judge the accuracy")
    git(project, "branch", "try-something")
    monkeypatch.chdir(project)
    assert run(["train"]) == 0
    steps = _read_ending("".join(capsys.readouterr()))[1]
    assert steps[-1].split("  ")[0] == "git switch -c try-something-2"
    _type(steps[-1], project)
    (project / "policy.yaml").write_text(strict.replace("0.875", "0.125"))
    assert run(["train"]) == 0
    printed = "".join(capsys.readouterr())
    assert "at least 0.875" in printed
    assert "at least 0.125" not in printed


def test_an_unreadable_policy_does_not_undo_a_training(
    two_stages: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was trained stays trained; the warning says what keeps it from being judged."""
    (two_stages / "policy.yaml").write_text("version: 1\nmetrics: [\n")
    assert run(["train", "--directory", str(two_stages)]) == 0
    printed = capsys.readouterr()
    assert "was trained, and not judged: policy.yaml" in printed.err
    assert "total" in printed.out


def test_failing_stage_shows_its_own_last_lines(tmp_path: Path) -> None:
    """A stage that fails is named, with what it printed, each line marked as quoted."""
    project = make_project(tmp_path / "project")
    (project / "params.yaml").write_text("factor: 0\n")
    with pytest.raises(MlgitopsError, match="stage double failed") as caught:
        train(project)
    assert "    | a factor of 0 loses every row" in caught.value.what
    assert not (project / RUN_FILE).exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--base", "no-such-revision"], "the base no-such-revision is not in this clone"),
        (["--base", "--help-me"], "the base --help-me is not in this clone"),
    ],
)
def test_unknown_base_is_refused(tmp_path: Path, arguments: list[str], message: str) -> None:
    """A base that this clone lacks ends the command before anything is replaced."""
    project = make_project(tmp_path / "project")
    with pytest.raises(MlgitopsError, match=message):
        train(project, base=arguments[1])


def test_folder_without_a_pipeline_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Outside a project the command says so and exits with 2."""
    assert run(["train", "--directory", str(tmp_path)]) == 2
    assert "there is no dvc.yaml" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["train", "publish"])
def test_outside_of_git_the_message_says_so(
    tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a folder that is no git repository the commands end with 2 and say what to do."""
    project = make_project(tmp_path / "project")
    shutil.rmtree(project / ".git")
    assert run([command, "--directory", str(project)]) == 2
    said = capsys.readouterr().err
    assert "not a git repository" in said
    assert "git init" in said


def test_progress_names_each_stage(tmp_path: Path) -> None:
    """While the pipeline runs, every stage that ran is shown with its time."""
    project = make_project(tmp_path / "project")
    console = quiet()
    run_pipeline(project, console)
    lines = [line.split() for line in shown(console).splitlines()]
    assert [line[1] for line in lines] == ["double", "total"]
    assert all(line[-1] == "s" for line in lines)


@pytest.mark.parametrize(
    "line", ["::error::x", "  ::set-output name=a::b", "##[group]x", "\x1b[2J"]
)
def test_quoted_lines_are_no_workflow_commands(line: str) -> None:
    """Whatever a stage prints starts with our mark and holds no command or control character."""
    quoted = quote_line(line)
    assert quoted.startswith("    | ")
    assert "##[" not in quoted
    assert quoted.isprintable()
