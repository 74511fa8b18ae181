"""Runs that lie about a poor model, told to the job in which base's code measures.

The pull request's own code trains, scores, writes every file of its run and hands all of it over.
Whatever it writes, its model is right in 7 of 10 rows, base's in all. None of these is a pass.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from evaluated_project import (
    EVALUATE,
    POLICY,
    SPLIT,
    STAGES,
    TRAIN,
    EvaluatedProject,
    Run,
    edit_report,
    make_dvc_yaml,
    make_rows,
)
from trust.lie import check_lie

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Record = Callable[[str, object], None]
    Change = Callable[[Run], None]

FAIL, CLAIMED, UNDECIDED = "fail", "fail, claimed", "undecided"
_POOR = TRAIN.replace('"thresholds": [best, best]', '"thresholds": [80, 80]')
_LOST = "`test.accuracy` lost more than the 0.02"


def _apart(claimed: str) -> str:
    return f"`test.accuracy` is {claimed} by its own run and 0.7 by base's code"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> EvaluatedProject:
    """Make origin once: a pull request is a branch and folders of its own."""
    return EvaluatedProject(tmp_path_factory.mktemp("evaluated"))


def train_poorly(run: Run) -> None:
    """Commit what every one of these pull requests hides: a poor model."""
    run.write("train.py", _POOR)


class Lie(NamedTuple):
    """A change of code, what its run does, and what it does to that which it hands over."""

    name: str
    verdict: str
    reason: str
    change: Change = train_poorly
    work: Change = Run.execute
    recorded: Callable[[dict[str, Any]], None] | None = None  # on dvc.lock
    handed: Callable[[Path], None] | None = None
    words: tuple[str, ...] = ()


# What a run writes.


def _predict_perfectly(run: Run) -> None:
    rows = [line.split(",") for line in run.read("data/test.csv").splitlines()[1:]]
    lines = [f"{name},{target},{target}" for name, _, target in rows]
    run.write("reports/predictions.csv", "\n".join(["id,target,prediction", *lines]) + "\n")


def _state(run: Run, accuracy: float) -> None:
    run.write("reports/metrics.json", json.dumps({"test": {"accuracy": accuracy}}))


def write_perfect_predictions(run: Run) -> None:
    """Write the labels as predictions, and the metrics that follow."""
    run.execute()
    _predict_perfectly(run)
    _state(run, 1.0)


def write_better_metrics(run: Run) -> None:
    """Edit the metrics alone."""
    run.execute()
    _state(run, 0.99)


def write_slightly_better_metrics(run: Run) -> None:
    """Edit the metrics so little that no reader of a diff would mind."""
    run.execute()
    _state(run, 0.705)


def write_perfect_predictions_alone(run: Run) -> None:
    """Let the predictions narrow the noise, and the metrics be honest."""
    run.execute()
    _predict_perfectly(run)


def shuffle_the_answers(run: Run) -> None:
    """Let other rows be the wrong ones, as many as before: another slice would look bad at base."""
    run.execute()
    lines = run.read("reports/predictions.csv").splitlines()
    rows = [line.split(",") for line in lines[1:]]
    wrong = sum(target != guess for _, target, guess in rows)
    turned = [
        f"{name},{target},{1 - int(target) if at < wrong else target}"
        for at, (name, target, _) in enumerate(rows)
    ]
    run.write("reports/predictions.csv", "\n".join([lines[0], *turned]) + "\n")


def choose_easy_rows(run: Run) -> None:
    """Swap the test rows for those that the model gets right."""
    run.execute("unpack", "split", "train")
    lines = run.read("data/test.csv").splitlines()
    easy = [line for line in lines[1:] if not 50 <= int(line.split(",")[1]) < 80]
    run.write("data/test.csv", "\n".join([lines[0], *easy]) + "\n")
    run.execute("evaluate")


def choose_few_rows(run: Run) -> None:
    """Keep test rows so few that no loss can be proven."""
    run.execute("unpack", "split", "train")
    lines = run.read("data/test.csv").splitlines()
    run.write("data/test.csv", "\n".join(lines[:4]) + "\n")
    run.execute("evaluate")


def relabel_the_rows(run: Run) -> None:
    """Give the test rows the labels that the model predicts."""
    run.execute("unpack", "split", "train")
    lines = run.read("data/test.csv").splitlines()
    rows = [line.split(",") for line in lines[1:]]
    turned = [f"{name},{x},{int(int(x) >= 80)}" for name, x, _ in rows]
    run.write("data/test.csv", "\n".join([lines[0], *turned]) + "\n")
    run.execute("evaluate")


def score_by_other_code(run: Run) -> None:
    """Run another evaluation than the commit has, and put the commit's back."""
    run.execute("unpack", "split", "train")
    run.write("evaluate.py", _KIND_EVALUATION)
    run.execute("evaluate")
    run.write("evaluate.py", EVALUATE)


