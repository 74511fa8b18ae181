"""`mlgitops evaluate` on honest pull requests: base's code measures, and says what it could not."""

from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from evaluated_project import (
    EVALUATE,
    POLICY,
    SPLIT,
    STAGES,
    TRAIN,
    EvaluatedProject,
    make_rows,
)
from git_project import git

from mlgitops.cli import run as run_command
from mlgitops.github.decision import Judged, decide

if TYPE_CHECKING:
    from collections.abc import Callable

    from evaluated_project import Ending, PullRequest, Run

    from mlgitops.model import Report

    Evaluate = Callable[..., Ending]

COARSE = TRAIN.replace("range(0, 101)", "range(1, 101, 3)")  # its best threshold is 49


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> EvaluatedProject:
    """Make origin once: a pull request is a branch and folders of its own."""
    return EvaluatedProject(tmp_path_factory.mktemp("evaluated"))


@pytest.fixture
def evaluate(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ending]:
    """Return what evaluates a pull request in a job of its own."""

    def evaluate(request: PullRequest, *words: str) -> Ending:
        return request.evaluate(monkeypatch, capsys, *words)

    return evaluate


class ModelFile(NamedTuple):
    """The hashes of a threshold's file: DVC's, as a report names it, and the one of evidence."""

    md5: str
    sha256: str


def hash_model(threshold: int, *, rounds: int = 1) -> ModelFile:
    """Hash the file that `train.py` writes of a threshold."""
    model = {"kind": "threshold", "rounds": rounds, "thresholds": [threshold, threshold]}
    data = json.dumps(model).encode()
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    return ModelFile(f"md5:{md5}", hashlib.sha256(data).hexdigest())


FINE_MODEL, COARSE_MODEL = hash_model(50), hash_model(49)


def name_model(report: Report) -> tuple[str | None, str | None]:
    """Return the hashes by which the measurement names head's model."""
    assert report.measurement is not None
    return report.measurement.model, report.measurement.sha256


def train_coarsely(run: Run) -> None:
    """Let head train another model."""
    run.write("train.py", COARSE)


def test_a_new_model_is_measured_by_the_base(project: EvaluatedProject, evaluate: Evaluate) -> None:
    """Metrics, predictions and noise are those of base's code; the run's own stand beside them."""
    ending = evaluate(project.open(train_coarsely))
    assert (ending.code, ending.verdict) == (0, "pass"), ending.words
    report = ending.report
    assert report is not None
    assert report.measurement is not None
    assert report.measurement.reason is None
    assert report.measurement.paths == ("reports/metrics.json",)
    assert (report.measurement.rows, report.measurement.rebuilt) == (400, False)
    assert report.measurement.edited == ()
    assert name_model(report) == (COARSE_MODEL.md5, COARSE_MODEL.sha256)
    (change,) = report.metrics
    assert (change.base, change.head, change.head_claimed) == (1.0, 0.99, 0.99)
    assert change.evidence is not None
    assert change.evidence.rows == 400
    assert "measured by the base's code on 400 test rows: reports/metrics.json" in ending.printed


def test_the_same_model_and_rows_need_no_run(project: EvaluatedProject, evaluate: Evaluate) -> None:
    """What base stored is the measurement; its stages would not even start here."""
    request = project.open(lambda run: run.write("README.md", "words\n"))
    ending = evaluate(request)
    assert "measuring head's model" not in ending.printed
    assert ending.verdict == "pass", ending.words
    assert ending.report is not None
    assert (ending.report.metrics[0].head, ending.report.metrics[0].delta) == (1.0, 0.0)
    assert ending.report.metrics[0].evidence is None  # no noise parts a model from itself
    assert ending.report.measurement is not None
    assert ending.report.measurement.rows == 400
    assert name_model(ending.report) == (FINE_MODEL.md5, FINE_MODEL.sha256)


