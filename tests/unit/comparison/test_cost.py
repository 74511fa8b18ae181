"""What a model costs at base and head: which values count, and how budgets judge them."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, cast

import msgspec
import pytest
from builders import make_report
from hypothesis import given
from hypothesis import strategies as st

from mlgitops.comparison.cost.changes import (
    BASE_APART,
    COST_NAMES,
    NOT_MEASURED,
    OTHER_MACHINE,
    compare_cost,
)
from mlgitops.comparison.cost.record import (
    COST_FILE,
    RUN_COST_FILE,
    CostRecord,
    Latency,
    StageCost,
    fingerprint_outputs,
    parse_cost,
    write_cost,
)
from mlgitops.comparison.sides import SideFiles
from mlgitops.console import Console
from mlgitops.dvc.command import project_environment
from mlgitops.dvc.pipeline import LockEntry, Pipeline
from mlgitops.errors import MlgitopsError
from mlgitops.judgement.judge import judge_report
from mlgitops.judgement.policy import parse_policy
from mlgitops.model import DataVersion, Files, MetricChange, OnInconclusive, Policy, Verdict
from mlgitops.project.cost.latency import find_scoring, measure_latency
from mlgitops.project.cost.measure import record_cost

if TYPE_CHECKING:
    from pathlib import Path

    from mlgitops.git.repository import Folder

POLICY = Policy(files=Files(model="model.bin", test_data="test.csv"))
MODEL = DataVersion(hash="md5:aa", size=2_000_000)
LOCKS = {
    "split": LockEntry(
        command="s", deps={}, params={}, outs={"train.csv": DataVersion(hash="md5:bb")}
    ),
    "fit": LockEntry(command="f", deps={}, params={}, outs={"model.bin": MODEL}),
}


def stage(name: str, seconds: float, *, peak: float = 100.0, machine: str = "m") -> StageCost:
    """Make an entry that fits the outputs of :data:`LOCKS`."""
    outputs = fingerprint_outputs(LOCKS[name])
    return StageCost(seconds=seconds, peak_memory_mb=peak, machine=machine, outputs=outputs)


def record(seconds: float = 10.0, *, machine: str = "m", model: str = "md5:aa") -> CostRecord:
    """Make the record of one run on one machine."""
    latency = Latency(row_ms=2.0, thousand_rows_ms=9.0, machine=machine, model=model)
    stages = {
        "fit": stage("fit", seconds, machine=machine),
        "split": stage("split", 1.0, peak=300.0, machine=machine),
    }
    return CostRecord(stages=stages, latency=latency)


class FakeFolder:
    """A folder that holds the same few files at every revision."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def read(self, sha: str | None, path: str) -> bytes | None:
        """Read a file, whatever the revision."""
        del sha
        return self.files.get(path)

    def follow(self, sha: str | None, path: str) -> str:
        """Return the path itself: no link is here."""
        del sha
        return path


def side(
    found: CostRecord | bytes | None, *, sha: str | None = "a" * 40, run: bool = False
) -> SideFiles:
    """Make a side that holds a record of costs, of git or of this run."""
    data = msgspec.json.encode(found) if isinstance(found, CostRecord) else found
    path = RUN_COST_FILE if run else COST_FILE
    folder = FakeFolder({} if data is None else {path: data})
    pipeline = Pipeline(locks=dict(LOCKS))
    name = "head" if sha is None else "base"
    return SideFiles(
        name=name, sha=sha, folder=cast("Folder", folder), pipeline=pipeline, notices=[]
    )


def costs(base: SideFiles, head: SideFiles, policy: Policy = POLICY) -> dict[str, MetricChange]:
    """Compare and return name → change."""
    return {change.name: change for change in compare_cost(base, head, policy)}


def test_every_cost_of_both_sides() -> None:
    """Time is the model's stage's, memory the largest stage's, size the pointer's."""
    found = costs(side(record(10)), side(record(12)))
    assert {name: (change.base, change.head) for name, change in found.items()} == {
        "cost.training_seconds": (10.0, 12.0),
        "cost.peak_memory_mb": (300.0, 300.0),
        "cost.model_size_mb": (2.0, 2.0),
        "cost.latency_ms": (2.0, 2.0),
        "cost.batch_latency_ms": (9.0, 9.0),
    }
    assert set(found) == set(COST_NAMES)
    assert found["cost.training_seconds"].delta == 2.0


def test_size_is_known_without_a_record() -> None:
    """A project that never measured has its model's size, and no invented costs."""
    assert set(costs(side(None), side(None))) == {"cost.model_size_mb"}