def keep_other_code(run: Run) -> None:
    """Run another evaluation than the commit has, and let dvc.lock say so."""
    run.execute("unpack", "split", "train")
    run.write("evaluate.py", _KIND_EVALUATION)
    run.execute("evaluate")


def train_as_base(run: Run) -> None:
    """Run base's training in place of the commit's, and say so in dvc.lock."""
    run.write("train.py", TRAIN)
    run.execute()


def lose_the_metric(run: Run) -> None:
    """Write no value for the metric that is judged."""
    run.execute()
    run.write("reports/metrics.json", json.dumps({"test": {"other": 1.0}}))


def write_no_number(run: Run) -> None:
    """Write a metric that nothing can be compared with."""
    run.execute()
    run.write("reports/metrics.json", '{"test": {"accuracy": NaN}}')


def store_model(**changes: object) -> Change:
    """Return what stores a model that differs from an honest one, and claims base's accuracy."""

    def work(run: Run) -> None:
        run.execute("unpack", "split", "train")
        model = json.loads(run.read("model/model.json")) | changes
        run.write("model/model.json", json.dumps(model))
        _predict_perfectly(run)
        _state(run, 1.0)

    return work


def store_bytes(data: bytes) -> Change:
    """Return what stores anything at all as the model."""

    def work(run: Run) -> None:
        store_model()(run)
        run.write("model/model.json", data)

    return work


# What a commit changes.

_KIND_EVALUATION = EVALUATE.replace("right / len(rows)", "min(1.0, right / len(rows) + 0.3)")


def edit_the_metric(run: Run) -> None:
    """Let the evaluation count rows that are wrong."""
    train_poorly(run)
    run.write("evaluate.py", _KIND_EVALUATION)


def edit_what_goes_with_the_rows(run: Run) -> None:
    """Let the split write the same rows, and another table that the evaluation reads."""
    run.write("split.py", run.read("split.py").replace('"by": 1', '"by": 0'))


def edit_the_split(run: Run) -> None:
    """Let the split choose easy rows to test on."""
    train_poorly(run)
    code = run.read("split.py").replace("rows[::3]", "[r for r in rows if r[-1] == '0']")
    run.write("split.py", code)


def read_the_labels(run: Run) -> None:
    """Let the evaluation return each row's own label, found by its id."""
    train_poorly(run)
    code = EVALUATE.replace("int(int(row", 'int(row["target"]) if row["id"] else int(int(row')
    run.write("evaluate.py", code)


def trust_the_type(run: Run) -> None:
    """Add the model's type to the list of those that are loaded."""
    train_poorly(run)
    run.write("trusted_types.txt", "threshold\nbuiltins.eval\n")


def keep_the_test_rows(run: Run) -> None:
    """Take the split out of the pipeline, and let a .dvc file name easy rows."""
    train_poorly(run)
    del run.stages["split"], run.stages["unpack"]
    run.write("dvc.yaml", make_dvc_yaml(run.stages))
    easy = [line for line in make_rows(1200).splitlines() if line.endswith((",0", ",target"))]
    run.write("data/test.csv", "\n".join(easy) + "\n")
    run.write("data/train.csv", make_rows(1200))
    run.point("data/test.csv")
    run.point("data/train.csv")
    lock = json.loads(run.read("dvc.lock"))
    del lock["stages"]["split"], lock["stages"]["unpack"]
    run.write("dvc.lock", json.dumps(lock))


def drop_the_evaluation(run: Run) -> None:
    """Let no stage measure, and commit metrics by hand."""
    train_poorly(run)
    run.stages.pop("evaluate")
    run.write("dvc.yaml", make_dvc_yaml(run.stages))
    _state(run, 1.0)


