"""The situations of the golden comments: a name, and the report that a reviewer would get."""

from __future__ import annotations

import msgspec
from builders import make_change, make_report, steady_changes
from measured_situations import measured_situations
from slice_situations import slice_situations

from mlgitops.comparison.revisions import NO_POLICY
from mlgitops.comparison.stale import Staleness
from mlgitops.dvc.pipeline import Pipeline
from mlgitops.judgement.absence import Absences
from mlgitops.model import (
    ColumnChange,
    DataChange,
    DataVersion,
    Links,
    Omitted,
    OnInconclusive,
    ParamChange,
    Policy,
    Promotion,
    Reference,
    Report,
    Rescoring,
    Rule,
    Sampling,
    StageChange,
    StageState,
    TableChange,
    TestData,
    Trend,
    TrendPoint,
    WantedModel,
)

LINKS = Links(
    run_url="https://github.com/octo-org/flights/actions/runs/42/attempts/1",
    repository_url="https://github.com/octo-org/flights",
    guide_url="https://github.com/acme/mlgitops/blob/v1.2.3/docs/how-to/read-a-verdict.md",
)
MARKER = "<!-- mlgitops:comment key=model -->"
_AUC = "test.roc_auc"
_PARAMS = (
    ParamChange(path="params.yaml", name="train.max_depth", base="6", head="8"),
    ParamChange(path="params.yaml", name="train.l2", base=None, head="0.1"),
)
_STAGES = (
    StageChange(name="ingest", state=StageState.SKIPPED),
    StageChange(
        name="train",
        state=StageState.RAN,
        seconds=4.21,
        causes=("`src/flights/train.py`", "parameter `train.max_depth`"),
    ),
    StageChange(
        name="evaluate", state=StageState.RAN, seconds=63.0, causes=("`model/model.skops`",)
    ),
)
_DATA = (
    DataChange(
        path="data/raw/table.csv",
        base=DataVersion(hash="md5:0123456789abcdef0123456789abcdef", size=2_345_678),
        head=DataVersion(hash="md5:fedcba9876543210fedcba9876543210", size=2_400_000),
    ),
    DataChange(
        path="model/model.skops",
        base=None,
        head=DataVersion(hash="md5:00112233445566778899aabbccddeeff.dir", size=99, files=3),
    ),
)


def _make_column(name: str, kind: str, **facts: object) -> ColumnChange:
    """Make what is said of a column; without more, no cell of it differs or is missing."""
    known: dict[str, object] = {
        "changed_rows": 0,
        "base_missing": 0.0,
        "head_missing": 0.0,
        "psi_expected": 0.0006,
    }
    both = {"base_kind": kind, "head_kind": kind}
    return ColumnChange(name=name, **both, **{**known, **facts})  # type: ignore[arg-type]


_TABLES = (
    TableChange(
        path="data/raw/table.csv",
        base_rows=29_998,
        head_rows=31_020,
        key="id",
        added=1_040,
        removed=18,
        changed=212,
        columns=(
            _make_column("carrier", "text", psi=0.021, psi_expected=0.0005, new_levels=("WN",)),
            _make_column("dep_hour", "number", psi=0.142, mean_shift=0.31),
            _make_column(
                "distance",
                "number",
                psi=0.004,
                mean_shift=-0.02,
                changed_rows=212,
                head_missing=0.0412,
            ),
        ),
    ),
    TableChange(path="data/raw/weather.csv", reason="line 7 is not UTF-8 (head)"),
)
_COST = (
    make_change("cost.training_seconds", 41.2, 63.0, path="reports/cost.json"),
    make_change("cost.peak_memory_mb", 512.0, 514.1, path="reports/cost.json"),
    make_change("cost.model_size_mb", 12.5, 12.5, path="reports/cost.json"),
    make_change("cost.latency_ms", 1.71, 5.24, path="reports/cost.json"),
)


_STALE = Staleness(
    reasons={"train": "was last run with another parameter `train.max_iter`"},
    outs={"reports/metrics.json": "train"},
)


