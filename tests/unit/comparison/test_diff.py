"""Tests of the differences: every metric once, symmetric, in a stable order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgitops.comparison.diff import diff_data, diff_metrics, diff_params, diff_stages, find_causes
from mlgitops.dvc.metrics import MetricSet
from mlgitops.dvc.pipeline import LockEntry, Pipeline, Stage
from mlgitops.judgement.judge import find_kind
from mlgitops.model import DataVersion, Kind, StageState

if TYPE_CHECKING:
    import random

FINITE = st.floats(allow_nan=False, allow_infinity=False)
NAMES = st.sampled_from(["a", "b.c", "test.auc", "ü", "x y"])
SETS = st.builds(
    lambda values, bad: MetricSet(
        values={name: value for name, value in values.items() if name not in bad}, unusable=bad
    ),
    st.dictionaries(NAMES, FINITE),
    st.dictionaries(NAMES, st.just("is NaN")),
)
FILES = st.dictionaries(st.sampled_from(["m.json", "n/m.yaml"]), SETS)
SWAP = {Kind.ADDED: Kind.REMOVED, Kind.REMOVED: Kind.ADDED}


@given(FILES)
def test_a_set_differs_from_itself_in_nothing(files: dict[str, MetricSet]) -> None:
    """Compared with itself every usable metric is unchanged."""
    for change in diff_metrics(files, files):
        assert find_kind(change) in (Kind.UNCHANGED, Kind.INCOMPARABLE)
        assert (change.delta == 0) == (change.reason is None)


@given(FILES, FILES)
def test_swapping_the_sides_negates_every_delta(
    base: dict[str, MetricSet], head: dict[str, MetricSet]
) -> None:
    """Deltas change sign, added and removed swap, and incomparable stays so."""
    there, back = diff_metrics(base, head), diff_metrics(head, base)
    for one, two in zip(there, back, strict=True):
        assert (one.path, one.name) == (two.path, two.name)
        assert (one.base, one.head) == (two.head, two.base)
        assert find_kind(two) is SWAP.get(find_kind(one), find_kind(one))
        if one.delta is not None and two.delta is not None:
            assert one.delta == -two.delta


@given(FILES, FILES, st.randoms(use_true_random=False))
def test_the_order_of_the_input_is_irrelevant(
    base: dict[str, MetricSet], head: dict[str, MetricSet], order: random.Random
) -> None:
    """Shuffled files and names give the same changes, sorted."""

    def shuffle(files: dict[str, MetricSet]) -> dict[str, MetricSet]:
        mixed = {
            path: MetricSet(
                values=dict(order.sample(list(found.values.items()), len(found.values))),
                unusable=found.unusable,
            )
            for path, found in files.items()
        }
        return dict(order.sample(list(mixed.items()), len(mixed)))

    changes = diff_metrics(base, head)
    assert diff_metrics(shuffle(base), shuffle(head)) == changes
    assert list(changes) == sorted(changes, key=lambda change: (change.path, change.name))


@given(FILES, FILES)
def test_no_metric_is_lost(base: dict[str, MetricSet], head: dict[str, MetricSet]) -> None:
    """Every name of either side has exactly one change."""
    names = [
        (path, name)
        for path in {*base, *head}
        for name in {
            *base.get(path, MetricSet()).values,
            *base.get(path, MetricSet()).unusable,
            *head.get(path, MetricSet()).values,
            *head.get(path, MetricSet()).unusable,
        }
    ]
    found = [(change.path, change.name) for change in diff_metrics(base, head)]
    assert sorted(found) == sorted(names)


@pytest.mark.parametrize(
    ("base", "head", "reason"),
    [
        ({"unusable": {"a": "is NaN"}}, {"values": {"a": 1.0}}, "base is NaN"),
        (
            {"unusable": {"a": "is NaN"}},
            {"unusable": {"a": "is text"}},
            "base is NaN and head is text",
        ),
        ({"problem": "is not available"}, {"values": {"a": 1.0}}, "base is not available"),
        ({"values": {"a": 1.0}}, {"problem": "is not available"}, "head is not available"),
        (
            {"values": {"a": 1.7e308}},
            {"values": {"a": -1.7e308}},
            "the difference is too large a number",
        ),
    ],
)
def test_what_cannot_be_compared_says_why(
    base: dict[str, object], head: dict[str, object], reason: str
) -> None:
    """An unusable value or an unreadable side is a reason, never a difference."""
    one, two = MetricSet(**base), MetricSet(**head)  # type: ignore[arg-type]
    (change,) = diff_metrics({"m": one}, {"m": two})
    assert (change.reason, change.delta) == (reason, None)


@pytest.mark.parametrize(
    ("base", "head", "relative"),
    [(2.0, 3.0, 0.5), (-2.0, -3.0, -0.5), (0.0, 1.0, None), (5e-324, 1e300, None)],
)
def test_the_relative_delta_is_a_fraction_of_base(
    base: float, head: float, relative: float | None
) -> None:
    """The relative delta is of abs(base), and none when that is no number."""
    (change,) = diff_metrics(
        {"m": MetricSet(values={"a": base})}, {"m": MetricSet(values={"a": head})}
    )
    assert change.relative_delta == relative


def test_parameters_differ_by_their_text() -> None:
    """Changed, added and removed parameters are listed, equal ones are not."""
    changes = diff_params(
        {"p": {"a": "1", "b": "2", "c": "3"}}, {"p": {"a": "1", "b": "3"}, "q": {"d": "4"}}
    )
    assert [(c.path, c.name, c.base, c.head) for c in changes] == [
        ("p", "b", "2", "3"),
        ("p", "c", "3", None),
        ("q", "d", None, "4"),
    ]


def _lock(**fields: dict[str, str]) -> LockEntry:
    outs = {path: DataVersion(hash=text) for path, text in fields.get("outs", {}).items()}
    return LockEntry(
        command="python train.py",
        deps=fields.get("deps", {}),
        params=fields.get("params", {}),
        outs=outs,
    )


def test_the_causes_of_a_stage_are_its_changed_inputs() -> None:
    """Dependencies and parameters that differ are causes; outputs alone are one too."""
    base = _lock(deps={"a.py": "1"}, params={"p.yaml:x": "1"}, outs={"m": "1"})
    head = _lock(deps={"a.py": "2"}, params={"p.yaml:x": "2"}, outs={"m": "2"})
    assert find_causes(base, head) == ["`a.py`", "parameter `x`"]
    other = _lock(deps={"a.py": "1"}, params={"p.yaml:x": "1"}, outs={"m": "2"})
    assert find_causes(base, other) == ["other outputs from the same inputs"]
    assert find_causes(base, base) == []


def _pipeline(*names: str, **locks: LockEntry) -> Pipeline:
    stages = {
        name: Stage(
            name=name, file="dvc.yaml", folder="", command="x", deps=(), outs=(), metrics=()
        )
        for name in names
    }
    return Pipeline(stages=stages, locks=locks)


def test_each_stage_has_one_state() -> None:
    """A stage is added, removed, changed or unchanged; what a run recorded comes first."""
    one, two = _lock(deps={"a": "1"}), _lock(deps={"a": "2"})
    base = _pipeline("kept", "moved", "gone", "seen", kept=one, moved=one, seen=one)
    head = _pipeline("kept", "moved", "new", "seen", kept=one, moved=two, seen=two)
    found = diff_stages(base, head, {"seen": (StageState.RAN, 1.5)})
    assert {stage.name: stage.state for stage in found} == {
        "kept": StageState.UNCHANGED,
        "moved": StageState.CHANGED,
        "new": StageState.ADDED,
        "gone": StageState.REMOVED,
        "seen": StageState.RAN,
    }


@pytest.mark.parametrize(
    ("change", "edited", "causes"),
    [
        ({}, ["b.py", "src.py"], ()),
        ({"command": "y"}, [], ("its definition",)),
        ({}, ["src/a.py"], ("`src`",)),
        ({}, ["params.yaml"], ("`params.yaml`",)),
        ({}, ["../shared.py"], ("`../shared.py`",)),
    ],
)
def test_a_stage_of_no_lock_is_known_by_its_files(
    change: dict[str, str], edited: list[str], causes: tuple[str, ...]
) -> None:
    """Without a lock nothing else says that what makes a metric is another thing now."""
    stage = _pipeline("ev").stages["ev"]
    stage = msgspec.structs.replace(stage, deps=("src", "../shared.py"), params={"params.yaml": ()})
    head = msgspec.structs.replace(stage, **change)
    changes = diff_stages(Pipeline(stages={"ev": stage}), Pipeline(stages={"ev": head}), {}, edited)
    assert changes[0].causes == causes
    assert changes[0].state is (StageState.CHANGED if causes else StageState.UNCHANGED)


def test_data_differs_by_hash_and_not_when_git_has_it() -> None:
    """Only DVC's own files are data, and only another hash is a change."""
    base = Pipeline(pointers={"a": DataVersion(hash="1", size=1), "g": DataVersion(hash="1")})
    head = Pipeline(pointers={"a": DataVersion(hash="2", size=1), "g": DataVersion(hash="2")})
    assert [change.path for change in diff_data(base, head, {"g"})] == ["a"]
    assert diff_data(base, base, set()) == ()