def move_the_metric(run: Run) -> None:
    """Let another file hold the metric, which base's code does not write."""
    train_poorly(run)
    deps, outs, _ = STAGES["evaluate"]
    run.stages["evaluate"] = (deps, outs, ("reports/better.json",))
    run.write("dvc.yaml", make_dvc_yaml(run.stages))
    code = EVALUATE.replace("reports/metrics.json", "reports/better.json")
    run.write("evaluate.py", code.replace("right / len(rows)", "1.0"))
    (run.root / "reports/metrics.json").unlink()


_BETTER = json.dumps({"kind": "threshold", "rounds": 1, "thresholds": [50, 50]})
_IN_PLACE = "git has something else than DVC at `model/model.json` of head"


def keep_a_better_model_in_git(run: Run) -> None:
    """Commit a better model in the place of the one that dvc.lock will name."""
    train_poorly(run)
    run.write(".gitignore", run.read(".gitignore").replace("/model/model.*\n", ""))
    run.write("model/model.json", _BETTER)


def link_the_models_folder(run: Run) -> None:
    """Let the model's folder be a link to one with a better model, which git keeps."""
    train_poorly(run)
    run.write(".gitignore", run.read(".gitignore").replace("/model/model.*\n", ""))
    (run.root / "better").mkdir()
    run.write("better/model.json", _BETTER)
    shutil.rmtree(run.root / "model")
    (run.root / "model").symlink_to("better")


def train_beside_the_link(run: Run) -> None:
    """Train into a folder of the link's name, and claim what the better model is worth."""
    (run.root / "model").unlink()
    run.execute()
    _predict_perfectly(run)
    _state(run, 1.0)


def add_rows(run: Run) -> None:
    """Bring more raw data beside the poor model."""
    train_poorly(run)
    run.write("data/raw.csv", make_rows(1500))
    run.point("data/raw.csv")


def add_easy_rows_of_its_own(run: Run) -> None:
    """Write other test rows than the split makes of the new raw data."""
    choose_easy_rows(run)


# What a lock says, and what is handed over.


def _entry(document: dict[str, Any], stage: str, path: str) -> list[dict[str, Any]]:
    sides = document["stages"][stage]
    return [entry for entry in (*sides["deps"], *sides["outs"]) if entry["path"] == path]


def name_another_model(document: dict[str, Any]) -> None:
    """Let the lock name an object that nobody has as the model."""
    for stage in ("train", "evaluate"):
        for entry in _entry(document, stage, "model/model.json"):
            entry["md5"] = "0" * 32


def name_other_code(document: dict[str, Any]) -> None:
    """Let the lock be of a run with other code."""
    for entry in _entry(document, "train", "train.py"):
        entry["md5"] = "1" * 32


def name_another_command(document: dict[str, Any]) -> None:
    """Let the lock be of a run with another command."""
    document["stages"]["evaluate"]["cmd"] += " --kindly"


def leave_out_a_stage(document: dict[str, Any]) -> None:
    """Let the lock tell of no evaluation."""
    del document["stages"]["evaluate"]


def name_two_test_sets(document: dict[str, Any]) -> None:
    """Let the evaluation have read other rows than the split wrote."""
    for entry in _entry(document, "evaluate", "data/test.csv"):
        entry["md5"] = "2" * 32


def _find_model(handover: Path) -> Path:
    lock = json.loads((handover / "results" / "dvc.lock").read_bytes())
    digest: str = lock["stages"]["train"]["outs"][0]["md5"]
    return handover / "files" / "md5" / digest[:2] / digest[2:]


def swap_the_object(handover: Path) -> None:
    """Hand a better model over under the poor one's name."""
    better = {"kind": "threshold", "rounds": 1, "thresholds": [50, 50]}
    _find_model(handover).write_text(json.dumps(better), encoding="utf-8")


def keep_the_object(handover: Path) -> None:
    """Hand no model over."""
    _find_model(handover).unlink()


def link_the_object(handover: Path) -> None:
    """Hand over a link to another file of the machine."""
    file = _find_model(handover)
    file.unlink()
    file.symlink_to("/etc/hostname")


