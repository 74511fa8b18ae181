"""`mlgitops tune`: real processes measure, real DVC cuts, and a real origin gets one branch."""

from __future__ import annotations

import json
import os
import random
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from git_project import git
from shared import make_once
from tuned_project import FOLDS, PARAMS, TUNE, TunedProject, make_tuned, run_killed

from mlgitops.cli import run
from mlgitops.console import Console
from mlgitops.errors import MlgitopsError
from mlgitops.model.tuning import Fold, Shard
from mlgitops.tuning.inputs import read_disk
from mlgitops.tuning.journal import Journal, hold_journal, locate_journal, read_journal
from mlgitops.tuning.scorer import Scorer, TimeIsUpError
from mlgitops.tuning.search import search

if TYPE_CHECKING:
    from pathlib import Path

    from mlgitops.model.tuning import ShardResult
    from mlgitops.rehearsal.forge import Forge


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the project whose rows DVC has cut; only to be copied."""
    return make_once(tmp_path_factory, "tuned_project", make_tuned)


@pytest.fixture
def project(made: Path, tmp_path: Path) -> TunedProject:
    """Return a copy of it with an origin."""
    return TunedProject(made, tmp_path)


@pytest.fixture
def origin(project: TunedProject) -> Path:
    """Return the repository that the forge serves."""
    return project.origin


def measure(project: TunedProject, shard: Shard | None = None) -> tuple[Path, ShardResult]:
    """Measure a shard's trials; return the journal and what it holds."""
    shard = shard or Shard()
    path = search(project.root, read_disk(project.root), shard, Console(quiet=True))
    return path, read_journal(path)


def call(
    project: TunedProject, capsys: pytest.CaptureFixture[str], *words: object
) -> dict[str, Any]:
    """Run the command; return what it says that it did."""
    capsys.readouterr()
    words = ("tune", *map(str, words), "--json", "--directory", str(project.root))
    code = run([str(word) for word in words])
    printed = capsys.readouterr()
    assert code == 0, printed.err
    said: dict[str, Any] = json.loads(printed.out)
    return said


def test_the_best_trial_becomes_one_pull_request(
    project: TunedProject, forge: Forge, capsys: pytest.CaptureFixture[str]
) -> None:
    """DVC cuts, all trials are measured, and one branch edits params.yaml and adds the table."""
    shutil.rmtree(project.root / "data" / "split")  # as in a fresh clone
    said = call(project, capsys)
    (branch, tip), *others = project.list_branches().items()
    assert (others, said["branch"], said["commit"], said["better"]) == ([], branch, tip, True)
    tuning = said["tuning"]
    best = tuning["winner"]["values"]["train.settings.alpha"]
    assert best < 100
    assert project.show(branch, "params.yaml") == PARAMS.replace("900.0", str(best))
    assert json.loads(project.show(branch, "reports/tuning.json")) == tuning
    changed = git(project.origin, "diff", "--name-only", "main", branch).splitlines()
    assert changed == ["params.yaml", "reports/tuning.json"]
    pull = forge.state.pulls[said["pull_request"]]
    assert f"| `train.settings.alpha` | `900.0` | `{best}` |" in pull.body
    assert "xychart-beta" in pull.body
    assert call(project, capsys)["pull_request"] == said["pull_request"]
    assert (len(forge.state.pulls), project.list_branches()) == (1, {branch: tip})


def test_the_test_rows_are_never_opened(project: TunedProject) -> None:
    """With something that nobody can read in their place, every trial is measured."""
    test = project.root / "data" / "split" / "test.csv"
    test.unlink()
    test.mkdir()
    _, result = measure(project)
    assert len(result.trials) == 8