def test_times_of_another_machine_are_not_compared() -> None:
    """Base's times are left out and the reader is told; its size still counts."""
    head = side(record(12, machine="other"), sha=None)
    found = costs(side(record(10)), head)
    assert found["cost.training_seconds"].base is None
    assert found["cost.training_seconds"].head == 12.0
    assert found["cost.model_size_mb"].base == 2.0
    assert head.notices == [OTHER_MACHINE]


def test_entries_of_other_outputs_are_no_entries() -> None:
    """What was measured with another model or other outputs says nothing of these."""
    stale = StageCost(seconds=1, machine="m", outputs="0" * 16)
    found = record(model="md5:old")
    found = CostRecord(stages={**found.stages, "fit": stale}, latency=found.latency)
    assert set(costs(side(None), side(found))) == {"cost.model_size_mb"}


def test_this_run_comes_before_what_git_holds() -> None:
    """On disk the record of the run counts; at a revision only git's does."""
    run = side(record(99), sha=None, run=True)
    assert costs(side(None), run)["cost.training_seconds"].head == 99.0
    at_revision = side(record(99), run=True)
    assert "cost.training_seconds" not in costs(side(None), at_revision)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not JSON: "),
        (b"[]", "got `array`"),
        (b"{", "not JSON: "),
        (
            b'{"stages": {"fit": {"seconds": -1, "machine": "m", "outputs": "x"}}}',
            "Expected `float` >= 0.0",
        ),
        (
            b'{"stages": {"fit": {"seconds": NaN, "machine": "m", "outputs": "x"}}}',
            "invalid character",
        ),
        (b'{"stages": {"fit": {"seconds": true, "machine": "m", "outputs": "x"}}}', "got `bool`"),
        (b'{"stages": {}, "stages": {}}', "stands there twice"),
        (b'{"stages": {}, "more": 1}', "unknown field `more`"),
        (
            b'{"latency": {"row_ms": 1e99, "thousand_rows_ms": 1, "machine": "m", "model": "x"}}',
            "Expected `float` < 1000000000000.0",
        ),
    ],
)
def test_odd_record_is_told_and_not_used(data: bytes, reason: str) -> None:
    """A record that train would not write is no record, and a notice says why."""
    with pytest.raises(MlgitopsError, match=reason):
        parse_cost(data, COST_FILE)
    head = side(data, sha=None)
    assert set(costs(side(record()), head)) == {"cost.model_size_mb"}
    assert "was not used" in head.notices[0]


BUDGETS = parse_policy(
    b"version: 1\nfiles: {model: model.bin}\nbudgets:\n"
    b"  cost.training_seconds: {max_value: 11, max_relative_worsening: 0.5}\n"
    b"  cost.latency_ms: {max_value: 5}\n",
    where="policy.yaml",
)


@pytest.mark.parametrize(
    ("base", "head", "verdicts"),
    [
        (record(10), record(10.5), "pass pass"),
        (record(10), record(12), "fail pass"),
        (record(2), record(4), "fail pass"),
        (record(2, machine="other"), record(4), "pass pass"),
        (None, record(4), "pass pass"),
        (record(4), None, "fail fail"),
    ],
)
def test_budgets_judge_costs(
    base: CostRecord | None, head: CostRecord | None, verdicts: str
) -> None:
    """A cost is judged as a metric: bounds always, margins against a comparable base."""
    report = msgspec.structs.replace(
        make_report(), cost=compare_cost(side(base), side(head), BUDGETS)
    )
    judged = judge_report(report, BUDGETS).judgement
    assert judged is not None
    assert [item.verdict.value for item in judged.metrics] == verdicts.split()
    assert (judged.verdict is Verdict.FAIL) is ("fail" in verdicts)


@pytest.mark.parametrize(("inconclusive", "verdict"), [("pass", "pass"), ("fail", "fail")])
def test_a_cost_of_another_machine_is_not_proven(inconclusive: str, verdict: str) -> None:
    """A margin that nothing was held against is never a plain pass; a bound alone has none."""
    policy = msgspec.structs.replace(BUDGETS, inconclusive=OnInconclusive(inconclusive))
    cost = compare_cost(side(record(2, machine="other")), side(record(4)), policy)
    judged = judge_report(msgspec.structs.replace(make_report(), cost=cost), policy).judgement
    assert judged is not None
    time, latency = judged.metrics
    assert time.unproven == f"is not held to its margin of 50%: {BASE_APART}"
    assert (time.verdict.value, latency.verdict.value) == (verdict, "pass")
    assert latency.unproven is None


