"""What may be given to base's code, what it needs, and what counts as editing it."""

from __future__ import annotations

import json
import pickle
from hashlib import md5
from typing import TYPE_CHECKING

import pytest
from builders import make_change
from git_project import GitRepository, write_files

from mlgitops.comparison.measuring.edited import find_edited
from mlgitops.comparison.measuring.kinds import refuse_code
from mlgitops.comparison.measuring.plan import leave_out, plan_measuring
from mlgitops.comparison.measuring.run import _make_environment
from mlgitops.comparison.run_claims import take_cost, take_stages
from mlgitops.comparison.sides import SideFiles, read_sides
from mlgitops.console import Console
from mlgitops.dvc.reader import read_pipeline
from mlgitops.errors import MlgitopsError
from mlgitops.git.repository import Folder, Repository
from mlgitops.model import Files, MetricChange, StageChange, StageState

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("model.pkl", b""),
        ("model.joblib", b""),
        ("model.pt", b"PK"),
        ("model.h5", b"\x89HDF"),
        ("model", b"{}"),
        ("model.JSON.bin", b"{}"),
    ],
)
def test_a_kind_that_may_run_code_is_refused(path: str, data: bytes) -> None:
    """Whatever is in it: base's code chooses its loader by the name."""
    with pytest.raises(MlgitopsError, match="of a kind that may run code when it is loaded"):
        refuse_code(path, data)


@pytest.mark.parametrize("path", ["model.json", "model.skops", "model.onnx", "data/test.csv"])
def test_a_pickle_is_refused_by_any_name(path: str) -> None:
    """A name says how a file is loaded as a rule, its content what would run."""
    with pytest.raises(MlgitopsError, match="is a pickle, which runs code when loaded"):
        refuse_code(path, pickle.dumps({"threshold": 50}))


@pytest.mark.parametrize(
    ("path", "data"),
    [("model.JSON", b"{}"), ("a/test.csv", b"id,x\n1,2\n"), ("model.skops", b"PK\x03\x04")],
)
def test_data_is_given_to_the_base(path: str, data: bytes) -> None:
    """Tables and models that hold data alone are what is measured."""
    refuse_code(path, data)


def test_what_belongs_to_the_model_and_what_to_the_rows() -> None:
    """Another model brings its own encoder; the rows bring what was split off with them."""
    stages = {
        "split": {"cmd": "s", "deps": ["raw.csv"], "outs": ["train.csv", "test.csv", "split.json"]},
        "encode": {"cmd": "e", "deps": ["train.csv"], "outs": ["encoder.json"]},
        "train": {"cmd": "t", "deps": ["train.csv", "encoder.json"], "outs": ["model.json"]},
        "baseline": {"cmd": "b", "deps": ["raw.csv"], "outs": ["baseline.json"]},
        "evaluate": {
            "cmd": "m",
            "deps": ["encoder.json", "model.json", "test.csv", "split.json", "baseline.json"],
            "metrics": ["metrics.json"],
        },
    }
    outs = [
        {"path": out, "md5": "0" * 32} for stage in stages.values() for out in stage.get("outs", ())
    ]
    lock = {"schema": "2.0", "stages": {"all": {"cmd": "a", "outs": outs}}}
    files = {
        "dvc.yaml": json.dumps({"stages": stages}).encode(),
        "dvc.lock": json.dumps(lock).encode(),
    }
    pipeline = read_pipeline(dict.fromkeys(files, ""), files.get)
    plan = plan_measuring(pipeline, Files(test_data="test.csv", model="model.json"), ())
    assert plan.of_model == {"model.json", "encoder.json"}
    assert plan.of_rows == {"test.csv", "split.json"}
    assert set(plan.objects) == {"encoder.json", "model.json", "split.json", "baseline.json"}