def test_base_s_model_that_is_nowhere_leaves_what_is_stored(
    tmp_path: Path, evaluate: Evaluate
) -> None:
    """Head is measured all the same, and the comment says that base's values are not."""
    project = EvaluatedProject(tmp_path)
    request = project.open(train_coarsely)
    digest = FINE_MODEL.md5.removeprefix("md5:")
    (project.storage / "files" / "md5" / digest[:2] / digest[2:]).unlink()
    ending = evaluate(request)
    assert ending.report is not None
    assert ending.report.rescoring is None
    assert (ending.report.metrics[0].base, ending.report.metrics[0].head) == (1.0, 0.99)
    reason = "`model/model.json` of base is not here: neither cache nor storage has it."
    assert f"what its code measures of its model is not known: {reason}" in ending.words


def test_new_raw_data_is_split_by_the_base(project: EvaluatedProject, evaluate: Evaluate) -> None:
    """Base's stages make the test rows, and both models are measured on them."""

    def add_rows(run: Run) -> None:
        run.write("data/raw.csv", make_rows(1500))
        run.point("data/raw.csv")

    ending = evaluate(project.open(add_rows))
    assert ending.verdict == "pass", ending.words
    report = ending.report
    assert report is not None
    assert report.measurement is not None
    assert (report.measurement.rows, report.measurement.rebuilt) == (500, True)
    assert report.rescoring is not None
    assert report.rescoring.rows == 500
    assert report.metrics[0].evidence is not None
    assert report.metrics[0].evidence.rows == 500


def split_otherwise(run: Run) -> None:
    """Choose other test rows: base's may be among those that the model was trained on."""
    run.write("split.py", SPLIT.replace("at % 3", "at % 4").replace("::3", "::4"))


def measure_more(run: Run) -> None:
    """Edit the code that measures: accuracy in percent beside the fraction."""
    code = EVALUATE.replace('"accuracy":', '"percent": 100 * right / len(rows), "accuracy":')
    run.write("evaluate.py", code)


def test_an_edited_split_leaves_claims(project: EvaluatedProject, evaluate: Evaluate) -> None:
    """Base's rows may have been trained on, so no number of them is evidence."""
    ending = evaluate(project.open(split_otherwise))
    assert ending.report is not None
    assert ending.report.measurement is not None
    reason = "the pull request edits what makes the test rows (`split.py`)"
    assert reason in (ending.report.measurement.reason or "")
    assert ending.report.measurement.paths == ()
    assert ending.report.metrics[0].head == 1.0
    assert f"not measured by the base's code: {reason}" in ending.printed


def split_with_test_rows(run: Run) -> None:
    """Leave the test rows as they are, and train on them as well."""
    run.write("split.py", SPLIT.replace("[r for at, r in enumerate(rows) if at % 3]", "rows"))
    train_coarsely(run)


def test_an_edited_split_that_leaves_the_rows_is_said(
    project: EvaluatedProject, evaluate: Evaluate
) -> None:
    """What the model learnt from is not measured, so a reader looks at what was edited."""
    said = "The pull request edits what makes the test rows (`split.py`). They are those of base"
    ending = evaluate(project.open(split_with_test_rows))
    assert ending.report is not None
    assert [said in notice for notice in ending.report.notices] == [True]
    ending = evaluate(project.open(train_coarsely))
    assert ending.report is not None
    assert ending.report.notices == ()


def test_an_edited_ruler_is_named_and_not_used(
    project: EvaluatedProject, evaluate: Evaluate
) -> None:
    """Base's own code measures what it knows; what only head's measures has no value."""
    ending = evaluate(project.open(measure_more))
    assert ending.report is not None
    assert ending.report.measurement is not None
    assert ending.report.measurement.edited == ("evaluate.py",)
    changes = {change.name: change for change in ending.report.metrics}
    assert (changes["test.accuracy"].head, changes["test.accuracy"].head_claimed) == (1.0, 1.0)
    assert (changes["test.percent"].head, changes["test.percent"].head_claimed) == (None, 100.0)
    assert changes["test.percent"].reason == "head has no value for it by base's code"