def test_what_is_within_noise_is_not_proposed(
    project: TunedProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """Parameters that are good already stay, unless somebody insists."""
    project.change({"params.yaml": PARAMS.replace("900.0", "0.5")})
    path, _ = measure(project)
    said = call(project, capsys, "--merge", path)
    assert (said["better"], said["branch"], project.list_branches()) == (False, None, {})
    forced = call(project, capsys, "--merge", path, "--force")
    assert list(project.list_branches()) == [forced["branch"]]


def test_a_dry_run_proposes_nothing(
    project: TunedProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is better is shown alone."""
    path, _ = measure(project)
    said = call(project, capsys, "--merge", path, "--dry-run")
    assert (said["better"], said["branch"], project.list_branches()) == (True, None, {})
    assert run(["tune", "--merge", str(path), "--dry-run", "--directory", str(project.root)]) == 0
    assert "Nothing is proposed: a dry run" in capsys.readouterr().out


def test_what_the_default_branch_does_not_hold_is_not_proposed(
    project: TunedProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """Other code than was measured may have another best; the message names the file."""
    path, _ = measure(project)
    code = project.root / "src" / "line" / "folds.py"
    git(project.root, "switch", "--quiet", "--create", "elsewhere")
    code.write_text(code.read_text() + "# another\n")
    git(project.root, "commit", "--quiet", "--all", "--message", "Elsewhere")
    git(project.root, "push", "--quiet", "origin", "elsewhere:main")
    git(project.root, "switch", "--quiet", "main")
    assert run(["tune", "--merge", str(path), "--directory", str(project.root)]) == 2
    assert "main has another src/line/folds.py than what was measured" in capsys.readouterr().err
    assert project.list_branches() == {}


def test_rows_that_dvc_lock_does_not_name_are_not_measured(project: TunedProject) -> None:
    """A table that was edited by hand is refused before a trial."""
    table = project.root / "data" / "split" / "train.csv"
    table.write_text(table.read_text() + "1.0,2.0\n")
    with pytest.raises(MlgitopsError, match=r"not the rows that dvc\.lock names"):
        measure(project)


def test_a_project_that_keeps_tables_in_parquet_is_searched(
    project: TunedProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the training rows the name and the hash are read here; the project opens them."""
    edited = {
        path: (project.root / path).read_text().replace(".csv", ".parquet")
        for path in ("split.py", "dvc.yaml", "src/line/folds.py")
    }
    for path in ("split.py", "dvc.yaml"):  # the raw table stays what it is
        edited[path] = edited[path].replace("raw/table.parquet", "raw/table.csv")
    project.change(edited)
    said = call(project, capsys, "--dry-run")
    assert (len(said["tuning"]["trials"]), said["better"]) == (8, True)
    assert read_disk(project.root).train == "data/split/train.parquet"


def test_shards_share_the_trials_and_are_merged(
    project: TunedProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three shards try eight values, no two the same; a journal given twice counts once."""
    shards = [Shard(number=number, count=3) for number in (1, 2, 3)]
    journals = [measure(project, shard)[0] for shard in shards]
    said = call(project, capsys, "--merge", *journals, journals[0], "--dry-run")
    trials = said["tuning"]["trials"]
    assert len(trials) == 8
    assert len({trial["values"]["train.settings.alpha"] for trial in trials}) == 8
    assert {trial["shard"] for trial in trials} == {1, 2, 3}
    part = call(project, capsys, "--merge", *journals[:2], "--dry-run")
    assert part["tuning"]["missing_shards"] == [3]


def test_a_journal_of_other_inputs_is_refused(
    project: TunedProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was measured with other parameters is no part of this search."""
    path, _ = measure(project)
    project.change({"params.yaml": PARAMS.replace("900.0", "800.0")})
    assert run(["tune", "--merge", str(path), "--directory", str(project.root)]) == 2
    assert "other parameters, rows, settings or code" in capsys.readouterr().err


def test_two_searches_do_not_write_one_journal(project: TunedProject) -> None:
    """The second is refused while the first one runs."""
    path = locate_journal(project.root, read_disk(project.root), Shard())
    with (
        hold_journal(project.root, path),
        pytest.raises(MlgitopsError, match="another search is writing this"),
    ):
        measure(project)


@pytest.mark.parametrize("edited", ["src/line/folds.py", "params.yaml", "data/split/train.csv"])
def test_what_is_edited_while_it_is_measured_is_no_trial(
    project: TunedProject, edited: str
) -> None:
    """A process that starts anew would measure it in the name of what stood there before."""
    choose_modes(project, "fits", "edits")
    before = (project.root / edited).read_bytes()
    (project.root / "to-edit").write_text(edited)
    with pytest.raises(MlgitopsError, match=r"while trials were measured|not the rows") as caught:
        measure(project)
    assert (project.root / edited).read_bytes() != before
    assert caught.value.where == edited
    (project.root / edited).write_bytes(before)
    (project.root / "to-edit").unlink()
    path, result = measure(project)
    assert (len(result.trials), all(trial.scores for trial in result.trials)) == (8, True)
    path.unlink()
    assert measure(project)[1].trials == result.trials  # as if nobody had edited anything


def test_a_trial_that_a_kill_ended_is_begun_again(project: TunedProject) -> None:
    """It counts for nothing, its half line goes, and its values come again, once."""
    inputs = read_disk(project.root)
    path = locate_journal(project.root, inputs, Shard())
    with hold_journal(project.root, path):
        values = Journal(path, inputs, Shard()).begin()
    path.write_bytes(path.read_bytes() + b'{"op_code": 6, "tri')
    with hold_journal(project.root, path):
        journal = Journal(path, inputs, Shard())
        assert (journal.begin(), journal.count_told()) == (values, 0)
        journal.tell([0.5] * 5)
        assert (journal.count_told(), journal.begin() == values) == (1, False)


def choose_modes(project: TunedProject, *modes: str) -> None:
    """Let each trial be of one of these modes of the project's program."""
    choices = f"  train.settings.mode: {{choices: [{', '.join(modes)}]}}\n"
    project.change({"tune.yaml": TUNE + choices})


@pytest.mark.parametrize("mode", ["wrong", "ends"])
def test_a_trial_that_cannot_be_measured_is_no_trial_that_is_lost(
    project: TunedProject, mode: str
) -> None:
    """Its reason is kept, the others go on, and a process that ended is started again."""
    choose_modes(project, "fits", mode)
    _, result = measure(project)
    failed = [trial for trial in result.trials if trial.scores is None]
    assert len(result.trials) == 8
    assert {trial.values["train.settings.mode"] for trial in failed} == {mode}
    reason = failed[0].problem or ""
    assert ("no such mode" if mode == "wrong" else "ended with 9") in reason
    assert "\n::" not in reason  # a workflow would obey it


def test_a_lost_cluster_is_no_trial_and_the_search_goes_on(project: TunedProject) -> None:
    """Nothing is written of the values that it was lost with: they come again, and first."""
    choose_modes(project, "fits", "asks")
    sign = project.root / "cluster-is-lost"
    sign.touch()
    with pytest.raises(MlgitopsError, match=r"scheduler was lost\n +\| ::error::") as caught:
        measure(project)
    assert "run it again" in (caught.value.hint or "")
    path = locate_journal(project.root, read_disk(project.root), Shard())
    before = read_journal(path).trials
    assert not any(trial.problem for trial in before)
    sign.unlink()
    _, result = measure(project)
    assert (len(result.trials), result.trials[: len(before)]) == (8, before)
    assert all(trial.scores for trial in result.trials)
    path.unlink()
    assert measure(project)[1].trials == result.trials  # as if it had never been lost


def test_a_project_that_prints_before_its_folds_is_told_so(project: TunedProject) -> None:
    """No trial is given up for it: nothing was measured yet."""
    project.change({"src/line/folds.py": f"print('ready')\n{FOLDS}"})
    with pytest.raises(MlgitopsError, match="cuts no folds: its answer cannot be read") as caught:
        measure(project)
    assert "let no module print" in (caught.value.hint or "")


def test_a_search_in_which_nothing_can_be_measured_ends(project: TunedProject) -> None:
    """It says why, and does not go through all trials."""
    choose_modes(project, "wrong", "wrong too")
    with pytest.raises(MlgitopsError, match="5 trials one after the other have no scores"):
        measure(project)


def test_a_trial_that_hangs_is_ended(project: TunedProject) -> None:
    """Its process is gone when the time is up, and the next trial has one that answers."""
    with Scorer(project.root, "line", 5) as scorer:
        scores = scorer.measure({}, "rmse", 60)
        with pytest.raises(TimeIsUpError, match=r"over 0\.5 s"):
            scorer.measure({"train.settings.mode": "hangs"}, "rmse", 0.5)
        assert scorer.measure({}, "rmse", 60) == scores


def test_no_trial_begins_when_the_time_is_used_up(project: TunedProject) -> None:
    """What was spent before a kill counts, and what was measured is kept."""
    path, _ = measure(project)
    inputs = read_disk(project.root)
    path.unlink()
    with hold_journal(project.root, path):
        journal = Journal(path, inputs, Shard())
        journal.tell_current([0.5] * 5, (Fold(train=48, test=12),) * 5)
        journal.spend(600)
    _, result = measure(project)
    assert (result.trials, result.current) == ((), (0.5,) * 5)


def tear(path: Path, source: random.Random) -> None:
    """Cut the journal's last line short, as a machine that fails may leave it."""
    data = path.read_bytes() if path.is_file() else b""
    begin = data.rfind(b"\n", 0, -1) + 1
    if len(data) - begin > 1:
        path.write_bytes(data[: source.randrange(begin + 1, len(data))])


@pytest.mark.slow
def test_kills_change_nothing(
    made: Path, tmp_path: Path, forge: Forge, project: TunedProject
) -> None:
    """After 50 kills at seeded effects: the trials of one that nobody killed, one pull request.

    Half of the time the last line of the journal is torn besides, which gives up one step more.
    """
    (tmp_path / "undisturbed").mkdir()
    undisturbed, expected = measure(TunedProject(made, tmp_path / "undisturbed"))
    assert len(expected.trials) == 8
    source, kills, scenes = random.Random(12), 0, 0  # noqa: S311 - the same each time
    while kills < 50:
        journal = project.root / undisturbed.relative_to(tmp_path / "undisturbed" / "project")
        code = run_killed(project.root, os.environ, source.randint(1, 150))
        while code:
            assert code == -9
            kills += 1
            if source.random() < 0.5:
                tear(journal, source)
            code = run_killed(project.root, os.environ, source.randint(1, 150))
        scenes += 1
        assert read_journal(journal) == expected
        assert (len(project.list_branches()), len(forge.state.pulls)) == (1, 1)
        journal.unlink()
    assert scenes > 1