def test_what_builds_on_another_model_is_left_out() -> None:
    """Its stage, and one that reads what that writes; a plan without the model is none."""
    stages = {
        "train": {"cmd": "t", "outs": ["model.json", "second.json"]},
        "evaluate": {"cmd": "m", "deps": ["model.json", "test.csv"], "metrics": ["a.json"]},
        "second": {"cmd": "m", "deps": ["second.json", "test.csv"], "metrics": ["b.json"]},
        "sum": {"cmd": "m", "deps": ["b.json", "test.csv"], "metrics": ["c.json"]},
    }
    files = {"dvc.yaml": json.dumps({"stages": stages}).encode()}
    pipeline = read_pipeline(dict.fromkeys(files, ""), files.get)
    tracked = ("model.json", "second.json")
    plan = plan_measuring(pipeline, Files(test_data="test.csv", model="model.json"), tracked)
    assert plan.metrics == {"a.json", "b.json", "c.json"}
    assert leave_out(plan, {"second.json"}).metrics == {"a.json"}
    with pytest.raises(MlgitopsError, match=r"would measure with base's `model\.json`"):
        leave_out(plan, {"model.json"})


_STAGES = {
    "evaluate": {
        "cmd": "m",
        "deps": ["code", "test.csv"],
        "params": ["evaluate"],
        "metrics": [{"metrics.json": {"cache": False}}],
    }
}
_EDITS = {
    "code/deep/metric.py": ("1", True),
    "code.py": ("1", False),
    "params.yaml": ("evaluate: {digits: 3}\ntrain: {rate: 1}\n", True),
    "requirements/pipeline.txt": ("numpy==2\n", True),
    "requirements/compute-ray.txt": ("ray==2\n", True),
    "metrics.json": ("1", False),
    "test.csv": ("id\n2\n", False),
    "dvc.yaml": (json.dumps({"stages": {"evaluate": {**_STAGES["evaluate"], "cmd": "n"}}}), True),
}


@pytest.mark.parametrize("path", _EDITS)
def test_what_edits_the_ruler(tmp_path: Path, path: str) -> None:
    """Code, its parameters, its environment and its definition do; what it reads and writes not."""
    repository = GitRepository(tmp_path)
    start = {
        "dvc.yaml": json.dumps({"stages": _STAGES}),
        "code/deep/metric.py": "0",
        "params.yaml": "evaluate: {digits: 2}\ntrain: {rate: 1}\n",
        "test.csv": "id\n1\n",
        "metrics.json": "0",
    }
    write_files(tmp_path, start)
    before = repository.commit("base")
    text, is_edit = _EDITS[path]
    write_files(tmp_path, {path: text, "train.py": "1"})
    assert _find_edited(tmp_path, before, repository.commit("head")) == ((path,) if is_edit else ())


def test_parameters_of_other_stages_are_no_edit(tmp_path: Path) -> None:
    """The file differs, and not in what the measuring stages read of it."""
    repository = GitRepository(tmp_path)
    params = "evaluate: {digits: 2}\ntrain: {rate: 1}\n"
    write_files(tmp_path, {"dvc.yaml": json.dumps({"stages": _STAGES}), "params.yaml": params})
    before = repository.commit("base")
    repository.put("params.yaml", params.replace("rate: 1", "rate: 2"))
    assert _find_edited(tmp_path, before, repository.commit("head")) == ()


def test_values_of_a_template_define_a_stage(tmp_path: Path) -> None:
    """The definition stays as it is, and says another command; other values change nothing."""
    repository = GitRepository(tmp_path)
    stages = {"evaluate": {**_STAGES["evaluate"], "cmd": "m --digits ${shown}", "params": []}}
    params = "shown: 2\nrate: 1\n"
    write_files(tmp_path, {"dvc.yaml": json.dumps({"stages": stages}), "params.yaml": params})
    before = repository.commit("base")
    repository.put("params.yaml", params.replace("rate: 1", "rate: 2"))
    assert _find_edited(tmp_path, before, repository.commit("rate")) == ()
    repository.put("params.yaml", params.replace("shown: 2", "shown: 3"))
    assert _find_edited(tmp_path, before, repository.commit("shown")) == ("params.yaml",)