def test_a_branch_behind_its_base_is_a_claim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its run used both, so no commit could hold what it trained: the reason says what to do."""
    project = EvaluatedProject(tmp_path)

    def overtake(run: Run) -> None:
        train_coarsely(run)
        project.origin.put("README.md", "The base moved on.\n")
        project.base = project.origin.commit("move on")
        git(run.root, "fetch", "--quiet", "origin")

    request = project.open(overtake)
    git(tmp_path, "clone", "--quiet", str(project.origin.root), str(request.job))
    for name, value in request.environ.items():
        monkeypatch.setenv(name, value)
    words = ["evaluate", "--directory", str(request.job), "--import", str(request.handover)]
    words += ["--report", str(request.handover / "report.json"), "--output", "report.json"]
    capsys.readouterr()
    assert run_command(words) == 0
    reason = "the base has commits that the branch lacks, and the run used both: merge the base"
    assert f"not measured by the base's code: {reason}" in "".join(capsys.readouterr())
    data = (request.job / "report.json").read_bytes()
    options = {"key": "model", "where": "policy.yaml", "evaluating": "success"}
    decision = decide(data, POLICY.encode(), request.event, **options)
    assert isinstance(decision, Judged)
    assert decision.verdict == "fail"
    assert decision.report.judgement is not None
    assert reason in "\n".join(decision.report.judgement.failures)


def test_a_slow_stage_is_ended(project: EvaluatedProject, evaluate: Evaluate) -> None:
    """The limit holds for each stage, and the claims are compared all the same."""

    def store_slow_model(run: Run) -> None:
        run.execute()
        endless = run.read("model/model.json").replace('"rounds": 1,', f'"rounds": {10**12},')
        run.write("model/model.json", endless)

    request = project.open(train_coarsely, work=store_slow_model)
    ending = evaluate(request, "--timeout", "0.5")
    assert ending.code == 0
    assert "stage `evaluate` took over 0.5 s" in ending.printed
    assert ending.report is not None
    slow = hash_model(49, rounds=10**12)
    assert name_model(ending.report) == (slow.md5, slow.sha256)
    assert ending.report.metrics[0].head == 0.99


def test_a_limit_of_no_time_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """What the option takes is said by its own message."""
    from mlgitops.cli import run

    for text in ("0", "-1", "nan", "a day"):
        with pytest.raises(SystemExit, match="2"):
            run(["evaluate", "--import=a", "--report=b", "--output=c", f"--timeout={text}"])
        said = capsys.readouterr().err.splitlines()[-1]
        wanted = f"--timeout: {text!r} is no number of seconds above 0, and at most 86400"
        assert said.endswith(wanted)


def test_a_group_of_a_merge_queue_is_measured(
    project: EvaluatedProject, evaluate: Evaluate
) -> None:
    """Its event names no pull request and no branch, and the two commits all the same."""
    request = project.open(train_coarsely)
    request.queue()
    ending = evaluate(request)
    assert ending.verdict == "pass", ending.words
    assert "measured by the base's code on 400 test rows" in ending.printed


def test_json_is_the_report(project: EvaluatedProject, evaluate: Evaluate) -> None:
    """What is printed for programs is what is written."""
    ending = evaluate(project.open(train_coarsely), "--json")
    assert (
        json.loads(ending.printed[: ending.printed.rindex("}") + 1])["measurement"]["rows"] == 400
    )


#: A pipeline whose test rows nobody makes, and whose files run code when they are loaded.
_PICKLED = {
    "train": (("train.py", "data/train.csv"), ("model/model.pkl",), ()),
    "evaluate": (
        ("evaluate.py", "model/model.pkl", "data/test.pkl"),
        ("reports/predictions.csv",),
        ("reports/metrics.json",),
    ),
}
_PICKLED_CODE = {
    "unpack.py": "",
    "split.py": "",
    "data/train.csv": make_rows(300),
    "train.py": "import pickle\npickle.dump(50, open('model/model.pkl', 'wb'))\n",
    "evaluate.py": (
        "import json, pickle\nlimit = pickle.load(open('model/model.pkl', 'rb'))\n"
        "rows = pickle.load(open('data/test.pkl', 'rb'))\n"
        "right = [int(x >= limit) == target for x, target in rows]\n"
        "lines = [f'r{at},{t},{int(x >= limit)}' for at, (x, t) in enumerate(rows)]\n"
        "text = '\\n'.join(['id,target,prediction', *lines]) + '\\n'\n"
        "open('reports/predictions.csv', 'w').write(text)\n"
        "metrics = {'test': {'accuracy': sum(right) / len(right)}}\n"
        "json.dump(metrics, open('reports/metrics.json', 'w'))\n"
    ),
}
_PICKLED_POLICY = POLICY.replace("model.json", "model.pkl").replace("test.csv", "test.pkl")


class _Touch:
    """Writes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return (Path.touch, (self._path,))