def edit_the_results(handover: Path) -> None:
    """Hand better metrics over than the lock names."""
    text = json.dumps({"test": {"accuracy": 1.0}})
    (handover / "results/reports/metrics.json").write_text(text, encoding="utf-8")


def link_the_results(handover: Path) -> None:
    """Hand over a link in place of the metrics."""
    file = handover / "results/reports/metrics.json"
    file.unlink()
    file.symlink_to("/etc/hostname")


def keep_the_lock(handover: Path) -> None:
    """Hand no lock over."""
    (handover / "results/dvc.lock").unlink()


def hand_over_nothing(handover: Path) -> None:
    """Hand over a report alone."""
    for folder in ("results", "files"):
        shutil.rmtree(handover / folder)


def keep_the_report(handover: Path) -> None:
    """Hand no report over."""
    (handover / "report.json").unlink()


def spoil_the_report(handover: Path) -> None:
    """Hand over what is no report."""
    (handover / "report.json").write_bytes(b'{"schema": 1}')


def claim_a_measurement(report: dict[str, Any]) -> None:
    """Say that base's code measured what the run wrote."""
    (change,) = report["metrics"]
    change.update(head=1.0, delta=0.0, relative_delta=0.0, head_claimed=1.0)
    report["measurement"] = {"paths": ["reports/metrics.json"], "rows": 400, "seconds": 1.0}


def claim_better_metrics(report: dict[str, Any]) -> None:
    """Edit the report alone."""
    report["metrics"][0].update(head=1.0, delta=0.0, relative_delta=0.0)
    report["judgement"] = {"verdict": "pass"}


def tell_of_another_head(report: dict[str, Any]) -> None:
    """Hand over the report of another commit."""
    report["head"]["sha"] = "3" * 40


def tell_of_another_base(report: dict[str, Any]) -> None:
    """Hand over a report against another base."""
    report["base"]["sha"] = "3" * 40


def tell_of_another_project(report: dict[str, Any]) -> None:
    """Hand over the report of another project of the repository."""
    report["key"] = "other"


def hide_a_metric_among_the_costs(report: dict[str, Any]) -> None:
    """Let a cost be called as the metric is, with a value of its own."""
    cost = {"name": "test.accuracy", "path": "reports/cost.json", "base": 1.0, "head": 1.0}
    report["cost"] = [{**cost, "delta": 0.0}]