def test_unmeasured_budget_fails_with_what_to_do() -> None:
    """A budget on what nobody measured fails, and says how it is measured."""
    found = costs(side(None), side(None), BUDGETS)
    assert found["cost.latency_ms"].reason == f"head {NOT_MEASURED}"


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=8),
        st.builds(
            StageCost,
            seconds=st.floats(0, 1e9),
            peak_memory_mb=st.none() | st.floats(0, 1e9),
            machine=st.text(max_size=20),
            outputs=st.text(max_size=16),
        ),
        max_size=4,
    )
)
def test_what_is_written_is_read(stages: dict[str, StageCost]) -> None:
    """A record survives its own file, to the last bit."""
    found = CostRecord(stages=stages)
    assert parse_cost(msgspec.json.encode(found), COST_FILE) == found


SCORING = """
import json, sys
assert sys.argv[1:] == ["--model", "model.bin", "--data", "test.csv", "--time"]
{body}
"""
LOCK = """
schema: '2.0'
stages:
  fit:
    cmd: fit
    outs:
    - {path: model.bin, hash: md5, md5: aa, size: 5}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Make a trained project whose scoring module answers two times."""
    body = 'print("loading"); print(json.dumps({"row_ms": 1.5, "thousand_rows_ms": 4.0}))'
    files = {
        "dvc.yaml": "stages: {fit: {cmd: fit, outs: [model.bin]}}\n",
        "dvc.lock": LOCK,
        "policy.yaml": "version: 1\nfiles: {model: model.bin, test_data: test.csv}\n",
        "model.bin": "model",
        "test.csv": "id\n1\n",
        "src/demo/scoring.py": SCORING.format(body=body),
        "src/demo/__init__.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").symlink_to(sys.executable)
    return tmp_path


def test_run_is_recorded(project: Path) -> None:
    """Seconds, memory and latency of a run stand in both files, named by what was made."""
    found = record_cost(project, {"fit": (2.0, 50_000_000)}, Console(quiet=True))
    assert found.stages["fit"].seconds == 2.0
    assert found.stages["fit"].peak_memory_mb == 50.0
    assert found.latency is not None
    assert (found.latency.row_ms, found.latency.model) == (1.5, "md5:aa")
    for name in (COST_FILE, RUN_COST_FILE):
        assert parse_cost((project / name).read_bytes(), name) == found


def test_skipped_stage_keeps_its_entry(project: Path) -> None:
    """A run that did nothing measures nothing and leaves git's file as it was."""
    first = record_cost(project, {"fit": (2.0, None)}, Console(quiet=True))
    (project / "src/demo/scoring.py").write_text("raise SystemExit('--time')")
    before = (project / COST_FILE).stat().st_mtime_ns
    assert record_cost(project, {}, Console(quiet=True)) == first
    assert (project / COST_FILE).stat().st_mtime_ns == before


def test_new_outputs_drop_the_entry(project: Path) -> None:
    """An entry goes when its stage's outputs are other ones and the stage was not seen."""
    record_cost(project, {"fit": (2.0, None)}, Console(quiet=True))
    (project / "dvc.lock").write_text(LOCK.replace("md5: aa", "md5: bb"))
    found = record_cost(project, {}, Console(quiet=True))
    assert found.stages == {}
    assert found.latency is not None
    assert found.latency.model == "md5:bb"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("print('no times')", "printed no times"),
        ('print(\'{"row_ms": -1, "thousand_rows_ms": 1}\')', "printed no times"),
        ("raise SystemExit('the model is damaged')", "the model is damaged"),
    ],
)
def test_scoring_that_cannot_time(project: Path, body: str, message: str) -> None:
    """A scoring module that fails is said, and the run is recorded all the same."""
    (project / "src/demo/scoring.py").write_text(SCORING.format(body=body))
    with pytest.raises(MlgitopsError, match=message):
        measure_latency(project, "demo.scoring", POLICY.files, project_environment(project))
    console = Console(out=io.StringIO(), err=io.StringIO())
    assert record_cost(project, {"fit": (2.0, None)}, console).latency is None


@pytest.mark.parametrize(
    "missing", ["src/demo/scoring.py", ".venv/bin/python", "model.bin", "test.csv"]
)
def test_projects_without_scoring_are_not_timed(project: Path, missing: str) -> None:
    """Without module, environment, model or test rows there is nothing to ask."""
    assert find_scoring(project, POLICY.files) == "demo.scoring"
    (project / missing).unlink()
    assert find_scoring(project, POLICY.files) is None


def test_record_is_written_whole(tmp_path: Path) -> None:
    """The file has sorted keys and a final newline, and no temporary file stays."""
    write_cost(record(), tmp_path, "reports/cost.json")
    text = (tmp_path / "reports/cost.json").read_text()
    assert text.index('"fit"') < text.index('"split"')
    assert text.endswith("}\n")
    assert [path.name for path in (tmp_path / "reports").iterdir()] == ["cost.json"]
