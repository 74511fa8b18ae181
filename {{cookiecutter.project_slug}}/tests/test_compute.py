from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pandas as pd
import pytest
import yaml

from {{ cookiecutter.__package_name }} import scoring
from {{ cookiecutter.__package_name }}.params import Compute, Params, parse_params
from {{ cookiecutter.__package_name }}.plumbing import backends, compute, parcel
from {{ cookiecutter.__package_name }}.plumbing.errors import ClusterError, StageError

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

ROOT = Path(__file__).parents[1]

HERE = Compute()


def describe(task: int, unit: str) -> str:
    """Return what is shared beside what is not."""
    return f"{task} {unit}"


def test_results_are_in_the_order_of_the_tasks() -> None:
    """Each task gets what all share."""
    results = compute.run_tasks(describe, [3, 1, 2], HERE, shared=("km",))
    assert results == ["3 km", "1 km", "2 km"]


def test_variable_keeps_a_run_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cluster that params.yaml names is not asked."""
    monkeypatch.setenv(compute.VARIABLE, "local")
    elsewhere = Compute(backend="dask", address="tcp://cluster.invalid:8786")
    assert compute.run_tasks(describe, [1], elsewhere, shared=("km",)) == ["1 km"]


@pytest.mark.parametrize(("backend", "library"), [("dask", "distributed"), ("ray", "ray")])
def test_library_that_is_not_installed_is_answered_with_the_command(
    backend: str, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person who has changed params.yaml alone learns what is left to do."""
    monkeypatch.setitem(sys.modules, library, None)
    asked = msgspec.convert({"backend": backend}, Compute)
    with pytest.raises(ClusterError, match=f"mlgitops setup.*compute-{backend}"):
        compute.run_tasks(describe, [1], asked, shared=("km",))


def test_no_stage_runs_again_because_of_where_it_runs() -> None:
    """What changes no result is watched by no stage."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    assert all("compute" not in stage.get("params", []) for stage in stages.values())


def test_address_of_no_cluster_is_refused(params: Params) -> None:
    """Somebody who names an address believes that a cluster works."""
    document = msgspec.to_builtins(params)
    document["compute"] = {"backend": "local", "address": "tcp://cluster:8786"}
    with pytest.raises(StageError, match=r"compute\.address"):
        parse_params(yaml.safe_dump(document))


def test_parts_of_a_table_are_answered_as_the_whole(model: Pipeline, table: pd.DataFrame) -> None:
    """A large table is answered part by part, in its own order."""
    rows = table.head(50)
    parts = scoring.predict_parts(model, rows, HERE, rows=20)
    pd.testing.assert_frame_equal(parts, scoring.predict(model, rows))


def test_node_answers_by_the_code_that_is_sent(model: Pipeline, table: pd.DataFrame) -> None:
    """What a cluster runs for some tasks gives the values that this process gives."""
    rows = [table.head(20), table.tail(20)]
    sent = compute.pack_parcel(scoring.predict_part, rows)
    answer = backends.make_call()(compute.pack_archive((model,)), sent)
    for part, answered in zip(rows, compute.open_answer(answer), strict=True):
        pd.testing.assert_frame_equal(answered, scoring.predict(model, part))


def test_task_that_ends_its_process_is_told(model: Pipeline) -> None:
    """A node that has no answer says why, no result is missing in silence, and it is the task's."""
    sent = compute.pack_parcel(scoring.predict_part, ["no table"])
    answer = backends.make_call()(compute.pack_archive((model,)), sent)
    with pytest.raises(StageError, match=r"gave no answer on (?s:.)*Error") as caught:
        list(compute.open_answer(answer))
    assert not isinstance(caught.value, ClusterError)


def test_node_that_cannot_begin_is_no_fault_of_a_task(
    model: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process ends before the first task, here by a module that it does not have."""
    monkeypatch.setattr(describe, "__module__", "somebodys.module")
    sent = compute.pack_parcel(describe, [1])
    answer = backends.make_call()(compute.pack_archive((model,)), sent)
    with pytest.raises(ClusterError, match=r"gave no answer on (?s:.)*ModuleNotFoundError"):
        list(compute.open_answer(answer))


@pytest.mark.parametrize(("name", "version"), [("numpy", "0.1"), ("joblib", "0.1")])
def test_node_with_another_library_is_refused(name: str, version: str) -> None:
    """Its digits could differ: the node says which library it is, whichever it is."""
    needs = compute.describe_needs()
    needs["must" if name in needs["must"] else "may"][name] = version
    with pytest.raises(SystemExit, match=rf"{name} .*, not {version}"):
        parcel.refuse_other_libraries(needs)


def test_node_must_have_what_is_locked(tmp_path: Path) -> None:
    """The estimator's own library is among it, and one that changes sums by being there."""
    lock = tmp_path / "pipeline.txt"
    assert compute.read_locked_names(lock) == set()
    lines = [
        "zope.interface==7.2 \\",
        "    --hash=sha256:0",
        "xgboost[gpu]==3.0 ; python_full_version >= '3.12' \\",
        "colorama==0.4.6 ; sys_platform == 'win32' \\",
        "# a==1",
    ]
    lock.write_text("\n".join(lines), encoding="utf-8")
    assert compute.read_locked_names(lock) == {"zope-interface", "xgboost"}
    needs = compute.describe_needs()
    assert {"numpy", "python", "joblib", "threadpoolctl"} <= needs["must"].keys()
    assert needs["must"]["bottleneck"] is None
    for name, wanted in (("xgboost", "3.0"), ("joblib", None)):
        with pytest.raises(SystemExit, match=rf"{name} .*, not"):
            parcel.refuse_other_libraries({"must": {name: wanted}, "may": {}})


def test_library_that_no_task_may_need_can_be_missing() -> None:
    """What stands beside the locks where the run began is no reason to refuse a node."""
    needs = compute.describe_needs()
    assert not {"pip", "setuptools"} & {*needs["must"], *needs["may"]}
    needs["may"]["somebodys-editor"] = "1.0"
    parcel.refuse_other_libraries(needs)
