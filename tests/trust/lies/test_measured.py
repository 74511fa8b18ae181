"""Runs that lie about a poor model, told to the job in which base's code measures.

The pull request's own code trains, scores and writes every file of its run. Whatever it writes, its
model is right in 7 of 10 rows, base's in all. None of these is a pass.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
from typing import TYPE_CHECKING

import pytest
from evaluated_project import (
    EVALUATE,
    POLICY,
    SPLIT,
    STAGES,
    TRAIN,
    EvaluatedProject,
    Run,
    make_dvc_yaml,
    make_rows,
)
from trust.lie import check_lie
from trust.poor_model import CLAIMED, FAIL, LOST, UNDECIDED, Lie, judge_lie, train_poorly

from mlgitops.render.facts import test_data_text
from mlgitops.render.rescoring import describe_rescoring

if TYPE_CHECKING:
    from pathlib import Path

    from trust.poor_model import Change, Record


def _apart(claimed: str) -> str:
    return f"`test.accuracy` is {claimed} by its own run and 0.7 by base's code"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> EvaluatedProject:
    """Make origin once: a pull request is a branch and folders of its own."""
    return EvaluatedProject(tmp_path_factory.mktemp("evaluated"))


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
        LOST,
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
    Lie("an evaluation that is kind", FAIL, LOST, change=edit_the_metric),
    Lie("an evaluation that reads the labels", FAIL, LOST, change=read_the_labels),
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
    Lie("metrics by hand, without an evaluation", FAIL, LOST, change=drop_the_evaluation),
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
    Lie("a poor model beside more data", FAIL, LOST, change=add_rows),
    Lie(
        "easy test rows of more data",
        FAIL,
        _apart("1"),
        change=add_rows,
        work=add_easy_rows_of_its_own,
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
    judge_lie(lie, project, monkeypatch, capsys, record_property)


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


def _edit_the_measuring_code(run: Run) -> None:
    run.write("evaluate.py", EVALUATE + "# no other numbers\n")


def store_less(run: Run) -> None:
    """Let base's own model look as poor as the one that the next pull request brings."""
    run.execute()
    lines = [line.split(",") for line in run.read("reports/predictions.csv").splitlines()[1:]]
    rows = [
        f"{name},{target},{int(guess) if at % 10 < 7 else 1 - int(guess)}"
        for at, (name, target, guess) in enumerate(lines)
    ]
    run.write("reports/predictions.csv", "\n".join(["id,target,prediction", *rows]) + "\n")
    _state(run, 0.7)


def store_no_number(run: Run) -> None:
    """Let the metric be a new one for the next pull request."""
    run.execute()
    run.write("reports/metrics.json", json.dumps({"test": {"rows": 400}}))


@pytest.mark.parametrize(
    ("change", "work", "stored"),
    [
        (_edit_the_measuring_code, store_less, 0.7),
        (_edit_the_measuring_code, spoil_one_answer, 1.0),
        (_edit_the_measuring_code, store_no_number, None),
        (_touch_nothing, spoil_one_answer, 1.0),
    ],
    ids=["less by other code", "other answers by other code", "nothing", "other answers"],
)
def test_what_a_merge_stored_is_not_what_the_next_change_is_held_against(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record_property: Record,
    *,
    change: Change,
    work: Change,
    stored: float | None,
) -> None:
    """Base's code measures base's model, too: a loss beside that is a loss, whatever is stored."""
    project = EvaluatedProject(tmp_path)
    project.open(change, work=work).merge()
    ending = project.open(train_poorly).evaluate(monkeypatch, capsys)
    assert ending.report is not None
    (values,) = (each for each in ending.report.metrics if each.name == "test.accuracy")
    assert (values.base, values.base_stored, values.head) == (1.0, stored, 0.7)
    assert ending.report.rescoring is not None
    assert ending.verdict == FAIL, ending.words
    assert values.evidence is not None
    interval = values.evidence.interval
    assert interval is not None
    assert interval.low <= -0.3 <= interval.high
    (text,) = describe_rescoring(ending.report)
    assert "is not what its own code measures of its model on its 400 test rows" in text
    assert ("not `test.accuracy` 0.7" in text) == (stored == 0.7)
    assert test_data_text(ending.report) == "same test data"
    check_lie(record_property, work.__name__.encode(), reason=LOST, text=ending.words)


def test_base_s_honest_numbers_stay_as_they_are_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is measured and what is stored agree: nothing is said of base being measured anew."""
    project = EvaluatedProject(tmp_path)
    project.open(_train_coarsely).merge()
    ending = project.open(train_poorly).evaluate(monkeypatch, capsys)
    assert "measuring base's model" in ending.printed
    assert ending.report is not None
    assert ending.report.rescoring is None
    assert (ending.report.metrics[0].base, ending.report.metrics[0].base_stored) == (0.99, None)


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