@pytest.fixture(scope="module")
def pickled(tmp_path_factory: pytest.TempPathFactory) -> EvaluatedProject:
    """Make an origin that keeps model and test rows as pickles."""

    def point(run: Run) -> None:
        rows = [(x, int(x >= 50)) for x in range(100)]
        run.write("data/test.pkl", pickle.dumps(rows))
        run.point("data/test.pkl")
        run.point("data/train.csv")

    return EvaluatedProject(
        tmp_path_factory.mktemp("pickled"),
        policy=_PICKLED_POLICY,
        files=_PICKLED_CODE,
        stages=_PICKLED,
        prepare=point,
    )


@pytest.mark.parametrize("path", ["model/model.pkl", "data/test.pkl"])
def test_no_pickle_of_a_pull_request_is_loaded(
    pickled: EvaluatedProject, evaluate: Evaluate, tmp_path: Path, path: str
) -> None:
    """Neither its model nor its rows run in the job that measures; base's own may."""
    trap = tmp_path / "loaded"

    def change(run: Run) -> None:
        run.write("train.py", run.read("train.py") + "# again\n")
        if path.startswith("data/"):
            run.write(path, pickle.dumps(_Touch(trap)))
            run.point(path)

    def work(run: Run) -> None:
        run.write(path, pickle.dumps(_Touch(trap)))
        if path.startswith("data/"):
            run.execute("train")

    request = pickled.open(change, work=work)
    trap.unlink(missing_ok=True)  # the run's own job may have loaded it: it runs head's code
    ending = evaluate(request)
    assert f"`{path}` is of a kind that may run code" in ending.words
    assert ending.verdict != "pass"
    assert not trap.exists()


def test_rows_that_a_pull_request_names_itself_are_said(tmp_path: Path, evaluate: Evaluate) -> None:
    """No stage of base makes them: both models are measured on head's, which git shows."""
    stages = {name: STAGES[name] for name in ("train", "evaluate")}

    def point(run: Run) -> None:
        for name, count in (("train", 600), ("test", 300)):
            run.write(f"data/{name}.csv", make_rows(count))
            run.point(f"data/{name}.csv")

    project = EvaluatedProject(tmp_path, stages=stages, prepare=point)

    def choose(run: Run) -> None:
        run.write("data/test.csv", make_rows(500))
        run.point("data/test.csv")

    ending = evaluate(project.open(choose))
    assert ending.verdict == "pass", ending.words
    assert ending.report is not None
    assert ending.report.measurement is not None
    assert (ending.report.measurement.rows, ending.report.measurement.rebuilt) == (500, False)
    assert "No stage of the base makes the test rows" in ending.words


def test_a_stage_that_splits_and_trains_is_not_run(tmp_path: Path, evaluate: Evaluate) -> None:
    """Nothing is trained to measure, so new rows of such a stage remain claims."""
    stages = {
        "train": (
            ("train.py", "data/raw.csv"),
            ("data/train.csv", "data/test.csv", "model/model.json"),
            (),
        ),
        "evaluate": STAGES["evaluate"],
    }
    code = SPLIT.replace("data/table.csv", "data/raw.csv") + TRAIN
    project = EvaluatedProject(tmp_path, stages=stages, files={"train.py": code})

    def add_rows(run: Run) -> None:
        run.write("data/raw.csv", make_rows(1500))
        run.point("data/raw.csv")

    ending = evaluate(project.open(add_rows))
    assert ending.verdict == "fail, claimed"
    assert "the stages that make `data/test.csv` at base train as well" in ending.words


def test_stored_values_of_another_code_are_no_measurement(
    tmp_path: Path, evaluate: Evaluate
) -> None:
    """Where base's own numbers are of older code than base has, its stages run."""
    project = EvaluatedProject(tmp_path)
    project.origin.put("evaluate.py", EVALUATE + "# no run since\n")
    project.base = project.origin.commit("edit the evaluation, and run nothing")
    request = project.open(lambda run: run.write("README.md", "words\n"))
    ending = evaluate(request)
    assert "measuring head's model" in ending.printed