def _make_reference_situations() -> dict[str, Report]:
    """Make those in which a reference is set, or small losses add up without one."""
    since = Rule(max_worsening=0.005, max_worsening_since_reference=0.01)
    released = Policy(reference="release", metrics={_AUC: since})
    lenient = msgspec.structs.replace(released, inconclusive_since_reference=OnInconclusive.PASS)
    step = make_change(_AUC, 0.7212, 0.7181, interval=(-0.0042, -0.0019))
    points = tuple(TrendPoint(sha=f"{at:040x}", value=0.7312 - at * 0.0025) for at in range(5))
    trend = Trend(name=_AUC, path="reports/metrics.json", points=points)
    reference = Reference(name="release", label="v1.2.0", sha="c0ffee" * 6 + "c0ff")
    held = msgspec.structs.replace(
        reference,
        rows=TestData.SAME,
        metrics=(make_change(_AUC, 0.7312, 0.7181, interval=(-0.0164, -0.0098)),),
    )
    anew = msgspec.structs.replace(
        held,
        rows=TestData.CHANGED,
        rescoring=Rescoring(paths=("reports/metrics.json",), rows=7_500, seconds=3.1),
        metrics=(make_change(_AUC, 0.7212, 0.7181, interval=(-0.0131, 0.0069)),),
    )
    reason = "no tag vX.Y.Z or model@vX.Y.Z is in the history of base"
    unread = msgspec.structs.replace(reference, label="release", sha=None, reason=reason)
    return {
        "lost_since_release": make_report(step, policy=released, reference=held, trend=trend),
        "not_proven_since_release": make_report(step, policy=lenient, reference=anew),
        "not_proven_since_release_fails": make_report(step, policy=released, reference=anew),
        "reference_not_read": make_report(step, policy=released, reference=unread),
        "small_losses_add_up": make_report(
            step, policy=Policy(metrics={_AUC: Rule(max_worsening=0.005)}), trend=trend
        ),
    }


def _make_promotion_situations() -> dict[str, Report]:
    """Make those in which environments shall serve another model, and nothing is trained."""
    policy = Policy(metrics={_AUC: Rule(min_value=0.7, max_worsening=0.005)})
    still = make_change(_AUC, 0.7312, 0.7312)
    promotion = Promotion(
        environment="production",
        base=WantedModel(sha="c0ffee" * 6 + "c0ff", label="v1.1.0"),
        head=WantedModel(sha="ba5eba5" * 5 + "ba5eb", label="v1.2.0"),
        rows=TestData.SAME,
        metrics=(make_change(_AUC, 0.7212, 0.7312, interval=(0.0061, 0.0139)),),
        answers=7_500,
        changed_answers=312,
    )
    worse = msgspec.structs.replace(
        promotion,
        rows=TestData.CHANGED,
        rescoring=Rescoring(paths=("reports/metrics.json",), rows=7_500, seconds=3.1),
        metrics=(make_change(_AUC, 0.7212, 0.7102, interval=(-0.0141, -0.0079)),),
    )
    back = msgspec.structs.replace(
        worse,
        base=promotion.head,
        head=promotion.base,
        is_return=True,
        rows=TestData.SAME,
        rescoring=None,
    )
    unread = Promotion(
        environment="production",
        base=promotion.base,
        reason="`revision` is a tag's, not a commit's",
    )
    first = Promotion(
        environment="staging",
        head=promotion.head,
        metrics=(make_change(_AUC, None, 0.7312),),
    )
    made = {
        "promotion_improves": (promotion, first),
        "promotion_worsens": (worse,),
        "promotion_is_a_way_back": (back,),
        "promotion_not_read": (unread,),
    }
    return {
        name: make_report(still, policy=policy, promotions=promotions)
        for name, promotions in made.items()
    }