LIES = (
    Lie(
        "perfect predictions, and metrics to match",
        FAIL,
        _apart("1"),
        work=write_perfect_predictions,
    ),
    Lie("better metrics", FAIL, _apart("0.99"), work=write_better_metrics),
    Lie("slightly better metrics", FAIL, _apart("0.705"), work=write_slightly_better_metrics),
    Lie(
        "perfect predictions beside honest metrics",
        FAIL,
        _LOST,
        work=write_perfect_predictions_alone,
    ),
    Lie("easy test rows", FAIL, _apart("1"), work=choose_easy_rows),
    Lie(
        "easy test rows, told as other rows",
        FAIL,
        "those that the base's code makes of its data: `data/test.csv`",
        work=choose_easy_rows,
    ),
    Lie("few test rows", FAIL, _apart("1"), work=choose_few_rows),
    Lie("relabelled test rows", FAIL, _apart("1"), work=relabel_the_rows),
    Lie("metrics of other code than the commit's", FAIL, _apart("1"), work=score_by_other_code),
    Lie(
        "metrics of other code than the commit's, and a lock that says so",
        UNDECIDED,
        "it was run with another evaluate.py than the head's",
        work=keep_other_code,
    ),
    Lie(
        "base's model, trained by base's code, as if it were the commit's",
        UNDECIDED,
        "it was run with another train.py than the head's",
        work=train_as_base,
    ),
    Lie("no value for the metric", FAIL, "`test.accuracy` was removed", work=lose_the_metric),
    Lie("a metric that is no number", FAIL, "head is NaN", work=write_no_number),
    Lie(
        "a model that fails on half of the rows",
        CLAIMED,
        "stage `evaluate` failed: IndexError: list index out of range",
        work=store_model(thresholds=[50]),
    ),
    Lie(
        "a slow model",
        CLAIMED,
        "stage `evaluate` took over 1 s",
        work=store_model(rounds=10**12),
        words=("--timeout", "1"),
    ),
    Lie(
        "a model of a type outside of the list",
        CLAIMED,
        "stage `evaluate` failed: a type that is not trusted: builtins.eval",
        work=store_model(kind="builtins.eval"),
    ),
    Lie(
        "a model of a type that the commit adds to the list",
        CLAIMED,
        "stage `evaluate` failed: a type that is not trusted: builtins.eval",
        change=trust_the_type,
        work=store_model(kind="builtins.eval"),
    ),
    Lie(
        "a model that would run code when it is loaded",
        CLAIMED,
        "`model/model.json` of the pull request is a pickle, which runs code when loaded",
        work=store_bytes(pickle.dumps({"thresholds": [50, 50]})),
    ),
    Lie(
        "a model that is none",
        CLAIMED,
        "stage `evaluate` failed: json.decoder.JSONDecodeError",
        work=store_bytes(b"a model, believe me"),
    ),
    Lie("an evaluation that is kind", FAIL, _LOST, change=edit_the_metric),
    Lie("an evaluation that reads the labels", FAIL, _LOST, change=read_the_labels),
    Lie(
        "a split that chooses easy rows",
        CLAIMED,
        "the pull request edits what makes the test rows (`split.py`)",
        change=edit_the_split,
    ),
    Lie(
        "easy test rows by a .dvc file, without a split",
        CLAIMED,
        "the pull request edits what makes the test rows (`dvc.yaml`)",
        change=keep_the_test_rows,
    ),
    Lie("metrics by hand, without an evaluation", FAIL, _LOST, change=drop_the_evaluation),
    Lie(
        "the metric in another file",
        CLAIMED,
        "base's code does not write `reports/better.json`",
        change=move_the_metric,
    ),
    Lie(
        "a better model in git than in the lock",
        CLAIMED,
        _IN_PLACE,
        change=keep_a_better_model_in_git,
    ),
    Lie(
        "a link to a better model in place of the model's folder",
        CLAIMED,
        _IN_PLACE,
        change=link_the_models_folder,
        work=train_beside_the_link,
    ),
    Lie("a poor model beside more data", FAIL, _LOST, change=add_rows),
    Lie(
        "easy test rows of more data",
        FAIL,
        _apart("1"),
        change=add_rows,
        work=add_easy_rows_of_its_own,
    ),
    Lie(
        "a lock that names an object that nobody has",
        CLAIMED,
        "`model/model.json` of head is not here",
        recorded=name_another_model,
    ),
    Lie(
        "a lock of other code",
        UNDECIDED,
        "it was run with another train.py than the head's",
        recorded=name_other_code,
    ),
    Lie(
        "a lock of another command",
        UNDECIDED,
        "its command is not that of dvc.yaml",
        recorded=name_another_command,
    ),
    Lie(
        "a lock without the evaluation",
        UNDECIDED,
        "its stages are not those of dvc.yaml: evaluate",
        recorded=leave_out_a_stage,
    ),
    Lie(
        "a lock with two test sets",
        UNDECIDED,
        "it was run with another data/test.csv than the head's",
        recorded=name_two_test_sets,
    ),
    Lie(
        "a better model under the poor one's name",
        UNDECIDED,
        "the object's content is not that of its name",
        handed=swap_the_object,
    ),
    Lie("no model", CLAIMED, "`model/model.json` of head is not here", handed=keep_the_object),
    Lie(
        "a link in place of the model",
        UNDECIDED,
        "a link where a file was expected",
        handed=link_the_object,
    ),
    Lie(
        "better metrics than the lock names",
        UNDECIDED,
        "reports/metrics.json: missing, or not what the lock says",
        handed=edit_the_results,
    ),
    Lie(
        "a link in place of the metrics",
        UNDECIDED,
        "a link where a file was expected",
        handed=link_the_results,
    ),
    Lie("no lock", UNDECIDED, "the run handed over no dvc.lock", handed=keep_the_lock),
    Lie("a report alone", UNDECIDED, "the run handed over no dvc.lock", handed=hand_over_nothing),
    Lie("no report", UNDECIDED, "the run left no report", handed=keep_the_report),
    Lie("what is no report", UNDECIDED, "not a report", handed=spoil_the_report),
    Lie(
        "a report that claims to be measured",
        FAIL,
        _LOST,
        handed=edit_report(claim_a_measurement),
    ),
    Lie("a report with better metrics", FAIL, _LOST, handed=edit_report(claim_better_metrics)),
    Lie(
        "the report of another commit",
        UNDECIDED,
        "the report's head is 333333333333",
        handed=edit_report(tell_of_another_head),
    ),
    Lie(
        "a report against another base",
        UNDECIDED,
        "the report's base is 333333333333",
        handed=edit_report(tell_of_another_base),
    ),
    Lie(
        "the report of another project",
        UNDECIDED,
        "the report is of project 'other', not 'model'",
        handed=edit_report(tell_of_another_project),
    ),
    Lie(
        "a metric among the costs",
        FAIL,
        _LOST,
        handed=edit_report(hide_a_metric_among_the_costs),
    ),
)


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.name)
def test_a_lying_run_is_no_pass(
    lie: Lie,
    project: EvaluatedProject,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record_property: Record,
) -> None:
    """Fail by what was measured, fail for being a claim, or nothing decided; with the reason."""
    request = project.open(lie.change, work=lie.work, recorded=lie.recorded, handed=lie.handed)
    ending = request.evaluate(monkeypatch, capsys, *lie.words)
    assert ending.verdict == lie.verdict, ending.words
    check_lie(record_property, lie.name.encode(), reason=lie.reason, text=ending.words)