@pytest.mark.parametrize("kept", ["as it is", "otherwise", "in another folder"])
def test_what_is_measured_is_what_dvc_keeps(tmp_path: Path, kept: str) -> None:
    """A result that git keeps is read where it is what dvc.lock says, and refused otherwise."""
    repository = GitRepository(tmp_path)
    outs = [
        {
            "path": "model/model.json",
            "hash": "md5",
            "md5": md5(b"{}", usedforsecurity=False).hexdigest(),
        }
    ]
    lock = {"schema": "2.0", "stages": {"train": {"cmd": "t", "outs": outs}}}
    folder = "other" if kept == "in another folder" else "model"
    text = "[]" if kept == "otherwise" else "{}"
    write_files(tmp_path, {f"{folder}/model.json": text, "dvc.lock": json.dumps(lock)})
    if folder != "model":
        (tmp_path / "model").symlink_to(folder)
    sha = repository.commit("head")
    with Repository(tmp_path) as opened:
        side = SideFiles(name="head", sha=sha, folder=Folder(opened, tmp_path.resolve()))
        side.pipeline = read_pipeline(side.folder.list_files(sha), side.read)
        if kept == "as it is":
            assert side.read_kept("model/model.json") == b"{}"
            return
        with pytest.raises(MlgitopsError, match="git has something else than DVC at `model/model"):
            side.read_kept("model/model.json")


def _find_edited(root: Path, before: str, after: str) -> tuple[str, ...]:
    with Repository(root) as repository:
        folder = Folder(repository, root.resolve())
        base = SideFiles(name="base", sha=before, folder=folder)
        head = SideFiles(name="head", sha=after, folder=folder)
        read_sides(base, head, Console(quiet=True))
        return find_edited(base.pipeline.stages.values(), base, head, besides={"test.csv"})


def _cost(name: str, head: float, path: str = "reports/cost.json") -> MetricChange:
    return make_change(name, base=1.0, head=head, path=path)


def test_what_measures_asks_no_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Head's params.yaml could name one that answers as head likes."""
    monkeypatch.setenv("MLGITOPS_COMPUTE", "dask")
    assert _make_environment(tmp_path, tmp_path)["MLGITOPS_COMPUTE"] == "local"


def test_only_costs_that_git_does_not_know_are_the_run_s_word() -> None:
    """The model's size is that of its object; a metric is none of the costs."""
    own = (_cost("cost.model_size_mb", 2.0), _cost("cost.latency_ms", 9.0))
    told = (
        _cost("cost.model_size_mb", 1.0),
        _cost("cost.latency_ms", 3.0),
        _cost("cost.training_seconds", 4.0),
        _cost("test.accuracy", 1.0),
        _cost("cost.batch_latency_ms", 5.0, path="reports/metrics.json"),
    )
    merged = {change.name: change.head for change in take_cost(own, told)}
    assert merged == {
        "cost.latency_ms": 3.0,
        "cost.model_size_mb": 2.0,
        "cost.training_seconds": 4.0,
    }


def test_stages_are_those_of_git_with_what_the_run_says_of_them() -> None:
    """A stage that only the run names is not there, and the causes are git's."""
    own = (
        StageChange(name="train", state=StageState.CHANGED, causes=("`train.py`",)),
        StageChange(name="split", state=StageState.UNCHANGED),
    )
    told = (
        StageChange(name="train", state=StageState.RAN, seconds=2.0, causes=("`luck`",)),
        StageChange(name="magic", state=StageState.RAN),
    )
    assert take_stages(own, told) == (
        StageChange(name="train", state=StageState.RAN, seconds=2.0, causes=("`train.py`",)),
        StageChange(name="split", state=StageState.UNCHANGED),
    )