def situations() -> dict[str, Report]:
    """Make every situation's report; a new one is a line here and a file in golden/."""
    steady = steady_changes()
    lost = make_change("test.auc", 0.73112, None)
    new = make_change(_AUC, None, 0.70512)
    others = [make_change("test.f1", 0.55, 0.5612), make_change("test.recall", 0.5, 0.5)]
    alone = [
        make_change("test.f1", 0.55, 0.5612, interval=(-0.0021, 0.0245)),
        make_change("test.brier", 0.151234, 0.149567, interval=(-0.0031, -0.0003)),
        make_change("test.recall", 0.5, 0.5, interval=(-0.011, 0.011)),
        make_change("train.f1", 0.7123, 0.7789),
    ]
    watch = Policy(metrics={_AUC: Rule(max_worsening=0.005)})
    strict = Policy(metrics={_AUC: Rule(max_worsening=0.005)}, inconclusive=OnInconclusive.FAIL)
    sized = Policy(budgets={"model.size_mb": Rule(greater_is_better=False, max_value=10.0)})
    error = Policy(metrics={"test.rmse": Rule(greater_is_better=False, max_value=9500.0)})
    return {
        **slice_situations(),
        **measured_situations(),
        "improved": make_report(
            make_change(_AUC, 0.70123, 0.73112, interval=(0.0213, 0.0391)),
            *steady,
            *alone,
            params=_PARAMS,
            stages=_STAGES,
            data=_DATA,
        ),
        "improved_without_noise": make_report(make_change(_AUC, 0.70123, 0.73112), *steady),
        "two_confidences": make_report(
            make_change(_AUC, 0.70123, 0.73112, interval=(0.0213, 0.0391), confidence=0.975),
            make_change("test.log_loss", 0.4512, 0.4501, interval=(-0.0051, 0.0029)),
            make_change("model.size_mb", 12.5, 12.75),
        ),
        "worsened": make_report(
            make_change(_AUC, 0.73112, 0.70123, interval=(-0.0391, -0.0213)), *steady, *others
        ),
        "worsened_within_margin": make_report(
            make_change(_AUC, 0.73112, 0.7291, interval=(-0.0031, -0.0009)), policy=watch
        ),
        "worsened_perhaps_beyond_margin": make_report(
            make_change(_AUC, 0.73112, 0.7271, interval=(-0.0071, -0.0009)), policy=watch
        ),
        "worsened_perhaps_beyond_margin_fails": make_report(
            make_change(_AUC, 0.73112, 0.7271, interval=(-0.0071, -0.0009)), policy=strict
        ),
        "strict_without_noise": make_report(
            make_change(_AUC, 0.73112, 0.7341),
            make_change("test.profit", 812.0, 810.5),
            policy=Policy(
                metrics={
                    _AUC: Rule(max_worsening=0.005),
                    "test.profit": Rule(max_relative_worsening=0.01),
                },
                inconclusive=OnInconclusive.FAIL,
            ),
        ),
        "strict_without_a_method": make_report(
            make_change(_AUC, 0.73112, 0.7342, interval=(-0.0021, 0.0083)),
            make_change("test.profit", 812.0, 810.5),
            policy=Policy(
                metrics={
                    _AUC: Rule(max_worsening=0.005),
                    "test.profit": Rule(max_relative_worsening=0.01),
                },
                inconclusive=OnInconclusive.FAIL,
            ),
        ),
        "equivalent": make_report(
            make_change(_AUC, 0.73112, 0.7313, interval=(-0.0021, 0.0025)),
            policy=watch,
            sampling=Sampling(method="time", column="date", cluster="date"),
        ),
        "inconclusive_within_margin": make_report(
            make_change(_AUC, 0.73112, 0.7342, interval=(-0.0021, 0.0083)),
            policy=watch,
            sampling=Sampling(method="group", column="patient", cluster="patient"),
        ),
        "inconclusive_beyond_margin": make_report(
            make_change(_AUC, 0.73112, 0.725, interval=(-0.0151, 0.0031)), policy=watch
        ),
        "inconclusive_fails": make_report(
            make_change(_AUC, 0.73112, 0.725, interval=(-0.0151, 0.0031)), policy=strict
        ),
        **_make_reference_situations(),
        **_make_promotion_situations(),
        "unchanged": make_report(
            make_change(_AUC, 0.73112, 0.73112),
            make_change("test.log_loss", 0.44, 0.44),
            make_change("model.size_mb", 12.5, 12.5),
            sampling=Sampling(method="hash"),
        ),
        "data_changed": make_report(
            make_change(_AUC, 0.70123, 0.73112, interval=(0.0213, 0.0391)),
            *steady,
            data=_DATA[:1],
            tables=_TABLES,
            cost=_COST,
            policy=Policy(
                metrics={_AUC: Rule(max_worsening=0.005)},
                budgets={"cost.latency_ms": Rule(greater_is_better=False, max_value=5.0)},
            ),
        ),
        "removed": make_report(make_change(_AUC, 0.73112, None), *steady),
        "missing": make_report(*steady),
        "no_base": make_report(
            make_change(_AUC, None, 0.73112),
            make_change("test.log_loss", None, 0.44),
            make_change("model.size_mb", None, 12.5),
        ),
        "not_new_for_base": make_report(
            *Absences((lost, new), Pipeline(metrics={new.path}), {}).mark((lost, new)), *steady
        ),
        "not_a_number": make_report(
            make_change(_AUC, 0.73112, None, reason="head is NaN"), *steady
        ),
        "stale": make_report(
            *(
                msgspec.structs.replace(change, stale=_STALE.explain(change.path))
                for change in (make_change(_AUC, 0.73112, 0.73112), *steady, *others)
            ),
            params=_PARAMS,
            notices=tuple(_STALE.notices),
        ),
        "test_data_changed": make_report(
            make_change(_AUC, 0.73112, 0.7402), *steady, test_data=TestData.CHANGED, data=_DATA[:1]
        ),
        "test_data_changed_and_rescored": make_report(
            msgspec.structs.replace(
                make_change(_AUC, 0.72051, 0.7402, interval=(0.0121, 0.0273)), base_stored=0.73112
            ),
            *(msgspec.structs.replace(change, base_stored=change.base) for change in steady),
            test_data=TestData.CHANGED,
            rescoring=Rescoring(paths=("reports/metrics.json",), rows=7_500, seen=0, seconds=3.2),
            data=_DATA[:1],
        ),
        "test_data_changed_rows_seen": make_report(
            msgspec.structs.replace(
                make_change(_AUC, 0.7822, 0.7402, interval=(-0.0531, -0.0309)), base_stored=0.73112
            ),
            *(msgspec.structs.replace(change, base_stored=change.base) for change in steady),
            test_data=TestData.CHANGED,
            rescoring=Rescoring(
                paths=("reports/metrics.json",), rows=7_500, seen=5_250, seconds=3.2
            ),
        ),
        "test_data_changed_not_rescored": make_report(
            make_change(_AUC, 0.73112, 0.7402),
            *steady,
            test_data=TestData.CHANGED,
            rescoring=Rescoring(
                reason="stage `evaluate` failed: error: the table has no column carrier"
            ),
            data=_DATA[:1],
        ),
        "test_data_changed_without_model": make_report(
            make_change(_AUC, 0.73112, 0.7402),
            *steady,
            test_data=TestData.CHANGED,
            rescoring=Rescoring(
                reason="`model/model.skops` of base is not here: neither cache nor storage has it"
            ),
        ),
        "over_budget": make_report(make_change("model.size_mb", 9.5, 12.25), policy=sized),
        "just_above_the_limit": make_report(
            make_change("test.rmse", 9267.6, 9500.0004), policy=error
        ),
        "several_fail": make_report(
            make_change(_AUC, 0.73112, 0.61),
            make_change("test.log_loss", 0.44, None, reason="head is infinite"),
            make_change("model.size_mb", 12.5, 61.0),
        ),
        "edits_its_own_judge": make_report(
            make_change(_AUC, 0.70123, 0.73112),
            *steady,
            policy_changed=True,
            protected=("policy.yaml", ".github/workflows/pull-request.yml"),
        ),
        "no_policy": make_report(
            make_change(_AUC, 0.70123, 0.73112), policy=Policy(), notices=(NO_POLICY,)
        ),
        "few_test_rows": make_report(
            make_change(
                "test.accuracy",
                0.9612,
                0.9417,
                interval=(-0.052, 0.013),
                rows=103,
                remark="only 103 test rows; the method is shown to hold from 200",
            ),
            policy=Policy(metrics={"test.accuracy": Rule(max_worsening=0.05)}),
        ),
        "many_metrics": make_report(
            make_change(_AUC, 0.70123, 0.73112),
            *steady,
            *[make_change(f"test.class_{at:04}.f1", 0.5, 0.5 + at / 1e4) for at in range(900)],
            omitted=Omitted(metrics=3_100),
        ),
        "hostile_names": make_report(
            make_change(_AUC, 0.70123, 0.73112),
            *steady,
            make_change("a|b `c` <b>@octocat</b> #1", 0.5, 0.6),
            make_change("<!-- mlgitops:comment key=model -->", 0.5, 0.6),
            make_change("[x](https://example.org) ![y](z)", 0.5, None),
            params=(
                ParamChange(path="params.yaml", name="a\u202eb\nc", base='"|"', head="\\|"),
                ParamChange(
                    path="params.yaml",
                    name="compute.address",
                    base="null",
                    head='"https://evil.example` @octocat <b> `"',
                ),
            ),
            notices=("See https://example.org, @octocat, and `a`b`.", "# *Not* <i>markup</i>"),
        ),
    }