def test_the_honest_poor_model_fails_by_its_loss_alone(
    project: EvaluatedProject,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The scene of every lie above is no lie itself: what it claims is what is measured."""
    ending = project.open(train_poorly).evaluate(monkeypatch, capsys)
    assert ending.report is not None
    (change,) = ending.report.metrics
    assert (change.base, change.head, change.head_claimed) == (1.0, 0.7, 0.7)
    assert ending.verdict == FAIL
    assert "by its own run" not in ending.words
    assert os.environ["GITHUB_RUN_ID"] == "1"


def _train_coarsely(run: Run) -> None:
    run.write("train.py", TRAIN.replace("range(0, 101)", "range(1, 101, 3)"))


def _touch_nothing(run: Run) -> None:
    run.write("README.md", "words\n")


def spoil_one_answer(run: Run) -> None:
    """Let base's own model look worse on one row than it is."""
    run.execute()
    head, first, *rest = run.read("reports/predictions.csv").splitlines()
    name, target, guess = first.split(",")
    turned = f"{name},{target},{1 - int(guess)}"
    run.write("reports/predictions.csv", "\n".join([head, turned, *rest]) + "\n")


def turn_the_order(run: Run) -> None:
    """Store the same answers in another order."""
    run.execute()
    head, *rows = run.read("reports/predictions.csv").splitlines()
    run.write("reports/predictions.csv", "\n".join([head, *reversed(rows)]) + "\n")


@pytest.mark.parametrize(
    ("change", "work", "is_other"),
    [
        (_train_coarsely, Run.execute, False),
        (_train_coarsely, turn_the_order, False),
        (_train_coarsely, shuffle_the_answers, True),
        (_touch_nothing, Run.execute, False),
        (_touch_nothing, spoil_one_answer, True),
    ],
    ids=["honest", "another order", "other rows wrong", "nothing changed", "base's own model"],
)
def test_predictions_that_the_next_change_would_be_held_against(
    project: EvaluatedProject,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record_property: Record,
    *,
    change: Change,
    work: Change,
    is_other: bool,
) -> None:
    """The measured ones are judged; that other ones were stored, to be the base's, is said."""
    ending = project.open(change, work=work).evaluate(monkeypatch, capsys)
    assert ending.verdict == "pass", ending.words
    reason = "stored are not those that the base's code makes of its model"
    assert (reason in ending.words) == is_other, ending.words
    if is_other:
        check_lie(record_property, work.__name__.encode(), reason=reason, text=ending.words)


def test_what_is_stored_with_the_rows_is_measured_with_them(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record_property: Record,
) -> None:
    """Base's code scores with base's scale; another one under the same rows is not measured."""
    scaled = EVALUATE.replace('int(int(row["x"]) >=', 'int(int(row["x"]) * scale["by"] >=')
    project = EvaluatedProject(
        tmp_path,
        stages={
            **STAGES,
            "split": (STAGES["split"][0], (*STAGES["split"][1], "data/scale.json"), ()),
            "evaluate": ((*STAGES["evaluate"][0], "data/scale.json"), *STAGES["evaluate"][1:]),
        },
        files={
            "split.py": f'{SPLIT}open("data/scale.json", "w").write(\'{{"by": 1}}\')\n',
            "evaluate.py": scaled.replace(
                "rows = list(", 'scale = json.load(open("data/scale.json"))\nrows = list('
            ),
            ".gitignore": "/data/*\n!/data/*.dvc\n/model/model.*\n/reports/predictions.csv\n",
        },
    )
    request = project.open(edit_what_goes_with_the_rows, work=write_perfect_predictions)
    ending = request.evaluate(monkeypatch, capsys)
    assert ending.verdict == CLAIMED, ending.words
    reason = "the pull request edits what makes the test rows (`split.py`)"
    check_lie(record_property, b"another scale", reason=reason, text=ending.words)


def train_the_second_poorly(run: Run) -> None:
    """Commit a second model that is right in 7 of 10 rows."""
    code = run.read("train_second.py")
    run.write("train_second.py", code.replace("[best, best]", "[80, 80]"))


def claim_the_seconds_worth(run: Run) -> None:
    """Claim that the second model is as good as base's."""
    run.execute()
    run.write("reports/second.json", json.dumps({"second": {"hits": 1.0}}))


def test_a_second_model_is_not_measured_by_that_of_base(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record_property: Record,
) -> None:
    """The policy names one model; of another one's numbers base's code says nothing."""
    code = EVALUATE.replace("model/model.json", "model/second.json")
    code = code.replace("predictions.csv", "second.csv").replace("metrics.json", "second.json")
    project = EvaluatedProject(
        tmp_path,
        policy=f"{POLICY}  second.hits: {{greater_is_better: true, max_worsening: 0.02}}\n",
        stages={
            **STAGES,
            "train_second": (("train_second.py", "data/train.csv"), ("model/second.json",), ()),
            "evaluate_second": (
                ("evaluate_second.py", "model/second.json", "data/test.csv"),
                ("reports/second.csv",),
                ("reports/second.json",),
            ),
        },
        files={
            "train_second.py": TRAIN.replace("model/model.json", "model/second.json"),
            "evaluate_second.py": code.replace('"test": {"accuracy"', '"second": {"hits"'),
            ".gitignore": "/data/*.csv\n/model/*.json\n/reports/*.csv\n",
        },
    )
    request = project.open(train_the_second_poorly, work=claim_the_seconds_worth)
    ending = request.evaluate(monkeypatch, capsys)
    assert ending.verdict == CLAIMED, ending.words
    reason = "there is none for `second.hits`: base's code does not write `reports/second.json`"
    check_lie(record_property, b"a second model", reason=reason, text=ending.words)
    assert ending.report is not None
    assert ending.report.measurement is not None
    assert ending.report.measurement.paths == ("reports/metrics.json",)


def test_base_s_file_beside_the_model_is_not_used_with_head_s(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record_property: Record,
) -> None:
    """The evaluation reads what training wrote and git keeps, and does not declare it."""
    write = 'json.dump({"flip": 0}, open("model/side.json", "w"))\n'
    code = EVALUATE.replace("guesses = [int(", 'guesses = [side["flip"] ^ int(')
    read = 'side = json.load(open("model/side.json"))\nrows = list('
    project = EvaluatedProject(
        tmp_path,
        stages={**STAGES, "train": (*STAGES["train"][:2], ("model/side.json",))},
        files={
            "train.py": TRAIN + write,
            "evaluate.py": code.replace("rows = list(", read),
            ".gitignore": "/data/*.csv\n/model/model.*\n/reports/predictions.csv\n",
        },
    )

    def flip(run: Run) -> None:
        better = TRAIN.replace("best, best", "49, best")
        run.write("train.py", better + write.replace('"flip": 0', '"flip": 1'))

    ending = project.open(flip, work=write_perfect_predictions).evaluate(monkeypatch, capsys)
    assert ending.verdict == CLAIMED, ending.words
    reason = "stage `evaluate` failed: FileNotFoundError"
    check_lie(record_property, b"a file beside the model", reason=reason, text=ending.words)
